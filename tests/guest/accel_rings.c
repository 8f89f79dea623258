// SPDX-License-Identifier: MIT
/* Rings: in both memories, wrapping, full, in error, recovered, reset; and their interrupts. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/rig.h"

static const struct pdmai_accel_cmd nop = { .op = ACCEL_OP_NOP };

static void wrap(struct rig *r, enum pdmai_accel_place place)
{
	struct pdmai_accel_ring *ring = rig_ring(
		r, 0, (struct pdmai_accel_ring_config){ .idx = 5, .size_log2 = 2, .place = place });
	struct pdmai_accel_cmd cmd = nop;
	struct pdmai_accel_done done;
	uint64_t next = 0;

	for (cmd.cookie = 0; cmd.cookie < 500; cmd.cookie++) {
		cmd.imm = ~cmd.cookie;
		while (pdmai_accel_submit(ring, &cmd) == -EAGAIN) {
			CHECK_EQ(pdmai_accel_wait(ring, RIG_WAIT_NS, &done), 0);
			CHECK_EQ(done.cookie, next);
			CHECK(done.result == ~next++);
		}
	}
	while (pdmai_accel_ring_pending(ring)) {
		CHECK_EQ(pdmai_accel_wait(ring, RIG_WAIT_NS, &done), 0);
		CHECK_EQ(done.cookie, next++);
	}
	CHECK_EQ(next, 500);
	CHECK_EQ(pdmai_accel_wait(ring, 0, &done), -ENOENT);
	pdmai_accel_ring_destroy(ring);
}

static void commands_wrap_round_a_small_ring(void)
{
	struct rig r;

	rig_open(&r, false);
	wrap(&r, PDMAI_ACCEL_IN_VRAM);
	if (r.pair.iommu)
		wrap(&r, PDMAI_ACCEL_IN_HOST);
	rig_close(&r);
}

static void ring_in_host_memory_needs_an_iommu(void)
{
	struct pdmai_accel_ring_config config = { .idx = 2,
						  .size_log2 = 2,
						  .place = PDMAI_ACCEL_IN_HOST };
	struct pdmai_accel_ring *ring;
	struct rig r;

	rig_open(&r, false);
	CHECK_EQ(pdmai_accel_ring_create(r.pair.accel[0], &config, &ring), -EOPNOTSUPP);
	rig_close(&r);
}

static void bad_rings_are_refused(void)
{
	struct rig r;
	struct pdmai_accel_ring *ring;
	struct pdmai_accel_ring_config c = { .idx = 1,
					     .size_log2 = 2,
					     .place = PDMAI_ACCEL_IN_VRAM };

	rig_open(&r, false);
	c.idx = 8;
	CHECK_EQ(pdmai_accel_ring_create(r.pair.accel[0], &c, &ring), -EINVAL);
	c.idx = 0;
	CHECK_EQ(pdmai_accel_ring_create(r.pair.accel[0], &c, &ring), -EBUSY);
	c.idx = 1;
	c.size_log2 = 17;
	CHECK_EQ(pdmai_accel_ring_create(r.pair.accel[0], &c, &ring), -EINVAL);
	c.size_log2 = 2;
	c.interrupt = true;
	CHECK_EQ(pdmai_accel_ring_create(r.pair.accel[0], &c, &ring), -EINVAL);
	rig_close(&r);
}

static void expect_error(struct rig *r, enum accel_ring_error error)
{
	struct pdmai_accel_ring_status s;

	CHECK_EQ(pdmai_accel_ring_state(r->ring[0], &s), 0);
	CHECK_EQ(s.state, ACCEL_RING_IN_ERROR);
	CHECK_EQ(s.error, error);
}

/* Entries cannot be read while bus mastering is off; afterwards all are done, each once. */
static void fetch_error_and_recovery_lose_nothing(void)
{
	struct pdmai_accel_ring_status s;
	struct pdmai_accel_cmd cmd = nop;
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], true, false), 0);
	for (cmd.cookie = 0; cmd.cookie < 3; cmd.cookie++)
		CHECK_EQ(pdmai_accel_submit(r.ring[0], &cmd), 0);
	CHECK_EQ(pdmai_accel_wait(r.ring[0], RIG_WAIT_NS, &done), -EIO);
	CHECK_EQ(pdmai_accel_ring_state(r.ring[0], &s), 0);
	CHECK_EQ(s.state, ACCEL_RING_IN_ERROR);
	CHECK_EQ(s.error, ACCEL_RING_ERR_SQ_FETCH);
	CHECK_EQ(s.dma_status, ACCEL_DMA_DENIED);
	CHECK_EQ(s.error_idx, 0);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], true, true), 0);
	CHECK_EQ(pdmai_accel_ring_recover(r.ring[0]), 0);
	for (uint64_t i = 0; i < 3; i++) {
		CHECK_EQ(pdmai_accel_wait(r.ring[0], RIG_WAIT_NS, &done), 0);
		CHECK_EQ(done.cookie, i);
		CHECK_EQ(done.err, 0);
	}
	CHECK_EQ(pdmai_accel_poll(r.ring[0], &done, 1), 0);
	CHECK_EQ(pdmai_accel_ring_recover(r.ring[0]), -EINVAL);
	rig_close(&r);
}

