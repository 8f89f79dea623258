// SPDX-License-Identifier: MIT
/* Life of a ring: memory, registers, start, stop, errors. */
#include <errno.h>
#include <stdlib.h>

#include "lib/accel/private.h"
#include "lib/core/error.h"
#include "lib/dev/barrier.h"

#define PAGE		4096ull
#define LIST_BYTES	(64u << 10)
#define LIST_BYTES_MAX	(16u << 20)
#define NO_DEVICE_STATE 0xffffffffu

static uint64_t reg(const struct pdmai_accel_ring *ring, uint64_t off)
{
	return ACCEL_RING(ring->config.idx) + off;
}

int pdmai_accel_ring_gate(const struct pdmai_accel_ring *ring)
{
	if (ring->broken)
		return ring->broken;
	if (ring->generation != ring->accel->generation)
		return pdmai_fail(ECONNRESET, "%s was reset", ring->accel->dev->bdf.text);
	return 0;
}

void pdmai_accel_ring_kick(struct pdmai_accel_ring *ring)
{
	uint64_t db = ACCEL_DOORBELL(ring->config.idx);
	bool sq = ring->sq_rung != ring->sq_tail, cq = ring->cq_rung != ring->cq_head;

	if (!sq && !cq)
		return;
	pdmai_wmb_before_doorbell();
	if (sq && cq)
		pdmai_accel_write64(ring->accel, db, (uint64_t)ring->cq_head << 32 | ring->sq_tail);
	else if (sq)
		pdmai_accel_write32(ring->accel, db + ACCEL_DOORBELL_SQ_TAIL, ring->sq_tail);
	else
		pdmai_accel_write32(ring->accel, db + ACCEL_DOORBELL_CQ_HEAD, ring->cq_head);
	ring->sq_rung = ring->sq_tail;
	ring->cq_rung = ring->cq_head;
}

static int check_config(const struct pdmai_accel *a, const struct pdmai_accel_ring_config *c)
{
	const char *bdf = a->dev->bdf.text;

	if (c->idx >= a->info.n_rings)
		return pdmai_fail(EINVAL, "%s has no ring %u", bdf, c->idx);
	if (c->size_log2 < a->info.ring_min_log2 || c->size_log2 > a->info.ring_max_log2)
		return pdmai_fail(EINVAL, "%s: a ring has 2^%u to 2^%u entries, not 2^%u", bdf,
				  a->info.ring_min_log2, a->info.ring_max_log2, c->size_log2);
	if (c->interrupt && (!a->info.interrupts || c->idx + 1 >= a->info.n_vectors))
		return pdmai_fail(EINVAL, "%s: no interrupt for ring %u", bdf, c->idx);
	if (c->list_bytes > LIST_BYTES_MAX || (c->list_bytes & (c->list_bytes - 1)))
		return pdmai_fail(EINVAL, "room for lists is a power of two up to %u bytes",
				  LIST_BYTES_MAX);
	if (a->ring_used[c->idx])
		return pdmai_fail(EBUSY, "%s: ring %u is in use", bdf, c->idx);
	return 0;
}

static void lay_out(struct pdmai_accel_ring *ring)
{
	ring->size = 1u << ring->config.size_log2;
	ring->list_size = ring->config.list_bytes ? ring->config.list_bytes : LIST_BYTES;
	ring->cq_off = (uint64_t)ring->size * sizeof(struct accel_sqe);
	ring->list_off = ring->cq_off + (uint64_t)ring->size * sizeof(struct accel_cqe);
	ring->list_off = (ring->list_off + 63) & ~63ull;
	ring->len = (ring->list_off + ring->list_size + (PAGE - 1)) & ~(PAGE - 1);
}

