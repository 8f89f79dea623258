// SPDX-License-Identifier: MIT
/* Path records: every two ports the asker sees have one path between them. */
#include <string.h>

#include "models/nic/sa.h"
#include "models/nic/subnet.h"

/* Of those not listed some are echoed, the rest say nothing about a subnet of one switch. */
const struct nic_sa_comp nic_sa_path_comps[] = {
	{ .bit = 2, .len = 16, .off = IB_PR_DGID },
	{ .bit = 3, .len = 16, .off = IB_PR_SGID },
	{ .bit = 4, .f = IB_PR_DLID },
	{ .bit = 5, .f = IB_PR_SLID },
	{ .bit = 6, .f = IB_PR_RAW },
	{ .bit = 15, .f = IB_PR_SL },
	{ 0 },
};

static bool selected(const struct nic_sa_query *q, unsigned bit, mlx5_field sel, mlx5_field val,
		     uint32_t have)
{
	if (!nic_sa_has(q->comps, bit) || !nic_sa_has(q->comps, bit + 1))
		return true;
	return nic_sa_selects((uint32_t)mlx5_get(q->want, sel), (uint32_t)mlx5_get(q->want, val),
			      have);
}

/* What every path has, or was asked to have. Return: false when no path can be like that. */
static bool start_path(const struct nic_sa_query *q, uint8_t *r)
{
	uint32_t pkey = NIC_DEFAULT_PKEY;

	memset(r, 0, IB_PR_SIZE);
	if (nic_sa_has(q->comps, 13))
		pkey = (uint32_t)mlx5_get(q->want, IB_PR_PKEY);
	if ((pkey & 0x7fff) != 0x7fff || !selected(q, 16, IB_PR_MTU_SEL, IB_PR_MTU, NIC_MTU_4096) ||
	    !selected(q, 18, IB_PR_RATE_SEL, IB_PR_RATE, NIC_RATE_100G) ||
	    !selected(q, 20, IB_PR_LIFE_SEL, IB_PR_LIFE, NIC_LIFE_TIME))
		return false;
	if (nic_sa_has(q->comps, 0))
		memcpy(r, q->want, 8);
	if (nic_sa_has(q->comps, 8))
		mlx5_set(r, IB_PR_FLOW, mlx5_get(q->want, IB_PR_FLOW));
	if (nic_sa_has(q->comps, 10))
		mlx5_set(r, IB_PR_TCLASS, mlx5_get(q->want, IB_PR_TCLASS));
	if (nic_sa_has(q->comps, 14))
		mlx5_set(r, IB_PR_QOS_CLASS, mlx5_get(q->want, IB_PR_QOS_CLASS));
	mlx5_set(r, IB_PR_PKEY, pkey);
	mlx5_set(r, IB_PR_REVERSIBLE, 1);
	mlx5_set(r, IB_PR_NUMB_PATH, 1);
	mlx5_set(r, IB_PR_MTU_SEL, 2);
	mlx5_set(r, IB_PR_MTU, NIC_MTU_4096);
	mlx5_set(r, IB_PR_RATE_SEL, 2);
	mlx5_set(r, IB_PR_RATE, NIC_RATE_100G);
	mlx5_set(r, IB_PR_LIFE_SEL, 2);
	mlx5_set(r, IB_PR_LIFE, NIC_LIFE_TIME);
	return true;
}

/* End of a path: a NIC, or on port 0 the switch. Return: false when nobody is there. */
static bool set_end(struct nic *viewer, unsigned port, uint8_t *gid, uint8_t *r, mlx5_field lid)
{
	struct nic *nic = port ? nic_net_at(viewer, port) : NULL;

	if (port && !nic)
		return false;
	mlx5_set64(gid, 0, NIC_PREFIX);
	mlx5_set64(gid, 8, NIC_SWITCH_GUID);
	if (nic)
		nic_gid_of(nic, gid);
	mlx5_set(r, lid, nic ? atomic_load(&nic->port.lid) : NIC_SM_LID);
	return true;
}

void nic_sa_each_path(struct nic_sa_query *q)
{
	uint8_t r[IB_PR_SIZE];
	unsigned a, b;

	if (!start_path(q, r))
		return;
	for (a = 0; a <= NIC_NET_PORTS; a++) {
		if (!set_end(q->viewer, a, r + IB_PR_SGID, r, IB_PR_SLID))
			continue;
		for (b = 0; b <= NIC_NET_PORTS; b++)
			if (set_end(q->viewer, b, r + IB_PR_DGID, r, IB_PR_DLID))
				nic_sa_emit(q, r);
	}
}
