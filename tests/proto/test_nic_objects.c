// SPDX-License-Identifier: MIT
/* Objects of the NIC: who may reach them, what holds them, and that nothing half-made stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/proto/nic_client.h"

#define BAD_PARAM 0x03
#define BAD_RES	  0x05
#define RES_BUSY  0x06

static int up(void **state)
{
	if (n_setup(state))
		return -1;
	n_bring_up(*state);
	return 0;
}

static void expect(struct nicc *n, int status, int want, uint32_t syndrome)
{
	assert_int_equal(status, want);
	assert_int_equal(n_syndrome(n), syndrome);
}

/* By a user context: 16 bytes each way. */
static int by(struct nicc *n, uint32_t uid, uint16_t opcode, uint32_t dw2)
{
	n_begin(n, opcode, (uint16_t)uid, 0);
	n_put32(n, 8, dw2);
	return n_cmd(n, 16, 16);
}

/* Contexts of 64-entry queues on memory from N_FREE on; the caller changes and sends them. */
static void eq_context(struct nicc *n, uint32_t uar, uint64_t events)
{
	n_begin(n, 0x301, 0, 0);
	n_put32(n, 0x10 + 0x0c, 6u << 24 | uar);
	n_put64(n, 0x58, events);
	n_put64(n, 0x110, N_RAM + N_FREE);
}

static void cq_context(struct nicc *n, uint32_t uid, uint32_t uar, uint32_t eqn)
{
	n_begin(n, 0x400, (uint16_t)uid, 0);
	n_put32(n, 0x10 + 0x0c, 6u << 24 | uar);
	n_put32(n, 0x10 + 0x14, eqn);
	n_put64(n, 0x10 + 0x38, N_RAM + N_FREE + 0x8000);
	n_put64(n, 0x110, N_RAM + N_FREE + 0x1000);
}

/* RC, 4 receive entries of 64 bytes, 4 send blocks */
static void qp_context(struct nicc *n, uint32_t uid, uint32_t pd, uint32_t uar, uint32_t cqn)
{
	n_begin(n, 0x500, (uint16_t)uid, 0);
	n_put32(n, 0x18 + 0x04, pd);
	n_put32(n, 0x18 + 0x08, 2u << 19 | 2u << 16 | 2u << 11);
	n_put32(n, 0x18 + 0x0c, uar);
	n_put32(n, 0x18 + 0x7c, cqn);
	n_put32(n, 0x18 + 0x9c, cqn);
	n_put64(n, 0x18 + 0xa0, N_RAM + N_FREE + 0x8040);
	n_put64(n, 0x110, N_RAM + N_FREE + 0x2000);
}

static void srq_context(struct nicc *n, uint32_t pd)
{
	n_begin(n, 0x700, 0, 0);
	n_put32(n, 0x10, 4u << 24);
	n_put32(n, 0x10 + 0x04, 2u << 24);
	n_put32(n, 0x10 + 0x18, pd);
	n_put64(n, 0x10 + 0x28, N_RAM + N_FREE + 0x8080);
	n_put64(n, 0x110, N_RAM + N_FREE + 0x3000);
}

static uint32_t made(struct nicc *n)
{
	assert_int_equal(n_cmd(n, 0x118, 16), 0);
	return n_got32(n, 8) & 0xffffff;
}

struct set {
	uint32_t pd, uar, eqn, cqn, qpn;
};

static void make_set(struct nicc *n, struct set *s)
{
	s->pd = n_make(n, 0x800);
	s->uar = n_make(n, 0x802);
	eq_context(n, s->uar, 0);
	s->eqn = made(n);
	cq_context(n, 0, s->uar, s->eqn);
	s->cqn = made(n);
	qp_context(n, 0, s->pd, s->uar, s->cqn);
	s->qpn = made(n);
}

/* Type numbers of syndromes: PD 0, MKEY 4, EQ 5, CQ 6, SRQ 7, QP 8. */
static void numbers_that_are_nothing(void **state)
{
	static const struct {
		uint16_t opcode;
		uint8_t type;
	} rows[] = {
		{ 0x801, 0 }, { 0x803, 2 }, { 0x202, 4 }, { 0x302, 5 }, { 0x401, 6 },  { 0x701, 7 },
		{ 0x706, 7 }, { 0x90e, 7 }, { 0x501, 8 }, { 0x80f, 3 }, { 0xa0a, 12 },
	};
	static const uint32_t ids[] = { 0, 1, 0x123, 0xfffff, 0xffffff };
	struct nicc *n = *state;
	unsigned i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (j = 0; j < sizeof(ids) / sizeof(ids[0]); j++)
			expect(n, n_simple(n, rows[i].opcode, ids[j]), BAD_RES,
			       0xd0100u + rows[i].type);
}