static int get_memory(struct pdmai_accel_ring *ring)
{
	struct pdmai_accel *a = ring->accel;
	int ret;

	if (ring->config.place == PDMAI_ACCEL_IN_HOST) {
		ret = pdmai_dma_alloc(a->dev, ring->len, &ring->host);
		ring->mem = ring->host.vaddr;
		ring->bus = ring->host.iova;
		ring->space = ACCEL_SPACE_BUS;
		return ret;
	}
	ret = pdmai_accel_vram_alloc(a, ring->len, PAGE, &ring->vram_off);
	if (ret)
		return ret;
	ring->mem = (volatile char *)a->vram + ring->vram_off;
	ring->bus = ring->vram_off;
	ring->space = ACCEL_SPACE_LOCAL;
	return 0;
}

/* Not called for memory the device may still use. */
static void put_memory(struct pdmai_accel_ring *ring)
{
	if (ring->config.place == PDMAI_ACCEL_IN_HOST)
		pdmai_dma_free(&ring->host);
	else
		pdmai_accel_vram_free(ring->accel, ring->vram_off, ring->len);
}

static void forget(struct pdmai_accel_ring *ring)
{
	volatile uint64_t *cq = (volatile uint64_t *)(ring->mem + ring->cq_off);

	for (uint64_t i = 0; i < ring->size * sizeof(struct accel_cqe) / sizeof(*cq); i++)
		cq[i] = 0;
	ring->sq_tail = ring->sq_rung = 0;
	ring->cq_head = ring->cq_rung = 0;
	ring->list_head = ring->list_tail = 0;
	ring->broken = 0;
	ring->generation = ring->accel->generation;
}

static int start(struct pdmai_accel_ring *ring)
{
	const struct pdmai_accel_ring_config *c = &ring->config;
	struct pdmai_accel *a = ring->accel;
	uint32_t state;

	forget(ring);
	pdmai_wmb_before_doorbell();
	pdmai_accel_write64(a, reg(ring, ACCEL_RING_SQ_BASE), ring->bus);
	pdmai_accel_write64(a, reg(ring, ACCEL_RING_CQ_BASE), ring->bus + ring->cq_off);
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_SIZE_LOG2), c->size_log2);
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_SPACE),
			    ACCEL_RING_SPACE_SQ(ring->space) | ACCEL_RING_SPACE_CQ(ring->space));
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_VECTOR),
			    c->interrupt ? c->idx + 1 : ACCEL_VECTOR_NONE);
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_COALESCE),
			    ACCEL_RING_COALESCE_COUNT(c->coalesce_count) |
				    ACCEL_RING_COALESCE_US(c->coalesce_us));
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_COMMAND), ACCEL_RING_ENABLE);
	state = pdmai_accel_read32(a, reg(ring, ACCEL_RING_STATUS));
	if (state == NO_DEVICE_STATE)
		return pdmai_fail(ENODEV, "%s does not answer", a->dev->bdf.text);
	if (state != ACCEL_RING_RUNNING)
		return pdmai_fail(EIO, "%s refuses ring %u: state %u, error 0x%x", a->dev->bdf.text,
				  c->idx, state,
				  pdmai_accel_read32(a, reg(ring, ACCEL_RING_ERROR)));
	return 0;
}

/* DISABLED, whatever it was. Nothing of the ring's memory is touched by the device afterwards. */
static int stop(struct pdmai_accel_ring *ring)
{
	struct pdmai_accel *a = ring->accel;
	uint32_t state = pdmai_accel_read32(a, reg(ring, ACCEL_RING_STATUS));

	if (state == ACCEL_RING_DISABLED)
		return 0;
	if (state == NO_DEVICE_STATE)
		return pdmai_fail(ENODEV, "%s does not answer", a->dev->bdf.text);
	pdmai_accel_write32(a, reg(ring, ACCEL_RING_COMMAND), ACCEL_RING_RESET);
	return pdmai_accel_wait_reg(a, reg(ring, ACCEL_RING_STATUS), NO_DEVICE_STATE,
				    ACCEL_RING_DISABLED);
}

int pdmai_accel_ring_create(struct pdmai_accel *a, const struct pdmai_accel_ring_config *config,
			    struct pdmai_accel_ring **ret_ring)
{
	struct pdmai_accel_ring *ring;
	int ret;

