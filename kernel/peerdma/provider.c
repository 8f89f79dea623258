// SPDX-License-Identifier: GPL-2.0-only
/* Those who give out memory of a device. */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "registry.h"
#include "trace.h"

DEFINE_XARRAY(pdk_providers);

static atomic64_t last_id;

u64 pdk_next_id(void)
{
	return atomic64_inc_return(&last_id);
}

static void release(struct kref *refs)
{
	struct peerdma_provider *p = container_of(refs, struct peerdma_provider, refs);

	kfree_rcu(p, rcu);
}

void pdk_provider_put(struct peerdma_provider *p)
{
	kref_put(&p->refs, release);
}

static struct peerdma_provider *make(const struct peerdma_provider_info *info)
{
	struct peerdma_provider *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	p->id = pdk_next_id();
	kref_init(&p->refs);
	p->function.domain = pci_domain_nr(info->pdev->bus);
	p->function.bus = info->pdev->bus->number;
	p->function.devfn = info->pdev->devfn;
	strscpy(p->name, info->name);
	p->bytes = info->bytes;
	p->ops = info->ops;
	p->priv = info->priv;
	init_rwsem(&p->sem);
	return p;
}

struct peerdma_provider *peerdma_provider_register(const struct peerdma_provider_info *info)
{
	struct peerdma_provider *p;
	int ret;

	if (!info->name || !info->pdev)
		return ERR_PTR(-EINVAL);
	p = make(info);
	if (!p)
		return ERR_PTR(-ENOMEM);
	ret = xa_insert(&pdk_providers, p->id, p, GFP_KERNEL);
	if (ret) {
		kfree(p);
		return ERR_PTR(ret);
	}
	pdk_tell_provider(p, PEERDMA_EVENT_PROVIDER_ADDED, 0);
	return p;
}
EXPORT_SYMBOL_GPL(peerdma_provider_register);

void peerdma_provider_unregister(struct peerdma_provider *p)
{
	if (!p)
		return;
	xa_erase(&pdk_providers, p->id);
	/* Whoever runs a callback has it for reading. */
	down_write(&p->sem);
	WRITE_ONCE(p->gone, true);
	up_write(&p->sem);
	pdk_tell_provider(p, PEERDMA_EVENT_PROVIDER_REMOVED, 0);
	pdk_provider_put(p);
}
EXPORT_SYMBOL_GPL(peerdma_provider_unregister);

void peerdma_provider_revoke_begin(struct peerdma_provider *p)
{
	trace_peerdma_revoke(p, false, 0);
	pdk_tell_provider(p, PEERDMA_EVENT_REVOKE_BEGIN, 0);
}
EXPORT_SYMBOL_GPL(peerdma_provider_revoke_begin);

void peerdma_provider_revoke_end(struct peerdma_provider *p, int result)
{
	u32 type = result == -ETIMEDOUT ? PEERDMA_EVENT_REVOKE_TIMEOUT : PEERDMA_EVENT_REVOKE_END;

	trace_peerdma_revoke(p, true, result);
	pdk_tell_provider(p, type, -result);
}
EXPORT_SYMBOL_GPL(peerdma_provider_revoke_end);
