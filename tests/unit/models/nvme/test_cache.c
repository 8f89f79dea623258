// SPDX-License-Identifier: MIT
/* The volatile write cache, what makes data durable, and power that fails: SPEC.rst 7. */
#include <unistd.h>

#include "tests/unit/models/nvme/rig.h"

#define FUA (1u << 30)

static bool in_file(struct rig *g, uint64_t slba, uint32_t n, uint32_t seed)
{
	uint8_t buf[65536];

	rig_file(g, 1, slba * 512, buf, n * 512u);
	return rig_is_pattern(buf, n * 512u, seed);
}

static void cut(struct rig *g)
{
	fake_arm(g->dev, "nvme.power.cut", MDL_FAULT_DROP, 0, 1);
	rig_push(g, 1, sqe_rw(NVME_VERIFY, 0, 1));
	rig_bell(g, 1);
	rig_run(g);
	rig_none(g, 1);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_CFS);
	fake_w32(g->dev, NVME_CC, 0);
	rig_run(g);
	rig_enable(g, 16);
	rig_pair(g, 1);
}

static void flush_makes_durable(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 64, 1);
	assert_false(in_file(g, 0, 64, 1));
	rig_expect(g, 0, 64, 1);
	assert_sc(g, 1, FLUSH, 0);
	assert_true(in_file(g, 0, 64, 1));
	assert_int_equal(fake_counter(g->dev, "media.syncs"), 1);
	assert_int_equal(fake_counter(g->dev, "cache.bytes_out"), 64 * 512);
	rig_expect(g, 0, 64, 1);
	assert_sc(g, 1, FLUSH, 0);
	assert_int_equal(fake_counter(g->dev, "cache.bytes_out"), 64 * 512);
}

static void a_power_cut_loses_the_rest(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 64, 1);
	assert_sc(g, 1, FLUSH, 0);
	rig_write(g, 8, 8, 2);
	rig_write(g, 200, 8, 3);
	rig_expect(g, 8, 8, 2);
	cut(g);
	rig_expect(g, 0, 64, 1);
	assert_sc(g, 1, sqe_rw(NVME_READ, 200, 1), 0);
	assert_int_equal(g->data[0] | g->data[1], 0);
	assert_int_equal(fake_counter(g->dev, "cache.bytes_lost"), 16 * 512);
	assert_int_equal(fake_counter(g->dev, "power_cuts"), 1);
}

static void fua(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_WRITE, 4, 8);

	rig_write(g, 0, 16, 1);
	rig_pattern(g->data, 4096, 2);
	s.cdw12 |= FUA;
	assert_sc(g, 1, s, 0);
	assert_true(in_file(g, 4, 8, 2));
	assert_false(in_file(g, 0, 4, 1));
	rig_expect(g, 4, 8, 2);
	cut(g);
	rig_expect(g, 4, 8, 2);
	/* Older data in the cache does not come back over it. */
	rig_write(g, 4, 8, 3);
	rig_pattern(g->data, 4096, 4);
	assert_sc(g, 1, s, 0);
	assert_sc(g, 1, FLUSH, 0);
	rig_expect(g, 4, 8, 4);
}

static void cache_off(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_admin(NVME_SET_FEATURES, NVME_F_WRITE_CACHE);

	rig_write(g, 0, 16, 1);
	assert_sc(g, 0, s, 0); /* CDW11 0 */
	assert_true(in_file(g, 0, 16, 1));
	rig_write(g, 32, 16, 2);
	assert_true(in_file(g, 32, 16, 2));
	cut(g);
	rig_expect(g, 0, 16, 1);
	rig_expect(g, 32, 16, 2);
	/* A reset puts it on again. */
	rig_write(g, 64, 16, 3);
	assert_false(in_file(g, 64, 16, 3));
}

static void zeroes_are_durable_with_fua(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_WRITE_ZEROES, 0, 8);

	rig_write(g, 0, 16, 1);
	s.cdw12 |= FUA;
	assert_sc(g, 1, s, 0);
	assert_int_equal(fake_counter(g->dev, "media.syncs"), 1);
	assert_sc(g, 1, sqe_rw(NVME_READ, 7, 1), 0);
	assert_int_equal(g->data[0] | g->data[511], 0);
}

