// SPDX-License-Identifier: MIT
/* Datagrams, among them those of QP0 and QP1. Source: IBA volume 1, 9.8 and 8 (GRH). */
#include <string.h>

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"

#define GRH	       40u
#define NEXT_IBA       0x1b
#define UD_MTU	       4096u
#define QP1_QKEY       0x80010000u
#define USE_QPC	       0x80000000u /* a qkey with this bit set means the context's */
#define MLID_FIRST     NIC_MLID_FIRST
#define LID_PERMISSIVE 0xffffu

static void port_gid(const struct nic *nic, uint8_t gid[16])
{
	memcpy(gid, nic->port.subnet_prefix, 8);
	mlx5_set64(gid, 8, nic->port.guid);
}

static void make_grh(const struct nic_qp *qp, const struct nic_av *av, uint32_t len, uint8_t *g)
{
	mlx5_set32(g, 0, 6u << 28 | (uint32_t)av->tclass << 20 | av->flow_label);
	/* BTH, DETH and the checksum count as payload. */
	mlx5_set32(g, 4, (len + 24) << 16 | NEXT_IBA << 8 | av->hop_limit);
	port_gid(qp->nic, g + 8);
	memcpy(g + 24, av->rgid, 16);
}

static uint32_t source_qpn(const struct nic_qp *qp)
{
	if (qp->type == NIC_QP_QP0)
		return 0;
	if (qp->type == NIC_QP_QP1)
		return 1;
	return qp->attr.deth_sqpn ? qp->attr.deth_sqpn : qp->obj.id;
}

static uint16_t pkey_of(const struct nic_qp *qp)
{
	unsigned i = qp->attr.path.pkey_index;

	return i < NIC_PKEYS ? atomic_load(&qp->nic->port.pkey[i]) : 0;
}

static void make_dgram(const struct nic_qp *qp, const struct nic_swqe *w, struct nic_dgram *g)
{
	*g = (struct nic_dgram){ .sqpn = source_qpn(qp),
				 .dqpn = w->av.dqpn,
				 .qkey = w->av.qkey & USE_QPC ? qp->attr.qkey : w->av.qkey,
				 .imm = w->imm,
				 .slid = atomic_load(&qp->nic->port.lid),
				 .dlid = w->av.rlid,
				 .pkey = pkey_of(qp),
				 .sl = w->av.sl,
				 .mlpath = w->av.mlpath,
				 .has_imm = w->opcode == NIC_OP_SEND_IMM,
				 .solicited = w->solicited,
				 .grh = w->av.grh,
				 .mcast =
					 w->av.rlid >= MLID_FIRST && w->av.rlid != LID_PERMISSIVE };
	if (g->grh)
		make_grh(qp, &w->av, (uint32_t)w->len, g->grh_bytes);
}

static void count_drop(struct nic *nic)
{
	mdl_count(nic->dev, NIC_C_UD_DROPPED);
}

/* May it come in? */
static bool accepts(struct nic_qp *qp, const struct nic_dgram *g)
{
	uint8_t s = atomic_load(&qp->state);
	uint16_t pkey = pkey_of(qp);
	uint32_t qkey = qp->type == NIC_QP_QP1 ? QP1_QKEY : qp->attr.qkey;

	if (s != NIC_QPS_RTR && s != NIC_QPS_RTS && s != NIC_QPS_SQD && s != NIC_QPS_SQER)
		return false;
	if (qp->type == NIC_QP_QP0)
		return true;
	if (qkey != g->qkey) {
		atomic_fetch_add(&qp->nic->port.qkey_violations, 1);
		nic_port_count_add(&qp->nic->port, NIC_PC_QKEY_VIOL, 1);
		return false;
	}
	/* Partitions: same number, and at least one side a full member. */
	if (qp->type == NIC_QP_QP1 ||
	    (((pkey ^ g->pkey) & 0x7fff) == 0 && (pkey | g->pkey) & 0x8000))
		return true;
	atomic_fetch_add(&qp->nic->port.pkey_violations, 1);
	nic_port_count_add(&qp->nic->port, NIC_PC_PKEY_VIOL, 1);
	return false;
}

static void complete(struct nic_qp *qp, const struct nic_dgram *g, const struct nic_rwqe *e,
		     uint32_t len, uint8_t syndrome)
{
	struct nic_cqe cqe = { .opcode = g->has_imm ? NIC_CQE_RESP_SEND_IMM : NIC_CQE_RESP_SEND,
			       .syndrome = syndrome,
			       .solicited = g->solicited,
			       .grh = g->grh,
			       .sl = g->sl,
			       .slid = g->slid,
			       .qpn = qp->obj.id,
			       .user_index = qp->user_index,
			       .src_qp = g->sqpn,
			       .mlpath = g->mlpath,
			       .imm_inval = g->imm,
			       .byte_cnt = GRH + len,
			       .srqn = e->srq ? e->srq->obj.id : 0,
			       .wqe_counter = e->counter };

	/* Without immediate data the field is the partition: its key on QP1, its index else. */
	if (!g->has_imm)
		cqe.imm_inval = qp->type == NIC_QP_QP1 ? g->pkey : 0;
	if (syndrome)
		cqe.opcode = NIC_CQE_RESP_ERR;
	if (qp->rcq)
		nic_cq_post(qp->rcq, &cqe);
}

