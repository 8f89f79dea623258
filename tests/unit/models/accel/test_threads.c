// SPDX-License-Identifier: MIT
/*
 * The model with the real models/common: its worker thread, the real door, and registers accessed
 * from another thread. Rings lie in VRAM, so no client is needed.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/accel.h"
#include "models/accel/accel.h"
#include "models/common/internal.h"

#define VRAM (64ull << 20)
#define SQ   0u
#define CQ   0x10000u
#define DATA (32u << 20)
#define LEN  (24u << 20)

struct pair {
	struct mdl_node *node;
	struct mdl_device *dev, *peer;
	uint8_t *vram, *far;
};

static uint32_t r32(struct mdl_device *dev, uint64_t off)
{
	uint32_t val;

	mdl_mmio_read(dev, 0, off, &val, 4);
	return val;
}

static void w32(struct mdl_device *dev, uint64_t off, uint32_t val)
{
	mdl_mmio_write(dev, 0, off, &val, 4);
}

static void start_ring(struct pair *p, unsigned n)
{
	uint64_t ring = ACCEL_RING(n), at = n * 0x20000ull;

	memset(p->vram + at + CQ, 0, 0x1000);
	mdl_mmio_write(p->dev, 0, ring + ACCEL_RING_SQ_BASE, &at, 8);
	at += CQ;
	mdl_mmio_write(p->dev, 0, ring + ACCEL_RING_CQ_BASE, &at, 8);
	w32(p->dev, ring + ACCEL_RING_SIZE_LOG2, 4);
	w32(p->dev, ring + ACCEL_RING_SPACE, 0x11);
	w32(p->dev, ring + ACCEL_RING_COMMAND, ACCEL_RING_ENABLE);
	assert_int_equal(r32(p->dev, ring + ACCEL_RING_STATUS), ACCEL_RING_RUNNING);
}

static int setup(void **state)
{
	static struct pair p;
	struct mdl_node_cfg cfg = { .name = "n" };

	if (mdl_node_create(&cfg, &p.node) || accel_create(p.node, "acc0", VRAM, &p.dev) ||
	    accel_create(p.node, "acc1", VRAM, &p.peer) || mdl_link(p.dev, p.peer))
		return -1;
	p.vram = p.dev->desc.local_mem;
	p.far = p.peer->desc.local_mem;
	w32(p.dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
	start_ring(&p, 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	mdl_device_destroy(p->dev);
	mdl_device_destroy(p->peer);
	mdl_node_destroy(p->node);
	return 0;
}

static void submit(struct pair *p, unsigned n, uint32_t index, const struct accel_sqe *s)
{
	memcpy(p->vram + n * 0x20000ull + SQ + index % 16 * 64, s, 64);
	w32(p->dev, ACCEL_DOORBELL(n), index + 1);
}

static struct accel_cqe wait_cqe(struct pair *p, unsigned n, uint32_t index)
{
	uint8_t *at = p->vram + n * 0x20000ull + CQ + index % 16 * 32;
	unsigned phase = index / 16 % 2 ? 0 : 1;
	struct accel_cqe cqe;
	uint64_t last;

	do {
		sched_yield();
		if (r32(p->dev, ACCEL_RING(n) + ACCEL_RING_STATUS) == ACCEL_RING_IN_ERROR)
			fail_msg("ring %u: error 0x%x at %u", n,
				 r32(p->dev, ACCEL_RING(n) + ACCEL_RING_ERROR),
				 r32(p->dev, ACCEL_RING(n) + ACCEL_RING_ERROR_INDEX));
		last = __atomic_load_n((uint64_t *)(void *)(at + 24), __ATOMIC_ACQUIRE);
	} while ((last >> 48 & 1) != phase);
	memcpy(&cqe, at, 32);
	w32(p->dev, ACCEL_DOORBELL(n) + 4, index + 1);
	return cqe;
}

static const struct accel_sqe long_copy = { .opcode = ACCEL_OP_COPY,
					    .len = LEN,
					    .src_addr = DATA,
					    .dst_addr = DATA,
					    .src_space = ACCEL_SPACE_LOCAL,
					    .dst_space = ACCEL_SPACE_LINK };

static void copy_over_the_link(void **state)
{
	struct pair *p = *state;
	uint32_t i;

	for (i = 0; i < LEN; i += 4096)
		memcpy(p->vram + DATA + i, &i, 4);
	submit(p, 0, 0, &long_copy);
	assert_int_equal(wait_cqe(p, 0, 0).status, ACCEL_OK);
	assert_memory_equal(p->far + DATA, p->vram + DATA, LEN);
}

/* After the reset returned, not one byte moves, wherever in the copy it came. */
static void reset_in_the_middle(void **state)
{
	struct pair *p = *state;
	uint8_t *last = p->far + DATA + LEN - 1;
	static uint8_t seen[LEN];
	unsigned round, spin;

	memset(p->vram + DATA, 0x3c, LEN);
	for (round = 0; round < 10; round++) {
		memset(p->far + DATA, 0, LEN);
		submit(p, 0, 0, &long_copy);
		for (spin = 0; spin < round * 10; spin++)
			sched_yield();
		mdl_device_reset(p->dev, MDL_RESET_FLR);
		memcpy(seen, p->far + DATA, LEN);
		w32(p->dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
		start_ring(p, 0);
		submit(p, 0, 0, &(struct accel_sqe){ .opcode = ACCEL_OP_NOP });
		wait_cqe(p, 0, 0);
		assert_memory_equal(seen, p->far + DATA, LEN);
		w32(p->dev, ACCEL_RING(0) + ACCEL_RING_COMMAND, ACCEL_RING_RESET);
		while (r32(p->dev, ACCEL_RING(0) + ACCEL_RING_STATUS) != ACCEL_RING_DISABLED)
			sched_yield();
		start_ring(p, 0);
	}
	assert_true(*last == 0 || *last == 0x3c);
}

static void soft_reset_in_the_middle(void **state)
{
	struct pair *p = *state;

	submit(p, 0, 0, &long_copy);
	w32(p->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	while (r32(p->dev, ACCEL_CONTROL) & ACCEL_CONTROL_SOFT_RESET)
		sched_yield();
	assert_int_equal(r32(p->dev, ACCEL_RING(0) + ACCEL_RING_STATUS), ACCEL_RING_DISABLED);
}

static void two_rings_many_commands(void **state)
{
	struct accel_sqe s = { .opcode = ACCEL_OP_FILL,
			       .param = 4,
			       .len = 4096,
			       .dst_space = ACCEL_SPACE_LOCAL,
			       .dst_addr = DATA };
	struct pair *p = *state;
	uint32_t i, n;

	start_ring(p, 1);
	for (i = 0; i < 2000; i++) {
		for (n = 0; n < 2; n++) {
			s.cmd_id = i;
			s.imm = i;
			s.dst_addr = DATA + n * 4096;
			submit(p, n, i, &s);
		}
		for (n = 0; n < 2; n++) {
			assert_int_equal(wait_cqe(p, n, i).cmd_id, i);
			assert_memory_equal(p->vram + DATA + n * 4096 + 4092, &i, 4);
		}
	}
}

/* Registers answer while the worker is busy, and the link may go down under a copy. */
static void link_goes_down_under_a_copy(void **state)
{
	struct pair *p = *state;
	struct accel_cqe cqe;

	submit(p, 0, 0, &long_copy);
	assert_int_equal(r32(p->dev, ACCEL_ID), ACCEL_ID_VALUE);
	mdl_link_set(p->peer, false);
	cqe = wait_cqe(p, 0, 0);
	/* It was quicker, or it was cut off somewhere; nothing else. */
	if (cqe.status != ACCEL_OK) {
		assert_int_equal(cqe.status, ACCEL_LINK_DOWN);
		assert_true(cqe.info < LEN || cqe.where == ACCEL_WHERE_DESC);
	}
	assert_int_equal(r32(p->dev, ACCEL_EVENT), ACCEL_EVENT_LINK);
	submit(p, 0, 1, &long_copy);
	assert_int_equal(wait_cqe(p, 0, 1).status, ACCEL_LINK_DOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copy_over_the_link, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(soft_reset_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(two_rings_many_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(link_goes_down_under_a_copy, setup, teardown),
	};

	return cmocka_run_group_tests_name("accel_threads", tests, NULL, NULL);
}
