// SPDX-License-Identifier: MIT
/* From an opcode to its handler: the checks every command has in common. */
#include "models/nic/cmd.h"

#include "hw/mlx5_cmd.h"
#include "models/nic/cmdq.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

#define UID_SHARED 0xffff

static const struct nic_cmd_row *find_row(uint16_t opcode)
{
	unsigned lo = 0, hi = nic_n_cmd_rows, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (nic_cmd_rows[mid].opcode == opcode)
			return &nic_cmd_rows[mid];
		if (nic_cmd_rows[mid].opcode < opcode)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool state_allows(const struct nic *nic, uint8_t when)
{
	uint8_t st = atomic_load(&nic->hca_state);

	return when == NIC_W_ANY || (when == NIC_W_ENABLED && st != NIC_HCA_OFF) ||
	       (when == NIC_W_INIT && st == NIC_HCA_INIT);
}

static uint8_t check_uid(struct nic_cmd *c, const struct nic_cmd_row *row)
{
	if (!c->uid)
		return NIC_OK;
	if (!(row->flags & NIC_CF_USER))
		return nic_fail(c, NIC_BAD_PARAM, SYN_UID_FORBIDDEN);
	if (!nic_table_find(&c->nic->table[NIC_T_UCTX], c->uid))
		return nic_fail(c, NIC_BAD_RES, SYN_UID_UNKNOWN);
	return NIC_OK;
}

static uint8_t dispatch(struct nic_cmd *c, const struct nic_cmd_row **ret_row)
{
	struct mdl_fault_hit hit;
	uint8_t st;

	*ret_row = find_row(c->opcode);
	if (!*ret_row)
		return nic_fail(c, NIC_BAD_OP, SYN_OPCODE);
	if (!state_allows(c->nic, (*ret_row)->when))
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	if (c->in_len < (*ret_row)->in_min)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_IN_LEN);
	if (c->out_len < (*ret_row)->out_min)
		return nic_fail(c, NIC_BAD_OUTP_LEN, SYN_OUT_LEN);
	st = check_uid(c, *ret_row);
	if (st)
		return st;
	if (mdl_fault(c->nic->dev, NIC_F_CMD, &hit) && hit.action == MDL_FAULT_ERROR)
		return nic_fail(c, NIC_INT_ERR, SYN_INJECTED);
	return (*ret_row)->fn(c);
}

static void log_failure(struct nic_cmd *c, const struct nic_cmd_row *row, uint8_t status)
{
	mdl_count(c->nic->dev, NIC_C_COMMANDS_FAILED);
	mdl_log(c->nic->dev, MDL_INFO, "command %s (0x%x, mod 0x%x, uid %u): status 0x%x: 0x%x %s",
		row ? row->name : "unknown", c->opcode, c->op_mod, c->uid, status, c->syndrome,
		nic_syndrome_text(c->syndrome));
}

void nic_cmd_execute(struct nic_cmd *c)
{
	const struct nic_cmd_row *row;
	uint8_t status;

	c->opcode = (uint16_t)mlx5_get(c->in, MLX5_IN_OPCODE);
	c->uid = (uint16_t)mlx5_get(c->in, MLX5_IN_UID);
	/* The kernel marks so what it makes for all user contexts. */
	if (c->uid == UID_SHARED)
		c->uid = 0;
	c->op_mod = (uint16_t)mlx5_get(c->in, MLX5_IN_OP_MOD);
	status = dispatch(c, &row);
	mdl_log(c->nic->dev, MDL_DEBUG, "command %s mod 0x%x in %u out %u: 0x%x",
		row ? row->name : "unknown", c->op_mod, c->in_len, c->out_len, status);
	if (status) {
		memset(c->out, 0, c->out_len);
		log_failure(c, row, status);
	}
	mlx5_set32(c->out, 0, (uint32_t)status << 24);
	mlx5_set32(c->out, 4, status ? c->syndrome : 0);
}

/* What the kernel makes for all: its drivers hand these to user contexts. */
static bool is_shared(enum nic_type type)
{
	return type == NIC_T_UAR || type == NIC_T_XRCD || type == NIC_T_TD || type == NIC_T_EQ;
}

struct nic_obj *nic_cmd_find(struct nic_cmd *c, enum nic_type type, uint32_t id)
{
	struct nic_obj *o = nic_table_find(&c->nic->table[type], id);

	if (!o) {
		c->syndrome = SYN_NO_OBJECT + type;
		return NULL;
	}
	if (c->uid && o->uid != c->uid && (o->uid || !is_shared(type))) {
		c->syndrome = SYN_NOT_OWNER + type;
		return NULL;
	}
	return o;
}
