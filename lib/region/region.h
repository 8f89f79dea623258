/* SPDX-License-Identifier: MIT */
/*
 * Regions inside the library.
 *
 * A backing is one contiguous memory of one kind: a BAR, an allocation, a file. A region is a list
 * of pieces of backings; slices and joins share the backings of what they were made from. To add a
 * kind, write one file with a struct pdmai_kind_ops and name it in the table of kind.c.
 *
 * Everything here is guarded by the lock of the context, except where it says otherwise.
 */
#ifndef PEERDMA_LIB_REGION_REGION_H
#define PEERDMA_LIB_REGION_REGION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/core/ctx.h"
#include "lib/core/events.h"
#include "lib/region/uri.h"
#include "peerdma/region.h"

struct ibv_context;
struct ibv_mr;
struct ibv_pd;
struct ibv_qp;
struct ibv_cq;
struct pdmai_backing;
struct pdmai_device;

/* A connection to another machine, as the NIC engine needs it. The backing's. */
struct pdmai_remote {
	struct ibv_pd *pd;
	struct ibv_qp *qp; /* RC, ready to send, nobody else posts to it */
	struct ibv_cq *cq; /* of its sends; nobody else polls it */
	uint64_t addr;	   /* of offset 0 of the backing */
	uint32_t rkey;
};

/*
 * What a kind of memory can do. Members may be NULL where a kind lacks it, but open and close.
 * Offsets and lengths are checked by the caller against backing->len. Each returns 0 or -errno with
 * a sentence recorded.
 */
struct pdmai_kind_ops {
	/*
	 * Fill the public part of b. What was done until a failure is undone by it. Called without
	 * the context's lock, as it may take long: what it needs of the context it locks itself.
	 */
	int (*open)(struct pdmai_backing *b, const struct pdmai_uri *uri,
		    const struct pdma_region_options *opt);
	/* With the lock, when the region comes into being: from now on events may be about it. */
	int (*opened)(struct pdmai_backing *b);
	void (*close)(struct pdmai_backing *b);
	/* Map whole pages at a fixed address. */
	int (*map)(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write);
	/* Where it is mapped as long as it is open; instead of map. */
	void *(*base)(struct pdmai_backing *b);
	/* A dma-buf of whole pages. ret_off: where the first span begins in it. */
	int (*dmabuf)(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		      int *ret_fd, uint64_t *ret_off);
	/* CPU access where there is no mapping. Called without the context's lock. */
	int (*io)(struct pdmai_backing *b, uint64_t off, void *buf, uint64_t len, bool write);
	/* Can it be reached now? -errno: no more. */
	int (*check)(struct pdmai_backing *b);
	/* File for O_DIRECT and plain I/O at b->dev_off + off. */
	int (*file)(struct pdmai_backing *b, bool direct, int *ret_fd);
	/*
	 * Memory of an RDMA device: the context it belongs to, and an MR of it, addressed from 0,
	 * for a PD of that context.
	 */
	struct ibv_context *(*verbs)(struct pdmai_backing *b);
	int (*reg)(struct pdmai_backing *b, uint64_t off, uint64_t len, struct ibv_pd *pd,
		   int access, struct ibv_mr **ret_mr);
	/*
	 * Where on the bus a range is that is reached through base; only if it is memory of the
	 * function b->bdf. Not for ever: at least as long as the backing is open and its driver
	 * lets it.
	 */
	int (*where)(struct pdmai_backing *b, uint64_t off, uint64_t len, uint64_t *ret_bus_addr);
	/*
	 * rdma: make a connection that broke anew, without the lock, which may take long; and the
	 * connection, with it. Return: -ENOTCONN: it broke.
	 */
	int (*connect)(struct pdmai_backing *b);
	int (*remote)(struct pdmai_backing *b, struct pdmai_remote *ret_remote);
};

struct pdmai_backing {
	const struct pdmai_kind_ops *ops;
	struct pdma_ctx *ctx;
	unsigned refs;
	uint64_t id; /* never used twice in a context */

