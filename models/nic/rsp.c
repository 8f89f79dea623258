// SPDX-License-Identifier: MIT
/* The responder of connected services. Source: IBA volume 1, chapter 9 (transport). */
#include <errno.h>
#include <string.h>

#include "models/nic/data.h"
#include "models/nic/dct.h"
#include "models/nic/rspint.h"
#include "models/nic/tm.h"

int nic_rsp_init(struct nic_qp *qp)
{
	nic_rsp_reset(qp);
	return 0;
}

void nic_rsp_fini(struct nic_qp *qp)
{
}

void nic_rsp_reset(struct nic_qp *qp)
{
	size_t skip = offsetof(struct nic_rsp, epsn);

	memset((char *)&qp->rsp + skip, 0, sizeof(qp->rsp) - skip);
}

void nic_rsp_modified(struct nic_qp *qp, uint8_t old, bool psn_set)
{
	if (psn_set)
		qp->rsp.epsn = qp->attr.rq_psn & NIC_PSN_MASK;
	if (atomic_load(&qp->state) == NIC_QPS_ERR)
		qp->rsp.flushed = qp->rsp.last_wqe = false;
}

void nic_rsp_forget_srq(struct nic_qp *qp, const struct nic_srq *srq)
{
	struct nic_rsp *r = &qp->rsp;

	pthread_mutex_lock(&r->lock);
	if (r->rwqe_srq == srq) {
		r->have_rwqe = false;
		r->rwqe_srq = NULL;
	}
	pthread_mutex_unlock(&r->lock);
}

void nic_rsp_info(struct nic_qp *qp, struct nic_rsp_info *i)
{
	*i = (struct nic_rsp_info){ .next_psn = qp->rsp.epsn,
				    .rmsn = qp->rsp.msn,
				    .hw_counter = qp->rsp.rq_ci,
				    .sw_counter = qp->rsp.rq_pi };
}

static bool reliable(const struct nic_qp *qp)
{
	return qp->type != NIC_QP_UC;
}

void nic_rsp_refuse(struct nic_rsp_work *w, enum nic_answer kind, uint8_t event)
{
	w->rep->kind = kind;
	w->rep->psn = w->qp->rsp.epsn;
	/* What one initiator does wrong is no matter of the others. */
	if (reliable(w->qp) && w->qp->type != NIC_QP_DCT)
		nic_qp_error(w->qp, event);
	else
		w->qp->rsp.dropping = true;
}

static void later(struct nic_rsp_work *w)
{
	w->rep->kind = NIC_A_LATER;
	w->rep->psn = w->qp->rsp.epsn;
}

static bool has_cq(const struct nic_srq *srq)
{
	return srq && (srq->kind == NIC_SRQ_XRC || srq->kind == NIC_SRQ_TM);
}

static struct nic_cq *recv_cq(struct nic_qp *qp, const struct nic_srq *srq)
{
	return has_cq(srq) ? srq->cq : qp->rcq;
}

static void complete(struct nic_qp *qp, struct nic_cqe *e)
{
	struct nic_rsp *r = &qp->rsp;
	struct nic_srq *srq = r->rwqe_srq;
	struct nic_cq *cq = recv_cq(qp, srq);

	e->qpn = qp->obj.id;
	e->wqe_counter = r->rwqe;
	e->user_index = has_cq(srq) ? srq->user_index : qp->user_index;
	e->srqn = srq ? srq->obj.id : 0;
	if (r->tm.kind == NIC_TM_ENTRY && e->opcode != NIC_CQE_RESP_ERR) {
		e->app = NIC_CQE_APP_TM;
		e->app_op = r->tm.app_op;
	}
	r->tm.kind = NIC_TM_IDLE;
	r->have_rwqe = false;
	if (cq && nic_cq_post(cq, e) == -ENOSPC)
		nic_qp_error(qp, 0);
}

void nic_rsp_complete_error(struct nic_qp *qp, uint8_t syndrome)
{
	struct nic_cqe e = { .opcode = NIC_CQE_RESP_ERR, .syndrome = syndrome };

	complete(qp, &e);
}

