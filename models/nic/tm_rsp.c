// SPDX-License-Identifier: MIT
/*
 * Messages that arrive at a shared queue with tags: to the buffer their tag belongs to, or to an
 * ordinary entry. Of a rendezvous only the description arrives: the device fetches the data itself
 * and tells the sender when it is done, through requests of its own (struct nic_rndv).
 */
#include "models/nic/tm.h"

#include <errno.h>
#include <string.h>

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"
#include "models/nic/rspint.h"

#define OP_RNDV	 1
#define OP_FIN	 2
#define OP_EAGER 3
#define HDR	 (NIC_TMH + NIC_RVH)
#define INLINE	 0x80000000u

/* The head of a message, and what it says. */
struct head {
	uint8_t b[HDR];
	bool tagged, rndv;
};

/* ---- the device's own requests ---- */

static bool has_room(const struct nic_rndv *r)
{
	uint16_t used = (uint16_t)(atomic_load(&r->pi) - atomic_load(&r->ci));

	return used + 2u <= NIC_RNDV_SLOTS;
}

static uint8_t *begin_wqe(struct nic_qp *qp, uint16_t idx, uint8_t opcode, unsigned ds)
{
	uint8_t *p = qp->rndv->ring + idx % NIC_RNDV_SLOTS * NIC_BB;

	memset(p, 0, NIC_BB);
	mlx5_set32(p, 0, (uint32_t)idx << 8 | opcode);
	mlx5_set32(p, 4, qp->obj.id << 8 | ds);
	return p;
}

static void put_read(struct nic_qp *qp, uint16_t idx, const struct head *h, const struct nic_sge *s)
{
	uint32_t len = mlx5_get32(h->b, 28);
	uint8_t *p = begin_wqe(qp, idx, NIC_OP_READ, len ? 3 : 2);

	memcpy(p + 16, h->b + NIC_TMH, 12);
	if (!len)
		return; /* 0 in a data segment would be 2 GiB */
	mlx5_set32(p, 32, len);
	mlx5_set32(p, 36, s->key);
	mlx5_set64(p, 40, s->addr);
}

static void put_fin(struct nic_qp *qp, uint16_t idx, const struct head *h)
{
	uint8_t *p = begin_wqe(qp, idx, NIC_OP_SEND, 4);

	mlx5_set32(p, 16, INLINE | HDR);
	memcpy(p + 20, h->b, HDR);
	p[20] = OP_FIN;
}

/* Requests run in their order, a READ to its end: the sender hears of it after the data came. */
static void fetch_data(struct nic_qp *qp, const struct head *h, const struct nic_tm_msg *m)
{
	struct nic_rndv *r = qp->rndv;
	uint16_t pi = atomic_load(&r->pi);
	unsigned i = pi / 2 % NIC_RNDV_JOBS;

	r->job[i].index = m->index;
	r->job[i].len = mlx5_get32(h->b, 28);
	put_read(qp, pi, h, &m->sge);
	put_fin(qp, (uint16_t)(pi + 1), h);
	atomic_store(&r->pi, (uint16_t)(pi + 2));
	nic_qp_kick(qp);
}

void nic_tm_fetch(const struct nic_rndv *r, uint16_t idx, unsigned n, uint8_t *buf)
{
	unsigned i;

	for (i = 0; i < n; i++)
		memcpy(buf + i * NIC_BB, r->ring + (idx + i) % NIC_RNDV_SLOTS * NIC_BB, NIC_BB);
}

void nic_tm_read_end(struct nic_qp *qp, uint16_t idx, bool ok)
{
	unsigned i = idx / 2 % NIC_RNDV_JOBS;
	struct nic_cqe e = { .opcode = NIC_CQE_RESP_SEND,
			     .app_op = ok ? NIC_TM_EXPECTED : NIC_TM_CANCELED,
			     .app_info = qp->rndv->job[i].index,
			     .byte_cnt = ok ? qp->rndv->job[i].len : 0 };

	nic_tm_post(qp, &e);
}

/* ---- a message begins ---- */

