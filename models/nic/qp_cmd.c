// SPDX-License-Identifier: MIT
/* CREATE_QP, DESTROY_QP, QUERY_QP. */
#include "models/nic/qp.h"

#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/dct.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/qp_state.h"
#include "models/nic/ring.h"
#include "models/nic/syndrome.h"
#include "models/nic/tm.h"

#define PAS_OFF	      272
#define LOG_SQ_BLOCK  6
#define MAX_LOG_QUEUE 15
#define OFFLOAD_RNDV  1

/* ---- geometry ---- */

static bool has_rq(uint8_t kind)
{
	return kind == NIC_RQ_OWN;
}

static uint64_t ring_bytes(const struct nic_ring *r)
{
	return 1ull << (r->log_size + r->log_stride);
}

static uint64_t shape_rings(struct nic_qp *qp, const uint8_t *x)
{
	uint64_t size = 0;

	qp->rq.log_size = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_RQ_SIZE);
	qp->rq.log_stride = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_RQ_STRIDE) + 4;
	qp->sq.log_size = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_SQ_SIZE);
	qp->sq.log_stride = LOG_SQ_BLOCK;
	if (has_rq(qp->rq_kind))
		size = ring_bytes(&qp->rq);
	if (!qp->no_sq) {
		qp->sq.off = (uint32_t)size;
		size += ring_bytes(&qp->sq);
	}
	return size;
}

/* ---- checks ---- */

static bool type_known(uint32_t st)
{
	return st <= NIC_QP_XRC || st == NIC_QP_DCI || st == NIC_QP_QP0 || st == NIC_QP_QP1 ||
	       st == NIC_QP_REG_UMR;
}

static uint8_t check_type(struct nic_cmd *c, const uint8_t *x)
{
	uint32_t st = (uint32_t)mlx5_get(x, MLX5_QPC_ST);
	uint64_t rq = mlx5_get(x, MLX5_QPC_RQ_TYPE);

	if (!type_known(st))
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_TYPE);
	if (rq != NIC_RQ_OWN && rq != NIC_RQ_SRQ && rq != NIC_RQ_NONE)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_RQ);
	if (mlx5_get(x, MLX5_QPC_WQ_SIGNATURE))
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	/* Special ones, memory management and the key of all memory are the kernel's. */
	if (c->uid && ((st > NIC_QP_XRC && st != NIC_QP_DCI) || mlx5_get(x, MLX5_QPC_RLKY)))
		return nic_fail(c, NIC_BAD_PARAM, SYN_UID_FORBIDDEN);
	if ((st == NIC_QP_QP0 || st == NIC_QP_QP1) && nic_find_special(c->nic, st - NIC_QP_QP0))
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_SPECIAL);
	return NIC_OK;
}

/* Find a CQ that is needed, or take what is there if it is not. */
static uint8_t pick_cq(struct nic_cmd *c, uint32_t cqn, bool needed, struct nic_cq **ret_cq)
{
	if (!needed) {
		*ret_cq = NULL;
		return NIC_OK;
	}
	*ret_cq = (struct nic_cq *)nic_cmd_find(c, NIC_T_CQ, cqn);
	return *ret_cq ? NIC_OK : NIC_BAD_RES;
}

static uint8_t pick_srq(struct nic_cmd *c, struct nic_qp *qp, const uint8_t *x)
{
	uint32_t id = (uint32_t)mlx5_get(x, MLX5_QPC_SRQN_RMPN_XRQN);

	if (qp->rq_kind != NIC_RQ_SRQ)
		return NIC_OK;
	qp->srq = (struct nic_srq *)nic_cmd_find(c, NIC_T_SRQ, id);
	if (!qp->srq)
		return NIC_BAD_RES;
	/* An XRC receiver names one of its kind, but takes entries from that of each packet. */
	if (qp->srq->kind == NIC_SRQ_XRC && qp->type != NIC_QP_XRC)
		return nic_fail(c, NIC_BAD_RES, SYN_SRQ_KIND);
	if (nic_srq_tagged(qp->srq) && qp->type != NIC_QP_RC)
		return nic_fail(c, NIC_BAD_RES, SYN_SRQ_KIND);
	return NIC_OK;
}

/* The one that changes memory keys belongs to no domain. */
static bool has_pd(const struct nic_qp *qp)
{
	return qp->type != NIC_QP_REG_UMR;
}

