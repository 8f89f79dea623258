// SPDX-License-Identifier: MIT
/* CREATE_DCT, DESTROY_DCT, DRAIN_DCT, QUERY_DCT. */
#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/dct.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/qp_state.h"
#include "models/nic/syndrome.h"

#define CTX_OFF 0x10

/* ---- creation ---- */

static void from_context(struct nic_qp *qp, struct nic_cmd *c, const uint8_t *x)
{
	qp->nic = c->nic;
	qp->dma = c->dma;
	qp->type = NIC_QP_DCT;
	qp->rq_kind = NIC_RQ_SRQ;
	qp->no_sq = true;
	qp->pd = (uint32_t)mlx5_get(x, MLX5_DCTC_PD);
	qp->user_index = (uint32_t)mlx5_get(x, MLX5_DCTC_USER_INDEX);
	qp->cqn_rcv = (uint32_t)mlx5_get(x, MLX5_DCTC_CQN);
	qp->dc_key = mlx5_get(x, MLX5_DCTC_DC_ACCESS_KEY);
	qp->attr.rre = mlx5_get(x, MLX5_DCTC_RRE);
	qp->attr.rwe = mlx5_get(x, MLX5_DCTC_RWE);
	qp->attr.rae = mlx5_get(x, MLX5_DCTC_RAE);
	qp->attr.atomic_mode = (uint8_t)mlx5_get(x, MLX5_DCTC_ATOMIC_MODE);
	qp->attr.min_rnr_nak = (uint8_t)mlx5_get(x, MLX5_DCTC_MIN_RNR_NAK);
	qp->attr.mtu = 128u << mlx5_get(x, MLX5_DCTC_MTU);
	qp->attr.path.port = (uint8_t)mlx5_get(x, MLX5_DCTC_PORT);
	qp->attr.path.pkey_index = (uint16_t)mlx5_get(x, MLX5_DCTC_PKEY_INDEX);
}

static uint8_t check(struct nic_cmd *c, struct nic_qp *qp, const uint8_t *x)
{
	uint32_t srqn = (uint32_t)mlx5_get(x, MLX5_DCTC_SRQN_XRQN);

	if (mlx5_get(x, MLX5_DCTC_RLKY))
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	if (qp->attr.mtu < 256 || qp->attr.mtu > 4096 || qp->attr.path.port > 1 ||
	    qp->attr.path.pkey_index >= NIC_PKEYS)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QP_ATTR);
	if (!nic_cmd_find(c, NIC_T_PD, qp->pd))
		return NIC_BAD_RES;
	qp->rcq = (struct nic_cq *)nic_cmd_find(c, NIC_T_CQ, qp->cqn_rcv);
	qp->srq = qp->rcq ? (struct nic_srq *)nic_cmd_find(c, NIC_T_SRQ, srqn) : NULL;
	if (!qp->srq)
		return NIC_BAD_RES;
	return qp->srq->kind == NIC_SRQ_XRC || qp->srq->kind == NIC_SRQ_TM ?
		       nic_fail(c, NIC_BAD_RES, SYN_SRQ_KIND) :
		       NIC_OK;
}

uint8_t nic_cmd_create_dct(struct nic_cmd *c)
{
	const uint8_t *x = c->in + CTX_OFF;
	struct nic_qp *qp;
	uint8_t st = nic_obj_new(c, NIC_T_QP, sizeof(*qp), nic_dct_charge(), &qp);

	if (st)
		return st;
	from_context(qp, c, x);
	qp->dw = &c->nic->dw[0];
	st = check(c, qp, x);
	if (!st && nic_dct_init(qp))
		st = nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	if (!st)
		st = nic_qp_start(c, qp);
	if (st) {
		nic_dct_fini(qp);
		nic_obj_drop(c->nic, qp);
		return st;
	}
	atomic_store(&qp->state, NIC_QPS_RTR);
	nic_qp_publish(qp);
	mlx5_set(c->out, MLX5_OUT_ID, qp->obj.id);
	return NIC_OK;
}

/* ---- the others ---- */

static struct nic_qp *find_dct(struct nic_cmd *c)
{
	struct nic_qp *qp =
		(struct nic_qp *)nic_cmd_find(c, NIC_T_QP, (uint32_t)mlx5_get(c->in, MLX5_IN_ID));

	if (qp && qp->type == NIC_QP_DCT)
		return qp;
	if (qp)
		c->syndrome = SYN_NO_OBJECT + NIC_T_QP;
	return NULL;
}

uint8_t nic_cmd_destroy_dct(struct nic_cmd *c)
{
	struct nic_qp *qp = find_dct(c);
	uint8_t st;

	if (!qp)
		return NIC_BAD_RES;
	qp = nic_obj_for_destroy(c, NIC_T_QP, &st);
	if (!qp)
		return st;
	nic_obj_unlink(c->nic, qp);
	nic_qp_free(c->nic, qp);
	return NIC_OK;
}

/* Drained at once: the event that says so comes before the command's answer, or with it. */
uint8_t nic_cmd_drain_dct(struct nic_cmd *c)
{
	struct nic_qp *qp = find_dct(c);

	if (!qp)
		return NIC_BAD_RES;
	nic_epoch_enter(&c->nic->cmd_epoch);
	nic_dct_drain(qp);
	nic_event_qp(c->nic, NIC_EV_DCT_DRAINED, qp->obj.id);
	nic_epoch_leave(&c->nic->cmd_epoch);
	return NIC_OK;
}

uint8_t nic_cmd_query_dct(struct nic_cmd *c)
{
	struct nic_qp *qp = find_dct(c);
	uint8_t *x = c->out + CTX_OFF;

	if (!qp)
		return NIC_BAD_RES;
	pthread_mutex_lock(&qp->rsp.lock);
	mlx5_set(x, MLX5_DCTC_STATE, atomic_load(&qp->state) == NIC_QPS_RTR ? 0 : 2);
	mlx5_set(x, MLX5_DCTC_DC_ACCESS_KEY_VIOLATION_COUNT, qp->dc_violations);
	pthread_mutex_unlock(&qp->rsp.lock);
	mlx5_set(x, MLX5_DCTC_PD, qp->pd);
	mlx5_set(x, MLX5_DCTC_USER_INDEX, qp->user_index);
	mlx5_set(x, MLX5_DCTC_CQN, qp->cqn_rcv);
	mlx5_set(x, MLX5_DCTC_SRQN_XRQN, qp->srq->obj.id);
	mlx5_set(x, MLX5_DCTC_DC_ACCESS_KEY, qp->dc_key);
	mlx5_set(x, MLX5_DCTC_RRE, qp->attr.rre);
	mlx5_set(x, MLX5_DCTC_RWE, qp->attr.rwe);
	mlx5_set(x, MLX5_DCTC_RAE, qp->attr.rae);
	mlx5_set(x, MLX5_DCTC_ATOMIC_MODE, qp->attr.atomic_mode);
	mlx5_set(x, MLX5_DCTC_MIN_RNR_NAK, qp->attr.min_rnr_nak);
	mlx5_set(x, MLX5_DCTC_MTU, (unsigned)__builtin_ctz(qp->attr.mtu) - 7);
	mlx5_set(x, MLX5_DCTC_PORT, qp->attr.path.port);
	mlx5_set(x, MLX5_DCTC_PKEY_INDEX, qp->attr.path.pkey_index);
	return NIC_OK;
}
