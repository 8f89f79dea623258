/* SPDX-License-Identifier: MIT */
/*
 * Life of shared objects without a lock around every look-up. A data worker works between
 * nic_epoch_enter and nic_epoch_leave; whatever it finds in a table of any NIC of this process
 * stays allocated until it leaves. Whoever takes an object out of a table calls nic_epoch_sync
 * before freeing it: that returns when every worker that was inside has left once.
 *
 * Rules: a section lasts one slice (aim below 100 us) and never waits for a command worker, so
 * that nic_epoch_sync always ends. nic_epoch_sync is never called inside a section, nor under any
 * lock a data worker takes.
 */
#ifndef PEERDMA_MODELS_NIC_EPOCH_H
#define PEERDMA_MODELS_NIC_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct nic_epoch {
	_Atomic uint64_t seq; /* odd while inside */
	LIST_ENTRY(nic_epoch) entry;
};

/* A thread that will enter; unregister from outside a section. */
void nic_epoch_register(struct nic_epoch *e);
void nic_epoch_unregister(struct nic_epoch *e);

static inline void nic_epoch_enter(struct nic_epoch *e)
{
	atomic_fetch_add(&e->seq, 1);
}

static inline void nic_epoch_leave(struct nic_epoch *e)
{
	atomic_fetch_add(&e->seq, 1);
}

void nic_epoch_sync(void);

#endif
