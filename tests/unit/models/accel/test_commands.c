// SPDX-License-Identifier: MIT
/* What each command does when all is well. */
#include <math.h>

#include "models/accel/accel.h"
#include "tests/unit/models/accel/rig.h"
#include "util/crc32c.h"

#define LOCAL ACCEL_SPACE_LOCAL
#define HOST  ACCEL_SPACE_BUS
#define LINK  ACCEL_SPACE_LINK

/* A list of uneven pieces over [base, base + len), every second gap left out. Return: elements. */
static uint32_t uneven(struct accel_sge *e, uint64_t base, uint64_t len, uint32_t space,
		       uint64_t unit)
{
	uint64_t piece = unit, sum = 0, at = base;
	uint32_t n = 0;

	while (sum < len) {
		piece = (piece * 7 + 3 * unit) % 9001 / unit * unit + unit;
		if (piece > len - sum)
			piece = len - sum;
		e[n++] = (struct accel_sge){ .addr = at, .len = piece, .space = space };
		sum += piece;
		at += piece + unit * 5;
	}
	return n;
}

/* Gather the bytes a list names out of memory. */
static void gather(uint8_t *out, const uint8_t *mem, const struct accel_sge *e, uint32_t n)
{
	while (n--) {
		memcpy(out, mem + e->addr, e->len);
		out += e++->len;
	}
}

static void nop_and_ring_fence(void **state)
{
	struct accel_sqe s = { .opcode = ACCEL_OP_NOP, .cmd_id = ~0u, .imm = ~0ull };
	struct rig *g = *state;

	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, ~0ull, 0);
	s = (struct accel_sqe){ .opcode = ACCEL_OP_FENCE };
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 0, 0);
	s.param = ACCEL_FENCE_DEVICE;
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 0, 0);
}

static void copies(void **state)
{
	static const uint64_t lens[] = { 1, 3, 8, 4095, 262144, 262145, 1000003 };
	struct rig *g = *state;
	struct accel_sqe s;
	unsigned i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		rig_pattern(g->data, lens[i] + 2, i);
		memset(g->vram + 0x100000, 0x11, lens[i] + 2);
		s = sqe_copy(LOCAL, 0x100001, HOST, BUS(1), lens[i]);
		assert_cqe(rig_do(g, &s), ACCEL_OK, 0, lens[i], lens[i]);
		assert_memory_equal(g->vram + 0x100001, g->data + 1, lens[i]);
		assert_int_equal(g->vram[0x100000], 0x11);
		assert_int_equal(g->vram[0x100001 + lens[i]], 0x11);
		s = sqe_copy(LOCAL, 0x800000, LOCAL, 0x100000, lens[i]);
		rig_do(g, &s);
		assert_memory_equal(g->vram + 0x800000, g->vram + 0x100000, lens[i]);
		memset(g->data, 0, lens[i]);
		s = sqe_copy(HOST, BUS(0), LOCAL, 0x800000, lens[i]);
		rig_do(g, &s);
		assert_memory_equal(g->data, g->vram + 0x100000, lens[i]);
	}
}

static void copy_with_lists(void **state)
{
	static struct accel_sge src[4096], dst[4096];
	static uint8_t a[1 << 20], b[1 << 20];
	const uint64_t len = 1 << 20;
	struct rig *g = *state;
	uint32_t n_src, n_dst;
	struct accel_sqe s;

	rig_pattern(g->vram, 4 << 20, 9);
	n_src = uneven(src, 17, len, LOCAL, 1);
	n_dst = uneven(dst, 0x1000003, len, LOCAL, 3);
	s = sqe_copy(0, 0, 0, 0, len);
	rig_src_list(g, &s, 0, src, n_src);
	rig_dst_list(g, &s, 0x80000, dst, n_dst);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, len, len);
	gather(a, g->vram, src, n_src);
	gather(b, g->vram, dst, n_dst);
	assert_memory_equal(a, b, len);
	assert_int_equal(g->vram[dst[0].addr - 1], 0);
	assert_int_equal(g->vram[dst[0].addr + dst[0].len], 0);
}

