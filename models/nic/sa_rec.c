// SPDX-License-Identifier: MIT
/* Records made of what the agents say: nodes, ports, links, the subnet manager. */
#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/sa.h"
#include "models/nic/subnet.h"

#define NODE_REC   112
#define PORT_REC   72
#define SWITCH_REC 24
#define SM_REC	   32
#define LINK_REC   8
#define GUID_REC   72
#define PKEY_REC   72

#define CAP_MASK_MATCH (1u << 31) /* modifier: the capability mask must contain, not equal */

static struct nic_agent_at at_switch(const struct nic_sa_query *q)
{
	return (struct nic_agent_at){ .viewer = q->viewer };
}

static struct nic_agent_at at_nic(const struct nic_sa_query *q, struct nic *nic)
{
	return (struct nic_agent_at){ .viewer = q->viewer, .nic = nic };
}

static uint16_t lid_of(const struct nic_agent_at *at)
{
	return at->nic ? atomic_load(&at->nic->port.lid) : NIC_SM_LID;
}

/* Call fn for the switch and every NIC on it. */
static void each_node(struct nic_sa_query *q,
		      void (*fn)(struct nic_sa_query *q, const struct nic_agent_at *at))
{
	struct nic_agent_at at = at_switch(q);
	struct nic *nic;
	unsigned p;

	fn(q, &at);
	for (p = 1; p <= NIC_NET_PORTS; p++) {
		nic = nic_net_at(q->viewer, p);
		if (!nic)
			continue;
		at = at_nic(q, nic);
		fn(q, &at);
	}
}

/* ---- NodeRecord ---- */

static void node_record(struct nic_sa_query *q, const struct nic_agent_at *at)
{
	uint8_t rec[NODE_REC] = { 0 }, data[64];

	mlx5_set32(rec, 0, (uint32_t)lid_of(at) << 16);
	nic_smi_get(at, IB_SMP_NODE_INFO, 0, data);
	memcpy(rec + 4, data, IB_NI_SIZE);
	if (!at->nic)
		rec[4 + 0x24] = 0; /* the record is of port 0 */
	nic_smi_get(at, IB_SMP_NODE_DESC, 0, data);
	memcpy(rec + 44, data, 64);
	nic_sa_emit(q, rec);
}

static void each_node_record(struct nic_sa_query *q)
{
	each_node(q, node_record);
}

static const struct nic_sa_comp node_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ .bit = 4, .f = MLX5_F(0x04, 15, 8) },
	{ .bit = 5, .f = MLX5_F(0x04, 7, 0) },
	{ .bit = 6, .len = 8, .off = 0x08 },
	{ .bit = 7, .len = 8, .off = 0x10 },
	{ .bit = 8, .len = 8, .off = 0x18 },
	{ .bit = 10, .f = MLX5_F(0x20, 15, 0) },
	{ .bit = 12, .f = MLX5_F(0x28, 31, 24) },
	{ .bit = 13, .f = MLX5_F(0x28, 23, 0) },
	{ .bit = 14, .len = 64, .off = 0x2c },
	{ 0 },
};

/* ---- PortInfoRecord ---- */

static void port_record(struct nic_sa_query *q, const struct nic_agent_at *at, uint8_t port)
{
	uint32_t caps = (uint32_t)mlx5_get(q->want + 4, IB_PI_CAP_MASK);
	uint8_t rec[PORT_REC] = { 0 };

	if (nic_smi_get(at, IB_SMP_PORT_INFO, port, rec + 4))
		return;
	mlx5_set32(rec, 0, (uint32_t)lid_of(at) << 16 | (uint32_t)port << 8);
	if (nic_sa_has(q->comps, 7) &&
	    (q->mod & CAP_MASK_MATCH ? (mlx5_get(rec + 4, IB_PI_CAP_MASK) & caps) != caps :
				       mlx5_get(rec + 4, IB_PI_CAP_MASK) != caps))
		return;
	nic_sa_emit(q, rec);
}

static void port_records(struct nic_sa_query *q, const struct nic_agent_at *at)
{
	unsigned p;

	if (at->nic) {
		port_record(q, at, 1);
		return;
	}
	for (p = 0; p <= NIC_NET_PORTS; p++)
		port_record(q, at, (uint8_t)p);
}

static void each_port_record(struct nic_sa_query *q)
{
	each_node(q, port_records);
}

static const struct nic_sa_comp port_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ .bit = 1, .f = MLX5_F(0x00, 15, 8) },
	{ .bit = 5, .f = MLX5_F(0x14, 31, 16) },
	{ .bit = 6, .f = MLX5_F(0x14, 15, 0) },
	{ 0 },
};

/* ---- the switch, the subnet manager ---- */