/* The XRC receive queue a packet names, if it may. */
static bool find_srq(struct nic_rsp_work *w, struct nic_srq **ret)
{
	struct nic_qp *qp = w->qp;

	*ret = qp->rq_kind == NIC_RQ_SRQ ? qp->srq : NULL;
	if (qp->type != NIC_QP_XRC)
		return true;
	*ret = nic_find_srq(qp->nic, w->p->srqn);
	return *ret && (*ret)->kind == NIC_SRQ_XRC && (*ret)->xrcd == qp->attr.xrcd;
}

void nic_rsp_no_entry(struct nic_rsp_work *w, int err)
{
	struct nic_rsp *r = &w->qp->rsp;

	if (err != -EAGAIN) {
		nic_rsp_refuse(w, NIC_A_OP, NIC_EV_WQ_CATAS);
		return;
	}
	w->rep->kind = NIC_A_RNR;
	w->rep->psn = r->epsn;
	w->rep->rnr_timer = w->qp->attr.min_rnr_nak;
	r->dropping |= !reliable(w->qp);
}

void nic_rsp_hold_entry(struct nic_qp *qp, const struct nic_rwqe *e)
{
	struct nic_rsp *r = &qp->rsp;

	r->have_rwqe = true;
	r->rwqe = e->counter;
	r->rwqe_srq = e->srq;
}

/* Have the receive entry of this message in e. Return: false after an answer was decided. */
static bool get_entry(struct nic_rsp_work *w, struct nic_rwqe *e)
{
	struct nic_rsp *r = &w->qp->rsp;
	struct nic_srq *srq;
	int err;

	if (r->have_rwqe) {
		err = nic_recv_again(w->qp, r->rwqe_srq, r->rwqe, e);
	} else {
		if (!find_srq(w, &srq)) {
			nic_rsp_refuse(w, NIC_A_INV, NIC_EV_WQ_INVAL_REQ);
			return false;
		}
		err = nic_recv_take(w->qp, srq, e);
	}
	if (err)
		nic_rsp_no_entry(w, err);
	else
		nic_rsp_hold_entry(w->qp, e);
	return !err;
}

/* A page of ours is absent. Return: false if nobody can bring it. */
static bool wait_for_page(struct nic_rsp_work *w, const struct nic_fault *f)
{
	struct nic_rsp *r = &w->qp->rsp;

	if (r->fault_failed > NIC_FAULT_TRIES) {
		r->fault_failed = 0;
		return false;
	}
	if (!nic_odp_raise(w->qp, false, f))
		return false;
	later(w);
	return true;
}

/* Where the next part of the payload goes, or comes from. */
typedef enum nic_xlt (*map_fn)(void *arg, struct nic_iov *v, uint64_t off, uint64_t len,
			       struct nic_fault *f);

/*
 * Move the run's payload in as few copies as the lists allow. Return: true when all is done, else
 * *ret_x says what translation said, or an answer was decided (*ret_x is OK).
 */
static bool move_payload(struct nic_rsp_work *w, map_fn map, void *arg, bool to_peer,
			 enum nic_xlt *ret_x)
{
	uint64_t len = w->p->iov->len, done = 0, n;
	struct nic_iov mine, part, *theirs = w->p->iov;
	struct nic_fault f = { 0 };
	enum nic_copy c;

	*ret_x = NIC_XLT_OK;
	for (; done < len; done += n) {
		nic_iov_init(&mine, &w->qp->dma);
		*ret_x = map(arg, &mine, w->p->off + done, len - done, &f);
		n = mine.len;
		if (*ret_x || !n) {
			nic_iov_done(&mine);
			if (!*ret_x)
				*ret_x = NIC_XLT_DEPTH;
			if (*ret_x == NIC_XLT_FAULT && wait_for_page(w, &f))
				*ret_x = NIC_XLT_OK;
			return false;
		}
		if (n < len) {
			nic_iov_part(w->p->iov, done, n, &part);
			theirs = &part;
		}
		c = to_peer ? nic_iov_copy(theirs, &mine) : nic_iov_copy(&mine, theirs);
		nic_iov_done(&mine);
		if (c == NIC_COPY_GONE) {
			w->rep->kind = NIC_A_LOST;
			return false;
		}
		if (c) {
			if ((c == NIC_COPY_DST) == to_peer)
				w->rep->kind = NIC_A_LOCAL;
			else
				*ret_x = NIC_XLT_ACCESS;
			return false;
		}
	}
	return true;
}

