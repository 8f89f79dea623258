/* SPDX-License-Identifier: MIT */
/*
 * Transfers between regions of any kinds, by whatever engine can move the bytes, and the pattern
 * that proves they arrived.
 *
 * Threads: one thread at a time per transfer, except pdma_transfer_cancel(). Transfers of different
 * regions may run at the same time.
 */
#ifndef PEERDMA_TRANSFER_H
#define PEERDMA_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peerdma/context.h>
#include <peerdma/path.h>
#include <peerdma/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ibv_pd;
struct pdma_transfer;

/* Engines, as they are tried. */
enum pdma_engine {
	PDMA_ENGINE_ACCEL = 1 << 0,  /* copy engine of the accelerator at either end */
	PDMA_ENGINE_NIC = 1 << 1,    /* RDMA WRITE or READ by a NIC of this machine */
	PDMA_ENGINE_DIRECT = 1 << 2, /* O_DIRECT between a file and pages of the other end */
	PDMA_ENGINE_CPU = 1 << 3, /* loads and stores on a mapping, or read and write of a file */
	PDMA_ENGINE_STAGED = 1 << 4, /* two of the above with a bounce buffer between */
};
#define PDMA_ENGINES 5

/* "accel", "nic", "direct-io", "cpu", "staged"; "unknown". Static. */
PDMA_API const char *pdma_engine_name(enum pdma_engine engine);

struct pdma_transfer_status {
	size_t size;		  /* in: sizeof(struct pdma_transfer_status) */
	enum pdma_engine engine;  /* the one at work */
	uint64_t len;		  /* bytes asked for */
	uint64_t done;		  /* bytes from the start that have certainly arrived */
	int64_t start_ns, now_ns; /* CLOCK_MONOTONIC; now stands still after the end */
	bool finished;		  /* for better or worse */
	int err;		  /* positive errno of its end, 0 */
};

/*
 * Called during pdma_copy() and pdma_transfer_poll(), on their thread, after each slice and at the
 * end. It may cancel the transfer and call pdma_error(); it must not poll or destroy the transfer
 * or close its regions. Return: 0; anything else cancels the transfer.
 */
typedef int pdma_progress_fn(void *arg, const struct pdma_transfer_status *status);

#define PDMA_COPY_VERIFY (1u << 0) /* compare both ends afterwards */

struct pdma_copy_options {
	size_t size;	  /* sizeof(struct pdma_copy_options) */
	unsigned engines; /* PDMA_ENGINE_... allowed; 0: all */
	unsigned flags;	  /* PDMA_COPY_... */
	uint64_t slice;	  /* bytes handed to the engine at once; 0: 1 MiB */
	/*
	 * NIC engine: a protection domain of the caller to register with, or the name of the device
	 * ("mlx5_0"); both NULL: the first device with an active port.
	 */
	struct ibv_pd *pd;
	const char *nic;
	pdma_progress_fn *progress; /* or NULL */
	void *arg;
	/*
	 * Accelerator engine: address ("0000:03:00.0") of the end whose engine shall copy; NULL:
	 * the source's, or the destination's if the source has none.
	 */
	const char *accel;
};

struct pdma_engine_refused {
	enum pdma_engine engine;
	int err;	/* positive errno */
	char text[160]; /* why */
};

struct pdma_mismatch {
	uint64_t bad_bytes;
	uint64_t first_off, last_off; /* of bad bytes, from the start of what was compared */
	uint8_t want, got;	      /* at first_off */
};

struct pdma_copy_result {
	size_t size; /* in: sizeof(struct pdma_copy_result) */
	enum pdma_engine engine;
	enum pdma_engine legs[2]; /* of a staged transfer: in and out of the bounce buffer */
	char device[32];	  /* RDMA device or function that moved the bytes, "" for the CPU */
	char why[160];		  /* why this engine */
	unsigned n_refused;	  /* engines tried before it */
	struct pdma_engine_refused refused[PDMA_ENGINES];
	uint64_t done;		       /* bytes from the start that have certainly arrived */
	int64_t time_ns;	       /* of the copy itself: no opening, no verifying */
	struct pdma_mismatch mismatch; /* with PDMA_COPY_VERIFY */
	/*
	 * Accelerator engine, whose addresses this library makes: how it reached the other end's
	 * first byte, and by which address. NONE: another engine, or both ends are its own memory.
	 */
	enum pdma_mapping mapping;
	uint64_t addr;
	char detour[PDMA_DETOUR_LEN]; /* why not by bus address although a switch would turn it */
};

