// SPDX-License-Identifier: MIT
/* Submission and completion queues as rings of entries: Base 3.3, PCIe 3.1.2. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/dev/barrier.h"
#include "lib/nvme/private.h"

#define PHASE 1u

int pdmai_nvme_ring_alloc(struct pdmai_nvme *n, enum pdmai_nvme_place place, uint64_t len,
			  struct pdmai_nvme_ring *ring)
{
	struct pdmai_nvme_ring r = { 0 };
	int ret;

	if (!n->dev->ops->dma_map)
		place = PDMAI_NVME_IN_CMB;
	r.len = (len + PDMAI_NVME_PAGE - 1) & ~(uint64_t)(PDMAI_NVME_PAGE - 1);
	if (place == PDMAI_NVME_IN_CMB) {
		ret = pdmai_nvme_cmb_alloc(n, r.len, &r.cmb_off);
		r.mem = n->cmb + r.cmb_off;
		r.addr = n->info.cmb.addr + r.cmb_off;
	} else {
		ret = pdmai_dma_alloc(n->dev, r.len, &r.host);
		r.mem = r.host.vaddr;
		r.addr = r.host.iova;
	}
	if (!ret)
		*ring = r;
	return ret;
}

void pdmai_nvme_ring_free(struct pdmai_nvme *n, struct pdmai_nvme_ring *ring)
{
	if (ring->host.vaddr)
		pdmai_dma_free(&ring->host);
	else if (ring->len)
		pdmai_nvme_cmb_free(n, ring->cmb_off, ring->len);
	*ring = (struct pdmai_nvme_ring){ 0 };
}

static void zero(struct pdmai_nvme_ring *ring)
{
	for (uint64_t i = 0; i < ring->len; i += sizeof(uint64_t))
		*(volatile uint64_t *)(ring->mem + i) = 0;
}

void pdmai_nvme_queue_clear(struct pdmai_nvme_queue *q)
{
	zero(&q->sq);
	zero(&q->cq);
	q->tail = q->sq_head = q->cq_head = q->pending = q->next_slot = 0;
	q->phase = PHASE;
	q->broken = 0;
	q->generation = q->nvme->generation;
}

int pdmai_nvme_queue_gate(const struct pdmai_nvme_queue *q)
{
	if (!q->nvme->running || q->generation != q->nvme->generation)
		return pdmai_fail(ECONNRESET, "%s was reset, queue %u is gone",
				  q->nvme->dev->bdf.text, q->qid);
	if (q->broken)
		return pdmai_fail(-q->broken, "%s broke queue %u before", q->nvme->dev->bdf.text,
				  q->qid);
	return 0;
}

uint64_t pdmai_nvme_bell(const struct pdmai_nvme *n, unsigned qid, bool cq)
{
	return NVME_REGS_END + (uint64_t)(2 * qid + cq) * n->info.stride;
}

/* Entries may lie in device memory: whole words. */
void pdmai_nvme_put(struct pdmai_nvme_queue *q, const struct nvme_sqe *sqe)
{
	volatile char *to = q->sq.mem + (uint64_t)q->tail * sizeof(*sqe);
	uint64_t word;

	for (size_t i = 0; i < sizeof(*sqe); i += sizeof(word)) {
		memcpy(&word, (const char *)sqe + i, sizeof(word));
		*(volatile uint64_t *)(to + i) = word;
	}
	q->tail = q->tail + 1 == q->entries ? 0 : q->tail + 1;
	q->pending++;
	pdmai_wmb_before_doorbell();
	pdmai_nvme_write32(q->nvme, pdmai_nvme_bell(q->nvme, q->qid, false), q->tail);
}

static int broken(struct pdmai_nvme_queue *q, const char *what, unsigned value)
{
	q->broken = -EPROTO;
	return pdmai_fail(EPROTO, "%s completes on queue %u with %s %u, which cannot be",
			  q->nvme->dev->bdf.text, q->qid, what, value);
}

/* The head it tells lies between the last one told and the tail. */
static bool head_possible(const struct pdmai_nvme_queue *q, unsigned head)
{
	unsigned told, filled;

	if (head >= q->entries)
		return false;
	told = (head + q->entries - q->sq_head) % q->entries;
	filled = (q->tail + q->entries - q->sq_head) % q->entries;
	return told <= filled;
}

int pdmai_nvme_take(struct pdmai_nvme_queue *q, struct nvme_cqe *ret_cqe)
{
	volatile char *at = q->cq.mem + (uint64_t)q->cq_head * sizeof(struct nvme_cqe);
	uint64_t high = *(volatile uint64_t *)(at + 8), low;
	struct nvme_cqe c = { 0 };

	/* The last word has all we check, so it is read once. */
	if ((le64toh(high) >> 48 & PHASE) != q->phase)
		return 0;
	pdmai_rmb_after_flag();
	low = le64toh(*(volatile uint64_t *)at);
	high = le64toh(high);
	c.dw0 = (uint32_t)low;
	c.dw1 = (uint32_t)(low >> 32);
	c.sqhd = (uint16_t)high;
	c.sqid = (uint16_t)(high >> 16);
	c.cid = (uint16_t)(high >> 32);
	c.status = (uint16_t)(high >> 48) >> 1;
	if (c.sqid != q->qid)
		return broken(q, "the submission queue", c.sqid);
	if (!q->pending)
		return broken(q, "nothing under way, but command", c.cid);
	if (!head_possible(q, c.sqhd))
		return broken(q, "a head of", c.sqhd);
	q->sq_head = c.sqhd;
	q->pending--;
	if (++q->cq_head == q->entries) {
		q->cq_head = 0;
		q->phase ^= PHASE;
	}
	pdmai_nvme_write32(q->nvme, pdmai_nvme_bell(q->nvme, q->qid, true), q->cq_head);
	*ret_cqe = c;
	return 1;
}
