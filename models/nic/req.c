// SPDX-License-Identifier: MIT
/*
 * The requester: takes requests from the send queue, sends them in slices, completes them in
 * order. Source: IBA volume 1, chapter 9; RC, KH for the queue. Answers and retries: req_ack.c.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"
#include "models/nic/reqint.h"
#include "models/nic/sig.h"
#include "models/nic/tm.h"

#define SLICE_BYTES	     (256u << 10)
#define SLICE_WQES	     64u
#define WINDOW		     256 /* packets sent and not acknowledged */
#define BUSY_NS		     20000u
#define BUSY_MAX_NS	     500000u
#define ERROR_POLL_NS	     1000000ull
#define ERROR_POLL_DOUBLINGS 6

/* One call of nic_req_run. */
struct run {
	struct nic_qp *qp;
	uint64_t bytes; /* left of the slice */
	unsigned wqes;
	unsigned have; /* blocks in buf, from block first on */
	uint16_t first;
	uint8_t buf[NIC_WQE_MAX_BB * NIC_BB];
	struct nic_swqe w;
};

enum step { STEP_ON, STEP_WAIT };

int nic_req_init(struct nic_qp *qp)
{
	size_t skip = offsetof(struct nic_req, sq_ci);

	memset((char *)&qp->req + skip, 0, sizeof(qp->req) - skip);
	return nic_timer_reserve(qp);
}

void nic_req_fini(struct nic_qp *qp)
{
	nic_timer_drop(qp);
}

void nic_req_reset(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;
	size_t from = offsetof(struct nic_req, sq_ci), to = offsetof(struct nic_req, timer_at);

	memset((char *)r + from, 0, to - from);
	if (qp->rndv) {
		atomic_store(&qp->rndv->pi, 0);
		atomic_store(&qp->rndv->ci, 0);
	}
	nic_timer_set(qp);
}

void nic_req_modified(struct nic_qp *qp, bool psn_set)
{
	if (psn_set)
		qp->req.psn = qp->req.acked = qp->attr.sq_psn & NIC_PSN_MASK;
}

void nic_req_info(struct nic_qp *qp, struct nic_req_info *i)
{
	struct nic_req *r = &qp->req;

	*i = (struct nic_req_info){
		.hw_counter = r->sq_ci,
		.sw_counter = r->sq_pi,
		.next_psn = r->psn,
		.last_acked = (r->acked - 1) & NIC_PSN_MASK,
		.ssn = r->ssn,
		.cur_retry = r->retries > qp->attr.retry_count ?
				     0 :
				     (uint8_t)(qp->attr.retry_count - r->retries),
		.cur_rnr = qp->attr.rnr_retry,
		.draining = atomic_load(&qp->state) == NIC_QPS_SQD && r->fl_n,
	};
}

/* ---- the send queue ---- */

static int read_producer(struct nic_qp *qp)
{
	struct mdl_dma d = qp->dma;
	uint16_t pi, posted;
	uint64_t v;
	int err;

	if (qp->rndv) {
		qp->req.sq_pi = atomic_load(&qp->rndv->pi);
		return 0;
	}
	err = mdl_dma_load(&d, MDL_SPACE_BUS, qp->db_addr + 4, 4, &v);
	if (err)
		return err;
	pi = (uint16_t)be32toh((uint32_t)v);
	posted = (uint16_t)(pi - qp->req.sq_ci);
	/* More than the ring holds: a record gone wrong. Take none of it. */
	if (posted > 1u << qp->sq.log_size)
		return -EINVAL;
	qp->req.sq_pi = pi;
	return 0;
}

/* Parse the request at block idx. Return: 0, -EINVAL (it makes no sense), or a door's error. */
static int load(struct run *x, uint16_t idx)
{
	struct nic_qp *qp = x->qp;
	uint16_t at = (uint16_t)(idx - x->first), avail = (uint16_t)(qp->req.sq_pi - idx);
	int err = -EAGAIN;

	if (at < x->have)
		err = nic_wqe_parse(qp, x->buf + at * NIC_BB, x->have - at, idx, &x->w);
	if (err != -EAGAIN)
		return err;
	x->first = idx;
	x->have = avail < NIC_WQE_MAX_BB ? avail : NIC_WQE_MAX_BB;
	err = nic_wqe_fetch(qp, idx, x->have, x->buf);
	if (err) {
		x->have = 0;
		return err;
	}
	err = nic_wqe_parse(qp, x->buf, x->have, idx, &x->w);
	return err == -EAGAIN ? -EINVAL : err;
}