static void destroy_in_order_only(void **state)
{
	struct nicc *n = *state;
	struct set s;

	make_set(n, &s);
	expect(n, n_simple(n, 0x801, s.pd), RES_BUSY, 0xd000c);
	expect(n, n_simple(n, 0x401, s.cqn), RES_BUSY, 0xd000c);
	expect(n, n_simple(n, 0x302, s.eqn), RES_BUSY, 0xd000c);
	assert_int_equal(n_simple(n, 0x501, s.qpn), 0);
	expect(n, n_simple(n, 0x501, s.qpn), BAD_RES, 0xd0108);
	expect(n, n_simple(n, 0x302, s.eqn), RES_BUSY, 0xd000c);
	assert_int_equal(n_simple(n, 0x401, s.cqn), 0);
	assert_int_equal(n_simple(n, 0x302, s.eqn), 0);
	assert_int_equal(n_simple(n, 0x801, s.pd), 0);
	assert_int_equal(n_simple(n, 0x803, s.uar), 0);
	assert_int_equal(n_count(n, "qp") + n_count(n, "cq") + n_count(n, "eq") + n_count(n, "pd"),
			 0);
}

static void shared_receive_queue_is_held(void **state)
{
	struct nicc *n = *state;
	struct set s;
	uint32_t srqn, qpn;

	make_set(n, &s);
	srq_context(n, s.pd);
	srqn = made(n);
	qp_context(n, 0, s.pd, s.uar, s.cqn);
	n_put32(n, 0x18 + 0xac, 1u << 24 | srqn);
	qpn = made(n);
	expect(n, n_simple(n, 0x701, srqn), RES_BUSY, 0xd000c);
	/* It is no XRC queue, and no RMP. */
	expect(n, n_simple(n, 0x708, srqn), BAD_RES, 0xd0041);
	assert_int_equal(n_simple(n, 0x501, qpn), 0);
	expect(n, n_simple(n, 0x706, srqn), BAD_RES, 0xd0041);
	/* A limit it cannot have */
	n_begin(n, 0x703, 0, 0);
	n_put32(n, 8, srqn);
	n_put32(n, 12, 16);
	expect(n, n_cmd(n, 16, 16), BAD_PARAM, 0xd0040);
	n_put32(n, 12, 15);
	assert_int_equal(n_cmd(n, 16, 16), 0);
	assert_int_equal(n_simple(n, 0x701, srqn), 0);
}

static void owners(void **state)
{
	struct nicc *n = *state;
	uint32_t a = n_make(n, 0xa04), b = n_make(n, 0xa04), pd, kernels = n_make(n, 0x800);

	assert_int_not_equal(a, b);
	assert_int_equal(by(n, a, 0x800, 0), 0);
	pd = n_got32(n, 8);
	expect(n, by(n, b, 0x801, pd), BAD_RES, 0xd0200);
	expect(n, by(n, a, 0x801, kernels), BAD_RES, 0xd0200);
	expect(n, by(n, 0x333, 0x801, pd), BAD_RES, 0xd0006);
	/* Not for user contexts at all */
	expect(n, by(n, a, 0x103, 0), BAD_PARAM, 0xd0005);
	expect(n, by(n, a, 0x108, 0), BAD_PARAM, 0xd0005);
	expect(n, by(n, a, 0xa06, b), BAD_PARAM, 0xd0005);
	/* A context with something left is not destroyed. */
	expect(n, n_simple(n, 0xa06, a), RES_BUSY, 0xd000c);
	assert_int_equal(by(n, a, 0x801, pd), 0);
	assert_int_equal(n_simple(n, 0xa06, a), 0);
	expect(n, by(n, a, 0x800, 0), BAD_RES, 0xd0006);
	/* The kernel reaches what a user made. */
	assert_int_equal(by(n, b, 0x800, 0), 0);
	assert_int_equal(n_simple(n, 0x801, n_got32(n, 8)), 0);
}

