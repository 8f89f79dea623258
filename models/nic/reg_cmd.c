// SPDX-License-Identifier: MIT
/* ACCESS_REG: the few registers an InfiniBand port needs. */
#include "hw/mlx5_cmd.h"
#include "hw/mlx5_reg.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

#define DATA_OFF   16
#define OP_WRITE   0
#define OP_READ	   1
#define PROTO_IB   1
#define WIDTH_4X   (1u << 1)
#define WIDTHS	   (1u << 0 | WIDTH_4X)
#define SPEED_HDR  (1u << 6)
#define SPEEDS	   0x7f
#define MTU_BYTES  4096
#define VLS	   4 /* code: VL0-VL7 */
#define GROUP_IB   0x20
#define OPER_UP	   1
#define OPER_DOWN  2
#define ADMIN_UP   1
#define ADMIN_DOWN 2

struct reg {
	uint16_t id, size;
	bool writable;
	uint8_t (*fn)(struct nic_cmd *c, const uint8_t *in, uint8_t *out);
};

static uint8_t own_port(struct nic_cmd *c, const uint8_t *in)
{
	return mlx5_get(in, MLX5_PTYS_LOCAL_PORT) > 1 ? nic_fail(c, NIC_BAD_PARAM, SYN_PORT) :
							NIC_OK;
}

/* Accepted and without effect: the model is as fast as the host. */
static uint8_t ptys(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	mlx5_set(out, MLX5_PTYS_LOCAL_PORT, 1);
	mlx5_set(out, MLX5_PTYS_PROTO_MASK, PROTO_IB);
	mlx5_set(out, MLX5_PTYS_IB_LINK_WIDTH_CAPABILITY, WIDTHS);
	mlx5_set(out, MLX5_PTYS_IB_PROTO_CAPABILITY, SPEEDS);
	mlx5_set(out, MLX5_PTYS_IB_LINK_WIDTH_ADMIN, WIDTHS);
	mlx5_set(out, MLX5_PTYS_IB_PROTO_ADMIN, SPEEDS);
	mlx5_set(out, MLX5_PTYS_IB_LINK_WIDTH_OPER, WIDTH_4X);
	mlx5_set(out, MLX5_PTYS_IB_PROTO_OPER, SPEED_HDR);
	return own_port(c, in);
}

static uint8_t pmtu(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	mlx5_set(out, MLX5_PMTU_LOCAL_PORT, 1);
	mlx5_set(out, MLX5_PMTU_MAX_MTU, MTU_BYTES);
	mlx5_set(out, MLX5_PMTU_ADMIN_MTU, MTU_BYTES);
	mlx5_set(out, MLX5_PMTU_OPER_MTU, MTU_BYTES);
	return own_port(c, in);
}

static uint8_t pvlc(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	mlx5_set(out, MLX5_PVLC_LOCAL_PORT, 1);
	mlx5_set(out, MLX5_PVLC_VL_HW_CAP, VLS);
	mlx5_set(out, MLX5_PVLC_VL_ADMIN, VLS);
	mlx5_set(out, MLX5_PVLC_VL_OPERATIONAL, VLS);
	return own_port(c, in);
}

/* Only "up" and "down" can be asked for; which changes are told of is fixed. */
static uint8_t paos_set(struct nic_cmd *c, const uint8_t *in)
{
	uint32_t admin = (uint32_t)mlx5_get(in, MLX5_PAOS_ADMIN_STATUS);

	if (!mlx5_get(in, MLX5_PAOS_ASE))
		return NIC_OK;
	if (admin != ADMIN_UP && admin != ADMIN_DOWN)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	atomic_store(&c->nic->port.admin_down, admin == ADMIN_DOWN);
	nic_port_update(c->nic);
	return NIC_OK;
}

