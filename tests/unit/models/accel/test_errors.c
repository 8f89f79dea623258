// SPDX-License-Identifier: MIT
/* Every status of a malformed command and of memory that cannot be reached: SPEC.rst 7. */
#include <errno.h>

#include "tests/unit/models/accel/rig.h"

#define LOCAL ACCEL_SPACE_LOCAL
#define HOST  ACCEL_SPACE_BUS
#define LINK  ACCEL_SPACE_LINK
#define DESC  ACCEL_WHERE_DESC

/* Good entries to spoil. */
static struct accel_sqe copy_ok(void)
{
	return sqe_copy(LOCAL, 0x1000, HOST, BUS(0x1000), 0x100);
}

static struct accel_sqe fill_ok(void)
{
	return sqe_fill(LOCAL, 0x1000, 0x100, 4, 0);
}

static struct accel_sqe add_ok(void)
{
	struct accel_sqe s = copy_ok();

	s.opcode = ACCEL_OP_ADD;
	return s;
}

static struct accel_sqe crc_ok(void)
{
	return (struct accel_sqe){
		.opcode = ACCEL_OP_CRC32C, .len = 16, .src_space = LOCAL, .src_addr = 0
	};
}

static struct accel_sqe write_ok(void)
{
	return (struct accel_sqe){
		.opcode = ACCEL_OP_WRITE, .len = 4, .dst_space = LOCAL, .dst_addr = 4
	};
}

static void expect(struct rig *g, struct accel_sqe s, uint16_t status, uint8_t where, uint64_t info)
{
	uint64_t before = fake_data_bytes();
	struct accel_cqe cqe = rig_do(g, &s);

	assert_cqe(cqe, status, where, 0, info);
	assert_int_equal(fake_data_bytes(), before);
}

#define SPOILT(good, field, val, status, info)         \
	do {                                           \
		struct accel_sqe s_ = good();          \
		s_.field = (val);                      \
		expect(g, s_, (status), DESC, (info)); \
	} while (0)

static void good_ones_are_good(void **state)
{
	struct accel_sqe all[] = { copy_ok(), fill_ok(), add_ok(), crc_ok(), write_ok() };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_int_equal(rig_do(g, &all[i]).status, ACCEL_OK);
}

static void opcode_flags_reserved(void **state)
{
	struct rig *g = *state;
	unsigned i;

	SPOILT(copy_ok, opcode, 8, ACCEL_BAD_OPCODE, 0);
	SPOILT(copy_ok, opcode, 255, ACCEL_BAD_OPCODE, 0);
	SPOILT(copy_ok, flags, 8, ACCEL_BAD_FLAGS, 1);
	SPOILT(copy_ok, flags, 0x80, ACCEL_BAD_FLAGS, 1);
	SPOILT(fill_ok, flags, ACCEL_SQE_SRC_SGL, ACCEL_BAD_FLAGS, 1);
	SPOILT(crc_ok, flags, ACCEL_SQE_DST_SGL, ACCEL_BAD_FLAGS, 1);
	SPOILT(write_ok, flags, ACCEL_SQE_DST_SGL, ACCEL_BAD_FLAGS, 1);
	for (i = 0; i < 14; i++)
		SPOILT(copy_ok, rsvd[i], 1, ACCEL_BAD_FIELD, 0x32 + i);
}

static void unused_fields(void **state)
{
	struct rig *g = *state;
	struct accel_sqe nop = { .opcode = ACCEL_OP_NOP, .len = 1 };

	expect(g, nop, ACCEL_BAD_FIELD, DESC, 0x08);
	SPOILT(copy_ok, imm, 1, ACCEL_BAD_FIELD, 0x10);
	SPOILT(fill_ok, src_addr, 1, ACCEL_BAD_FIELD, 0x18);
	SPOILT(crc_ok, dst_addr, 1, ACCEL_BAD_FIELD, 0x20);
	SPOILT(copy_ok, src_count, 1, ACCEL_BAD_FIELD, 0x28);
	SPOILT(copy_ok, dst_count, 1, ACCEL_BAD_FIELD, 0x2c);
	SPOILT(fill_ok, src_space, 1, ACCEL_BAD_FIELD, 0x30);
	SPOILT(crc_ok, dst_space, 1, ACCEL_BAD_FIELD, 0x31);
}

