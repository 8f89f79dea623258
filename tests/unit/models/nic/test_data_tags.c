// SPDX-License-Identifier: MIT
/* Shared receive queues with tags: the list, eager messages, rendezvous. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "datarig.h"
#include "models/nic/tm.h"

#define OP_RNDV	 1
#define OP_FIN	 2
#define OP_EAGER 3
#define APPEND	 1u
#define REMOVE	 2u
#define BUF	 (RIG_B + 0x100000)
#define LEN	 2000u

static struct nic_srq *srq;
static struct nic_qp *cmd, *a, *b;
static unsigned seen;

/* Client a, server b at a queue with tags, and the queue pair that changes the list. */
static int start(void **state)
{
	unsigned i;

	rig_setup(state);
	srq = rig_srq(1, 9, NIC_SRQ_TM);
	srq->tm = nic_tm_new(4, true);
	srq->user_index = 0x77;
	rig_pair(NIC_QP_RC, &a, &b);
	b->rq_kind = NIC_RQ_SRQ;
	b->srq = srq;
	b->no_sq = true;
	b->rndv = calloc(1, sizeof(*b->rndv));
	cmd = rig_qp(1, 0x50, NIC_QP_RC, 1, 0x50);
	cmd->srq = srq;
	for (i = 0; i < 4; i++)
		rig_srq_post(srq, (uint16_t)i, (uint16_t)(i + 1), RIG_B + i * 4096, 4096);
	seen = 0;
	return 0;
}

static int stop(void **state)
{
	free(b->rndv);
	b->rndv = NULL;
	free(srq->tm);
	return rig_teardown(state);
}

/* The next completion of the queue with tags. */
static const struct nic_cqe *next(void)
{
	while (seen < rig_logged)
		if (rig_log[seen++].cq == srq->cq)
			return &rig_log[seen - 1].e;
	return NULL;
}

static void op(unsigned kind, uint16_t index, int sw_cnt, uint64_t tag, uint32_t len)
{
	struct rig_wqe w;
	uint8_t s[32] = { 0 };

	s[0] = (uint8_t)(kind << 4);
	s[1] = 0x80 | (sw_cnt >= 0 ? 0x40 : 0);
	s[3] = (uint8_t)index;
	if (sw_cnt >= 0)
		s[7] = (uint8_t)sw_cnt;
	mlx5_set64(s, 16, tag);
	mlx5_set64(s, 24, 0xffff);
	rig_begin(&w, cmd, NIC_OP_TAG_MATCHING, 0);
	w.b[11] = 0;
	rig_raw(&w, s, 32);
	if (kind == APPEND)
		rig_sge(&w, BUF + 0x1000 * tag, len, len ? RIG_KEY : 0x100);
	rig_post(cmd, &w);
	rig_run();
}

static const struct nic_cqe *expect(uint8_t opcode, uint8_t app_op)
{
	const struct nic_cqe *e = next();

	assert_non_null(e);
	assert_int_equal(e->opcode, opcode);
	assert_int_equal(e->app, NIC_CQE_APP_TM);
	assert_int_equal(e->app_op, app_op);
	assert_int_equal(e->user_index, 0x77);
	return e;
}

static void add(uint16_t next_index, uint64_t tag, uint32_t len)
{
	op(APPEND, next_index, -1, tag, len);
	expect(NIC_CQE_NO_PACKET, NIC_TM_APPEND);
}

/* A message at RIG_A: header, then len bytes of pattern. */
static void send(uint8_t opcode, uint64_t tag, uint32_t len)
{
	rig_fill(RIG_A + 16, len, (unsigned)tag);
	mlx5_set64(rig_mem, RIG_A, (uint64_t)opcode << 56 | 0xc0ffee);
	mlx5_set64(rig_mem, RIG_A + 8, tag);
	rig_send(a, NIC_OP_SEND, RIG_A, 16 + len, 0, 0);
	rig_run();
}

static void rendezvous(uint64_t tag, uint32_t len, uint32_t key)
{
	rig_fill(RIG_A + 0x10000, len, 5);
	mlx5_set64(rig_mem, RIG_A, (uint64_t)OP_RNDV << 56);
	mlx5_set64(rig_mem, RIG_A + 8, tag);
	mlx5_set64(rig_mem, RIG_A + 16, RIG_A + 0x10000);
	mlx5_set32(rig_mem, RIG_A + 24, key);
	mlx5_set32(rig_mem, RIG_A + 28, len);
	rig_recv(a, RIG_A + 0x8000, 64, RIG_KEY);
	rig_send(a, NIC_OP_SEND, RIG_A, 64, 0, 0);
	rig_run();
}

