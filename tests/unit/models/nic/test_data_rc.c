// SPDX-License-Identifier: MIT
/* The reliable data path: every operation, every refusal, retries and flush. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"

static struct nic_qp *a, *b;

static void expect_ok(const struct nic_qp *qp, unsigned i, uint8_t opcode)
{
	const struct nic_cqe *e = rig_cqe(qp, false, i);

	assert_non_null(e);
	assert_int_equal(e->opcode, NIC_CQE_REQ);
	assert_int_equal(e->wqe_opcode, opcode);
}

static void expect_error(const struct nic_qp *qp, bool recv, unsigned i, uint8_t syndrome)
{
	const struct nic_cqe *e = rig_cqe(qp, recv, i);

	assert_non_null(e);
	assert_int_equal(e->opcode, recv ? NIC_CQE_RESP_ERR : NIC_CQE_REQ_ERR);
	assert_int_equal(e->syndrome, syndrome);
}

static const uint32_t sizes[] = { 1, 8, RIG_MTU - 1, RIG_MTU, RIG_MTU + 1, 262144, (1u << 20) + 3 };

static void send_sizes(void **state)
{
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 7; i++) {
		rig_fill(RIG_A + 5, sizes[i], i);
		rig_mem[RIG_B + 9 + sizes[i]] = 0x5a;
		rig_recv(b, RIG_B + 9, 2u << 20, RIG_KEY);
		rig_send(a, i & 1 ? NIC_OP_SEND_IMM : NIC_OP_SEND, RIG_A + 5, sizes[i], 0, 0);
		rig_run();
		assert_true(rig_is_filled(RIG_B + 9, sizes[i], i));
		assert_int_equal(rig_mem[RIG_B + 9 + sizes[i]], 0x5a);
		expect_ok(a, i, i & 1 ? NIC_OP_SEND_IMM : NIC_OP_SEND);
		assert_int_equal(rig_cqe(b, true, i)->byte_cnt, sizes[i]);
		assert_int_equal(rig_cqe(b, true, i)->wqe_counter, i);
		if (i & 1)
			assert_int_equal(rig_cqe(b, true, i)->imm_inval, 0xabcd1234);
	}
}

static void write_and_read_sizes(void **state)
{
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 7; i++) {
		rig_fill(RIG_A + 1, sizes[i], i);
		rig_send(a, NIC_OP_WRITE, RIG_A + 1, sizes[i], RIG_B + 3, RIG_KEY);
		rig_run();
		assert_true(rig_is_filled(RIG_B + 3, sizes[i], i));
		expect_ok(a, 2 * i, NIC_OP_WRITE);
		memset(rig_mem + RIG_A, 0, sizes[i] + 16);
		rig_send(a, NIC_OP_READ, RIG_A + 1, sizes[i], RIG_B + 3, RIG_KEY);
		rig_run();
		assert_true(rig_is_filled(RIG_A + 1, sizes[i], i));
		assert_int_equal(rig_mem[RIG_A], 0);
		assert_int_equal(rig_mem[RIG_A + 1 + sizes[i]], 0);
		expect_ok(a, 2 * i + 1, NIC_OP_READ);
		assert_int_equal(rig_cqe(a, false, 2 * i + 1)->byte_cnt, sizes[i]);
	}
	assert_int_equal(rig_cqes(b, true), 0);
}

/* Up to 32 bytes, or 64 in entries of 128, and only where it was asked for. */
static void send_into_completion(void **state)
{
	static const struct {
		uint8_t cs_res, log_cqe;
		uint32_t len;
		bool in;
	} cases[] = { { 0, 6, 8, false }, { 1, 6, 32, true },  { 1, 6, 33, false },
		      { 1, 6, 0, false }, { 2, 6, 33, false }, { 2, 7, 64, true },
		      { 1, 7, 33, false } };
	const struct nic_cqe *e;
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 7; i++) {
		b->cs_res = cases[i].cs_res;
		b->rcq->log_cqe = cases[i].log_cqe;
		rig_fill(RIG_A, 64, i);
		memset(rig_mem + RIG_B, 0xaa, 64);
		rig_recv(b, RIG_B, 4096, RIG_KEY);
		rig_send(a, NIC_OP_SEND, RIG_A, cases[i].len, 0, 0);
		rig_run();
		e = rig_cqe(b, true, i);
		assert_int_equal(e->byte_cnt, cases[i].len);
		assert_int_equal(e->inline_len, cases[i].in ? cases[i].len : 0);
		assert_int_equal(rig_mem[RIG_B] == 0xaa, cases[i].in || !cases[i].len);
		if (cases[i].in)
			assert_memory_equal(e->inline_data, rig_mem + RIG_A, cases[i].len);
		else
			assert_true(rig_is_filled(RIG_B, cases[i].len, i));
	}
}

