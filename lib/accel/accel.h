/* SPDX-License-Identifier: MIT */
/*
 * Driver of the accelerator (models/accel/SPEC.rst) in user space, over any way of access of
 * lib/dev. It never prints, exits or raises a signal; a failure is -errno and a sentence in
 * pdmai_error().
 *
 * Threads: a ring belongs to one thread at a time; different rings may be used by different
 * threads. Opening, closing and resetting the device, and creating and destroying rings, exclude
 * all else.
 */
#ifndef PEERDMA_LIB_ACCEL_ACCEL_H
#define PEERDMA_LIB_ACCEL_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/accel.h"
#include "lib/dev/dev.h"

struct pdmai_accel;
struct pdmai_accel_ring;

struct pdmai_accel_info {
	uint32_t version;
	uint64_t caps; /* ACCEL_CAPS_... */
	uint64_t vram_size;
	uint64_t len_max; /* bytes of one command */
	unsigned n_rings, n_vectors;
	unsigned ring_min_log2, ring_max_log2;
	unsigned sgl_max; /* elements of one list */
	bool interrupts;  /* eventfds are attached */
};

/*
 * Take a device into use: memory decode and bus mastering on, soft reset, rings allowed. With
 * interrupts every vector gets an eventfd. dev stays the caller's and must outlive it.
 * Return: 0; -ENODEV: not an accelerator, or it does not answer; -EPROTONOSUPPORT: a major version
 * unknown to this driver; -ETIMEDOUT: the reset does not end; -EOPNOTSUPP: interrupts over sysfs;
 * -ENOMEM; or of the access.
 */
int pdmai_accel_open(struct pdmai_dev *dev, bool interrupts, struct pdmai_accel **ret_accel);

/* Rings must be destroyed before. All work of the device has ended afterwards. NULL is allowed. */
void pdmai_accel_close(struct pdmai_accel *a);

const struct pdmai_accel_info *pdmai_accel_get_info(const struct pdmai_accel *a);
struct pdmai_dev *pdmai_accel_dev(const struct pdmai_accel *a);
/* The whole of the VRAM, mapped. Valid until the device is closed. */
void *pdmai_accel_vram(const struct pdmai_accel *a);
/* eventfd of a vector, -1 without interrupts. Vector 0 tells events, ring n has n + 1. */
int pdmai_accel_eventfd(const struct pdmai_accel *a, unsigned vector);

/* Space in VRAM. Return: 0 with *ret_off; -EINVAL; -ENOSPC; -ENOMEM. */
int pdmai_accel_vram_alloc(struct pdmai_accel *a, uint64_t len, uint64_t align, uint64_t *ret_off);
/* Return: 0; -EINVAL when part of it is free already. */
int pdmai_accel_vram_free(struct pdmai_accel *a, uint64_t off, uint64_t len);

enum pdmai_accel_reset {
	PDMAI_ACCEL_RESET_SOFT,	    /* by its register */
	PDMAI_ACCEL_RESET_FUNCTION, /* function level reset by the kernel */
};

/*
 * Reset; also the way out of a device failure. All DMA has ended when it returns, commands not
 * completed are lost, VRAM keeps its content. Rings answer -ECONNRESET until they are reset too.
 * Return: 0; -ETIMEDOUT; -ENODEV: it does not answer; -EOPNOTSUPP; or of the access.
 */
int pdmai_accel_reset(struct pdmai_accel *a, enum pdmai_accel_reset kind);

/* The private link now. size is 0 unless it is up. */
struct pdmai_accel_link {
	bool present, up;
	uint64_t size;
};
void pdmai_accel_link(struct pdmai_accel *a, struct pdmai_accel_link *ret_link);

/* Where the queues of a ring lie. */
enum pdmai_accel_place { PDMAI_ACCEL_IN_HOST, PDMAI_ACCEL_IN_VRAM };

struct pdmai_accel_ring_config {
	unsigned idx;
	unsigned size_log2; /* entries */
	enum pdmai_accel_place place;
	uint32_t list_bytes; /* for scatter lists under way, 24 an element; 0: 64 KiB */
	bool interrupt;	     /* needs pdmai_accel_info.interrupts */
	/* Interrupts are held back until this many completions or microseconds; 0: not. */
	uint16_t coalesce_count, coalesce_us;
};

/*
 * Set a ring up and start it.
 * Return: 0; -EINVAL: no such ring, size or vector; -EBUSY: the ring is in use; -EOPNOTSUPP: host
 * memory without an IOMMU; -ENOSPC, -ENOMEM: no room; -EIO: the device refuses it.
 */
int pdmai_accel_ring_create(struct pdmai_accel *a, const struct pdmai_accel_ring_config *config,
			    struct pdmai_accel_ring **ret_ring);

/* Stop the ring, dropping its commands, and give its memory back. NULL is allowed. */
void pdmai_accel_ring_destroy(struct pdmai_accel_ring *ring);