struct recv_map {
	struct nic_access_ctx c;
	const struct nic_rwqe *e;
};

static enum nic_xlt map_recv(void *arg, struct nic_iov *v, uint64_t off, uint64_t len,
			     struct nic_fault *f)
{
	struct recv_map *m = arg;

	return nic_xlt_sges(v, &m->c, m->e->sge, m->e->n, off, len, f);
}

struct remote_map {
	struct nic_access_ctx c;
	uint32_t key;
	uint64_t addr;
};

static enum nic_xlt map_remote(void *arg, struct nic_iov *v, uint64_t off, uint64_t len,
			       struct nic_fault *f)
{
	struct remote_map *m = arg;

	return nic_xlt_range(v, &m->c, m->key, m->addr + off, len, f);
}

void nic_rsp_ack(struct nic_rsp_work *w)
{
	struct nic_rsp *r = &w->qp->rsp;

	r->in_msg = !w->p->last;
	r->fault_failed = 0;
	r->epsn = (w->p->psn + w->p->n_psn) & NIC_PSN_MASK;
	if (w->p->last)
		r->msn = (r->msn + 1) & NIC_PSN_MASK;
	w->rep->kind = NIC_A_ACK;
	w->rep->psn = (r->epsn - 1) & NIC_PSN_MASK;
}

#define CS_RES_32 1 /* KH MLX5_RES_SCAT_DATA32_CQE */
#define CS_RES_64 2
#define CQE_ROOM  64

/* How much of a message the completion itself may take: with tags it shows other things. */
static uint32_t cqe_room(const struct nic_qp *qp, const struct nic_cq *cq)
{
	if (!cq || nic_srq_tagged(qp->srq) || (qp->cs_res != CS_RES_32 && qp->cs_res != CS_RES_64))
		return 0;
	return qp->cs_res == CS_RES_64 && cq->log_cqe == 7 ? 64 : 32;
}

/* Does the message go there? All of it is in one packet then. */
static bool fits_cqe(const struct nic_rsp_work *w, const struct nic_rwqe *e)
{
	return w->p->first && w->p->last && w->p->total &&
	       w->p->total <= cqe_room(w->qp, recv_cq(w->qp, e->srq));
}

/* Return: false after an answer was decided. */
static bool gather(struct nic_rsp_work *w, uint8_t *buf)
{
	struct nic_iov mine;
	enum nic_copy c;

	nic_iov_init(&mine, &w->qp->dma);
	nic_iov_host(&mine, buf, w->p->total);
	c = nic_iov_copy(&mine, w->p->iov);
	if (c)
		w->rep->kind = c == NIC_COPY_GONE ? NIC_A_LOST : NIC_A_LOCAL;
	return !c;
}

bool nic_rsp_scatter(struct nic_rsp_work *w, const struct nic_rwqe *e, enum nic_xlt *ret_x)
{
	struct recv_map m = { .e = e };

	nic_qp_ctx(w->qp, NIC_ACC_LOCAL_WRITE, &m.c);
	m.c.pd = e->pd;
	return move_payload(w, map_recv, &m, false, ret_x);
}

/* The payload to the entry's memory, or to the completion. Return: false after an answer. */
static bool take_message(struct nic_rsp_work *w, const struct nic_rwqe *e, uint8_t *small,
			 struct nic_cqe *cqe)
{
	enum nic_xlt x;

	if (fits_cqe(w, e)) {
		cqe->inline_len = (uint8_t)w->p->total;
		cqe->inline_data = small;
		return gather(w, small);
	}
	if (nic_rsp_scatter(w, e, &x))
		return true;
	if (x) {
		nic_rsp_complete_error(w->qp, NIC_S_LOCAL_PROT);
		nic_rsp_refuse(w, NIC_A_OP, 0);
	}
	return false;
}

