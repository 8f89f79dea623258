// SPDX-License-Identifier: MIT
/* Commands of bring-up and tear-down, and the tear-down itself. */
#include <json-c/json.h>

#include "hw/mlx5_cmd.h"
#include "models/nic/caps.h"
#include "models/nic/cmdq.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/life.h"
#include "models/nic/memic.h"
#include "models/nic/newobj.h"
#include "models/nic/pages.h"
#include "models/nic/syndrome.h"

static uint8_t own_function(struct nic_cmd *c)
{
	if (mlx5_get(c->in, MLX5_ENABLE_HCA_IN_FUNCTION_ID))
		return nic_fail(c, NIC_BAD_PARAM, SYN_FUNCTION);
	return NIC_OK;
}

uint8_t nic_cmd_enable_hca(struct nic_cmd *c)
{
	uint8_t st = own_function(c);

	if (st)
		return st;
	if (atomic_load(&c->nic->hca_state) != NIC_HCA_OFF)
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	atomic_store(&c->nic->hca_state, NIC_HCA_ENABLED);
	return NIC_OK;
}

uint8_t nic_cmd_disable_hca(struct nic_cmd *c)
{
	uint8_t st = own_function(c);

	if (st)
		return st;
	if (atomic_load(&c->nic->hca_state) != NIC_HCA_ENABLED)
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	nic_caps_reset(c->nic);
	nic_pages_reset(c->nic);
	atomic_store(&c->nic->hca_state, NIC_HCA_OFF);
	return NIC_OK;
}

uint8_t nic_cmd_init_hca(struct nic_cmd *c)
{
	if (atomic_load(&c->nic->hca_state) != NIC_HCA_ENABLED)
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	atomic_store(&c->nic->hca_state, NIC_HCA_INIT);
	nic_port_update(c->nic);
	return NIC_OK;
}

/* Profiles: 0 graceful, 1 force, 2 fast: all free what is left. */
uint8_t nic_cmd_teardown_hca(struct nic_cmd *c)
{
	if (mlx5_get(c->in, MLX5_TEARDOWN_HCA_IN_PROFILE) > 2)
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	if (atomic_load(&c->nic->hca_state) != NIC_HCA_INIT)
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	nic_free_objects(c->nic);
	atomic_store(&c->nic->hca_state, NIC_HCA_ENABLED);
	nic_port_update(c->nic);
	return NIC_OK;
}

/* Interface step 1 is the only one offered beside 0. */
uint8_t nic_cmd_query_issi(struct nic_cmd *c)
{
	mlx5_set(c->out, MLX5_QUERY_ISSI_OUT_CURRENT_ISSI, nic_caps_issi(c->nic));
	mlx5_set(c->out, MLX5_QUERY_ISSI_OUT_SUPPORTED_ISSI_DW0, 1u << 1 | 1u << 0);
	return NIC_OK;
}

uint8_t nic_cmd_set_issi(struct nic_cmd *c)
{
	uint32_t issi = (uint32_t)mlx5_get(c->in, MLX5_SET_ISSI_IN_CURRENT_ISSI);

	if (issi > 1)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	nic_caps_set_issi(c->nic, (uint8_t)issi);
	return NIC_OK;
}

uint8_t nic_cmd_query_adapter(struct nic_cmd *c)
{
	static const char psid[16] = "PDMA000000001";

	mlx5_set32(c->out, 0x10 + 0x18, 0x02c9);
	mlx5_set32(c->out, 0x10 + 0x1c, 0x15b3);
	memcpy(c->out + 0x10 + 0xf0, psid, sizeof(psid));
	return NIC_OK;
}

uint8_t nic_cmd_nop(struct nic_cmd *c)
{
	return NIC_OK;
}

static void put(struct nic_cmd *c, mlx5_field f, uint32_t key)
{
	if (mlx5_field_off(f) + 4 <= c->out_len)
		mlx5_set(c->out, f, key);
}

uint8_t nic_cmd_query_special_contexts(struct nic_cmd *c)
{
	put(c, MLX5_QUERY_SPECIAL_CONTEXTS_OUT_DUMP_FILL_MKEY, NIC_KEY_DUMP_FILL);
	put(c, MLX5_QUERY_SPECIAL_CONTEXTS_OUT_RESD_LKEY, NIC_KEY_RESERVED_LKEY);
	put(c, MLX5_QUERY_SPECIAL_CONTEXTS_OUT_NULL_MKEY, NIC_KEY_NULL);
	put(c, MLX5_QUERY_SPECIAL_CONTEXTS_OUT_TERMINATE_SCATTER_LIST_MKEY, NIC_KEY_TERMINATE);
	return NIC_OK;
}

