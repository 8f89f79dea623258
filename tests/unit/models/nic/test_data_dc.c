// SPDX-License-Identifier: MIT
/* Dynamically connected transport: initiators on NIC 0, targets on NIC 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"
#include "models/nic/dct.h"

#define KEY 0x123456789abcdef0ull

static struct nic_srq *srq;

static struct nic_qp *target(uint32_t dctn)
{
	struct nic_qp *t = rig_qp(1, dctn, NIC_QP_DCT, 0, 0);

	if (!srq)
		srq = rig_srq(1, 9, NIC_SRQ_BASIC);
	t->rq_kind = NIC_RQ_SRQ;
	t->srq = srq;
	t->no_sq = true;
	t->dc_key = KEY;
	t->attr.path.rlid = 0;
	t->state = NIC_QPS_RTR;
	assert_int_equal(nic_dct_init(t), 0);
	return t;
}

static struct nic_qp *initiator(uint32_t qpn)
{
	struct nic_qp *i = rig_qp(0, qpn, NIC_QP_DCI, 1, 0);

	i->rq_kind = NIC_RQ_NONE;
	i->attr.path.rlid = 0;
	return i;
}

/* An address vector as user space writes it: key, target with the extension bit, LID, GRH. */
static void begin(struct rig_wqe *w, struct nic_qp *qp, uint8_t op, uint64_t key, uint32_t dctn)
{
	uint8_t av[48] = { 0 };

	mlx5_set64(av, 0, key);
	mlx5_set32(av, 8, 1u << 31 | dctn);
	av[15] = 3;
	rig_begin(w, qp, op, 0);
	rig_raw(w, av, sizeof(av));
}

static void send(struct nic_qp *qp, uint64_t key, uint32_t dctn, uint64_t addr, uint32_t len)
{
	struct rig_wqe w;

	begin(&w, qp, NIC_OP_SEND, key, dctn);
	rig_sge(&w, addr, len, RIG_KEY);
	rig_post(qp, &w);
}

static void write_to(struct nic_qp *qp, uint32_t dctn, uint64_t raddr, uint64_t addr, uint32_t len)
{
	struct rig_wqe w;

	begin(&w, qp, NIC_OP_WRITE, KEY, dctn);
	rig_remote(&w, raddr, RIG_KEY);
	rig_sge(&w, addr, len, RIG_KEY);
	rig_post(qp, &w);
}

static int setup(void **state)
{
	srq = NULL;
	return rig_setup(state);
}

static void many_to_one(void **state)
{
	struct nic_qp *t = target(0x60), *i[2] = { initiator(0x50), initiator(0x51) };
	unsigned n;

	for (n = 0; n < 6; n++) {
		rig_srq_post(srq, (uint16_t)n, (uint16_t)(n + 1), RIG_B + n * 8192, 8192);
		rig_fill(RIG_A, 5000, n);
		send(i[n & 1], KEY, 0x60, RIG_A, 5000);
		rig_run();
		assert_true(rig_is_filled(RIG_B + n * 8192, 5000, n));
		assert_int_equal(rig_cqe(t, true, n)->srqn, 9);
		assert_int_equal(rig_cqe(t, true, n)->user_index, 0x1060);
	}
	assert_int_equal(rig_cqes(i[0], false), 3);
	assert_int_equal(rig_cqes(i[1], false), 3);
}

/* All posted before anything runs: each must wait for the one before, to another target. */
static void one_to_many(void **state)
{
	struct nic_qp *i = initiator(0x50);
	unsigned n;

	target(0x60);
	target(0x61);
	for (n = 0; n < 8; n++) {
		rig_fill(RIG_A + n * 8192, 3000, n);
		write_to(i, 0x60 + (n >> 1 & 1), RIG_B + n * 8192, RIG_A + n * 8192, 3000);
	}
	rig_run();
	assert_int_equal(rig_cqes(i, false), 8);
	for (n = 0; n < 8; n++) {
		assert_int_equal(rig_cqe(i, false, n)->opcode, NIC_CQE_REQ);
		assert_true(rig_is_filled(RIG_B + n * 8192, 3000, n));
	}
}

static void atomics(void **state)
{
	struct nic_qp *i = initiator(0x50);
	struct rig_wqe w;
	unsigned n;

	target(0x60);
	rig_fault(1, NIC_F_CABLE_ACK, MDL_FAULT_DROP, 0, 1, 2, 1000);
	mlx5_set64(rig_mem, RIG_B, 0);
	for (n = 0; n < 5; n++) {
		begin(&w, i, NIC_OP_FADD, KEY, 0x60);
		rig_remote(&w, RIG_B, RIG_KEY);
		rig_atomic(&w, 0x0100000000000000ull, 0);
		rig_sge(&w, RIG_A + n * 8, 8, RIG_KEY);
		rig_post(i, &w);
	}
	rig_run();
	assert_int_equal(rig_cqes(i, false), 5);
	assert_int_equal(rig_cqe(i, false, 4)->opcode, NIC_CQE_REQ);
	assert_int_equal(rig_mem[RIG_B] + rig_mem[RIG_B + 7], 5);
}

static void wrong_key(void **state)
{
	struct nic_qp *t = target(0x60), *i = initiator(0x50);

	rig_srq_post(srq, 0, 1, RIG_B, 4096);
	send(i, KEY + 1, 0x60, RIG_A, 8);
	rig_run();
	assert_int_equal(rig_cqe(i, false, 0)->syndrome, NIC_S_RETRY_EXC);
	assert_int_equal(t->dc_violations, 8);
	assert_int_equal(rig_cqes(t, true), 0);
	assert_int_equal(t->state, NIC_QPS_RTR);
}

