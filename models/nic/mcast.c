// SPDX-License-Identifier: MIT
/*
 * Multicast groups: which QPs attached to one, and which ports subnet administration let in. Frames
 * are replicated from here without a lock; entries of an attach list are never reused in place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/nic/net.h"
#include "models/nic/subnet.h"

#define DEAD UINT32_MAX

struct nic_mc_attach {
	unsigned n;
	struct {
		struct nic *nic;
		_Atomic uint32_t qpn; /* DEAD = detached */
	} m[];
};

static struct nic_mcgroup groups[NIC_MCGROUPS];
static _Atomic unsigned n_groups; /* entries ever used; grows only */

static void mgid_words(const uint8_t mgid[16], uint64_t w[2])
{
	memcpy(w, mgid, 16);
}

/* ---- the table, under the lock ---- */

static bool is_free(const struct nic_mcgroup *g)
{
	return !atomic_load(&g->mgid[0]);
}

static void set_identity(struct nic_mcgroup *g, const uint64_t w[2])
{
	atomic_fetch_add(&g->seq, 1);
	atomic_store(&g->mgid[0], w[0]);
	atomic_store(&g->mgid[1], w[1]);
	atomic_fetch_add(&g->seq, 1);
}

static struct nic_mcgroup *find_entry(const uint64_t w[2])
{
	unsigned i, n = atomic_load(&n_groups);

	for (i = 0; w[0] && i < n; i++)
		if (atomic_load(&groups[i].mgid[0]) == w[0] &&
		    atomic_load(&groups[i].mgid[1]) == w[1])
			return &groups[i];
	return NULL;
}

static struct nic_mcgroup *add_entry(const uint64_t w[2], unsigned slot)
{
	unsigned i;

	if (slot < NIC_NET_PORTS && nic_net.slot[slot].groups >= NIC_MCG_BY_NIC)
		return NULL;
	for (i = 0; i < NIC_MCGROUPS && !is_free(&groups[i]); i++)
		;
	if (i == NIC_MCGROUPS)
		return NULL;
	if (slot < NIC_NET_PORTS)
		nic_net.slot[slot].groups++;
	groups[i].maker = (uint8_t)slot;
	set_identity(&groups[i], w);
	if (i >= atomic_load(&n_groups))
		atomic_store(&n_groups, i + 1);
	return &groups[i];
}

static bool has_members(const struct nic_mcgroup *g)
{
	unsigned i;

	for (i = 0; i < NIC_NET_PORTS; i++)
		if (g->state[i])
			return true;
	return false;
}

/* The group ends for subnet administration without members, and altogether without attachments. */
static void drop_unused(struct nic_mcgroup *g)
{
	static const uint64_t none[2];

	if (g->maker == NIC_NET_PORTS || has_members(g))
		return;
	atomic_store(&g->mlid, 0);
	if (atomic_load(&g->attached))
		return;
	if (nic_net.slot[g->maker].groups)
		nic_net.slot[g->maker].groups--;
	set_identity(g, none);
}

struct nic_mcgroup *nic_mc_find_locked(const uint8_t mgid[16])
{
	struct nic_mcgroup *g;
	uint64_t w[2];

	mgid_words(mgid, w);
	g = find_entry(w);
	return g && atomic_load(&g->mlid) ? g : NULL;
}

struct nic_mcgroup *nic_mc_at_locked(unsigned idx)
{
	return idx < atomic_load(&n_groups) ? &groups[idx] : NULL;
}

struct nic_mcgroup *nic_mc_make_locked(unsigned slot, const uint8_t rec[IB_MC_SIZE])
{
	struct nic_mcgroup *g;
	uint64_t w[2];

	mgid_words(rec + IB_MC_MGID, w);
	if (!w[0])
		return NULL;
	g = find_entry(w);
	if (!g)
		g = add_entry(w, slot);
	if (!g || atomic_load(&g->mlid))
		return g;
	memcpy(g->rec, rec, IB_MC_SIZE);
	mlx5_set(g->rec, IB_MC_MLID, NIC_MLID_FIRST + (uint32_t)(g - groups));
	memset(g->rec + IB_MC_PORT_GID, 0, 16);
	mlx5_set(g->rec, IB_MC_JOIN_STATE, 0);
	atomic_store(&g->mlid, (uint16_t)(NIC_MLID_FIRST + (g - groups)));
	return g;
}