static void shutdown_and_switching_off(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 16, 1);
	fake_w32(g->dev, NVME_CC, NVME_CC_EN | 6 << 16 | 4 << 20 | 1 << 14);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
	assert_true(in_file(g, 0, 16, 1));
	fake_reset(g->dev, MDL_RESET_DISCONNECT);
	rig_run(g);
	rig_cmb_on(g);
	rig_enable(g, 16);
	rig_pair(g, 1);
	rig_write(g, 32, 16, 2);
	/* And now without. */
	fake_reset(g->dev, MDL_RESET_DISCONNECT);
	rig_run(g);
	rig_enable(g, 16);
	rig_pair(g, 1);
	rig_expect(g, 0, 16, 1);
	assert_sc(g, 1, sqe_rw(NVME_READ, 32, 1), 0);
	assert_int_equal(g->data[0] | g->data[1], 0);
	assert_int_equal(fake_counter(g->dev, "cache.bytes_lost"), 16 * 512);
}

/* A reset of the function is no loss of power. */
static void resets_keep_the_cache(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 16, 1);
	fake_reset(g->dev, MDL_RESET_FLR);
	rig_run(g);
	rig_enable(g, 16);
	rig_pair(g, 1);
	rig_expect(g, 0, 16, 1);
	assert_false(in_file(g, 0, 16, 1));
}

/* More than fits: the oldest goes to the file, all of it is right. */
static void larger_than_the_cache(void **state)
{
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 24; i++)
		rig_write(g, i * 512, 512, 100 + i);
	assert_true(fake_counter(g->dev, "cache.bytes_out") >= 4 << 20);
	for (i = 0; i < 24; i++)
		rig_expect(g, i * 512, 512, 100 + i);
	cut(g);
	assert_true(fake_counter(g->dev, "cache.bytes_lost") <= RIG_CACHE);
	rig_expect(g, 0, 512, 100);
}

/* A write that fails on the way leaves the old blocks. */
static void failed_write_leaves_the_old(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_WRITE, 0, 16);

	rig_write(g, 0, 16, 1);
	assert_sc(g, 1, FLUSH, 0);
	rig_pattern(g->data, 8192, 2);
	s.prp2 = UINT64_C(0x800000000);
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
	rig_expect(g, 0, 16, 1);
}

/* A file that cannot be written: the flush says so. */
static void the_medium_fails(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 16, 1);
	assert_int_equal(ftruncate(g->file[0], 0), 0);
	assert_sc(g, 1, sqe_rw(NVME_READ, 64, 1), NVME_SC_READ_ERROR);
	rig_expect(g, 0, 16, 1); /* from the cache */
	assert_sc(g, 1, FLUSH, 0);
	rig_expect(g, 0, 16, 1);
}

static void flushes_can_be_aborted(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e;
	uint16_t cid;
	unsigned i;

	for (i = 0; i < 3; i++)
		rig_write(g, i * 2048, 64, i); /* three chunks: three rounds of the worker */
	cid = rig_push(g, 1, FLUSH);
	rig_push(g, 0, sqe_admin(NVME_ABORT, 1 | (uint32_t)cid << 16));
	rig_bell(g, 1);
	fake_step(g->dev);
	rig_none(g, 1);
	rig_bell(g, 0);
	rig_run(g);
	e = rig_take(g, 1);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.status >> 1 & 0x7ff, NVME_SC_ABORTED);
	assert_int_equal(rig_take(g, 0).dw0, 0);
	assert_sc(g, 1, FLUSH, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(flush_makes_durable),
		rig_test(a_power_cut_loses_the_rest),
		rig_test(fua),
		rig_test(cache_off),
		rig_test(zeroes_are_durable_with_fua),
		rig_test(shutdown_and_switching_off),
		rig_test(resets_keep_the_cache),
		rig_test(larger_than_the_cache),
		rig_test(failed_write_leaves_the_old),
		rig_test(the_medium_fails),
		rig_test(flushes_can_be_aborted),
	};

	return cmocka_run_group_tests_name("nvme_cache", tests, NULL, NULL);
}