/* What one does wrong is no matter of the other. */
static void error_of_one(void **state)
{
	struct nic_qp *t = target(0x60), *bad = initiator(0x50), *good = initiator(0x51);
	struct rig_wqe w;

	begin(&w, bad, NIC_OP_WRITE, KEY, 0x60);
	rig_remote(&w, RIG_B, 0x999900);
	rig_sge(&w, RIG_A, 8, RIG_KEY);
	rig_post(bad, &w);
	rig_run();
	assert_int_equal(rig_cqe(bad, false, 0)->syndrome, NIC_S_REMOTE_ACCESS);
	assert_int_equal(bad->state, NIC_QPS_ERR);
	assert_int_equal(t->state, NIC_QPS_RTR);
	rig_fill(RIG_A, 100, 1);
	write_to(good, 0x60, RIG_B, RIG_A, 100);
	rig_run();
	assert_int_equal(rig_cqe(good, false, 0)->opcode, NIC_CQE_REQ);
	assert_true(rig_is_filled(RIG_B, 100, 1));
}

static void lossy_cable(void **state)
{
	struct nic_qp *i = initiator(0x50);
	unsigned n;

	target(0x60);
	target(0x61);
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 3, 6, 1000);
	for (n = 0; n < 6; n++) {
		rig_fill(RIG_A + n * 65536, 50000, n);
		write_to(i, 0x60 + (n & 1), RIG_B + n * 65536, RIG_A + n * 65536, 50000);
	}
	rig_run();
	assert_int_equal(rig_cqes(i, false), 6);
	for (n = 0; n < 6; n++)
		assert_true(rig_is_filled(RIG_B + n * 65536, 50000, n));
	assert_true(rig_count(0, NIC_C_RETRANSMIT) > 0);
}

static void page_fault_of_a_target(void **state)
{
	struct nic_mkey *mk = rig_mkey(1, 0x6000, RIG_PD, 0x1f, RIG_B, 2 * 4096);
	struct nic_qp *i[2] = { initiator(0x50), initiator(0x51) };
	struct rig_wqe w;

	target(0x60);
	mk->odp = true;
	mk->mtt[1] = 0;
	rig_fill(RIG_A, 8192, 4);
	begin(&w, i[0], NIC_OP_WRITE, KEY, 0x60);
	rig_remote(&w, RIG_B, 0x6000);
	rig_sge(&w, RIG_A, 8192, RIG_KEY);
	rig_post(i[0], &w);
	rig_run_now();
	assert_int_equal(rig_n_events, 1);
	/* The other is served meanwhile. */
	write_to(i[1], 0x60, RIG_B + 0x10000, RIG_A, 100);
	rig_run_now();
	assert_int_equal(rig_cqes(i[1], false), 1);
	assert_int_equal(rig_cqes(i[0], false), 0);
	mk->mtt[1] = (RIG_B + 4096) | 3;
	nic_fault_resume_mkey(&rig_nic[1], mlx5_get32(rig_events[0].data, 8), false);
	rig_run();
	assert_int_equal(rig_cqes(i[0], false), 1);
	assert_true(rig_is_filled(RIG_B, 8192, 4));
}

/* The newest take the place of the oldest, and those in the middle of a message stay. */
static void more_than_remembered(void **state)
{
	struct nic_qp *t = target(0x60);
	struct nic_iov none;
	struct nic_pkt p = { .opcode = NIC_OP_WRITE,
			     .type = NIC_QP_DCI,
			     .first = true,
			     .n_psn = 1,
			     .dc_key = KEY,
			     .mtu = RIG_MTU,
			     .slid = 2,
			     .iov = &none };
	struct nic_reply r;
	unsigned n;

	nic_iov_init(&none, &t->dma);
	for (n = 0; n < NIC_DCT_CONNS + 10; n++) {
		p.sqpn = n;
		p.dc_conn = n + 1;
		p.last = n != 3;
		nic_rsp_packet(t, &p, &r);
		assert_int_equal(r.kind, NIC_A_ACK);
	}
	/* The one in the middle goes on; one that was forgotten hears nothing of its old number. */
	p.sqpn = 3;
	p.dc_conn = 4;
	p.psn = 1;
	p.first = false;
	p.last = true;
	nic_rsp_packet(t, &p, &r);
	assert_int_equal(r.kind, NIC_A_ACK);
	assert_int_equal(r.psn, 1);
	p.sqpn = NIC_DCT_CONNS + 9;
	p.dc_conn = 5;
	nic_rsp_packet(t, &p, &r);
	assert_int_equal(r.kind, NIC_A_LOST);
}

static void drained(void **state)
{
	struct nic_qp *t = target(0x60), *i = initiator(0x50);

	rig_srq_post(srq, 0, 1, RIG_B, 65536);
	/* A message loses its second half for good. */
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 4, 1000, 1000);
	send(i, KEY, 0x60, RIG_A, 50000);
	rig_run();
	assert_int_equal(rig_cqe(i, false, 0)->syndrome, NIC_S_RETRY_EXC);
	assert_int_equal(rig_cqes(t, true), 0);
	nic_dct_drain(t);
	assert_int_equal(rig_cqes(t, true), 1);
	assert_int_equal(rig_cqe(t, true, 0)->syndrome, NIC_S_FLUSH);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(many_to_one),
		T(one_to_many),
		T(atomics),
		T(wrong_key),
		T(error_of_one),
		T(lossy_cable),
		T(page_fault_of_a_target),
		T(more_than_remembered),
		T(drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
