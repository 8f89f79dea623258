// SPDX-License-Identifier: GPL-2.0-only
/* A pin from its beginning to its end. */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "registry.h"
#include "trace.h"

DEFINE_XARRAY(pdk_pins);

/* What counts against limits: an attachment alone keeps no memory. */
static u64 charged_bytes(const struct peerdma_pin *pin)
{
	return pin->kind == PEERDMA_PIN_ATTACHMENT ? 0 : pin->bytes;
}

/* Held. The caller may be moved to another group at any time, so the first try may miss. */
static struct cgroup *get_current_cgroup(void)
{
	struct cgroup *cgroup;

	rcu_read_lock();
	do {
		cgroup = task_dfl_cgroup(current);
	} while (!cgroup_tryget(cgroup));
	rcu_read_unlock();
	return cgroup;
}

static int own_by_current(struct pdk_owner *owner, gfp_t gfp)
{
	struct cgroup *cgroup = get_current_cgroup();
	int ret;

	owner->uid = current_uid();
	owner->cgroup = cgroup_id(cgroup);
	ret = pdk_purse_get(&owner->purse, __kuid_val(owner->uid), cgroup, gfp);
	cgroup_put(cgroup);
	if (ret)
		return ret;
	owner->pid = get_pid(task_tgid(current));
	rcu_read_lock();
	get_task_comm(owner->comm, current->group_leader);
	rcu_read_unlock();
	return 0;
}

static void own_as(struct pdk_owner *owner, const struct pdk_owner *other)
{
	*owner = *other;
	get_pid(owner->pid);
	pdk_purse_copy(&owner->purse, &other->purse);
}

static struct peerdma_pin *make(struct peerdma_provider *p, const struct peerdma_charge *c,
				gfp_t gfp)
{
	struct peerdma_pin *pin = kzalloc(sizeof(*pin), gfp);

	if (!pin)
		return NULL;
	pin->id = pdk_next_id();
	refcount_set(&pin->refs, 1);
	pin->kind = c->kind;
	pin->flags = c->flags;
	pin->bytes = c->bytes;
	pin->born_ns = ktime_get_boottime_ns();
	if (c->importer)
		strscpy(pin->importer, c->importer);
	if (c->parent) {
		own_as(&pin->owner, &c->parent->owner);
	} else if (own_by_current(&pin->owner, gfp)) {
		kfree(pin);
		return NULL;
	}
	kref_get(&p->refs);
	pin->provider = p;
	return pin;
}

/* May run in an interrupt. */
static void free_pin(struct rcu_head *rcu)
{
	struct peerdma_pin *pin = container_of(rcu, struct peerdma_pin, rcu);

	put_pid(pin->owner.pid);
	pdk_provider_put(pin->provider);
	kfree(pin);
}

static int begin(struct peerdma_pin *pin, gfp_t gfp)
{
	bool force = pin->flags & PEERDMA_CHARGE_FORCE;
	struct pdk_state state;
	bool tell;
	int ret;

	ret = pdk_purse_charge(&pin->owner.purse, charged_bytes(pin), force, &state, &tell);
	if (ret) {
		trace_peerdma_refuse(pin, &state);
		if (tell)
			pdk_tell_refused(pin, &state);
		return ret;
	}
	atomic64_add(charged_bytes(pin), &pin->provider->charged);
	ret = xa_insert(&pdk_pins, pin->id, pin, gfp);
	if (ret) {
		atomic64_sub(charged_bytes(pin), &pin->provider->charged);
		pdk_purse_uncharge(&pin->owner.purse, charged_bytes(pin));
	}
	return ret;
}

static bool is_valid(const struct peerdma_charge *c)
{
	return c->kind >= PEERDMA_PIN_CPU_MAPPING && c->kind < PEERDMA_PIN_HELD &&
	       !(c->flags & ~(PEERDMA_CHARGE_FORCE | PEERDMA_CHARGE_REVOCABLE)) &&
	       c->bytes <= S64_MAX;
}

struct peerdma_pin *peerdma_charge(struct peerdma_provider *p, const struct peerdma_charge *c)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT;
	struct peerdma_pin *pin;
	int ret;

	if (!is_valid(c))
		return ERR_PTR(-EINVAL);
	if (c->flags & PEERDMA_CHARGE_FORCE)
		gfp |= __GFP_NOFAIL;
	pin = make(p, c, gfp);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	ret = begin(pin, gfp);
	if (!ret) {
		trace_peerdma_pin(pin);
		return pin;
	}
	pdk_purse_put(&pin->owner.purse);
	free_pin(&pin->rcu);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(peerdma_charge);

struct peerdma_pin *peerdma_pin_get(struct peerdma_pin *pin)
{
	refcount_inc(&pin->refs);
	return pin;
}
EXPORT_SYMBOL_GPL(peerdma_pin_get);

void peerdma_uncharge(struct peerdma_pin *pin)
{
	if (!pin || !refcount_dec_and_test(&pin->refs))
		return;
	trace_peerdma_unpin(pin);
	xa_erase(&pdk_pins, pin->id);
	atomic64_sub(charged_bytes(pin), &pin->provider->charged);
	pdk_purse_uncharge(&pin->owner.purse, charged_bytes(pin));
	pdk_purse_put(&pin->owner.purse);
	/* A reader may be looking at it. */
	call_rcu(&pin->rcu, free_pin);
}
EXPORT_SYMBOL_GPL(peerdma_uncharge);
