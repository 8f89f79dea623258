// SPDX-License-Identifier: GPL-2.0-only
/* The lists of providers and pins. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>

#include "list.h"
#include "peerdma.h"
#include "registry.h"

/* Pins come first. What is held comes after all of them, with the number of its provider. */
#define FIRST_HELD BIT_ULL(63)

/* Return: the first provider with this number or above, held, or NULL. */
static struct peerdma_provider *get_provider(unsigned long number)
{
	struct peerdma_provider *p;

	rcu_read_lock();
	do {
		p = xa_find(&pdk_providers, &number, ULONG_MAX, XA_PRESENT);
		number++;
	} while (p && !kref_get_unless_zero(&p->refs));
	rcu_read_unlock();
	return p;
}

static void fill_provider(const struct peerdma_provider *p, struct peerdma_provider_row *row)
{
	*row = (struct peerdma_provider_row){
		.id = p->id,
		.function = p->function,
		.bytes = p->bytes,
		.charged_bytes = atomic64_read(&p->charged),
	};
	strscpy(row->driver, p->name);
}

int pdk_ioctl_providers(void __user *arg)
{
	struct peerdma_provider_row row;
	struct peerdma_provider *p;
	struct pdk_list l;
	int ret;

	ret = pdk_list_begin(&l, arg, PEERDMA_PROVIDER_ROW_SIZE_V1);
	if (!ret && l.req.scope)
		ret = -EINVAL;
	for (u64 at = l.req.cursor; !ret && (p = get_provider(at)); at = row.id + 1) {
		fill_provider(p, &row);
		pdk_provider_put(p);
		ret = pdk_list_row(&l, row.id, &row, sizeof(row));
	}
	return ret ?: pdk_list_end(&l);
}

static void fill_owner(const struct pdk_owner *owner, struct peerdma_pin_row *row)
{
	row->pid = pid_vnr(owner->pid);
	row->uid = from_kuid_munged(current_user_ns(), owner->uid);
	row->cgroup = owner->cgroup;
	strscpy(row->command, owner->comm);
	if (!pid_task(owner->pid, PIDTYPE_TGID))
		row->flags |= PEERDMA_PIN_OWNER_GONE;
}

static void fill_exporter(const struct peerdma_provider *p, struct peerdma_pin_row *row)
{
	row->provider = p->id;
	row->exporter = p->function;
	strscpy(row->driver, p->name);
	if (READ_ONCE(p->gone))
		row->flags |= PEERDMA_PIN_PROVIDER_GONE;
}

static void fill_pin(const struct peerdma_pin *pin, struct peerdma_pin_row *row)
{
	*row = (struct peerdma_pin_row){
		.id = pin->id,
		.kind = pin->kind,
		.bytes = pin->bytes,
		.age_ns = ktime_get_boottime_ns() - pin->born_ns,
	};
	if (pin->flags & PEERDMA_CHARGE_REVOCABLE)
		row->flags |= PEERDMA_PIN_REVOCABLE;
	if (pin->flags & PEERDMA_CHARGE_FORCE)
		row->flags |= PEERDMA_PIN_FORCED;
	fill_owner(&pin->owner, row);
	fill_exporter(pin->provider, row);
	strscpy(row->importer, pin->importer);
}

static bool may_see(const struct pdk_owner *owner, bool all)
{
	return all || uid_eq(owner->uid, current_uid());
}

/* The first pin from *number on, which becomes its number. Return: there is one. */
static bool find_pin(unsigned long *number, bool all, bool *ret_seen, struct peerdma_pin_row *row)
{
	struct peerdma_pin *pin;

	rcu_read_lock();
	pin = xa_find(&pdk_pins, number, ULONG_MAX, XA_PRESENT);
	*ret_seen = pin && may_see(&pin->owner, all);
	if (*ret_seen)
		fill_pin(pin, row);
	rcu_read_unlock();
	return pin;
}

static int list_pins(struct pdk_list *l, bool all)
{
	struct peerdma_pin_row row;
	unsigned long at = l->req.cursor;
	bool seen;
	int ret = 0;

	for (; !ret && find_pin(&at, all, &seen, &row); at++) {
		if (seen)
			ret = pdk_list_row(l, at, &row, sizeof(row));
		else
			cond_resched();
	}
	return ret;
}

/* Return: pages are held, and the caller may see it. */
static bool ask_held(struct peerdma_provider *p, bool all, struct peerdma_pin_row *row)
{
	struct peerdma_held held = { 0 };

	*row = (struct peerdma_pin_row){ .id = FIRST_HELD | p->id, .kind = PEERDMA_PIN_HELD };
	down_read(&p->sem);
	if (!p->gone && p->ops && p->ops->held)
		p->ops->held(p->priv, &held);
	up_read(&p->sem);
	row->bytes = held.bytes;
	fill_exporter(p, row);
	if (held.owner_ref) {
		rcu_read_lock();
		all = may_see(&held.owner_ref->owner, all);
		fill_owner(&held.owner_ref->owner, row);
		rcu_read_unlock();
		peerdma_uncharge(held.owner_ref);
	}
	return held.bytes && all;
}

static int list_held(struct pdk_list *l, bool all)
{
	u64 at = l->req.cursor & ~FIRST_HELD;
	struct peerdma_pin_row row;
	struct peerdma_provider *p;
	int ret = 0;

	if (!(l->req.cursor & FIRST_HELD))
		at = 0;
	for (; !ret && (p = get_provider(at)); at = (row.id & ~FIRST_HELD) + 1) {
		bool seen = ask_held(p, all, &row);

		pdk_provider_put(p);
		if (seen)
			ret = pdk_list_row(l, row.id, &row, sizeof(row));
	}
	return ret;
}

int pdk_ioctl_pins(void __user *arg)
{
	bool all = capable(CAP_SYS_ADMIN);
	struct pdk_list l;
	int ret;

	ret = pdk_list_begin(&l, arg, PEERDMA_PIN_ROW_SIZE_V1);
	if (ret)
		return ret;
	if (l.req.scope)
		return -EINVAL;
	ret = list_pins(&l, all) ?: list_held(&l, all);
	return ret ?: pdk_list_end(&l);
}
