// SPDX-License-Identifier: MIT
/*
 * lib/accel over a device made of a few registers and two pieces of memory. It executes NOP and
 * FILL at the doorbell, and misbehaves when told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/accel/accel.h"

#define VRAM (64u << 20)

struct fake {
	struct pdmai_dev dev; /* first */
	uint8_t *vram;
	uint32_t id, version, control;
	uint64_t regs[ACCEL_RINGS][16]; /* by offset / 8 */
	uint32_t state[ACCEL_RINGS], error[ACCEL_RINGS];
	uint32_t head[ACCEL_RINGS], tail[ACCEL_RINGS];
	unsigned doorbells;
	/* How it misbehaves. */
	bool lazy, wrong_id, far_head, refuses, stuck, dead;
	uint16_t status;
};

static struct fake *self(struct pdmai_dev *dev)
{
	return (struct fake *)dev;
}

static void complete(struct fake *f, unsigned n)
{
	uint32_t log2 = (uint32_t)f->regs[n][2], size = 1u << log2, i = f->head[n];
	struct accel_sqe *sqe = (void *)(f->vram + f->regs[n][0] + (i % size) * sizeof(*sqe));
	struct accel_cqe cqe = {
		.result = sqe->imm,
		.sq_head = i + 1 + (f->far_head ? 100 : 0),
		.opcode = sqe->opcode,
		.cmd_id = sqe->cmd_id + (f->wrong_id ? 1 : 0),
		.status = f->status,
		.flags = (uint16_t) !((i >> log2) & 1),
	};

	if (sqe->opcode == ACCEL_OP_FILL && sqe->flags & ACCEL_SQE_DST_SGL)
		for (uint32_t k = 0; k < sqe->dst_count; k++) {
			struct accel_sge *e = (void *)(f->vram + sqe->dst_addr + k * sizeof(*e));

			memset(f->vram + e->addr, (int)sqe->imm, e->len);
		}
	memcpy(f->vram + f->regs[n][1] + (i % size) * sizeof(cqe), &cqe, sizeof(cqe));
	f->head[n]++;
}

static void work(struct fake *f, unsigned n)
{
	while (!f->lazy && f->state[n] == ACCEL_RING_RUNNING && f->head[n] != f->tail[n])
		complete(f, n);
}

static uint64_t reg_read(struct pdmai_dev *dev, unsigned bar, uint64_t off, unsigned size)
{
	struct fake *f = self(dev);
	unsigned n = (unsigned)(off - ACCEL_RING_BASE) / ACCEL_RING_STRIDE;

	if (f->dead)
		return UINT64_MAX;
	if (off >= ACCEL_RING_BASE && off < ACCEL_DOORBELL_BASE) {
		off %= ACCEL_RING_STRIDE;
		return off == ACCEL_RING_STATUS ? f->state[n] :
		       off == ACCEL_RING_ERROR	? f->error[n] :
						  0;
	}
	switch (off) {
	case ACCEL_ID:
		return f->id;
	case ACCEL_VERSION:
		return f->version;
	case ACCEL_VRAM_SIZE:
		return VRAM;
	case ACCEL_NUM_RINGS:
		return ACCEL_RINGS;
	case ACCEL_NUM_VECTORS:
		return ACCEL_VECTORS;
	case ACCEL_RING_LOG2_MIN:
		return 1;
	case ACCEL_RING_LOG2_MAX:
		return 16;
	case ACCEL_SGL_MAX:
		return 4096;
	case ACCEL_LEN_LOG2_MAX:
		return 40;
	case ACCEL_CONTROL:
		return f->control;
	}
	return 0;
}

static void command(struct fake *f, unsigned n, uint64_t val)
{
	if (val == ACCEL_RING_ENABLE) {
		f->head[n] = f->tail[n] = 0;
		f->state[n] = f->refuses ? ACCEL_RING_IN_ERROR : ACCEL_RING_RUNNING;
	} else if (val == ACCEL_RING_RESET) {
		f->state[n] = f->stuck ? ACCEL_RING_STOPPING : ACCEL_RING_DISABLED;
	} else if (val == ACCEL_RING_RECOVER) {
		f->state[n] = ACCEL_RING_RUNNING;
	}
}