	ret = check_config(a, config);
	if (ret)
		return ret;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return pdmai_fail(ENOMEM, "no memory for a ring");
	ring->accel = a;
	ring->config = *config;
	lay_out(ring);
	ring->slots = calloc(ring->size, sizeof(*ring->slots));
	ret = ring->slots ? get_memory(ring) : pdmai_fail(ENOMEM, "no memory for a ring");
	if (ret) {
		free(ring->slots);
		free(ring);
		return ret;
	}
	a->ring_used[config->idx] = true;
	ret = stop(ring);
	ret = ret ? ret : start(ring);
	if (ret) {
		pdmai_accel_ring_destroy(ring);
		return ret;
	}
	*ret_ring = ring;
	return 0;
}

void pdmai_accel_ring_destroy(struct pdmai_accel_ring *ring)
{
	if (!ring)
		return;
	/*
	 * VRAM of a ring that does not stop is lost until the device is closed. Host memory can be
	 * given back: the IOMMU keeps the device off once it is unmapped.
	 */
	if (!stop(ring) || ring->config.place == PDMAI_ACCEL_IN_HOST) {
		put_memory(ring);
		ring->accel->ring_used[ring->config.idx] = false;
	}
	free(ring->slots);
	free(ring);
}

unsigned pdmai_accel_ring_pending(const struct pdmai_accel_ring *ring)
{
	return ring->sq_tail - ring->cq_head;
}

int pdmai_accel_ring_state(struct pdmai_accel_ring *ring,
			   struct pdmai_accel_ring_status *ret_status)
{
	const struct pdmai_accel *a = ring->accel;
	uint32_t state = pdmai_accel_read32(a, reg(ring, ACCEL_RING_STATUS));
	uint32_t error = pdmai_accel_read32(a, reg(ring, ACCEL_RING_ERROR));

	if (state == NO_DEVICE_STATE)
		return pdmai_fail(ENODEV, "%s does not answer", a->dev->bdf.text);
	*ret_status = (struct pdmai_accel_ring_status){
		.state = state,
		.error = ACCEL_RING_ERROR_CODE(error),
		.dma_status = ACCEL_RING_ERROR_STATUS(error),
		.error_idx = pdmai_accel_read32(a, reg(ring, ACCEL_RING_ERROR_INDEX)),
		.error_info = pdmai_accel_read64(a, reg(ring, ACCEL_RING_ERROR_INFO)),
	};
	return 0;
}

int pdmai_accel_ring_abort(struct pdmai_accel_ring *ring)
{
	pdmai_accel_write32(ring->accel, reg(ring, ACCEL_RING_COMMAND), ACCEL_RING_ABORT);
	return 0;
}

int pdmai_accel_ring_recover(struct pdmai_accel_ring *ring)
{
	struct pdmai_accel_ring_status s;
	int ret;

	ret = pdmai_accel_ring_gate(ring);
	ret = ret ? ret : pdmai_accel_ring_state(ring, &s);
	if (ret)
		return ret;
	if (s.state != ACCEL_RING_IN_ERROR || s.error == ACCEL_RING_ERR_CONFIG ||
	    s.error == ACCEL_RING_ERR_FATAL || s.error == ACCEL_RING_ERR_NOT_READY)
		return pdmai_fail(EINVAL, "ring %u is in no error one can recover from",
				  ring->config.idx);
	/* An overrun happens again unless the device knows what was consumed. */
	pdmai_accel_ring_kick(ring);
	pdmai_accel_write32(ring->accel, reg(ring, ACCEL_RING_COMMAND), ACCEL_RING_RECOVER);
	/* A doorbell rung while the ring stood in error was ignored. */
	pdmai_accel_write32(ring->accel, ACCEL_DOORBELL(ring->config.idx), ring->sq_tail);
	return 0;
}

int pdmai_accel_ring_reset(struct pdmai_accel_ring *ring, unsigned *ret_dropped)
{
	unsigned dropped = pdmai_accel_ring_pending(ring);
	int ret;

	ret = stop(ring);
	ret = ret ? ret : start(ring);
	if (!ret && ret_dropped)
		*ret_dropped = dropped;
	return ret;
}