/*
 * Start copying len bytes. Picks and sets up the engine; the first slices may be under way when it
 * returns. Source and destination may be the same memory if the ranges do not overlap.
 * opt: in, or NULL; what it points to must outlive the transfer. ret_transfer: out, the caller's.
 * Return: 0; -ERANGE: not inside a region; -EINVAL: len 0, overlap or options; -EACCES: dst is
 * read-only; -EOPNOTSUPP: no allowed engine reaches both ends (the sentence has the best one's
 * reason); -ESTALE: revoked; -ENOMEM.
 */
PDMA_API int pdma_transfer_create(struct pdma_region *dst, uint64_t dst_off,
				  struct pdma_region *src, uint64_t src_off, uint64_t len,
				  const struct pdma_copy_options *opt,
				  struct pdma_transfer **ret_transfer);

/*
 * Go on: hand slices to the engine and take finished ones. An engine that fails before anything has
 * arrived gives way to the next one that is allowed, which begins anew; the result tells of it.
 * Engines of the CPU do their work here, one slice a call; the others work by themselves in the
 * meantime. timeout_ms: how long to wait for something to finish; 0: not at all; -1: without end.
 * After a failure, bytes below status.done have arrived, slices under way may have arrived in part,
 * and nothing behind them was touched.
 * Return: 1: all has arrived; 0: not yet; -ECANCELED; -ESTALE: a region was revoked; -EREMOTEIO:
 * the other end could not be reached; -EIO; -ETIMEDOUT: the device does not answer any more;
 * -EFAULT. The same again once it has ended.
 */
PDMA_API int pdma_transfer_poll(struct pdma_transfer *transfer, int timeout_ms);

/* End it: no slice begins after this returns; poll then gives -ECANCELED. Any thread, any time. */
PDMA_API void pdma_transfer_cancel(struct pdma_transfer *transfer);

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_transfer_get_status(const struct pdma_transfer *transfer,
				      struct pdma_transfer_status *ret_status);
PDMA_API int pdma_transfer_get_result(const struct pdma_transfer *transfer,
				      struct pdma_copy_result *ret_result);

/*
 * Give a transfer back; one under way is cancelled and waited for: no byte moves after it. NULL is
 * allowed.
 */
PDMA_API void pdma_transfer_destroy(struct pdma_transfer *transfer);

/*
 * The whole of it in one call: create, poll to the end, verify if asked for, destroy.
 * ret_result: out, may be NULL. Filled also when it fails once an engine had begun, so that done
 * and mismatch can be seen; else untouched.
 * Return: as create and poll, and -EBADMSG: PDMA_COPY_VERIFY found a difference.
 */
PDMA_API int pdma_copy(struct pdma_region *dst, uint64_t dst_off, struct pdma_region *src,
		       uint64_t src_off, uint64_t len, const struct pdma_copy_options *opt,
		       struct pdma_copy_result *ret_result);

/*
 * Compare two ranges. Both are read anew, by pdma_region_read() or, where the CPU has no way, by an
 * engine. ret_mismatch: out, may be NULL, filled on 0 and -EBADMSG.
 * Return: 0: equal; -EBADMSG: different; -ERANGE; or of reading.
 */
PDMA_API int pdma_compare(struct pdma_region *a, uint64_t a_off, struct pdma_region *b,
			  uint64_t b_off, uint64_t len, struct pdma_mismatch *ret_mismatch);

/*
 * The pattern: every byte depends on the seed and on its offset, so that bytes lost, doubled, moved
 * or left over are seen. off: of the first byte within the whole pattern. Never fails.
 */
PDMA_API void pdma_pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t off);
/* Return: number of bad bytes. ret_mismatch: may be NULL; filled when there are any. */
PDMA_API uint64_t pdma_pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t off,
				     struct pdma_mismatch *ret_mismatch);

/*
 * The same on len bytes at off of a region, the pattern beginning there, through the CPU or, where
 * it has no way, an engine.
 * Return: 0; -EBADMSG (verify): bytes differ, *ret_mismatch is filled, with offsets from off;
 * -ERANGE; -EACCES; -ESTALE; or as pdma_copy().
 */
PDMA_API int pdma_region_fill(struct pdma_region *region, uint64_t off, uint64_t len,
			      uint64_t seed);
PDMA_API int pdma_region_verify(struct pdma_region *region, uint64_t off, uint64_t len,
				uint64_t seed, struct pdma_mismatch *ret_mismatch);

#ifdef __cplusplus
}
#endif

#endif
