// SPDX-License-Identifier: MIT
/* Multicast member records: query, join, leave. */
#include <string.h>

#include "models/nic/sa.h"
#include "models/nic/subnet.h"

enum { /* component bits */
       C_MGID = 0,
       C_PORT_GID = 1,
       C_QKEY = 2,
       C_MTU_SEL = 4,
       C_TCLASS = 6,
       C_PKEY = 7,
       C_RATE_SEL = 8,
       C_LIFE_SEL = 10,
       C_SL = 12,
       C_FLOW = 13,
       C_JOIN = 16,
};
#define BIT(n) (1ull << (n))
/* Without these a group that is not there cannot be made */
#define TO_CREATE (BIT(C_QKEY) | BIT(C_PKEY) | BIT(C_SL) | BIT(C_FLOW) | BIT(C_TCLASS))

const struct nic_sa_comp nic_sa_member_comps[] = {
	{ .bit = 0, .len = 16, .off = IB_MC_MGID },
	{ .bit = 1, .len = 16, .off = IB_MC_PORT_GID },
	{ .bit = 2, .f = IB_MC_QKEY },
	{ .bit = 3, .f = IB_MC_MLID },
	{ .bit = 6, .f = IB_MC_TCLASS },
	{ .bit = 7, .f = IB_MC_PKEY },
	{ .bit = 12, .f = IB_MC_SL },
	{ .bit = 13, .f = IB_MC_FLOW },
	{ .bit = 14, .f = IB_MC_HOP_LIMIT },
	{ .bit = 15, .f = IB_MC_SCOPE },
	{ .bit = 16, .f = IB_MC_JOIN_STATE },
	{ 0 },
};

static void fill_member(const struct nic_mcgroup *g, const struct nic *nic, uint8_t state,
			uint8_t *rec)
{
	memcpy(rec, g->rec, IB_MC_SIZE);
	if (nic)
		nic_gid_of(nic, rec + IB_MC_PORT_GID);
	mlx5_set(rec, IB_MC_JOIN_STATE, state);
}

static void each_of_group_locked(struct nic_sa_query *q, struct nic_mcgroup *g)
{
	uint8_t rec[IB_MC_SIZE];
	bool any = false;
	unsigned i;

	for (i = 0; i < NIC_NET_PORTS; i++) {
		struct nic *nic = atomic_load(&nic_net.slot[i].nic);

		if (!g->state[i] || !nic || !nic_net_same(q->viewer, nic))
			continue;
		any = true;
		fill_member(g, nic, g->state[i], rec);
		nic_sa_emit(q, rec);
	}
	if (any)
		return;
	fill_member(g, NULL, 0, rec);
	nic_sa_emit(q, rec);
}

/* A group without members the asker may see is shown once, without a port. */
void nic_sa_each_member(struct nic_sa_query *q)
{
	struct nic_mcgroup *g;
	unsigned i;

	pthread_mutex_lock(&nic_net.lock);
	for (i = 0; (g = nic_mc_at_locked(i)); i++)
		if (atomic_load(&g->mlid))
			each_of_group_locked(q, g);
	pthread_mutex_unlock(&nic_net.lock);
}

static bool selected(uint64_t comps, unsigned bit, const uint8_t *want, mlx5_field sel,
		     mlx5_field val, uint32_t have)
{
	if (!nic_sa_has(comps, bit) || !nic_sa_has(comps, bit + 1))
		return true;
	return nic_sa_selects((uint32_t)mlx5_get(want, sel), (uint32_t)mlx5_get(want, val), have);
}

static bool same(uint64_t comps, unsigned bit, const uint8_t *want, const uint8_t *have,
		 mlx5_field f)
{
	return !nic_sa_has(comps, bit) || mlx5_get(want, f) == mlx5_get(have, f);
}

/* Is the group what the joiner asked for? */
static bool agrees(const uint8_t *g, uint64_t comps, const uint8_t *want)
{
	if (nic_sa_has(comps, C_PKEY) &&
	    ((mlx5_get(want, IB_MC_PKEY) ^ mlx5_get(g, IB_MC_PKEY)) & 0x7fff))
		return false;
	return same(comps, C_QKEY, want, g, IB_MC_QKEY) && same(comps, C_SL, want, g, IB_MC_SL) &&
	       same(comps, C_TCLASS, want, g, IB_MC_TCLASS) &&
	       same(comps, C_FLOW, want, g, IB_MC_FLOW) &&
	       selected(comps, C_MTU_SEL, want, IB_MC_MTU_SEL, IB_MC_MTU,
			(uint32_t)mlx5_get(g, IB_MC_MTU)) &&
	       selected(comps, C_RATE_SEL, want, IB_MC_RATE_SEL, IB_MC_RATE,
			(uint32_t)mlx5_get(g, IB_MC_RATE));
}

/*
 * A value of a new group: as asked when it is an exact one we can do, else our best if that
 * satisfies the asker. Return: 0 = cannot be done.
 */
static uint32_t settle(uint64_t comps, unsigned bit, const uint8_t *want, mlx5_field sel,
		       mlx5_field val, uint32_t best)
{
	uint32_t v = (uint32_t)mlx5_get(want, val);

	if (!nic_sa_has(comps, bit) || !nic_sa_has(comps, bit + 1))
		return best;
	if (mlx5_get(want, sel) == 2)
		return v <= best ? v : 0;
	return selected(comps, bit, want, sel, val, best) ? best : v ? v - 1 : 0;
}

static void invent_mgid(uint8_t *mgid)
{
	static uint64_t serial; /* under the lock */

	memset(mgid, 0, 16);
	mlx5_set32(mgid, 0, 0xff12a01b);
	mlx5_set64(mgid, 8, ++serial);
}

