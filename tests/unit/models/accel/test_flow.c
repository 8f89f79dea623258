// SPDX-License-Identifier: MIT
/* What happens between slices: resets, stops, aborts, fairness, fences. */
#include "tests/unit/models/accel/rig.h"

#define LOCAL  ACCEL_SPACE_LOCAL
#define HOST   ACCEL_SPACE_BUS
#define SLICES 8
#define LONG   (SLICES * 262144ull)

static const struct accel_sqe nop = { .opcode = ACCEL_OP_NOP, .cmd_id = 1 };
static const struct accel_sqe fence = { .opcode = ACCEL_OP_FENCE,
					.param = ACCEL_FENCE_DEVICE,
					.cmd_id = 9 };

static struct accel_sqe long_fill(unsigned at)
{
	return sqe_fill(LOCAL, at * LONG, LONG, 1, 0xaa);
}

/* A long fill on a ring, some slices of it done. */
static void begin_long(struct rig *g, unsigned n, unsigned steps)
{
	struct accel_sqe s = long_fill(n);

	rig_push(g, n, &s);
	rig_bell(g, n);
	while (steps--)
		assert_true(fake_step(g->dev));
}

static uint64_t filled(const struct rig *g, unsigned n)
{
	const uint8_t *p = g->vram + n * LONG;
	uint64_t i;

	for (i = 0; i < LONG && p[i] == 0xaa; i++)
		;
	return i;
}

static void work_goes_slice_by_slice(void **state)
{
	struct rig *g = *state;
	unsigned i;

	begin_long(g, 0, 0);
	for (i = 1; i <= SLICES; i++) {
		fake_step(g->dev);
		assert_int_equal(filled(g, 0), i * 262144);
	}
	rig_run(g);
	assert_true(rig_peek(g, 0, &(struct accel_cqe){ 0 }));
}

static void pci_reset_between_slices(void **state)
{
	static const enum mdl_reset kinds[] = { MDL_RESET_BUS, MDL_RESET_FLR, MDL_RESET_PM,
						MDL_RESET_CONTROL };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 4; i++) {
		memset(g->vram, 0, LONG);
		begin_long(g, 0, 3);
		fake_reset(g->dev, kinds[i]);
		rig_run(g);
		assert_int_equal(filled(g, 0), 3 * 262144);
		rig_none(g, 0);
		assert_int_equal(fake_irqs(g->dev, 1), 0);
		assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
		/* Ready at once; what was is forgotten. */
		fake_w32(g->dev, ACCEL_CONTROL, 1);
		rig_ring(g, 0, 3);
		rig_run(g);
		assert_int_equal(filled(g, 0), 3 * 262144);
		rig_do(g, &nop);
		ring_command(g, 0, ACCEL_RING_RESET);
		rig_run(g);
		rig_ring(g, 0, 3);
	}
}

/* Resets in the very middle of a door call, and begins a new life at once. */
struct ambush {
	struct rig *g;
	unsigned pass; /* door calls to let through first */
};

static void reset_and_restart(void *arg)
{
	struct ambush *x = arg;

	if (x->pass--)
		return;
	fake_hook = NULL;
	fake_reset(x->g->dev, MDL_RESET_FLR);
	fake_w32(x->g->dev, ACCEL_CONTROL, 1);
	rig_ring(x->g, 0, 3);
	rig_push(x->g, 0, &nop);
	rig_bell(x->g, 0);
}

/* The door says "canceled" from then on, and the new life is not disturbed by the old. */
static void reset_within_each_transfer(void **state)
{
	struct accel_sge e = { .addr = 0x1000, .len = 64, .space = LOCAL };
	struct ambush x = { .g = *state };
	struct rig *g = *state;
	struct accel_cqe cqe;
	struct accel_sqe s;
	unsigned at;

	/* 0 fetch, 1 list, 2 data, 3 and 4 completion */
	for (at = 0; at < 5; at++) {
		s = sqe_copy(LOCAL, 0, 0, 0, 64);
		rig_src_list(g, &s, 0, &e, 1);
		s.cmd_id = 0xbad;
		rig_push(g, 0, &s);
		rig_bell(g, 0);
		x.pass = at;
		fake_hook_arg = &x;
		fake_hook = reset_and_restart;
		rig_run(g);
		assert_null(fake_hook);
		rig_take(g, 0, &cqe);
		assert_int_equal(cqe.cmd_id, 1);
		rig_none(g, 0);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 1);
		assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 1);
	}
}

