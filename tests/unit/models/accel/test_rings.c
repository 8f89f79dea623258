// SPDX-License-Identifier: MIT
/* States, indices, phase, errors and interrupts of rings. */
#include <errno.h>

#include "tests/unit/models/accel/rig.h"

static const struct accel_sqe nop = { .opcode = ACCEL_OP_NOP, .cmd_id = 1, .imm = 0x1234 };
static const struct accel_sqe nop_irq = { .opcode = ACCEL_OP_NOP,
					  .flags = ACCEL_SQE_IRQ,
					  .cmd_id = 2 };

static void push_nops(struct rig *g, unsigned n)
{
	while (n--)
		rig_push(g, 0, &nop);
	rig_bell(g, 0);
}

/* Three times round both queues, as full as they go, in order, with the right phase. */
static void wrap_and_phase(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = nop;
	struct accel_cqe cqe;
	unsigned round, i, id = 0;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 8; i++) {
			s.cmd_id = 100 + id + i;
			s.imm = s.cmd_id * 3;
			rig_push(g, 0, &s);
		}
		rig_bell(g, 0);
		rig_run(g);
		for (i = 0; i < 8; i++, id++) {
			rig_take(g, 0, &cqe);
			assert_int_equal(cqe.cmd_id, 100 + id);
			assert_int_equal(cqe.result, cqe.cmd_id * 3);
			assert_int_equal(cqe.sq_head, id + 1);
			assert_int_equal(cqe.rsvd, 0);
			assert_int_equal(cqe.flags, round % 2 ? 0 : 1);
		}
	}
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 24);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_TAIL), 24);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 24);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_HEAD), 24);
	assert_int_equal(fake_counter(g->dev, "cmd.nop"), 24);
	assert_int_equal(fake_counter(g->dev, "status.ok"), 24);
}

static void smallest_and_largest(void **state)
{
	static const unsigned log2[] = { 1, 10 };
	struct rig *g = *state;
	struct accel_cqe cqe;
	unsigned k, i;

	for (k = 0; k < 2; k++) {
		ring_command(g, 0, ACCEL_RING_RESET);
		rig_run(g);
		rig_ring(g, 0, log2[k]);
		push_nops(g, g->size);
		rig_run(g);
		for (i = 0; i < g->size; i++)
			rig_take(g, 0, &cqe);
		rig_none(g, 0);
	}
}

static void ring_in_vram_without_bus_master(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	fake_bus_master(g->dev, false);
	fake_w64(g->dev, ACCEL_RING(1) + ACCEL_RING_SQ_BASE, RIG_VRAM - 1024);
	fake_w64(g->dev, ACCEL_RING(1) + ACCEL_RING_CQ_BASE, 0x400);
	ring_w32(g, 1, ACCEL_RING_SIZE_LOG2, 4);
	ring_w32(g, 1, ACCEL_RING_SPACE, 0x11);
	ring_command(g, 1, ACCEL_RING_ENABLE);
	assert_int_equal(ring_state(g, 1), ACCEL_RING_RUNNING);
	memcpy(g->vram + RIG_VRAM - 1024, &nop, sizeof(nop));
	fake_w32(g->dev, ACCEL_DOORBELL(1), 1);
	rig_run(g);
	memcpy(&cqe, g->vram + 0x400, sizeof(cqe));
	assert_int_equal(cqe.flags, 1);
	assert_int_equal(cqe.result, 0x1234);
}

struct bad_config {
	uint32_t off;
	uint64_t val;
	uint32_t reported;
};

