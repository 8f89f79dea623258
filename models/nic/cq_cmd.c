// SPDX-License-Identifier: MIT
#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/ring.h"
#include "models/nic/syndrome.h"

#define PAS_OFF 272
/* Where CREATE_CQ and MODIFY_CQ name user memory: offset, then number */
#define UMEM_OFF	   0x50
#define MAX_LOG_CQ_SZ	   22
#define OP_MODIFY	   0
#define OP_RESIZE	   1
#define SEL_PERIOD	   1u
#define SEL_COUNT	   2u
#define SEL_OVERRUN	   4u
#define SEL_EQN		   8u
#define STATUS_OVERFLOW	   0x9
#define STATUS_WRITE_FAIL  0xa
#define ST_SOLICITED_ARMED 0x6
#define ST_ARMED	   0x9
#define ST_FIRED	   0xa

/* 0: 64 bytes; 1: 128; 2: 128 of which 64 are padding. */
static int log_cqe(const uint8_t *ctx)
{
	uint64_t sz = mlx5_get(ctx, MLX5_CQC_CQE_SZ);

	return sz == 0 ? 6 : sz <= 2 ? 7 : -1;
}

static uint8_t check(struct nic_cmd *c, const uint8_t *ctx)
{
	if (mlx5_get(ctx, MLX5_CQC_LOG_CQ_SIZE) > MAX_LOG_CQ_SZ)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	if (log_cqe(ctx) < 0)
		return nic_fail(c, NIC_BAD_PARAM, SYN_CQE_SIZE);
	if (mlx5_get(ctx, MLX5_CQC_CC))
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	return NIC_OK;
}

static struct nic_eq *find_eq(struct nic_cmd *c, const uint8_t *ctx)
{
	uint32_t eqn = (uint32_t)mlx5_get(ctx, MLX5_CQC_EQN);
	struct nic_eq *eq = (struct nic_eq *)nic_table_find(&c->nic->table[NIC_T_EQ], eqn);

	/* Event queues are the kernel's, for all to use. */
	if (!eq)
		c->syndrome = SYN_NO_OBJECT + NIC_T_EQ;
	return eq;
}

static void ring_src(const struct nic_cmd *c, const uint8_t *ctx, bool umem,
		     struct nic_ring_src *ret_src)
{
	*ret_src = (struct nic_ring_src){
		.pas_off = PAS_OFF,
		.log_page = (unsigned)mlx5_get(ctx, MLX5_CQC_LOG_PAGE_SIZE),
		.page_offset = (unsigned)mlx5_get(ctx, MLX5_CQC_PAGE_OFFSET),
		.size = 1ull << (mlx5_get(ctx, MLX5_CQC_LOG_CQ_SIZE) + (unsigned)log_cqe(ctx)),
		.umem = umem,
		.umem_id = mlx5_get32(c->in, UMEM_OFF + 8),
		.umem_off = mlx5_get64(c->in, UMEM_OFF),
	};
}

/* The doorbell record of a user context's CQ is an offset into user memory. */
static uint8_t doorbell_record(struct nic_cmd *c, const uint8_t *ctx, uint64_t *ret_addr)
{
	return nic_dbr_init(c, mlx5_get(ctx, MLX5_CQC_DBR_ADDR),
			    mlx5_get(ctx, MLX5_CQC_DBR_UMEM_VALID),
			    (uint32_t)mlx5_get(ctx, MLX5_CQC_DBR_UMEM_ID), ret_addr);
}

static void fill_from(struct nic_cq *cq, struct nic_cmd *c, const uint8_t *ctx)
{
	cq->nic = c->nic;
	cq->dma = c->dma;
	cq->log_size = (uint8_t)mlx5_get(ctx, MLX5_CQC_LOG_CQ_SIZE);
	cq->log_cqe = (uint8_t)log_cqe(ctx);
	cq->cqe_sz = (uint8_t)mlx5_get(ctx, MLX5_CQC_CQE_SZ);
	cq->ignore_overrun = mlx5_get(ctx, MLX5_CQC_OI);
	cq->uar = (uint32_t)mlx5_get(ctx, MLX5_CQC_UAR_PAGE);
	cq->period_us = (uint16_t)mlx5_get(ctx, MLX5_CQC_CQ_PERIOD);
	cq->max_count = (uint16_t)mlx5_get(ctx, MLX5_CQC_CQ_MAX_COUNT);
	pthread_mutex_init(&cq->lock, NULL);
}

