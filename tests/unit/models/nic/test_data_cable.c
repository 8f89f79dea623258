// SPDX-License-Identifier: MIT
/* A bad cable: whatever it does, each request completes once, in order, with the right bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"

static struct nic_qp *a, *b;

struct variant {
	unsigned nic, point;
	enum mdl_fault_action action;
	uint64_t arg;
	unsigned after, count, permille;
};

static const struct variant variants[] = {
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 0, 1, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 3, 2, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_CORRUPT, 0, 2, 1, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DELAY, 700, 1, 2, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DELAY, 5000, 1, 1, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_REORDER, 0, 1, 3, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DUP, 0, 0, 100, 0 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_DROP, 0, 0, 1, 0 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_DROP, 0, 2, 2, 0 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_CORRUPT, 0, 1, 1, 0 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_DELAY, 300, 0, 4, 0 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_DUP, 0, 0, 100, 0 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 0, 1000, 100 },
	{ 1, NIC_F_CABLE_ACK, MDL_FAULT_DROP, 0, 0, 1000, 100 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_REORDER, 0, 0, 1000, 200 },
	{ 0, NIC_F_CABLE_TX, MDL_FAULT_DELAY, 900, 0, 1000, 200 },
};
#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

static void arm(const struct variant *v)
{
	rig_fault(v->nic, v->point, v->action, v->arg, v->after, v->count, v->permille);
}

static void new_pair(unsigned i)
{
	a = rig_qp(0, 0x100 + i, NIC_QP_RC, 1, 0x200 + i);
	b = rig_qp(1, 0x200 + i, NIC_QP_RC, 0, 0x100 + i);
	rig_logged = 0;
}

static void expect_all(unsigned n)
{
	unsigned i;

	assert_int_equal(rig_cqes(a, false), n);
	for (i = 0; i < n; i++)
		assert_int_equal(rig_cqe(a, false, i)->opcode, NIC_CQE_REQ);
	assert_int_equal(a->state, NIC_QPS_RTS);
	assert_int_equal(b->state, NIC_QPS_RTS);
}

static void sends(void **state)
{
	unsigned v, i;

	for (v = 0; v < N_VARIANTS; v++) {
		new_pair(v);
		arm(&variants[v]);
		for (i = 0; i < 20; i++) {
			uint32_t len = i * 397 + 1;

			rig_fill(RIG_A + i * 8192, len, v + i);
			memset(rig_mem + RIG_B + i * 8192, 0, 8192);
			rig_recv(b, RIG_B + i * 8192, 8192, RIG_KEY);
			rig_send(a, NIC_OP_SEND, RIG_A + i * 8192, len, 0, 0);
		}
		rig_run();
		expect_all(20);
		assert_int_equal(rig_cqes(b, true), 20);
		for (i = 0; i < 20; i++) {
			assert_int_equal(rig_cqe(b, true, i)->byte_cnt, i * 397 + 1);
			assert_true(rig_is_filled(RIG_B + i * 8192, i * 397 + 1, v + i));
		}
	}
}

static void writes_and_reads(void **state)
{
	unsigned v;

	for (v = 0; v < N_VARIANTS; v++) {
		new_pair(v);
		arm(&variants[v]);
		rig_fill(RIG_A, 30000, v);
		memset(rig_mem + RIG_B, 0, 30000);
		memset(rig_mem + RIG_A + 0x100000, 0, 30000);
		rig_send(a, NIC_OP_WRITE, RIG_A, 30000, RIG_B, RIG_KEY);
		rig_send(a, NIC_OP_READ, RIG_A + 0x100000, 30000, RIG_B, RIG_KEY);
		rig_run();
		expect_all(2);
		assert_true(rig_is_filled(RIG_B, 30000, v));
		assert_true(rig_is_filled(RIG_A + 0x100000, 30000, v));
	}
}

/* An atomic is carried out once, and its result arrives, however often it is sent. */
static void atomics_once(void **state)
{
	struct rig_wqe w;
	unsigned v, i;
	uint64_t val;

	for (v = 0; v < N_VARIANTS; v++) {
		new_pair(v);
		arm(&variants[v]);
		memset(rig_mem + RIG_B, 0, 8);
		for (i = 0; i < 12; i++) {
			rig_begin(&w, a, NIC_OP_FADD, 0);
			rig_remote(&w, RIG_B, RIG_KEY);
			rig_atomic(&w, 1, 0);
			rig_sge(&w, RIG_A + 8 * i, 8, RIG_KEY);
			rig_post(a, &w);
		}
		rig_run();
		expect_all(12);
		for (i = 0; i < 12; i++) {
			memcpy(&val, rig_mem + RIG_A + 8 * i, 8);
			assert_int_equal(val, i);
		}
		memcpy(&val, rig_mem + RIG_B, 8);
		assert_int_equal(val, 12);
	}
}

static void sequence_nak_is_used(void **state)
{
	new_pair(0);
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 0, 1, 0);
	rig_fill(RIG_A, 4000, 1);
	rig_send(a, NIC_OP_WRITE, RIG_A, 4000, RIG_B, RIG_KEY);
	rig_run_now();
	assert_int_equal(rig_count(0, NIC_C_SEQ_NAK), 1);
	assert_int_equal(rig_count(0, NIC_C_TIMEOUT), 0);
	assert_true(rig_is_filled(RIG_B, 4000, 1));
	expect_all(1);
}

static void all_lost(void **state)
{
	new_pair(0);
	a->attr.retry_count = 2;
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 0, 1000000, 0);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_RETRY_EXC);
	assert_int_equal(rig_count(0, NIC_C_TIMEOUT), 3);
}

/* A lost middle packet loses the message, and nothing else. */
static void unreliable_message_lost(void **state)
{
	unsigned i;

	rig_pair(NIC_QP_UC, &a, &b);
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 4, 1, 0);
	for (i = 0; i < 3; i++) {
		rig_fill(RIG_A + i * 8192, 3000, i);
		rig_recv(b, RIG_B + i * 8192, 8192, RIG_KEY);
		rig_send(a, NIC_OP_SEND, RIG_A + i * 8192, 3000, 0, 0);
	}
	rig_run();
	assert_int_equal(rig_cqes(a, false), 3);
	assert_int_equal(rig_cqes(b, true), 2);
	assert_true(rig_is_filled(RIG_B, 3000, 0));
	assert_true(rig_is_filled(RIG_B + 8192, 3000, 2));
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sends),    T(writes_and_reads),	 T(atomics_once), T(sequence_nak_is_used),
		T(all_lost), T(unreliable_message_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