static void bad_doorbell_stops_one_ring_only(void)
{
	struct rig r;

	rig_open(&r, false);
	pdmai_dev_write32(r.pair.dev[0], ACCEL_BAR_REGS, ACCEL_DOORBELL(0), 1000);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), 0);
	expect_error(&r, ACCEL_RING_ERR_SQ_DOORBELL);
	wrap(&r, PDMAI_ACCEL_IN_VRAM);
	CHECK_EQ(pdmai_accel_ring_recover(r.ring[0]), 0);
	{
		struct pdmai_accel_done done;

		CHECK_EQ(pdmai_accel_wait(r.ring[0], RIG_WAIT_NS, &done), 0);
	}
	rig_do(&r, 0, &nop);
	rig_close(&r);
}

/* Until the device stands still: a step may have been under way when the fault was armed. */
static void stall(struct rig *r)
{
	struct pdmai_accel_done done;
	int ret;

	CHECK_EQ(kit_control_fault(r->control, "acc0", "accel.stall", "stall", 0, 0, 0), 0);
	do {
		CHECK_EQ(pdmai_accel_submit(r->ring[0], &nop), 0);
		ret = pdmai_accel_wait(r->ring[0], 10000000, &done);
	} while (!ret);
	CHECK_EQ(ret, -ETIMEDOUT);
}

static void ring_reset_drops_what_was_under_way(void)
{
	struct pdmai_accel_cmd cmd = nop;
	struct pdmai_accel_done done;
	unsigned dropped = 0;
	struct rig r;

	rig_open(&r, false);
	stall(&r);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pdmai_accel_submit(r.ring[0], &cmd), 0);
	CHECK_EQ(kit_control_fault(r.control, "acc0", "accel.stall", "none", 0, 0, 0), 0);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], &dropped), 0);
	CHECK_EQ(dropped, 5);
	CHECK_EQ(pdmai_accel_ring_pending(r.ring[0]), 0);
	CHECK_EQ(pdmai_accel_poll(r.ring[0], &done, 1), 0);
	cmd.cookie = 99;
	rig_do(&r, 0, &cmd);
	rig_close(&r);
}