bool nic_rsp_end_of_send(struct nic_rsp_work *w, struct nic_cqe *cqe)
{
	enum nic_local inv;

	if (w->p->opcode == NIC_OP_SEND)
		return true;
	cqe->imm_inval = w->p->imm;
	cqe->opcode = NIC_CQE_RESP_SEND_IMM;
	if (w->p->opcode == NIC_OP_SEND_IMM)
		return true;
	cqe->opcode = NIC_CQE_RESP_SEND_INV;
	inv = nic_umr_remote_inval(w->qp, w->p->imm);
	if (inv == NIC_L_BUSY) {
		later(w);
	} else if (inv) {
		if (w->qp->rsp.have_rwqe)
			nic_rsp_complete_error(w->qp, NIC_S_LOCAL_ACCESS);
		nic_rsp_refuse(w, NIC_A_ACCESS, 0);
	}
	return !inv;
}

void nic_rsp_send(struct nic_rsp_work *w)
{
	uint8_t small[CQE_ROOM];
	struct nic_cqe cqe = { .opcode = NIC_CQE_RESP_SEND,
			       .solicited = w->p->solicited,
			       .byte_cnt = (uint32_t)w->p->total };
	struct nic_rwqe e;

	if (!get_entry(w, &e))
		return;
	if (w->p->iov->len > e.total || w->p->off > e.total - w->p->iov->len) {
		nic_rsp_complete_error(w->qp, NIC_S_LOCAL_LENGTH);
		nic_rsp_refuse(w, NIC_A_INV, 0);
		return;
	}
	if (!take_message(w, &e, small, &cqe))
		return;
	if (w->p->last && !nic_rsp_end_of_send(w, &cqe))
		return;
	nic_rsp_ack(w);
	if (w->p->last)
		complete(w->qp, &cqe);
}

/*
 * Whose rights a peer's access has. With XRC they are those of the shared queue it names (IBA annex
 * A14): the receiving QP belongs to all users of the domain.
 */
static void remote_ctx(struct nic_rsp_work *w, uint8_t access, struct nic_access_ctx *c)
{
	struct nic_srq *srq;

	nic_qp_ctx(w->qp, access, c);
	c->rlky = false;
	if (w->qp->type == NIC_QP_XRC)
		c->pd = find_srq(w, &srq) ? srq->pd : UINT32_MAX;
}

/* The rights and the whole range, when a message begins. */
static bool remote_ok(struct nic_rsp_work *w, bool allowed, const struct nic_access_ctx *c)
{
	if (allowed && (!w->p->total || !w->p->first ||
			!nic_xlt_check(c, w->p->rkey, w->p->raddr, w->p->total)))
		return true;
	nic_rsp_refuse(w, NIC_A_ACCESS, NIC_EV_WQ_ACCESS);
	return false;
}

static void do_write(struct nic_rsp_work *w)
{
	bool imm = w->p->opcode == NIC_OP_WRITE_IMM && w->p->last;
	struct nic_cqe cqe = { .opcode = NIC_CQE_RESP_WR_IMM,
			       .solicited = w->p->solicited,
			       .imm_inval = w->p->imm,
			       .byte_cnt = (uint32_t)w->p->total };
	struct remote_map m = { .key = w->p->rkey, .addr = w->p->raddr };
	struct nic_rwqe e;
	enum nic_xlt x;

	remote_ctx(w, NIC_ACC_REMOTE_WRITE, &m.c);
	if (!remote_ok(w, w->qp->attr.rwe, &m.c))
		return;
	if (imm && !get_entry(w, &e))
		return;
	if (!move_payload(w, map_remote, &m, false, &x)) {
		if (x)
			nic_rsp_refuse(w, NIC_A_ACCESS, NIC_EV_WQ_ACCESS);
		return;
	}
	nic_rsp_ack(w);
	if (imm)
		complete(w->qp, &cqe);
}

static void do_read(struct nic_rsp_work *w)
{
	struct remote_map m = { .key = w->p->rkey, .addr = w->p->raddr };
	enum nic_xlt x;

	remote_ctx(w, NIC_ACC_REMOTE_READ, &m.c);
	if (!remote_ok(w, w->qp->attr.rre, &m.c))
		return;
	if (!move_payload(w, map_remote, &m, true, &x)) {
		if (x)
			nic_rsp_refuse(w, NIC_A_ACCESS, NIC_EV_WQ_ACCESS);
		return;
	}
	nic_rsp_ack(w);
}

