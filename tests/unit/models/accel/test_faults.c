// SPDX-License-Identifier: MIT
/* Each fault point does what SPEC.rst 10 says, and its end is noticed. */
#include "models/accel/accel.h"
#include "tests/unit/models/accel/rig.h"

#include <errno.h>
#include <json-c/json.h>

static const struct accel_sqe nop = { .opcode = ACCEL_OP_NOP, .cmd_id = 1, .flags = ACCEL_SQE_IRQ };

static struct accel_sqe fill(void)
{
	return sqe_fill(ACCEL_SPACE_LOCAL, 0, 4096, 1, 0x77);
}

static void cmd_error(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = fill();

	fake_arm(g->dev, "accel.cmd.error", MDL_FAULT_ERROR, 0, 1);
	assert_cqe(rig_do(g, &s), ACCEL_INTERNAL, 0, 0, 0);
	assert_int_equal(g->vram[0], 0);
	fake_arm(g->dev, "accel.cmd.error", MDL_FAULT_DROP, 0, 1);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 4096, 4096);
	assert_int_equal(g->vram[0], 0);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 4096, 4096);
	assert_int_equal(g->vram[0], 0x77);
}

static void cmd_delay(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = fill();

	fake_arm(g->dev, "accel.cmd.error", MDL_FAULT_DELAY, 100, 1);
	rig_push(g, 0, &s);
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	assert_int_equal(fake_wakeup(g->dev), fake_now_ns + 100000);
	fake_now_ns += 100000;
	rig_run(g);
	rig_take(g, 0, &(struct accel_cqe){ 0 });
}

static void crc_corrupt(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = { .opcode = ACCEL_OP_CRC32C, .len = 9, .src_space = 1 };

	memcpy(g->vram, "123456789", 9);
	fake_arm(g->dev, "accel.crc.corrupt", MDL_FAULT_CORRUPT, 5, 1);
	assert_int_equal(rig_do(g, &s).result, 0xe3069283 ^ 0x20);
	assert_int_equal(rig_do(g, &s).result, 0xe3069283);
}

static void irq_lost_and_doubled(void **state)
{
	struct rig *g = *state;

	fake_arm(g->dev, "accel.irq.lost", MDL_FAULT_DROP, 0, 1);
	rig_do(g, &nop);
	assert_int_equal(fake_irqs(g->dev, 1), 0);
	assert_int_equal(fake_counter(g->dev, "irq.lost"), 1);
	fake_arm(g->dev, "accel.irq.lost", MDL_FAULT_DUP, 0, 1);
	rig_do(g, &nop);
	assert_int_equal(fake_irqs(g->dev, 1), 2);
}

static void cqe_lost(void **state)
{
	struct rig *g = *state;

	fake_arm(g->dev, "accel.cqe.lost", MDL_FAULT_DROP, 0, 1);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_SQ_HEAD), 1);
	assert_int_equal(ring_r32(g, 0, ACCEL_RING_CQ_TAIL), 0);
	assert_int_equal(fake_irqs(g->dev, 1), 0);
	assert_int_equal(rig_do(g, &nop).sq_head, 2);
}

static void doorbell_lost(void **state)
{
	struct rig *g = *state;

	fake_arm(g->dev, "accel.db.lost", MDL_FAULT_DROP, 0, 1);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	rig_bell(g, 0);
	rig_run(g);
	rig_take(g, 0, &(struct accel_cqe){ 0 });
}

static void stall(void **state)
{
	struct rig *g = *state;

	fake_arm(g->dev, "accel.stall", MDL_FAULT_STALL, 0, 0);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	assert_true(fake_wakeup(g->dev) > fake_now_ns);
	/* Still stalled however often it looks; a reset gets through all the same. */
	for (int i = 0; i < 10; i++) {
		fake_now_ns += 1000000000;
		rig_run(g);
		rig_none(g, 0);
	}
	ring_command(g, 0, ACCEL_RING_RESET);
	rig_run(g);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_DISABLED);
	rig_ring(g, 0, 3);
	rig_push(g, 0, &nop);
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	fake_arm(g->dev, "accel.stall", MDL_FAULT_NONE, 0, 0);
	fake_now_ns += 1000000000;
	rig_run(g);
	rig_take(g, 0, &(struct accel_cqe){ 0 });
}