struct nic_inflight *nic_req_fl(struct nic_req *r, unsigned i)
{
	return &r->fl[(r->fl_head + i) % NIC_INFLIGHT];
}

static bool is_request_reply(uint8_t op)
{
	return op == NIC_OP_READ || op == NIC_OP_CAS || op == NIC_OP_FADD;
}

static bool is_local(const struct nic_qp *qp, uint8_t op)
{
	return op == NIC_OP_NOP || op == NIC_OP_UMR || op == NIC_OP_SET_PSV ||
	       op == NIC_OP_TAG_MATCHING || qp->type == NIC_QP_UD || qp->type == NIC_QP_QP0 ||
	       qp->type == NIC_QP_QP1;
}

static struct nic_dc_peer dc_peer(const struct nic_swqe *w)
{
	return (struct nic_dc_peer){ .key = w->av.dc_key, .dctn = w->av.dqpn, .lid = w->av.rlid };
}

/* Must a DCI's request wait until all before it, to somebody else, is acknowledged? */
static bool other_peer(const struct run *x)
{
	const struct nic_req *r = &x->qp->req;
	struct nic_dc_peer to = dc_peer(&x->w);

	return x->qp->type == NIC_QP_DCI && r->fl_n &&
	       (to.key != r->dc_to.key || to.dctn != r->dc_to.dctn || to.lid != r->dc_to.lid);
}

/* A DCI's connection lasts as long as something is on the way. */
static void dc_connect(struct run *x)
{
	static _Atomic uint64_t serial;
	struct nic_req *r = &x->qp->req;

	if (x->qp->type != NIC_QP_DCI || r->fl_n)
		return;
	r->dc_to = dc_peer(&x->w);
	r->dc_conn = atomic_fetch_add(&serial, 1) + 1;
	r->dc_start = r->psn;
}

/* Start the next request of the queue. */
static void push(struct run *x)
{
	struct nic_req *r = &x->qp->req;
	struct nic_swqe *w = &x->w;
	struct nic_inflight *e = nic_req_fl(r, r->fl_n);

	dc_connect(x);
	*e = (struct nic_inflight){ .idx = w->idx,
				    .nbb = w->nbb,
				    .opcode = w->opcode,
				    .signalled = w->signalled,
				    .psn = r->psn,
				    .n_psn = nic_packets(w->len, nic_mtu(x->qp)),
				    .len = w->len };
	if (w->opcode == NIC_OP_CAS || w->opcode == NIC_OP_FADD || is_local(x->qp, w->opcode))
		e->n_psn = 1;
	r->sq_next = (uint16_t)(w->idx + w->nbb);
	r->fl_n++;
	r->ssn = (r->ssn + 1) & NIC_PSN_MASK;
	mdl_count(x->qp->nic->dev, NIC_C_WQES);
}

/* An error found here, not by the peer: it must wait for its turn to complete. */
static enum step local_error(struct run *x, uint8_t syndrome)
{
	if (!x->qp->req.fl_cur)
		nic_req_fail(x->qp, syndrome);
	return STEP_WAIT;
}

static enum step local_fault(struct run *x, const struct nic_fault *f)
{
	struct nic_req *r = &x->qp->req;

	if (r->fault_failed > NIC_FAULT_TRIES || !nic_odp_raise(x->qp, true, f)) {
		if (!r->fl_cur)
			r->fault_failed = 0;
		return local_error(x, NIC_S_LOCAL_PROT);
	}
	return STEP_WAIT;
}

static void hold_busy(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	r->backoff_ns = r->backoff_ns ? r->backoff_ns * 2 : BUSY_NS;
	if (r->backoff_ns > BUSY_MAX_NS)
		r->backoff_ns = BUSY_MAX_NS;
	r->hold_ns = mdl_now_ns() + r->backoff_ns;
}

/* ---- connected services ---- */

static void fill(struct run *x, const struct nic_inflight *e, uint64_t off, struct nic_iov *v,
		 struct nic_pkt *p)
{
	struct nic_qp *qp = x->qp;
	struct nic_swqe *w = &x->w;

