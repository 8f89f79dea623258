/* SPDX-License-Identifier: MIT */
/*
 * The subnet's state, for the management files only (net.c port.c mcast.c mad.c smi.c pma.c sa*.c).
 *
 * Picture the guests get: every NIC hangs on one port of one virtual switch. The switch's port 0
 * has the LID NIC_SM_LID; subnet manager and administration live there. NICs joined by mdl_link()
 * see a switch of their own with the two of them on it; all others share one. A NIC keeps its
 * switch port (slot + 1) and its LID (NIC_LID_FIRST + slot) for life.
 */
#ifndef PEERDMA_MODELS_NIC_SUBNET_H
#define PEERDMA_MODELS_NIC_SUBNET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/ib_mad.h"
#include "models/nic/internal.h"
#include "models/nic/sa_rmpp.h"

#define NIC_NET_PORTS  40 /* of the switch, hence NICs in a process */
#define NIC_MCGROUPS   1024
#define NIC_MCG_BY_NIC 100  /* groups one NIC may have brought to life at a time */
#define NIC_MCG_ATTACH 4096 /* attached QPs of one group */

#define NIC_SWITCH_DESC	 "peerdma virtual switch"
#define NIC_SWITCH_GUID	 0x0270656572000001ull
#define NIC_DEFAULT_PKEY 0xffff
#define NIC_PREFIX	 0xfe80000000000000ull

/* What every link of the subnet is: 4x EDR, MTU 4096 */
#define NIC_LINK_4X	2
#define NIC_LINK_EDR	2 /* extended speed; the plain speed is then shown as QDR */
#define NIC_LINK_QDR	4
#define NIC_MTU_4096	5
#define NIC_RATE_100G	16
#define NIC_LIFE_TIME	15 /* 4.096 us << 15 = 134 ms */
#define NIC_SUBNET_TIME 18
#define NIC_RESP_TIME	16

/* Rate limit of management datagrams a NIC may have answered */
#define NIC_MAD_BURST  2000
#define NIC_MAD_PER_MS 20

struct nic_net_slot {
	struct nic *_Atomic nic; /* NULL = free */
	/* under nic_net.lock */
	bool was_linked;
	uint64_t pm_base[NIC_PC_COUNT];	 /* what PortCounters counts from */
	uint64_t pmx_base[NIC_PC_COUNT]; /* the same for PortCountersExtended */
	unsigned groups;		 /* multicast groups made by its joins */
	uint64_t tokens, token_ns;
	struct nic_rmpp rmpp[NIC_RMPP_MAX];
};

struct nic_net {
	pthread_mutex_t lock; /* leaf: nothing but malloc is called under it */
	struct nic_net_slot slot[NIC_NET_PORTS];
	uint64_t mkey; /* only the subnet manager knows it */
};

extern struct nic_net nic_net;

/* The slot a NIC has, or NIC_NET_PORTS before it joined. */
static inline unsigned nic_net_slot_of(const struct nic *nic)
{
	unsigned i = (unsigned)atomic_load(&nic->port.lid) - NIC_LID_FIRST;

	return i < NIC_NET_PORTS ? i : NIC_NET_PORTS;
}

static inline bool nic_port_is_up(const struct nic *nic)
{
	return atomic_load(&nic->port.state) == NIC_PS_ACTIVE;
}

/* Do the two hang on the same switch? Whether the ports are up does not matter. */
bool nic_net_same(const struct nic *a, const struct nic *b);
/* The NIC on port 1..NIC_NET_PORTS of the switch as `from` sees it, if its port is up; or NULL. */
struct nic *nic_net_at(const struct nic *from, unsigned port);

void nic_gid_of(const struct nic *nic, uint8_t gid[16]);

/* mcast.c: what subnet administration knows about one group. All under nic_net.lock. */
struct nic_mcgroup {
	_Atomic uint32_t seq;			/* odd while the identity below changes */
	_Atomic uint64_t mgid[2];		/* as it lies in memory; 0, 0 = free */
	_Atomic uint16_t mlid;			/* 0 = subnet administration does not know it */
	_Atomic uint64_t receivers;		/* bit n: slot n is a full or non member */
	struct nic_mc_attach *_Atomic attached; /* or NULL */
	uint8_t state[NIC_NET_PORTS];		/* join state of each slot */
	uint8_t rec[IB_MC_SIZE];		/* the record without port GID and join state */
	uint8_t maker;				/* slot that made it, or NIC_NET_PORTS */
};

struct nic_mcgroup *nic_mc_find_locked(const uint8_t mgid[16]);
struct nic_mcgroup *nic_mc_at_locked(unsigned idx); /* NULL past the last in use */
/* Add or find; then give it a MLID. Return: NULL when the table (or the NIC's share) is full. */
struct nic_mcgroup *nic_mc_make_locked(unsigned slot, const uint8_t rec[IB_MC_SIZE]);
/* Set what a member is; 0 leaves. A group nobody is in ends, save the broadcast group. */
void nic_mc_set_state_locked(struct nic_mcgroup *g, unsigned slot, uint8_t state);
/* The port went down: it leaves all groups. */
void nic_mc_leave_all_locked(unsigned slot);
void nic_mc_init_locked(void);

#endif