static void fatal(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = fill();

	rig_ring(g, 1, 3);
	fake_w32(g->dev, ACCEL_EVENT_ENABLE, ACCEL_EVENT_FATAL);
	fake_arm(g->dev, "accel.fatal", MDL_FAULT_ERROR, 0, 1);
	rig_push(g, 1, &s);
	rig_bell(g, 1);
	rig_run(g);
	rig_none(g, 1);
	assert_int_equal(g->vram[0], 0);
	assert_int_equal(fake_r32(g->dev, ACCEL_STATUS), ACCEL_STATUS_ENABLED | ACCEL_STATUS_FATAL);
	assert_int_equal(fake_r32(g->dev, ACCEL_ERROR), ACCEL_ERROR_INTERNAL);
	assert_int_equal(fake_r64(g->dev, ACCEL_ERROR_INFO), 1);
	assert_int_equal(fake_r32(g->dev, ACCEL_RING_ERRORS), 3);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_FATAL);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT), ACCEL_EVENT_FATAL | ACCEL_EVENT_RING_ERROR);
	assert_int_equal(fake_irqs(g->dev, 0), 1);
	/* Nothing but a reset helps. */
	ring_command(g, 0, ACCEL_RING_RECOVER);
	assert_int_equal(ring_state(g, 0), ACCEL_RING_IN_ERROR);
	ring_command(g, 0, ACCEL_RING_RESET);
	rig_run(g);
	ring_command(g, 0, ACCEL_RING_ENABLE);
	assert_int_equal(ring_error(g, 0), ACCEL_RING_ERR_NOT_READY);
	fake_w32(g->dev, ACCEL_CONTROL, 0);
	fake_w32(g->dev, ACCEL_CONTROL, 1);
	assert_int_equal(fake_r32(g->dev, ACCEL_CONTROL), 0);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	rig_run(g);
	assert_int_equal(fake_r32(g->dev, ACCEL_STATUS), 0);
	fake_w32(g->dev, ACCEL_CONTROL, 1);
	rig_ring(g, 0, 3);
	assert_int_equal(rig_do(g, &nop).status, ACCEL_OK);
}

static void vram_sizes(void **state)
{
	static const uint64_t bad[] = { 0,	    1ull << 25, (1ull << 26) + 4096,
					3ull << 26, 1ull << 35, ~0ull };
	struct mdl_device *dev = NULL;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(accel_create(NULL, "x", bad[i], &dev), -EINVAL);
	assert_null(dev);
	assert_int_equal(accel_create(NULL, "x", 1ull << 34, &dev), 0);
	fake_kicked(dev);
	assert_int_equal(fake_r64(dev, ACCEL_VRAM_SIZE), 1ull << 34);
	mdl_device_destroy(dev);
}

static void snapshot(void **state)
{
	struct json_object *obj = json_object_new_object(), *rings, *ring, *val;
	struct rig *g = *state;

	rig_do(g, &nop);
	fake_snapshot(g->dev, obj);
	assert_true(json_object_object_get_ex(obj, "rings", &rings));
	assert_int_equal(json_object_array_length(rings), 8);
	ring = json_object_array_get_idx(rings, 0);
	assert_true(json_object_object_get_ex(ring, "state", &val));
	assert_string_equal(json_object_get_string(val), "running");
	assert_true(json_object_object_get_ex(ring, "sq_head", &val));
	assert_int_equal(json_object_get_int(val), 1);
	json_object_put(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(cmd_error),   rig_test(cmd_delay),
		rig_test(crc_corrupt), rig_test(irq_lost_and_doubled),
		rig_test(cqe_lost),    rig_test(doorbell_lost),
		rig_test(stall),       rig_test(fatal),
		rig_test(vram_sizes),  rig_test(snapshot),
	};

	return cmocka_run_group_tests_name("accel_faults", tests, NULL, NULL);
}