	/* filled by open */
	enum pdma_kind kind;
	uint64_t len;
	unsigned flags;		     /* PDMA_REGION_... */
	struct pdmai_device *device; /* open PCI function, or NULL */
	char bdf[PDMAI_BDF_LEN];     /* also where device is NULL; "" for none */
	int bar;		     /* or -1 */
	uint64_t dev_off;	     /* of its first byte in the BAR, the file ... */
	uint64_t bus_addr;	     /* of its first byte, or 0 */
	bool slow;		     /* mapped uncached: whole words please */
	void *priv;
};

struct pdmai_piece {
	struct pdmai_backing *backing;
	uint64_t off, len;
};

/* Child is revoked with parent. */
struct pdmai_region_link {
	LIST_ENTRY(pdmai_region_link) of_parent, of_child;
	struct pdma_region *parent, *child;
};

struct pdma_mr;

struct pdma_region {
	struct pdma_ctx *ctx;
	TAILQ_ENTRY(pdma_region) entry; /* in ctx->regions */
	enum pdma_kind kind;
	unsigned flags;
	uint64_t len;
	char *uri;
	void *cookie;
	struct pdmai_piece *pieces;
	unsigned n_pieces;

	bool quiet; /* of the library itself: no events */
	bool revoked;
	char why[160]; /* since the revoke */
	struct pdmai_event event_revoked, event_wanted, event_failed;
	LIST_HEAD(, pdmai_region_link) children, parents;
	LIST_HEAD(, pdma_mr) mrs;
	/* Of whoever else uses it: called once, with the context's lock, at its revoke. */
	void (*on_revoke)(struct pdma_region *r);
	void *on_revoke_arg;

	/*
	 * CPU mapping. Readers of its memory hold access for reading, a revoke takes it for writing
	 * before it pulls the memory away. Taken after the context's lock or alone.
	 */
	pthread_rwlock_t access;
	void *map_base; /* page of vaddr, NULL: not mapped by us */
	uint64_t map_len;
	void *vaddr;
	unsigned map_refs;
};

/* kind.c */
const struct pdmai_kind_ops *pdmai_kind_find(enum pdma_kind kind);

/* backing.c */
int pdmai_backing_create(struct pdma_ctx *ctx, const struct pdmai_kind_ops *ops,
			 struct pdmai_backing **ret_backing);
struct pdmai_backing *pdmai_backing_get(struct pdmai_backing *b);
/* Closes the memory with the last reference. */
void pdmai_backing_put(struct pdmai_backing *b);

/*
 * region.c: a region of n pieces of backings, each of which gets a reference. uri is copied.
 * Return: 0; -ERANGE: a piece is not inside its backing; -EOVERFLOW; -ENOMEM.
 */
int pdmai_region_create(struct pdma_ctx *ctx, const struct pdmai_piece *pieces, unsigned n,
			const char *uri, void *cookie, struct pdma_region **ret_region);

/* Is off to off + len inside? Return: 0; -ERANGE, -ESTALE with a sentence. */
int pdmai_region_check_range(const struct pdma_region *r, uint64_t off, uint64_t len);
int pdmai_region_gate(const struct pdma_region *r);

/*
 * The piece that off lies in, and how much of the region is left in it.
 * Return: the piece with *ret_off in its backing; NULL only for off >= len.
 */
const struct pdmai_piece *pdmai_region_piece(const struct pdma_region *r, uint64_t off,
					     uint64_t *ret_off, uint64_t *ret_left);

/* All pieces are of one backing? Else NULL. */
struct pdmai_backing *pdmai_region_backing(const struct pdma_region *r);

/* dmabuf.c: of whole pages around the region; *ret_off: where it begins in the dma-buf. */
int pdmai_region_dmabuf_around(struct pdma_region *r, int *ret_fd, uint64_t *ret_off);

/*
 * revoke.c: revoke with everything that hangs on it. err: positive errno for the event.
 * Return: 0; -EBUSY: an MR stays.
 */
int pdmai_region_revoke(struct pdma_region *r, int err, const char *why);
/* Every region with memory in this function, before it is reset or taken away. */
int pdmai_device_revoke(struct pdmai_device *d, int err, const char *why);
/* Tell the owners of every region in this function. */
void pdmai_device_tell(struct pdmai_device *d, enum pdma_event_type type, const char *text);

#endif
