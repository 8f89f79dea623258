// SPDX-License-Identifier: MIT
/* Every register: value after reset, what writing does, which accesses are refused. */
#include "tests/unit/models/accel/rig.h"

static uint32_t bad(struct rig *g)
{
	return fake_r32(g->dev, ACCEL_BAD_ACCESS);
}

static void constants(void **state)
{
	struct rig *g = *state;

	assert_int_equal(fake_r32(g->dev, 0x000), 0x414d4450);
	assert_int_equal(fake_r32(g->dev, 0x004), 0x00010000);
	assert_int_equal(fake_r64(g->dev, 0x008), 0x1e);
	assert_int_equal(fake_r64(g->dev, 0x010), RIG_VRAM);
	assert_int_equal(fake_r32(g->dev, 0x018), 8);
	assert_int_equal(fake_r32(g->dev, 0x01c), 9);
	assert_int_equal(fake_r32(g->dev, 0x020), 1);
	assert_int_equal(fake_r32(g->dev, 0x024), 16);
	assert_int_equal(fake_r32(g->dev, 0x028), 4096);
	assert_int_equal(fake_r32(g->dev, 0x02c), 40);
	assert_int_equal(bad(g), 0);
}

static void values_after_reset(void **state)
{
	static const uint16_t zero[] = { 0x30,	0x34,  0x38,   0x40,   0x44,   0x48,  0x4c, 0x50,
					 0x54,	0x58,  0x5c,   0x60,   0x70,   0x74,  0x78, 0x7c,
					 0x800, 0xffc, 0x8000, 0x8004, 0xf000, 0xf004 };
	struct rig *g = *state;
	unsigned i, n;

	fake_w64(g->dev, 0x70, ~0ull);
	fake_w64(g->dev, 0x78, ~0ull);
	fake_w32(g->dev, 0x5c, ~0u);
	fake_w32(g->dev, 0x8000, 99);
	fake_reset(g->dev, MDL_RESET_FLR);
	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		assert_int_equal(fake_r32(g->dev, zero[i]), 0);
	for (n = 0; n < 8; n++)
		for (i = 0; i < 0x4c; i += 4)
			assert_int_equal(fake_r32(g->dev, 0x1000 + n * 0x100 + i),
					 i == 0x18 ? 0xffffffffu : 0);
}

static void resets_are_counted(void **state)
{
	struct rig *g = *state;
	uint32_t before = fake_r32(g->dev, ACCEL_RESETS);

	fake_reset(g->dev, MDL_RESET_BUS);
	assert_int_equal(fake_r32(g->dev, ACCEL_RESETS), before + 1);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), ACCEL_CONTROL_SOFT_RESET);
	rig_run(g);
	assert_int_equal(fake_r32(g->dev, ACCEL_RESETS), before + 2);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), 0);
}

static void scratch_in_halves(void **state)
{
	struct rig *g = *state;

	fake_w64(g->dev, 0x70, 0x1122334455667788);
	fake_w32(g->dev, 0x74, 0xaabbccdd);
	assert_int_equal(fake_r64(g->dev, 0x70), 0xaabbccdd55667788);
	fake_w32(g->dev, 0x78, 0x01020304);
	assert_int_equal(fake_r64(g->dev, 0x78), 0x01020304);
	assert_int_equal(fake_r32(g->dev, 0x70), 0x55667788);
	assert_int_equal(bad(g), 0);
}

static void odd_accesses(void **state)
{
	static const struct {
		uint64_t off;
		size_t len;
	} odd[] = { { 0x70, 1 }, { 0x70, 2 }, { 0x71, 4 },  { 0x74, 8 },
		    { 0x70, 3 }, { 0x72, 4 }, { 0xffff, 1 } };
	struct rig *g = *state;
	unsigned i;

	fake_w64(g->dev, 0x70, 0x5555555555555555);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		fake_write(g->dev, odd[i].off, 0, odd[i].len);
		assert_int_equal(bad(g), 2 * i + 1);
		assert_int_equal(fake_read(g->dev, odd[i].off, odd[i].len),
				 ~0ull >> (64 - 8 * odd[i].len));
		assert_int_equal(bad(g), 2 * i + 2);
	}
	assert_int_equal(fake_r64(g->dev, 0x70), 0x5555555555555555);
	assert_int_equal(fake_counter(g->dev, "mmio.size"), 14);
}

static void reserved_and_read_only(void **state)
{
	struct rig *g = *state;

	assert_int_equal(fake_r32(g->dev, 0x64), 0);
	assert_int_equal(bad(g), 1);
	assert_int_equal(fake_r64(g->dev, 0x2000), 0);
	assert_int_equal(bad(g), 3);
	fake_w32(g->dev, 0x1800, 1);
	fake_w32(g->dev, 0x8008, 1);
	fake_w32(g->dev, 0x104c, 1);
	assert_int_equal(bad(g), 6);
	fake_w32(g->dev, ACCEL_ID, 0);
	fake_w64(g->dev, ACCEL_TIMER, 0);
	assert_int_equal(bad(g), 9);
	assert_int_equal(fake_r32(g->dev, ACCEL_ID), 0x414d4450);
	assert_int_equal(fake_counter(g->dev, "mmio.reserved"), 6);
	assert_int_equal(fake_counter(g->dev, "mmio.readonly"), 3);
	fake_w64(g->dev, 0x800, ~0ull);
	assert_int_equal(fake_r64(g->dev, 0x800), 0);
	assert_int_equal(bad(g), 9);
}