static void soft_reset_between_slices(void **state)
{
	struct rig *g = *state;

	begin_long(g, 0, 2);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	assert_true(fake_kicked(g->dev));
	fake_step(g->dev);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), 0);
	assert_int_equal(filled(g, 0), 2 * 262144);
	rig_none(g, 0);
	rig_run(g);
	assert_int_equal(filled(g, 0), 2 * 262144);
}

static void ring_reset_between_slices(void **state)
{
	struct rig *g = *state;

	rig_ring(g, 1, 3);
	begin_long(g, 1, 0);
	begin_long(g, 0, 2);
	ring_command(g, 0, ACCEL_RING_RESET);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_STOPPING);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_TAIL), 0);
	assert_true(filled(g, 0) < LONG);
	rig_none(g, 0);
	assert_int_equal(filled(g, 1), LONG);
	assert_int_equal(fake_counter(g->dev, "ring.reset"), 1);
}

static void stop_finishes_the_command(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	begin_long(g, 0, 2);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	ring_command(g, 0, ACCEL_RING_STOP);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_STOPPING);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
	assert_int_equal(filled(g, 0), LONG);
	assert_true(rig_peek(g, 0, &cqe));
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 1);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_TAIL), 2);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 1);
}

static void stop_meets_an_error(void **state)
{
	struct rig *g = *state;

	begin_long(g, 0, 2);
	ring_command(g, 0, ACCEL_RING_STOP);
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 5);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
	rig_run(g);
	assert_int_equal(filled(g, 0), 2 * 262144);
	ring_command(g, 0, ACCEL_RING_RECOVER);
	rig_run(g);
	assert_int_equal(filled(g, 0), LONG);
}

static void reset_is_not_lost_to_an_error(void **state)
{
	struct rig *g = *state;

	begin_long(g, 0, 2);
	ring_command(g, 0, ACCEL_RING_RESET);
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 5);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_STOPPING);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
}

static void abort_ends_one_command(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	begin_long(g, 0, 3);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	ring_command(g, 0, ACCEL_RING_ABORT);
	rig_run(g);
	rig_take(g, 0, &cqe);
	assert_cqe(cqe, ACCEL_ABORTED, 0, 0, 3 * 262144);
	rig_take(g, 0, &cqe);
	assert_int_equal(cqe.status, ACCEL_OK);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_RUNNING);
	assert_int_equal(filled(g, 0), 3 * 262144);
}

static void abort_too_early_or_late_does_nothing(void **state)
{
	struct rig *g = *state;

	ring_command(g, 0, ACCEL_RING_ABORT);
	assert_int_equal(rig_do(g, &nop).status, ACCEL_OK);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	ring_command(g, 0, ACCEL_RING_ABORT);
	rig_run(g);
	assert_int_equal(fake_counter(g->dev, "status.aborted"), 0);
	assert_int_equal(fake_counter(g->dev, "status.ok"), 2);
}

/* A short command of one ring waits for one slice of each other ring at most. */
static void rings_take_turns(void **state)
{
	struct rig *g = *state;
	unsigned i, steps = 0;

	for (i = 1; i < 7; i++) {
		rig_ring(g, i, 3);
		begin_long(g, i, 0);
	}
	rig_ring(g, 7, 3);
	fake_step(g->dev);
	rig_push(g, 7, &nop);
	rig_bell(g, 7);
	while (!rig_peek(g, 7, &(struct accel_cqe){ 0 })) {
		fake_step(g->dev);
		assert_true(++steps <= 7);
	}
	for (i = 0; i < 4 * 6; i++)
		fake_step(g->dev);
	for (i = 2; i < 7; i++) {
		uint64_t x = filled(g, i), y = filled(g, 1);

		assert_true((x > y ? x - y : y - x) <= 262144);
	}
}

