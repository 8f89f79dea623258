/* SPDX-License-Identifier: MIT */
/*
 * Registrations: a region as a memory region (MR) of a protection domain of the caller. The library
 * takes the best way that the NIC's driver and the memory share, and says which and why the better
 * ones were not possible. This header alone is enough for a program with its own verbs objects.
 *
 * Threads: any, as for regions; deregistering excludes all else on the MR.
 */
#ifndef PEERDMA_REGISTRATION_H
#define PEERDMA_REGISTRATION_H

#include <stddef.h>
#include <stdint.h>

#include <infiniband/verbs.h>

#include <peerdma/context.h>
#include <peerdma/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_mr;

/* Ways to register, the best first. */
enum pdma_way {
	/*
	 * dma-buf, attached with move notification: the exporter may revoke or move it under load
	 */
	PDMA_WAY_DYNAMIC_DMABUF = 1 << 0,
	/*
	 * dma-buf, pinned: a revoke by the exporter ends the MR, or is not possible (see the
	 * driver)
	 */
	PDMA_WAY_PINNED_DMABUF = 1 << 1,
	/* on-demand paging of a CPU mapping: nothing is pinned, faults cost the first access */
	PDMA_WAY_ODP = 1 << 2,
	/* a CPU mapping, pinned */
	PDMA_WAY_POINTER = 1 << 3,
	/* a bounce buffer in host memory, see pdma_mr_sync() */
	PDMA_WAY_STAGED = 1 << 4,
	/* memory of the NIC itself, by the NIC's own registration; the best for it */
	PDMA_WAY_NATIVE = 1 << 5,
};
#define PDMA_WAYS 6

struct pdma_reg_options {
	size_t size;	/* sizeof(struct pdma_reg_options) */
	unsigned ways;	/* PDMA_WAY_... allowed; 0: all that are direct, that is all but staged */
	unsigned flags; /* 0 */
	void *cookie;	/* given back with events */
};

/*
 * Register a whole region (a part: pdma_region_slice()). Host memory is pinned in preference to
 * on-demand paging, everything else is tried in the order of enum pdma_way.
 * pd: in, the caller's; it must outlive the MR. access: IBV_ACCESS_... as for ibv_reg_mr().
 * opt: in, or NULL. ret_mr: out, the caller's until pdma_dereg_mr().
 * Blocks while the kernel pins memory.
 * On-demand paging is proven with a prefetch, for some drivers accept pointers they cannot reach.
 * Return: 0; -EINVAL: access or options; -EACCES: write access to a read-only region;
 * -EOPNOTSUPP: no allowed way is possible (the sentence gives the reason of the best one);
 * -ENOMEM: also above the limit of locked memory; -ESTALE: the region is revoked.
 * Source: ibv_reg_dmabuf_mr, ibv_reg_mr, ibv_advise_mr.
 */
PDMA_API int pdma_reg_mr(struct pdma_region *region, struct ibv_pd *pd, int access,
			 const struct pdma_reg_options *opt, struct pdma_mr **ret_mr);

/*
 * Deregister: no access through the keys lands after it. NULL is allowed.
 * Return: 0; -EBUSY: memory windows are bound to it, nothing is changed.
 */
PDMA_API int pdma_dereg_mr(struct pdma_mr *mr);

struct pdma_way_refused {
	enum pdma_way way;
	int err;	/* positive errno */
	char text[160]; /* why this way was not taken */
};

struct pdma_mr_info {
	size_t size; /* in: sizeof(struct pdma_mr_info) */
	enum pdma_way way;
	uint32_t lkey, rkey;
	/* What stands for offset 0 of the region in work requests, local and remote. */
	uint64_t addr;
	uint64_t len;
	int access;
	int revoked;
	char why[160];	    /* why this way, one sentence */
	unsigned n_refused; /* better ways that were not possible, or not allowed */
	struct pdma_way_refused refused[PDMA_WAYS];
	void *cookie;
};

/*
 * The verbs context that a dm: region belongs to: only PDs of it can register the region. NULL for
 * other kinds. Valid as long as the region.
 */