static int run_atomic(struct nic_iov *v, const struct nic_pkt *p, uint64_t *ret_old)
{
	if (p->opcode == NIC_OP_CAS)
		return mdl_dma_cmp_swap(&v->dma, v->seg[0].space, v->seg[0].addr, 8, p->compare,
					p->swap_add, ret_old);
	return mdl_dma_fetch_add(&v->dma, v->seg[0].space, v->seg[0].addr, 8, p->swap_add, ret_old);
}

static void do_atomic(struct nic_rsp_work *w)
{
	struct nic_rsp *r = &w->qp->rsp;
	struct nic_atomic_done *d = &r->atomic[r->atomic_next % NIC_ATOMICS];
	struct nic_access_ctx c;
	struct nic_fault f;
	struct nic_iov v;
	enum nic_xlt x;
	int err = -EFAULT;

	remote_ctx(w, NIC_ACC_REMOTE_ATOMIC, &c);
	if (w->p->raddr & 7) {
		nic_rsp_refuse(w, NIC_A_INV, NIC_EV_WQ_INVAL_REQ);
		return;
	}
	if (!remote_ok(w, w->qp->attr.rae, &c))
		return;
	nic_iov_init(&v, &w->qp->dma);
	x = nic_xlt_range(&v, &c, w->p->rkey, w->p->raddr, 8, &f);
	if (!x && v.n == 1 && !v.special)
		err = run_atomic(&v, w->p, &w->rep->old);
	nic_iov_done(&v);
	if (x == NIC_XLT_FAULT && wait_for_page(w, &f))
		return;
	if (x || err) {
		nic_rsp_refuse(w, NIC_A_ACCESS, NIC_EV_WQ_ACCESS);
		return;
	}
	*d = (struct nic_atomic_done){ .psn = w->p->psn, .valid = true, .old = w->rep->old };
	r->atomic_next++;
	nic_rsp_ack(w);
}

static void execute(struct nic_rsp_work *w)
{
	if (w->p->first == w->qp->rsp.in_msg) {
		nic_rsp_refuse(w, NIC_A_INV, NIC_EV_WQ_INVAL_REQ);
		return;
	}
	switch (w->p->opcode) {
	case NIC_OP_SEND:
	case NIC_OP_SEND_IMM:
	case NIC_OP_SEND_INVAL:
		if (nic_srq_tagged(w->qp->srq))
			nic_tm_send(w);
		else
			nic_rsp_send(w);
		return;
	case NIC_OP_WRITE:
	case NIC_OP_WRITE_IMM:
		do_write(w);
		return;
	case NIC_OP_READ:
		do_read(w);
		return;
	default:
		do_atomic(w);
	}
}

/* Seen before: acknowledge again, read again, or repeat the answer of an atomic. */
static void duplicate(struct nic_rsp_work *w)
{
	struct nic_rsp *r = &w->qp->rsp, saved = *r;
	unsigned i;

	w->rep->kind = NIC_A_LOST;
	if (w->p->opcode == NIC_OP_READ) {
		do_read(w);
		r->epsn = saved.epsn;
		r->msn = saved.msn;
		r->in_msg = saved.in_msg;
		return;
	}
	if (w->p->opcode != NIC_OP_CAS && w->p->opcode != NIC_OP_FADD) {
		w->rep->kind = NIC_A_ACK;
		w->rep->psn = (r->epsn - 1) & NIC_PSN_MASK;
		return;
	}
	for (i = 0; i < NIC_ATOMICS; i++) {
		if (!r->atomic[i].valid || r->atomic[i].psn != w->p->psn)
			continue;
		*w->rep = (struct nic_reply){ .kind = NIC_A_ACK,
					      .psn = w->p->psn,
					      .old = r->atomic[i].old };
	}
}

/* The first packets of the run were seen before: go on with the rest. */
static void execute_rest(struct nic_rsp_work *w, uint32_t seen)
{
	struct nic_pkt rest = *w->p;
	struct nic_iov part;
	uint64_t skip = (uint64_t)seen * w->p->mtu;

	if (skip > w->p->iov->len)
		return;
	nic_iov_part(w->p->iov, skip, w->p->iov->len - skip, &part);
	rest.iov = &part;
	rest.off += skip;
	rest.psn = w->qp->rsp.epsn;
	rest.n_psn -= seen;
	rest.first = false;
	w->p = &rest;
	execute(w);
}