static void write_with_immediate(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_fill(RIG_A, 5000, 1);
	rig_recv(b, 0, 0x1000, RIG_KEY);
	rig_send(a, NIC_OP_WRITE_IMM, RIG_A, 5000, RIG_B, RIG_KEY);
	rig_run();
	assert_true(rig_is_filled(RIG_B, 5000, 1));
	assert_int_equal(rig_cqe(b, true, 0)->opcode, NIC_CQE_RESP_WR_IMM);
	assert_int_equal(rig_cqe(b, true, 0)->byte_cnt, 5000);
	assert_int_equal(rig_cqe(b, true, 0)->imm_inval, 0xabcd1234);
}

static void zero_length(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_recv(b, RIG_B, 16, RIG_KEY);
	rig_send(a, NIC_OP_SEND, 0, 0, 0, 0);
	rig_send(a, NIC_OP_WRITE, 0, 0, 0xdead0000, 0x9900);
	rig_run();
	expect_ok(a, 0, NIC_OP_SEND);
	expect_ok(a, 1, NIC_OP_WRITE);
	assert_int_equal(rig_cqe(b, true, 0)->byte_cnt, 0);
}

static void atomics(void **state)
{
	uint64_t v = 40;
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	memcpy(rig_mem + RIG_B, &v, 8);
	rig_begin(&w, a, NIC_OP_FADD, 0);
	rig_remote(&w, RIG_B, RIG_KEY);
	rig_atomic(&w, 2, 0);
	rig_sge(&w, RIG_A, 8, RIG_KEY);
	rig_post(a, &w);
	rig_begin(&w, a, NIC_OP_CAS, 0);
	rig_remote(&w, RIG_B, RIG_KEY);
	rig_atomic(&w, 99, 42);
	rig_sge(&w, RIG_A + 8, 8, RIG_KEY);
	rig_post(a, &w);
	rig_run();
	memcpy(&v, rig_mem + RIG_A, 8);
	assert_int_equal(v, 40);
	memcpy(&v, rig_mem + RIG_A + 8, 8);
	assert_int_equal(v, 42);
	memcpy(&v, rig_mem + RIG_B, 8);
	assert_int_equal(v, 99);
	expect_ok(a, 0, NIC_OP_FADD);
	expect_ok(a, 1, NIC_OP_CAS);
}

static void atomic_unaligned(void **state)
{
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	rig_begin(&w, a, NIC_OP_FADD, 0);
	rig_remote(&w, RIG_B + 4, RIG_KEY);
	rig_atomic(&w, 2, 0);
	rig_sge(&w, RIG_A, 8, RIG_KEY);
	rig_post(a, &w);
	rig_run();
	expect_error(a, false, 0, NIC_S_REMOTE_INV_REQ);
}

static void inline_and_many_pieces(void **state)
{
	uint8_t text[200];
	struct rig_wqe w;
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, RIG_B + 4000, RIG_KEY);
	rig_inline(&w, text, sizeof(text));
	rig_post(a, &w);
	rig_fill(RIG_A, 3000, 4);
	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, RIG_B + 0x10000, RIG_KEY);
	for (i = 0; i < 30; i++)
		rig_sge(&w, RIG_A + i * 100, 100, RIG_KEY);
	rig_post(a, &w);
	rig_run();
	assert_memory_equal(rig_mem + RIG_B + 4000, text, sizeof(text));
	assert_true(rig_is_filled(RIG_B + 0x10000, 3000, 4));
	assert_int_equal(rig_cqes(a, false), 2);
}

/* Rings, counters and sequence numbers go round many times. */
static void wraparound(void **state)
{
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 70000; i++) {
		rig_mem[RIG_A] = (uint8_t)i;
		rig_recv(b, RIG_B, 64, RIG_KEY);
		rig_send(a, NIC_OP_SEND, RIG_A, 1, 0, 0);
		rig_run_now();
		assert_int_equal(rig_mem[RIG_B], (uint8_t)i);
		assert_int_equal(rig_logged, 2);
		assert_int_equal(rig_cqe(b, true, 0)->wqe_counter, (uint16_t)i);
		rig_logged = 0;
	}
}

