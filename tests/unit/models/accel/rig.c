// SPDX-License-Identifier: MIT
#include "tests/unit/models/accel/rig.h"

#include <stdlib.h>

#include "models/accel/accel.h"

int rig_setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	if (!g || posix_memalign((void **)&g->host, 4096, RIG_HOST_SIZE))
		return -1;
	memset(g->host, 0, RIG_HOST_SIZE);
	g->data = g->host + RIG_DATA;
	if (accel_create(NULL, "acc0", RIG_VRAM, &g->dev))
		return -1;
	fake_kicked(g->dev);
	g->vram = fake_local(g->dev);
	fake_unmap_all();
	fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, 0);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
	rig_ring(g, 0, 3);
	*state = g;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *g = *state;

	fake_hook = NULL;
	fake_unmap_all();
	mdl_device_destroy(g->dev);
	free(g->host);
	free(g);
	return 0;
}

void rig_ring(struct rig *g, unsigned n, unsigned log2)
{
	uint64_t base = ACCEL_RING(n);

	g->size = 1u << log2;
	g->tail[n] = g->head[n] = 0;
	memset(g->host + RIG_CQ(n), 0, g->size * sizeof(struct accel_cqe));
	fake_w64(g->dev, base + ACCEL_RING_SQ_BASE, RIG_HOST + RIG_SQ(n));
	fake_w64(g->dev, base + ACCEL_RING_CQ_BASE, RIG_HOST + RIG_CQ(n));
	fake_w32(g->dev, base + ACCEL_RING_SIZE_LOG2, log2);
	fake_w32(g->dev, base + ACCEL_RING_SPACE, 0);
	fake_w32(g->dev, base + ACCEL_RING_VECTOR, n + 1);
	fake_w32(g->dev, base + ACCEL_RING_COMMAND, ACCEL_RING_ENABLE);
	assert_int_equal(ring_state(g, n), ACCEL_RING_RUNNING);
}

void rig_push(struct rig *g, unsigned n, const struct accel_sqe *sqe)
{
	uint32_t slot = g->tail[n]++ % g->size;

	memcpy(g->host + RIG_SQ(n) + slot * sizeof(*sqe), sqe, sizeof(*sqe));
}

void rig_bell(struct rig *g, unsigned n)
{
	fake_w32(g->dev, ACCEL_DOORBELL(n) + ACCEL_DOORBELL_SQ_TAIL, g->tail[n]);
}

bool rig_peek(struct rig *g, unsigned n, struct accel_cqe *ret_cqe)
{
	uint32_t slot = g->head[n] % g->size;
	unsigned phase = g->head[n] / g->size % 2 ? 0 : 1;

	memcpy(ret_cqe, g->host + RIG_CQ(n) + slot * sizeof(*ret_cqe), sizeof(*ret_cqe));
	return (ret_cqe->flags & ACCEL_CQE_PHASE) == phase;
}

void rig_take(struct rig *g, unsigned n, struct accel_cqe *ret_cqe)
{
	assert_true(rig_peek(g, n, ret_cqe));
	g->head[n]++;
	fake_w32(g->dev, ACCEL_DOORBELL(n) + ACCEL_DOORBELL_CQ_HEAD, g->head[n]);
}

void rig_none(struct rig *g, unsigned n)
{
	struct accel_cqe cqe;

	assert_false(rig_peek(g, n, &cqe));
}

void rig_run(struct rig *g)
{
	assert_true(fake_run(g->dev, 10000) < 10000);
}

struct accel_cqe rig_do(struct rig *g, const struct accel_sqe *sqe)
{
	struct accel_cqe cqe;

	rig_push(g, 0, sqe);
	rig_bell(g, 0);
	rig_run(g);
	rig_take(g, 0, &cqe);
	assert_int_equal(cqe.cmd_id, sqe->cmd_id);
	assert_int_equal(cqe.opcode, sqe->opcode);
	return cqe;
}

struct accel_sqe sqe_copy(uint8_t dst_space, uint64_t dst, uint8_t src_space, uint64_t src,
			  uint64_t len)
{
	return (struct accel_sqe){ .opcode = ACCEL_OP_COPY,
				   .cmd_id = 0xc0de,
				   .len = len,
				   .src_addr = src,
				   .dst_addr = dst,
				   .src_space = src_space,
				   .dst_space = dst_space };
}

struct accel_sqe sqe_fill(uint8_t space, uint64_t dst, uint64_t len, unsigned size,
			  uint64_t pattern)
{
	return (struct accel_sqe){ .opcode = ACCEL_OP_FILL,
				   .param = (uint16_t)size,
				   .len = len,
				   .imm = pattern,
				   .dst_addr = dst,
				   .dst_space = space };
}

void rig_src_list(struct rig *g, struct accel_sqe *s, uint32_t off, const struct accel_sge *e,
		  uint32_t n)
{
	memcpy(g->data + off, e, n * sizeof(*e));
	s->flags |= ACCEL_SQE_SRC_SGL;
	s->src_addr = BUS(off);
	s->src_space = ACCEL_SPACE_BUS;
	s->src_count = n;
}

void rig_dst_list(struct rig *g, struct accel_sqe *s, uint32_t off, const struct accel_sge *e,
		  uint32_t n)
{
	memcpy(g->data + off, e, n * sizeof(*e));
	s->flags |= ACCEL_SQE_DST_SGL;
	s->dst_addr = BUS(off);
	s->dst_space = ACCEL_SPACE_BUS;
	s->dst_count = n;
}

void rig_pattern(void *buf, size_t len, uint32_t seed)
{
	uint8_t *p = buf;
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
}