/* As many elements as there may be, of one byte each, alternating between spaces. */
static void longest_list(void **state)
{
	static struct accel_sge e[4096];
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0x300000, 0, 0, 4096);
	unsigned i;

	rig_pattern(g->vram, 4096, 1);
	rig_pattern(g->data, 4096, 2);
	for (i = 0; i < 4096; i++)
		e[i] = (struct accel_sge){ .addr = i % 2 ? 4095 - i : BUS(i),
					   .len = 1,
					   .space = i % 2 ? LOCAL : HOST };
	rig_src_list(g, &s, 0x80000, e, 4096);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 4096, 4096);
	for (i = 0; i < 4096; i++)
		assert_int_equal(g->vram[0x300000 + i], i % 2 ? g->vram[4095 - i] : g->data[i]);
}

static void fills(void **state)
{
	static const unsigned sizes[] = { 1, 2, 4, 8 };
	static struct accel_sge e[4096];
	static uint8_t got[300001];
	const uint64_t pattern = 0x8877665544332211, len = 300001;
	struct rig *g = *state;
	struct accel_sqe s;
	uint64_t i;
	unsigned k, n;

	for (k = 0; k < 4; k++) {
		memset(g->vram, 0, 1 << 20);
		s = sqe_fill(LOCAL, 0, len, sizes[k],
			     sizes[k] == 8 ? pattern : pattern & ((1ull << 8 * sizes[k]) - 1));
		n = uneven(e, 3, len, LOCAL, 1);
		rig_dst_list(g, &s, 0, e, n);
		assert_cqe(rig_do(g, &s), ACCEL_OK, 0, len, len);
		gather(got, g->vram, e, n);
		for (i = 0; i < len; i++)
			assert_int_equal(got[i], (uint8_t)(0x11 * (i % sizes[k] + 1)));
		assert_int_equal(g->vram[2], 0);
		assert_int_equal(g->vram[e[n - 1].addr + e[n - 1].len], 0);
	}
}

static void crcs(void **state)
{
	static struct accel_sge e[4096];
	static uint8_t flat[700001];
	struct rig *g = *state;
	struct accel_sqe s = {
		.opcode = ACCEL_OP_CRC32C, .len = 9, .src_addr = BUS(1), .src_space = HOST
	};
	uint32_t first, n;

	memcpy(g->data + 1, "123456789", 9);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 0xe3069283, 9);
	/* In two parts. */
	s.len = 4;
	first = (uint32_t)rig_do(g, &s).result;
	s.imm = first;
	s.src_addr = BUS(5);
	s.len = 5;
	assert_int_equal(rig_do(g, &s).result, 0xe3069283);
	/* Long and scattered, against the CRC of the same bytes in a row. */
	rig_pattern(g->vram, 2 << 20, 4);
	n = uneven(e, 1, sizeof(flat), LOCAL, 1);
	gather(flat, g->vram, e, n);
	s = (struct accel_sqe){ .opcode = ACCEL_OP_CRC32C, .len = sizeof(flat) };
	rig_src_list(g, &s, 0, e, n);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, util_crc32c_portable(0, flat, sizeof(flat)),
		   sizeof(flat));
}

static void compares(void **state)
{
	static const uint64_t at[] = { 0, 1, 262143, 262144, 599999 };
	const uint64_t len = 600000;
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0, HOST, BUS(0), len);
	unsigned i;

	s.opcode = ACCEL_OP_COMPARE;
	rig_pattern(g->vram, len, 5);
	memcpy(g->data, g->vram, len);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, len, len);
	for (i = 5; i-- > 0;) {
		g->vram[at[i]] ^= 0x10;
		assert_cqe(rig_do(g, &s), ACCEL_MISCOMPARE, 0, at[i],
			   g->data[at[i]] | g->vram[at[i]] << 8);
	}
	assert_int_equal(fake_irqs(g->dev, 1), 5);
}