static void unsignalled(void **state)
{
	struct rig_wqe w;
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 32; i++) {
		rig_begin(&w, a, NIC_OP_WRITE, 0);
		if (i != 31)
			w.b[11] = 0;
		rig_remote(&w, RIG_B + i, RIG_KEY);
		rig_sge(&w, RIG_A, 1, RIG_KEY);
		rig_post(a, &w);
	}
	rig_run();
	assert_int_equal(rig_cqes(a, false), 1);
	assert_int_equal(rig_cqe(a, false, 0)->wqe_counter, 31);
}

/* ---- refusals ---- */

static void remote_refusals(void **state)
{
	static const uint8_t all = 0x1f;
	struct nic_mkey *mk;

	struct {
		uint32_t key;
		uint64_t addr;
	} bad[] = {
		{ 0x7700, RIG_B },	  /* no such key */
		{ RIG_KEY | 1, RIG_B },	  /* wrong variant */
		{ 0x5000, RIG_B },	  /* another domain */
		{ 0x5100, RIG_B },	  /* no right to write */
		{ 0x5200, RIG_B + 4000 }, /* beyond the end */
		{ 0x5200, RIG_B - 1 },	  /* before the start */
		{ 0x5300, RIG_B },	  /* free */
		{ 0x5400, RIG_B },	  /* another QP's window */
		{ NIC_KEY_RESERVED_LKEY, RIG_B },
	};
	unsigned i;

	rig_mkey(1, 0x5000, RIG_PD + 1, all, RIG_B, 8192);
	rig_mkey(1, 0x5100, RIG_PD, all & ~NIC_ACC_REMOTE_WRITE, RIG_B, 8192);
	rig_mkey(1, 0x5200, RIG_PD, all, RIG_B, 4096);
	mk = rig_mkey(1, 0x5300, RIG_PD, all, RIG_B, 8192);
	mk->free = true;
	mk = rig_mkey(1, 0x5400, RIG_PD, all, RIG_B, 8192);
	mk->qpn = 0x99;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = rig_qp(0, 0x100 + i, NIC_QP_RC, 1, 0x200 + i);
		b = rig_qp(1, 0x200 + i, NIC_QP_RC, 0, 0x100 + i);
		b->rlky = true;
		memset(rig_mem + RIG_B - 8, 0, 8192);
		rig_fill(RIG_A, 100, 3);
		rig_send(a, NIC_OP_WRITE, RIG_A, 100, bad[i].addr, bad[i].key);
		rig_run();
		expect_error(a, false, 0, NIC_S_REMOTE_ACCESS);
		assert_int_equal(a->state, NIC_QPS_ERR);
		assert_int_equal(b->state, NIC_QPS_ERR);
		assert_int_equal(rig_mem[RIG_B], 0);
		assert_int_equal(rig_events[rig_n_events - 1].type, NIC_EV_WQ_ACCESS);
	}
}

static void qp_rights(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	b->attr.rre = false;
	rig_send(a, NIC_OP_READ, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	expect_error(a, false, 0, NIC_S_REMOTE_ACCESS);
}

static void local_key_wrong(void **state)
{
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, RIG_B, RIG_KEY);
	rig_sge(&w, RIG_A, 8, 0x7700);
	rig_post(a, &w);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	expect_error(a, false, 0, NIC_S_LOCAL_PROT);
	expect_error(a, false, 1, NIC_S_FLUSH);
	assert_int_equal(b->state, NIC_QPS_RTS);
}

static void bus_fails_on_each_side(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_bad(RIG_A, 4096);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_LOCAL_PROT);
	a = rig_qp(0, 0x50, NIC_QP_RC, 1, 0x51);
	b = rig_qp(1, 0x51, NIC_QP_RC, 0, 0x50);
	rig_bad(RIG_B, 4096);
	rig_send(a, NIC_OP_READ, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	expect_error(a, false, 0, NIC_S_REMOTE_ACCESS);
}

static void receive_too_small(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_recv(b, RIG_B, 99, RIG_KEY);
	rig_recv(b, RIG_B, 99, RIG_KEY);
	rig_send(a, NIC_OP_SEND, RIG_A, 100, 0, 0);
	rig_run();
	expect_error(a, false, 0, NIC_S_REMOTE_INV_REQ);
	expect_error(b, true, 0, NIC_S_LOCAL_LENGTH);
	expect_error(b, true, 1, NIC_S_FLUSH);
	assert_int_equal(rig_cqes(b, true), 2);
}

static void receive_key_wrong(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_recv(b, RIG_B, 100, 0x7700);
	rig_send(a, NIC_OP_SEND, RIG_A, 100, 0, 0);
	rig_run();
	expect_error(a, false, 0, NIC_S_REMOTE_OP);
	expect_error(b, true, 0, NIC_S_LOCAL_PROT);
}

