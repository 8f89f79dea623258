// SPDX-License-Identifier: MIT
/* Subnet management agents: directed routes, Get and Set. */
#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/net.h"
#include "models/nic/subnet.h"

/*
 * A guest may take its own port down and up. All else is the subnet manager's, who protects it with
 * a key: what a guest asks for is answered with the present values.
 */
static void set_own_port(struct nic *nic, const uint8_t *data)
{
	uint32_t phys = (uint32_t)mlx5_get(data, IB_PI_PHYS);

	if (phys == 2 || phys == 3) {
		atomic_store(&nic->port.admin_down, phys == 3);
		nic_port_update(nic);
	}
	if (mlx5_get(data, IB_PI_CLIENT_REREG))
		nic_event_port(nic, NIC_PORT_CLIENT_REREG);
}

static uint16_t do_set(const struct nic_agent_at *at, uint16_t attr, const uint8_t *mad)
{
	if (at->local && attr == IB_SMP_PORT_INFO) {
		set_own_port(at->nic, mad + IB_SMP_DATA_OFF);
		return 0;
	}
	if (at->local && attr == IB_SMP_NODE_DESC)
		return IB_STATUS_BAD_ATTR;
	return mlx5_get(mad, IB_SMP_MKEY) == nic_net.mkey ? 0 : IB_STATUS_BAD_VALUE;
}

void nic_smi_answer(const struct nic_agent_at *at, uint8_t *mad)
{
	uint16_t attr = (uint16_t)mlx5_get(mad, IB_MAD_ATTR_ID), st = 0;
	uint32_t mod = (uint32_t)mlx5_get(mad, IB_MAD_ATTR_MOD);
	uint8_t data[IB_SMP_DATA_BYTES];

	st = nic_smi_get(at, attr, mod, data);
	if (!st && mad[3] == IB_METHOD_SET) {
		st = do_set(at, attr, mad);
		if (!st)
			st = nic_smi_get(at, attr, mod, data);
	}
	if (!st)
		memcpy(mad + IB_SMP_DATA_OFF, data, sizeof(data));
	mlx5_set64(mad, 24, 0); /* the key is nobody else's to know */
	nic_mad_status(mad, st);
}

/* The node a route leads to: through the switch once, or twice where it turns round. */
static bool walk(struct nic *from, uint8_t *mad, uint8_t hops, struct nic_agent_at *ret_at)
{
	uint8_t *path = mad + IB_SMP_INIT_PATH, *back = mad + IB_SMP_RET_PATH;
	struct nic *nic = from;
	unsigned hop;

	ret_at->viewer = from;
	for (hop = 1; hop <= hops; hop++) {
		if (nic) { /* out of a NIC's only port, into the switch */
			if (path[hop] != 1 || hop > 1)
				return false;
			back[hop] = (uint8_t)(nic_net_slot_of(nic) + 1);
			nic = NULL;
			continue;
		}
		nic = nic_net_at(from, path[hop]);
		if (!nic)
			return false;
		back[hop] = 1;
	}
	ret_at->nic = nic;
	return true;
}

bool nic_smi_route(struct nic *from, uint8_t *mad)
{
	uint8_t hops = (uint8_t)mlx5_get(mad, IB_SMP_HOP_CNT);
	struct nic_agent_at at = { .viewer = from };

	if (mlx5_get(mad, IB_SMP_DIRECTION) || hops > IB_SMP_MAX_HOPS ||
	    mlx5_get(mad, IB_SMP_HOP_PTR) != (hops ? 1 : 0) ||
	    mlx5_get(mad, IB_SMP_DR_SLID) != IB_LID_PERMISSIVE ||
	    mlx5_get(mad, IB_SMP_DR_DLID) != IB_LID_PERMISSIVE ||
	    (mad[3] != IB_METHOD_GET && mad[3] != IB_METHOD_SET))
		return false;
	if (!walk(from, mad, hops, &at))
		return false;
	if (mlx5_get(mad, IB_MAD_CLASS_VERSION) != 1)
		nic_mad_status(mad, IB_STATUS_BAD_VERSION);
	else
		nic_smi_answer(&at, mad);
	mlx5_set(mad, IB_MAD_METHOD, IB_METHOD_GET_RESP);
	mlx5_set(mad, IB_SMP_DIRECTION, 1);
	mlx5_set(mad, IB_SMP_HOP_PTR, hops ? 1 : 0);
	return true;
}
