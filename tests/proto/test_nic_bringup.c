// SPDX-License-Identifier: MIT
/* The NIC's life cycle by commands: order, states, sizes, capabilities, pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/proto/nic_client.h"

#define BAD_OP	      0x02
#define BAD_PARAM     0x03
#define BAD_SYS_STATE 0x04
#define BAD_INP_LEN   0x50
#define BAD_OUTP_LEN  0x51

static void expect(struct nicc *n, int status, int want, uint32_t syndrome)
{
	assert_int_equal(status, want);
	assert_int_equal(n_syndrome(n), syndrome);
}

static void order_of_bring_up(void **state)
{
	static const uint16_t before_enable[] = { 0x100, 0x102, 0x103, 0x105, 0x107,
						  0x108, 0x10a, 0x800, 0x762, 0x805 };
	static const uint16_t before_init[] = { 0x800, 0x802, 0x301, 0x400, 0x500,
						0x200, 0x50d, 0x764, 0xa04 };
	struct nicc *n = *state;
	unsigned i;

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x80d, 0), 0); /* NOP at any time */
	for (i = 0; i < sizeof(before_enable) / 2; i++)
		expect(n, n_simple(n, before_enable[i], 0), BAD_SYS_STATE, 0xd0002);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	expect(n, n_simple(n, 0x104, 0), BAD_SYS_STATE, 0xd0002);
	expect(n, n_simple(n, 0x103, 0), BAD_SYS_STATE, 0xd0002);
	for (i = 0; i < sizeof(before_init) / 2; i++)
		expect(n, n_simple(n, before_init[i], 0), BAD_SYS_STATE, 0xd0002);
	assert_int_equal(n_simple(n, 0x102, 0), 0);
	expect(n, n_simple(n, 0x102, 0), BAD_SYS_STATE, 0xd0002);
	expect(n, n_simple(n, 0x105, 0), BAD_SYS_STATE, 0xd0002);
	assert_int_equal(n_simple(n, 0x800, 0), 0);
}

/* Down and up again, twice; what was made is gone each time. */
static void down_and_up(void **state)
{
	struct nicc *n = *state;
	unsigned i;

	n_bring_up(n);
	for (i = 0; i < 2; i++) {
		n_make(n, 0x800);
		assert_int_equal(n_count(n, "pd"), 1);
		expect(n, n_simple(n, 0x103, 3), BAD_PARAM, 0xd0008);
		assert_int_equal(n_simple(n, 0x103, i), 0);
		assert_int_equal(n_count(n, "pd"), 0);
		expect(n, n_simple(n, 0x800, 0), BAD_SYS_STATE, 0xd0002);
		assert_int_equal(n_simple(n, 0x105, 0), 0);
		expect(n, n_simple(n, 0x102, 0), BAD_SYS_STATE, 0xd0002);
		assert_int_equal(n_simple(n, 0x104, 0), 0);
		assert_int_equal(n_simple(n, 0x102, 0), 0);
	}
}

static void other_functions_do_not_exist(void **state)
{
	struct nicc *n = *state;

	n_set_queue(n);
	expect(n, n_simple(n, 0x104, 1), BAD_PARAM, 0xd0009);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	expect(n, n_simple(n, 0x105, 2), BAD_PARAM, 0xd0009);
	n_begin(n, 0x107, 0, 1);
	n_put32(n, 8, 3);
	expect(n, n_cmd(n, 16, 16), BAD_PARAM, 0xd0009);
	n_begin(n, 0x108, 0, 1);
	n_put32(n, 8, 3);
	expect(n, n_cmd(n, 16, 16), BAD_PARAM, 0xd0009);
}

static void unknown_opcodes(void **state)
{
	static const uint16_t ops[] = { 0x000, 0x106, 0x7ff, 0x93a, 0xfff, 0xffff };
	struct nicc *n = *state;
	unsigned i;

	n_set_queue(n);
	/* In every state: that it is unknown is the first thing said. */
	for (i = 0; i < sizeof(ops) / 2; i++)
		expect(n, n_simple(n, ops[i], 0), BAD_OP, 0xd0001);
	n_bring_up(n);
	for (i = 0; i < sizeof(ops) / 2; i++)
		expect(n, n_simple(n, ops[i], 0), BAD_OP, 0xd0001);
}

