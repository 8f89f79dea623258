// SPDX-License-Identifier: MIT
/* Properties of the controller: SPEC.rst 2. */
#include "tests/unit/models/nvme/rig.h"

#define EN_GOOD (NVME_CC_EN | 6 << 16 | 4 << 20)

static void constants(void **state)
{
	struct rig *g = *state;
	uint64_t cap = fake_r64(g->dev, NVME_CAP);

	assert_int_equal(cap & 0xffff, 1023);
	assert_true(cap & NVME_CAP_CQR);
	assert_int_equal(cap >> 24 & 0xff, 60);
	assert_int_equal(cap >> 32 & 15, 0); /* DSTRD */
	assert_true(cap & NVME_CAP_CSS_NVM);
	assert_int_equal(cap >> 48 & 15, 0);
	assert_int_equal(cap >> 52 & 15, 4);
	assert_true(cap & NVME_CAP_CMBS);
	assert_int_equal(fake_r32(g->dev, NVME_VS), 0x20000);
	assert_int_equal(fake_r32(g->dev, NVME_CAP + 4), cap >> 32);
	assert_int_equal(fake_r32(g->dev, NVME_CRTO), 60);
	assert_int_equal(rig_csts(g), 0);
}

static void odd_accesses(void **state)
{
	struct rig *g = *state;

	assert_int_equal(fake_read(g->dev, 1, 4), 0xffffffff);
	assert_int_equal(fake_read(g->dev, NVME_VS, 2), 0xffff);
	assert_int_equal(fake_read(g->dev, 4, 8), UINT64_MAX);
	assert_int_equal(fake_r32(g->dev, 0xf00), 0);
	assert_int_equal(fake_r32(g->dev, NVME_DB_SQ(0)), 0);
	fake_write(g->dev, NVME_AQA, 0xff, 1);
	fake_w32(g->dev, NVME_VS, 1);
	assert_int_equal(fake_r32(g->dev, NVME_AQA), 0);
	assert_int_equal(fake_counter(g->dev, "mmio.bad"), 5);
}

static void admin_queue_registers(void **state)
{
	struct rig *g = *state;

	fake_w32(g->dev, NVME_AQA, 0xffffffff);
	assert_int_equal(fake_r32(g->dev, NVME_AQA), 0x0fff0fff);
	fake_w32(g->dev, NVME_ASQ, 0x12345fff);
	fake_w32(g->dev, NVME_ASQ + 4, 7);
	assert_int_equal(fake_r64(g->dev, NVME_ASQ), 0x712345000);
	fake_w64(g->dev, NVME_ACQ, 0x987654321);
	assert_int_equal(fake_r64(g->dev, NVME_ACQ), 0x987654000);
	fake_w32(g->dev, NVME_INTMS, 5);
	fake_w32(g->dev, NVME_INTMC, 1);
	assert_int_equal(fake_r32(g->dev, NVME_INTMS), 4);
}

/* Each of these must fail at once, and CC.EN 0 must make it well again. */
static void bad_configurations(void **state)
{
	static const uint32_t bad_cc[] = { EN_GOOD | 1 << 4, EN_GOOD | 5 << 7, EN_GOOD | 1 << 11 };
	struct rig *g = *state;
	unsigned i;

	fake_w32(g->dev, NVME_CC, EN_GOOD); /* no admin queues */
	assert_int_equal(rig_csts(g), NVME_CSTS_CFS);
	fake_w32(g->dev, NVME_CC, 0);
	for (i = 0; i < 3; i++) {
		fake_w32(g->dev, NVME_AQA, 0xf000f);
		fake_w64(g->dev, NVME_ASQ, BUS(0));
		fake_w64(g->dev, NVME_ACQ, BUS(0x10000));
		fake_w32(g->dev, NVME_CC, bad_cc[i]);
		rig_run(g);
		assert_int_equal(rig_csts(g), NVME_CSTS_CFS);
		fake_w32(g->dev, NVME_CC, 0);
		assert_int_equal(rig_csts(g), 0);
	}
	fake_w32(g->dev, NVME_AQA, 0xf0000); /* one entry is no queue */
	fake_w32(g->dev, NVME_CC, EN_GOOD);
	assert_int_equal(rig_csts(g), NVME_CSTS_CFS);
	fake_w32(g->dev, NVME_CC, 0);
	rig_enable(g, 16);
}