void nic_mc_set_state_locked(struct nic_mcgroup *g, unsigned slot, uint8_t state)
{
	g->state[slot] = state;
	if (state & (IB_JOIN_FULL | IB_JOIN_NON))
		atomic_fetch_or(&g->receivers, 1ull << slot);
	else
		atomic_fetch_and(&g->receivers, ~(1ull << slot));
	if (!state)
		drop_unused(g);
}

void nic_mc_leave_all_locked(unsigned slot)
{
	unsigned i, n = atomic_load(&n_groups);

	for (i = 0; i < n; i++)
		if (groups[i].state[slot])
			nic_mc_set_state_locked(&groups[i], slot, 0);
}

/* The IPv4 broadcast group exists from the start: IPoIB joins it without saying how to make it. */
void nic_mc_init_locked(void)
{
	static const uint8_t mgid[16] = { 0xff, 0x12, 0x40, 0x1b, 0xff, 0xff, 0,    0,
					  0,	0,    0,    0,	  0xff, 0xff, 0xff, 0xff };
	uint8_t rec[IB_MC_SIZE] = { 0 };

	memcpy(rec + IB_MC_MGID, mgid, 16);
	mlx5_set(rec, IB_MC_QKEY, 0x0b1b);
	mlx5_set(rec, IB_MC_PKEY, NIC_DEFAULT_PKEY);
	mlx5_set(rec, IB_MC_MTU_SEL, 2);
	mlx5_set(rec, IB_MC_MTU, NIC_MTU_4096);
	mlx5_set(rec, IB_MC_RATE_SEL, 2);
	mlx5_set(rec, IB_MC_RATE, NIC_RATE_100G);
	mlx5_set(rec, IB_MC_LIFE_SEL, 2);
	mlx5_set(rec, IB_MC_LIFE, NIC_LIFE_TIME);
	mlx5_set(rec, IB_MC_SCOPE, 2);
	nic_mc_make_locked(NIC_NET_PORTS, rec);
}

/* ---- attaching ---- */

static bool is_attached(const struct nic_mc_attach *a, const struct nic *nic, uint32_t qpn)
{
	unsigned i;

	for (i = 0; a && i < a->n; i++)
		if (a->m[i].nic == nic && atomic_load(&a->m[i].qpn) == qpn)
			return true;
	return false;
}

/* A copy of the list without the dead, and one more. Return: NULL without memory or when full. */
static struct nic_mc_attach *grown(const struct nic_mc_attach *a, struct nic *nic, uint32_t qpn)
{
	struct nic_mc_attach *b;
	unsigned i, n = 0;

	b = malloc(sizeof(*b) + ((a ? a->n : 0) + 1) * sizeof(b->m[0]));
	for (i = 0; b && a && i < a->n; i++) {
		if (atomic_load(&a->m[i].qpn) == DEAD)
			continue;
		b->m[n].nic = a->m[i].nic;
		atomic_init(&b->m[n++].qpn, atomic_load(&a->m[i].qpn));
	}
	if (!b || n >= NIC_MCG_ATTACH) {
		free(b);
		return NULL;
	}
	b->m[n].nic = nic;
	atomic_init(&b->m[n].qpn, qpn);
	b->n = n + 1;
	return b;
}

static int attach_locked(struct nic *nic, const uint64_t w[2], uint32_t qpn,
			 struct nic_mc_attach **ret_old)
{
	struct nic_mcgroup *g = find_entry(w);
	struct nic_mc_attach *b;

	if (!g)
		g = add_entry(w, nic_net_slot_of(nic));
	if (!g)
		return -ENOSPC;
	*ret_old = atomic_load(&g->attached);
	if (is_attached(*ret_old, nic, qpn)) {
		*ret_old = NULL;
		return 0;
	}
	b = grown(*ret_old, nic, qpn);
	if (!b) {
		*ret_old = NULL;
		drop_unused(g);
		return -ENOMEM;
	}
	atomic_store(&g->attached, b);
	return 0;
}