	*p = (struct nic_pkt){
		.opcode = w->opcode,
		.type = qp->type,
		.first = off == 0,
		.last = off + v->len == e->len || w->opcode == NIC_OP_CAS ||
			w->opcode == NIC_OP_FADD,
		.solicited = w->solicited,
		.psn = qp->req.psn,
		.n_psn = nic_packets(v->len, nic_mtu(qp)),
		.imm = w->imm,
		.srqn = w->srqn,
		.rkey = w->rkey,
		.sqpn = qp->obj.id,
		.dqpn = qp->type == NIC_QP_DCI ? w->av.dqpn : qp->attr.dqpn,
		.dc_key = w->av.dc_key,
		.dc_conn = qp->req.dc_conn,
		.dc_start = qp->req.dc_start,
		.slid = atomic_load(&qp->nic->port.lid),
		.mtu = nic_mtu(qp),
		.raddr = w->raddr,
		.total = e->len,
		.off = off,
		.swap_add = w->swap_add,
		.compare = w->compare,
		.iov = v,
	};
}

static void count_packets(struct nic *from, struct nic *to, uint64_t len, uint32_t n)
{
	nic_port_count_add(&from->port, NIC_PC_XMIT_DATA, len / 4);
	nic_port_count_add(&from->port, NIC_PC_XMIT_PKTS, n);
	nic_port_count_add(&from->port, NIC_PC_UCAST_XMIT, n);
	nic_port_count_add(&to->port, NIC_PC_RCV_DATA, len / 4);
	nic_port_count_add(&to->port, NIC_PC_RCV_PKTS, n);
	nic_port_count_add(&to->port, NIC_PC_UCAST_RCV, n);
}

/* The payload of a READ is in its answer. */
static void count_traffic(struct nic *from, struct nic *to, const struct nic_pkt *p)
{
	if (p->opcode == NIC_OP_READ) {
		count_packets(from, to, 0, 1);
		count_packets(to, from, p->iov->len, p->n_psn);
	} else {
		count_packets(from, to, p->iov->len, p->n_psn);
	}
}

/* Deliver the whole run. */
static void deliver(struct run *x, struct nic *to, const struct nic_pkt *p, struct nic_reply *rep)
{
	struct nic_qp *dst = to ? nic_find_qp(to, p->dqpn) : NULL;

	*rep = (struct nic_reply){ .kind = NIC_A_LOST };
	if (!dst)
		return;
	count_traffic(x->qp->nic, to, p);
	nic_rsp_packet(dst, p, rep);
}

/* One packet that a fault point wants to harm. Return: the answer that comes at once. */
static void harmed(struct run *x, struct nic *to, const struct nic_pkt *p,
		   const struct mdl_fault_hit *hit, struct nic_reply *rep)
{
	uint64_t due = nic_cable_due(x->qp->nic, to, hit);

	*rep = (struct nic_reply){ .kind = NIC_A_LOST };
	if (hit->action == MDL_FAULT_DUP) {
		deliver(x, to, p, rep);
		deliver(x, to, p, rep);
	} else if (due && is_request_reply(p->opcode)) {
		/* Nothing may overtake it: as well send it when it is due. */
		x->qp->req.hold_ns = due;
		rep->kind = NIC_A_LATER;
		rep->psn = p->psn;
	} else if (due && to) {
		nic_cable_queue_pkt(to, p, due);
	}
}

/* The answer of a request whose answer carries data is lost, or late if due is set. */
static void answer_lost(struct run *x, const struct nic_pkt *p, uint64_t due, struct nic_reply *rep)
{
	*rep = (struct nic_reply){ .kind = due ? NIC_A_LATER : NIC_A_LOST, .psn = p->psn };
	x->qp->req.hold_ns = due;
	x->qp->req.stop = !due;
}

/* The answer's way back. */
static void answer_way(struct run *x, struct nic *to, const struct nic_pkt *p,
		       struct nic_reply *rep)
{
	struct mdl_fault_hit hit;
	uint64_t due;

	if (rep->kind == NIC_A_LOST || rep->kind == NIC_A_LOCAL || !to ||
	    nic_cable_clean(to, NIC_F_CABLE_ACK, 1, &hit))
		return;
	if (hit.action == MDL_FAULT_DUP)
		return;
	due = nic_cable_due(to, x->qp->nic, &hit);
	if (is_request_reply(p->opcode)) {
		/* Sent again, it finds its result kept by the peer. */
		answer_lost(x, p, due, rep);
		return;
	}
	if (due)
		nic_cable_queue_reply(x->qp->nic, x->qp->obj.id, rep, due);
	rep->kind = NIC_A_LOST;
}