static void many_short_ones_take_turns_too(void **state)
{
	struct rig *g = *state;
	unsigned i;

	ring_command(g, 0, ACCEL_RING_RESET);
	rig_run(g);
	rig_ring(g, 1, 10);
	rig_ring(g, 0, 10);
	for (i = 0; i < 1000; i++) {
		rig_push(g, 0, &nop);
		rig_push(g, 1, &nop);
	}
	rig_bell(g, 0);
	rig_bell(g, 1);
	for (i = 0; i < 4; i++)
		fake_step(g->dev);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 64);
	assert_int_equal(ring_r32(g, 1, ACCEL_RING_SQ_HEAD), 64);
}

static void fence_waits_for_other_rings(void **state)
{
	struct rig *g = *state;

	rig_ring(g, 1, 3);
	rig_push(g, 0, &fence);
	begin_long(g, 1, 0);
	rig_push(g, 1, &nop);
	rig_bell(g, 1);
	rig_bell(g, 0);
	while (!rig_peek(g, 0, &(struct accel_cqe){ 0 }))
		assert_true(fake_step(g->dev));
	assert_int_equal(filled(g, 1), LONG);
	assert_int_equal(ring_r32(g, 1, ACCEL_RING_SQ_HEAD), 2);
}

static void fence_does_not_wait_for_later_ones(void **state)
{
	struct rig *g = *state;

	rig_ring(g, 1, 3);
	rig_push(g, 0, &fence);
	rig_bell(g, 0);
	rig_push(g, 1, &nop);
	rig_bell(g, 1);
	fake_step(g->dev);
	fake_step(g->dev);
	begin_long(g, 1, 0);
	while (!rig_peek(g, 0, &(struct accel_cqe){ 0 }))
		fake_step(g->dev);
	assert_true(filled(g, 1) < LONG);
}

/* Every ring waits for every other: all come through. */
static void fences_do_not_lock_each_other(void **state)
{
	struct rig *g = *state;
	unsigned i;

	for (i = 1; i < 8; i++)
		rig_ring(g, i, 3);
	for (i = 0; i < 8; i++) {
		rig_push(g, i, &fence);
		rig_push(g, i, &nop);
		rig_push(g, i, &fence);
		rig_bell(g, i);
	}
	rig_run(g);
	for (i = 0; i < 8; i++)
		assert_int_equal(ring_r32(g, i, ACCEL_RING_SQ_HEAD), 3);
}

static void fence_is_freed_when_the_other_ring_ends(void **state)
{
	static const uint32_t how[] = { ACCEL_RING_RESET, 0 };
	struct rig *g = *state;
	struct accel_cqe cqe;
	unsigned i;

	for (i = 0; i < 2; i++) {
		rig_ring(g, 1, 3);
		begin_long(g, 1, 0);
		rig_push(g, 0, &fence);
		rig_bell(g, 0);
		fake_step(g->dev);
		fake_step(g->dev);
		rig_none(g, 0);
		if (how[i])
			ring_command(g, 1, how[i]);
		else
			fake_w32(g->dev, ACCEL_DOORBELL(1), 99);
		rig_run(g);
		rig_take(g, 0, &cqe);
		assert_int_equal(cqe.status, ACCEL_OK);
		assert_true(filled(g, 1) < LONG);
	}
}

/* A ring that was reset and is at new work already is another ring as far as a fence goes. */
static void fence_does_not_wait_for_a_new_life(void **state)
{
	struct rig *g = *state;

	rig_ring(g, 1, 3);
	begin_long(g, 1, 0);
	rig_push(g, 0, &fence);
	rig_bell(g, 0);
	do
		fake_step(g->dev);
	while (fake_counter(g->dev, "cmd.fence") == 0);
	ring_command(g, 1, ACCEL_RING_RESET);
	while (ring_state(g, 1) != ACCEL_RING_DISABLED)
		fake_step(g->dev);
	rig_none(g, 0);
	rig_ring(g, 1, 3);
	memset(g->vram + LONG, 0, LONG);
	begin_long(g, 1, 0);
	while (!rig_peek(g, 0, &(struct accel_cqe){ 0 }))
		assert_true(fake_step(g->dev));
	assert_true(filled(g, 1) < LONG);
}

