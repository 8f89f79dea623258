// SPDX-License-Identifier: MIT
/* Doorbells that mean nothing: counted, ignored, and the device goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/proto/nic_client.h"

#define UAR(i) ((i)*0x1000u)

static int up(void **state)
{
	if (n_setup(state))
		return -1;
	n_bring_up(*state);
	return 0;
}

static void bell(struct nicc *n, uint32_t off, uint32_t high, uint32_t low)
{
	uint32_t v[2] = { __builtin_bswap32(high), __builtin_bswap32(low) };

	assert_int_equal(c_write(&n->c, 0, off, v, 8), 0);
}

static void alive(struct nicc *n)
{
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
}

static void queues_that_are_not_there(void **state)
{
	static const uint32_t ids[] = {
		0, 1, 0x3f, 0x40, 0x41, 0x400, 0x10040, 0x7fffff, 0xffffff
	};
	struct nicc *n = *state;
	uint32_t uar = n_make(n, 0x802);
	uint64_t before = n_counter(n, "bad_doorbells");
	unsigned i, count = sizeof(ids) / sizeof(ids[0]);

	for (i = 0; i < count; i++) {
		bell(n, UAR(uar) + 0x800, 0, ids[i] << 8);
		bell(n, UAR(uar) + 0x20, 0, ids[i]);
	}
	/* Every send doorbell; of completion queues those beyond 0x400 .. 0x103ff. */
	assert_true(n_counter(n, "bad_doorbells") - before >= count);
	for (i = 0; i < 256; i++) {
		n_set_reg(n, UAR(uar) + 0x40, i << 24 | 0xabcdef);
		n_set_reg(n, UAR(uar) + 0x48, i << 24);
	}
	alive(n);
	assert_int_equal(n_counter(n, "cqes") + n_counter(n, "eqes") + n_counter(n, "wqes"), 0);
}

/* Every offset of a UAR, every size. */
static void all_offsets(void **state)
{
	static const uint8_t junk[8] = { 0xde, 0xad, 0xbe, 0xef, 0x55, 0xaa, 0x00, 0xff };
	struct nicc *n = *state;
	uint32_t uar = n_make(n, 0x802), off, len;

	for (off = 0; off < 0x1000; off += 4)
		for (len = 1; len <= 8; len *= 2)
			assert_int_equal(c_post(&n->c, 0, UAR(uar) + off, junk, len), 0);
	/* Also where there is no UAR, and at the end of the BAR. */
	for (off = 0x20; off < 0x1000; off += 0x7f)
		assert_int_equal(c_post(&n->c, 0, UAR(off) + 0x800, junk, 8), 0);
	assert_int_equal(c_post(&n->c, 0, (32u << 20) - 8, junk, 8), 0);
	assert_int_equal(c_post(&n->c, 0, (32u << 20) - 4, junk, 4), 0);
	alive(n);
	assert_true(n_counter(n, "bad_doorbells") > 0);
	assert_int_equal(n_counter(n, "wqes"), 0);
}

static uint32_t be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A queue pair of UAR u in state RTS that sends to itself; a NOP request is in its ring. */
static uint32_t ready_qp(struct nicc *n, uint32_t u)
{
	static const uint16_t ops[] = { 0x502, 0x503, 0x504 };
	uint32_t pd = n_make(n, 0x800), eqn, cqn, qpn;
	uint8_t *w = n->ram + N_FREE + 0x2000 + 0x100;
	unsigned i;

	n_begin(n, 0x301, 0, 0);
	n_put32(n, 0x1c, 6u << 24 | u);
	n_put64(n, 0x110, N_RAM + N_FREE);
	assert_int_equal(n_cmd(n, 0x118, 16), 0);
	eqn = n_got32(n, 8);
	n_begin(n, 0x400, 0, 0);
	n_put32(n, 0x1c, 6u << 24 | u);
	n_put32(n, 0x24, eqn);
	n_put64(n, 0x48, N_RAM + N_FREE + 0x8000);
	n_put64(n, 0x110, N_RAM + N_FREE + 0x1000);
	assert_int_equal(n_cmd(n, 0x118, 16), 0);
	cqn = n_got32(n, 8);
	n_begin(n, 0x500, 0, 0);
	n_put32(n, 0x18 + 0x04, pd);
	n_put32(n, 0x18 + 0x08, 2u << 19 | 2u << 16 | 2u << 11);
	n_put32(n, 0x18 + 0x0c, u);
	n_put32(n, 0x18 + 0x7c, cqn);
	n_put32(n, 0x18 + 0x9c, cqn);
	n_put64(n, 0x18 + 0xa0, N_RAM + N_FREE + 0x8040);
	n_put64(n, 0x110, N_RAM + N_FREE + 0x2000);
	assert_int_equal(n_cmd(n, 0x118, 16), 0);
	qpn = n_got32(n, 8) & 0xffffff;
	for (i = 0; i < 3; i++) {
		n_begin(n, ops[i], 0, 0);
		n_put32(n, 8, qpn);
		n_put32(n, 0x18 + 0x08, 3u << 29 | 30u << 24);
		n_put32(n, 0x18 + 0x14, qpn);
		n_put32(n, 0x18 + 0x18 + 4, 2);
		assert_int_equal(n_cmd(n, 272, 16), 0);
	}
	memset(w, 0, 64);
	w[4] = (uint8_t)(qpn >> 16);
	w[5] = (uint8_t)(qpn >> 8);
	w[6] = (uint8_t)qpn;
	w[7] = 1;
	w[11] = 8;
	n->ram[N_FREE + 0x8040 + 7] = 1;
	return qpn;
}