static void bad_requests(void **state)
{
	static const uint8_t ops[] = { 0x02, 0x20, 0x14, 0xff, 0x1b };
	struct rig_wqe w;
	unsigned i;

	for (i = 0; i < sizeof(ops); i++) {
		a = rig_qp(0, 0x100 + i, NIC_QP_RC, 1, 0x200 + i);
		rig_begin(&w, a, ops[i], 0);
		rig_sge(&w, RIG_A, 8, RIG_KEY);
		rig_post(a, &w);
		rig_run();
		expect_error(a, false, 0, NIC_S_LOCAL_QP_OP);
	}
	a = rig_qp(0, 0x120, NIC_QP_RC, 1, 0x220);
	rig_begin(&w, a, NIC_OP_WRITE, 0); /* no remote segment */
	rig_post(a, &w);
	rig_run();
	expect_error(a, false, 0, NIC_S_LOCAL_QP_OP);
}

/* ---- retries ---- */

static void receiver_not_ready(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_fill(RIG_A, 100, 1);
	rig_send(a, NIC_OP_SEND, RIG_A, 100, 0, 0);
	rig_run_now();
	assert_int_equal(rig_logged, 0);
	assert_int_equal(rig_count(0, NIC_C_RNR_NAK), 1);
	rig_recv(b, RIG_B, 100, RIG_KEY);
	rig_run();
	expect_ok(a, 0, NIC_OP_SEND);
	assert_true(rig_is_filled(RIG_B, 100, 1));
	assert_int_equal(rig_cqes(b, true), 1);
}

static void receiver_never_ready(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	a->attr.rnr_retry = 3;
	rig_send(a, NIC_OP_SEND, RIG_A, 100, 0, 0);
	rig_run();
	expect_error(a, false, 0, NIC_S_RNR_EXC);
	assert_int_equal(rig_count(0, NIC_C_RNR_NAK), 4);
	assert_int_equal(b->state, NIC_QPS_RTS);
}

static void peer_absent(void **state)
{
	uint64_t t = rig_now;

	a = rig_qp(0, 0x40, NIC_QP_RC, 1, 0x41);
	a->attr.retry_count = 3;
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, RIG_KEY);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, RIG_KEY);
	rig_run();
	expect_error(a, false, 0, NIC_S_RETRY_EXC);
	expect_error(a, false, 1, NIC_S_FLUSH);
	assert_int_equal(rig_count(0, NIC_C_TIMEOUT), 4);
	assert_true(rig_now - t >= 4 * (4096ull << 8));
}

static void link_down_for_a_while(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_link(false);
	rig_fill(RIG_A, 10000, 5);
	rig_send(a, NIC_OP_WRITE, RIG_A, 10000, RIG_B, RIG_KEY);
	rig_run_now();
	assert_int_equal(rig_logged, 0);
	rig_link(true);
	rig_run();
	expect_ok(a, 0, NIC_OP_WRITE);
	assert_true(rig_is_filled(RIG_B, 10000, 5));
}

static void drain(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	rig_send(a, NIC_OP_SEND, RIG_A, 8, 0, 0);
	rig_run_now();
	a->state = NIC_QPS_SQD;
	a->req.drain_event = true;
	nic_qp_kick(a);
	rig_run_now();
	assert_int_equal(rig_n_events, 0);
	rig_send(a, NIC_OP_SEND, RIG_A, 8, 0, 0);
	rig_recv(b, RIG_B, 8, RIG_KEY);
	rig_run();
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_events[0].type, NIC_EV_SQ_DRAINED);
	assert_int_equal(rig_cqes(a, false), 1);
}

static void absurd_doorbell_record(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	mlx5_set32(rig_mem, (uint32_t)a->db_addr + 4, 0x8000);
	nic_qp_kick(a);
	rig_run();
	assert_int_equal(rig_logged, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(send_sizes),
		T(write_and_read_sizes),
		T(send_into_completion),
		T(write_with_immediate),
		T(zero_length),
		T(atomics),
		T(atomic_unaligned),
		T(inline_and_many_pieces),
		T(wraparound),
		T(unsignalled),
		T(remote_refusals),
		T(qp_rights),
		T(local_key_wrong),
		T(bus_fails_on_each_side),
		T(receive_too_small),
		T(receive_key_wrong),
		T(bad_requests),
		T(receiver_not_ready),
		T(receiver_never_ready),
		T(peer_absent),
		T(link_down_for_a_while),
		T(drain),
		T(absurd_doorbell_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