static void params_and_imm(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 5, 7, 9, 16, 0xffff };
	struct rig *g = *state;
	struct accel_sqe s;
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		SPOILT(fill_ok, param, sizes[i], ACCEL_BAD_PARAM, 2);
	SPOILT(copy_ok, param, 1, ACCEL_BAD_PARAM, 2);
	SPOILT(add_ok, param, 3, ACCEL_BAD_PARAM, 2);
	s = (struct accel_sqe){ .opcode = ACCEL_OP_FENCE, .param = 2 };
	expect(g, s, ACCEL_BAD_PARAM, DESC, 2);
	SPOILT(fill_ok, imm, 1ull << 32, ACCEL_BAD_FIELD, 0x10);
	s = sqe_fill(LOCAL, 0, 1, 1, 0x100);
	expect(g, s, ACCEL_BAD_FIELD, DESC, 0x10);
	SPOILT(crc_ok, imm, 1ull << 32, ACCEL_BAD_FIELD, 0x10);
	SPOILT(write_ok, imm, 1ull << 32, ACCEL_BAD_FIELD, 0x10);
}

static void lengths(void **state)
{
	struct rig *g = *state;

	SPOILT(copy_ok, len, 0, ACCEL_BAD_LENGTH, 8);
	SPOILT(copy_ok, len, (1ull << 40) + 1, ACCEL_BAD_LENGTH, 8);
	SPOILT(copy_ok, len, ~0ull, ACCEL_BAD_LENGTH, 8);
	SPOILT(add_ok, len, 6, ACCEL_BAD_LENGTH, 8);
	SPOILT(write_ok, len, 0, ACCEL_BAD_LENGTH, 8);
	SPOILT(write_ok, len, 2, ACCEL_BAD_LENGTH, 8);
	SPOILT(write_ok, len, 16, ACCEL_BAD_LENGTH, 8);
}

static void spaces_counts_alignment(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s;

	SPOILT(copy_ok, src_space, 3, ACCEL_BAD_SPACE, 0x30);
	SPOILT(copy_ok, dst_space, 0xff, ACCEL_BAD_SPACE, 0x31);
	SPOILT(copy_ok, flags, ACCEL_SQE_SRC_SGL, ACCEL_BAD_COUNT, 0x28);
	SPOILT(copy_ok, flags, ACCEL_SQE_DST_SGL, ACCEL_BAD_COUNT, 0x2c);
	s = copy_ok();
	s.flags = ACCEL_SQE_SRC_SGL;
	s.src_count = 4097;
	expect(g, s, ACCEL_BAD_COUNT, DESC, 0x28);
	s.src_count = 1;
	s.src_addr += 4;
	expect(g, s, ACCEL_BAD_ALIGN, DESC, 0x18);
	SPOILT(add_ok, src_addr, BUS(2), ACCEL_BAD_ALIGN, 0x18);
	SPOILT(add_ok, dst_addr, 0x1001, ACCEL_BAD_ALIGN, 0x20);
	SPOILT(write_ok, dst_addr, 2, ACCEL_BAD_ALIGN, 0x20);
	s = write_ok();
	s.len = 8;
	expect(g, s, ACCEL_BAD_ALIGN, DESC, 0x20);
}

static void ranges(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s;

	SPOILT(copy_ok, dst_addr, RIG_VRAM - 0xff, ACCEL_BAD_RANGE, 0x20);
	SPOILT(copy_ok, dst_addr, RIG_VRAM, ACCEL_BAD_RANGE, 0x20);
	SPOILT(copy_ok, dst_addr, ~0ull, ACCEL_BAD_RANGE, 0x20);
	SPOILT(copy_ok, dst_addr, 0ull - 0x80, ACCEL_BAD_RANGE, 0x20);
	SPOILT(copy_ok, src_addr, 0ull - 0xff, ACCEL_BAD_RANGE, 0x18);
	SPOILT(copy_ok, len, RIG_VRAM, ACCEL_BAD_RANGE, 0x20);
	s = copy_ok();
	s.flags = ACCEL_SQE_SRC_SGL;
	s.src_count = 2;
	s.src_space = LOCAL;
	s.src_addr = RIG_VRAM - 24;
	expect(g, s, ACCEL_BAD_RANGE, DESC, 0x18);
	/* Exactly to the end is inside. */
	s = sqe_fill(LOCAL, RIG_VRAM - 16, 16, 1, 0xee);
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
	assert_int_equal(g->vram[RIG_VRAM - 1], 0xee);
}