static void eager_small(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, 4096);
	add(2, 2, 4096);
	send(OP_EAGER, 0xab0002, 900); /* the mask leaves 16 bits */
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG);
	assert_int_equal(e->app_info, 1);
	assert_int_equal(e->byte_cnt, 900);
	assert_memory_equal(e->head, rig_mem + RIG_A, 16);
	assert_true(rig_is_filled(BUF + 0x2000, 900, 0xab0002));
	assert_null(next());
	assert_int_equal(srq->taken, 0);
}

static void eager_of_several_packets(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, 4096);
	send(OP_EAGER, 1, 3000);
	e = expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
	assert_memory_equal(e->head, rig_mem + RIG_A, 16);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_EXPECTED);
	assert_int_equal(e->app_info, 0);
	assert_int_equal(e->byte_cnt, 3000);
	assert_true(rig_is_filled(BUF + 0x1000, 3000, 1));
}

/* Lost packets in the middle: one match, data all there. */
static void eager_over_a_bad_cable(void **state)
{
	add(1, 1, 32768);
	add(2, 1, 32768);
	rig_fault(0, NIC_F_CABLE_TX, MDL_FAULT_DROP, 0, 3, 2, 1000);
	send(OP_EAGER, 1, 20000);
	expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
	expect(NIC_CQE_RESP_SEND, NIC_TM_EXPECTED);
	assert_null(next());
	assert_true(rig_is_filled(BUF + 0x1000, 20000, 1));
	assert_true(srq->tm->tag[1].used);
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
}

static void eager_too_long(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, 100);
	send(OP_EAGER, 1, 101);
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_INV_REQ);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_CANCELED);
	assert_int_equal(e->app_info, 0);
	assert_null(next());
}

/* After a message without a match, buffers wait until software says it has seen it. */
static void unexpected(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, 4096);
	send(OP_EAGER, 7, 100);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_UNEXPECTED);
	assert_int_equal(e->byte_cnt, 116);
	assert_int_equal(e->wqe_counter, 0);
	assert_memory_equal(rig_mem + RIG_B, rig_mem + RIG_A, 116);
	op(APPEND, 2, -1, 7, 4096);
	e = expect(NIC_CQE_NO_PACKET, NIC_TM_APPEND);
	assert_int_equal(e->head[5], 1);
	send(OP_EAGER, 7, 100);
	expect(NIC_CQE_RESP_SEND, NIC_TM_UNEXPECTED);
	send(OP_EAGER, 1, 100); /* an older one still counts */
	expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG);
	op(0, 0, 1, 0, 0); /* not all */
	expect(NIC_CQE_NO_PACKET, NIC_TM_NOOP);
	assert_false(srq->tm->tag[1].active);
	op(0, 0, 2, 0, 0);
	expect(NIC_CQE_NO_PACKET, NIC_TM_NOOP);
	send(OP_EAGER, 7, 100);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG);
	assert_int_equal(e->app_info, 1);
}

/* Messages without a tag count for nothing, whatever they say. */
static void no_tag(void **state)
{
	add(1, 0, 4096);
	send(0, 0, 100);
	expect(NIC_CQE_RESP_SEND, NIC_TM_NO_TAG);
	send(OP_FIN, 0, 16);
	expect(NIC_CQE_RESP_SEND, NIC_TM_NO_TAG);
	mlx5_set32(rig_mem, RIG_A, OP_EAGER << 24);
	rig_send(a, NIC_OP_SEND, RIG_A, 15, 0, 0);
	rig_run();
	expect(NIC_CQE_RESP_SEND, NIC_TM_NO_TAG);
	rig_send(a, NIC_OP_SEND, RIG_A, 0, 0, 0);
	rig_run();
	expect(NIC_CQE_RESP_SEND, NIC_TM_NO_TAG);
	assert_int_equal(srq->tm->hw_phase, 0);
	assert_true(srq->tm->tag[0].used);
}

/* Nothing is counted and no buffer is lost while there is no entry. */
static void not_ready(void **state)
{
	srq->taken = 4;
	send(OP_EAGER, 7, 10);
	assert_null(next());
	assert_int_equal(srq->tm->hw_phase, 0);
	rig_srq_post(srq, 0, 1, RIG_B, 4096);
	rig_run();
	expect(NIC_CQE_RESP_SEND, NIC_TM_UNEXPECTED);
	assert_int_equal(srq->tm->hw_phase, 1);
}