/* Send doorbells work from the queue's own UAR, in one write or in two halves. */
static void another_uar_rings_in_vain(void **state)
{
	struct nicc *n = *state;
	uint32_t mine = n_make(n, 0x802), other = n_make(n, 0x802), qpn = ready_qp(n, mine), i;
	uint64_t before = n_counter(n, "bad_doorbells");
	const uint8_t *e = n->ram + N_FREE + 0x1000;

	bell(n, UAR(other) + 0x800, 0, qpn << 8);
	assert_int_equal(n_counter(n, "bad_doorbells") - before, 1);
	/* Halves that do not belong together */
	n_set_reg(n, UAR(mine) + 0x804, qpn << 8);
	n_set_reg(n, UAR(mine) + 0x800, 0);
	n_set_reg(n, UAR(mine) + 0x90c, qpn << 8);
	assert_int_equal(n_counter(n, "bad_doorbells") - before, 3);
	alive(n);
	assert_int_equal(n_counter(n, "wqes"), 0);
	n_set_reg(n, UAR(mine) + 0x800, 0);
	n_set_reg(n, UAR(mine) + 0x804, qpn << 8);
	for (i = 0; i < 100000 && !n_counter(n, "cqes"); i++)
		;
	assert_int_equal(n_counter(n, "cqes"), 1);
	assert_int_equal(be(e + 56) & 0xffffff, qpn);
	assert_int_equal(e[63], 0);
	assert_int_equal(n_counter(n, "wqes"), 1);
}

/* A record that claims more than the ring holds: none of it is taken. */
static void records_gone_wrong(void **state)
{
	struct nicc *n = *state;
	uint32_t uar = n_make(n, 0x802), qpn = ready_qp(n, uar), i;
	uint8_t *record = n->ram + N_FREE + 0x8040;

	record[6] = 0x80;
	for (i = 0; i < 100; i++)
		bell(n, UAR(uar) + 0x800, 0, qpn << 8);
	alive(n);
	assert_int_equal(n_counter(n, "wqes"), 0);
	record[6] = 0;
	bell(n, UAR(uar) + 0x800, 0, qpn << 8);
	for (i = 0; i < 100000 && !n_counter(n, "cqes"); i++)
		;
	assert_int_equal(n_counter(n, "wqes"), 1);
	assert_int_equal(n_simple(n, 0x501, qpn), 0);
	/* Of a queue pair that is gone */
	bell(n, UAR(uar) + 0x800, 0, qpn << 8);
	alive(n);
	assert_int_equal(n_counter(n, "wqes"), 1);
}

/* Device memory is memory: every size, both directions, and not beyond its end. */
static void device_memory_is_no_doorbell(void **state)
{
	struct nicc *n = *state;
	uint64_t doorbells = n_counter(n, "doorbells"), val = 0x1122334455667788;

	assert_int_equal(c_write64(&n->c, 0, 0x1000000, val), 0);
	assert_int_equal(c_write(&n->c, 0, 0x10ffff9, &val, 3), 0);
	assert_true(c_read64(&n->c, 0, 0x1000000) == val);
	assert_true(c_read64(&n->c, 0, 0x10ffff8) == 0x66778800);
	assert_int_equal(n_counter(n, "doorbells"), doorbells);
	n_flr(n);
	assert_true(c_read64(&n->c, 0, 0x1000000) == 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, up, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(queues_that_are_not_there),	 T(all_offsets),
		T(another_uar_rings_in_vain),	 T(records_gone_wrong),
		T(device_memory_is_no_doorbell),
	};

	return cmocka_run_group_tests_name("nic_doorbell", tests, NULL, NULL);
}