static void packet_reliable(struct nic_rsp_work *w)
{
	struct nic_rsp *r = &w->qp->rsp;
	int32_t d = nic_psn_diff(w->p->psn, r->epsn);

	if (d > 0) {
		w->rep->kind = r->nak_sent ? NIC_A_LOST : NIC_A_SEQ;
		w->rep->psn = r->epsn;
		r->nak_sent = true;
		return;
	}
	if (r->fault_token) {
		later(w);
		return;
	}
	if (d + (int32_t)w->p->n_psn <= 0) {
		duplicate(w);
		return;
	}
	r->nak_sent = false;
	if (d)
		execute_rest(w, (uint32_t)-d);
	else
		execute(w);
}

static void packet_unreliable(struct nic_rsp_work *w)
{
	struct nic_rsp *r = &w->qp->rsp;

	if (w->p->first) {
		r->dropping = r->in_msg = false;
	} else if (w->p->psn != r->epsn) {
		r->dropping = true;
	}
	if (!r->dropping)
		execute(w);
	r->epsn = (w->p->psn + w->p->n_psn) & NIC_PSN_MASK;
	w->rep->kind = NIC_A_LOST;
}

void nic_rsp_reliable(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret)
{
	struct nic_rsp_work w = { qp, p, ret };

	packet_reliable(&w);
}

static bool may_receive(const struct nic_qp *qp)
{
	uint8_t s = atomic_load(&qp->state);

	return s == NIC_QPS_RTR || s == NIC_QPS_RTS || s == NIC_QPS_SQD || s == NIC_QPS_SQER;
}

void nic_rsp_packet(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret)
{
	struct nic_rsp_work w = { qp, p, ret };

	*ret = (struct nic_reply){ .kind = NIC_A_LOST };
	if (qp->type != (p->type == NIC_QP_DCI ? NIC_QP_DCT : p->type))
		return;
	pthread_mutex_lock(&qp->rsp.lock);
	if (qp->type == NIC_QP_DCT) {
		if (may_receive(qp))
			nic_dct_packet(qp, p, ret);
	} else if (may_receive(qp) && qp->attr.dqpn == p->sqpn && qp->attr.path.rlid == p->slid) {
		if (!qp->rsp.comm_est && atomic_load(&qp->state) == NIC_QPS_RTR)
			nic_event_qp(qp->nic, NIC_EV_COMM_EST, qp->obj.id);
		qp->rsp.comm_est = true;
		if (reliable(qp))
			packet_reliable(&w);
		else
			packet_unreliable(&w);
	}
	pthread_mutex_unlock(&qp->rsp.lock);
}

static bool flush_locked(struct nic_qp *qp)
{
	struct nic_rsp *r = &qp->rsp;
	struct nic_rwqe e;
	unsigned n;

	if (r->have_rwqe) {
		nic_rsp_complete_error(qp, NIC_S_FLUSH);
		mdl_count(qp->nic->dev, NIC_C_FLUSHED);
	}
	nic_tm_abort(qp);
	if (qp->rq_kind == NIC_RQ_SRQ) {
		if (!r->last_wqe)
			nic_event_qp(qp->nic, NIC_EV_SRQ_LAST_WQE, qp->obj.id);
		r->last_wqe = true;
		return false;
	}
	for (n = 0; n < 64 && !nic_recv_take(qp, NULL, &e); n++) {
		r->rwqe = e.counter;
		r->rwqe_srq = NULL;
		nic_rsp_complete_error(qp, NIC_S_FLUSH);
		mdl_count(qp->nic->dev, NIC_C_FLUSHED);
	}
	r->flushed = n < 64;
	return n == 64;
}

bool nic_rsp_flush(struct nic_qp *qp)
{
	bool more = false;

	pthread_mutex_lock(&qp->rsp.lock);
	if (atomic_load(&qp->state) == NIC_QPS_ERR)
		more = flush_locked(qp);
	pthread_mutex_unlock(&qp->rsp.lock);
	return more;
}
