// SPDX-License-Identifier: MIT
/* Resets in the middle of work: when one has returned, not a byte is written any more. */
#include <errno.h>
#include <string.h>

#include "tests/guest/rig.h"
#include "util/clock.h"

#define LEN   (16u << 20)
#define TIMES 1024
/* How long to watch for a late byte. Nothing waits for this time to pass in order to work. */
#define WATCH_NS 400000000ll

struct long_copy {
	struct rig_area src, dst;
	struct pdmai_accel_mem from[TIMES], to[TIMES];
};

/* The same 16 MiB again and again: seconds of work, far more than a reset takes. */
static void start_long_copy(struct rig *r, struct long_copy *c, enum rig_kind to)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_COPY,
				       .len = (uint64_t)LEN * TIMES,
				       .src = c->from,
				       .dst = c->to,
				       .n_src = TIMES,
				       .n_dst = TIMES };
	volatile uint64_t *first;

	rig_area(r, 0, RIG_OWN, LEN, 0, &c->src);
	rig_area(r, 0, to, LEN, 0, &c->dst);
	rig_area_fill(&c->src, 1);
	rig_area_fill(&c->dst, 2);
	for (int i = 0; i < TIMES; i++) {
		c->from[i] = c->src.mem;
		c->to[i] = c->dst.mem;
	}
	CHECK_EQ(pdmai_accel_submit(r->ring[0], &cmd), 0);
	first = (volatile uint64_t *)c->dst.cpu;
	while (*first != kit_pattern_word(1, 0))
		;
}

/* Fill the destination anew and see that it stays so, everywhere, and that nothing is counted. */
static void expect_silence(struct rig *r, struct long_copy *c)
{
	struct kit_bytes before = rig_bytes(r, 0), after, d;
	int64_t end = util_now_ns() + WATCH_NS;

	rig_area_fill(&c->dst, 3);
	do {
		RIG_CHECK_AREA(&c->dst, 3);
	} while (util_now_ns() < end);
	after = rig_bytes(r, 0);
	d = kit_bytes_since(&before, &after);
	for (int t = 0; t < KIT_TARGETS; t++)
		CHECK_EQ(d.read[t] + d.write[t], 0);
}

static void works_again(struct rig *r)
{
	struct pdmai_accel_done done;
	struct rig_area a, b;

	CHECK_EQ(pdmai_accel_poll(r->ring[0], &done, 1), 0);
	rig_area(r, 0, RIG_OWN, 65536, 0, &a);
	rig_area(r, 0, RIG_PEER, 65536, 0, &b);
	rig_area_fill(&a, 8);
	rig_copy(r, 0, &b, &a);
	RIG_CHECK_AREA(&b, 8);
	rig_area_free(&b);
}

static void reset_in_a_copy(enum pdmai_accel_reset kind, enum rig_kind to, bool interrupts)
{
	static struct long_copy c;
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, interrupts);
	start_long_copy(&r, &c, to);
	CHECK_EQ(pdmai_accel_reset(r.pair.accel[0], kind), 0);
	expect_silence(&r, &c);
	/*
	 * It was cut off. The kernel takes bus mastering away before a function level reset; a ring
	 * in VRAM can still say so.
	 */
	if (pdmai_accel_poll(r.ring[0], &done, 1) == 1)
		CHECK_EQ(done.status, ACCEL_DMA_DENIED);
	CHECK_EQ(pdmai_accel_wait(r.ring[0], 0, &done), -ECONNRESET);
	/* VRAM is kept. */
	RIG_CHECK_AREA(&c.src, 1);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], NULL), 0);
	works_again(&r);
	rig_area_free(&c.dst);
	rig_close(&r);
}

static void function_reset_in_a_copy_to_a_peer(void)
{
	reset_in_a_copy(PDMAI_ACCEL_RESET_FUNCTION, RIG_PEER, false);
}

static void function_reset_in_a_copy_to_host_memory(void)
{
	reset_in_a_copy(PDMAI_ACCEL_RESET_FUNCTION, RIG_HOST, false);
}

static void function_reset_in_a_copy_over_the_link(void)
{
	reset_in_a_copy(PDMAI_ACCEL_RESET_FUNCTION, RIG_LINK, false);
}

static void soft_reset_in_a_copy_to_a_peer(void)
{
	reset_in_a_copy(PDMAI_ACCEL_RESET_SOFT, RIG_PEER, false);
}

static void interrupts_work_after_a_function_reset(void)
{
	reset_in_a_copy(PDMAI_ACCEL_RESET_FUNCTION, RIG_PEER, true);
}

static void ring_reset_in_a_copy(void)
{
	static struct long_copy c;
	unsigned dropped = 0;
	struct rig r;

	rig_open(&r, false);
	start_long_copy(&r, &c, RIG_PEER);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], &dropped), 0);
	CHECK_EQ(dropped, 1);
	expect_silence(&r, &c);
	works_again(&r);
	rig_close(&r);
}

/* A peer whose memory is written is not what is reset: its own reset does not stop the writer. */
static void reset_of_the_target_keeps_its_memory(void)
{
	struct rig_area a, b;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, 1 << 20, 0, &a);
	rig_area(&r, 0, RIG_PEER, 1 << 20, 0, &b);
	rig_area_fill(&a, 1);
	rig_copy(&r, 0, &b, &a);
	CHECK_EQ(pdmai_accel_reset(r.pair.accel[1], PDMAI_ACCEL_RESET_FUNCTION), 0);
	RIG_CHECK_AREA(&b, 1);
	rig_area_fill(&a, 2);
	rig_copy(&r, 0, &b, &a);
	RIG_CHECK_AREA(&b, 2);
	rig_close(&r);
}

static void reset_by_somebody_else_is_noticed(void)
{
	struct pdmai_accel_cmd nop = { .op = ACCEL_OP_NOP };
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	CHECK_EQ(kit_control_reset(r.control, "acc0"), 0);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), 0);
	CHECK_EQ(pdmai_accel_wait(r.ring[0], RIG_WAIT_NS, &done), -ECONNRESET);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), -ECONNRESET);
	CHECK_EQ(pdmai_accel_reset(r.pair.accel[0], PDMAI_ACCEL_RESET_SOFT), 0);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], NULL), 0);
	works_again(&r);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	{ "function_reset_in_a_copy_to_a_peer", function_reset_in_a_copy_to_a_peer, TAP_ANYWHERE },
	{ "function_reset_in_a_copy_to_host_memory", function_reset_in_a_copy_to_host_memory,
	  TAP_WITH_IOMMU },
	{ "function_reset_in_a_copy_over_the_link", function_reset_in_a_copy_over_the_link,
	  TAP_ANYWHERE },
	{ "soft_reset_in_a_copy_to_a_peer", soft_reset_in_a_copy_to_a_peer, TAP_ANYWHERE },
	{ "interrupts_work_after_a_function_reset", interrupts_work_after_a_function_reset,
	  TAP_WITH_IOMMU },
	{ "ring_reset_in_a_copy", ring_reset_in_a_copy, TAP_ANYWHERE },
	{ "reset_of_the_target_keeps_its_memory", reset_of_the_target_keeps_its_memory,
	  TAP_ANYWHERE },
	{ "reset_by_somebody_else_is_noticed", reset_by_somebody_else_is_noticed, TAP_ANYWHERE },
};

TAP_MAIN(tests)
