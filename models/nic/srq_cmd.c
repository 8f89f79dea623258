// SPDX-License-Identifier: MIT
/* SRQ, XRC SRQ, RMP and XRQ: four contexts for one object. */
#include "models/nic/srq.h"

#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/ring.h"
#include "models/nic/syndrome.h"
#include "models/nic/tm.h"

#define PAS_OFF	   272
#define XRQ_PAS	   336
#define XRQ_TAGS   1 /* topology: tag matching */
#define XRQ_RNDV   1 /* offload: rendezvous */
#define MAX_LOG_SZ 16
#define MIN_STRIDE 4 /* log2 bytes */
#define MAX_STRIDE 10
#define RMP_LIST   0 /* wq_type: linked list */
#define RMP_CYCLIC 1
#define RMP_READY  1
#define NO_CQ	   0xffffffu

/* The four contexts brought to one form. */
struct shape {
	struct nic_ring_src src;
	uint8_t kind;
	bool cyclic, db_umem, rndv;
	unsigned log_size, log_stride, log_tags;
	uint32_t pd, xrcd, cqn, user_index, lwm, db_umem_id;
	uint64_t db;
};

static void from_srqc(const uint8_t *x, struct shape *s)
{
	s->kind = NIC_SRQ_BASIC;
	s->log_size = (unsigned)mlx5_get(x, MLX5_SRQC_LOG_SRQ_SIZE);
	s->log_stride = (unsigned)mlx5_get(x, MLX5_SRQC_LOG_RQ_STRIDE) + 4;
	s->pd = (uint32_t)mlx5_get(x, MLX5_SRQC_PD);
	s->lwm = (uint32_t)mlx5_get(x, MLX5_SRQC_LWM);
	s->db = mlx5_get(x, MLX5_SRQC_DBR_ADDR);
	s->src.log_page = (unsigned)mlx5_get(x, MLX5_SRQC_LOG_PAGE_SIZE);
	s->src.page_offset = (unsigned)mlx5_get(x, MLX5_SRQC_PAGE_OFFSET);
}

static void from_xrc_srqc(const struct nic_cmd *c, const uint8_t *x, struct shape *s)
{
	s->kind = NIC_SRQ_XRC;
	s->log_size = (unsigned)mlx5_get(x, MLX5_XRCSRQC_LOG_XRC_SRQ_SIZE);
	s->log_stride = (unsigned)mlx5_get(x, MLX5_XRCSRQC_LOG_RQ_STRIDE) + 4;
	s->cyclic = mlx5_get(x, MLX5_XRCSRQC_BASIC_CYCLIC_RCV_WQE);
	s->pd = (uint32_t)mlx5_get(x, MLX5_XRCSRQC_PD);
	s->xrcd = (uint32_t)mlx5_get(x, MLX5_XRCSRQC_XRCD);
	s->cqn = (uint32_t)mlx5_get(x, MLX5_XRCSRQC_CQN);
	s->user_index = (uint32_t)mlx5_get(x, MLX5_XRCSRQC_USER_INDEX);
	s->lwm = (uint32_t)mlx5_get(x, MLX5_XRCSRQC_LWM);
	s->db = mlx5_get(x, MLX5_XRCSRQC_DBR_ADDR);
	s->db_umem = mlx5_get(x, MLX5_XRCSRQC_DBR_UMEM_VALID);
	s->src.umem = mlx5_get(c->in, MLX5_CREATE_XRC_SRQ_IN_XRC_SRQ_UMEM_VALID);
	s->src.umem_off = mlx5_get64(c->in, 0x50);
	s->src.umem_id = mlx5_get32(c->in, 0x58);
	s->src.log_page = (unsigned)mlx5_get(x, MLX5_XRCSRQC_LOG_PAGE_SIZE);
	s->src.page_offset = (unsigned)mlx5_get(x, MLX5_XRCSRQC_PAGE_OFFSET);
}

