/* SPDX-License-Identifier: MIT */
/* Shared by the files of lib/accel. */
#ifndef PEERDMA_LIB_ACCEL_PRIVATE_H
#define PEERDMA_LIB_ACCEL_PRIVATE_H

#include "lib/accel/accel.h"

/* Nothing the device stops within a slice takes this long, even on a busy emulated machine. */
#define PDMAI_ACCEL_STOP_NS (10ll * 1000 * 1000 * 1000)

struct pdmai_accel {
	struct pdmai_dev *dev;
	struct pdmai_accel_info info;
	void *vram;
	struct pdmai_ranges free_vram;
	int eventfds[ACCEL_VECTORS];
	bool ring_used[ACCEL_RINGS];
	uint32_t generation; /* resets by us */
};

/* A command under way, in the slot of its submission index. */
struct pdmai_accel_slot {
	uint64_t cookie;
	uint32_t list_end; /* list room up to here is free when it is done */
};

struct pdmai_accel_ring {
	struct pdmai_accel *accel;
	struct pdmai_accel_ring_config config;
	struct pdmai_dma_mem host; /* one of these two holds the queues */
	uint64_t vram_off;
	uint64_t len;	    /* of the queues and the list room */
	volatile char *mem; /* the same for the CPU */
	uint64_t bus;	    /* the same for the device, in space */
	enum accel_space space;
	uint32_t size; /* entries */
	uint64_t cq_off, list_off;
	uint32_t list_size;
	uint32_t list_head, list_tail; /* bytes, count modulo 2^32; the room is a power of two */
	uint32_t sq_tail, sq_rung;     /* written, and told to the device */
	uint32_t cq_head, cq_rung;     /* consumed, and told */
	uint32_t generation;
	int broken; /* -errno of a protocol error, until reset */
	struct pdmai_accel_slot *slots;
};

static inline uint32_t pdmai_accel_read32(const struct pdmai_accel *a, uint64_t off)
{
	return pdmai_dev_read32(a->dev, ACCEL_BAR_REGS, off);
}

static inline uint64_t pdmai_accel_read64(const struct pdmai_accel *a, uint64_t off)
{
	return pdmai_dev_read64(a->dev, ACCEL_BAR_REGS, off);
}

static inline void pdmai_accel_write32(const struct pdmai_accel *a, uint64_t off, uint32_t val)
{
	pdmai_dev_write32(a->dev, ACCEL_BAR_REGS, off, val);
}

static inline void pdmai_accel_write64(const struct pdmai_accel *a, uint64_t off, uint64_t val)
{
	pdmai_dev_write64(a->dev, ACCEL_BAR_REGS, off, val);
}

/* Wait until the masked register has the value. Return: 0, -ETIMEDOUT, -ENODEV for all ones. */
int pdmai_accel_wait_reg(const struct pdmai_accel *a, uint64_t off, uint32_t mask, uint32_t value);

/* ring.c: write what the device does not know of both indices yet. */
void pdmai_accel_ring_kick(struct pdmai_accel_ring *ring);
/* Can the ring be used? 0, -ECONNRESET, or what broke it. */
int pdmai_accel_ring_gate(const struct pdmai_accel_ring *ring);

#endif