static void bad_configurations(void **state)
{
	static const struct bad_config bad[] = {
		{ 0x10, 0, 0x10 },    { 0x10, 17, 0x10 },	  { 0x10, ~0u, 0x10 },
		{ 0x14, 0x02, 0x14 }, { 0x14, 0x20, 0x14 },	  { 0x14, 0x100, 0x14 },
		{ 0x00, 0x20, 0x00 }, { 0x08, 0x1001, 0x08 },	  { 0x00, ~0ull - 63, 0x00 },
		{ 0x18, 9, 0x18 },    { 0x18, 0xfffffffe, 0x18 },
	};
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_w64(g->dev, ACCEL_RING(1), RIG_HOST);
		fake_w64(g->dev, ACCEL_RING(1) + 8, RIG_HOST + 0x1000);
		ring_w32(g, 1, 0x10, 4);
		ring_w32(g, 1, 0x14, 0);
		ring_w32(g, 1, 0x18, 2);
		fake_write(g->dev, ACCEL_RING(1) + bad[i].off, bad[i].val,
			   bad[i].off < 0x10 ? 8 : 4);
		ring_command(g, 1, ACCEL_RING_ENABLE);
		assert_int_equal(ring_state(g, 1), ACCEL_RING_IN_ERROR);
		assert_int_equal(ring_error(g, 1), ACCEL_RING_ERR_CONFIG);
		assert_int_equal(fake_r64(g->dev, ACCEL_RING(1) + ACCEL_RING_ERROR_INFO),
				 bad[i].reported);
		ring_command(g, 1, ACCEL_RING_RECOVER);
		assert_int_equal(ring_state(g, 1), ACCEL_RING_IN_ERROR);
		ring_command(g, 1, ACCEL_RING_RESET);
		rig_run(g);
		assert_int_equal(ring_state(g, 1), ACCEL_RING_DISABLED);
		assert_int_equal(ring_error(g, 1), 0);
	}
	assert_int_equal(fake_counter(g->dev, "ring.error.config"), i);
}

static void local_queue_must_fit_vram(void **state)
{
	struct rig *g = *state;

	fake_w64(g->dev, ACCEL_RING(1), RIG_VRAM - 1024);
	ring_w32(g, 1, 0x14, 0x01);
	ring_w32(g, 1, 0x10, 5);
	ring_command(g, 1, ACCEL_RING_ENABLE);
	assert_int_equal(ring_error(g, 1), ACCEL_RING_ERR_CONFIG);
	assert_int_equal(ring_r32(g, 1, ACCEL_RING_ERROR_INFO), 0);
}

static void not_ready(void **state)
{
	struct rig *g = *state;

	fake_w32(g->dev, ACCEL_CONTROL, 0);
	rig_run(g);
	ring_command(g, 0, ACCEL_RING_ENABLE);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_NOT_READY);
	assert_int_equal(fake_irqs(g->dev, 1), 1);
	ring_command(g, 0, ACCEL_RING_RECOVER);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
}

static void commands_in_wrong_states(void **state)
{
	static const struct {
		uint32_t cmd;
		bool running;
	} bad[] = { { 1, true },  { 5, true },	{ 0, true },  { 6, true }, { ~0u, true },
		    { 2, false }, { 3, false }, { 4, false }, { 5, false } };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ring_command(g, bad[i].running ? 0 : 1, bad[i].cmd);
		assert_int_equal(fake_r32(g->dev, ACCEL_BAD_ACCESS), i + 1);
	}
	assert_int_equal(ring_state(g, 0), ACCEL_RING_RUNNING);
	assert_int_equal(ring_state(g, 1), ACCEL_RING_DISABLED);
}

static void bad_sq_doorbells(void **state)
{
	/* With SQ_HEAD 2, SQ_TAIL 4 and 8 entries: beyond, backwards, far away. */
	static const uint32_t bad[] = { 11, 3, 1, 0, 0xffffffff, 0x80000004 };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		push_nops(g, 2);
		rig_run(g);
		push_nops(g, 2);
		fake_w32(g->dev, ACCEL_DOORBELL(0), bad[i]);
		assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
		assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_SQ_DOORBELL);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_ERROR_INDEX), 2);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_ERROR_INFO), bad[i]);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_TAIL), 4);
		ring_command(g, 0, ACCEL_RING_RECOVER);
		rig_run(g);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 4);
		ring_command(g, 0, ACCEL_RING_RESET);
		rig_run(g);
		rig_ring(g, 0, 3);
	}
	assert_int_equal(fake_counter(g->dev, "db.bad"), i);
}

static void bad_cq_doorbells(void **state)
{
	struct rig *g = *state;

	push_nops(g, 2);
	rig_run(g);
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 3);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_CQ_DOORBELL);
	/* While in error a bad one is ignored, a good one taken. */
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 3);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_HEAD), 0);
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 2);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_HEAD), 2);
	assert_int_equal(fake_r32(g->dev, ACCEL_DOORBELL(0) + 4), 2);
	ring_command(g, 0, ACCEL_RING_RECOVER);
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 1);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_CQ_DOORBELL);
}