static void from_wq(const uint8_t *wq, struct shape *s)
{
	s->log_size = (unsigned)mlx5_get(wq, MLX5_WQ_LOG_WQ_SZ);
	s->log_stride = (unsigned)mlx5_get(wq, MLX5_WQ_LOG_WQ_STRIDE);
	s->cyclic = mlx5_get(wq, MLX5_WQ_WQ_TYPE) == RMP_CYCLIC;
	s->pd = (uint32_t)mlx5_get(wq, MLX5_WQ_PD);
	s->lwm = (uint32_t)mlx5_get(wq, MLX5_WQ_LWM);
	s->db = mlx5_get(wq, MLX5_WQ_DBR_ADDR);
	s->db_umem = mlx5_get(wq, MLX5_WQ_DBR_UMEM_VALID);
	s->db_umem_id = (uint32_t)mlx5_get(wq, MLX5_WQ_DBR_UMEM_ID);
	s->src.umem = mlx5_get(wq, MLX5_WQ_WQ_UMEM_VALID);
	s->src.umem_off = mlx5_get(wq, MLX5_WQ_WQ_UMEM_OFFSET);
	s->src.umem_id = (uint32_t)mlx5_get(wq, MLX5_WQ_WQ_UMEM_ID);
	s->src.log_page = (unsigned)mlx5_get(wq, MLX5_WQ_LOG_WQ_PG_SZ);
	s->src.page_offset = (unsigned)mlx5_get(wq, MLX5_WQ_PAGE_OFFSET);
}

static void from_xrqc(const uint8_t *x, struct shape *s)
{
	from_wq(x + MLX5_XRQC_WQ_OFF, s);
	s->kind = NIC_SRQ_TM;
	s->cqn = (uint32_t)mlx5_get(x, MLX5_XRQC_CQN);
	s->user_index = (uint32_t)mlx5_get(x, MLX5_XRQC_USER_INDEX);
	s->log_tags = (unsigned)mlx5_get(x, MLX5_XRQC_LOG_TAGS);
	s->rndv = mlx5_get(x, MLX5_XRQC_OFFLOAD) == XRQ_RNDV;
	s->src.pas_off = XRQ_PAS;
}

static uint8_t check_tags(struct nic_cmd *c, const struct shape *s)
{
	if (s->log_tags > NIC_LOG_TAGS)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	return nic_cmd_find(c, NIC_T_CQ, s->cqn) ? NIC_OK : NIC_BAD_RES;
}

static uint8_t check(struct nic_cmd *c, const struct shape *s)
{
	if (s->log_size > MAX_LOG_SZ || s->log_stride < MIN_STRIDE || s->log_stride > MAX_STRIDE)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	if (s->lwm >= 1u << s->log_size)
		return nic_fail(c, NIC_BAD_PARAM, SYN_SRQ_LIMIT);
	if (!nic_cmd_find(c, NIC_T_PD, s->pd))
		return NIC_BAD_RES;
	if (s->kind == NIC_SRQ_TM)
		return check_tags(c, s);
	if (s->kind != NIC_SRQ_XRC)
		return NIC_OK;
	if (!nic_cmd_find(c, NIC_T_XRCD, s->xrcd))
		return NIC_BAD_RES;
	if (s->cqn != NO_CQ && s->cqn && !nic_cmd_find(c, NIC_T_CQ, s->cqn))
		return NIC_BAD_RES;
	return NIC_OK;
}

static void count_refs(struct nic *nic, const struct nic_srq *q, int n)
{
	nic_table_own(&nic->table[NIC_T_PD], q->pd)->refs += (uint32_t)n;
	if (q->kind == NIC_SRQ_XRC)
		nic_table_own(&nic->table[NIC_T_XRCD], q->xrcd)->refs += (uint32_t)n;
	if (q->cq)
		q->cq->obj.refs += (uint32_t)n;
}

static void fill_from(struct nic_srq *q, struct nic_cmd *c, const struct shape *s)
{
	q->nic = c->nic;
	q->dma = c->dma;
	q->kind = s->kind;
	q->log_size = (uint8_t)s->log_size;
	q->log_stride = (uint8_t)s->log_stride;
	q->cyclic = s->cyclic;
	q->pd = s->pd;
	q->xrcd = s->xrcd;
	q->user_index = s->user_index;
	q->lwm = (uint16_t)s->lwm;
	if (s->kind == NIC_SRQ_XRC || s->kind == NIC_SRQ_TM)
		q->cq = nic_find_cq(c->nic, s->cqn);
	pthread_mutex_init(&q->lock, NULL);
}

