// SPDX-License-Identifier: MIT
/* Every command of the accelerator, with every kind of memory it can reach. */
#include <errno.h>
#include <string.h>

#include "tests/guest/rig.h"
#include "util/crc32c.h"

#define ODD_LEN (3 * 65536 + 4096 + 8)

static void nop_gives_back_its_word(void)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_NOP, .imm = 0x123456789abcdef0, .cookie = 7 };
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	done = rig_do(&r, 0, &cmd);
	CHECK(done.result == cmd.imm);
	CHECK_EQ(done.info, 0);
	rig_close(&r);
}

/* The bytes of one copy, and no others, are counted, each on its way. */
static void check_route(struct rig *r, const struct kit_bytes *before, enum rig_kind src,
			enum rig_kind dst, uint64_t len)
{
	struct kit_bytes after = rig_bytes(r, 0), d = kit_bytes_since(before, &after);

	for (int t = 0; t < KIT_TARGETS; t++) {
		CHECK_EQ(d.read[t], t == (int)rig_target(r, src) ? len : 0);
		CHECK_EQ(d.write[t], t == (int)rig_target(r, dst) ? len : 0);
	}
}

static void copy_between(struct rig *r, enum rig_kind from, enum rig_kind to)
{
	struct rig_area src, dst;
	struct kit_bytes before;
	struct pdmai_accel_done done;
	uint64_t seed = 100 + from * 10 + to;

	rig_area(r, 0, from, ODD_LEN, 24, &src);
	rig_area(r, 0, to, ODD_LEN, 4088, &dst);
	rig_area_fill(&src, seed);
	rig_area_fill(&dst, ~seed);
	before = rig_bytes(r, 0);
	done = rig_copy(r, 0, &dst, &src);
	CHECK_EQ(done.result, ODD_LEN);
	CHECK_EQ(done.info, ODD_LEN);
	RIG_CHECK_AREA(&dst, seed);
	RIG_CHECK_AREA(&src, seed);
	check_route(r, &before, from, to, ODD_LEN);
	rig_area_free(&src);
	rig_area_free(&dst);
}

static void copy_between_all_kinds_of_memory(void)
{
	struct rig r;

	rig_open(&r, false);
	for (int from = 0; from < RIG_KINDS; from++)
		for (int to = 0; to < RIG_KINDS; to++)
			if (rig_has(&r, from) && rig_has(&r, to))
				copy_between(&r, from, to);
	rig_close(&r);
}

/* Cut an area into n pieces of growing length; the last takes the rest. */
static void cut(const struct rig_area *a, struct pdmai_accel_mem *pieces, unsigned n, uint64_t step)
{
	uint64_t off = 0;

	for (unsigned k = 0; k < n; k++) {
		uint64_t len = k + 1 < n ? step * (k + 1) : a->len - off;

		pieces[k] = (struct pdmai_accel_mem){ a->mem.space, a->mem.addr + off, len };
		off += len;
	}
}

static void copy_by_lists_cut_in_different_ways(void)
{
	struct pdmai_accel_mem from[7], to[13];
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_COPY, .len = ODD_LEN, .src = from, .dst = to, .n_src = 7, .n_dst = 13
	};
	struct rig_area src, dst;
	struct rig r;

	rig_open(&r, false);
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		if (!rig_has(&r, kind))
			continue;
		rig_area(&r, 0, kind, ODD_LEN, 0, &src);
		rig_area(&r, 0, RIG_OWN, ODD_LEN, 16, &dst);
		cut(&src, from, 7, 4097);
		cut(&dst, to, 13, 511);
		rig_area_fill(&src, 5 + (uint64_t)kind);
		rig_area_fill(&dst, 0);
		rig_do(&r, 0, &cmd);
		RIG_CHECK_AREA(&dst, 5 + (uint64_t)kind);
		rig_area_free(&src);
	}
	rig_close(&r);
}

