// SPDX-License-Identifier: MIT
/* The port as commands show it: virtual port, management datagrams, multicast. */
#include <errno.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

#define ALL_INDICES	   0xffffu
#define TABLE_OFF	   16u /* of GIDs or partition keys in an answer */
#define SPEED_UNIT_100MBPS 1000

static uint8_t own_port(struct nic_cmd *c)
{
	uint64_t port = mlx5_get(c->in, MLX5_QUERY_HCA_VPORT_CONTEXT_IN_PORT_NUM);

	if (mlx5_get(c->in, MLX5_QUERY_HCA_VPORT_CONTEXT_IN_OTHER_VPORT) || port > 1)
		return nic_fail(c, NIC_BAD_PARAM, SYN_PORT);
	return NIC_OK;
}

uint8_t nic_cmd_query_vport_state(struct nic_cmd *c)
{
	bool up = atomic_load(&c->nic->port.state) == NIC_PS_ACTIVE;

	mlx5_set(c->out, MLX5_QUERY_VPORT_STATE_OUT_MAX_TX_SPEED, SPEED_UNIT_100MBPS);
	mlx5_set(c->out, MLX5_QUERY_VPORT_STATE_OUT_ADMIN_STATE, 2); /* follow the port */
	mlx5_set(c->out, MLX5_QUERY_VPORT_STATE_OUT_STATE, up);
	return NIC_OK;
}

static void show_state(const struct nic_port *p, uint8_t *x)
{
	uint8_t state = atomic_load(&p->state);

	mlx5_set(x, MLX5_VPORT_PORT_PHYSICAL_STATE, atomic_load(&p->phys));
	mlx5_set(x, MLX5_VPORT_PORT_STATE, state);
	mlx5_set(x, MLX5_VPORT_VPORT_STATE, state);
	mlx5_set(x, MLX5_VPORT_VPORT_STATE_POLICY, 2);
	mlx5_set(x, MLX5_VPORT_HAS_SMI, 1);
	mlx5_set(x, MLX5_VPORT_LID, atomic_load(&p->lid));
	mlx5_set(x, MLX5_VPORT_SM_LID, atomic_load(&p->sm_lid));
	mlx5_set(x, MLX5_VPORT_LMC, p->lmc);
	mlx5_set(x, MLX5_VPORT_SM_SL, p->sm_sl);
	mlx5_set(x, MLX5_VPORT_SUBNET_TIMEOUT, 18);
}

uint8_t nic_cmd_query_vport_context(struct nic_cmd *c)
{
	uint8_t *x = c->out + MLX5_QUERY_HCA_VPORT_CONTEXT_OUT_CTX_OFF, st = own_port(c);
	struct nic_port *p = &c->nic->port;

	if (st)
		return st;
	show_state(p, x);
	mlx5_set(x, MLX5_VPORT_SYSTEM_IMAGE_GUID, p->system_guid);
	mlx5_set(x, MLX5_VPORT_PORT_GUID, p->guid);
	mlx5_set(x, MLX5_VPORT_NODE_GUID, p->guid);
	mlx5_set(x, MLX5_VPORT_CAP_MASK1, atomic_load(&p->cap_mask));
	/* Bit 16: the driver may say that a connection manager listens. */
	mlx5_set(x, MLX5_VPORT_CAP_MASK1_FIELD_SELECT, 0xffffffff);
	mlx5_set(x, MLX5_VPORT_QKEY_VIOLATION_COUNTER, atomic_load(&p->qkey_violations));
	mlx5_set(x, MLX5_VPORT_PKEY_VIOLATION_COUNTER, atomic_load(&p->pkey_violations));
	return NIC_OK;
}

uint8_t nic_cmd_modify_vport_context(struct nic_cmd *c)
{
	const uint8_t *x = c->in + MLX5_MODIFY_HCA_VPORT_CONTEXT_IN_CTX_OFF;
	uint32_t sel = (uint32_t)mlx5_get(x, MLX5_VPORT_CAP_MASK1_FIELD_SELECT), old;
	uint8_t st = own_port(c);

	if (st)
		return st;
	old = atomic_load(&c->nic->port.cap_mask);
	atomic_store(&c->nic->port.cap_mask,
		     (old & ~sel) | ((uint32_t)mlx5_get(x, MLX5_VPORT_CAP_MASK1) & sel));
	return NIC_OK;
}

static void put_gid(const struct nic_port *p, uint32_t i, uint8_t *gid)
{
	if (i) /* entries beyond the first are empty */
		return;
	memcpy(gid, p->subnet_prefix, 8);
	mlx5_set64(gid, 8, p->guid);
}

/* Which entries of a table of `size` a command asks for, and whether its answer has room. */
static uint8_t table_range(struct nic_cmd *c, uint32_t size, uint32_t entry, uint32_t *i,
			   uint32_t *ret_n)
{
	uint8_t st = own_port(c);

	*ret_n = 1;
	if (*i == ALL_INDICES) {
		*i = 0;
		*ret_n = size;
	}
	if (st)
		return st;
	if (*i > size - *ret_n)
		return nic_fail(c, NIC_BAD_PARAM, SYN_INDEX);
	if ((c->out_len - TABLE_OFF) / entry < *ret_n)
		return nic_fail(c, NIC_BAD_OUTP_LEN, SYN_OUT_LEN);
	return NIC_OK;
}