/* One piece of memory: an address in a space of the device. */
struct pdmai_accel_mem {
	enum accel_space space;
	uint64_t addr, len;
};

#define PDMAI_ACCEL_MORE     (1u << 0) /* no doorbell yet; the next without it, or a wait, rings */
#define PDMAI_ACCEL_QUIET    (1u << 1) /* no interrupt, on a ring that has them */
#define PDMAI_ACCEL_SRC_LIST (1u << 2) /* as a list even when it is one piece */
#define PDMAI_ACCEL_DST_LIST (1u << 3)

/* A command as in the specification; src and dst are read during the call only. */
struct pdmai_accel_cmd {
	enum accel_opcode op;
	uint16_t param;
	uint32_t flags;
	uint64_t len; /* bytes */
	uint64_t imm;
	const struct pdmai_accel_mem *src, *dst;
	unsigned n_src, n_dst; /* pieces; one is given inline, several as a list */
	uint64_t cookie;       /* given back */
};

struct pdmai_accel_done {
	uint64_t cookie;
	/*
	 * 0, or by status: -EINVAL malformed, -ERANGE outside the memory, -EFAULT not mapped,
	 * -EACCES direction or bus mastering, -EREMOTEIO a peer out of reach, -ENOLINK link down,
	 * -EIO failed, -EBADMSG miscompare, -ECANCELED aborted, -EPROTO a status this driver does
	 * not know.
	 */
	int err;
	uint16_t status; /* enum accel_status */
	uint8_t where;	 /* enum accel_where */
	uint8_t op;
	uint64_t result, info;
};

/*
 * Queue one command. Memory it names must stay until it is done.
 * Return: 0; -EAGAIN: the ring or its room for lists is full, take completions first; -E2BIG: the
 * list can never fit; -ECONNRESET: the device was reset; -EIO: the ring broke (see state).
 */
int pdmai_accel_submit(struct pdmai_accel_ring *ring, const struct pdmai_accel_cmd *cmd);

/*
 * Take completions that are there, in the order of submission, at most max; no wait, no register is
 * read. Return: how many; -EPROTO: the device wrote a completion that makes no sense.
 */
int pdmai_accel_poll(struct pdmai_accel_ring *ring, struct pdmai_accel_done *done, unsigned max);

/*
 * Take one completion, waiting for it by interrupt or by looking, as the ring was made.
 * timeout_ns < 0: without end. Return: 0; -ETIMEDOUT; -ENOENT: nothing is under way; -EIO: the ring
 * is in error, see pdmai_accel_ring_state(); -ECONNRESET: the device was reset; -ENODEV: it is
 * gone; -EPROTO as above.
 */
int pdmai_accel_wait(struct pdmai_accel_ring *ring, int64_t timeout_ns,
		     struct pdmai_accel_done *ret_done);

/*
 * Submit one command on an idle ring and wait for it. Return: 0 (the command's own result is
 * in done->err), -EBUSY: the ring is not idle; or as submit and wait.
 */
int pdmai_accel_run(struct pdmai_accel_ring *ring, const struct pdmai_accel_cmd *cmd,
		    int64_t timeout_ns, struct pdmai_accel_done *ret_done);

/* Commands submitted and not taken as done. */
unsigned pdmai_accel_ring_pending(const struct pdmai_accel_ring *ring);

struct pdmai_accel_ring_status {
	enum accel_ring_state state;
	enum accel_ring_error error;
	enum accel_status dma_status; /* of error SQ_FETCH and CQ_WRITE */
	uint32_t error_idx;	      /* of the submission entry */
	uint64_t error_info;
};

/* Read the ring's registers. Return: 0, -ENODEV: the device does not answer. */
int pdmai_accel_ring_state(struct pdmai_accel_ring *ring,
			   struct pdmai_accel_ring_status *ret_status);

/* End the command being executed, if any, with -ECANCELED. Return: 0. */
int pdmai_accel_ring_abort(struct pdmai_accel_ring *ring);

/*
 * Go on after a ring error, nothing lost and nothing done twice. Return: 0; -EINVAL: it is not in
 * an error that allows this.
 */
int pdmai_accel_ring_recover(struct pdmai_accel_ring *ring);

/*
 * Drop all commands and start the ring anew; after any error. When it returns the device does not
 * touch the memory of the dropped commands any more. ret_dropped may be NULL.
 * Return: 0; -ETIMEDOUT: the device does not stop; -EIO: it refuses the ring; -ENODEV.
 */
int pdmai_accel_ring_reset(struct pdmai_accel_ring *ring, unsigned *ret_dropped);

/* Name of a status in the specification's spelling, "unknown" for others. */
const char *pdmai_accel_status_name(uint16_t status);
int pdmai_accel_status_errno(uint16_t status);

#endif