/* Memory of the next part of the request. Return: NIC_XLT_OK with v->len set. */
static enum nic_xlt map_local(struct run *x, const struct nic_inflight *e, uint64_t off,
			      uint64_t len, struct nic_iov *v, struct nic_fault *f)
{
	uint32_t mtu = nic_mtu(x->qp);
	struct nic_access_ctx c;
	enum nic_xlt r;

	nic_qp_ctx(x->qp, is_request_reply(e->opcode) ? NIC_ACC_LOCAL_WRITE : NIC_ACC_LOCAL_READ,
		   &c);
	c.sender = true;
	if (x->qp->rndv)
		c.pd = x->qp->srq->pd; /* whose buffers they are */
	nic_iov_init(v, &x->qp->dma);
	r = nic_xlt_sges(v, &c, x->w.sge, x->w.n_sge, off, len, f);
	if (r || v->len == len)
		return r;
	/* The list is full: go as far as whole packets reach. */
	nic_iov_trim(v, v->len / mtu * mtu);
	return v->len ? NIC_XLT_OK : NIC_XLT_DEPTH;
}

static bool message_ok(const struct run *x, const struct nic_inflight *e)
{
	unsigned max = x->qp->attr.log_msg_max;

	if (max > NIC_LOG_MSG || !max)
		max = NIC_LOG_MSG;
	if (e->opcode == NIC_OP_CAS || e->opcode == NIC_OP_FADD)
		return e->len == 8;
	return e->len <= 1ull << max;
}

/*
 * How many of the next n packets get through unharmed. What happens to the one after those is kept
 * for when its turn comes.
 */
static uint32_t unharmed(struct nic *nic, unsigned point, uint32_t n, struct mdl_fault_hit *kept,
			 struct mdl_fault_hit *hit)
{
	uint32_t clean;

	if (kept->action) {
		*hit = *kept;
		kept->action = MDL_FAULT_NONE;
		return 0;
	}
	clean = nic_cable_clean(nic, point, n, hit);
	if (clean && clean < n)
		*kept = *hit;
	return clean;
}

/* Cut a run to its first n packets. */
static void cut(struct nic_pkt *p, uint32_t n)
{
	if (n >= p->n_psn)
		return;
	nic_iov_trim(p->iov, (uint64_t)n * p->mtu);
	p->n_psn = n;
	p->last = false;
}

/* Packets of a READ's answer that the way back lets through; 0 when the first is lost. */
static uint32_t read_clean(struct run *x, struct nic *to, uint32_t n, uint64_t *ret_due)
{
	struct mdl_fault_hit hit;
	uint32_t clean = to ? unharmed(to, NIC_F_CABLE_ACK, n, &x->qp->req.hit_ack, &hit) : n;

	*ret_due = 0;
	if (clean || hit.action == MDL_FAULT_DUP)
		return clean ? clean : 1;
	*ret_due = nic_cable_due(to, x->qp->nic, &hit);
	return 0;
}

static void transmit(struct run *x, struct nic_pkt *p, struct nic_reply *rep)
{
	struct nic *from = x->qp->nic, *to;
	struct mdl_fault_hit hit = { 0 };
	bool read = p->opcode == NIC_OP_READ;
	uint32_t clean, n = read ? 1 : p->n_psn;
	uint64_t due;

	to = nic_net_find_lid(from,
			      x->qp->type == NIC_QP_DCI ? x->w.av.rlid : x->qp->attr.path.rlid);
	clean = unharmed(from, NIC_F_CABLE_TX, n, &x->qp->req.hit_tx, &hit);
	if (!clean) {
		cut(p, read ? p->n_psn : 1);
		harmed(x, to, p, &hit, rep);
	} else {
		if (!read)
			cut(p, clean);
		n = read ? read_clean(x, to, p->n_psn, &due) : 1;
		if (!n) {
			cut(p, 1);
			answer_lost(x, p, due, rep);
			return;
		}
		if (read)
			cut(p, n);
		deliver(x, to, p, rep);
	}
	if (!read)
		answer_way(x, to, p, rep);
	if (rep->kind == NIC_A_LOST && (is_request_reply(p->opcode) || clean))
		x->qp->req.stop = true;
}

/* Send the next run of the request being sent. */
static enum step send_run(struct run *x)
{
	struct nic_qp *qp = x->qp;
	struct nic_req *r = &qp->req;
	struct nic_inflight *e = nic_req_fl(r, r->fl_cur);
	uint64_t off = (uint64_t)((r->psn - e->psn) & NIC_PSN_MASK) * nic_mtu(qp), len;
	struct nic_fault f = { 0 };
	struct nic_reply rep;
	struct nic_pkt p;
	struct nic_iov v;
	enum nic_xlt t;