int nic_net_attach(struct nic *nic, const uint8_t mgid[16], uint32_t qpn)
{
	struct nic_mc_attach *old = NULL;
	uint64_t w[2];
	int r;

	mgid_words(mgid, w);
	if (mgid[0] != 0xff || qpn == DEAD || nic_net_slot_of(nic) == NIC_NET_PORTS)
		return -EINVAL;
	pthread_mutex_lock(&nic_net.lock);
	r = attach_locked(nic, w, qpn, &old);
	pthread_mutex_unlock(&nic_net.lock);
	if (old)
		nic_epoch_sync();
	free(old);
	return r;
}

/* Kill matching entries; a list of dead ones only is taken out and returned. */
static struct nic_mc_attach *kill_locked(struct nic_mcgroup *g, const struct nic *nic, uint32_t qpn,
					 bool all, unsigned *ret_killed)
{
	struct nic_mc_attach *a = atomic_load(&g->attached);
	unsigned i, live = 0, killed = 0;

	for (i = 0; a && i < a->n; i++) {
		uint32_t q = atomic_load(&a->m[i].qpn);

		if (q != DEAD && a->m[i].nic == nic && (all || q == qpn)) {
			atomic_store(&a->m[i].qpn, DEAD);
			killed++;
		} else if (q != DEAD) {
			live++;
		}
	}
	*ret_killed += killed;
	if (live || !killed)
		return NULL;
	atomic_store(&g->attached, NULL);
	drop_unused(g);
	return a;
}

int nic_net_detach(struct nic *nic, const uint8_t mgid[16], uint32_t qpn)
{
	struct nic_mc_attach *old = NULL;
	struct nic_mcgroup *g;
	unsigned killed = 0;
	uint64_t w[2];

	mgid_words(mgid, w);
	pthread_mutex_lock(&nic_net.lock);
	g = find_entry(w);
	if (g)
		old = kill_locked(g, nic, qpn, false, &killed);
	pthread_mutex_unlock(&nic_net.lock);
	if (old)
		nic_epoch_sync();
	free(old);
	return killed ? 0 : -ENOENT;
}

void nic_net_detach_all(struct nic *nic, uint32_t qpn)
{
	struct nic_mc_attach *old;
	bool all = qpn >= 0xffffff; /* not a QP's number: all of the NIC */
	unsigned i, killed = 0, n = atomic_load(&n_groups);

	for (i = 0; i < n; i++) {
		if (!atomic_load(&groups[i].attached))
			continue;
		pthread_mutex_lock(&nic_net.lock);
		old = kill_locked(&groups[i], nic, qpn, all, &killed);
		pthread_mutex_unlock(&nic_net.lock);
		if (old)
			nic_epoch_sync();
		free(old);
	}
}

/* ---- replication ---- */

/* Is g the group, and unchanged while we looked? */
static bool is_group(struct nic_mcgroup *g, const uint64_t w[2])
{
	uint32_t seq = atomic_load(&g->seq);
	bool same = atomic_load(&g->mgid[0]) == w[0] && atomic_load(&g->mgid[1]) == w[1];

	return same && !(seq & 1) && atomic_load(&g->seq) == seq;
}

static bool reaches(struct nic *from, struct nic *to, const struct nic_mcgroup *g, uint16_t mlid)
{
	unsigned slot = nic_net_slot_of(to);

	if (to == from)
		return true;
	return slot < NIC_NET_PORTS && atomic_load(&g->mlid) == mlid &&
	       (atomic_load(&g->receivers) >> slot & 1) && nic_port_is_up(from) &&
	       nic_port_is_up(to) && nic_net_same(from, to);
}

void nic_net_mcast(struct nic *from, const uint8_t mgid[16], uint16_t mlid,
		   void (*fn)(void *arg, struct nic *nic, uint32_t qpn), void *arg)
{
	unsigned i, k, n = atomic_load(&n_groups);
	struct nic_mc_attach *a = NULL;
	uint64_t w[2];

	mgid_words(mgid, w);
	for (i = 0; w[0] && i < n && !a; i++)
		if (is_group(&groups[i], w))
			a = atomic_load(&groups[i].attached);
	for (k = 0; a && k < a->n; k++) {
		uint32_t qpn = atomic_load(&a->m[k].qpn);

		if (qpn != DEAD && reaches(from, a->m[k].nic, &groups[i - 1], mlid))
			fn(arg, a->m[k].nic, qpn);
	}
}
