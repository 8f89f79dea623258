// SPDX-License-Identifier: MIT
/* Answers to the requester: completions, retries, time-outs. Source: IBA volume 1, 9.7.5. */
#include <errno.h>

#include "models/nic/data.h"
#include "models/nic/reqint.h"
#include "models/nic/tm.h"

#define NO_END 7 /* RNR retries without end */

/* RNR timer codes in 10 us (IBA table 45). */
static const uint16_t rnr_10us[32] = { 65536 - 1, 1,	2,    3,     4,	    6,	   8,	  12,
				       16,	  24,	32,   48,    64,    96,	   128,	  192,
				       256,	  384,	512,  768,   1024,  1536,  2048,  3072,
				       4096,	  6144, 8192, 12288, 16384, 24576, 32768, 49152 };

void nic_req_post_error(struct nic_qp *qp, uint16_t idx, uint8_t opcode, uint8_t syndrome)
{
	struct nic_cqe e = { .opcode = NIC_CQE_REQ_ERR,
			     .syndrome = syndrome,
			     .wqe_opcode = opcode,
			     .qpn = qp->obj.id,
			     .user_index = qp->user_index,
			     .wqe_counter = idx };

	if (qp->rndv && opcode == NIC_OP_READ)
		nic_tm_read_end(qp, idx, false);
	else if (qp->scq)
		nic_cq_post(qp->scq, &e);
}

static void post_done(struct nic_qp *qp, const struct nic_inflight *f)
{
	struct nic_cqe e = { .opcode = NIC_CQE_REQ,
			     .wqe_opcode = f->opcode,
			     .qpn = qp->obj.id,
			     .user_index = qp->user_index,
			     .byte_cnt = (uint32_t)f->len,
			     .wqe_counter = f->idx };

	if (qp->scq && nic_cq_post(qp->scq, &e) == -ENOSPC)
		nic_qp_error(qp, 0);
}

static void pop(struct nic_req *r)
{
	struct nic_inflight *e = nic_req_fl(r, 0);

	r->sq_ci = (uint16_t)(e->idx + e->nbb);
	r->fl_head = (r->fl_head + 1) % NIC_INFLIGHT;
	r->fl_n--;
	if (r->fl_cur)
		r->fl_cur--;
}

void nic_req_complete_head(struct nic_qp *qp)
{
	struct nic_inflight e = *nic_req_fl(&qp->req, 0);

	pop(&qp->req);
	if (qp->rndv && e.opcode == NIC_OP_READ)
		nic_tm_read_end(qp, e.idx, true);
	if (e.signalled)
		post_done(qp, &e);
}

void nic_req_fail(struct nic_qp *qp, uint8_t syndrome)
{
	struct nic_inflight e = *nic_req_fl(&qp->req, 0);

	if (!qp->req.fl_n)
		return;
	pop(&qp->req);
	nic_req_post_error(qp, e.idx, e.opcode, syndrome);
	nic_qp_send_error(qp);
}

uint8_t nic_req_atomic_result(struct nic_iov *v, uint64_t old)
{
	struct nic_iov from;
	enum nic_copy c;

	nic_iov_init(&from, &v->dma);
	nic_iov_host(&from, &old, sizeof(old));
	c = nic_iov_copy(v, &from);
	if (c == NIC_COPY_GONE)
		return NIC_A_LOST;
	return c ? NIC_A_LOCAL : NIC_A_ACK;
}

/* All before psn is acknowledged. */
static void progress(struct nic_qp *qp, uint32_t psn)
{
	struct nic_req *r = &qp->req;

	if (nic_psn_diff(psn, r->acked) <= 0)
		return;
	r->acked = psn;
	if (nic_psn_diff(psn, r->psn) > 0)
		r->psn = psn; /* an answer to what was sent before going back */
	r->retries = r->rnr_tries = 0;
	r->ack_ns = 0;
	r->stop = false;
	while (r->fl_n) {
		struct nic_inflight *e = nic_req_fl(r, 0);

		if (nic_psn_diff(psn, (e->psn + e->n_psn) & NIC_PSN_MASK) < 0)
			break;
		nic_req_complete_head(qp);
	}
}

