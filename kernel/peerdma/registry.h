/* SPDX-License-Identifier: GPL-2.0-only */
/* Providers and pins as they are kept. Both can be read under RCU. */
#ifndef PEERDMA_KERNEL_REGISTRY_H
#define PEERDMA_KERNEL_REGISTRY_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include "accounts.h"
#include "provider.h"

#ifndef CONFIG_64BIT
#error "peerdma needs a 64-bit kernel: numbers of pins are never used again"
#endif

#define PDK_DRIVER_LEN	 16
#define PDK_IMPORTER_LEN 32

struct peerdma_provider {
	u64 id;
	struct kref refs; /* one until unregister, one of each pin */
	struct rcu_head rcu;
	struct peerdma_pci function;
	char name[PDK_DRIVER_LEN];
	u64 bytes;
	atomic64_t charged; /* bytes */
	const struct peerdma_provider_ops *ops;
	void *priv;
	struct rw_semaphore sem; /* held for reading while a callback runs */
	bool gone;
};

/* Who is charged. Stays true after the process is gone. */
struct pdk_owner {
	struct pid *pid; /* held; of the thread group */
	kuid_t uid;
	u64 cgroup;
	char comm[TASK_COMM_LEN];
	struct pdk_purse purse; /* held */
};

struct peerdma_pin {
	u64 id;
	refcount_t refs;
	struct rcu_head rcu;
	struct peerdma_provider *provider; /* held */
	struct pdk_owner owner;
	enum peerdma_pin_kind kind;
	u32 flags; /* PEERDMA_CHARGE_... */
	u64 bytes;
	u64 born_ns; /* of the clock that counts from boot */
	char importer[PDK_IMPORTER_LEN];
};

/* By id. */
extern struct xarray pdk_providers;
extern struct xarray pdk_pins;

/* Never zero, never used again. Providers and pins draw from the same. */
u64 pdk_next_id(void);
void pdk_provider_put(struct peerdma_provider *p);

/* events.c: tell those who listen. Does not sleep. */
void pdk_tell_provider(const struct peerdma_provider *p, u32 type, int error);
void pdk_tell_refused(const struct peerdma_pin *pin, const struct pdk_state *state);

#endif
