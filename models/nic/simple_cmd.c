// SPDX-License-Identifier: MIT
/* Objects that are hardly more than a number: PD, UAR, XRCD, transport domain, PSV, context. */
#include "hw/mlx5_cmd.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/syndrome.h"

static uint8_t alloc(struct nic_cmd *c, enum nic_type type)
{
	struct nic_obj *o;
	uint8_t st = nic_obj_new(c, type, sizeof(*o), 0, &o);

	if (st)
		return st;
	nic_table_publish(&c->nic->table[type], o);
	mlx5_set(c->out, MLX5_OUT_ID, o->id);
	return NIC_OK;
}

static uint8_t dealloc(struct nic_cmd *c, enum nic_type type)
{
	uint8_t st;
	struct nic_obj *o = nic_obj_for_destroy(c, type, &st);

	if (!o)
		return st;
	/* No worker keeps such an object, so there is nothing to wait for. */
	nic_table_hide(&c->nic->table[type], o);
	nic_obj_drop(c->nic, o);
	return NIC_OK;
}

uint8_t nic_cmd_alloc_pd(struct nic_cmd *c)
{
	return alloc(c, NIC_T_PD);
}

uint8_t nic_cmd_dealloc_pd(struct nic_cmd *c)
{
	return dealloc(c, NIC_T_PD);
}

uint8_t nic_cmd_alloc_uar(struct nic_cmd *c)
{
	return alloc(c, NIC_T_UAR);
}

uint8_t nic_cmd_dealloc_uar(struct nic_cmd *c)
{
	return dealloc(c, NIC_T_UAR);
}

uint8_t nic_cmd_alloc_xrcd(struct nic_cmd *c)
{
	return alloc(c, NIC_T_XRCD);
}

uint8_t nic_cmd_dealloc_xrcd(struct nic_cmd *c)
{
	return dealloc(c, NIC_T_XRCD);
}

uint8_t nic_cmd_alloc_td(struct nic_cmd *c)
{
	return alloc(c, NIC_T_TD);
}

uint8_t nic_cmd_dealloc_td(struct nic_cmd *c)
{
	return dealloc(c, NIC_T_TD);
}

/* States of signatures: nothing but numbers, for keys keep what they need themselves (sig.c). */
uint8_t nic_cmd_create_psv(struct nic_cmd *c)
{
	uint32_t n = (uint32_t)mlx5_get(c->in, MLX5_CREATE_PSV_IN_NUM_PSV), i;
	struct nic_obj *o[4];
	uint8_t st = NIC_OK;

	if (n < 1 || n > 4)
		return nic_fail(c, NIC_BAD_PARAM, SYN_QUEUE_SIZE);
	if (!nic_cmd_find(c, NIC_T_PD, (uint32_t)mlx5_get(c->in, MLX5_CREATE_PSV_IN_PD)))
		return NIC_BAD_RES;
	for (i = 0; i < n && !st; i++)
		st = nic_obj_new(c, NIC_T_PSV, sizeof(*o[i]), 0, &o[i]);
	if (st) {
		for (i--; i > 0; i--)
			nic_obj_drop(c->nic, o[i - 1]);
		return st;
	}
	for (i = 0; i < n; i++) {
		nic_table_publish(&c->nic->table[NIC_T_PSV], o[i]);
		mlx5_set32(c->out, 0x10 + i * 4, o[i]->id);
	}
	return NIC_OK;
}

uint8_t nic_cmd_destroy_psv(struct nic_cmd *c)
{
	return dealloc(c, NIC_T_PSV);
}

uint8_t nic_cmd_create_uctx(struct nic_cmd *c)
{
	return alloc(c, NIC_T_UCTX);
}

static bool owns_something(const struct nic *nic, uint16_t uid)
{
	const struct nic_table *t;
	const struct nic_obj *o;
	uint32_t i, seen;
	unsigned type;

	for (type = 0; type < NIC_T_COUNT; type++) {
		t = &nic->table[type];
		for (i = 0, seen = 0; i < t->cap && seen < t->used; i++) {
			o = nic_table_find(t, t->base + i);
			if (o && o->uid == uid)
				return true;
			seen += o != NULL;
		}
	}
	return false;
}

/* Number and object of a user context are the same. */
uint8_t nic_cmd_destroy_uctx(struct nic_cmd *c)
{
	uint16_t uid = (uint16_t)mlx5_get(c->in, MLX5_IN_ID);

	if (owns_something(c->nic, uid))
		return nic_fail(c, NIC_RES_BUSY, SYN_BUSY);
	return dealloc(c, NIC_T_UCTX);
}