/* Make what stands behind the number. Return: a status; nothing is left behind then. */
static uint8_t make(struct nic_cmd *c, const struct shape *s, uint64_t pages, struct nic_srq **ret)
{
	uint64_t tags = s->kind == NIC_SRQ_TM ? sizeof(struct nic_tag) << s->log_tags : 0;
	struct nic_srq *q;
	uint8_t st = nic_obj_new(c, NIC_T_SRQ, sizeof(*q), pages * 8 + tags, &q);

	if (st)
		return st;
	if (tags)
		q->tm = nic_tm_new(s->log_tags, s->rndv);
	if (tags && !q->tm) {
		nic_obj_drop(c->nic, q);
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	}
	*ret = q;
	return NIC_OK;
}

static uint8_t create(struct nic_cmd *c, struct shape *s)
{
	struct nic_srq *q;
	struct nic_buf buf;
	uint64_t db;
	uint8_t st = check(c, s);

	if (!st)
		st = nic_dbr_init(c, s->db, s->db_umem, s->db_umem_id, &db);
	if (st)
		return st;
	if (!s->src.pas_off)
		s->src.pas_off = PAS_OFF;
	s->src.size = 1ull << (s->log_size + s->log_stride);
	st = nic_ring_init(c, &s->src, &buf);
	if (st)
		return st;
	st = make(c, s, buf.n_pages, &q);
	if (st) {
		nic_buf_fini(&buf);
		return st;
	}
	fill_from(q, c, s);
	q->buf = buf;
	q->db_addr = db;
	count_refs(c->nic, q, 1);
	nic_table_publish(&c->nic->table[NIC_T_SRQ], &q->obj);
	mlx5_set(c->out, MLX5_OUT_ID, q->obj.id);
	return NIC_OK;
}

uint8_t nic_cmd_create_srq(struct nic_cmd *c)
{
	struct shape s = { 0 };

	from_srqc(c->in + MLX5_CREATE_SRQ_IN_SRQC_OFF, &s);
	return create(c, &s);
}

uint8_t nic_cmd_create_xrc_srq(struct nic_cmd *c)
{
	struct shape s = { 0 };

	from_xrc_srqc(c, c->in + MLX5_CREATE_XRC_SRQ_IN_SRQC_OFF, &s);
	return create(c, &s);
}

uint8_t nic_cmd_create_rmp(struct nic_cmd *c)
{
	const uint8_t *x = c->in + MLX5_CREATE_RMP_IN_CTX_OFF;
	uint64_t type = mlx5_get(x + MLX5_RMPC_WQ_OFF, MLX5_WQ_WQ_TYPE);
	struct shape s = { 0 };

	if (type != RMP_LIST && type != RMP_CYCLIC)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	from_wq(x + MLX5_RMPC_WQ_OFF, &s);
	s.kind = NIC_SRQ_RMP;
	return create(c, &s);
}

uint8_t nic_cmd_create_xrq(struct nic_cmd *c)
{
	const uint8_t *x = c->in + MLX5_CREATE_XRQ_IN_CTX_OFF;
	struct shape s = { 0 };

	if (mlx5_get(x, MLX5_XRQC_TOPOLOGY) != XRQ_TAGS || mlx5_get(x, MLX5_XRQC_DC) ||
	    mlx5_get(x, MLX5_XRQC_OFFLOAD) > XRQ_RNDV ||
	    mlx5_get(x + MLX5_XRQC_WQ_OFF, MLX5_WQ_WQ_TYPE) > RMP_CYCLIC)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	from_xrqc(x, &s);
	return create(c, &s);
}

void nic_srq_free(struct nic *nic, struct nic_srq *q)
{
	count_refs(nic, q, -1);
	pthread_mutex_destroy(&q->lock);
	nic_buf_fini(&q->buf);
	free(q->tm);
	nic_obj_drop(nic, q);
}

#define OP_DESTROY_XRC_SRQ 0x706
#define OP_DESTROY_RMP	   0x90e
#define OP_ARM_RQ	   0x703
#define OP_ARM_XRC_SRQ	   0x708
#define OP_DESTROY_XRQ	   0x718

