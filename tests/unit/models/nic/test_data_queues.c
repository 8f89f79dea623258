// SPDX-License-Identifier: MIT
/* Shared receive queues, receive queues in error, XRC, datagrams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"

static struct nic_qp *a, *b;

static void shared_queue(void **state)
{
	/* Not in order, and relinked late: 0 -> 5 -> 3. */
	struct nic_srq *srq = rig_srq(1, 9, NIC_SRQ_BASIC);
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	b->rq_kind = NIC_RQ_SRQ;
	b->srq = srq;
	srq->lwm = 2;
	rig_srq_post(srq, 0, 15, RIG_B, 4096);
	rig_srq_post(srq, 5, 3, RIG_B + 4096, 4096);
	rig_srq_post(srq, 3, 7, RIG_B + 8192, 4096);
	for (i = 0; i < 3; i++) {
		rig_fill(RIG_A + i * 4096, 1500, i);
		rig_send(a, NIC_OP_SEND, RIG_A + i * 4096, 1500, 0, 0);
		if (!i) {
			rig_run_now();
			assert_int_equal(rig_n_events, 0);
			rig_mem[nic_buf_addr(&srq->buf, 3)] = 5;
		}
	}
	rig_run();
	assert_int_equal(rig_cqes(b, true), 3);
	assert_int_equal(rig_cqe(b, true, 0)->wqe_counter, 0);
	assert_int_equal(rig_cqe(b, true, 1)->wqe_counter, 5);
	assert_int_equal(rig_cqe(b, true, 2)->wqe_counter, 3);
	assert_int_equal(rig_cqe(b, true, 2)->srqn, 9);
	for (i = 0; i < 3; i++)
		assert_true(rig_is_filled(RIG_B + i * 4096, 1500, i));
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_events[0].type, NIC_EV_SRQ_LIMIT);
	assert_int_equal(srq->lwm, 0);
}

static void shared_queue_empty(void **state)
{
	struct nic_srq *srq = rig_srq(1, 9, NIC_SRQ_BASIC);

	rig_pair(NIC_QP_RC, &a, &b);
	b->rq_kind = NIC_RQ_SRQ;
	b->srq = srq;
	rig_send(a, NIC_OP_SEND, RIG_A, 8, 0, 0);
	rig_run_now();
	assert_int_equal(rig_count(0, NIC_C_RNR_NAK), 1);
	rig_srq_post(srq, 0, 1, RIG_B, 4096);
	rig_run();
	assert_int_equal(rig_cqes(b, true), 1);
}

/* More posted than the ring holds: refused, and not 32,768 stale entries flushed. */
static void receive_record_gone_wrong(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	mlx5_set32(rig_mem, (uint32_t)b->db_addr, 0x8000);
	rig_send(a, NIC_OP_SEND, RIG_A, 8, 0, 0);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_OP);
	assert_int_equal(rig_cqes(b, true), 0);
	assert_int_equal(rig_events[0].type, NIC_EV_WQ_CATAS);
}

#define MS 1000000ull

/* Time passes until qp, of NIC 1, has n receives completed. Return: how long that took. */
static uint64_t time_until_received(const struct nic_qp *qp, unsigned n)
{
	uint64_t start = rig_now;

	rig_run_now();
	while (rig_cqes(qp, true) < n && rig_now - start < 1000 * MS) {
		rig_now += MS / 10;
		nic_timers_run(&rig_nic[1].dw[0]);
		rig_run_now();
	}
	return rig_now - start;
}

/* Nothing rings for them; the looks become rarer, but not rarer than every 64 ms. */
static void flush_receives(struct nic_qp *qp)
{
	uint64_t took, longest = 0;
	unsigned i;

	nic_qp_error(qp, 0);
	rig_run_now();
	assert_int_equal(rig_cqes(qp, true), 0);
	for (i = 0; i < 12; i++) {
		rig_recv(qp, RIG_B, 4096, RIG_KEY);
		took = time_until_received(qp, i + 1);
		assert_int_equal(rig_cqes(qp, true), i + 1);
		assert_int_equal(rig_cqe(qp, true, i)->opcode, NIC_CQE_RESP_ERR);
		assert_int_equal(rig_cqe(qp, true, i)->syndrome, NIC_S_FLUSH);
		assert_int_equal(rig_cqe(qp, true, i)->wqe_counter, i);
		assert_true(took <= (i ? 64 * MS : MS));
		longest = took > longest ? took : longest;
	}
	assert_int_equal(longest, 64 * MS);
	assert_int_equal(rig_cqes(qp, false), 0);
}