/* Return: false after an answer was decided. */
static bool peek(struct nic_rsp_work *w, struct head *h)
{
	uint64_t len = w->p->total < HDR ? w->p->total : HDR;
	struct nic_iov mine, part;
	enum nic_copy c;

	memset(h, 0, sizeof(*h));
	if (w->p->off || w->p->iov->len < len) {
		nic_rsp_refuse(w, NIC_A_INV, NIC_EV_WQ_INVAL_REQ);
		return false;
	}
	if (!len)
		return true;
	nic_iov_init(&mine, &w->qp->dma);
	nic_iov_host(&mine, h->b, len);
	nic_iov_part(w->p->iov, 0, len, &part);
	c = nic_iov_copy(&mine, &part);
	if (c)
		w->rep->kind = c == NIC_COPY_GONE ? NIC_A_LOST : NIC_A_LOCAL;
	h->rndv = h->b[0] == OP_RNDV && w->p->total >= HDR;
	h->tagged = h->rndv || (h->b[0] == OP_EAGER && w->p->total >= NIC_TMH);
	return !c;
}

/* Can the device itself do what this rendezvous asks for? */
static bool can_fetch(const struct nic_qp *qp, const struct head *h, const struct nic_tag *t)
{
	uint32_t len = mlx5_get32(h->b, 28);

	return qp->rndv && qp->srq->tm->rndv && len <= t->sge.len && len <= 1u << NIC_LOG_MSG;
}

/* The match itself is told before anything else can match. */
static void matched(struct nic_rsp_work *w, const struct head *h, const struct nic_tag *t,
		    uint16_t index)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	struct nic_cqe e = { .opcode = NIC_CQE_NO_PACKET,
			     .app_op = NIC_TM_CONSUMED,
			     .app_info = index };

	*m = (struct nic_tm_msg){ .index = index, .sge = t->sge };
	memcpy(m->tmh, h->b, NIC_TMH);
	if (!h->rndv)
		m->kind = NIC_TM_EAGER;
	else
		m->kind = can_fetch(w->qp, h, t) ? NIC_TM_FETCH : NIC_TM_SOFTWARE;
	m->told = m->kind == NIC_TM_FETCH || (m->kind == NIC_TM_EAGER && w->p->total > w->p->mtu);
	if (!m->told)
		return;
	e.byte_cnt = h->rndv ? mlx5_get32(h->b, 28) : (uint32_t)(w->p->total - NIC_TMH);
	memcpy(e.head, h->b, NIC_TMH);
	nic_tm_post(w->qp, &e);
}

/* One step for all queue pairs: find a buffer, or take an entry and count. */
static int take(struct nic_rsp_work *w, const struct head *h, struct nic_rwqe *e)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	struct nic_srq *srq = w->qp->srq;
	const struct nic_tag *t = NULL;
	bool limit = false;
	uint16_t index;
	int err = 0;

	pthread_mutex_lock(&srq->lock);
	if (h->tagged)
		t = nic_tm_match(srq->tm, mlx5_get64(h->b, 8), &index);
	if (t)
		matched(w, h, t, index);
	else
		err = nic_recv_take_locked(srq, e, &limit);
	if (!t && !err) {
		m->kind = NIC_TM_ENTRY;
		m->app_op = h->tagged ? NIC_TM_UNEXPECTED : NIC_TM_NO_TAG;
		srq->tm->hw_phase = (uint16_t)(srq->tm->hw_phase + h->tagged);
		nic_rsp_hold_entry(w->qp, e);
	}
	pthread_mutex_unlock(&srq->lock);
	if (limit)
		nic_event_srq(srq->nic, NIC_EV_SRQ_LIMIT, srq->obj.id);
	return err;
}

/* Return: false after an answer was decided. */
static bool begin(struct nic_rsp_work *w, struct head *h)
{
	struct nic_rwqe e;
	int err;

	if (h->rndv && w->p->total > NIC_RNDV_MAX) {
		nic_rsp_refuse(w, NIC_A_INV, NIC_EV_WQ_INVAL_REQ);
		return false;
	}
	if (h->rndv && w->qp->rndv && !has_room(w->qp->rndv)) {
		nic_qp_kick(w->qp);
		nic_rsp_no_entry(w, -EAGAIN);
		return false;
	}
	err = take(w, h, &e);
	if (err)
		nic_rsp_no_entry(w, err);
	return !err;
}