static void fill_repeats_its_pattern_and_cuts_the_last(void)
{
	static const uint64_t imm = 0x8877665544332211;
	struct rig_area dst;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, 1024, 0, &dst);
	for (unsigned size = 1; size <= 8; size *= 2) {
		struct pdmai_accel_mem mem = { ACCEL_SPACE_LOCAL, dst.mem.addr + 3, 1003 };
		struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_FILL,
					       .param = (uint16_t)size,
					       .len = 1003,
					       .dst = &mem,
					       .n_dst = 1 };
		const uint8_t *cpu = (const uint8_t *)dst.cpu;

		cmd.imm = size == 8 ? imm : imm & ((1ull << (8 * size)) - 1);
		memset(dst.cpu, 0xee, 1024);
		rig_do(&r, 0, &cmd);
		for (unsigned k = 0; k < 1024; k++) {
			uint8_t inside = (uint8_t)(imm >> (8 * ((k - 3) % size)));

			CHECK_EQ(cpu[k], k < 3 || k >= 1006 ? 0xee : inside);
		}
	}
	rig_guards_check(&dst, __FILE__, __LINE__);
	rig_close(&r);
}

static void crc32c_of_the_standard_text(void)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_CRC32C, .len = 9, .n_src = 1 };
	struct pdmai_accel_mem mem;
	struct rig_area src;
	struct rig r;

	rig_open(&r, false);
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		if (!rig_has(&r, kind))
			continue;
		rig_area(&r, 0, kind, 64, 0, &src);
		memcpy(src.cpu, "123456789", 9);
		mem = (struct pdmai_accel_mem){ src.mem.space, src.mem.addr, 9 };
		cmd.src = &mem;
		CHECK_EQ(rig_do(&r, 0, &cmd).result, 0xe3069283);
		rig_area_free(&src);
	}
	rig_close(&r);
}

static void crc32c_in_parts_equals_the_whole(void)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_CRC32C, .n_src = 1 };
	struct pdmai_accel_mem mem;
	uint64_t cut_at = 70001;
	struct rig_area src;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_PEER, ODD_LEN, 8, &src);
	rig_area_fill(&src, 77);
	mem = src.mem;
	cmd.src = &mem;
	cmd.len = mem.len = cut_at;
	cmd.imm = rig_do(&r, 0, &cmd).result;
	CHECK_EQ(cmd.imm, util_crc32c(0, src.cpu, cut_at));
	mem.addr += cut_at;
	cmd.len = mem.len = ODD_LEN - cut_at;
	CHECK_EQ(rig_do(&r, 0, &cmd).result, util_crc32c(0, src.cpu, ODD_LEN));
	rig_close(&r);
}

static void compare_finds_the_first_difference(void)
{
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_COMPARE, .len = ODD_LEN, .n_src = 1, .n_dst = 1
	};
	struct rig_area a, b;
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, ODD_LEN, 0, &a);
	rig_area(&r, 0, RIG_PEER, ODD_LEN, 8, &b);
	rig_area_fill(&a, 3);
	rig_area_fill(&b, 3);
	cmd.src = &a.mem;
	cmd.dst = &b.mem;
	CHECK_EQ(rig_do(&r, 0, &cmd).result, ODD_LEN);
	b.cpu[150001] ^= 0x10;
	b.cpu[150900] ^= 0x01;
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(done.status, ACCEL_MISCOMPARE);
	CHECK_EQ(done.err, -EBADMSG);
	CHECK_EQ(done.result, 150001);
	CHECK_EQ(done.info, (uint8_t)a.cpu[150001] | (uint64_t)(uint8_t)b.cpu[150001] << 8);
	rig_close(&r);
}

static void add_integers_and_floats(void)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_ADD, .len = 16, .n_src = 1, .n_dst = 1 };
	static const uint32_t a[4] = { 1, 0xffffffff, 0x80000000, 5 };
	static const uint32_t b[4] = { 2, 1, 0x80000000, 0xfffffffe };
	static const float fa[4] = { 1.5f, -2.25f, 1e30f, 0.1f },
			   fb[4] = { 2.5f, 2.25f, 1.f, 0.2f };
	struct rig_area src, dst;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_PEER, 16, 0, &src);
	rig_area(&r, 0, RIG_OWN, 16, 0, &dst);
	cmd.src = &src.mem;
	cmd.dst = &dst.mem;
	for (uint16_t type = ACCEL_ADD_U32; type <= ACCEL_ADD_I32; type++) {
		memcpy(src.cpu, a, 16);
		memcpy(dst.cpu, b, 16);
		cmd.param = type;
		rig_do(&r, 0, &cmd);
		for (int k = 0; k < 4; k++)
			CHECK_EQ(((uint32_t *)dst.cpu)[k], a[k] + b[k]);
	}
	memcpy(src.cpu, fa, 16);
	memcpy(dst.cpu, fb, 16);
	cmd.param = ACCEL_ADD_F32;
	rig_do(&r, 0, &cmd);
	for (int k = 0; k < 4; k++) {
		float sum = fa[k] + fb[k];

		CHECK(!memcmp(dst.cpu + 4 * k, &sum, sizeof(sum)));
	}
	rig_guards_check(&dst, __FILE__, __LINE__);
	rig_close(&r);
}