	if (x->w.len != e->len || x->w.opcode != e->opcode || off > e->len)
		return local_error(x, NIC_S_LOCAL_QP_OP);
	if (!message_ok(x, e))
		return local_error(x, NIC_S_LOCAL_LENGTH);
	len = e->len - off;
	if (len > SLICE_BYTES)
		len = SLICE_BYTES;
	t = map_local(x, e, off, len, &v, &f);
	if (t) {
		nic_iov_done(&v);
		return t == NIC_XLT_FAULT ? local_fault(x, &f) :
					    local_error(x, nic_local_syndrome(t));
	}
	r->fault_failed = 0;
	fill(x, e, off, &v, &p);
	transmit(x, &p, &rep);
	if (rep.kind == NIC_A_ACK && (e->opcode == NIC_OP_CAS || e->opcode == NIC_OP_FADD))
		rep.kind = nic_req_atomic_result(&v, rep.old);
	x->bytes -= p.iov->len < x->bytes ? p.iov->len : x->bytes;
	r->psn = (p.psn + p.n_psn) & NIC_PSN_MASK;
	nic_iov_done(&v);
	if (((r->psn - e->psn) & NIC_PSN_MASK) >= e->n_psn)
		r->fl_cur++;
	if (qp->type == NIC_QP_UC)
		rep = (struct nic_reply){ .kind = NIC_A_ACK, .psn = (r->psn - 1) & NIC_PSN_MASK };
	if (rep.kind == NIC_A_LATER && !r->hold_ns)
		hold_busy(qp);
	else if (rep.kind == NIC_A_ACK)
		r->backoff_ns = 0;
	nic_req_answer(qp, &rep);
	return r->stop || r->hold_ns ? STEP_WAIT : STEP_ON;
}

/* ---- requests that need no peer's answer ---- */

static enum step local_request(struct run *x)
{
	struct nic_qp *qp = x->qp;
	struct nic_req *r = &qp->req;
	struct nic_outcome out = { .result = NIC_L_OK };

	if (x->w.opcode == NIC_OP_UMR)
		nic_umr_run(qp, &x->w, &out);
	else if (x->w.opcode == NIC_OP_SET_PSV)
		nic_sig_set_psv(qp, &x->w, &out);
	else if (x->w.opcode == NIC_OP_TAG_MATCHING)
		nic_tm_run(qp, &x->w, &out);
	else if (x->w.opcode != NIC_OP_NOP)
		nic_ud_send(qp, &x->w, &out);
	x->bytes -= x->w.len < x->bytes ? x->w.len : x->bytes;
	switch (out.result) {
	case NIC_L_OK:
		r->backoff_ns = 0;
		r->fl_cur = 1;
		r->fault_failed = 0;
		nic_req_complete_head(qp);
		return STEP_ON;
	case NIC_L_BUSY:
		hold_busy(qp);
		return STEP_WAIT;
	case NIC_L_FAULT:
		return local_fault(x, &out.fault);
	default:
		return local_error(x, out.syndrome);
	}
}

/* Go on with the request being sent, or start the next. */
static enum step step(struct run *x)
{
	struct nic_qp *qp = x->qp;
	struct nic_req *r = &qp->req;
	bool fresh = r->fl_cur == r->fl_n;
	int err;

	if (fresh && (r->sq_next == r->sq_pi || r->fl_n == NIC_INFLIGHT ||
		      atomic_load(&qp->state) != NIC_QPS_RTS))
		return STEP_WAIT;
	err = load(x, fresh ? r->sq_next : nic_req_fl(r, r->fl_cur)->idx);
	if (err && err != -EINVAL) {
		nic_qp_error(qp, NIC_EV_WQ_CATAS);
		return STEP_WAIT;
	}
	if (fresh && ((is_local(qp, x->w.opcode) && r->fl_n) || other_peer(x)))
		return STEP_WAIT;
	if (fresh) {
		push(x);
		x->wqes--;
	}
	if (err) {
		mdl_count(qp->nic->dev, NIC_C_BAD_WQE);
		return local_error(x, NIC_S_LOCAL_QP_OP);
	}
	return is_local(qp, x->w.opcode) ? local_request(x) : send_run(x);
}

