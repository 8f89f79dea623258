/* SPDX-License-Identifier: MIT */
/*
 * PCI functions a context has open, each once: over VFIO where there is an IOMMU, over sysfs for an
 * accelerator where there is none. All of a context are in one VFIO container, so they can be
 * mapped for each other. Guarded by the context's lock.
 */
#ifndef PEERDMA_LIB_REGION_DEVICE_H
#define PEERDMA_LIB_REGION_DEVICE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "lib/accel/accel.h"
#include "lib/core/events.h"
#include "lib/dev/dev.h"
#include "lib/region/region.h"

/*
 * What rings of an accelerator take of its memory where they can't lie in host memory: the end.
 */
#define PDMAI_ACCEL_KEPT (1ull << 20)

struct pdmai_device {
	TAILQ_ENTRY(pdmai_device) entry;
	struct pdma_ctx *ctx;
	unsigned refs;
	struct pdmai_dev *dev;
	bool vfio;
	/* What the kernel tells: give it back, it failed. fd is -1 where it does not. */
	struct pdmai_event_source wanted, failed;
	struct pdmai_accel *accel; /* since somebody asked */
	struct pdma_nvme *nvme;	   /* the same, lib/nvme */
	/*
	 * Users of a ring hold it for reading while they submit and wait, without the context's
	 * lock; setting rings up and resetting hold it for writing, with that lock.
	 */
	pthread_rwlock_t busy;
	uint64_t rings_used; /* by index */
};

/*
 * Open a function, memory decode and bus mastering on. sysfs_too: without an IOMMU go over sysfs.
 * Return: 0 with a reference; -ENODEV, -ENOENT, -EBUSY ... of pdmai_vfio_open() and _sysfs_open().
 */
int pdmai_device_get(struct pdma_ctx *ctx, const struct pdmai_bdf *bdf, bool sysfs_too,
		     struct pdmai_device **ret_device);
void pdmai_device_put(struct pdmai_device *d);

/* Drive it as an accelerator; resets it the first time. Return: as pdmai_accel_open(). */
int pdmai_device_accel(struct pdmai_device *d, struct pdmai_accel **ret_accel);

/* A ring of its own, polled, for one user. Return: 0; -EBUSY: all are taken; as the driver. */
int pdmai_device_ring_create(struct pdmai_device *d, unsigned size_log2,
			     struct pdmai_accel_ring **ret_ring, unsigned *ret_idx);
void pdmai_device_ring_destroy(struct pdmai_device *d, struct pdmai_accel_ring *ring, unsigned idx);

/* Reset the function; regions of it must be revoked. Memory decode is on afterwards. */
int pdmai_device_reset(struct pdmai_device *d);

/* Does it answer, with memory decode on? Return: 0; -ENODEV, -EFAULT with a sentence. */
int pdmai_device_check(struct pdmai_device *d);

/* bar.c: what backings that are (parts of) a BAR do. b->device and b->bar are set. */
int pdmai_bar_init(struct pdmai_backing *b, struct pdmai_device *d, int bar);
int pdmai_bar_map(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write);
int pdmai_bar_dmabuf(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		     int *ret_fd, uint64_t *ret_off);
int pdmai_bar_check(struct pdmai_backing *b);

#endif