/* Send again from the first packet not acknowledged. */
static void go_back(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	if (r->psn != r->acked)
		mdl_count(qp->nic->dev, NIC_C_RETRANSMIT);
	r->psn = r->acked;
	r->fl_cur = 0;
	r->stop = false;
	r->ack_ns = 0;
}

/* What was still to be harmed had been sent and lost by now. */
static void lose_kept(struct nic_qp *qp)
{
	struct mdl_fault_hit *tx = &qp->req.hit_tx, *ack = &qp->req.hit_ack;
	struct nic *to = nic_net_find_lid(qp->nic, qp->attr.path.rlid);

	if (tx->action)
		nic_cable_due(qp->nic, to, tx);
	if (ack->action && to)
		nic_cable_due(to, qp->nic, ack);
	tx->action = ack->action = MDL_FAULT_NONE;
}

static void retry(struct nic_qp *qp)
{
	if (qp->req.retries >= qp->attr.retry_count) {
		nic_req_fail(qp, NIC_S_RETRY_EXC);
		return;
	}
	qp->req.retries++;
	lose_kept(qp);
	go_back(qp);
}

static void not_ready(struct nic_qp *qp, uint8_t timer)
{
	struct nic_req *r = &qp->req;

	mdl_count(qp->nic->dev, NIC_C_RNR_NAK);
	if (qp->attr.rnr_retry != NO_END && r->rnr_tries >= qp->attr.rnr_retry) {
		nic_req_fail(qp, NIC_S_RNR_EXC);
		return;
	}
	r->rnr_tries++;
	go_back(qp);
	r->hold_ns = mdl_now_ns() + (uint64_t)rnr_10us[timer & 31] * 10000;
}

void nic_req_answer(struct nic_qp *qp, const struct nic_reply *rep)
{
	struct nic_req *r = &qp->req;

	if (rep->kind == NIC_A_LOST)
		return;
	if (rep->kind == NIC_A_LOCAL) {
		nic_req_fail(qp, NIC_S_LOCAL_PROT);
		return;
	}
	if (rep->kind == NIC_A_ACK) {
		progress(qp, (rep->psn + 1) & NIC_PSN_MASK);
		return;
	}
	/* A NAK of something old, or of nothing that is on the way. */
	if (nic_psn_diff(rep->psn, r->acked) < 0 || !r->fl_n)
		return;
	progress(qp, rep->psn);
	switch (rep->kind) {
	case NIC_A_SEQ:
		mdl_count(qp->nic->dev, NIC_C_SEQ_NAK);
		retry(qp);
		return;
	case NIC_A_RNR:
		not_ready(qp, rep->rnr_timer);
		return;
	case NIC_A_LATER:
		go_back(qp);
		return;
	case NIC_A_INV:
		nic_req_fail(qp, NIC_S_REMOTE_INV_REQ);
		return;
	case NIC_A_ACCESS:
		nic_req_fail(qp, NIC_S_REMOTE_ACCESS);
		return;
	default:
		nic_req_fail(qp, NIC_S_REMOTE_OP);
	}
}

void nic_req_arm_timeout(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	if (r->psn == r->acked || !r->fl_n || !qp->attr.path.ack_timeout)
		r->ack_ns = 0;
	else if (!r->ack_ns)
		r->ack_ns = mdl_now_ns() + (4096ull << (qp->attr.path.ack_timeout & 31));
}

void nic_req_check_timeout(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	if (!r->ack_ns || mdl_now_ns() < r->ack_ns)
		return;
	mdl_count(qp->nic->dev, NIC_C_TIMEOUT);
	r->ack_ns = 0;
	retry(qp);
}