uint8_t nic_cmd_query_vport_gid(struct nic_cmd *c)
{
	uint32_t i = (uint32_t)mlx5_get(c->in, MLX5_QUERY_HCA_VPORT_GID_IN_GID_INDEX), n, j;
	uint8_t st = table_range(c, NIC_GIDS, 16, &i, &n);

	if (st)
		return st;
	for (j = 0; j < n; j++)
		put_gid(&c->nic->port, i + j, c->out + TABLE_OFF + j * 16);
	mlx5_set(c->out, MLX5_QUERY_HCA_VPORT_GID_OUT_GIDS_NUM, n);
	return NIC_OK;
}

uint8_t nic_cmd_query_vport_pkey(struct nic_cmd *c)
{
	uint32_t i = (uint32_t)mlx5_get(c->in, MLX5_QUERY_HCA_VPORT_PKEY_IN_PKEY_INDEX), n, j;
	uint8_t st = table_range(c, NIC_PKEYS, 4, &i, &n);

	if (st)
		return st;
	for (j = 0; j < n; j++)
		mlx5_set32(c->out, TABLE_OFF + j * 4, atomic_load(&c->nic->port.pkey[i + j]));
	return NIC_OK;
}

/* Packets, then octets. */
static void put_traffic(struct nic_cmd *c, uint32_t off, uint64_t packets, uint64_t octets)
{
	mlx5_set64(c->out, off, packets);
	mlx5_set64(c->out, off + 8, octets);
}

static uint64_t count(const struct nic_port *p, enum nic_port_count i)
{
	return atomic_load_explicit(&p->count[i], memory_order_relaxed);
}

uint8_t nic_cmd_query_vport_counter(struct nic_cmd *c)
{
	struct nic_port *p = &c->nic->port;
	uint8_t st = own_port(c);
	unsigned i;

	if (st)
		return st;
	put_traffic(c, 0x10, count(p, NIC_PC_RCV_ERR), 0);
	put_traffic(c, 0x20, count(p, NIC_PC_XMIT_DISCARD), 0);
	put_traffic(c, 0x30, count(p, NIC_PC_UCAST_RCV), count(p, NIC_PC_RCV_DATA) * 4);
	put_traffic(c, 0x40, count(p, NIC_PC_UCAST_XMIT), count(p, NIC_PC_XMIT_DATA) * 4);
	put_traffic(c, 0x50, count(p, NIC_PC_MCAST_RCV), 0);
	put_traffic(c, 0x60, count(p, NIC_PC_MCAST_XMIT), 0);
	if (mlx5_get(c->in, MLX5_QUERY_VPORT_COUNTER_IN_CLEAR))
		for (i = 0; i < NIC_PC_COUNT; i++)
			atomic_store(&p->count[i], 0);
	return NIC_OK;
}

uint8_t nic_cmd_mad_ifc(struct nic_cmd *c)
{
	if (mlx5_get(c->in, MLX5_MAD_IFC_IN_PORT) > 1)
		return nic_fail(c, NIC_BAD_PARAM, SYN_PORT);
	if (!nic_mad_local(c->nic, c->in + 0x10, c->out + 0x10))
		return nic_fail(c, NIC_BAD_PKT, SYN_ABSENT);
	return NIC_OK;
}

static struct nic_qp *ud_qp(struct nic_cmd *c)
{
	uint32_t qpn = (uint32_t)mlx5_get(c->in, MLX5_ATTACH_TO_MCG_IN_QPN);
	struct nic_qp *qp = (struct nic_qp *)nic_cmd_find(c, NIC_T_QP, qpn);

	if (qp && qp->type != NIC_QP_UD) {
		c->syndrome = SYN_QP_TYPE;
		return NULL;
	}
	return qp;
}

uint8_t nic_cmd_attach_mcg(struct nic_cmd *c)
{
	struct nic_qp *qp = ud_qp(c);
	int r;

	if (!qp)
		return NIC_BAD_RES;
	if (c->in[0x10] != 0xff)
		return nic_fail(c, NIC_BAD_PARAM, SYN_MCG);
	r = nic_net_attach(c->nic, c->in + 0x10, qp->obj.id);
	return r ? nic_fail(c, r == -ENOSPC ? NIC_LIM_ERR : NIC_NO_RES, SYN_MCG) : NIC_OK;
}

uint8_t nic_cmd_detach_mcg(struct nic_cmd *c)
{
	struct nic_qp *qp = ud_qp(c);

	if (!qp)
		return NIC_BAD_RES;
	if (nic_net_detach(c->nic, c->in + 0x10, qp->obj.id))
		return nic_fail(c, NIC_BAD_PARAM, SYN_MCG);
	return NIC_OK;
}
