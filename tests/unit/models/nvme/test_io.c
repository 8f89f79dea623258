// SPDX-License-Identifier: MIT
/* Commands of the NVM command set and their statuses: SPEC.rst 6. */
#include <errno.h>

#include "tests/unit/models/nvme/rig.h"

#define LAST (RIG_NS1 / 512)

static void write_and_read(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 1, 1);
	rig_write(g, 1, 8, 2);
	rig_write(g, 100, 512, 3);
	rig_write(g, LAST - 16, 16, 4);
	rig_expect(g, 0, 1, 1);
	rig_expect(g, 1, 8, 2);
	rig_expect(g, 100, 512, 3);
	rig_expect(g, LAST - 16, 16, 4);
	/* In the middle of a run, over its end. */
	assert_sc(g, 1, sqe_rw(NVME_READ, 611, 2), 0);
	assert_int_equal(g->data[512], 0); /* never written */
	assert_int_equal(fake_counter(g->dev, "io.write"), 4);
}

static void blocks_of_4096(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_WRITE, 5, 2);

	s.nsid = 2;
	rig_pattern(g->data, 8192, 7);
	assert_sc(g, 1, s, 0);
	memset(g->data, 0, 8192);
	s.opc = NVME_READ;
	assert_sc(g, 1, s, 0);
	assert_pattern(g->data, 8192, 7);
	s = sqe_rw(NVME_READ, RIG_NS2 / 4096, 1);
	s.nsid = 2;
	assert_bad(g, 1, s, NVME_SC_LBA_RANGE);
	/* The other namespace has nothing there. */
	assert_sc(g, 1, sqe_rw(NVME_READ, 5, 2), 0);
	assert_int_equal(g->data[0] | g->data[1023], 0);
}

static void ranges(void **state)
{
	static const uint8_t opc[] = { NVME_READ,	  NVME_WRITE,  NVME_COMPARE,
				       NVME_WRITE_ZEROES, NVME_VERIFY, NVME_WRITE_UNCORRECTABLE };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < sizeof(opc); i++) {
		assert_bad(g, 1, sqe_rw(opc[i], LAST, 1), NVME_SC_LBA_RANGE);
		assert_bad(g, 1, sqe_rw(opc[i], LAST - 1, 2), NVME_SC_LBA_RANGE);
		assert_bad(g, 1, sqe_rw(opc[i], UINT64_MAX, 1), NVME_SC_LBA_RANGE);
		assert_bad(g, 1, sqe_rw(opc[i], UINT64_MAX - 1, 16), NVME_SC_LBA_RANGE);
	}
}

static void bad_commands(void **state)
{
	static const uint8_t opc[] = { 0x03, 0x06, 0x0d, 0x19, 0x79, 0xff };
	struct rig *g = *state;
	struct nvme_sqe s;
	unsigned i;

	for (i = 0; i < sizeof(opc); i++)
		assert_bad(g, 1, sqe_io(opc[i]), NVME_SC_BAD_OPCODE);
	for (i = 0; i < 3; i++) {
		s = sqe_rw(NVME_READ, 0, 1);
		s.nsid = (const uint32_t[]){ 0, 3, 0xffffffff }[i];
		assert_bad(g, 1, s, NVME_SC_BAD_NS);
	}
	s = FLUSH;
	s.nsid = 3;
	assert_bad(g, 1, s, NVME_SC_BAD_NS);
	s.nsid = 0xffffffff; /* all of them */
	assert_sc(g, 1, s, 0);
	s = sqe_rw(NVME_WRITE, 0, 1);
	s.cdw12 |= 1 << 20;
	assert_bad(g, 1, s, NVME_SC_BAD_FIELD);
	s = sqe_rw(NVME_READ, 0, 1);
	s.flags = 1;
	assert_bad(g, 1, s, NVME_SC_BAD_FIELD);
}

static void compare(void **state)
{
	struct rig *g = *state;

	rig_write(g, 10, 8, 5);
	assert_sc(g, 1, sqe_rw(NVME_COMPARE, 10, 8), 0);
	g->data[4095] ^= 1;
	assert_bad(g, 1, sqe_rw(NVME_COMPARE, 10, 8), NVME_SC_COMPARE);
	assert_sc(g, 1, sqe_rw(NVME_COMPARE, 10, 7), 0);
	/* What the file has, too. */
	assert_sc(g, 1, FLUSH, 0);
	assert_bad(g, 1, sqe_rw(NVME_COMPARE, 10, 8), NVME_SC_COMPARE);
	g->data[4095] ^= 1;
	assert_sc(g, 1, sqe_rw(NVME_COMPARE, 10, 8), 0);
}