static bool kind_fits(struct nic_cmd *c, const struct nic_srq *q)
{
	bool xrc = c->opcode == OP_DESTROY_XRC_SRQ || c->opcode == OP_ARM_XRC_SRQ;
	bool tags = c->opcode == OP_DESTROY_XRQ;

	if (c->opcode == OP_ARM_RQ)
		tags = q->kind == NIC_SRQ_TM;
	if (xrc == (q->kind == NIC_SRQ_XRC) && tags == (q->kind == NIC_SRQ_TM))
		return true;
	c->syndrome = SYN_SRQ_KIND;
	return false;
}

/*
 * Packets name the XRC queue they want, so its receivers do not refer to it; but one in the middle
 * of a message keeps the queue its entry is from. The queue is hidden, so no other can begin.
 */
static void forget_entries(struct nic *nic, const struct nic_srq *q)
{
	struct nic_table *t = &nic->table[NIC_T_QP];
	uint32_t i, left = q->kind == NIC_SRQ_XRC ? t->used : 0;
	struct nic_qp *qp;

	for (i = 0; i < t->cap && left; i++) {
		qp = (struct nic_qp *)t->own[i];
		if (!qp)
			continue;
		left--;
		if (qp->type == NIC_QP_XRC)
			nic_rsp_forget_srq(qp, q);
	}
}

uint8_t nic_cmd_destroy_srq(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_srq *q = nic_obj_for_destroy(c, NIC_T_SRQ, &st);

	if (!q)
		return st;
	if (!kind_fits(c, q))
		return NIC_BAD_RES;
	nic_obj_unlink(c->nic, q);
	forget_entries(c->nic, q);
	nic_srq_free(c->nic, q);
	return NIC_OK;
}

static struct nic_srq *find(struct nic_cmd *c, uint8_t kind)
{
	uint32_t id = (uint32_t)mlx5_get(c->in, MLX5_IN_ID);
	struct nic_srq *q = (struct nic_srq *)nic_cmd_find(c, NIC_T_SRQ, id);

	if (!q || q->kind == kind)
		return q;
	c->syndrome = SYN_SRQ_KIND;
	return NULL;
}

static uint8_t arm(struct nic_cmd *c, struct nic_srq *q, uint32_t lwm)
{
	if (lwm >= 1u << q->log_size)
		return nic_fail(c, NIC_BAD_PARAM, SYN_SRQ_LIMIT);
	pthread_mutex_lock(&q->lock);
	q->lwm = (uint16_t)lwm;
	pthread_mutex_unlock(&q->lock);
	return NIC_OK;
}

uint8_t nic_cmd_arm_srq(struct nic_cmd *c)
{
	uint32_t id = (uint32_t)mlx5_get(c->in, MLX5_IN_ID);
	struct nic_srq *q = (struct nic_srq *)nic_cmd_find(c, NIC_T_SRQ, id);

	if (!q || !kind_fits(c, q))
		return NIC_BAD_RES;
	return arm(c, q, (uint32_t)mlx5_get(c->in, MLX5_ARM_RQ_IN_LWM));
}

/* The bitmask says whether the limit is given; the state must stay ready. */
uint8_t nic_cmd_modify_rmp(struct nic_cmd *c)
{
	const uint8_t *x = c->in + MLX5_MODIFY_RMP_IN_CTX_OFF;
	struct nic_srq *q = find(c, NIC_SRQ_RMP);

	if (!q)
		return NIC_BAD_RES;
	if (!(mlx5_get32(c->in, 0x14) & 1))
		return NIC_OK;
	return arm(c, q, (uint32_t)mlx5_get(x + MLX5_RMPC_WQ_OFF, MLX5_WQ_LWM));
}

uint8_t nic_cmd_query_srq(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_SRQ_OUT_SRQC_OFF;
	struct nic_srq *q = find(c, NIC_SRQ_BASIC);

	if (!q)
		return NIC_BAD_RES;
	pthread_mutex_lock(&q->lock);
	mlx5_set(x, MLX5_SRQC_STATE, q->state == NIC_SRQ_ERROR);
	mlx5_set(x, MLX5_SRQC_LOG_SRQ_SIZE, q->log_size);
	mlx5_set(x, MLX5_SRQC_LOG_RQ_STRIDE, q->log_stride - 4u);
	mlx5_set(x, MLX5_SRQC_PD, q->pd);
	mlx5_set(x, MLX5_SRQC_LWM, q->lwm);
	mlx5_set(x, MLX5_SRQC_DBR_ADDR, q->db_addr);
	pthread_mutex_unlock(&q->lock);
	return NIC_OK;
}

