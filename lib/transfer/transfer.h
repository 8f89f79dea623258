/* SPDX-License-Identifier: MIT */
/*
 * Transfers inside the library. The part common to all engines cuts the bytes into slices and keeps
 * them in order; an engine moves slices. To add an engine, write a file with its struct
 * pdmai_engine_ops and name it in the tables of choose.c.
 */
#ifndef PEERDMA_LIB_TRANSFER_TRANSFER_H
#define PEERDMA_LIB_TRANSFER_TRANSFER_H

#include <stdatomic.h>

#include "lib/region/region.h"
#include "peerdma/transfer.h"

/* Slices under way at most. A power of two. */
#define PDMAI_DEPTH 16

/*
 * Look for completions without a break that long, then give the processor away between looks: a
 * sleep costs far more than a small copy.
 */
#define PDMAI_SPIN_NS (200ll * 1000)

/* No progress for that long: the device is taken for dead. */
#define PDMAI_STUCK_NS (30ll * 1000 * 1000 * 1000)

/* Each returns 0 or -errno with a sentence. */
struct pdmai_engine_ops {
	enum pdma_engine id;
	unsigned depth; /* slices under way at most; 1: submit does the work */
	bool by_piece;	/* a slice may not cross a piece of either region */
	/*
	 * Set up t->priv for this transfer, t->device and t->why. Undoes itself on failure, which
	 * means: not by this engine.
	 */
	int (*open)(struct pdma_transfer *t);
	/* No byte moves after it. */
	void (*close)(struct pdma_transfer *t);
	/* Start a slice; with depth 1 do it. Offsets within the transfer. */
	int (*submit)(struct pdma_transfer *t, uint64_t off, uint64_t len);
	/* Return: slices that finished, in order, waiting for one up to timeout_ms; -errno. */
	int (*reap)(struct pdma_transfer *t, int timeout_ms);
	/*
	 * Instead of submit and reap: go on, set t->done. Nothing may begin beyond limit.
	 */
	int (*pump)(struct pdma_transfer *t, int timeout_ms, uint64_t limit);
};

/* One end. With a wrap, offsets of the transfer go round in it: a bounce buffer. */
struct pdmai_end {
	struct pdma_region *region;
	uint64_t off;
	uint64_t wrap; /* 0: none */
};

struct pdma_transfer {
	struct pdma_ctx *ctx;
	struct pdmai_end dst, src;
	uint64_t len;
	struct pdma_copy_options opt;
	const struct pdmai_engine_ops *ops;
	bool open;
	bool leg; /* of a staged transfer, which closes it when both are done */
	void *priv;

	uint64_t submitted, done;
	uint64_t fifo[PDMAI_DEPTH]; /* lengths of slices under way */
	unsigned head, tail;
	atomic_bool cancelled;
	bool ended;
	int err; /* -errno since the end, 0 */
	char sentence[256];
	int64_t start_ns, end_ns, moved_ns; /* moved: last progress */

	char device[32];
	char why[160];
	enum pdma_engine legs[2];
	enum pdma_mapping mapping;
	uint64_t addr;
	char detour[PDMA_DETOUR_LEN];
	unsigned n_refused;
	struct pdma_engine_refused refused[PDMA_ENGINES];
};

extern const struct pdmai_engine_ops pdmai_engine_accel, pdmai_engine_nic, pdmai_engine_direct,
	pdmai_engine_cpu, pdmai_engine_staged;

/* Where offset off of the transfer lies in the region of an end. */
static inline uint64_t pdmai_end_at(const struct pdmai_end *end, uint64_t off)
{
	return end->off + (end->wrap ? off % end->wrap : off);
}

/* Bytes of the region that the transfer touches, from end->off. */
static inline uint64_t pdmai_end_span(const struct pdmai_end *end, uint64_t len)
{
	return end->wrap && end->wrap < len ? end->wrap : len;
}

/*
 * choose.c: find an engine that was not refused yet and open it. Return: 0; -EOPNOTSUPP, -ENOMEM or
 * -ESTALE with a sentence.
 */
int pdmai_transfer_choose(struct pdma_transfer *t, unsigned allowed);
/* Note why an engine is not the one; err is a positive errno. At most once an engine. */
void pdmai_transfer_refuse(struct pdma_transfer *t, enum pdma_engine engine, int err,
			   const char *text);

/*
 * transfer.c: one that the staged engine drives; ends and options are checked already.
 * Return: as choose.
 */
int pdmai_transfer_leg(struct pdmai_end dst, struct pdmai_end src, uint64_t len,
		       const struct pdma_copy_options *opt, unsigned allowed,
		       struct pdma_transfer **ret_leg);
/* Move up to limit. Return: 1 all done; 0; -errno. */
int pdmai_transfer_pump(struct pdma_transfer *t, int timeout_ms, uint64_t limit);

#endif