static void ready_and_not_ready(void **state)
{
	struct rig *g = *state;

	rig_enable(g, 16);
	/* While it is enabled the admin queues cannot be moved. */
	fake_w32(g->dev, NVME_AQA, 0);
	fake_w64(g->dev, NVME_ASQ, 0);
	assert_int_equal(fake_r32(g->dev, NVME_AQA), 0xf000f);
	assert_int_equal(fake_r64(g->dev, NVME_ASQ), RIG_HOST);
	fake_w32(g->dev, NVME_CC, 0);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY); /* until the worker has seen it */
	rig_run(g);
	assert_int_equal(rig_csts(g), 0);
	assert_int_equal(fake_r32(g->dev, NVME_AQA), 0xf000f); /* survives this reset */
	assert_int_equal(fake_counter(g->dev, "reset.controller"), 1);
	rig_enable(g, 8);
}

static void shutdown(void **state)
{
	struct rig *g = *state;

	rig_enable(g, 16);
	fake_w32(g->dev, NVME_CC, EN_GOOD | 1 << 14);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_SHST_BUSY);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
	assert_int_equal(fake_counter(g->dev, "shutdowns"), 1);
	fake_w32(g->dev, NVME_CC, 0);
	rig_run(g);
	assert_int_equal(rig_csts(g), 0);
	rig_enable(g, 16);
}

static void subsystem_reset(void **state)
{
	struct rig *g = *state;

	rig_enable(g, 16);
	fake_w32(g->dev, NVME_NSSR, 0x12345678);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY);
	fake_w32(g->dev, NVME_NSSR, NVME_NSSR_MAGIC);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_NSSRO);
	assert_int_equal(fake_r32(g->dev, NVME_CC), 0);
	assert_int_equal(fake_r32(g->dev, NVME_AQA), 0);
	fake_w32(g->dev, NVME_CSTS, NVME_CSTS_NSSRO);
	assert_int_equal(rig_csts(g), 0);
	rig_enable(g, 16);
}

static void memory_buffer_modern(void **state)
{
	struct rig *g = *state;

	assert_int_equal(fake_r32(g->dev, NVME_CMBLOC), 0);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSZ), 0);
	fake_w32(g->dev, NVME_CMBMSC, NVME_CMBMSC_CRE);
	assert_int_equal(fake_r32(g->dev, NVME_CMBLOC), 0x1fa);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSZ), 512 << 12 | 0x1f);
	/* In halves, the upper first, as Linux does. */
	fake_w32(g->dev, NVME_CMBMSC + 4, 0x12);
	fake_w32(g->dev, NVME_CMBMSC, 0x34567ffc | 3);
	assert_int_equal(fake_r64(g->dev, NVME_CMBMSC), 0x1234567003);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSTS), 0);
	fake_w64(g->dev, NVME_CMBMSC, 0xfffffffffff00003);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSTS), NVME_CMBSTS_CBAI);
	fake_w64(g->dev, NVME_CMBMSC, 0);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSZ), 0);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSTS), 0);
}

static void memory_buffer_legacy(void **state)
{
	struct rig *g = *state;

	assert_false(fake_r64(g->dev, NVME_CAP) & NVME_CAP_CMBS);
	assert_int_equal(fake_r32(g->dev, NVME_CMBLOC), 0x1fa);
	assert_int_equal(fake_r32(g->dev, NVME_CMBSZ), 512 << 12 | 0x1f);
	fake_w64(g->dev, NVME_CMBMSC, RIG_CMB_BASE | 3);
	assert_int_equal(fake_r64(g->dev, NVME_CMBMSC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare_test(constants),
		bare_test(odd_accesses),
		bare_test(admin_queue_registers),
		bare_test(bad_configurations),
		bare_test(ready_and_not_ready),
		bare_test(shutdown),
		bare_test(subsystem_reset),
		bare_test(memory_buffer_modern),
		legacy_test(memory_buffer_legacy),
	};

	return cmocka_run_group_tests_name("nvme_regs", tests, NULL, NULL);
}
