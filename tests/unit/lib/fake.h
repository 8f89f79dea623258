/* SPDX-License-Identifier: MIT */
/*
 * A kind of memory and a libibverbs for tests of the library: both do as they are told, and count.
 * One of each a process.
 */
#ifndef PEERDMA_TESTS_UNIT_LIB_FAKE_H
#define PEERDMA_TESTS_UNIT_LIB_FAKE_H

#include <stdbool.h>

#include "lib/reg/mr.h"
#include "lib/region/region.h"

struct fake_memory {
	char *mem;
	uint64_t len;
	int map_err;	/* negative errno: mapping fails */
	int dmabuf_err; /* the same for exporting */
	int check_err;	/* the memory went away */
	unsigned opened, closed, exported;
	struct pdmai_span spans[8]; /* of the last export */
	unsigned n_spans;
};

/* A region of len bytes of new memory. flags: PDMA_REGION_...; fm is zero but for err fields. */
struct pdma_region *fake_region(struct pdma_ctx *ctx, struct fake_memory *fm, uint64_t len,
				unsigned flags);
void fake_memory_free(struct fake_memory *fm);

struct fake_verbs {
	/* what to do: positive errno, or 0 */
	int reg_err, dmabuf_err, dereg_err, prefetch_err;
	bool odp;
	const char *driver;
	/* what happened */
	unsigned regs, dmabufs, deregs, prefetches;
	int access;
	uint64_t off, iova, len;
	void *addr;
};

extern struct fake_verbs fake_verbs;
extern struct ibv_pd fake_pds[2];
/* Put it in libibverbs' place, with everything zero. */
void fake_verbs_use(void);
/* MRs that live. */
unsigned fake_verbs_live(void);

#endif