static void abort_ends_the_running_command(void)
{
	struct pdmai_accel_mem same[64];
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_CRC32C, .len = 64ull * (32 << 20), .src = same, .n_src = 64
	};
	struct pdmai_accel_done done;
	struct rig_area a;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, 32 << 20, 0, &a);
	for (int i = 0; i < 64; i++)
		same[i] = a.mem;
	/* The abort may come before the device took the command up: then it does nothing. */
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &cmd), 0);
	for (;;) {
		pdmai_accel_ring_abort(r.ring[0]);
		if (pdmai_accel_wait(r.ring[0], 1000000, &done) != -ETIMEDOUT)
			break;
	}
	CHECK_EQ(done.status, ACCEL_ABORTED);
	CHECK_EQ(done.err, -ECANCELED);
	CHECK(done.info < cmd.len);
	rig_do(&r, 0, &nop);
	rig_close(&r);
}

static void device_failure_and_the_way_out(void)
{
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	CHECK_EQ(kit_control_fault(r.control, "acc0", "accel.fatal", "error", 0, 0, 1), 0);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), 0);
	CHECK_EQ(pdmai_accel_wait(r.ring[0], RIG_WAIT_NS, &done), -EIO);
	expect_error(&r, ACCEL_RING_ERR_FATAL);
	CHECK_EQ(pdmai_accel_ring_recover(r.ring[0]), -EINVAL);
	CHECK(pdmai_accel_ring_reset(r.ring[0], NULL) != 0);
	CHECK_EQ(pdmai_accel_reset(r.pair.accel[0], PDMAI_ACCEL_RESET_SOFT), 0);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), -ECONNRESET);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], NULL), 0);
	rig_do(&r, 0, &nop);
	rig_close(&r);
}

/* ---- interrupts ---- */

