/* SPDX-License-Identifier: MIT */
/*
 * What stands between include/peerdma/nvme.h and the driver: a controller as an object of a
 * context. Guarded by the context's lock but for the fields of a queue, and but for what is said to
 * be guarded by device->busy: taken for reading around each use of the controller's registers and
 * for writing by whoever takes memory away from it.
 */
#ifndef PEERDMA_LIB_NVME_CTRL_H
#define PEERDMA_LIB_NVME_CTRL_H

#include "lib/nvme/nvme.h"
#include "lib/region/device.h"
#include "lib/region/reach.h"
#include "peerdma/nvme.h"

struct pdma_mr;

struct pdma_nvme {
	struct pdma_ctx *ctx;
	struct pdmai_device *device;
	struct pdmai_nvme *core; /* NULL: closed, regions of its CMB are left */
	unsigned refs;		 /* the owner's, and one for each allocation of CMB */
};

/* A piece of a region as commands address it. */
struct pdmai_nvme_spot {
	struct pdmai_nvme_seg seg;
	struct pdmai_reach reach; /* if it is not the controller's own */
};

struct pdma_nvme_mem {
	struct pdma_nvme *nvme;
	struct pdma_region *region; /* a slice of our own */
	bool mapped;		    /* region, for the CPU */
	struct pdmai_nvme_spot *spots;
	unsigned n_spots;
	bool open;    /* some of it is reached without an IOMMU in between */
	bool revoked; /* guarded by device->busy */
	int pending;  /* commands under way, atomic */
};

struct pdmai_nvme_op {
	struct pdma_nvme_mem *mem;
	uint64_t cookie;
	bool busy;
};

enum { PDMAI_GRANT_SQ, PDMAI_GRANT_CQ, PDMAI_GRANT_BELLS, PDMAI_GRANT_DATA, PDMAI_GRANTS };

struct pdma_nvme_queue {
	struct pdma_nvme *nvme;
	struct pdmai_nvme_queue *core;
	unsigned entries, next_op;
	bool remote;
	struct pdmai_nvme_op *ops; /* entries - 1 */
	/* Of a grant. */
	struct pdma_region *regions[PDMAI_GRANTS];
	struct pdma_mr *mrs[PDMAI_GRANTS];
};

/* mem.c: the pieces of len bytes at off, at most max. Return: how many; -E2BIG. */
int pdmai_nvme_mem_cut(const struct pdma_nvme_mem *mem, uint64_t off, uint64_t len,
		       struct pdmai_nvme_seg *segs, unsigned max);

/* grant.c: deregister and close, when the queue goes. */
void pdmai_nvme_grant_end(struct pdma_nvme_queue *q);

#endif