static void list_elements(void **state)
{
	static const struct {
		struct accel_sge e;
		uint16_t status;
	} bad[] = {
		{ { .addr = 0, .len = 16, .space = LOCAL, .rsvd = 1 }, ACCEL_BAD_FIELD },
		{ { .addr = 0, .len = 16, .space = 3 }, ACCEL_BAD_SPACE },
		{ { .addr = 0, .len = 16, .space = ~0u }, ACCEL_BAD_SPACE },
		{ { .addr = 0, .len = 0, .space = LOCAL }, ACCEL_SGL_LENGTH },
		{ { .addr = 0, .len = 17, .space = LOCAL }, ACCEL_SGL_LENGTH },
		{ { .addr = 0, .len = ~0ull, .space = LOCAL }, ACCEL_SGL_LENGTH },
		{ { .addr = 2, .len = 16, .space = LOCAL }, ACCEL_BAD_ALIGN },
		{ { .addr = 0, .len = 14, .space = LOCAL }, ACCEL_BAD_ALIGN },
		{ { .addr = RIG_VRAM - 12, .len = 16, .space = LOCAL }, ACCEL_BAD_RANGE },
		{ { .addr = 0ull - 8, .len = 16, .space = HOST }, ACCEL_BAD_RANGE },
		{ { .addr = 0, .len = 16, .space = LINK }, ACCEL_LINK_DOWN },
	};
	struct accel_sge e[2] = { { .addr = 0, .len = 16, .space = LOCAL } };
	struct rig *g = *state;
	struct accel_sqe s;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e[1] = bad[i].e;
		s = add_ok();
		s.len = 32;
		rig_src_list(g, &s, 0x8000, e, 2);
		expect(g, s, bad[i].status, ACCEL_WHERE_SRC_SGL, 1);
		s = add_ok();
		s.len = 32;
		rig_dst_list(g, &s, 0x8000, e, 2);
		expect(g, s, bad[i].status, ACCEL_WHERE_DST_SGL, 1);
	}
}

static void list_too_short(void **state)
{
	struct accel_sge e[2] = { { .addr = 0, .len = 16, .space = LOCAL },
				  { .addr = 64, .len = 15, .space = LOCAL } };
	struct rig *g = *state;
	struct accel_sqe s = copy_ok();

	s.len = 32;
	s.src_addr = BUS(0);
	rig_dst_list(g, &s, 0x8000, e, 2);
	expect(g, s, ACCEL_SGL_LENGTH, ACCEL_WHERE_DST_SGL, 2);
}

static void overlap(void **state)
{
	struct rig *g = *state;
	struct accel_sge many[4] = { { .addr = 0x5000, .len = 0x40, .space = LOCAL },
				     { .addr = 0x1fff, .len = 1, .space = LOCAL },
				     { .addr = 0x9000, .len = 0x40, .space = LOCAL },
				     { .addr = 0x100, .len = 0x7f, .space = HOST } };
	struct accel_sqe s;

	s = sqe_copy(LOCAL, 0x1000, LOCAL, 0x1000, 0x100);
	expect(g, s, ACCEL_OVERLAP, 0, 0);
	s = sqe_copy(LOCAL, 0x1000, LOCAL, 0x10ff, 0x100);
	expect(g, s, ACCEL_OVERLAP, 0, 0);
	s = sqe_copy(LOCAL, 0x10ff, LOCAL, 0x1000, 0x100);
	expect(g, s, ACCEL_OVERLAP, 0, 0);
	s.opcode = ACCEL_OP_ADD;
	s.dst_addr = 0x10fc;
	expect(g, s, ACCEL_OVERLAP, 0, 0);
	s = sqe_copy(LOCAL, 0x1f00, LOCAL, 0, 0x100);
	rig_src_list(g, &s, 0x8000, many, 4);
	expect(g, s, ACCEL_OVERLAP, 0, 0);
	/* Touching is not overlapping; nor is the same number in another space. */
	s = sqe_copy(LOCAL, 0x1100, LOCAL, 0x1000, 0x100);
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
	s = sqe_copy(LOCAL, 0x1000, LOCAL, 0x1100, 0x100);
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
	fake_map(0, g->data, 0x10000, true, 0);
	s = sqe_copy(LOCAL, 0x1000, HOST, 0x1000, 0x100);
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
	s = sqe_copy(LOCAL, 0x2000, LOCAL, 0, 0x100);
	rig_src_list(g, &s, 0x8000, many, 4);
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
	/* COMPARE may read the same bytes twice. */
	s = sqe_copy(LOCAL, 0x1000, LOCAL, 0x1000, 0x100);
	s.opcode = ACCEL_OP_COMPARE;
	assert_int_equal(rig_do(g, &s).status, ACCEL_OK);
}