uint8_t nic_cmd_query_xrc_srq(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_XRC_SRQ_OUT_SRQC_OFF;
	struct nic_srq *q = find(c, NIC_SRQ_XRC);

	if (!q)
		return NIC_BAD_RES;
	pthread_mutex_lock(&q->lock);
	mlx5_set(x, MLX5_XRCSRQC_STATE, q->state == NIC_SRQ_ERROR);
	mlx5_set(x, MLX5_XRCSRQC_LOG_XRC_SRQ_SIZE, q->log_size);
	mlx5_set(x, MLX5_XRCSRQC_LOG_RQ_STRIDE, q->log_stride - 4u);
	mlx5_set(x, MLX5_XRCSRQC_XRCD, q->xrcd);
	mlx5_set(x, MLX5_XRCSRQC_CQN, q->cq ? q->cq->obj.id : 0);
	mlx5_set(x, MLX5_XRCSRQC_PD, q->pd);
	mlx5_set(x, MLX5_XRCSRQC_USER_INDEX, q->user_index);
	mlx5_set(x, MLX5_XRCSRQC_LWM, q->lwm);
	mlx5_set(x, MLX5_XRCSRQC_DBR_ADDR, q->db_addr);
	pthread_mutex_unlock(&q->lock);
	return NIC_OK;
}

static void show_wq(const struct nic_srq *q, uint8_t *wq)
{
	mlx5_set(wq, MLX5_WQ_WQ_TYPE, q->cyclic ? RMP_CYCLIC : RMP_LIST);
	mlx5_set(wq, MLX5_WQ_LWM, q->lwm);
	mlx5_set(wq, MLX5_WQ_PD, q->pd);
	mlx5_set(wq, MLX5_WQ_DBR_ADDR, q->db_addr);
	mlx5_set(wq, MLX5_WQ_LOG_WQ_STRIDE, q->log_stride);
	mlx5_set(wq, MLX5_WQ_LOG_WQ_SZ, q->log_size);
}

uint8_t nic_cmd_query_rmp(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_RMP_OUT_CTX_OFF, *wq = x + MLX5_RMPC_WQ_OFF;
	struct nic_srq *q = find(c, NIC_SRQ_RMP);

	if (!q)
		return NIC_BAD_RES;
	pthread_mutex_lock(&q->lock);
	mlx5_set(x, MLX5_RMPC_STATE, q->state == NIC_SRQ_ERROR ? 3 : RMP_READY);
	show_wq(q, wq);
	pthread_mutex_unlock(&q->lock);
	return NIC_OK;
}

uint8_t nic_cmd_query_xrq(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_XRQ_OUT_CTX_OFF;
	struct nic_srq *q = find(c, NIC_SRQ_TM);

	if (!q)
		return NIC_BAD_RES;
	pthread_mutex_lock(&q->lock);
	mlx5_set(x, MLX5_XRQC_STATE, q->state == NIC_SRQ_ERROR);
	mlx5_set(x, MLX5_XRQC_TOPOLOGY, XRQ_TAGS);
	mlx5_set(x, MLX5_XRQC_OFFLOAD, q->tm->rndv ? XRQ_RNDV : 0);
	mlx5_set(x, MLX5_XRQC_USER_INDEX, q->user_index);
	mlx5_set(x, MLX5_XRQC_CQN, q->cq->obj.id);
	mlx5_set(x, MLX5_XRQC_LOG_TAGS, q->tm->log_size);
	mlx5_set(x, MLX5_XRQC_APPEND_NEXT_INDEX, q->tm->append);
	mlx5_set(x, MLX5_XRQC_SW_PHASE_CNT, q->tm->sw_phase);
	mlx5_set(x, MLX5_XRQC_HW_PHASE_CNT, q->tm->hw_phase);
	show_wq(q, x + MLX5_XRQC_WQ_OFF);
	pthread_mutex_unlock(&q->lock);
	return NIC_OK;
}