PDMA_API struct ibv_context *pdma_region_verbs(const struct pdma_region *region);

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_mr_get_info(const struct pdma_mr *mr, struct pdma_mr_info *ret_info);

/*
 * The verbs object, for calls that need it; the library's: never deregister it. NULL after a
 * revoke, which may come at any time: programs that expect one keep keys, not this pointer.
 */
PDMA_API struct ibv_mr *pdma_mr_verbs(const struct pdma_mr *mr);
PDMA_API struct pdma_region *pdma_mr_region(const struct pdma_mr *mr);

/* "dynamic-dmabuf", "pinned-dmabuf", "odp", "pointer", "staged", "native"; "unknown". Static. */
PDMA_API const char *pdma_way_name(enum pdma_way way);

enum pdma_sync { PDMA_SYNC_TO_REGION = 1, PDMA_SYNC_FROM_REGION = 2 };

/*
 * Staged MRs: carry what the NIC wrote into the bounce buffer to the region, or fetch what the NIC
 * shall read. Other ways: nothing to do. Blocks.
 * Return: 0; -ERANGE; -ESTALE; or of pdma_region_read() and _write().
 */
PDMA_API int pdma_mr_sync(struct pdma_mr *mr, uint64_t off, uint64_t len, enum pdma_sync direction);

/*
 * End an MR at any time, from any thread, leaving its region alone: when it returns no access
 * through its keys lands, remote peers get an error completion, its owner gets an event.
 * Return: 0, also when it is revoked already; -EBUSY as pdma_dereg_mr().
 */
PDMA_API int pdma_mr_revoke(struct pdma_mr *mr, const char *why);

/*
 * A cache of registrations. A revoke of the region or the MR forgets the entry before it returns,
 * so a hit is never stale. Any number of threads.
 */
struct pdma_mr_cache;

struct pdma_mr_cache_options {
	size_t size;	      /* sizeof(struct pdma_mr_cache_options) */
	unsigned max_entries; /* unused entries beyond that many go, the oldest first; 0: 1024 */
	uint64_t max_bytes;   /* the same for their bytes; 0: no limit */
};

/* Return: 0; -EINVAL; -ENOMEM. */
PDMA_API int pdma_mr_cache_create(struct pdma_ctx *ctx, const struct pdma_mr_cache_options *opt,
				  struct pdma_mr_cache **ret_cache);
/* Everything must be put before. Deregisters all. NULL is allowed. */
PDMA_API void pdma_mr_cache_destroy(struct pdma_mr_cache *cache);

/* What is needed in a work request. */
struct pdma_mr_ref {
	struct pdma_mr *mr; /* the cache's: for info only */
	uint32_t lkey, rkey;
	uint64_t addr; /* stands for the first byte asked for */
	void *entry;   /* the cache's own */
};

/*
 * Get an MR that covers len bytes at off of region with these rights or more: one that is there, or
 * a new one of exactly that range.
 * ret_ref: out, until pdma_mr_cache_put(). Keys die at a revoke even before.
 * Return: 0; -ERANGE; or as pdma_reg_mr() with opt NULL.
 */
PDMA_API int pdma_mr_cache_get(struct pdma_mr_cache *cache, struct pdma_region *region,
			       uint64_t off, uint64_t len, struct ibv_pd *pd, int access,
			       struct pdma_mr_ref *ret_ref);
PDMA_API void pdma_mr_cache_put(struct pdma_mr_cache *cache, const struct pdma_mr_ref *ref);

/*
 * Deregister all unused entries of pd (NULL: of all) and region (NULL: of all); needed before
 * either goes. Return: 0; -EBUSY: some are in use.
 */
PDMA_API int pdma_mr_cache_flush(struct pdma_mr_cache *cache, const struct ibv_pd *pd,
				 const struct pdma_region *region);

struct pdma_mr_cache_stats {
	size_t size; /* in: sizeof(struct pdma_mr_cache_stats) */
	uint64_t hits, misses, evictions, invalidations;
	unsigned entries, used;
	uint64_t bytes;
};

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_mr_cache_get_stats(struct pdma_mr_cache *cache,
				     struct pdma_mr_cache_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