static void doorbells_of_stopped_rings(void **state)
{
	struct rig *g = *state;

	fake_w64(g->dev, ACCEL_DOORBELL(5), 0x0000000100000001);
	assert_int_equal(fake_r64(g->dev, ACCEL_DOORBELL(5)), 0);
	assert_int_equal(fake_counter(g->dev, "db.ignored"), 2);
	assert_int_equal(fake_r32(g->dev, ACCEL_BAD_ACCESS), 0);
}

static void both_doorbells_in_one_write(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	push_nops(g, 1);
	rig_run(g);
	rig_push(g, 0, &nop);
	fake_w64(g->dev, ACCEL_DOORBELL(0), 1ull << 32 | 2);
	assert_int_equal(fake_r64(g->dev, ACCEL_DOORBELL(0)), 1ull << 32 | 2);
	rig_run(g);
	rig_take(g, 0, &cqe);
	rig_take(g, 0, &cqe);
}

static void overrun_and_recovery(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = nop;
	struct accel_cqe cqe;
	unsigned i;

	push_nops(g, 8);
	rig_run(g);
	s.imm = 77;
	rig_push(g, 0, &s);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_CQ_OVERRUN);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_ERROR_INDEX), 8);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_ERROR_INFO), 8);
	assert_int_equal(fake_irqs(g->dev, 1), 1);
	for (i = 0; i < 8; i++)
		rig_take(g, 0, &cqe);
	rig_none(g, 0);
	ring_command(g, 0, ACCEL_RING_RECOVER);
	rig_run(g);
	rig_take(g, 0, &cqe);
	assert_int_equal(cqe.result, 77);
	/* It was executed once. */
	assert_int_equal(fake_counter(g->dev, "cmd.nop"), 9);
}

static const struct {
	int err;
	uint16_t status;
} errors[] = {
	{ 0, ACCEL_DMA_UNMAPPED },
	{ -EACCES, ACCEL_DMA_DENIED },
	{ -EREMOTEIO, ACCEL_DMA_PEER },
	{ -EIO, ACCEL_DMA_ERROR },
};

static void map_with(struct rig *g, int err)
{
	fake_unmap_all();
	if (err)
		fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, err);
}

static void map_again(struct rig *g)
{
	fake_unmap_all();
	fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, 0);
}

static void fetch_fails(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;
	unsigned i;

	for (i = 0; i < 4; i++) {
		map_with(g, errors[i].err);
		push_nops(g, 2);
		rig_run(g);
		assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
		assert_int_equal(ring_error(g, 0),
				 ACCEL_RING_ERR_SQ_FETCH | (uint32_t)errors[i].status << 16);
		assert_int_equal(fake_r64(g->dev, ACCEL_RING(0) + ACCEL_RING_ERROR_INFO),
				 RIG_HOST + RIG_SQ(0) + 128 * i % 512);
		map_again(g);
		ring_command(g, 0, ACCEL_RING_RECOVER);
		rig_run(g);
		rig_take(g, 0, &cqe);
		rig_take(g, 0, &cqe);
	}
}

/* Entries are read ahead; one that cannot be read must not harm those before it. */
static void fetch_ahead_into_a_hole(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	fake_unmap_all();
	fake_map(RIG_HOST, g->host, RIG_SQ(0) + 128, true, 0);
	fake_map(RIG_HOST + RIG_CQ(0), g->host + RIG_CQ(0), 0x1000, true, 0);
	push_nops(g, 3);
	rig_run(g);
	rig_take(g, 0, &cqe);
	rig_take(g, 0, &cqe);
	rig_none(g, 0);
	assert_int_equal(ring_error(g, 0) & 0xffff, ACCEL_RING_ERR_SQ_FETCH);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_ERROR_INDEX), 2);
}

static void completion_cannot_be_written(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	fake_unmap_all();
	fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, false, 0);
	push_nops(g, 1);
	rig_run(g);
	assert_int_equal(ring_error(g, 0),
			 ACCEL_RING_ERR_CQ_WRITE | (uint32_t)ACCEL_DMA_DENIED << 16);
	assert_int_equal(fake_r64(g->dev, ACCEL_RING(0) + ACCEL_RING_ERROR_INFO),
			 RIG_HOST + RIG_CQ(0));
	map_again(g);
	ring_command(g, 0, ACCEL_RING_RECOVER);
	rig_run(g);
	rig_take(g, 0, &cqe);
	assert_int_equal(fake_counter(g->dev, "cmd.nop"), 1);
	assert_int_equal(fake_counter(g->dev, "ring.recovered"), 1);
}