/* Header and payload into the entry. Return: 0 or a syndrome; f->len: not 0 if a page is absent. */
static uint8_t scatter(struct nic_qp *qp, const struct nic_dgram *g, const struct nic_rwqe *e,
		       struct nic_iov *data, struct nic_fault *f)
{
	struct nic_access_ctx c;
	struct nic_iov dst, grh, part;
	uint64_t off, n;
	enum nic_xlt x;
	uint8_t syn = 0;

	if (GRH + data->len > e->total)
		return NIC_S_LOCAL_LENGTH;
	nic_qp_ctx(qp, NIC_ACC_LOCAL_WRITE, &c);
	c.pd = e->pd;
	nic_iov_init(&grh, &qp->dma);
	nic_iov_host(&grh, (void *)(uintptr_t)g->grh_bytes, GRH);
	for (off = 0; off < GRH + data->len && !syn; off += n) {
		nic_iov_init(&dst, &qp->dma);
		n = off < GRH ? GRH - off : GRH + data->len - off;
		x = nic_xlt_sges(&dst, &c, e->sge, e->n, off, n, f);
		if (x != NIC_XLT_FAULT)
			f->len = 0;
		n = dst.len;
		if (x || !n) {
			nic_iov_done(&dst);
			return NIC_S_LOCAL_PROT;
		}
		if (off < GRH)
			nic_iov_part(&grh, off, n, &part);
		else
			nic_iov_part(data, off - GRH, n, &part);
		if (nic_iov_copy(&dst, &part))
			syn = NIC_S_LOCAL_PROT;
		nic_iov_done(&dst);
	}
	return syn;
}

/* The entry for the next datagram: that which an absent page kept from being used, or a new one. */
static int take_entry(struct nic_qp *qp, struct nic_rwqe *e)
{
	struct nic_rsp *r = &qp->rsp;
	int err;

	if (r->have_rwqe)
		return nic_recv_again(qp, r->rwqe_srq, r->rwqe, e);
	err = nic_recv_take(qp, qp->rq_kind == NIC_RQ_SRQ ? qp->srq : NULL, e);
	if (err)
		return err;
	r->have_rwqe = true;
	r->rwqe = e->counter;
	r->rwqe_srq = e->srq;
	return 0;
}

/* A datagram does not wait for a page; those after it find it there. */
static bool page_asked_for(struct nic_qp *qp, const struct nic_fault *f)
{
	struct nic_rsp *r = &qp->rsp;

	if (!f->len || r->fault_failed > NIC_FAULT_TRIES || !nic_odp_raise(qp, false, f))
		return false;
	count_drop(qp->nic);
	return true;
}

static void deliver_locked(struct nic_qp *qp, const struct nic_dgram *g, struct nic_iov *data)
{
	struct nic_fault f = { 0 };
	struct nic_rwqe e;
	uint8_t syn;

	if (!accepts(qp, g) || qp->rsp.fault_token || take_entry(qp, &e)) {
		count_drop(qp->nic);
		return;
	}
	syn = scatter(qp, g, &e, data, &f);
	if (page_asked_for(qp, &f))
		return;
	qp->rsp.have_rwqe = false;
	qp->rsp.fault_failed = 0;
	nic_port_count_add(&qp->nic->port, NIC_PC_RCV_DATA, data->len / 4);
	nic_port_count_add(&qp->nic->port, NIC_PC_RCV_PKTS, 1);
	nic_port_count_add(&qp->nic->port, g->mcast ? NIC_PC_MCAST_RCV : NIC_PC_UCAST_RCV, 1);
	complete(qp, g, &e, (uint32_t)data->len, syn);
	if (syn == NIC_S_LOCAL_PROT)
		nic_qp_error(qp, 0);
}

void nic_ud_deliver(struct nic *nic, struct nic_qp *qp, const struct nic_dgram *g,
		    struct nic_iov *data)
{
	if (!qp)
		qp = g->dqpn < 2 ? nic_find_special(nic, g->dqpn) : nic_find_qp(nic, g->dqpn);
	if (!qp || (qp->type != NIC_QP_UD && qp->type != NIC_QP_QP0 && qp->type != NIC_QP_QP1)) {
		count_drop(nic);
		return;
	}
	pthread_mutex_lock(&qp->rsp.lock);
	deliver_locked(qp, g, data);
	pthread_mutex_unlock(&qp->rsp.lock);
}

struct mcast {
	struct nic_qp *from;
	const struct nic_dgram *g;
	struct nic_iov *data;
};