static void adds_integers(void **state)
{
	static const uint32_t x[] = { 1, 0xffffffff, 0x80000000, 0x7fffffff, 0, 12345 };
	static const uint32_t y[] = { 2, 1, 0x80000000, 1, 0, 0xfffffff6 };
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0x100, HOST, BUS(0), sizeof(x));
	uint32_t sum;
	unsigned type, i;

	s.opcode = ACCEL_OP_ADD;
	for (type = 0; type < 2; type++) {
		s.param = (uint16_t)type;
		memcpy(g->data, x, sizeof(x));
		memcpy(g->vram + 0x100, y, sizeof(y));
		assert_cqe(rig_do(g, &s), ACCEL_OK, 0, sizeof(x), sizeof(x));
		for (i = 0; i < 6; i++) {
			memcpy(&sum, g->vram + 0x100 + 4 * i, 4);
			assert_int_equal(sum, (uint32_t)(x[i] + y[i]));
		}
		assert_memory_equal(g->data, x, sizeof(x));
	}
}

static void adds_floats(void **state)
{
	static const float x[] = { 1.5f, 0.1f, 3e38f, 1e-45f, 16777216.0f, -0.0f };
	static const float y[] = { 2.25f, 0.2f, 3e38f, 1e-45f, 1.0f, 0.0f };
	/* Bits, by IEEE 754 and not by this compiler: 3.75, 0.3, inf, two subnormals, even, +0 */
	static const uint32_t want[] = { 0x40700000, 0x3e99999a, 0x7f800000,
					 0x00000002, 0x4b800000, 0x00000000 };
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0, HOST, BUS(0), sizeof(x));
	float nan = NAN, got;

	s.opcode = ACCEL_OP_ADD;
	s.param = ACCEL_ADD_F32;
	memcpy(g->data, x, sizeof(x));
	memcpy(g->vram, y, sizeof(y));
	rig_do(g, &s);
	assert_memory_equal(g->vram, want, sizeof(want));
	memcpy(g->data, &nan, 4);
	rig_do(g, &s);
	memcpy(&got, g->vram, 4);
	assert_true(isnan(got));
}

static void adds_scattered(void **state)
{
	static struct accel_sge src[4096], dst[4096];
	static uint32_t x[150001], y[150001], z[150001];
	const uint64_t len = sizeof(x);
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(0, 0, 0, 0, len);
	struct accel_sqe odd = sqe_copy(LOCAL, 0x2000000, LOCAL, 0, 3);
	uint32_t n_src, n_dst, i;
	struct accel_cqe cqe;

	s.opcode = ACCEL_OP_ADD;
	rig_pattern(g->vram, 8 << 20, 6);
	n_src = uneven(src, 4, len, LOCAL, 4);
	n_dst = uneven(dst, 0x400004, len, LOCAL, 12);
	gather((uint8_t *)x, g->vram, src, n_src);
	gather((uint8_t *)y, g->vram, dst, n_dst);
	rig_src_list(g, &s, 0, src, n_src);
	rig_dst_list(g, &s, 0x80000, dst, n_dst);
	/* Three bytes of the turn are gone before the addition begins. */
	rig_push(g, 0, &odd);
	rig_push(g, 0, &s);
	rig_bell(g, 0);
	rig_run(g);
	rig_take(g, 0, &cqe);
	rig_take(g, 0, &cqe);
	assert_cqe(cqe, ACCEL_OK, 0, len, len);
	gather((uint8_t *)z, g->vram, dst, n_dst);
	for (i = 0; i < len / 4; i++)
		assert_int_equal(z[i], (uint32_t)(x[i] + y[i]));
}

static void writes(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = { .opcode = ACCEL_OP_WRITE,
			       .len = 8,
			       .imm = 0x1122334455667788,
			       .dst_addr = BUS(8),
			       .dst_space = HOST };
	uint64_t got[3];

	memset(g->data, 0xff, 24);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 0x1122334455667788, 8);
	memcpy(got, g->data, 24);
	assert_true(got[0] == ~0ull && got[1] == 0x1122334455667788 && got[2] == ~0ull);
	s.len = 4;
	s.imm = 0xdeadbeef;
	s.dst_addr = BUS(12);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 0xdeadbeef, 4);
	memcpy(got, g->data, 24);
	assert_true(got[0] == ~0ull && got[1] == 0xdeadbeef55667788 && got[2] == ~0ull);
}