/* ---- what was matched ---- */

/* Bytes [skip, skip + len) of the run to the tagged buffer, at off. Return: false: answered. */
static bool to_buffer(struct nic_rsp_work *w, uint64_t skip, uint64_t len, uint64_t off)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	struct nic_pkt p = *w->p;
	struct nic_rsp_work part = { w->qp, &p, w->rep };
	struct nic_iov v;
	struct nic_rwqe e;
	enum nic_xlt x;

	if (!len)
		return true;
	e.pd = w->qp->srq->pd;
	e.total = m->sge.len;
	e.n = 1;
	e.sge[0] = m->sge;
	nic_iov_part(w->p->iov, skip, len, &v);
	p.iov = &v;
	p.off = off;
	if (nic_rsp_scatter(&part, &e, &x))
		return true;
	if (x)
		nic_rsp_refuse(w, NIC_A_OP, 0);
	return false;
}

static void done(struct nic_rsp_work *w, struct nic_cqe *e)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;

	e->app_info = m->index;
	if (!m->told)
		memcpy(e->head, m->tmh, NIC_TMH);
	m->kind = NIC_TM_IDLE;
	nic_tm_post(w->qp, e);
}

static void eager(struct nic_rsp_work *w)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	uint64_t skip = w->p->off ? 0 : NIC_TMH;
	struct nic_cqe e = { .opcode = NIC_CQE_RESP_SEND,
			     .solicited = w->p->solicited,
			     .app_op = m->told ? NIC_TM_EXPECTED : NIC_TM_CONSUMED_MSG };

	if (w->p->total < NIC_TMH || w->p->iov->len < skip || w->p->off + skip < NIC_TMH ||
	    w->p->total - NIC_TMH > m->sge.len) {
		nic_rsp_refuse(w, NIC_A_INV, 0);
		return;
	}
	if (!to_buffer(w, skip, w->p->iov->len - skip, w->p->off + skip - NIC_TMH))
		return;
	if (w->p->last && !nic_rsp_end_of_send(w, &e))
		return;
	nic_rsp_ack(w);
	e.byte_cnt = (uint32_t)(w->p->total - NIC_TMH);
	if (w->p->last)
		done(w, &e);
}

/* The description goes to the buffer, as much as it holds. */
static void software(struct nic_rsp_work *w)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	uint32_t len = w->p->iov->len < m->sge.len ? (uint32_t)w->p->iov->len : m->sge.len;
	struct nic_cqe e = { .opcode = NIC_CQE_RESP_SEND,
			     .solicited = w->p->solicited,
			     .app_op = NIC_TM_CONSUMED_MSG_SW,
			     .byte_cnt = len };

	if (!to_buffer(w, 0, len, 0) || !nic_rsp_end_of_send(w, &e))
		return;
	nic_rsp_ack(w);
	done(w, &e);
}

void nic_tm_send(struct nic_rsp_work *w)
{
	struct nic_tm_msg *m = &w->qp->rsp.tm;
	struct head h;

	if (m->kind == NIC_TM_IDLE && (!peek(w, &h) || !begin(w, &h)))
		return;
	switch (m->kind) {
	case NIC_TM_EAGER:
		eager(w);
		return;
	case NIC_TM_FETCH:
		fetch_data(w->qp, &h, m);
		m->kind = NIC_TM_IDLE;
		nic_rsp_ack(w);
		return;
	case NIC_TM_SOFTWARE:
		software(w);
		return;
	default:
		nic_rsp_send(w);
	}
}

void nic_tm_abort(struct nic_qp *qp)
{
	struct nic_tm_msg *m = &qp->rsp.tm;
	struct nic_cqe e = { .opcode = NIC_CQE_RESP_SEND,
			     .app_op = NIC_TM_CANCELED,
			     .app_info = m->index };

	if (m->kind == NIC_TM_EAGER || m->kind == NIC_TM_SOFTWARE)
		nic_tm_post(qp, &e);
	m->kind = NIC_TM_IDLE;
}