/* The record a new group gets. Return: MAD status. */
static uint16_t settle_record(uint64_t comps, const uint8_t *want, uint8_t *rec)
{
	uint32_t mtu = settle(comps, C_MTU_SEL, want, IB_MC_MTU_SEL, IB_MC_MTU, NIC_MTU_4096);
	uint32_t rate = settle(comps, C_RATE_SEL, want, IB_MC_RATE_SEL, IB_MC_RATE, NIC_RATE_100G);

	if ((comps & TO_CREATE) != TO_CREATE)
		return IB_SA_INSUFFICIENT;
	if (!mtu || !rate || (mlx5_get(want, IB_MC_PKEY) & 0x7fff) != 0x7fff)
		return IB_SA_REQ_INVALID;
	memcpy(rec, want, IB_MC_SIZE);
	if (!nic_sa_has(comps, C_MGID) || !mlx5_get64(want, IB_MC_MGID))
		invent_mgid(rec + IB_MC_MGID);
	if (rec[IB_MC_MGID] != 0xff)
		return IB_SA_REQ_INVALID;
	mlx5_set(rec, IB_MC_PKEY, NIC_DEFAULT_PKEY);
	mlx5_set(rec, IB_MC_MTU_SEL, 2);
	mlx5_set(rec, IB_MC_MTU, mtu);
	mlx5_set(rec, IB_MC_RATE_SEL, 2);
	mlx5_set(rec, IB_MC_RATE, rate);
	mlx5_set(rec, IB_MC_LIFE_SEL, 2);
	mlx5_set(rec, IB_MC_LIFE, NIC_LIFE_TIME);
	mlx5_set(rec, IB_MC_SCOPE, rec[IB_MC_MGID + 1] & 15);
	mlx5_set32(rec, 0x30, mlx5_get32(rec, 0x30) & 0xf0000000);
	mlx5_set32(rec, 0x34, 0);
	return 0;
}

static uint16_t create_locked(unsigned slot, uint64_t comps, const uint8_t *want,
			      struct nic_mcgroup **ret_g)
{
	uint8_t rec[IB_MC_SIZE];
	uint16_t st = settle_record(comps, want, rec);

	if (st)
		return st;
	*ret_g = nic_mc_make_locked(slot, rec);
	return *ret_g ? 0 : IB_SA_NO_RESOURCES;
}

/* Both join and leave must name the asker's own port and a state. */
static uint16_t check_asker(struct nic *nic, uint64_t comps, const uint8_t *rec)
{
	uint8_t own[16];

	if (!nic_sa_has(comps, C_PORT_GID) || !nic_sa_has(comps, C_JOIN))
		return IB_SA_INSUFFICIENT;
	nic_gid_of(nic, own);
	if (memcmp(own, rec + IB_MC_PORT_GID, 16))
		return IB_SA_INVALID_GID;
	return mlx5_get(rec, IB_MC_JOIN_STATE) ? 0 : IB_SA_REQ_INVALID;
}

static uint16_t join_locked(struct nic *nic, uint64_t comps, uint8_t *rec)
{
	uint8_t want = (uint8_t)mlx5_get(rec, IB_MC_JOIN_STATE);
	struct nic_mcgroup *g = NULL;
	unsigned slot = nic_net_slot_of(nic);
	uint16_t st = 0;

	if (nic_sa_has(comps, C_MGID))
		g = nic_mc_find_locked(rec + IB_MC_MGID);
	if (g && !agrees(g->rec, comps, rec))
		return IB_SA_REQ_INVALID;
	/* Who only wants to send, or to look on, cannot bring a group to life. */
	if (!g && !(want & (IB_JOIN_FULL | IB_JOIN_SEND_FULL)))
		return IB_SA_REQ_INVALID;
	if (!g)
		st = create_locked(slot, comps, rec, &g);
	if (st)
		return st;
	nic_mc_set_state_locked(g, slot, g->state[slot] | want);
	fill_member(g, nic, g->state[slot], rec);
	return 0;
}

static uint16_t leave_locked(struct nic *nic, uint64_t comps, uint8_t *rec)
{
	uint8_t drop = (uint8_t)mlx5_get(rec, IB_MC_JOIN_STATE), left;
	unsigned slot = nic_net_slot_of(nic);
	struct nic_mcgroup *g = NULL;

	if (nic_sa_has(comps, C_MGID))
		g = nic_mc_find_locked(rec + IB_MC_MGID);
	if (!g || !(g->state[slot] & drop))
		return IB_SA_REQ_INVALID;
	left = g->state[slot] & (uint8_t)~drop;
	fill_member(g, nic, left, rec);
	nic_mc_set_state_locked(g, slot, left);
	return 0;
}

uint16_t nic_sa_join(struct nic *nic, uint64_t comps, uint8_t *rec)
{
	uint16_t st = check_asker(nic, comps, rec);

	if (st)
		return st;
	pthread_mutex_lock(&nic_net.lock);
	/* A port that went down meanwhile has left everything and stays out. */
	st = nic_port_is_up(nic) ? join_locked(nic, comps, rec) : IB_SA_DENIED;
	pthread_mutex_unlock(&nic_net.lock);
	return st;
}

uint16_t nic_sa_leave(struct nic *nic, uint64_t comps, uint8_t *rec)
{
	uint16_t st = check_asker(nic, comps, rec);

	if (st)
		return st;
	pthread_mutex_lock(&nic_net.lock);
	st = leave_locked(nic, comps, rec);
	pthread_mutex_unlock(&nic_net.lock);
	return st;
}
