/* SPDX-License-Identifier: MIT */
/*
 * The one port: LID, GID, pkeys, state, counters. Owner: mgmt (port.c), except the commands that
 * show it (port_cmd.c, lead). Members marked "net" are under nic_net's lock.
 */
#ifndef PEERDMA_MODELS_NIC_PORT_H
#define PEERDMA_MODELS_NIC_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nic;

#define NIC_PKEYS 128
#define NIC_GIDS  8

enum nic_port_state { NIC_PS_DOWN = 1, NIC_PS_INIT = 2, NIC_PS_ARMED = 3, NIC_PS_ACTIVE = 4 };

enum nic_port_count {
	NIC_PC_XMIT_DATA, /* dwords */
	NIC_PC_RCV_DATA,
	NIC_PC_XMIT_PKTS,
	NIC_PC_RCV_PKTS,
	NIC_PC_UCAST_XMIT,
	NIC_PC_UCAST_RCV,
	NIC_PC_MCAST_XMIT,
	NIC_PC_MCAST_RCV,
	NIC_PC_SYMBOL_ERR, /* corrupted on the cable */
	NIC_PC_LINK_DOWNED,
	NIC_PC_LINK_RECOVERY,
	NIC_PC_RCV_ERR,
	NIC_PC_XMIT_DISCARD,
	NIC_PC_VL15_DROPPED,
	NIC_PC_PKEY_VIOL,
	NIC_PC_QKEY_VIOL,
	NIC_PC_XMIT_WAIT,
	NIC_PC_COUNT
};

struct nic_port {
	uint64_t guid, system_guid; /* constant */
	uint8_t subnet_prefix[8];
	/* read anywhere */
	_Atomic uint16_t lid, sm_lid;
	_Atomic uint8_t state; /* enum nic_port_state */
	_Atomic uint8_t phys;  /* 5 = link up, 2 = polling */
	_Atomic uint32_t cap_mask;
	_Atomic uint16_t pkey[NIC_PKEYS];
	_Atomic uint64_t count[NIC_PC_COUNT];
	_Atomic uint32_t pkey_violations, qkey_violations;
	atomic_bool admin_down; /* the guest's wish (PAOS, PortInfo); call nic_port_update after */
	/* mgmt: the NIC at the other end of the cable, itself when that is gone; NULL = switch */
	struct nic *_Atomic cabled_to;
	uint8_t lmc, sm_sl, mtu_enum, vl_cap;
	uint8_t node_desc[64]; /* net: nic_port_get_desc, nic_port_set_desc */
};

/* mgmt: join and leave the subnet: a LID is given, the port goes up when its cable does. */
int nic_port_init(struct nic *nic);
void nic_port_fini(struct nic *nic); /* also when nic_port_init failed or never ran */
/* mgmt: the cable's or the guest's wish changed (link_changed, PAOS, HCA init and teardown). */
void nic_port_update(struct nic *nic);

/* Node description as others see it; any thread. */
void nic_port_get_desc(struct nic *nic, uint8_t desc[64]);
void nic_port_set_desc(struct nic *nic, const uint8_t desc[64]);

static inline void nic_port_count_add(struct nic_port *p, enum nic_port_count c, uint64_t n)
{
	atomic_fetch_add_explicit(&p->count[c], n, memory_order_relaxed);
}

#endif