/* What the kernel shares is used, and not destroyed, by user contexts. */
static void users_use_what_is_shared(void **state)
{
	struct nicc *n = *state;
	uint32_t uid = n_make(n, 0xa04), other = n_make(n, 0xa04), cqn, pd;
	struct set s;

	make_set(n, &s);
	cq_context(n, uid, s.uar, s.eqn);
	cqn = made(n);
	expect(n, by(n, uid, 0x803, s.uar), BAD_RES, 0xd0202);
	assert_int_equal(by(n, uid, 0x800, 0), 0);
	pd = n_got32(n, 8);
	/* Each reference in turn to something of another */
	qp_context(n, other, pd, s.uar, cqn);
	expect(n, n_cmd(n, 0x118, 16), BAD_RES, 0xd0200);
	qp_context(n, uid, s.pd, s.uar, cqn);
	expect(n, n_cmd(n, 0x118, 16), BAD_RES, 0xd0200);
	qp_context(n, uid, pd, s.uar, s.cqn);
	expect(n, n_cmd(n, 0x118, 16), BAD_RES, 0xd0206);
	qp_context(n, uid, pd, s.uar, cqn);
	made(n);
	assert_int_equal(n_count(n, "qp"), 2);
}

static void users_get_nothing_special(void **state)
{
	struct nicc *n = *state;
	uint32_t uid = n_make(n, 0xa04), pd;
	struct set s;

	make_set(n, &s);
	assert_int_equal(by(n, uid, 0x800, 0), 0);
	pd = n_got32(n, 8);
	/* A key of all memory: access mode 0, no length */
	n_begin(n, 0x200, (uint16_t)uid, 0);
	n_put32(n, 0x10, 0x1f << 10);
	n_put32(n, 0x10 + 0x04, 0xffffff00);
	n_put32(n, 0x10 + 0x0c, 1u << 31 | pd);
	expect(n, n_cmd(n, 272, 16), BAD_PARAM, 0xd0005);
	/* Queue pairs 0 and 1, the one that changes keys, and the reserved key */
	qp_context(n, uid, pd, s.uar, s.cqn);
	n_put32(n, 0x18, 7u << 16);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0005);
	n_put32(n, 0x18, 0xcu << 16);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0005);
	n_put32(n, 0x18, 0);
	n_put32(n, 0x18 + 0x08, 2u << 19 | 2u << 16 | 2u << 11 | 1u << 4);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0005);
	assert_int_equal(n_count(n, "qp"), 1);
	assert_int_equal(n_count(n, "mkey"), 0);
}

/* One thing wrong at a time; the right one works after all of them. */
static void queue_contexts_are_checked(void **state)
{
	struct nicc *n = *state;
	struct set s;

	make_set(n, &s);
	eq_context(n, s.uar + 100, 0);
	expect(n, n_cmd(n, 0x118, 16), BAD_RES, 0xd0102);
	eq_context(n, s.uar, 0);
	n_put32(n, 0x10 + 0x14, 64);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0015);
	eq_context(n, s.uar, 0);
	n_put32(n, 0x10 + 0x0c, 23u << 24 | s.uar);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0012);
	cq_context(n, 0, s.uar, s.eqn + 1);
	expect(n, n_cmd(n, 0x118, 16), BAD_RES, 0xd0105);
	cq_context(n, 0, s.uar, s.eqn);
	n_put64(n, 0x10 + 0x38, N_RAM + N_FREE + 4);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0013);
	cq_context(n, 0, s.uar, s.eqn);
	n_put32(n, 0x10, 3u << 21);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0018);
	cq_context(n, 0, s.uar, s.eqn);
	expect(n, n_cmd(n, 0x110, 16), BAD_PARAM, 0xd0011); /* no page */
	n_put64(n, 0x110, N_RAM + N_FREE + 0x800);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0011);
	qp_context(n, 0, s.pd, s.uar, s.cqn);
	n_put32(n, 0x18, 4u << 16);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0030);
	qp_context(n, 0, s.pd, s.uar, s.cqn);
	n_put32(n, 0x18 + 0xac, 2u << 24);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0036);
	assert_int_equal(n_count(n, "eq") + n_count(n, "cq") + n_count(n, "qp"), 3);
	qp_context(n, 0, s.pd, s.uar, s.cqn);
	made(n);
}

static void one_queue_for_each_event(void **state)
{
	struct nicc *n = *state;
	uint32_t uar = n_make(n, 0x802), first, second;

	eq_context(n, uar, 1u << 9 | 1u << 0xb);
	first = made(n);
	eq_context(n, uar, 1u << 0xb);
	expect(n, n_cmd(n, 0x118, 16), BAD_PARAM, 0xd0016);
	assert_int_equal(n_simple(n, 0x302, first), 0);
	eq_context(n, uar, 1u << 0xb);
	second = made(n);
	assert_int_equal(n_simple(n, 0x302, second), 0);
}