/* Each kind of failure, at an offset, for each command and side that can meet it. */
static void memory_fails(void **state)
{
	static const struct {
		int err;
		uint16_t status;
	} kinds[] = { { 0, ACCEL_DMA_UNMAPPED },
		      { -EACCES, ACCEL_DMA_DENIED },
		      { -EREMOTEIO, ACCEL_DMA_PEER },
		      { -EIO, ACCEL_DMA_ERROR } };
	static const uint8_t ops[] = { ACCEL_OP_COPY, ACCEL_OP_COMPARE, ACCEL_OP_ADD };
	struct rig *g = *state;
	struct accel_sqe s;
	struct accel_cqe cqe;
	unsigned k, i;

	for (k = 0; k < 4; k++) {
		/* The last 4 KiB of host memory fail. */
		fake_unmap_all();
		fake_map(RIG_HOST, g->host, RIG_HOST_SIZE - 4096, true, 0);
		if (kinds[k].err)
			fake_map(RIG_HOST + RIG_HOST_SIZE - 4096, g->host, 4096, true,
				 kinds[k].err);
		for (i = 0; i < 3; i++) {
			s = sqe_copy(LOCAL, 0x100000, HOST, BUS(RIG_DATA_SIZE - 8192), 8192);
			s.opcode = ops[i];
			memset(g->vram + 0x100000, 0, 8192);
			cqe = rig_do(g, &s);
			assert_int_equal(cqe.status, kinds[k].status);
			assert_int_equal(cqe.where, ACCEL_WHERE_SRC);
			assert_int_equal(cqe.result, RIG_HOST + RIG_HOST_SIZE - 4096);
			assert_int_equal(cqe.info, ops[i] == ACCEL_OP_COPY ? 4096 : 0);
			s = sqe_copy(HOST, BUS(RIG_DATA_SIZE - 8192), LOCAL, 0x100000, 8192);
			s.opcode = ops[i];
			cqe = rig_do(g, &s);
			assert_int_equal(cqe.status, kinds[k].status);
			assert_int_equal(cqe.where, ACCEL_WHERE_DST);
			assert_int_equal(cqe.result, RIG_HOST + RIG_HOST_SIZE - 4096);
		}
		s = sqe_fill(HOST, BUS(RIG_DATA_SIZE - 8192), 8192, 1, 0);
		assert_cqe(rig_do(g, &s), kinds[k].status, ACCEL_WHERE_DST,
			   RIG_HOST + RIG_HOST_SIZE - 4096, 0);
		s = crc_ok();
		s.src_space = HOST;
		s.src_addr = BUS(RIG_DATA_SIZE - 8);
		assert_cqe(rig_do(g, &s), kinds[k].status, ACCEL_WHERE_SRC,
			   RIG_HOST + RIG_HOST_SIZE - 8, 0);
		s = write_ok();
		s.dst_space = HOST;
		s.dst_addr = BUS(RIG_DATA_SIZE - 4);
		assert_cqe(rig_do(g, &s), kinds[k].status, ACCEL_WHERE_DST,
			   RIG_HOST + RIG_HOST_SIZE - 4, 0);
		s = copy_ok();
		s.flags = ACCEL_SQE_SRC_SGL;
		s.src_addr = BUS(RIG_DATA_SIZE - 48);
		s.src_count = 2;
		assert_cqe(rig_do(g, &s), kinds[k].status, ACCEL_WHERE_SRC_SGL,
			   RIG_HOST + RIG_HOST_SIZE - 48, 0);
	}
}

static void bus_master_off(void **state)
{
	struct rig *g = *state;

	fake_bus_master(g->dev, false);
	rig_push(g, 0, &(struct accel_sqe){ 0 });
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(ring_error(g, 0),
			 ACCEL_RING_ERR_SQ_FETCH | (uint32_t)ACCEL_DMA_DENIED << 16);
}

/* Nothing outside the destination changes, whatever went wrong inside. */
static void canaries(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0x10001, HOST, BUS(RIG_DATA_SIZE - 5000), 9999);
	unsigned i;

	memset(g->vram + 0x10000, 0x5a, 0x4000);
	rig_pattern(g->data + RIG_DATA_SIZE - 5000, 5000, 3);
	assert_cqe(rig_do(g, &s), ACCEL_DMA_UNMAPPED, ACCEL_WHERE_SRC, RIG_HOST + RIG_HOST_SIZE,
		   5000);
	assert_memory_equal(g->vram + 0x10001, g->data + RIG_DATA_SIZE - 5000, 5000);
	assert_int_equal(g->vram[0x10000], 0x5a);
	for (i = 0x10001 + 9999; i < 0x14000; i++)
		assert_int_equal(g->vram[i], 0x5a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(good_ones_are_good),
		rig_test(opcode_flags_reserved),
		rig_test(unused_fields),
		rig_test(params_and_imm),
		rig_test(lengths),
		rig_test(spaces_counts_alignment),
		rig_test(ranges),
		rig_test(list_elements),
		rig_test(list_too_short),
		rig_test(overlap),
		rig_test(memory_fails),
		rig_test(bus_master_off),
		rig_test(canaries),
	};

	return cmocka_run_group_tests_name("accel_errors", tests, NULL, NULL);
}