uint8_t nic_cmd_create_cq(struct nic_cmd *c)
{
	const uint8_t *ctx = c->in + MLX5_CREATE_CQ_IN_CQC_OFF;
	struct nic_ring_src src;
	struct nic_eq *eq = find_eq(c, ctx);
	struct nic_buf buf;
	struct nic_cq *cq;
	uint64_t db;
	uint8_t st = eq ? check(c, ctx) : NIC_BAD_RES;

	if (!st)
		st = doorbell_record(c, ctx, &db);
	if (st)
		return st;
	ring_src(c, ctx, mlx5_get(c->in, MLX5_CREATE_CQ_IN_CQ_UMEM_VALID), &src);
	st = nic_ring_init(c, &src, &buf);
	if (st)
		return st;
	st = nic_obj_new(c, NIC_T_CQ, sizeof(*cq), buf.n_pages * 8ull, &cq);
	if (st) {
		nic_buf_fini(&buf);
		return st;
	}
	fill_from(cq, c, ctx);
	cq->buf = buf;
	cq->db_addr = db;
	cq->eq = eq;
	eq->obj.refs++;
	nic_table_publish(&c->nic->table[NIC_T_CQ], &cq->obj);
	mlx5_set(c->out, MLX5_OUT_ID, cq->obj.id);
	return NIC_OK;
}

void nic_cq_free(struct nic *nic, struct nic_cq *cq)
{
	cq->eq->obj.refs--;
	pthread_mutex_destroy(&cq->lock);
	nic_buf_fini(&cq->buf);
	nic_obj_drop(nic, cq);
}

uint8_t nic_cmd_destroy_cq(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_cq *cq = nic_obj_for_destroy(c, NIC_T_CQ, &st);

	if (!cq)
		return st;
	nic_obj_unlink(c->nic, cq);
	nic_cq_free(c->nic, cq);
	return NIC_OK;
}

static uint64_t notify_state(const struct nic_cq *cq)
{
	if (!cq->armed)
		return ST_FIRED;
	return cq->armed_solicited ? ST_SOLICITED_ARMED : ST_ARMED;
}

static uint64_t status(const struct nic_cq *cq)
{
	return cq->state == NIC_CQ_OVERRUN    ? STATUS_OVERFLOW :
	       cq->state == NIC_CQ_WRITE_FAIL ? STATUS_WRITE_FAIL :
						0;
}

uint8_t nic_cmd_query_cq(struct nic_cmd *c)
{
	uint8_t *ctx = c->out + MLX5_QUERY_CQ_OUT_CQC_OFF;
	struct nic_cq *cq =
		(struct nic_cq *)nic_cmd_find(c, NIC_T_CQ, (uint32_t)mlx5_get(c->in, MLX5_IN_ID));

	if (!cq)
		return NIC_BAD_RES;
	pthread_mutex_lock(&cq->lock);
	nic_cq_used(cq);
	mlx5_set(ctx, MLX5_CQC_STATUS, status(cq));
	mlx5_set(ctx, MLX5_CQC_CQE_SZ, cq->cqe_sz);
	mlx5_set(ctx, MLX5_CQC_OI, cq->ignore_overrun);
	mlx5_set(ctx, MLX5_CQC_ST, notify_state(cq));
	mlx5_set(ctx, MLX5_CQC_LOG_CQ_SIZE, cq->log_size);
	mlx5_set(ctx, MLX5_CQC_UAR_PAGE, cq->uar);
	mlx5_set(ctx, MLX5_CQC_CQ_PERIOD, cq->period_us);
	mlx5_set(ctx, MLX5_CQC_CQ_MAX_COUNT, cq->max_count);
	mlx5_set(ctx, MLX5_CQC_EQN, cq->eq->obj.id);
	mlx5_set(ctx, MLX5_CQC_LOG_PAGE_SIZE, cq->buf.shift - 12);
	mlx5_set(ctx, MLX5_CQC_LAST_SOLICIT_INDEX, cq->solicit_pi);
	mlx5_set(ctx, MLX5_CQC_CONSUMER_COUNTER, cq->ci);
	mlx5_set(ctx, MLX5_CQC_PRODUCER_COUNTER, cq->pi);
	mlx5_set(ctx, MLX5_CQC_DBR_ADDR, cq->db_addr);
	pthread_mutex_unlock(&cq->lock);
	return NIC_OK;
}