static void write_zeroes(void **state)
{
	struct rig *g = *state;
	unsigned i;

	rig_write(g, 0, 24, 6);
	assert_sc(g, 1, sqe_rw(NVME_WRITE_ZEROES, 8, 8), 0);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 16), 0);
	for (i = 0; i < 4096; i++)
		assert_int_equal(g->data[4096 + i], 0);
	assert_sc(g, 1, sqe_rw(NVME_WRITE_ZEROES, 0, 16384), 0); /* no limit by MDTS */
	assert_sc(g, 1, sqe_rw(NVME_READ, 16, 1), 0);
	assert_int_equal(g->data[0] | g->data[511], 0);
}

static struct nvme_sqe dsm(struct rig *g, const struct nvme_dsm_range *r, unsigned n)
{
	struct nvme_sqe s = sqe_io(NVME_DSM);

	memcpy(g->host + RIG_LIST, r, n * sizeof(*r));
	s.prp1 = BUS(RIG_LIST);
	s.cdw10 = n - 1;
	s.cdw11 = NVME_DSM_DEALLOCATE;
	return s;
}

static void deallocate(void **state)
{
	const struct nvme_dsm_range r[] = { { 0, 4, 0 }, { 7, 0, 100 }, { 0, 1, 6 } };
	struct rig *g = *state;
	struct nvme_dsm_range bad[] = { { 0, 1, 0 }, { 0, 2, LAST - 1 } };
	struct nvme_sqe s;
	uint8_t want[4096];

	rig_write(g, 0, 8, 9);
	memcpy(want, g->data, 4096);
	s = dsm(g, r, 3);
	s.cdw11 = 0; /* hints */
	assert_sc(g, 1, s, 0);
	rig_expect(g, 0, 8, 9);
	assert_sc(g, 1, dsm(g, r, 3), 0);
	memset(want, 0, 2048);
	memset(want + 3072, 0, 512);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 8), 0);
	assert_memory_equal(g->data, want, 4096);
	/* One bad range: none is done. */
	rig_write(g, 0, 8, 9);
	assert_bad(g, 1, dsm(g, bad, 2), NVME_SC_LBA_RANGE);
	bad[1] = (struct nvme_dsm_range){ 0, 0xffffffff, UINT64_MAX };
	assert_bad(g, 1, dsm(g, bad, 2), NVME_SC_LBA_RANGE);
	rig_expect(g, 0, 8, 9);
	s = dsm(g, r, 3);
	s.prp1 = UINT64_C(0x800000000);
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
}

static void uncorrectable_blocks(void **state)
{
	struct rig *g = *state;

	rig_write(g, 0, 8, 1);
	assert_sc(g, 1, sqe_rw(NVME_WRITE_UNCORRECTABLE, 3, 2), 0);
	assert_sc(g, 1, sqe_rw(NVME_READ, 3, 1), NVME_SC_READ_ERROR);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 8), NVME_SC_READ_ERROR);
	assert_sc(g, 1, sqe_rw(NVME_COMPARE, 4, 1), NVME_SC_READ_ERROR);
	assert_sc(g, 1, sqe_rw(NVME_VERIFY, 4, 1), NVME_SC_READ_ERROR);
	assert_sc(g, 1, sqe_rw(NVME_READ, 5, 3), 0);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 3), 0);
	rig_write(g, 3, 1, 2);
	rig_expect(g, 3, 1, 2);
	assert_sc(g, 1, sqe_rw(NVME_READ, 4, 1), NVME_SC_READ_ERROR);
	assert_sc(g, 1, sqe_rw(NVME_WRITE_ZEROES, 4, 1), 0);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 8), 0);
	assert_int_equal(fake_counter(g->dev, "media.errors"), 5);
}

/* Memory that cannot be reached fails the command, not the controller. */
static void unreachable_memory(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8), w = sqe_rw(NVME_WRITE, 50, 8);

	rig_write(g, 50, 8, 1);
	s.prp1 = w.prp1 = UINT64_C(0x800000000);
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
	assert_bad(g, 1, w, NVME_SC_DATA_TRANSFER);
	/* The first page is good: what it brought does not count either. */
	w = sqe_rw(NVME_WRITE, 50, 16);
	w.prp2 = UINT64_C(0x800000000);
	assert_bad(g, 1, w, NVME_SC_DATA_TRANSFER);
	fake_map(UINT64_C(0x900000000), g->host, 65536, true, -EIO);
	s.prp1 = UINT64_C(0x900000000);
	assert_int_equal(rig_do(g, 1, s, NULL), NVME_SC_MORE | NVME_SC_DATA_TRANSFER);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY);
}