static void short_inputs(void **state)
{
	static const struct {
		uint16_t opcode, len;
	} rows[] = {
		{ 0x200, 272 }, { 0x205, 32 },	{ 0x206, 32 },	{ 0x301, 272 }, { 0x304, 80 },
		{ 0x400, 272 }, { 0x403, 272 }, { 0x500, 272 }, { 0x502, 272 }, { 0x503, 272 },
		{ 0x504, 272 }, { 0x50d, 272 }, { 0x700, 272 }, { 0x705, 272 }, { 0x770, 32 },
		{ 0x800, 16 },	{ 0x801, 16 },	{ 0x806, 32 },	{ 0x90c, 272 }, { 0x90d, 272 },
		{ 0xa04, 64 },	{ 0xa08, 48 },	{ 0x10d, 80 },
	};
	struct nicc *n = *state;
	unsigned i;

	n_bring_up(n);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n_begin(n, rows[i].opcode, 0, 0);
		expect(n, n_cmd(n, rows[i].len - 4u, 528), BAD_INP_LEN, 0xd0003);
		/* Long enough, it fails or works for a reason of its own. */
		n_begin(n, rows[i].opcode, 0, 0);
		n_cmd(n, rows[i].len, 528);
		assert_int_not_equal(n_syndrome(n), 0xd0003);
	}
}

static void short_outputs(void **state)
{
	static const struct {
		uint16_t opcode, len;
	} rows[] = {
		{ 0x101, 272 }, { 0x10a, 112 }, { 0x50b, 272 }, { 0x402, 272 }, { 0x201, 272 },
		{ 0x303, 272 }, { 0x702, 272 }, { 0x762, 528 }, { 0x770, 528 }, { 0x800, 16 },
	};
	struct nicc *n = *state;
	unsigned i;

	n_bring_up(n);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n_begin(n, rows[i].opcode, 0, 0);
		expect(n, n_cmd(n, 32, rows[i].len - 4u), BAD_OUTP_LEN, 0xd0004);
		n_begin(n, rows[i].opcode, 0, 0);
		assert_int_not_equal(n_cmd(n, 32, rows[i].len), BAD_OUTP_LEN);
	}
	assert_int_equal(n_count(n, "pd"), 1);
}

/* General capabilities; what is read back after SET is what was set. */
static void capabilities(void **state)
{
	struct nicc *n = *state;
	uint8_t max[256];

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	n_begin(n, 0x100, 0, 0);
	assert_int_equal(n_cmd(n, 16, 272), 0);
	memcpy(max, n->out + 16, 256);
	/* log_max_qp: 65,536 queue pairs */
	assert_int_equal(max[0x13] & 0x1f, 16);
	n_begin(n, 0x109, 0, 0);
	memcpy(n->in + 16, max, 256);
	n->in[16 + 0x13] = 12;
	assert_int_equal(n_cmd(n, 272, 16), 0);
	n_begin(n, 0x100, 0, 1);
	assert_int_equal(n_cmd(n, 16, 272), 0);
	max[0x13] = (uint8_t)((max[0x13] & ~0x1f) | 12);
	assert_memory_equal(n->out + 16, max, 256);
	/* More than there is: nothing of it is taken. */
	n_begin(n, 0x109, 0, 0);
	memcpy(n->in + 16, max, 256);
	n->in[16 + 0x13] = 17;
	n->in[16 + 0x48] &= 0x7f;
	expect(n, n_cmd(n, 272, 16), BAD_PARAM, 0xd0055);
	n_begin(n, 0x100, 0, 1);
	assert_int_equal(n_cmd(n, 16, 272), 0);
	assert_memory_equal(n->out + 16, max, 256);
	/* Pages that do not exist, another function */
	n_begin(n, 0x100, 0, 0x7e);
	expect(n, n_cmd(n, 16, 272), BAD_PARAM, 0xd0017);
	n_begin(n, 0x100, 0, 0);
	n_put32(n, 8, 1u << 31);
	expect(n, n_cmd(n, 16, 272), BAD_PARAM, 0xd0009);
	/* The maximum cannot be set, and after INIT_HCA nothing can. */
	n_begin(n, 0x109, 0, 1);
	expect(n, n_cmd(n, 272, 16), BAD_PARAM, 0xd0008);
	assert_int_equal(n_simple(n, 0x102, 0), 0);
	n_begin(n, 0x109, 0, 0);
	memcpy(n->in + 16, max, 256);
	expect(n, n_cmd(n, 272, 16), BAD_SYS_STATE, 0xd0002);
}

