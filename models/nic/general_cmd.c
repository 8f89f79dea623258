// SPDX-License-Identifier: MIT
/*
 * General objects: those that have no command of their own, told apart by a type. Source: RC
 * mlx5_ifc.h (general_obj_in_cmd_hdr, av_qp_mapping), mlx5.c (reserved numbers).
 */
#include "hw/mlx5_cmd.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/syndrome.h"

#define OBJ_OFF 0x10 /* of the object in CREATE_GENERAL_OBJECT */

struct nic_general {
	struct nic_obj obj;
	uint16_t kind;
	uint32_t number; /* what the guest calls it */
};

static uint16_t kind_of(const struct nic_cmd *c)
{
	return (uint16_t)mlx5_get(c->in, MLX5_GENERAL_IN_OBJ_TYPE);
}

/* A number of the queue pairs which no queue pair gets: it names a connection made elsewhere. */
static uint8_t reserve_qpn(struct nic_cmd *c, struct nic_general *g)
{
	if (mlx5_get(c->in, MLX5_GENERAL_IN_LOG_OBJ_RANGE))
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	if (nic_table_reserve(&c->nic->table[NIC_T_QP], &g->number))
		return nic_fail(c, NIC_LIM_ERR, SYN_TABLE_FULL);
	return NIC_OK;
}

/*
 * Tells congestion control which addresses share a queue pair's state. There is no congestion, so
 * nothing refers to the queue pair, which may be another's and go before.
 */
static uint8_t map_av(struct nic_cmd *c, struct nic_general *g)
{
	uint32_t qpn = (uint32_t)mlx5_get(c->in + OBJ_OFF, MLX5_AV_QP_MAPPING_QPN);

	if (c->in_len < OBJ_OFF + MLX5_AV_QP_MAPPING_SIZE)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_IN_LEN);
	if (!nic_find_qp(c->nic, qpn))
		return nic_fail(c, NIC_BAD_RES, SYN_NO_OBJECT + NIC_T_QP);
	g->number = g->obj.id;
	return NIC_OK;
}

uint8_t nic_cmd_create_general(struct nic_cmd *c)
{
	struct nic_general *g;
	uint8_t st = nic_obj_new(c, NIC_T_GENERAL, sizeof(*g), 0, &g);

	if (st)
		return st;
	g->kind = kind_of(c);
	if (g->kind == MLX5_OBJ_TYPE_RESERVED_QPN)
		st = reserve_qpn(c, g);
	else if (g->kind == MLX5_OBJ_TYPE_AV_QP_MAPPING)
		st = map_av(c, g);
	else
		st = nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	if (st) {
		nic_obj_drop(c->nic, g);
		return st;
	}
	nic_table_publish(&c->nic->table[NIC_T_GENERAL], &g->obj);
	mlx5_set(c->out, MLX5_GENERAL_OUT_OBJ_ID, g->number);
	return NIC_OK;
}

static struct nic_general *find(struct nic_cmd *c)
{
	const struct nic_table *t = &c->nic->table[NIC_T_GENERAL];
	uint32_t number = (uint32_t)mlx5_get(c->in, MLX5_GENERAL_IN_OBJ_ID), i, seen;
	struct nic_general *g;

	for (i = 0, seen = 0; i < t->cap && seen < t->used; i++) {
		g = (struct nic_general *)t->own[i];
		if (!g)
			continue;
		seen++;
		if (g->kind == kind_of(c) && g->number == number)
			return g;
	}
	c->syndrome = SYN_NO_OBJECT + NIC_T_GENERAL;
	return NULL;
}

void nic_general_free(struct nic *nic, struct nic_general *g)
{
	if (g->kind == MLX5_OBJ_TYPE_RESERVED_QPN)
		nic_table_release(&nic->table[NIC_T_QP], g->number);
	nic_obj_drop(nic, g);
}

uint8_t nic_cmd_destroy_general(struct nic_cmd *c)
{
	struct nic_general *g = find(c);

	if (!g)
		return NIC_BAD_RES;
	if (c->uid && g->obj.uid != c->uid)
		return nic_fail(c, NIC_BAD_RES, SYN_NOT_OWNER + NIC_T_GENERAL);
	nic_table_hide(&c->nic->table[NIC_T_GENERAL], &g->obj);
	nic_general_free(c->nic, g);
	return NIC_OK;
}