static void an_error_stops_one_ring_only(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	rig_ring(g, 1, 3);
	fake_w32(g->dev, ACCEL_DOORBELL(0), 99);
	rig_push(g, 1, &nop);
	rig_bell(g, 1);
	rig_run(g);
	rig_take(g, 1, &cqe);
	assert_int_equal(fake_r32(g->dev, ACCEL_RING_ERRORS), 1);
}

static void interrupts(void **state)
{
	struct rig *g = *state;
	struct accel_sqe bad = { .opcode = 200 };

	push_nops(g, 2);
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 0);
	rig_push(g, 0, &nop_irq);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 1);
	/* A command that fails interrupts unasked. */
	rig_push(g, 0, &bad);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 2);
	assert_int_equal(fake_irqs(g->dev, 0), 0);
}

static void no_vector(void **state)
{
	struct rig *g = *state;
	unsigned i;

	ring_command(g, 0, ACCEL_RING_RESET);
	rig_run(g);
	ring_w32(g, 0, ACCEL_RING_VECTOR, ACCEL_VECTOR_NONE);
	memset(g->host + RIG_CQ(0), 0, 256);
	g->tail[0] = g->head[0] = 0;
	ring_command(g, 0, ACCEL_RING_ENABLE);
	rig_push(g, 0, &nop_irq);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 1);
	for (i = 0; i < ACCEL_VECTORS; i++)
		assert_int_equal(fake_irqs(g->dev, i), 0);
}

static void coalescing(void **state)
{
	struct rig *g = *state;
	struct accel_sqe bad = { .opcode = 200 };
	struct accel_cqe cqe;
	unsigned i;

	ring_w32(g, 0, ACCEL_RING_COALESCE, 3 | 50 << 16);
	for (i = 1; i <= 7; i++) {
		rig_push(g, 0, &nop_irq);
		rig_bell(g, 0);
		rig_run(g);
		rig_take(g, 0, &cqe);
		assert_int_equal(fake_irqs(g->dev, 1), i / 3);
	}
	/* One is held back: 50 us after it, it goes out. */
	assert_int_equal(fake_wakeup(g->dev), fake_now_ns + 50000);
	fake_now_ns += 49999;
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 2);
	fake_now_ns += 1;
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 3);
	assert_int_equal(fake_wakeup(g->dev), 0);
	/* A failure does not wait. */
	rig_push(g, 0, &nop_irq);
	rig_push(g, 0, &bad);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 4);
	assert_int_equal(fake_wakeup(g->dev), 0);
}

static void stop_sends_what_is_held_reset_does_not(void **state)
{
	struct rig *g = *state;

	ring_w32(g, 0, ACCEL_RING_COALESCE, 3 | 50 << 16);
	rig_push(g, 0, &nop_irq);
	rig_bell(g, 0);
	rig_run(g);
	ring_command(g, 0, ACCEL_RING_STOP);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
	assert_int_equal(fake_irqs(g->dev, 1), 1);
	rig_ring(g, 0, 3);
	rig_push(g, 0, &nop_irq);
	rig_bell(g, 0);
	rig_run(g);
	ring_command(g, 0, ACCEL_RING_RESET);
	rig_run(g);
	fake_now_ns += 1000000;
	rig_run(g);
	assert_int_equal(fake_irqs(g->dev, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(wrap_and_phase),
		rig_test(smallest_and_largest),
		rig_test(ring_in_vram_without_bus_master),
		rig_test(bad_configurations),
		rig_test(local_queue_must_fit_vram),
		rig_test(not_ready),
		rig_test(commands_in_wrong_states),
		rig_test(bad_sq_doorbells),
		rig_test(bad_cq_doorbells),
		rig_test(doorbells_of_stopped_rings),
		rig_test(both_doorbells_in_one_write),
		rig_test(overrun_and_recovery),
		rig_test(fetch_fails),
		rig_test(fetch_ahead_into_a_hole),
		rig_test(completion_cannot_be_written),
		rig_test(an_error_stops_one_ring_only),
		rig_test(interrupts),
		rig_test(no_vector),
		rig_test(coalescing),
		rig_test(stop_sends_what_is_held_reset_does_not),
	};

	return cmocka_run_group_tests_name("accel_rings", tests, NULL, NULL);
}