static void write_stores_a_word_in_any_memory(void)
{
	struct rig_area dst;
	struct rig r;

	rig_open(&r, false);
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct pdmai_accel_cmd cmd = {
			.op = ACCEL_OP_WRITE, .len = 8, .n_dst = 1, .imm = 0xfedcba9876543210
		};

		if (!rig_has(&r, kind))
			continue;
		rig_area(&r, 0, kind, 16, 0, &dst);
		memset(dst.cpu, 0x55, 16);
		cmd.dst = &dst.mem;
		CHECK(rig_do(&r, 0, &cmd).result == cmd.imm);
		CHECK(*(uint64_t *)dst.cpu == cmd.imm);
		cmd.len = 4;
		cmd.imm = 0x01020304;
		rig_do(&r, 0, &cmd);
		CHECK_EQ(*(uint32_t *)dst.cpu, 0x01020304);
		CHECK_EQ(((uint32_t *)dst.cpu)[1], 0xfedcba98);
		CHECK(((uint64_t *)dst.cpu)[1] == 0x5555555555555555);
		rig_area_free(&dst);
	}
	rig_close(&r);
}

/* A fence of the device on one ring ends after what was submitted on another before it. */
static void fence_waits_for_another_ring(void)
{
	struct pdmai_accel_cmd fill = {
		.op = ACCEL_OP_FILL, .param = 8, .len = 48 << 20, .imm = 0xabcdef, .n_dst = 1
	};
	struct pdmai_accel_cmd fence = { .op = ACCEL_OP_FENCE, .param = ACCEL_FENCE_DEVICE };
	struct pdmai_accel_done done;
	struct pdmai_accel_ring *other;
	struct rig_area dst;
	struct rig r;

	rig_open(&r, false);
	other = rig_ring(
		&r, 0,
		(struct pdmai_accel_ring_config){ .idx = 3, .size_log2 = 3, .place = r.place });
	rig_area(&r, 0, RIG_OWN, fill.len, 0, &dst);
	fill.dst = &dst.mem;
	CHECK_EQ(pdmai_accel_submit(other, &fill), 0);
	rig_do(&r, 0, &fence);
	CHECK_EQ(*(uint64_t *)(dst.cpu + dst.len - 8), 0xabcdef);
	/* What it waited for is complete, so it is there without waiting. */
	CHECK_EQ(pdmai_accel_poll(other, &done, 1), 1);
	CHECK_EQ(done.err, 0);
	fence.param = ACCEL_FENCE_RING;
	rig_do(&r, 0, &fence);
	pdmai_accel_ring_destroy(other);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	{ "nop_gives_back_its_word", nop_gives_back_its_word, TAP_ANYWHERE },
	{ "copy_between_all_kinds_of_memory", copy_between_all_kinds_of_memory, TAP_ANYWHERE },
	{ "copy_by_lists_cut_in_different_ways", copy_by_lists_cut_in_different_ways,
	  TAP_ANYWHERE },
	{ "fill_repeats_its_pattern_and_cuts_the_last", fill_repeats_its_pattern_and_cuts_the_last,
	  TAP_ANYWHERE },
	{ "crc32c_of_the_standard_text", crc32c_of_the_standard_text, TAP_ANYWHERE },
	{ "crc32c_in_parts_equals_the_whole", crc32c_in_parts_equals_the_whole, TAP_ANYWHERE },
	{ "compare_finds_the_first_difference", compare_finds_the_first_difference, TAP_ANYWHERE },
	{ "add_integers_and_floats", add_integers_and_floats, TAP_ANYWHERE },
	{ "write_stores_a_word_in_any_memory", write_stores_a_word_in_any_memory, TAP_ANYWHERE },
	{ "fence_waits_for_another_ring", fence_waits_for_another_ring, TAP_ANYWHERE },
};

TAP_MAIN(tests)
