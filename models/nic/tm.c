// SPDX-License-Identifier: MIT
/*
 * The list of tagged buffers. A buffer takes part in matching only once software has seen every
 * message that came before without a match: else a later message could overtake one of those.
 */
#include "models/nic/tm.h"

#include <errno.h>
#include <stdlib.h>

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"

/* The segment behind the control segment */
#define TM_OPCODE  MLX5_F(0, 31, 28)
#define TM_CQE	   MLX5_F(0, 23, 23)
#define TM_SW_CNT  MLX5_F(0, 22, 22)
#define TM_INDEX   MLX5_F(0, 15, 0)
#define TM_SW_VAL  MLX5_F(4, 15, 0)
#define TM_TAG	   16u
#define TM_MASK	   24u
#define TM_SEG	   32u
#define TM_DATA	   16u
#define TM_SUCCESS 0x80

enum { OP_NOP, OP_APPEND, OP_REMOVE };

struct nic_tm *nic_tm_new(unsigned log_size, bool rndv)
{
	uint16_t n = (uint16_t)(1u << log_size);
	struct nic_tm *tm = calloc(1, sizeof(*tm) + n * sizeof(tm->tag[0]));

	if (!tm)
		return NULL;
	tm->rndv = rndv;
	tm->log_size = (uint8_t)log_size;
	tm->head = tm->tail = NIC_TAG_NONE;
	return tm;
}

/* ---- the list ---- */

static void unlink_tag(struct nic_tm *tm, uint16_t prev, uint16_t i)
{
	uint16_t next = tm->tag[i].next;

	if (prev == NIC_TAG_NONE)
		tm->head = next;
	else
		tm->tag[prev].next = next;
	if (tm->tail == i)
		tm->tail = prev;
	tm->tag[i].used = false;
}

const struct nic_tag *nic_tm_match(struct nic_tm *tm, uint64_t tag, uint16_t *ret_index)
{
	uint16_t i, prev = NIC_TAG_NONE;

	for (i = tm->head; i != NIC_TAG_NONE; prev = i, i = tm->tag[i].next) {
		const struct nic_tag *t = &tm->tag[i];

		if (!t->active)
			return NULL;
		if ((tag & t->mask) != t->tag)
			continue;
		unlink_tag(tm, prev, i);
		*ret_index = i;
		return t;
	}
	return NULL;
}

static bool may_append(const struct nic_tm *tm, const struct nic_swqe *w)
{
	return w->umr_len >= TM_SEG + TM_DATA && mlx5_get(w->umr, TM_INDEX) < 1u << tm->log_size &&
	       !tm->tag[tm->append].used;
}

static void append(struct nic_tm *tm, const struct nic_swqe *w)
{
	uint16_t i = tm->append;
	struct nic_tag *t = &tm->tag[i];
	uint64_t total;

	*t = (struct nic_tag){ .used = true,
			       .next = NIC_TAG_NONE,
			       .tag = mlx5_get64(w->umr, TM_TAG),
			       .mask = mlx5_get64(w->umr, TM_MASK) };
	nic_wqe_parse_recv(w->umr + TM_SEG, TM_DATA, &t->sge, &total);
	if (tm->tail == NIC_TAG_NONE)
		tm->head = i;
	else
		tm->tag[tm->tail].next = i;
	tm->tail = i;
	tm->append = (uint16_t)mlx5_get(w->umr, TM_INDEX);
}

static bool remove_tag(struct nic_tm *tm, uint64_t index)
{
	uint16_t i, prev = NIC_TAG_NONE;

	for (i = tm->head; i != NIC_TAG_NONE; prev = i, i = tm->tag[i].next) {
		if (i != index)
			continue;
		unlink_tag(tm, prev, i);
		return true;
	}
	return false;
}

static void activate(struct nic_tm *tm)
{
	uint16_t i;

	if (tm->sw_phase != tm->hw_phase)
		return;
	for (i = tm->head; i != NIC_TAG_NONE; i = tm->tag[i].next)
		tm->tag[i].active = true;
}

/* ---- requests and completions ---- */

void nic_tm_post(struct nic_qp *qp, struct nic_cqe *e)
{
	struct nic_srq *srq = qp->srq;

	e->app = NIC_CQE_APP_TM;
	e->qpn = qp->obj.id;
	e->user_index = srq->user_index;
	e->srqn = srq->obj.id;
	if (nic_cq_post(srq->cq, e) == -ENOSPC)
		nic_qp_error(qp, 0);
}

static void complete(struct nic_qp *qp, uint8_t app_op, bool success)
{
	uint16_t phase = qp->srq->tm->hw_phase;
	struct nic_cqe e = { .opcode = NIC_CQE_NO_PACKET,
			     .app_op = app_op,
			     .head = { success ? TM_SUCCESS : 0, [4] = (uint8_t)(phase >> 8),
				       (uint8_t)phase } };

	nic_tm_post(qp, &e);
}

static bool run_locked(struct nic_qp *qp, const struct nic_swqe *w)
{
	static const uint8_t app[] = { NIC_TM_NOOP, NIC_TM_APPEND, NIC_TM_REMOVE };
	struct nic_tm *tm = qp->srq->tm;
	uint64_t op = mlx5_get(w->umr, TM_OPCODE);
	bool success = true;

	if (op > OP_REMOVE || (op == OP_APPEND && !may_append(tm, w)))
		return false;
	if (mlx5_get(w->umr, TM_SW_CNT))
		tm->sw_phase = (uint16_t)mlx5_get(w->umr, TM_SW_VAL);
	if (op == OP_APPEND)
		append(tm, w);
	else if (op == OP_REMOVE)
		success = remove_tag(tm, mlx5_get(w->umr, TM_INDEX));
	activate(tm);
	if (mlx5_get(w->umr, TM_CQE))
		complete(qp, app[op], success);
	return true;
}

void nic_tm_run(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret)
{
	struct nic_srq *srq = qp->srq;
	bool ok = false;

	if (nic_srq_tagged(srq) && w->umr_len >= TM_SEG) {
		pthread_mutex_lock(&srq->lock);
		ok = run_locked(qp, w);
		pthread_mutex_unlock(&srq->lock);
	}
	if (ok)
		return;
	mdl_count(qp->nic->dev, NIC_C_BAD_WQE);
	*ret = (struct nic_outcome){ .result = NIC_L_ERROR, .syndrome = NIC_S_LOCAL_QP_OP };
}
