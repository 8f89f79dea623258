// SPDX-License-Identifier: MIT
#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/ring.h"
#include "models/nic/syndrome.h"

#define PAS_OFF	   272
#define MAX_LOG_EQ 22
#define ST_ARMED   0x9
#define ST_FIRED   0xa

static uint8_t check(struct nic_cmd *c, const uint8_t *ctx)
{
	if (mlx5_get(ctx, MLX5_EQC_LOG_EQ_SIZE) > MAX_LOG_EQ)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	if (mlx5_get(ctx, MLX5_EQC_INTR) >= NIC_VECTORS)
		return nic_fail(c, NIC_BAD_PARAM, SYN_VECTOR);
	return nic_cmd_find(c, NIC_T_UAR, (uint32_t)mlx5_get(ctx, MLX5_EQC_UAR_PAGE)) ? NIC_OK :
											NIC_BAD_RES;
}

/* Bits as four quads, first the one of events 0-63. */
static uint8_t read_mask(struct nic_cmd *c, uint64_t mask[4])
{
	unsigned i;

	for (i = 0; i < 4; i++)
		mask[i] = mlx5_get64(c->in, MLX5_CREATE_EQ_IN_EVENT_BITMASK_OFF + i * 8);
	for (i = 0; i < NIC_EV_MAX; i++)
		if (mask[i / 64] >> (i % 64) & 1 && atomic_load(&c->nic->event_eq[i]))
			return nic_fail(c, NIC_BAD_PARAM, SYN_EVENT);
	return NIC_OK;
}

static void subscribe(struct nic_eq *eq, bool on)
{
	unsigned i;

	for (i = 0; i < NIC_EV_MAX; i++)
		if (eq->mask[i / 64] >> (i % 64) & 1)
			atomic_store(&eq->nic->event_eq[i], on ? eq : NULL);
}

static void fill_from(struct nic_eq *eq, struct nic_cmd *c, const uint8_t *ctx)
{
	eq->nic = c->nic;
	eq->dma = c->dma;
	eq->log_size = (uint8_t)mlx5_get(ctx, MLX5_EQC_LOG_EQ_SIZE);
	eq->vector = (uint8_t)mlx5_get(ctx, MLX5_EQC_INTR);
	eq->uar = (uint32_t)mlx5_get(ctx, MLX5_EQC_UAR_PAGE);
	pthread_mutex_init(&eq->lock, NULL);
}

uint8_t nic_cmd_create_eq(struct nic_cmd *c)
{
	const uint8_t *ctx = c->in + MLX5_CREATE_EQ_IN_EQC_OFF;
	struct nic_ring_src src = { .pas_off = PAS_OFF };
	uint64_t mask[4];
	struct nic_buf buf;
	struct nic_eq *eq;
	uint8_t st;

	st = check(c, ctx);
	if (!st)
		st = read_mask(c, mask);
	if (st)
		return st;
	src.log_page = (unsigned)mlx5_get(ctx, MLX5_EQC_LOG_PAGE_SIZE);
	src.page_offset = (unsigned)mlx5_get(ctx, MLX5_EQC_PAGE_OFFSET);
	src.size = 64ull << mlx5_get(ctx, MLX5_EQC_LOG_EQ_SIZE);
	st = nic_ring_init(c, &src, &buf);
	if (st)
		return st;
	st = nic_obj_new(c, NIC_T_EQ, sizeof(*eq), buf.n_pages * 8ull, &eq);
	if (st) {
		nic_buf_fini(&buf);
		return st;
	}
	fill_from(eq, c, ctx);
	eq->buf = buf;
	memcpy(eq->mask, mask, sizeof(mask));
	nic_table_publish(&c->nic->table[NIC_T_EQ], &eq->obj);
	subscribe(eq, true);
	mlx5_set(c->out, MLX5_CREATE_EQ_OUT_EQ_NUMBER, eq->obj.id);
	return NIC_OK;
}

void nic_eq_free(struct nic *nic, struct nic_eq *eq)
{
	pthread_mutex_destroy(&eq->lock);
	nic_buf_fini(&eq->buf);
	nic_obj_drop(nic, eq);
}

uint8_t nic_cmd_destroy_eq(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_eq *eq = nic_obj_for_destroy(c, NIC_T_EQ, &st);

	if (!eq)
		return st;
	subscribe(eq, false);
	nic_obj_unlink(c->nic, eq);
	nic_eq_free(c->nic, eq);
	return NIC_OK;
}

uint8_t nic_cmd_query_eq(struct nic_cmd *c)
{
	uint8_t *ctx = c->out + MLX5_QUERY_EQ_OUT_EQC_OFF;
	struct nic_eq *eq =
		(struct nic_eq *)nic_cmd_find(c, NIC_T_EQ, (uint32_t)mlx5_get(c->in, MLX5_IN_ID));

	if (!eq)
		return NIC_BAD_RES;
	pthread_mutex_lock(&eq->lock);
	mlx5_set(ctx, MLX5_EQC_ST, eq->armed ? ST_ARMED : ST_FIRED);
	mlx5_set(ctx, MLX5_EQC_LOG_EQ_SIZE, eq->log_size);
	mlx5_set(ctx, MLX5_EQC_UAR_PAGE, eq->uar);
	mlx5_set(ctx, MLX5_EQC_INTR, eq->vector);
	mlx5_set(ctx, MLX5_EQC_LOG_PAGE_SIZE, eq->buf.shift - 12);
	mlx5_set(ctx, MLX5_EQC_CONSUMER_COUNTER, eq->ci);
	mlx5_set(ctx, MLX5_EQC_PRODUCER_COUNTER, eq->pi);
	pthread_mutex_unlock(&eq->lock);
	mlx5_set64(c->out, 0x58, eq->mask[0]);
	return NIC_OK;
}

uint8_t nic_cmd_gen_eqe(struct nic_cmd *c)
{
	uint32_t eqn = (uint32_t)mlx5_get(c->in, MLX5_GEN_EQE_IN_EQ_NUMBER);
	struct nic_eq *eq = (struct nic_eq *)nic_cmd_find(c, NIC_T_EQ, eqn);
	const uint8_t *e = c->in + 0x10;

	if (!eq)
		return NIC_BAD_RES;
	nic_eq_post(eq, e[1], e[3], e + 0x20);
	return NIC_OK;
}