static void over_the_link(void **state)
{
	struct rig *g = *state;
	struct mdl_device *peer;
	struct accel_sqe s = sqe_copy(LINK, 0x1000, LOCAL, 0x2000, 300000);
	uint8_t *far;

	assert_int_equal(fake_r32(g->dev, ACCEL_LINK_STATUS), 0);
	s.cmd_id = 1;
	assert_cqe(rig_do(g, &s), ACCEL_LINK_DOWN, ACCEL_WHERE_DESC, 0, 0x20);
	assert_int_equal(accel_create(NULL, "acc1", 2 * RIG_VRAM, &peer), 0);
	fake_kicked(peer);
	far = fake_local(peer);
	fake_link(g->dev, peer);
	assert_int_equal(fake_r32(g->dev, ACCEL_LINK_STATUS), 3);
	assert_int_equal(fake_r64(g->dev, ACCEL_LINK_SIZE), 2 * RIG_VRAM);
	assert_int_equal(fake_r64(peer, ACCEL_LINK_SIZE), RIG_VRAM);
	rig_pattern(g->vram + 0x2000, 300000, 8);
	assert_cqe(rig_do(g, &s), ACCEL_OK, 0, 300000, 300000);
	assert_memory_equal(far + 0x1000, g->vram + 0x2000, 300000);
	s.opcode = ACCEL_OP_COMPARE;
	s.dst_addr = 2 * RIG_VRAM - 300000;
	assert_int_equal(rig_do(g, &s).status, ACCEL_MISCOMPARE);
	s.dst_addr++;
	assert_cqe(rig_do(g, &s), ACCEL_BAD_RANGE, ACCEL_WHERE_DESC, 0, 0x20);
	fake_w32(g->dev, ACCEL_EVENT_ENABLE, ACCEL_EVENT_LINK);
	fake_link_set(peer, false);
	assert_int_equal(fake_r32(g->dev, ACCEL_LINK_STATUS), ACCEL_LINK_PRESENT);
	assert_int_equal(fake_r64(g->dev, ACCEL_LINK_SIZE), 0);
	assert_int_equal(fake_r32(g->dev, ACCEL_EVENT), ACCEL_EVENT_LINK);
	assert_int_equal(fake_r32(peer, ACCEL_EVENT), ACCEL_EVENT_LINK);
	assert_int_equal(fake_irqs(g->dev, 0), 1);
	assert_cqe(rig_do(g, &s), ACCEL_LINK_DOWN, ACCEL_WHERE_DESC, 0, 0x20);
	fake_link_set(peer, true);
	mdl_device_destroy(peer);
}

static void counters_of_bytes(void **state)
{
	struct rig *g = *state;
	struct accel_sqe s = sqe_copy(LOCAL, 0, HOST, BUS(0), 1000);

	rig_do(g, &s);
	rig_do(g, &s);
	s = sqe_fill(LOCAL, 0, 77, 1, 0);
	rig_do(g, &s);
	assert_int_equal(fake_counter(g->dev, "cmd.copy"), 2);
	assert_int_equal(fake_counter(g->dev, "bytes.copy"), 2000);
	assert_int_equal(fake_counter(g->dev, "bytes.fill"), 77);
	assert_int_equal(fake_counter(g->dev, "db.sq"), 3);
	assert_int_equal(fake_counter(g->dev, "db.cq"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nop_and_ring_fence), rig_test(copies),	       rig_test(copy_with_lists),
		rig_test(longest_list),	      rig_test(fills),	       rig_test(crcs),
		rig_test(compares),	      rig_test(adds_integers), rig_test(adds_floats),
		rig_test(adds_scattered),     rig_test(writes),	       rig_test(over_the_link),
		rig_test(counters_of_bytes),
	};

	return cmocka_run_group_tests_name("accel_commands", tests, NULL, NULL);
}