static void reg_write(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val,
		      unsigned size)
{
	struct fake *f = self(dev);
	unsigned n;

	if (off >= ACCEL_DOORBELL_BASE) {
		n = (unsigned)(off - ACCEL_DOORBELL_BASE) / ACCEL_DOORBELL_STRIDE;
		f->doorbells++;
		if (off % ACCEL_DOORBELL_STRIDE == ACCEL_DOORBELL_SQ_TAIL)
			f->tail[n] = (uint32_t)val;
		work(f, n);
	} else if (off >= ACCEL_RING_BASE) {
		n = (unsigned)(off - ACCEL_RING_BASE) / ACCEL_RING_STRIDE;
		off %= ACCEL_RING_STRIDE;
		f->regs[n][off / 8] = off % 8 ? f->regs[n][off / 8] : val;
		if (off == ACCEL_RING_COMMAND)
			command(f, n, val);
	} else if (off == ACCEL_CONTROL) {
		f->control = val & ACCEL_CONTROL_ENABLE;
		if (val & ACCEL_CONTROL_SOFT_RESET)
			memset(f->state, 0, sizeof(f->state));
	}
}

static int config(struct pdmai_dev *dev, unsigned off, void *buf, size_t len)
{
	memset(buf, 0, len);
	return 0;
}

static int config_write(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len)
{
	return 0;
}

static int bar_map(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	*ret_mem = self(dev)->vram;
	return 0;
}

static void close_fake(struct pdmai_dev *dev)
{
}

static const struct pdmai_dev_ops ops = {
	.name = "fake",
	.config_read = config,
	.config_write = config_write,
	.bar_map = bar_map,
	.close = close_fake,
	.reg_read = reg_read,
	.reg_write = reg_write,
};

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->vram = aligned_alloc(4096, VRAM);
	assert_non_null(f->vram);
	f->dev.ops = &ops;
	strcpy(f->dev.bdf.text, "0000:01:00.0");
	f->dev.bars[ACCEL_BAR_REGS] = (struct pdmai_pci_bar){ 0x1000, ACCEL_BAR_REGS_SIZE, true };
	f->dev.bars[ACCEL_BAR_VRAM] = (struct pdmai_pci_bar){ 0x100000, VRAM, true };
	f->id = ACCEL_ID_VALUE;
	f->version = ACCEL_VERSION_VALUE;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	free(f->vram);
	free(f);
	return 0;
}

static struct pdmai_accel *open_accel(struct fake *f)
{
	struct pdmai_accel *a;

	assert_int_equal(pdmai_accel_open(&f->dev, false, &a), 0);
	return a;
}

static struct pdmai_accel_ring *open_ring(struct pdmai_accel *a, unsigned log2, uint32_t lists)
{
	const struct pdmai_accel_ring_config c = {
		.idx = 2, .size_log2 = log2, .list_bytes = lists, .place = PDMAI_ACCEL_IN_VRAM
	};
	struct pdmai_accel_ring *ring;

	assert_int_equal(pdmai_accel_ring_create(a, &c, &ring), 0);
	return ring;
}

static const struct pdmai_accel_cmd nop = { .op = ACCEL_OP_NOP, .imm = 5, .cookie = 6 };

static void strangers_are_refused(void **state)
{
	struct pdmai_accel *a = NULL;
	struct fake *f = *state;

	f->id = 1;
	assert_int_equal(pdmai_accel_open(&f->dev, false, &a), -ENODEV);
	f->id = ACCEL_ID_VALUE;
	f->version = 0x20000;
	assert_int_equal(pdmai_accel_open(&f->dev, false, &a), -EPROTONOSUPPORT);
	f->version = 0x10007;
	f->dead = true;
	assert_int_equal(pdmai_accel_open(&f->dev, false, &a), -ENODEV);
	f->dead = false;
	assert_int_equal(pdmai_accel_open(&f->dev, true, &a), -EOPNOTSUPP);
	f->dev.bars[ACCEL_BAR_VRAM].len *= 2;
	assert_int_equal(pdmai_accel_open(&f->dev, false, &a), -ENODEV);
	assert_null(a);
}