static uint8_t paos(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	struct nic_port *p = &c->nic->port;
	uint8_t st = own_port(c, in);
	bool up;

	if (!st && c->op_mod == OP_WRITE)
		st = paos_set(c, in);
	up = atomic_load(&p->state) == NIC_PS_ACTIVE;
	mlx5_set(out, MLX5_PAOS_LOCAL_PORT, 1);
	mlx5_set(out, MLX5_PAOS_ADMIN_STATUS, atomic_load(&p->admin_down) ? ADMIN_DOWN : ADMIN_UP);
	mlx5_set(out, MLX5_PAOS_OPER_STATUS, up ? OPER_UP : OPER_DOWN);
	return st;
}

static uint64_t capped(const struct nic_port *p, enum nic_port_count i, mlx5_field f)
{
	uint64_t v = atomic_load(&p->count[i]), max = mlx5_field_mask(f);

	return v < max ? v : max;
}

static uint8_t ppcnt(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	static const struct {
		mlx5_field f;
		uint8_t count;
	} shown[] = {
		{ MLX5_PPCNT_IB_SYMBOL_ERROR_COUNTER, NIC_PC_SYMBOL_ERR },
		{ MLX5_PPCNT_IB_LINK_ERROR_RECOVERY_COUNTER, NIC_PC_LINK_RECOVERY },
		{ MLX5_PPCNT_IB_LINK_DOWNED_COUNTER, NIC_PC_LINK_DOWNED },
		{ MLX5_PPCNT_IB_PORT_RCV_ERRORS, NIC_PC_RCV_ERR },
		{ MLX5_PPCNT_IB_PORT_XMIT_DISCARDS, NIC_PC_XMIT_DISCARD },
		{ MLX5_PPCNT_IB_VL_15_DROPPED, NIC_PC_VL15_DROPPED },
		{ MLX5_PPCNT_IB_PORT_XMIT_WAIT, NIC_PC_XMIT_WAIT },
	};
	struct nic_port *p = &c->nic->port;
	size_t i;

	memcpy(out, in, 8);
	if (mlx5_get(in, MLX5_PPCNT_GRP) != GROUP_IB)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		mlx5_set(out + 8, shown[i].f,
			 capped(p, (enum nic_port_count)shown[i].count, shown[i].f));
	return own_port(c, in);
}

/* 64 bytes of text the driver may set. */
static uint8_t node_desc(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	if (c->op_mod == OP_WRITE)
		nic_port_set_desc(c->nic, in);
	nic_port_get_desc(c->nic, out);
	return NIC_OK;
}

static uint8_t host_endianness(struct nic_cmd *c, const uint8_t *in, uint8_t *out)
{
	memcpy(out, in, 16);
	/* Little-endian hosts only. */
	return in[0] & 1 ? nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT) : NIC_OK;
}

static const struct reg regs[] = {
	{ MLX5_REG_PMTU, 16, true, pmtu },
	{ MLX5_REG_PTYS, 64, true, ptys },
	{ MLX5_REG_PAOS, 16, true, paos },
	{ MLX5_REG_PPCNT, 256, false, ppcnt },
	{ MLX5_REG_PVLC, 16, true, pvlc },
	{ MLX5_REG_NODE_DESC, 64, true, node_desc },
	{ MLX5_REG_HOST_ENDIANNESS, 16, true, host_endianness },
};

uint8_t nic_cmd_access_reg(struct nic_cmd *c)
{
	uint32_t id = (uint32_t)mlx5_get(c->in, MLX5_ACCESS_REGISTER_IN_REGISTER_ID);
	const struct reg *r = NULL;
	size_t i;

	for (i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		if (regs[i].id == id)
			r = &regs[i];
	if (!r)
		return nic_fail(c, NIC_BAD_PARAM, SYN_REGISTER);
	if (c->op_mod > OP_READ || (c->op_mod == OP_WRITE && !r->writable))
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	if (c->in_len - DATA_OFF < r->size)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_IN_LEN);
	if (c->out_len - DATA_OFF < r->size)
		return nic_fail(c, NIC_BAD_OUTP_LEN, SYN_OUT_LEN);
	return r->fn(c, c->in + DATA_OFF, c->out + DATA_OFF);
}