/* Blocks 0 to 63, to pages of which none touches the next. Return: they are the pattern. */
static bool read_in_pieces(struct rig *g, uint32_t seed)
{
	uint64_t *list = (uint64_t *)(void *)(g->host + RIG_LIST);
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 64);
	uint8_t got[8 * 4096];
	unsigned i;

	memset(g->data, 0xee, 64 * 1024);
	for (i = 1; i < 8; i++)
		list[i - 1] = DATA(8192 * i);
	assert_sc(g, 1, s, 0);
	for (i = 0; i < 8; i++) {
		memcpy(got + i * 4096, g->data + 8192 * i, 4096);
		assert_int_equal(g->data[8192 * i + 4096], 0xee);
	}
	return rig_is_pattern(got, sizeof(got), seed);
}

/* Data that is not in the page cache: nobody waits for it while the door is open. */
static void reads_from_the_disk_of_the_host(void **state)
{
	struct rig *g = *state;
	uint64_t before;
	int i;

	rig_write(g, 0, 64, 1);
	assert_sc(g, 1, FLUSH, 0);
	for (i = 0; i < 8; i++) {
		rig_in_page_cache = i;
		before = fake_data_bytes();
		assert_true(read_in_pieces(g, 1));
		/* Each byte counts once, however it came. */
		assert_int_equal(fake_data_bytes() - before, 64 * 512);
		assert_int_equal(fake_counter(g->dev, "media.slow_reads"), i + 1);
	}
	/* Some of it is in the write cache. */
	rig_in_page_cache = 0;
	rig_write(g, 16, 16, 2);
	rig_expect(g, 16, 16, 2);
	assert_int_equal(fake_counter(g->dev, "media.slow_reads"), 8);
	assert_sc(g, 1, sqe_rw(NVME_READ, 16, 32), 0);
	assert_pattern(g->data, 8192, 2);
	assert_int_equal(fake_counter(g->dev, "media.slow_reads"), 9);
}

static void faults(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e;

	rig_write(g, 0, 8, 1);
	fake_arm(g->dev, "nvme.cmd.error", MDL_FAULT_ERROR, 0, 1);
	assert_sc(g, 1, FLUSH, NVME_SC_INTERNAL);
	fake_arm(g->dev, "nvme.cmd.error", MDL_FAULT_ERROR, 0x4281, 1);
	assert_sc(g, 1, FLUSH, 0x281);
	fake_arm(g->dev, "nvme.media.read", MDL_FAULT_ERROR, 0, 1);
	assert_sc(g, 1, sqe_rw(NVME_READ, 0, 1), NVME_SC_READ_ERROR);
	fake_arm(g->dev, "nvme.media.write", MDL_FAULT_ERROR, 0, 1);
	assert_sc(g, 1, sqe_rw(NVME_WRITE, 0, 1), NVME_SC_WRITE_FAULT);
	rig_expect(g, 0, 8, 1);
	fake_arm(g->dev, "nvme.stall", MDL_FAULT_STALL, 0, 0);
	rig_push(g, 1, FLUSH);
	rig_bell(g, 1);
	rig_run(g);
	rig_none(g, 1);
	assert_true(fake_wakeup(g->dev) > fake_now_ns);
	fake_arm(g->dev, "nvme.stall", MDL_FAULT_NONE, 0, 0);
	fake_now_ns += 2000000;
	rig_run(g);
	rig_take(g, 1);
	fake_arm(g->dev, "nvme.cqe.lost", MDL_FAULT_DROP, 0, 1);
	rig_push(g, 1, sqe_rw(NVME_VERIFY, 0, 1));
	rig_bell(g, 1);
	rig_run(g);
	assert_false(rig_peek(g, 1, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(write_and_read),
		rig_test(blocks_of_4096),
		rig_test(ranges),
		rig_test(bad_commands),
		rig_test(compare),
		rig_test(write_zeroes),
		rig_test(deallocate),
		rig_test(uncorrectable_blocks),
		rig_test(unreachable_memory),
		rig_test(reads_from_the_disk_of_the_host),
		rig_test(faults),
	};

	return cmocka_run_group_tests_name("nvme_io", tests, NULL, NULL);
}