static void receives_posted_in_error(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	flush_receives(b);
}

static void receives_posted_in_error_without_send_queue(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	b->no_sq = true;
	flush_receives(b);
}

/* A shared queue's receives are not its own: nobody looks. */
static void shared_queue_in_error(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	b->rq_kind = NIC_RQ_SRQ;
	b->srq = rig_srq(1, 9, NIC_SRQ_BASIC);
	nic_qp_error(b, 0);
	rig_run_now();
	rig_srq_post(b->srq, 0, 1, RIG_B, 4096);
	assert_int_equal(nic_timers_run(&rig_nic[1].dw[0]), 0);
	assert_int_equal(rig_cqes(b, true), 0);
}

static void last_entry_event(void **state)
{
	rig_pair(NIC_QP_RC, &a, &b);
	b->rq_kind = NIC_RQ_SRQ;
	b->srq = rig_srq(1, 9, NIC_SRQ_BASIC);
	nic_qp_error(b, 0);
	rig_run();
	nic_qp_kick(b);
	rig_run();
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_events[0].type, NIC_EV_SRQ_LAST_WQE);
}

static void post_xrc(uint32_t srqn)
{
	struct rig_wqe w;
	uint8_t seg[16] = { 0 };

	mlx5_set32(seg, 0, srqn);
	rig_begin(&w, a, NIC_OP_SEND, 0);
	rig_raw(&w, seg, 16);
	rig_sge(&w, RIG_A, 100, RIG_KEY);
	rig_post(a, &w);
}

static void xrc(void **state)
{
	struct nic_srq *srq = rig_srq(1, 9, NIC_SRQ_XRC);

	srq->xrcd = 3;
	srq->user_index = 0x77;
	rig_pair(NIC_QP_XRC, &a, &b);
	b->rq_kind = NIC_RQ_NONE;
	b->attr.xrcd = 3;
	rig_fill(RIG_A, 100, 2);
	rig_srq_post(srq, 0, 1, RIG_B, 4096);
	post_xrc(9);
	rig_run();
	assert_true(rig_is_filled(RIG_B, 100, 2));
	assert_ptr_equal(rig_log[0].cq, srq->cq);
	assert_int_equal(rig_log[0].e.user_index, 0x77);
	assert_int_equal(rig_log[0].e.srqn, 9);
	assert_int_equal(rig_cqes(a, false), 1);
}

static void xrc_other_domain(void **state)
{
	struct nic_srq *srq = rig_srq(1, 9, NIC_SRQ_XRC);

	srq->xrcd = 4;
	rig_pair(NIC_QP_XRC, &a, &b);
	b->attr.xrcd = 3;
	rig_srq_post(srq, 0, 1, RIG_B, 4096);
	post_xrc(9);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_INV_REQ);
}

static void post_ud(uint32_t dqpn, uint16_t dlid, uint32_t qkey, bool grh, uint32_t len)
{
	uint8_t av[48] = { 0 };
	struct rig_wqe w;

	mlx5_set32(av, 0, qkey);
	mlx5_set32(av, 8, 0x80000000u | dqpn);
	av[12] = 0x05;
	av[14] = (uint8_t)(dlid >> 8);
	av[15] = (uint8_t)dlid;
	mlx5_set32(av, 28, grh ? 1u << 30 : 0);
	av[47] = 0xee;
	rig_begin(&w, a, NIC_OP_SEND_IMM, 0x55667788);
	rig_raw(&w, av, 48);
	rig_sge(&w, RIG_A, len, RIG_KEY);
	rig_post(a, &w);
}

static void ud_pair(void)
{
	a = rig_qp(0, 0x60, NIC_QP_UD, 0, 0);
	b = rig_qp(1, 0x61, NIC_QP_UD, 0, 0);
}

static void datagram(void **state)
{
	const struct nic_cqe *e;

	ud_pair();
	rig_fill(RIG_A, 2048, 3);
	rig_recv(b, RIG_B, 4096, RIG_KEY);
	post_ud(0x61, 3, 0x1234, true, 2048);
	rig_run();
	e = rig_cqe(b, true, 0);
	assert_non_null(e);
	assert_int_equal(e->opcode, NIC_CQE_RESP_SEND_IMM);
	assert_int_equal(e->byte_cnt, 2088);
	assert_int_equal(e->src_qp, 0x60);
	assert_int_equal(e->slid, 2);
	assert_int_equal(e->sl, 5);
	assert_int_equal(e->imm_inval, 0x55667788);
	assert_true(e->grh);
	assert_int_equal(rig_mem[RIG_B] >> 4, 6);
	assert_int_equal(rig_mem[RIG_B + 39], 0xee);
	assert_true(rig_is_filled(RIG_B + 40, 2048, 3));
	assert_int_equal(rig_cqes(a, false), 1);
}