static void keys_are_checked(void **state)
{
	struct nicc *n = *state;
	uint32_t pd = n_make(n, 0x800), key;

	/* Page lists, one page of 16 KiB of address space */
	n_begin(n, 0x200, 0, 0);
	n_put32(n, 0x10, 0x1f << 10 | 1u << 8);
	n_put32(n, 0x10 + 0x04, 0xffffff55);
	n_put32(n, 0x10 + 0x0c, pd);
	n_put64(n, 0x10 + 0x10, 0x7000);
	n_put64(n, 0x10 + 0x18, 0x1000);
	n_put32(n, 0x10 + 0x34, 1);
	n_put32(n, 0x10 + 0x38, 12);
	n_put32(n, 0x60, 1);
	n_put64(n, 0x110, (N_RAM + N_FREE) | 3);
	expect(n, n_cmd(n, 0x118, 16), 0x50, 0xd0022); /* a list is a multiple of 16 bytes */
	assert_int_equal(n_cmd(n, 0x120, 16), 0);
	key = n_got32(n, 8) & 0xffffff;
	n_put32(n, 0x10 + 0x0c, pd + 1);
	expect(n, n_cmd(n, 0x120, 16), BAD_RES, 0xd0100);
	n_put32(n, 0x10 + 0x0c, pd);
	n_put64(n, 0x10 + 0x10, 0xfffffffffffff800);
	expect(n, n_cmd(n, 0x120, 16), BAD_PARAM, 0xd0021);
	n_put64(n, 0x10 + 0x10, 0x7000);
	n_put32(n, 0x10, 0x1f << 10 | 1u << 26); /* mode 4 */
	expect(n, n_cmd(n, 0x120, 16), BAD_PARAM, 0xd0020);
	assert_int_equal(n_count(n, "mkey"), 1);
	n_begin(n, 0x201, 0, 0);
	n_put32(n, 8, key);
	assert_int_equal(n_cmd(n, 16, 272), 0);
	assert_int_equal(n_got32(n, 0x10 + 0x04), 0xffffff55);
	assert_int_equal(n_got32(n, 0x10 + 0x14), 0x7000);
	assert_int_equal(n_simple(n, 0x202, key), 0);
}

static void transitions_go_by_the_table(void **state)
{
	static const uint16_t not_from_reset[] = { 0x503, 0x504, 0x505, 0x506, 0x50c, 0x50e };
	struct nicc *n = *state;
	struct set s;
	unsigned i;

	make_set(n, &s);
	for (i = 0; i < sizeof(not_from_reset) / 2; i++) {
		n_begin(n, not_from_reset[i], 0, 0);
		n_put32(n, 8, s.qpn);
		n_put32(n, 0x18 + 0x08, 3u << 29 | 30u << 24);
		expect(n, n_cmd(n, 272, 16), 0x10, 0xd0032);
	}
	n_begin(n, 0x502, 0, 0);
	n_put32(n, 8, s.qpn);
	assert_int_equal(n_cmd(n, 272, 16), 0);
	expect(n, n_cmd(n, 272, 16), 0x10, 0xd0032);
	/* To RTR without an MTU, then with one */
	n_begin(n, 0x503, 0, 0);
	n_put32(n, 8, s.qpn);
	expect(n, n_cmd(n, 272, 16), BAD_PARAM, 0xd0033);
	n_put32(n, 0x18 + 0x08, 3u << 29 | 30u << 24);
	assert_int_equal(n_cmd(n, 272, 16), 0);
	n_begin(n, 0x504, 0, 0);
	n_put32(n, 8, s.qpn);
	assert_int_equal(n_cmd(n, 272, 16), 0);
	n_begin(n, 0x50b, 0, 0);
	n_put32(n, 8, s.qpn);
	assert_int_equal(n_cmd(n, 16, 272), 0);
	assert_int_equal(n->out[0x18] >> 4, 3);
	assert_int_equal(n_simple(n, 0x507, s.qpn), 0);
	assert_int_equal(n_simple(n, 0x50a, s.qpn), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, up, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numbers_that_are_nothing),
		T(destroy_in_order_only),
		T(shared_receive_queue_is_held),
		T(owners),
		T(users_use_what_is_shared),
		T(users_get_nothing_special),
		T(queue_contexts_are_checked),
		T(one_queue_for_each_event),
		T(keys_are_checked),
		T(transitions_go_by_the_table),
	};

	return cmocka_run_group_tests_name("nic_objects", tests, NULL, NULL);
}