#define RESUME_ERROR MLX5_F(0x08, 31, 31)
#define RESUME_TOKEN MLX5_F(0x0c, 31, 0)

/* Faults are told in the memory scheme only (odp.c), so the token says all. */
uint8_t nic_cmd_page_fault_resume(struct nic_cmd *c)
{
	if (c->op_mod)
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	nic_epoch_enter(&c->nic->cmd_epoch);
	nic_fault_resume_mkey(c->nic, (uint32_t)mlx5_get(c->in, RESUME_TOKEN),
			      mlx5_get(c->in, RESUME_ERROR));
	nic_epoch_leave(&c->nic->cmd_epoch);
	return NIC_OK;
}

/* ---- tear-down ---- */

static void hide_all(struct nic_table *t)
{
	uint32_t i, left = t->used;

	for (i = 0; i < t->cap && left; i++) {
		if (!t->own[i])
			continue;
		nic_table_hide(t, t->own[i]);
		left--;
	}
}

static void free_all(struct nic *nic, struct nic_table *t)
{
	uint32_t i;

	for (i = 0; i < t->cap && t->used; i++)
		if (t->own[i])
			nic_object_free(nic, t->own[i]);
}

/* Users before what they use. */
static const uint8_t free_order[] = {
	NIC_T_GENERAL, NIC_T_QP,      NIC_T_SRQ, NIC_T_CQ,   NIC_T_EQ,	  NIC_T_MKEY,
	NIC_T_PSV,     NIC_T_COUNTER, NIC_T_TIR, NIC_T_TIS,  NIC_T_MEMIC, NIC_T_XRCD,
	NIC_T_TD,      NIC_T_PD,      NIC_T_UAR, NIC_T_UMEM, NIC_T_UCTX,
};

void nic_free_objects(struct nic *nic)
{
	unsigned i;

	for (i = 0; i < NIC_EV_MAX; i++)
		atomic_store(&nic->event_eq[i], NULL);
	atomic_store(&nic->special[0], NULL);
	atomic_store(&nic->special[1], NULL);
	for (i = 0; i < sizeof(free_order); i++)
		hide_all(&nic->table[free_order[i]]);
	nic_net_detach_all(nic, 0xffffff);
	nic_cable_flush(nic);
	nic_epoch_sync();
	for (i = 0; i < sizeof(free_order); i++)
		free_all(nic, &nic->table[free_order[i]]);
	for (i = 0; i < NIC_MEMIC_SIZE / NIC_MEMIC_PAGE; i++)
		atomic_store(&nic->memic_ops[i], 0);
	memset(nic->memic, 0, NIC_MEMIC_SIZE);
}

void nic_tear_down(struct nic *nic)
{
	uint32_t seen = atomic_load(&nic->resets);

	atomic_store(&nic->hca_state, NIC_HCA_OFF);
	nic_cmdq_forget(nic);
	nic_free_objects(nic);
	nic_caps_reset(nic);
	nic_pages_reset(nic);
	atomic_store(&nic->port_events, 0);
	nic_port_update(nic);
	atomic_store(&nic->resets_done, seen);
}

int nic_life_init(struct nic *nic)
{
	int r = nic_caps_init(nic);

	return r ? r : nic_pages_init(nic);
}

void nic_life_fini(struct nic *nic)
{
	nic_caps_fini(nic);
	nic_pages_fini(nic);
}

/* ---- what the control socket sees ---- */

void nic_snapshot(struct mdl_device *dev, struct json_object *obj)
{
	static const char *const names[NIC_T_COUNT] = {
		"pd",  "td",	"uar",	"xrcd", "mkey",	   "eq",  "cq",	 "srq",	   "qp",
		"psv", "memic", "uctx", "umem", "counter", "tir", "tis", "general"
	};
	static const char *const states[] = { "off", "enabled", "init" };
	struct nic *nic = nic_of(dev);
	struct json_object *n = json_object_new_object();
	unsigned i;

	for (i = 0; i < NIC_T_COUNT; i++)
		json_object_object_add(n, names[i], json_object_new_int64(nic->table[i].used));
	json_object_object_add(obj, "objects", n);
	json_object_object_add(obj, "hca",
			       json_object_new_string(states[atomic_load(&nic->hca_state) % 3]));
	json_object_object_add(obj, "lid", json_object_new_int(atomic_load(&nic->port.lid)));
	json_object_object_add(obj, "port_state",
			       json_object_new_int(atomic_load(&nic->port.state)));
}
