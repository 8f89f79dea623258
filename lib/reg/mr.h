/* SPDX-License-Identifier: MIT */
/* Registrations inside the library. Guarded by the lock of the context. */
#ifndef PEERDMA_LIB_REG_MR_H
#define PEERDMA_LIB_REG_MR_H

#include "lib/core/events.h"
#include "lib/reg/verbs.h"
#include "lib/region/region.h"
#include "peerdma/registration.h"

struct pdma_mr {
	LIST_ENTRY(pdma_mr) of_region;
	struct pdma_region *region;
	struct ibv_pd *pd;
	struct ibv_mr *mr; /* NULL since the revoke */
	int access;
	enum pdma_way way;
	uint32_t lkey, rkey;
	uint64_t addr; /* of offset 0 of the region */
	bool mapped;   /* holds the region's mapping */
	void *bounce;  /* staged */
	bool quiet;    /* of the library itself: no events */
	bool revoked;
	struct pdmai_event event;
	void *cookie;
	char why[160];
	unsigned n_refused;
	struct pdma_way_refused refused[PDMA_WAYS];
	/* Told before a revoke returns, once. */
	void (*forget)(struct pdma_mr *mr, void *arg);
	void *forget_arg;
};

/*
 * ways.c: try one way; fills mr, addr, way and why. Return: 0; -errno with a sentence: why not.
 */
int pdmai_way_try(struct pdma_mr *mr, enum pdma_way way);
/* Undo what the way holds besides the MR. */
void pdmai_way_release(struct pdma_mr *mr);
/* Ways in the order to try for this region; ends with 0. */
const enum pdma_way *pdmai_ways_for(const struct pdma_region *r);

/* mr.c: end access. err: positive errno for the event. Return: 0; -EBUSY: it could not be. */
int pdmai_mr_revoke(struct pdma_mr *mr, int err, const char *why);

#endif