static uint8_t check_refs(struct nic_cmd *c, struct nic_qp *qp, const uint8_t *x)
{
	uint8_t st;

	if (has_pd(qp) && !nic_cmd_find(c, NIC_T_PD, qp->pd))
		return NIC_BAD_RES;
	/* The receiving end of XRC rings no doorbell. */
	if (!qp->no_sq && !nic_cmd_find(c, NIC_T_UAR, qp->uar))
		return NIC_BAD_RES;
	if (qp->type == NIC_QP_XRC && !nic_cmd_find(c, NIC_T_XRCD, qp->attr.xrcd))
		return NIC_BAD_RES;
	st = pick_cq(c, qp->cqn_snd, !qp->no_sq, &qp->scq);
	if (!st)
		st = pick_cq(c, qp->cqn_rcv, qp->rq_kind != NIC_RQ_NONE, &qp->rcq);
	return st ? st : pick_srq(c, qp, x);
}

/* ---- creation ---- */

static void from_context(struct nic_qp *qp, struct nic_cmd *c, const uint8_t *x)
{
	qp->nic = c->nic;
	qp->dma = c->dma;
	qp->type = (uint8_t)mlx5_get(x, MLX5_QPC_ST);
	/* An initiator receives nothing, whatever queue its context names. */
	qp->rq_kind = qp->type == NIC_QP_DCI ? NIC_RQ_NONE : (uint8_t)mlx5_get(x, MLX5_QPC_RQ_TYPE);
	qp->no_sq = mlx5_get(x, MLX5_QPC_NO_SQ);
	qp->rlky = mlx5_get(x, MLX5_QPC_RLKY);
	qp->drain_sigerr = mlx5_get(x, MLX5_QPC_DRAIN_SIGERR);
	qp->block_lb_mc = mlx5_get(x, MLX5_QPC_BLOCK_LB_MC);
	qp->cs_req = (uint8_t)mlx5_get(x, MLX5_QPC_CS_REQ);
	qp->cs_res = (uint8_t)mlx5_get(x, MLX5_QPC_CS_RES);
	qp->pd = (uint32_t)mlx5_get(x, MLX5_QPC_PD);
	qp->uar = (uint32_t)mlx5_get(x, MLX5_QPC_UAR_PAGE);
	qp->user_index = (uint32_t)mlx5_get(x, MLX5_QPC_USER_INDEX);
	qp->cqn_snd = (uint32_t)mlx5_get(x, MLX5_QPC_CQN_SND);
	qp->cqn_rcv = (uint32_t)mlx5_get(x, MLX5_QPC_CQN_RCV);
	qp->attr.xrcd = (uint32_t)mlx5_get(x, MLX5_QPC_XRCD);
	qp->attr.log_rra_max = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_RRA_MAX);
	qp->attr.log_sra_max = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_SRA_MAX);
}

static uint8_t make_ring(struct nic_cmd *c, struct nic_qp *qp, const uint8_t *x)
{
	struct nic_ring_src src = {
		.pas_off = PAS_OFF,
		.log_page = (unsigned)mlx5_get(x, MLX5_QPC_LOG_PAGE_SIZE),
		.page_offset = (unsigned)mlx5_get(x, MLX5_QPC_PAGE_OFFSET),
		.umem = mlx5_get(c->in, MLX5_CREATE_QP_IN_WQ_UMEM_VALID),
		.umem_id = (uint32_t)mlx5_get(c->in, MLX5_CREATE_QP_IN_WQ_UMEM_ID),
		.umem_off = mlx5_get(c->in, MLX5_CREATE_QP_IN_WQ_UMEM_OFFSET),
	};

	if (mlx5_get(x, MLX5_QPC_LOG_SQ_SIZE) > MAX_LOG_QUEUE ||
	    mlx5_get(x, MLX5_QPC_LOG_RQ_SIZE) > MAX_LOG_QUEUE)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_SIZE);
	src.size = shape_rings(qp, x);
	return src.size ? nic_ring_init(c, &src, &qp->buf) : NIC_OK;
}

static void count_refs(struct nic_qp *qp, int n)
{
	struct nic_table *t = qp->nic->table;
	struct nic_obj *xrcd;

	if (has_pd(qp))
		nic_table_own(&t[NIC_T_PD], qp->pd)->refs += (uint32_t)n;
	xrcd = qp->type == NIC_QP_XRC ? nic_table_own(&t[NIC_T_XRCD], qp->attr.xrcd) : NULL;
	if (xrcd)
		xrcd->refs += (uint32_t)n;
	if (qp->scq)
		qp->scq->obj.refs += (uint32_t)n;
	if (qp->rcq)
		qp->rcq->obj.refs += (uint32_t)n;
	if (qp->srq)
		qp->srq->obj.refs += (uint32_t)n;
}