static void timer(void **state)
{
	struct rig *g = *state;
	uint64_t t0 = fake_r64(g->dev, ACCEL_TIMER);

	fake_now_ns += 0xffffffff;
	assert_int_equal(fake_r64(g->dev, ACCEL_TIMER) - t0, 0xffffffff);
	/* The upper half belongs to the lower one read before, however long ago. */
	assert_int_equal(fake_r32(g->dev, ACCEL_TIMER), (uint32_t)(t0 + 0xffffffff));
	fake_now_ns += 0x500000000;
	assert_int_equal(fake_r32(g->dev, ACCEL_TIMER + 4), (t0 + 0xffffffff) >> 32);
	assert_int_equal(fake_r32(g->dev, ACCEL_TIMER + 4), (t0 + 0x5ffffffff) >> 32);
	fake_reset(g->dev, MDL_RESET_FLR);
	assert_int_equal(fake_r64(g->dev, ACCEL_TIMER), t0 + 0x5ffffffff);
}

static void ring_registers_hold_while_running(void **state)
{
	static const uint16_t regs[] = { 0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18 };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 7; i++) {
		uint32_t was = ring_r32(g, 0, regs[i]);

		ring_w32(g, 0, regs[i], 0x12345678);
		assert_int_equal(ring_r32(g, 0, regs[i]), was);
		assert_int_equal(bad(g), i + 1);
		ring_w32(g, 1, regs[i], 0x12345678);
		assert_int_equal(ring_r32(g, 1, regs[i]), 0x12345678);
	}
	assert_int_equal(fake_counter(g->dev, "mmio.refused"), 7);
	ring_w32(g, 0, ACCEL_RING_COALESCE, 0x00640008);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_COALESCE), 0x00640008);
	assert_int_equal(bad(g), 7);
}

static void events(void **state)
{
	struct rig *g = *state;

	/* A ring error with the event not enabled is noted silently. */
	fake_w32(g->dev, ACCEL_DOORBELL(0), 100);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT), ACCEL_EVENT_RING_ERROR);
	assert_int_equal(fake_r32(g->dev, ACCEL_RING_ERRORS), 1);
	assert_int_equal(fake_irqs(g->dev, 0), 0);
	fake_w32(g->dev, ACCEL_EVENT_ENABLE, ~0u);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT_ENABLE), ACCEL_EVENT_ALL);
	assert_int_equal(fake_irqs(g->dev, 0), 1);
	fake_w32(g->dev, ACCEL_EVENT, ACCEL_EVENT_LINK);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT), ACCEL_EVENT_RING_ERROR);
	fake_w32(g->dev, ACCEL_EVENT, ACCEL_EVENT_RING_ERROR);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT), 0);
	assert_int_equal(fake_irqs(g->dev, 0), 1);
}

static void control_and_status(void **state)
{
	struct rig *g = *state;

	fake_w32(g->dev, ACCEL_CONTROL, 0xfffffffd);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), ACCEL_CONTROL_ENABLE);
	assert_int_equal(fake_r32(g->dev, ACCEL_STATUS),
			 ACCEL_STATUS_ENABLED | ACCEL_STATUS_ACTIVE);
	fake_w32(g->dev, ACCEL_CONTROL, 0);
	assert_int_equal(fake_r32(g->dev, ACCEL_STATUS), ACCEL_STATUS_ACTIVE);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_STOPPING);
	rig_run(g);
	assert_int_equal(fake_r32(g->dev, ACCEL_STATUS), 0);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
}

static void soft_reset_refuses_writes_until_done(void **state)
{
	struct rig *g = *state;

	fake_w32(g->dev, ACCEL_SCRATCH0, 5);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET | ACCEL_CONTROL_ENABLE);
	fake_w32(g->dev, ACCEL_SCRATCH0, 6);
	fake_w32(g->dev, ACCEL_DOORBELL(0), 1);
	assert_int_equal(fake_r32(g->dev, ACCEL_SCRATCH0), 5);
	assert_int_equal(bad(g), 2);
	rig_run(g);
	assert_int_equal(fake_r32(g->dev, ACCEL_SCRATCH0), 0);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), 0);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
	assert_int_equal(bad(g), 0);
}

static void reset_keeps_vram_disconnect_clears_it(void **state)
{
	struct rig *g = *state;

	g->vram[12345] = 7;
	fake_reset(g->dev, MDL_RESET_FLR);
	fake_reset(g->dev, MDL_RESET_BUS);
	fake_reset(g->dev, MDL_RESET_PM);
	assert_int_equal(g->vram[12345], 7);
	fake_reset(g->dev, MDL_RESET_DISCONNECT);
	assert_int_equal(g->vram[12345], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(constants),
		rig_test(values_after_reset),
		rig_test(resets_are_counted),
		rig_test(scratch_in_halves),
		rig_test(odd_accesses),
		rig_test(reserved_and_read_only),
		rig_test(timer),
		rig_test(ring_registers_hold_while_running),
		rig_test(events),
		rig_test(control_and_status),
		rig_test(soft_reset_refuses_writes_until_done),
		rig_test(reset_keeps_vram_disconnect_clears_it),
	};

	return cmocka_run_group_tests_name("accel_regs", tests, NULL, NULL);
}