/* Return: true when there may be more to do at once. */
static bool send_locked(struct run *x)
{
	struct nic_qp *qp = x->qp;
	struct nic_req *r = &qp->req;

	if (r->fault_token || (r->hold_ns && mdl_now_ns() < r->hold_ns))
		return false;
	r->hold_ns = 0;
	nic_req_check_timeout(qp);
	if (read_producer(qp))
		return false;
	while (x->bytes && x->wqes) {
		uint8_t s = atomic_load(&qp->state);

		if (r->stop || r->hold_ns || (s != NIC_QPS_RTS && s != NIC_QPS_SQD) ||
		    nic_psn_diff(r->psn, r->acked) > WINDOW)
			return false;
		if (step(x) == STEP_WAIT)
			return false;
	}
	return true;
}

static void drain_locked(struct nic_qp *qp)
{
	if (atomic_load(&qp->state) != NIC_QPS_SQD || qp->req.fl_n || !qp->req.drain_event)
		return;
	qp->req.drain_event = false;
	nic_event_qp(qp->nic, NIC_EV_SQ_DRAINED, qp->obj.id);
}

/* Complete what is in the queue with a flush status. */
static bool flush_locked(struct run *x)
{
	struct nic_qp *qp = x->qp;
	struct nic_req *r = &qp->req;
	unsigned n;

	r->fl_n = r->fl_cur = 0;
	r->hold_ns = r->ack_ns = 0;
	r->fault_token = 0;
	if (read_producer(qp))
		return false;
	for (n = 0; n < SLICE_WQES && r->sq_ci != r->sq_pi; n++) {
		int err = load(x, r->sq_ci);

		if (err && err != -EINVAL)
			return false;
		nic_req_post_error(qp, r->sq_ci, x->w.opcode, NIC_S_FLUSH);
		mdl_count(qp->nic->dev, NIC_C_FLUSHED);
		r->sq_ci = (uint16_t)(r->sq_ci + x->w.nbb);
	}
	r->sq_next = r->sq_ci;
	r->flushed = r->sq_ci == r->sq_pi;
	return !r->flushed;
}

/*
 * Posting a receive rings nothing, and one posted in error must complete, too: drivers wait for it
 * when they drain a queue. So the doorbell record is looked at, less and less often.
 */
static void poll_in_error(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	if (r->due_ns || qp->rq_kind != NIC_RQ_OWN || atomic_load(&qp->state) != NIC_QPS_ERR)
		return;
	r->due_ns = mdl_now_ns() + (ERROR_POLL_NS << r->error_polls);
	if (r->error_polls < ERROR_POLL_DOUBLINGS)
		r->error_polls++;
}

static void set_timer(struct nic_qp *qp)
{
	struct nic_req *r = &qp->req;

	r->due_ns = r->hold_ns ? r->hold_ns : r->ack_ns;
	if (r->ack_ns && r->ack_ns < r->due_ns)
		r->due_ns = r->ack_ns;
	poll_in_error(qp);
	nic_timer_set(qp);
}

bool nic_req_run(struct nic_qp *qp)
{
	struct run x;
	bool more = false;
	uint8_t s;

	if ((qp->no_sq || !qp->buf.size) && !qp->rndv) {
		pthread_mutex_lock(&qp->req.lock);
		set_timer(qp);
		pthread_mutex_unlock(&qp->req.lock);
		return false;
	}
	x.qp = qp;
	x.bytes = SLICE_BYTES;
	x.wqes = SLICE_WQES;
	x.have = 0;
	pthread_mutex_lock(&qp->req.lock);
	s = atomic_load(&qp->state);
	if (s == NIC_QPS_RTS || s == NIC_QPS_SQD)
		more = send_locked(&x);
	s = atomic_load(&qp->state);
	drain_locked(qp);
	nic_req_arm_timeout(qp);
	if (s == NIC_QPS_ERR || s == NIC_QPS_SQER) {
		x.have = 0;
		more = flush_locked(&x);
	}
	if (qp->rndv)
		atomic_store(&qp->rndv->ci, qp->req.sq_ci);
	set_timer(qp);
	pthread_mutex_unlock(&qp->req.lock);
	return more;
}

void nic_req_reply(struct nic_qp *qp, const struct nic_reply *rep)
{
	pthread_mutex_lock(&qp->req.lock);
	if (atomic_load(&qp->state) == NIC_QPS_RTS || atomic_load(&qp->state) == NIC_QPS_SQD)
		nic_req_answer(qp, rep);
	pthread_mutex_unlock(&qp->req.lock);
	nic_qp_kick(qp);
}