static void interface_step(void **state)
{
	struct nicc *n = *state;

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	n_begin(n, 0x10a, 0, 0);
	assert_int_equal(n_cmd(n, 16, 112), 0);
	assert_int_equal(n_got32(n, 8) & 0xffff, 0);
	assert_int_equal(n_got32(n, 0x6c), 3);
	expect(n, n_simple(n, 0x10b, 2), BAD_PARAM, 0xd0017);
	assert_int_equal(n_simple(n, 0x10b, 1), 0);
	n_begin(n, 0x10a, 0, 0);
	assert_int_equal(n_cmd(n, 16, 112), 0);
	assert_int_equal(n_got32(n, 8) & 0xffff, 1);
	n_flr(n);
	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	n_begin(n, 0x10a, 0, 0);
	assert_int_equal(n_cmd(n, 16, 112), 0);
	assert_int_equal(n_got32(n, 8) & 0xffff, 0);
}

/* ---- pages ---- */

static int32_t wanted(struct nicc *n, uint16_t when)
{
	n_begin(n, 0x107, 0, when);
	assert_int_equal(n_cmd(n, 16, 16), 0);
	return (int32_t)n_got32(n, 12);
}

/* Give pages first .. first + count - 1. */
static int give(struct nicc *n, uint32_t first, uint32_t count)
{
	uint32_t i;

	n_begin(n, 0x108, 0, 1);
	n_put32(n, 12, count);
	for (i = 0; i < count; i++)
		n_put64(n, 16 + i * 8, (first + i) * 0x1000ull);
	return n_cmd(n, 16 + count * 8, 16);
}

static void pages_are_kept_account_of(void **state)
{
	struct nicc *n = *state;
	uint8_t seen[100] = { 0 };
	uint32_t i, at;

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	assert_int_equal(wanted(n, 1), 16);
	assert_int_equal(give(n, 0, 16), 0);
	assert_int_equal(wanted(n, 1), 0);
	assert_int_equal(wanted(n, 2), 48);
	assert_int_equal(give(n, 16, 84), 0);
	assert_int_equal(n_simple(n, 0x102, 0), 0);
	assert_int_equal(wanted(n, 3), -36);
	n_begin(n, 0x108, 0, 2);
	n_put32(n, 12, 200);
	assert_int_equal(n_cmd(n, 16, 16 + 200 * 8), 0);
	assert_int_equal(n_got32(n, 8), 100);
	/* Each page once, and no other. */
	for (i = 0; i < 100; i++) {
		assert_int_equal(n_got32(n, 16 + i * 8), 0);
		at = n_got32(n, 20 + i * 8);
		assert_int_equal(at & 0xfff, 0);
		assert_true(at >> 12 < 100);
		assert_int_equal(seen[at >> 12]++, 0);
	}
	n_begin(n, 0x108, 0, 2);
	n_put32(n, 12, 1);
	assert_int_equal(n_cmd(n, 16, 24), 0);
	assert_int_equal(n_got32(n, 8), 0);
}

static void bad_pages_change_nothing(void **state)
{
	struct nicc *n = *state;

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	assert_int_equal(give(n, 10, 4), 0);
	expect(n, give(n, 13, 4), BAD_PARAM, 0xd0056); /* one of them twice */
	n_begin(n, 0x108, 0, 1);
	n_put32(n, 12, 1);
	n_put64(n, 16, 0x1234);
	expect(n, n_cmd(n, 24, 16), BAD_PARAM, 0xd0056);
	n_begin(n, 0x108, 0, 1);
	n_put32(n, 12, 3); /* more than the list has */
	expect(n, n_cmd(n, 16 + 2 * 8, 16), BAD_INP_LEN, 0xd0003);
	n_put32(n, 12, 0xffffffff);
	expect(n, n_cmd(n, 24, 16), 0x08, 0xd0056);
	n_begin(n, 0x108, 0, 2);
	n_put32(n, 12, 3);
	expect(n, n_cmd(n, 16, 16 + 2 * 8), BAD_OUTP_LEN, 0xd0004);
	n_begin(n, 0x108, 0, 3);
	expect(n, n_cmd(n, 16, 16), BAD_PARAM, 0xd0008);
	n_begin(n, 0x107, 0, 0);
	expect(n, n_cmd(n, 16, 16), BAD_PARAM, 0xd0008);
	assert_int_equal(wanted(n, 1), 12);
}

static void reset_forgets_pages(void **state)
{
	struct nicc *n = *state;

	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	assert_int_equal(give(n, 0, 16), 0);
	n_flr(n);
	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	assert_int_equal(wanted(n, 1), 16);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, n_setup, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(order_of_bring_up),
		T(down_and_up),
		T(other_functions_do_not_exist),
		T(unknown_opcodes),
		T(short_inputs),
		T(short_outputs),
		T(capabilities),
		T(interface_step),
		T(pages_are_kept_account_of),
		T(bad_pages_change_nothing),
		T(reset_forgets_pages),
	};

	return cmocka_run_group_tests_name("nic_bringup", tests, NULL, NULL);
}