static void datagram_dropped(void **state)
{
	ud_pair();
	post_ud(0x61, 3, 0x1234, false, 8); /* no entry */
	rig_run();
	rig_recv(b, RIG_B, 4096, RIG_KEY);
	post_ud(0x61, 3, 0x9999, false, 8); /* wrong qkey */
	post_ud(0x99, 3, 0x1234, false, 8); /* nobody */
	post_ud(0x61, 9, 0x1234, false, 8); /* no such LID */
	rig_nic[1].port.pkey[0] = 0x8001;
	post_ud(0x61, 3, 0x1234, false, 8); /* another partition */
	rig_run();
	assert_int_equal(rig_cqes(b, true), 0);
	assert_int_equal(rig_cqes(a, false), 5);
	assert_int_equal(rig_count(0, NIC_C_UD_DROPPED) + rig_count(1, NIC_C_UD_DROPPED), 5);
	assert_int_equal(rig_nic[1].port.qkey_violations, 1);
	assert_int_equal(rig_nic[1].port.pkey_violations, 1);
}

static void datagram_too_long(void **state)
{
	ud_pair();
	post_ud(0x61, 3, 0x1234, false, 4097);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_LOCAL_LENGTH);
	/* Its sender flushes, receives, and sends again when told to. */
	assert_int_equal(a->state, NIC_QPS_SQER);
	post_ud(0x61, 3, 0x1234, false, 8);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 1)->syndrome, NIC_S_FLUSH);
	rig_recv(b, RIG_B, 4096, RIG_KEY);
	atomic_store(&a->state, NIC_QPS_RTS);
	nic_req_modified(a, false);
	post_ud(0x61, 3, 0x1234, false, 8);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 2)->opcode, NIC_CQE_REQ);
	assert_int_equal(rig_cqes(b, true), 1);
}

/* The page is asked for; the entry waits for the next datagram. */
static void datagram_into_an_absent_page(void **state)
{
	struct nic_mkey *mk = rig_mkey(1, 0x6000, RIG_PD, 0x1f, RIG_B, 4096);

	mk->odp = true;
	mk->mtt[0] = 0;
	ud_pair();
	rig_recv(b, RIG_B, 4096, 0x6000);
	rig_fill(RIG_A, 1000, 3);
	post_ud(0x61, 3, 0x1234, false, 1000);
	post_ud(0x61, 3, 0x1234, false, 1000);
	rig_run();
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_cqes(b, true), 0);
	assert_int_equal(rig_count(1, NIC_C_UD_DROPPED), 2);
	assert_int_equal(b->state, NIC_QPS_RTS);
	mk->mtt[0] = RIG_B | 3;
	nic_fault_resume_mkey(&rig_nic[1], mlx5_get32(rig_events[0].data, 8), false);
	post_ud(0x61, 3, 0x1234, false, 1000);
	rig_run();
	assert_int_equal(rig_cqes(b, true), 1);
	assert_int_equal(rig_cqe(b, true, 0)->wqe_counter, 0);
	assert_true(rig_is_filled(RIG_B + 40, 1000, 3));
}

static void multicast(void **state)
{
	ud_pair();
	rig_fill(RIG_A, 100, 8);
	rig_recv(a, RIG_B + 8192, 4096, RIG_KEY);
	rig_recv(b, RIG_B, 4096, RIG_KEY);
	post_ud(0xffffff, 0xc001, 0x1234, true, 100);
	rig_run();
	assert_true(rig_is_filled(RIG_B + 40, 100, 8));
	assert_true(rig_is_filled(RIG_B + 8192 + 40, 100, 8));
	a->block_lb_mc = true;
	rig_recv(a, RIG_B + 8192, 4096, RIG_KEY);
	rig_recv(b, RIG_B, 4096, RIG_KEY);
	post_ud(0xffffff, 0xc001, 0x1234, true, 100);
	rig_run();
	assert_int_equal(rig_cqes(a, true), 1);
	assert_int_equal(rig_cqes(b, true), 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shared_queue),
		T(shared_queue_empty),
		T(last_entry_event),
		T(xrc),
		T(datagram),
		T(xrc_other_domain),
		T(datagram_dropped),
		T(datagram_too_long),
		T(datagram_into_an_absent_page),
		T(multicast),
		T(receive_record_gone_wrong),
		T(receives_posted_in_error),
		T(receives_posted_in_error_without_send_queue),
		T(shared_queue_in_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