/* The send queue may be left to the device, for what a rendezvous needs. */
static uint8_t make_offload(struct nic_cmd *c, struct nic_qp *qp, const uint8_t *x)
{
	uint64_t offload = mlx5_get(x, MLX5_QPC_OFFLOAD_TYPE);

	if (!offload)
		return NIC_OK;
	if (offload != OFFLOAD_RNDV)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	if (!qp->no_sq || !nic_srq_tagged(qp->srq))
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_RQ);
	qp->rndv = calloc(1, sizeof(*qp->rndv));
	return qp->rndv ? NIC_OK : nic_fail(c, NIC_NO_RES, SYN_BUDGET);
}

uint8_t nic_qp_start(struct nic_cmd *c, struct nic_qp *qp)
{
	pthread_mutex_init(&qp->req.lock, NULL);
	pthread_mutex_init(&qp->rsp.lock, NULL);
	if (nic_req_init(qp))
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	if (nic_rsp_init(qp)) {
		nic_req_fini(qp);
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	}
	return NIC_OK;
}

void nic_qp_publish(struct nic_qp *qp)
{
	struct nic *nic = qp->nic;
	uint32_t idx = qp->obj.id - nic->table[NIC_T_QP].base;

	count_refs(qp, 1);
	nic_table_publish(&nic->table[NIC_T_QP], &qp->obj);
	atomic_store(&nic->qp_uar[idx], qp->uar + 1);
	if (qp->type == NIC_QP_QP0 || qp->type == NIC_QP_QP1)
		atomic_store(&nic->special[qp->type - NIC_QP_QP0], qp);
}

uint8_t nic_cmd_create_qp(struct nic_cmd *c)
{
	const uint8_t *x = c->in + MLX5_CREATE_QP_IN_QPC_OFF;
	struct nic_qp *qp;
	uint8_t st = check_type(c, x);

	if (!st)
		st = nic_obj_new(c, NIC_T_QP, sizeof(*qp), (c->in_len - PAS_OFF) + 8192, &qp);
	if (st)
		return st;
	from_context(qp, c, x);
	qp->dw = &c->nic->dw[(qp->obj.id - c->nic->table[NIC_T_QP].base) % c->nic->n_dw];
	st = check_refs(c, qp, x);
	if (!st)
		st = nic_dbr_init(c, mlx5_get(x, MLX5_QPC_DBR_ADDR),
				  mlx5_get(x, MLX5_QPC_DBR_UMEM_VALID),
				  (uint32_t)mlx5_get(x, MLX5_QPC_DBR_UMEM_ID), &qp->db_addr);
	if (!st)
		st = make_ring(c, qp, x);
	if (!st)
		st = make_offload(c, qp, x);
	if (!st)
		st = nic_qp_start(c, qp);
	if (st) {
		nic_buf_fini(&qp->buf);
		free(qp->rndv);
		nic_obj_drop(c->nic, qp);
		return st;
	}
	nic_qp_publish(qp);
	mlx5_set(c->out, MLX5_OUT_ID, qp->obj.id);
	return NIC_OK;
}

struct nic_qp *nic_qp_named(struct nic_cmd *c)
{
	uint32_t id = (uint32_t)mlx5_get(c->in, MLX5_IN_ID);
	struct nic_qp *qp = (struct nic_qp *)nic_cmd_find(c, NIC_T_QP, id);

	if (!qp || qp->type != NIC_QP_DCT)
		return qp;
	c->syndrome = SYN_NO_OBJECT + NIC_T_QP;
	return NULL;
}

/* ---- destruction ---- */

void nic_qp_free(struct nic *nic, struct nic_qp *qp)
{
	atomic_store(&nic->qp_uar[qp->obj.id - nic->table[NIC_T_QP].base], 0);
	nic_req_fini(qp);
	nic_rsp_fini(qp);
	nic_dct_fini(qp);
	pthread_mutex_destroy(&qp->req.lock);
	pthread_mutex_destroy(&qp->rsp.lock);
	count_refs(qp, -1);
	nic_buf_fini(&qp->buf);
	free(qp->rndv);
	nic_obj_drop(nic, qp);
}

