/* SPDX-License-Identifier: MIT */
/* Shared by the files of lib/nvme that drive the controller. */
#ifndef PEERDMA_LIB_NVME_PRIVATE_H
#define PEERDMA_LIB_NVME_PRIVATE_H

#include "lib/nvme/nvme.h"

#define ADMIN_ENTRIES 16
/* No admin command takes this long, even on a busy emulated machine. */
#define ADMIN_NS (30ll * 1000 * 1000 * 1000)

/* Memory of a queue, of lists or for answers, seen from both sides. */
struct pdmai_nvme_ring {
	volatile char *mem;
	uint64_t addr;		   /* in commands */
	uint64_t len;		   /* whole pages */
	struct pdmai_dma_mem host; /* all zero: it is in the CMB */
	uint64_t cmb_off;
};

struct pdmai_nvme_slot {
	uint64_t cookie;
	bool busy;
};

struct pdmai_nvme_queue {
	struct pdmai_nvme *nvme;
	unsigned qid, entries;
	bool foreign;
	struct pdmai_nvme_ring sq, cq;
	struct pdmai_nvme_ring lists;  /* a page for each slot */
	struct pdmai_nvme_slot *slots; /* entries - 1: as many as fit into the queue */
	unsigned tail, sq_head, cq_head, phase, pending, next_slot;
	uint32_t generation;
	int broken; /* -EPROTO */
};

struct pdmai_nvme {
	struct pdmai_dev *dev;
	struct pdmai_nvme_info info;
	uint32_t generation; /* of starts and stops */
	bool running;
	struct pdmai_nvme_queue admin;
	struct pdmai_nvme_ring data; /* a page for answers */
	char *cmb;		     /* mapped, or NULL */
	struct pdmai_ranges cmb_free;
	struct pdmai_nvme_queue *queues[PDMAI_NVME_QUEUES_MAX + 1]; /* by number */
};

static inline uint32_t pdmai_nvme_read32(const struct pdmai_nvme *n, uint64_t off)
{
	return pdmai_dev_read32(n->dev, 0, off);
}

static inline void pdmai_nvme_write32(const struct pdmai_nvme *n, uint64_t off, uint32_t val)
{
	pdmai_dev_write32(n->dev, 0, off, val);
}

/* admin.c */
int pdmai_nvme_admin(struct pdmai_nvme *n, const struct nvme_sqe *cmd, uint32_t *ret_dw0);
int pdmai_nvme_discover(struct pdmai_nvme *n);

/* cmb.c: find it and have the controller accept addresses in it. None is no error. */
int pdmai_nvme_cmb_start(struct pdmai_nvme *n);

/* cmb.c: where it takes all of them; else -EOPNOTSUPP. */
int pdmai_nvme_cmb_need(const struct pdmai_nvme *n, uint32_t flags);

/*
 * ring.c. Without an IOMMU no memory of the host has an address for the controller: then all is in
 * the CMB, whatever place says.
 */
int pdmai_nvme_ring_alloc(struct pdmai_nvme *n, enum pdmai_nvme_place place, uint64_t len,
			  struct pdmai_nvme_ring *ring);
void pdmai_nvme_ring_free(struct pdmai_nvme *n, struct pdmai_nvme_ring *ring);
/* Empty, as the controller expects it of a new queue. */
void pdmai_nvme_queue_clear(struct pdmai_nvme_queue *q);
/* Can it be used? 0, -ECONNRESET, or what broke it. */
int pdmai_nvme_queue_gate(const struct pdmai_nvme_queue *q);
void pdmai_nvme_put(struct pdmai_nvme_queue *q, const struct nvme_sqe *sqe);
/* The next completion. Return: 1; 0: none; -EPROTO with the queue broken. */
int pdmai_nvme_take(struct pdmai_nvme_queue *q, struct nvme_cqe *ret_cqe);
uint64_t pdmai_nvme_bell(const struct pdmai_nvme *n, unsigned qid, bool cq);

#endif