static uint64_t events(struct rig *r, unsigned vector, int timeout_ms)
{
	struct pollfd p = { .fd = pdmai_accel_eventfd(r->pair.accel[0], vector), .events = POLLIN };
	uint64_t count = 0;

	if (poll(&p, 1, timeout_ms) == 1)
		CHECK_EQ(read(p.fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void each_ring_has_its_vector(void)
{
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, true);
	for (unsigned i = 1; i < 8; i++) {
		struct pdmai_accel_ring *ring = rig_ring(
			&r, 0,
			(struct pdmai_accel_ring_config){
				.idx = i, .size_log2 = 2, .place = r.place, .interrupt = true });

		CHECK_EQ(pdmai_accel_submit(ring, &nop), 0);
		CHECK_EQ(events(&r, i + 1, 5000), 1);
		/* What an interrupt is for can be seen when it comes. */
		CHECK_EQ(pdmai_accel_poll(ring, &done, 1), 1);
		for (unsigned other = 0; other < 9; other++)
			CHECK_EQ(events(&r, other, 0), 0);
		pdmai_accel_ring_destroy(ring);
	}
	rig_close(&r);
}

static void waiting_by_interrupt(void)
{
	struct rig_area a, b;
	struct rig r;

	rig_open(&r, true);
	rig_area(&r, 0, RIG_OWN, 1 << 20, 0, &a);
	rig_area(&r, 0, RIG_PEER, 1 << 20, 0, &b);
	for (uint64_t i = 1; i <= 20; i++) {
		rig_area_fill(&a, i);
		rig_copy(&r, 0, &b, &a);
		RIG_CHECK_AREA(&b, i);
	}
	rig_close(&r);
}

static void quiet_commands_raise_nothing(void)
{
	struct pdmai_accel_cmd quiet = { .op = ACCEL_OP_NOP, .flags = PDMAI_ACCEL_QUIET };
	struct pdmai_accel_done done;
	struct rig r;
	int n = 0;

	rig_open(&r, true);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pdmai_accel_submit(r.ring[0], &quiet), 0);
	CHECK_EQ(pdmai_accel_submit(r.ring[0], &nop), 0);
	CHECK_EQ(events(&r, 1, 5000), 1);
	while (pdmai_accel_poll(r.ring[0], &done, 1) == 1)
		n++;
	CHECK_EQ(n, 5);
	rig_close(&r);
}

static void interrupts_are_coalesced(void)
{
	struct pdmai_accel_ring *ring;
	struct rig r;

	rig_open(&r, true);
	ring = rig_ring(&r, 0,
			(struct pdmai_accel_ring_config){ .idx = 1,
							  .size_log2 = 4,
							  .place = r.place,
							  .interrupt = true,
							  .coalesce_count = 4,
							  .coalesce_us = 60000 });
	for (int i = 0; i < 8; i++) {
		struct pdmai_accel_cmd cmd = nop;

		cmd.flags = i < 7 ? PDMAI_ACCEL_MORE : 0;
		CHECK_EQ(pdmai_accel_submit(ring, &cmd), 0);
	}
	{
		struct pdmai_accel_done done[8];
		uint64_t sum = 0;
		int n = 0;

		while (n < 8) {
			int more = pdmai_accel_poll(ring, done, 8);

			CHECK(more >= 0);
			n += more;
		}
		while (sum < 2) {
			uint64_t more = events(&r, 2, 1000);

			if (!more)
				break;
			sum += more;
		}
		/* Two groups of four; the kernel may make one event of two. */
		CHECK(sum == 1 || sum == 2);
		CHECK_EQ(events(&r, 2, 100), 0);
	}
	pdmai_accel_ring_destroy(ring);
	rig_close(&r);
}

static void ring_error_is_an_event(void)
{
	struct pdmai_dev *dev;
	struct rig r;

	rig_open(&r, true);
	dev = r.pair.dev[0];
	pdmai_dev_write32(dev, ACCEL_BAR_REGS, ACCEL_EVENT_ENABLE, ACCEL_EVENT_ALL);
	pdmai_dev_write32(dev, ACCEL_BAR_REGS, ACCEL_DOORBELL(0), 1000);
	CHECK_EQ(events(&r, 0, 5000), 1);
	CHECK_EQ(events(&r, 1, 5000), 1);
	CHECK_EQ(pdmai_dev_read32(dev, ACCEL_BAR_REGS, ACCEL_EVENT), ACCEL_EVENT_RING_ERROR);
	CHECK_EQ(pdmai_dev_read32(dev, ACCEL_BAR_REGS, ACCEL_RING_ERRORS), 1);
	pdmai_dev_write32(dev, ACCEL_BAR_REGS, ACCEL_EVENT, ACCEL_EVENT_ALL);
	CHECK_EQ(pdmai_dev_read32(dev, ACCEL_BAR_REGS, ACCEL_EVENT), 0);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	{ "commands_wrap_round_a_small_ring", commands_wrap_round_a_small_ring, TAP_ANYWHERE },
	{ "ring_in_host_memory_needs_an_iommu", ring_in_host_memory_needs_an_iommu,
	  TAP_WITHOUT_IOMMU },
	{ "bad_rings_are_refused", bad_rings_are_refused, TAP_ANYWHERE },
	{ "fetch_error_and_recovery_lose_nothing", fetch_error_and_recovery_lose_nothing,
	  TAP_WITH_IOMMU },
	{ "bad_doorbell_stops_one_ring_only", bad_doorbell_stops_one_ring_only, TAP_ANYWHERE },
	{ "ring_reset_drops_what_was_under_way", ring_reset_drops_what_was_under_way,
	  TAP_ANYWHERE },
	{ "abort_ends_the_running_command", abort_ends_the_running_command, TAP_ANYWHERE },
	{ "device_failure_and_the_way_out", device_failure_and_the_way_out, TAP_ANYWHERE },
	{ "each_ring_has_its_vector", each_ring_has_its_vector, TAP_WITH_IOMMU },
	{ "waiting_by_interrupt", waiting_by_interrupt, TAP_WITH_IOMMU },
	{ "quiet_commands_raise_nothing", quiet_commands_raise_nothing, TAP_WITH_IOMMU },
	{ "interrupts_are_coalesced", interrupts_are_coalesced, TAP_WITH_IOMMU },
	{ "ring_error_is_an_event", ring_error_is_an_event, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