static void doorbell_is_held_back_and_full_is_told(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	struct pdmai_accel_ring *ring = open_ring(a, 2, 0);
	struct pdmai_accel_cmd more = nop;
	struct pdmai_accel_done done[8];
	struct fake *f = *state;

	more.flags = PDMAI_ACCEL_MORE;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pdmai_accel_submit(ring, &more), 0);
	assert_int_equal(f->doorbells, 0);
	assert_int_equal(pdmai_accel_submit(ring, &more), -EAGAIN);
	assert_int_equal(pdmai_accel_poll(ring, done, 8), 0);
	assert_int_equal(pdmai_accel_wait(ring, -1, done), 0);
	assert_int_equal(done->cookie, 6);
	assert_int_equal(done->result, 5);
	assert_int_equal(pdmai_accel_poll(ring, done, 8), 3);
	assert_int_equal(pdmai_accel_ring_pending(ring), 0);
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

/* Room for three lists of ten; they wrap, and their room comes back in order. */
static void lists_share_their_room(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	struct pdmai_accel_ring *ring = open_ring(a, 4, 1024);
	struct pdmai_accel_mem mem[50];
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_FILL, .dst = mem, .n_dst = 10 };
	struct pdmai_accel_done done;
	struct fake *f = *state;
	uint8_t *data = f->vram + (32u << 20);

	for (unsigned i = 0; i < 50; i++)
		mem[i] = (struct pdmai_accel_mem){ ACCEL_SPACE_LOCAL, (32u << 20) + i * 64, 32 };
	cmd.n_dst = 43;
	assert_int_equal(pdmai_accel_submit(ring, &cmd), -E2BIG);
	cmd.n_dst = 10;
	for (uint64_t round = 1; round < 100; round++) {
		int n = 0;

		f->lazy = true;
		cmd.imm = round;
		while (!pdmai_accel_submit(ring, &cmd))
			n++;
		assert_true(n == 3 || n == 4);
		f->lazy = false;
		work(f, 2);
		while (n--)
			assert_int_equal(pdmai_accel_wait(ring, 0, &done), 0);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(data[i * 64 + 31], round);
	}
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