uint8_t nic_cmd_destroy_qp(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_qp *qp = nic_obj_for_destroy(c, NIC_T_QP, &st);

	if (!qp)
		return st;
	if (!nic_qp_named(c))
		return NIC_BAD_RES;
	if (qp->type == NIC_QP_QP0 || qp->type == NIC_QP_QP1)
		atomic_store(&c->nic->special[qp->type - NIC_QP_QP0], NULL);
	nic_net_detach_all(c->nic, qp->obj.id);
	nic_obj_unlink(c->nic, qp);
	nic_qp_free(c->nic, qp);
	return NIC_OK;
}

/* ---- query ---- */

static void show_constant(const struct nic_qp *qp, uint8_t *x)
{
	mlx5_set(x, MLX5_QPC_ST, qp->type);
	mlx5_set(x, MLX5_QPC_OFFLOAD_TYPE, qp->rndv ? OFFLOAD_RNDV : 0);
	mlx5_set(x, MLX5_QPC_PD, qp->pd);
	mlx5_set(x, MLX5_QPC_LOG_RQ_SIZE, qp->rq.log_size);
	mlx5_set(x, MLX5_QPC_LOG_RQ_STRIDE, qp->rq.log_stride - 4u);
	mlx5_set(x, MLX5_QPC_NO_SQ, qp->no_sq);
	mlx5_set(x, MLX5_QPC_LOG_SQ_SIZE, qp->sq.log_size);
	mlx5_set(x, MLX5_QPC_RLKY, qp->rlky);
	mlx5_set(x, MLX5_QPC_UAR_PAGE, qp->uar);
	mlx5_set(x, MLX5_QPC_USER_INDEX, qp->user_index);
	mlx5_set(x, MLX5_QPC_CQN_SND, qp->cqn_snd);
	mlx5_set(x, MLX5_QPC_CQN_RCV, qp->cqn_rcv);
	mlx5_set(x, MLX5_QPC_DBR_ADDR, qp->db_addr);
	mlx5_set(x, MLX5_QPC_RQ_TYPE, qp->rq_kind);
	mlx5_set(x, MLX5_QPC_SRQN_RMPN_XRQN, qp->srq ? qp->srq->obj.id : 0);
}

static void show_progress(struct nic_qp *qp, uint8_t *x)
{
	struct nic_req_info rq;
	struct nic_rsp_info rs;
	uint8_t state = atomic_load(&qp->state);

	nic_req_info(qp, &rq);
	nic_rsp_info(qp, &rs);
	if (state == NIC_QPS_SQD && rq.draining)
		state = NIC_QPS_SQ_DRAINING;
	mlx5_set(x, MLX5_QPC_STATE, state);
	mlx5_set(x, MLX5_QPC_CUR_RNR_RETRY, rq.cur_rnr);
	mlx5_set(x, MLX5_QPC_CUR_RETRY_COUNT, rq.cur_retry);
	mlx5_set(x, MLX5_QPC_NEXT_SEND_PSN, rq.next_psn);
	mlx5_set(x, MLX5_QPC_LAST_ACKED_PSN, rq.last_acked);
	mlx5_set(x, MLX5_QPC_SSN, rq.ssn);
	mlx5_set(x, MLX5_QPC_HW_SQ_WQEBB_COUNTER, rq.hw_counter);
	mlx5_set(x, MLX5_QPC_SW_SQ_WQEBB_COUNTER, rq.sw_counter);
	mlx5_set(x, MLX5_QPC_NEXT_RCV_PSN, rs.next_psn);
	mlx5_set(x, MLX5_QPC_RMSN, rs.rmsn);
	mlx5_set(x, MLX5_QPC_HW_RQ_COUNTER, rs.hw_counter);
	mlx5_set(x, MLX5_QPC_SW_RQ_COUNTER, rs.sw_counter);
}

uint8_t nic_cmd_query_qp(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_QP_OUT_QPC_OFF;
	struct nic_qp *qp = nic_qp_named(c);

	if (!qp)
		return NIC_BAD_RES;
	pthread_mutex_lock(&qp->req.lock);
	pthread_mutex_lock(&qp->rsp.lock);
	show_constant(qp, x);
	nic_qp_show_attr(qp, x);
	show_progress(qp, x);
	pthread_mutex_unlock(&qp->rsp.lock);
	pthread_mutex_unlock(&qp->req.lock);
	return NIC_OK;
}
