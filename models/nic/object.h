/* SPDX-License-Identifier: MIT */
/*
 * Every object a guest can name (PD, QP, CQ, memory key, ...) and the tables they live in.
 *
 * Only the NIC's command worker adds, removes and counts references, so those need no lock. Any
 * thread inside an epoch section (epoch.h), and the command worker at any time, may look up; what
 * it finds lives until the section ends.
 */
#ifndef PEERDMA_MODELS_NIC_OBJECT_H
#define PEERDMA_MODELS_NIC_OBJECT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum nic_type {
	NIC_T_PD,
	NIC_T_TD,
	NIC_T_UAR,
	NIC_T_XRCD,
	NIC_T_MKEY,
	NIC_T_EQ,
	NIC_T_CQ,
	NIC_T_SRQ, /* SRQ, XRC SRQ, RMP and XRQ share one number space */
	NIC_T_QP,
	NIC_T_PSV,
	NIC_T_MEMIC,
	NIC_T_UCTX,
	NIC_T_UMEM,
	NIC_T_COUNTER, /* queue counters */
	NIC_T_TIR,
	NIC_T_TIS,
	NIC_T_GENERAL,
	NIC_T_COUNT
};

/* First member of every object. */
struct nic_obj {
	uint8_t type;	 /* enum nic_type */
	uint16_t uid;	 /* user context that made it, 0 = the kernel driver */
	uint32_t id;	 /* number the guest uses */
	uint32_t refs;	 /* other objects that point here; command worker only */
	uint64_t charge; /* bytes taken from the NIC's memory budget */
};

struct nic_table {
	uint32_t base, cap;    /* ids are base .. base + cap - 1 */
	_Atomic uint32_t used; /* command worker writes, anybody looks */
	uint32_t next;	       /* where the search for a free number starts */
	uint64_t *busy;	       /* one bit a number */
	struct nic_obj **own;  /* command worker's: everything published and not yet released */
	struct nic_obj *_Atomic *slot;
};

int nic_table_init(struct nic_table *t, uint32_t base, uint32_t cap);
void nic_table_fini(struct nic_table *t);

/* Reserve the next number, going round. Return: 0, or -ENOSPC. */
int nic_table_reserve(struct nic_table *t, uint32_t *ret_id);
/* Reserve this number. Return: 0, -ENOSPC outside the table, -EBUSY. */
int nic_table_reserve_id(struct nic_table *t, uint32_t id);
/* Give back a reserved number whose slot is empty. */
void nic_table_release(struct nic_table *t, uint32_t id);
/* Let others find obj under its reserved id. */
void nic_table_publish(struct nic_table *t, struct nic_obj *obj);
/* Hide obj; the number stays reserved until nic_table_release. Then sync the epoch, then free. */
void nic_table_hide(struct nic_table *t, struct nic_obj *obj);

/* The object, or NULL: never another one. Any id is allowed. */
static inline struct nic_obj *nic_table_find(const struct nic_table *t, uint32_t id)
{
	uint32_t idx = id - t->base;

	if (idx >= t->cap)
		return NULL;
	return atomic_load_explicit(&t->slot[idx], memory_order_acquire);
}

/* Command worker: the object even when it is hidden already. */
static inline struct nic_obj *nic_table_own(const struct nic_table *t, uint32_t id)
{
	uint32_t idx = id - t->base;

	return idx < t->cap ? t->own[idx] : NULL;
}

#endif