static void to_member(void *arg, struct nic *nic, uint32_t qpn)
{
	struct mcast *m = arg;
	struct nic_qp *qp = nic_find_qp(nic, qpn);

	if (!qp || (nic == m->from->nic && m->from->block_lb_mc))
		return;
	nic_ud_deliver(nic, qp, m->g, m->data);
}

/* The answer of a management agent comes back as if from the queue it was sent to. */
static bool try_mad(struct nic_qp *qp, const struct nic_dgram *g, struct nic *to,
		    struct nic_iov *data)
{
	struct nic_mad_from from = { .nic = qp->nic,
				     .src_qp = g->sqpn,
				     .dst_qp = g->dqpn,
				     .slid = g->slid,
				     .dlid = g->dlid,
				     .grh = g->grh };
	uint8_t in[NIC_MAD_SIZE] = { 0 }, out[NIC_MAD_SIZE];
	struct nic_dgram back = { .sqpn = g->dqpn,
				  .dqpn = g->sqpn,
				  .qkey = g->dqpn == 1 ? QP1_QKEY : 0,
				  .slid = g->dlid,
				  .dlid = g->slid,
				  .pkey = g->pkey,
				  .sl = g->sl };
	struct nic_iov v, part;

	/* As a receiving QP would: QP0 hears QP0 only, QP1 hears who knows its key. */
	if (g->dqpn > 1 || (g->dqpn == 0 && qp->type != NIC_QP_QP0) ||
	    (g->dqpn == 1 && g->qkey != QP1_QKEY))
		return false;
	if (g->grh)
		memcpy(from.sgid, g->grh_bytes + 8, 16);
	nic_iov_init(&v, &qp->dma);
	nic_iov_host(&v, in, data->len < sizeof(in) ? data->len : sizeof(in));
	nic_iov_part(data, 0, v.len, &part);
	if (nic_iov_copy(&v, &part) || !nic_mad_wire(&from, to, in, out))
		return false;
	do {
		nic_iov_init(&v, &qp->dma);
		nic_iov_host(&v, out, sizeof(out));
		nic_ud_deliver(qp->nic, NULL, &back, &v);
	} while (nic_mad_next(&from, out));
	return true;
}

static void put_on_wire(struct nic_qp *qp, const struct nic_dgram *g, struct nic_iov *data)
{
	struct nic *to;

	if (g->mcast) {
		struct mcast m = { qp, g, data };

		nic_net_mcast(qp->nic, g->grh_bytes + 24, g->dlid, to_member, &m);
		return;
	}
	to = nic_net_find_lid(qp->nic, g->dlid);
	if (try_mad(qp, g, to, data))
		return;
	if (to)
		nic_ud_deliver(to, NULL, g, data);
	else
		count_drop(qp->nic);
}

static void transmit(struct nic_qp *qp, const struct nic_dgram *g, struct nic_iov *data)
{
	struct mdl_fault_hit hit;
	uint64_t due;
	struct nic *to;

	nic_port_count_add(&qp->nic->port, NIC_PC_XMIT_DATA, data->len / 4);
	nic_port_count_add(&qp->nic->port, NIC_PC_XMIT_PKTS, 1);
	nic_port_count_add(&qp->nic->port, g->mcast ? NIC_PC_MCAST_XMIT : NIC_PC_UCAST_XMIT, 1);
	if (nic_cable_clean(qp->nic, NIC_F_CABLE_TX, 1, &hit)) {
		put_on_wire(qp, g, data);
		return;
	}
	if (hit.action == MDL_FAULT_DUP) {
		put_on_wire(qp, g, data);
		put_on_wire(qp, g, data);
		return;
	}
	to = nic_net_find_lid(qp->nic, g->dlid);
	due = nic_cable_due(qp->nic, to, &hit);
	if (due && to && !g->mcast)
		nic_cable_queue_dgram(to, g, data, due);
	else
		count_drop(qp->nic);
}

void nic_ud_send(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret)
{
	struct nic_access_ctx c;
	struct nic_dgram g;
	struct nic_iov v;
	enum nic_xlt x;

	*ret = (struct nic_outcome){ .result = NIC_L_ERROR, .syndrome = NIC_S_LOCAL_LENGTH };
	if (w->len > UD_MTU)
		return;
	nic_qp_ctx(qp, NIC_ACC_LOCAL_READ, &c);
	c.sender = true;
	nic_iov_init(&v, &qp->dma);
	x = nic_xlt_sges(&v, &c, w->sge, w->n_sge, 0, w->len, &ret->fault);
	if (!x && v.len != w->len)
		x = NIC_XLT_DEPTH;
	if (x) {
		ret->result = x == NIC_XLT_FAULT ? NIC_L_FAULT : NIC_L_ERROR;
		ret->syndrome = nic_local_syndrome(x);
	} else {
		make_dgram(qp, w, &g);
		transmit(qp, &g, &v);
		ret->result = NIC_L_OK;
	}
	nic_iov_done(&v);
}