static void each_switch_record(struct nic_sa_query *q)
{
	struct nic_agent_at at = at_switch(q);
	uint8_t rec[SWITCH_REC] = { 0 }, data[64];

	mlx5_set32(rec, 0, (uint32_t)NIC_SM_LID << 16);
	nic_smi_get(&at, IB_SMP_SWITCH_INFO, 0, data);
	memcpy(rec + 4, data, IB_SI_SIZE);
	nic_sa_emit(q, rec);
}

static void each_sm_record(struct nic_sa_query *q)
{
	struct nic_agent_at at = at_switch(q);
	uint8_t rec[SM_REC] = { 0 }, data[64];

	mlx5_set32(rec, 0, (uint32_t)NIC_SM_LID << 16);
	nic_smi_get(&at, IB_SMP_SM_INFO, 0, data);
	memcpy(rec + 4, data, IB_SM_SIZE);
	nic_sa_emit(q, rec);
}

static const struct nic_sa_comp lid_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ 0 },
};

/* ---- LinkRecord: one for each direction ---- */

static void each_link_record(struct nic_sa_query *q)
{
	uint8_t rec[LINK_REC] = { 0 };
	struct nic *nic;
	uint32_t p, lid;

	for (p = 1; p <= NIC_NET_PORTS; p++) {
		nic = nic_net_at(q->viewer, p);
		if (!nic)
			continue;
		lid = atomic_load(&nic->port.lid);
		mlx5_set32(rec, 0, (uint32_t)NIC_SM_LID << 16 | p << 8 | 1);
		mlx5_set32(rec, 4, lid << 16);
		nic_sa_emit(q, rec);
		mlx5_set32(rec, 0, lid << 16 | 1u << 8 | p);
		mlx5_set32(rec, 4, (uint32_t)NIC_SM_LID << 16);
		nic_sa_emit(q, rec);
	}
}

static const struct nic_sa_comp link_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ .bit = 1, .f = MLX5_F(0x00, 15, 8) },
	{ .bit = 2, .f = MLX5_F(0x00, 7, 0) },
	{ .bit = 3, .f = MLX5_F(0x04, 31, 16) },
	{ 0 },
};

/* ---- GUIDs and partition keys, by blocks ---- */

static void guid_record(struct nic_sa_query *q, const struct nic_agent_at *at)
{
	uint8_t rec[GUID_REC] = { 0 };

	mlx5_set32(rec, 0, (uint32_t)lid_of(at) << 16);
	if (!nic_smi_get(at, IB_SMP_GUID_INFO, 0, rec + 8))
		nic_sa_emit(q, rec);
}

static void each_guid_record(struct nic_sa_query *q)
{
	each_node(q, guid_record);
}

static const struct nic_sa_comp guid_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ .bit = 1, .f = MLX5_F(0x00, 15, 8) },
	{ 0 },
};

static void pkey_records(struct nic_sa_query *q, const struct nic_agent_at *at)
{
	uint8_t rec[PKEY_REC];
	uint32_t block;

	for (block = 0; block < NIC_PKEYS / 32; block++) {
		memset(rec, 0, sizeof(rec));
		mlx5_set32(rec, 0, (uint32_t)lid_of(at) << 16 | block);
		rec[4] = at->nic ? 1 : 0;
		if (!nic_smi_get(at, IB_SMP_PKEY_TABLE, block, rec + 8))
			nic_sa_emit(q, rec);
	}
}

static void each_pkey_record(struct nic_sa_query *q)
{
	each_node(q, pkey_records);
}

static const struct nic_sa_comp pkey_comps[] = {
	{ .bit = 0, .f = MLX5_F(0x00, 31, 16) },
	{ .bit = 1, .f = MLX5_F(0x00, 15, 0) },
	{ .bit = 2, .f = MLX5_F(0x04, 31, 24) },
	{ 0 },
};

const struct nic_sa_row nic_sa_records[] = {
	{ IB_SA_NODE, NODE_REC, node_comps, each_node_record },
	{ IB_SA_PORT_INFO, PORT_REC, port_comps, each_port_record },
	{ IB_SA_SWITCH_INFO, SWITCH_REC, lid_comps, each_switch_record },
	{ IB_SA_SM_INFO, SM_REC, lid_comps, each_sm_record },
	{ IB_SA_LINK, LINK_REC, link_comps, each_link_record },
	{ IB_SA_GUID_INFO, GUID_REC, guid_comps, each_guid_record },
	{ IB_SA_PKEY_TABLE, PKEY_REC, pkey_comps, each_pkey_record },
	{ IB_SA_PATH, IB_PR_SIZE, nic_sa_path_comps, nic_sa_each_path },
	{ IB_SA_MCMEMBER, IB_MC_SIZE, nic_sa_member_comps, nic_sa_each_member },
};

const unsigned nic_sa_n_records = sizeof(nic_sa_records) / sizeof(nic_sa_records[0]);
