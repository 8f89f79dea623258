// SPDX-License-Identifier: MIT
/* What subnet management attributes of a NIC and of the switch read as. */
#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/net.h"
#include "models/nic/subnet.h"

#define CAP_IS_SM     (1u << 1)
#define GUIDS_A_BLOCK 8
#define PKEYS_A_BLOCK 32

static uint16_t node_desc(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	if (at->nic)
		nic_port_get_desc(at->nic, d);
	else
		memcpy(d, NIC_SWITCH_DESC, sizeof(NIC_SWITCH_DESC));
	return 0;
}

static uint16_t node_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	uint64_t guid = at->nic ? at->nic->port.guid : NIC_SWITCH_GUID;

	mlx5_set(d, IB_NI_BASE_VERSION, 1);
	mlx5_set(d, IB_NI_CLASS_VER, 1);
	mlx5_set(d, IB_NI_TYPE, at->nic ? 1 : 2);
	mlx5_set(d, IB_NI_PORTS, at->nic ? 1 : NIC_NET_PORTS);
	mlx5_set64(d, 4, at->nic ? at->nic->port.system_guid : guid);
	mlx5_set64(d, 12, guid);
	mlx5_set64(d, 20, guid);
	mlx5_set(d, IB_NI_PART_CAP, NIC_PKEYS);
	mlx5_set(d, IB_NI_DEV_ID, at->nic ? 0x1019 : 0x0001);
	mlx5_set(d, IB_NI_REVISION, 0);
	mlx5_set(d, IB_NI_LOCAL_PORT, at->nic ? 1 : nic_net_slot_of(at->viewer) + 1);
	mlx5_set(d, IB_NI_VENDOR, at->nic ? 0x15b3 : 0);
	return 0;
}

static uint16_t switch_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	if (at->nic)
		return IB_STATUS_BAD_ATTR;
	mlx5_set(d, IB_SI_LINEAR_CAP, NIC_LID_FIRST + NIC_NET_PORTS);
	mlx5_set(d, IB_SI_MCAST_CAP, NIC_MCGROUPS);
	mlx5_set(d, IB_SI_LINEAR_TOP, NIC_LID_FIRST + NIC_NET_PORTS - 1);
	mlx5_set(d, IB_SI_LIFE_TIME, NIC_LIFE_TIME);
	mlx5_set(d, IB_SI_PART_CAP, 0);
	mlx5_set(d, IB_SI_ENHANCED0, 1);
	return 0;
}

/* What every link has in common, up or down. */
static void link_info(uint8_t *d, bool up)
{
	mlx5_set(d, IB_PI_WIDTH_EN, 1 | NIC_LINK_4X);
	mlx5_set(d, IB_PI_WIDTH_SUP, 1 | NIC_LINK_4X);
	mlx5_set(d, IB_PI_WIDTH_ACT, NIC_LINK_4X);
	mlx5_set(d, IB_PI_SPEED_SUP, 7);
	mlx5_set(d, IB_PI_SPEED_EN, 7);
	mlx5_set(d, IB_PI_SPEED_ACT, NIC_LINK_QDR);
	mlx5_set(d, IB_PI_EXT_SUP, 3);
	mlx5_set(d, IB_PI_EXT_EN, 3);
	mlx5_set(d, IB_PI_EXT_ACTIVE, up ? NIC_LINK_EDR : 0);
	mlx5_set(d, IB_PI_STATE, up ? NIC_PS_ACTIVE : NIC_PS_DOWN);
	mlx5_set(d, IB_PI_PHYS, up ? 5 : 2);
	mlx5_set(d, IB_PI_DOWN_DEFAULT, 2);
	mlx5_set(d, IB_PI_NEIGHBOR_MTU, NIC_MTU_4096);
	mlx5_set(d, IB_PI_MTU_CAP, NIC_MTU_4096);
	mlx5_set(d, IB_PI_VL_CAP, 1);
	mlx5_set(d, IB_PI_OPER_VLS, 1);
	mlx5_set(d, IB_PI_SUBNET_TIMEOUT, NIC_SUBNET_TIME);
	mlx5_set(d, IB_PI_RESP_TIME, NIC_RESP_TIME);
}

static void port_info_nic(const struct nic *nic, uint8_t *d)
{
	const struct nic_port *p = &nic->port;

	link_info(d, nic_port_is_up(nic));
	memcpy(d + 8, p->subnet_prefix, 8);
	mlx5_set(d, IB_PI_LID, atomic_load(&p->lid));
	mlx5_set(d, IB_PI_SM_LID, atomic_load(&p->sm_lid));
	mlx5_set(d, IB_PI_CAP_MASK, atomic_load(&p->cap_mask));
	mlx5_set(d, IB_PI_LOCAL_PORT, 1);
	mlx5_set(d, IB_PI_PHYS, atomic_load(&p->phys));
	mlx5_set(d, IB_PI_MKEY_PROT, 1);
	mlx5_set(d, IB_PI_LMC, p->lmc);
	mlx5_set(d, IB_PI_SM_SL, p->sm_sl);
	mlx5_set(d, IB_PI_PKEY_VIOL, atomic_load(&p->pkey_violations));
	mlx5_set(d, IB_PI_QKEY_VIOL, atomic_load(&p->qkey_violations));
	mlx5_set(d, IB_PI_GUID_CAP, NIC_GIDS);
}