/* ---- MODIFY_CQ ---- */

static uint8_t modify(struct nic_cmd *c, struct nic_cq *cq, const uint8_t *ctx)
{
	uint32_t sel = (uint32_t)mlx5_get(c->in, MLX5_MODIFY_CQ_IN_FIELD_SELECT);
	struct nic_eq *eq = NULL;

	if (sel & SEL_EQN) {
		eq = find_eq(c, ctx);
		if (!eq)
			return NIC_BAD_RES;
	}
	pthread_mutex_lock(&cq->lock);
	if (sel & SEL_PERIOD)
		cq->period_us = (uint16_t)mlx5_get(ctx, MLX5_CQC_CQ_PERIOD);
	if (sel & SEL_COUNT)
		cq->max_count = (uint16_t)mlx5_get(ctx, MLX5_CQC_CQ_MAX_COUNT);
	if (sel & SEL_OVERRUN)
		cq->ignore_overrun = mlx5_get(ctx, MLX5_CQC_OI);
	if (eq) {
		cq->eq->obj.refs--;
		eq->obj.refs++;
		cq->eq = eq;
	}
	pthread_mutex_unlock(&cq->lock);
	return NIC_OK;
}

/* The old ring ends with a mark; from the next index on entries go to the new one. */
static uint8_t switch_locked(struct nic_cmd *c, struct nic_cq *cq, struct nic_buf *buf,
			     const uint8_t *ctx)
{
	uint8_t log_size = (uint8_t)mlx5_get(ctx, MLX5_CQC_LOG_CQ_SIZE);
	struct nic_buf old = cq->buf;

	if (nic_cq_used(cq) + 1 > 1u << log_size)
		return nic_fail(c, NIC_BAD_PARAM, SYN_CQ_OVERFULL);
	if (nic_cq_mark_resize(cq))
		return nic_fail(c, NIC_INT_ERR, SYN_PAGE_LIST);
	cq->buf = *buf;
	cq->log_size = log_size;
	cq->log_cqe = (uint8_t)log_cqe(ctx);
	cq->cqe_sz = (uint8_t)mlx5_get(ctx, MLX5_CQC_CQE_SZ);
	*buf = old;
	return NIC_OK;
}

static uint8_t resize(struct nic_cmd *c, struct nic_cq *cq, const uint8_t *ctx)
{
	struct nic_ring_src src;
	struct nic_buf buf;
	uint8_t st = check(c, ctx);

	if (st)
		return st;
	ring_src(c, ctx, mlx5_get(c->in, MLX5_MODIFY_CQ_IN_CQ_UMEM_VALID), &src);
	st = nic_ring_init(c, &src, &buf);
	if (st)
		return st;
	pthread_mutex_lock(&cq->lock);
	st = switch_locked(c, cq, &buf, ctx);
	pthread_mutex_unlock(&cq->lock);
	/* The ring that is no longer in use, whichever that is. */
	nic_buf_fini(&buf);
	return st;
}

uint8_t nic_cmd_modify_cq(struct nic_cmd *c)
{
	const uint8_t *ctx = c->in + MLX5_MODIFY_CQ_IN_CQC_OFF;
	struct nic_cq *cq =
		(struct nic_cq *)nic_cmd_find(c, NIC_T_CQ, (uint32_t)mlx5_get(c->in, MLX5_IN_ID));

	if (!cq)
		return NIC_BAD_RES;
	if (c->op_mod == OP_MODIFY)
		return modify(c, cq, ctx);
	return c->op_mod == OP_RESIZE ? resize(c, cq, ctx) : nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
}