static void removal(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, 4096);
	add(2, 2, 4096);
	op(REMOVE, 0, -1, 0, 0);
	e = expect(NIC_CQE_NO_PACKET, NIC_TM_REMOVE);
	assert_int_equal(e->head[0], 0x80);
	op(REMOVE, 0, -1, 0, 0);
	e = expect(NIC_CQE_NO_PACKET, NIC_TM_REMOVE);
	assert_int_equal(e->head[0], 0);
	send(OP_EAGER, 1, 10);
	expect(NIC_CQE_RESP_SEND, NIC_TM_UNEXPECTED);
	send(OP_EAGER, 2, 10);
	expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG);
}

/* Each wrong request fails and changes nothing. */
static void wrong_requests(void **state)
{
	add(0, 1, 4096); /* the next one goes where this is */
	op(APPEND, 1, 5, 2, 4096);
	assert_int_equal(rig_cqe(cmd, false, 0)->syndrome, NIC_S_LOCAL_QP_OP);
	assert_int_equal(srq->tm->sw_phase, 0);
	assert_int_equal(srq->tm->tail, 0);
	assert_null(next());
}

static void index_out_of_list(void **state)
{
	op(APPEND, 16, -1, 1, 4096);
	assert_int_equal(rig_cqe(cmd, false, 0)->syndrome, NIC_S_LOCAL_QP_OP);
	assert_int_equal(srq->tm->head, NIC_TAG_NONE);
}

static void rendezvous_by_device(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, LEN);
	rendezvous(1, LEN, RIG_KEY);
	e = expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
	assert_memory_equal(e->head, rig_mem + RIG_A, 16);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_EXPECTED);
	assert_int_equal(e->byte_cnt, LEN);
	assert_int_equal(e->app_info, 0);
	assert_null(next());
	assert_true(rig_is_filled(BUF + 0x1000, LEN, 5));
	/* the sender hears of it: its own headers back */
	assert_int_equal(rig_cqe(a, true, 0)->byte_cnt, 32);
	assert_int_equal(rig_mem[RIG_A + 0x8000], OP_FIN);
	assert_memory_equal(rig_mem + RIG_A + 0x8001, rig_mem + RIG_A + 1, 31);
}

/* More than the device has room for at a time, so its places are used again. */
static void rendezvous_many(void **state)
{
	unsigned i;

	for (i = 0; i < 3 * NIC_RNDV_JOBS; i++) {
		add((uint16_t)((i + 1) % 16), 1, LEN);
		rendezvous(1, LEN - i, RIG_KEY);
		expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
		assert_int_equal(expect(NIC_CQE_RESP_SEND, NIC_TM_EXPECTED)->byte_cnt, LEN - i);
	}
}

static void rendezvous_of_nothing(void **state)
{
	add(1, 1, 0);
	rendezvous(1, 0, RIG_KEY);
	expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
	assert_int_equal(expect(NIC_CQE_RESP_SEND, NIC_TM_EXPECTED)->byte_cnt, 0);
	assert_int_equal(rig_cqes(a, true), 1);
}

/* What does not fit, or what nobody lets the device do, is left to software. */
static void rendezvous_by_software(void **state)
{
	const struct nic_cqe *e;

	add(1, 1, LEN - 1);
	rendezvous(1, LEN, RIG_KEY);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG_SW);
	assert_int_equal(e->byte_cnt, 64);
	assert_memory_equal(rig_mem + BUF + 0x1000, rig_mem + RIG_A, 64);
	srq->tm->rndv = false;
	add(2, 1, LEN);
	rendezvous(1, LEN, RIG_KEY);
	e = expect(NIC_CQE_RESP_SEND, NIC_TM_CONSUMED_MSG_SW);
	assert_int_equal(e->app_info, 1);
	assert_null(next());
	assert_int_equal(rig_cqes(a, true), 0);
}

/* The peer's memory may not be read: the match is taken back, and the connection is over. */
static void rendezvous_refused(void **state)
{
	add(1, 1, LEN);
	rendezvous(1, LEN, 0x9900);
	expect(NIC_CQE_NO_PACKET, NIC_TM_CONSUMED);
	assert_int_equal(expect(NIC_CQE_RESP_SEND, NIC_TM_CANCELED)->app_info, 0);
	assert_null(next());
	assert_int_equal(atomic_load(&b->state), NIC_QPS_ERR);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		T(eager_small),
		T(eager_of_several_packets),
		T(eager_over_a_bad_cable),
		T(eager_too_long),
		T(unexpected),
		T(no_tag),
		T(not_ready),
		T(removal),
		T(wrong_requests),
		T(index_out_of_list),
		T(rendezvous_by_device),
		T(rendezvous_many),
		T(rendezvous_of_nothing),
		T(rendezvous_by_software),
		T(rendezvous_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