static void nonsense_from_the_device_breaks_the_ring(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	struct pdmai_accel_ring *ring = open_ring(a, 2, 0);
	struct pdmai_accel_done done;
	struct fake *f = *state;
	unsigned dropped = 0;

	f->wrong_id = true;
	assert_int_equal(pdmai_accel_run(ring, &nop, 0, &done), -EPROTO);
	assert_int_equal(pdmai_accel_submit(ring, &nop), -EPROTO);
	f->wrong_id = false;
	assert_int_equal(pdmai_accel_ring_reset(ring, &dropped), 0);
	assert_int_equal(dropped, 1);
	f->far_head = true;
	assert_int_equal(pdmai_accel_run(ring, &nop, 0, &done), -EPROTO);
	f->far_head = false;
	assert_int_equal(pdmai_accel_ring_reset(ring, NULL), 0);
	assert_int_equal(pdmai_accel_run(ring, &nop, 0, &done), 0);
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

static void waiting_tells_why_nothing_comes(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	struct pdmai_accel_ring *ring = open_ring(a, 2, 0);
	struct pdmai_accel_done done;
	struct fake *f = *state;

	assert_int_equal(pdmai_accel_wait(ring, 0, &done), -ENOENT);
	f->lazy = true;
	assert_int_equal(pdmai_accel_run(ring, &nop, 1000, &done), -ETIMEDOUT);
	assert_int_equal(pdmai_accel_run(ring, &nop, 1000, &done), -EBUSY);
	f->state[2] = ACCEL_RING_IN_ERROR;
	f->error[2] = ACCEL_RING_ERR_SQ_FETCH | ACCEL_DMA_UNMAPPED << 16;
	assert_int_equal(pdmai_accel_wait(ring, -1, &done), -EIO);
	assert_int_equal(pdmai_accel_ring_recover(ring), 0);
	f->lazy = false;
	work(f, 2);
	assert_int_equal(pdmai_accel_wait(ring, -1, &done), 0);
	assert_int_equal(pdmai_accel_ring_recover(ring), -EINVAL);
	f->lazy = true;
	assert_int_equal(pdmai_accel_submit(ring, &nop), 0);
	f->state[2] = ACCEL_RING_DISABLED;
	assert_int_equal(pdmai_accel_wait(ring, -1, &done), -ECONNRESET);
	assert_int_equal(pdmai_accel_submit(ring, &nop), -ECONNRESET);
	assert_int_equal(pdmai_accel_ring_reset(ring, NULL), 0);
	assert_int_equal(pdmai_accel_submit(ring, &nop), 0);
	f->dead = true;
	assert_int_equal(pdmai_accel_wait(ring, -1, &done), -ENODEV);
	f->dead = false;
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

static void refused_rings_leave_nothing_behind(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	const struct pdmai_accel_ring_config c = { .idx = 2,
						   .size_log2 = 4,
						   .place = PDMAI_ACCEL_IN_VRAM };
	struct pdmai_accel_ring_config host = c;
	struct pdmai_accel_ring *ring;
	struct fake *f = *state;
	uint64_t off;

	f->refuses = true;
	assert_int_equal(pdmai_accel_ring_create(a, &c, &ring), -EIO);
	f->refuses = false;
	host.place = PDMAI_ACCEL_IN_HOST;
	assert_int_equal(pdmai_accel_ring_create(a, &host, &ring), -EOPNOTSUPP);
	assert_int_equal(pdmai_accel_vram_alloc(a, VRAM, 1, &off), 0);
	assert_int_equal(pdmai_accel_ring_create(a, &c, &ring), -ENOSPC);
	assert_int_equal(pdmai_accel_vram_free(a, off, VRAM), 0);
	assert_int_equal(pdmai_accel_vram_free(a, off, VRAM), -EINVAL);
	assert_int_equal(pdmai_accel_vram_free(a, 1, VRAM), -EINVAL);
	ring = open_ring(a, 4, 0);
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

static void every_status_has_an_errno(void **state)
{
	struct pdmai_accel *a = open_accel(*state);
	struct pdmai_accel_ring *ring = open_ring(a, 2, 0);
	struct pdmai_accel_done done;
	struct fake *f = *state;

	f->status = ACCEL_DMA_PEER;
	assert_int_equal(pdmai_accel_run(ring, &nop, 0, &done), 0);
	assert_int_equal(done.err, -EREMOTEIO);
	assert_int_equal(done.status, ACCEL_DMA_PEER);
	f->status = 0x7777;
	assert_int_equal(pdmai_accel_run(ring, &nop, 0, &done), 0);
	assert_int_equal(done.err, -EPROTO);
	assert_string_equal(pdmai_accel_status_name(0x7777), "unknown");
	assert_string_equal(pdmai_accel_status_name(ACCEL_OVERLAP), "OVERLAP");
	assert_int_equal(pdmai_accel_status_errno(ACCEL_OK), 0);
	pdmai_accel_ring_destroy(ring);
	pdmai_accel_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(strangers_are_refused),
		TEST(doorbell_is_held_back_and_full_is_told),
		TEST(lists_share_their_room),
		TEST(nonsense_from_the_device_breaks_the_ring),
		TEST(waiting_tells_why_nothing_comes),
		TEST(refused_rings_leave_nothing_behind),
		TEST(every_status_has_an_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