static void fence_can_be_aborted(void **state)
{
	struct rig *g = *state;
	struct accel_cqe cqe;

	rig_ring(g, 1, 3);
	begin_long(g, 1, 0);
	rig_push(g, 0, &fence);
	rig_bell(g, 0);
	fake_step(g->dev);
	fake_step(g->dev);
	ring_command(g, 0, ACCEL_RING_ABORT);
	fake_step(g->dev);
	fake_step(g->dev);
	rig_take(g, 0, &cqe);
	assert_cqe(cqe, ACCEL_ABORTED, 0, 0, 0);
	assert_true(filled(g, 1) < LONG);
}

/* The driver sees a completion, and answers it, before the device is back from writing it. */
static void answer_early(void *arg)
{
	static const unsigned store = 2; /* 0 fetch, 1 first part of the completion */
	struct ambush *x = arg;

	if (x->pass++ == store)
		fake_w64(x->g->dev, ACCEL_DOORBELL(0), 1ull << 32 | 9);
}

static void doorbells_race_the_completion(void **state)
{
	struct rig *g = *state;
	struct ambush x = { .g = g };
	unsigned i;

	for (i = 0; i < 8; i++)
		rig_push(g, 0, &nop);
	rig_bell(g, 0);
	fake_hook_arg = &x;
	fake_hook = answer_early;
	rig_run(g);
	fake_hook = NULL;
	assert_int_equal(ring_state(g, 0), ACCEL_RING_RUNNING);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_HEAD), 1);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 9);
	/* Not a moment longer. */
	fake_w32(g->dev, ACCEL_DOORBELL(0) + 4, 10);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_CQ_DOORBELL);
}

/* The list changes as soon as it was read: what was checked is what is used. */
static void change_list(void *arg)
{
	struct accel_sge evil = { .addr = ~0ull, .len = ~0ull, .space = 77 };
	struct rig *g = arg;
	static unsigned calls;

	/* Calls 0 and 1 are the fetch and the list itself. */
	if (++calls == 3)
		memcpy(g->data, &evil, sizeof(evil));
}

static void list_is_read_once(void **state)
{
	struct accel_sge e = { .addr = 0x1000, .len = 600000, .space = LOCAL };
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0x200000, 0, 0, 600000);

	rig_pattern(g->vram + 0x1000, 600000, 1);
	rig_src_list(g, &s, 0, &e, 1);
	fake_hook = change_list;
	fake_hook_arg = g;
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 600000, 600000);
	assert_memory_equal(g->vram + 0x200000, g->vram + 0x1000, 600000);
	assert_int_equal(g->data[0], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(work_goes_slice_by_slice),
		rig_test(pci_reset_between_slices),
		rig_test(reset_within_each_transfer),
		rig_test(soft_reset_between_slices),
		rig_test(ring_reset_between_slices),
		rig_test(stop_finishes_the_command),
		rig_test(stop_meets_an_error),
		rig_test(reset_is_not_lost_to_an_error),
		rig_test(abort_ends_one_command),
		rig_test(abort_too_early_or_late_does_nothing),
		rig_test(rings_take_turns),
		rig_test(many_short_ones_take_turns_too),
		rig_test(fence_waits_for_other_rings),
		rig_test(fence_does_not_wait_for_later_ones),
		rig_test(fences_do_not_lock_each_other),
		rig_test(fence_is_freed_when_the_other_ring_ends),
		rig_test(fence_does_not_wait_for_a_new_life),
		rig_test(fence_can_be_aborted),
		rig_test(doorbells_race_the_completion),
		rig_test(list_is_read_once),
	};

	return cmocka_run_group_tests_name("accel_flow", tests, NULL, NULL);
}