static void port_info_switch(struct nic *viewer, uint8_t port, uint8_t *d)
{
	link_info(d, !port || nic_net_at(viewer, port));
	mlx5_set(d, IB_PI_LOCAL_PORT, nic_net_slot_of(viewer) + 1);
	mlx5_set(d, IB_PI_MKEY_PROT, 1);
	if (port)
		return;
	mlx5_set64(d, 8, NIC_PREFIX);
	mlx5_set(d, IB_PI_LID, NIC_SM_LID);
	mlx5_set(d, IB_PI_SM_LID, NIC_SM_LID);
	mlx5_set(d, IB_PI_CAP_MASK, CAP_IS_SM | 1u << 14);
	mlx5_set(d, IB_PI_GUID_CAP, 1);
}

static uint16_t port_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	uint32_t port = mod & 0xff; /* bit 31: extended speeds are understood */

	if ((mod & 0x7fffff00) || port > (at->nic ? 1 : NIC_NET_PORTS))
		return IB_STATUS_BAD_VALUE;
	if (at->nic)
		port_info_nic(at->nic, d);
	else
		port_info_switch(at->viewer, (uint8_t)port, d);
	return 0;
}

static uint16_t guid_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	if (mod >= NIC_GIDS / GUIDS_A_BLOCK)
		return IB_STATUS_BAD_VALUE;
	mlx5_set64(d, 0, at->nic ? at->nic->port.guid : NIC_SWITCH_GUID);
	return 0;
}

static uint16_t pkey_table(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	uint32_t block = mod & 0xffff, i;
	uint16_t key;

	if (block >= NIC_PKEYS / PKEYS_A_BLOCK || (mod >> 16) > (at->nic ? 1 : NIC_NET_PORTS))
		return IB_STATUS_BAD_VALUE;
	for (i = 0; i < PKEYS_A_BLOCK; i++) {
		key = block + i ? 0 : NIC_DEFAULT_PKEY;
		if (at->nic)
			key = atomic_load(&at->nic->port.pkey[block * PKEYS_A_BLOCK + i]);
		d[2 * i] = (uint8_t)(key >> 8);
		d[2 * i + 1] = (uint8_t)key;
	}
	return 0;
}

/* One data lane: every service level maps to VL 0, and arbitration has nothing to do. */
static uint16_t all_zero(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	return 0;
}

static uint16_t forwarding(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	uint32_t i, lid;

	if (at->nic)
		return IB_STATUS_BAD_ATTR;
	if (mod > (NIC_LID_FIRST + NIC_NET_PORTS - 1) / 64)
		return IB_STATUS_BAD_VALUE;
	for (i = 0; i < 64; i++) {
		lid = mod * 64 + i;
		d[i] = 0xff;
		if (lid == NIC_SM_LID)
			d[i] = 0;
		else if (lid >= NIC_LID_FIRST && lid - NIC_LID_FIRST < NIC_NET_PORTS &&
			 nic_net_at(at->viewer, lid - NIC_LID_FIRST + 1))
			d[i] = (uint8_t)(lid - NIC_LID_FIRST + 1);
	}
	return 0;
}

static uint16_t mcast_forwarding(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	uint32_t block = mod & 0x1ff, position = mod >> 28, i;
	struct nic_mcgroup *g;
	uint64_t ports;

	if (at->nic)
		return IB_STATUS_BAD_ATTR;
	if (block >= NIC_MCGROUPS / 32 || position > NIC_NET_PORTS / 16)
		return IB_STATUS_BAD_VALUE;
	pthread_mutex_lock(&nic_net.lock);
	for (i = 0; i < 32; i++) {
		g = nic_mc_at_locked(block * 32 + i);
		ports = g && atomic_load(&g->mlid) ? atomic_load(&g->receivers) << 1 : 0;
		d[2 * i] = (uint8_t)(ports >> (16 * position + 8));
		d[2 * i + 1] = (uint8_t)(ports >> (16 * position));
	}
	pthread_mutex_unlock(&nic_net.lock);
	return 0;
}

/* The vendor's addition, asked for by tools: no speed of its own is supported. */
static uint16_t ext_port_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	if (!at->nic)
		return IB_STATUS_BAD_ATTR;
	return mod > 1 ? IB_STATUS_BAD_VALUE : 0;
}

static uint16_t sm_info(const struct nic_agent_at *at, uint32_t mod, uint8_t *d)
{
	if (at->nic)
		return IB_STATUS_BAD_ATTR;
	mlx5_set64(d, 0, NIC_SWITCH_GUID);
	mlx5_set(d, IB_SM_ACTIVITY, mdl_now_ns() / 1000000000);
	mlx5_set(d, IB_SM_PRIORITY, 15);
	mlx5_set(d, IB_SM_STATE, 3);
	return 0;
}

static const struct {
	uint16_t attr;
	uint16_t (*get)(const struct nic_agent_at *at, uint32_t mod, uint8_t *d);
} attrs[] = {
	{ IB_SMP_NODE_DESC, node_desc },     { IB_SMP_NODE_INFO, node_info },
	{ IB_SMP_SWITCH_INFO, switch_info }, { IB_SMP_GUID_INFO, guid_info },
	{ IB_SMP_PORT_INFO, port_info },     { IB_SMP_PKEY_TABLE, pkey_table },
	{ IB_SMP_SL2VL, all_zero },	     { IB_SMP_VL_ARB, all_zero },
	{ IB_SMP_LFT, forwarding },	     { IB_SMP_MFT, mcast_forwarding },
	{ IB_SMP_SM_INFO, sm_info },	     { IB_SMP_EXT_PORT_INFO, ext_port_info },
};

uint16_t nic_smi_get(const struct nic_agent_at *at, uint16_t attr, uint32_t mod, uint8_t data[64])
{
	unsigned i;

	memset(data, 0, 64);
	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (attrs[i].attr == attr)
			return attrs[i].get(at, mod, data);
	return IB_STATUS_BAD_ATTR;
}
