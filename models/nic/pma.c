// SPDX-License-Identifier: MIT
/* Performance management: the port's counters. The switch shows a NIC's from the other end. */
#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/net.h"
#include "models/nic/subnet.h"

#define ALL_PORTS 0xff
#define NONE	  NIC_PC_COUNT

struct pm_field {
	mlx5_field f;
	uint8_t count;	/* enum nic_port_count */
	uint8_t mirror; /* what the switch's end of the cable counts there */
	uint8_t select; /* bit of CounterSelect that resets it; 16 = the first of CounterSelect2 */
};

static const struct pm_field classic[] = {
	{ IB_PC_SYMBOL_ERR, NIC_PC_SYMBOL_ERR, NONE, 0 },
	{ IB_PC_LINK_RECOVERY, NIC_PC_LINK_RECOVERY, NIC_PC_LINK_RECOVERY, 1 },
	{ IB_PC_LINK_DOWNED, NIC_PC_LINK_DOWNED, NIC_PC_LINK_DOWNED, 2 },
	{ IB_PC_RCV_ERR, NIC_PC_RCV_ERR, NONE, 3 },
	{ IB_PC_XMIT_DISCARD, NIC_PC_XMIT_DISCARD, NONE, 6 },
	{ IB_PC_RCV_CONSTRAINT, NIC_PC_PKEY_VIOL, NONE, 8 },
	{ IB_PC_VL15_DROPPED, NIC_PC_VL15_DROPPED, NONE, 11 },
	{ IB_PC_XMIT_DATA, NIC_PC_XMIT_DATA, NIC_PC_RCV_DATA, 12 },
	{ IB_PC_RCV_DATA, NIC_PC_RCV_DATA, NIC_PC_XMIT_DATA, 13 },
	{ IB_PC_XMIT_PKTS, NIC_PC_XMIT_PKTS, NIC_PC_RCV_PKTS, 14 },
	{ IB_PC_RCV_PKTS, NIC_PC_RCV_PKTS, NIC_PC_XMIT_PKTS, 15 },
	{ IB_PC_XMIT_WAIT, NIC_PC_XMIT_WAIT, NONE, 16 },
};

static const struct pm_field extended[] = {
	{ IB_PCX_XMIT_DATA, NIC_PC_XMIT_DATA, NIC_PC_RCV_DATA, 0 },
	{ IB_PCX_RCV_DATA, NIC_PC_RCV_DATA, NIC_PC_XMIT_DATA, 1 },
	{ IB_PCX_XMIT_PKTS, NIC_PC_XMIT_PKTS, NIC_PC_RCV_PKTS, 2 },
	{ IB_PCX_RCV_PKTS, NIC_PC_RCV_PKTS, NIC_PC_XMIT_PKTS, 3 },
	{ IB_PCX_UCAST_XMIT, NIC_PC_UCAST_XMIT, NIC_PC_UCAST_RCV, 4 },
	{ IB_PCX_UCAST_RCV, NIC_PC_UCAST_RCV, NIC_PC_UCAST_XMIT, 5 },
	{ IB_PCX_MCAST_XMIT, NIC_PC_MCAST_XMIT, NIC_PC_MCAST_RCV, 6 },
	{ IB_PCX_MCAST_RCV, NIC_PC_MCAST_RCV, NIC_PC_MCAST_XMIT, 7 },
};

static uint64_t max_of(mlx5_field f)
{
	return mlx5_field_is_quad(f) ? UINT64_MAX : mlx5_field_mask(f);
}

/* Counters of this class stick at their largest value. */
static void add_to(uint8_t *d, mlx5_field f, uint64_t n)
{
	uint64_t old = mlx5_get(d, f), max = max_of(f);

	mlx5_set(d, f, n > max - old ? max : old + n);
}

static void reset_locked(struct nic *nic, uint64_t *base, const struct pm_field *t, unsigned n,
			 uint32_t select)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (select >> t[i].select & 1)
			base[t[i].count] = atomic_load(&nic->port.count[t[i].count]);
}

/* Counters go back to zero when the driver clears them by command: then the base goes, too. */
static void show_locked(struct nic *nic, uint64_t *base, const struct pm_field *t, unsigned n,
			uint8_t *d)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		uint64_t now = atomic_load(&nic->port.count[t[i].count]);

		if (now < base[t[i].count])
			base[t[i].count] = 0;
		add_to(d, t[i].f, now - base[t[i].count]);
	}
}

static void show_switch(struct nic *viewer, uint32_t port, const struct pm_field *t, unsigned n,
			uint8_t *d)
{
	struct nic *nic = nic_net_at(viewer, port);
	unsigned i;

	for (i = 0; nic && i < n; i++)
		if (t[i].mirror != NONE)
			add_to(d, t[i].f, atomic_load(&nic->port.count[t[i].mirror]));
}

static uint16_t of_switch(const struct nic_agent_at *at, bool set, const struct pm_field *t,
			  unsigned n, uint8_t *d)
{
	uint32_t port = (uint32_t)mlx5_get(d, IB_PC_PORT), i;

	if (set)
		return IB_STATUS_BAD_ATTR; /* seen from the other end: reset them there */
	if (port > NIC_NET_PORTS && port != ALL_PORTS)
		return IB_STATUS_BAD_VALUE;
	memset(d, 0, 4);
	memset(d + 4, 0, IB_MAD_SIZE - IB_PM_DATA_OFF - 4);
	mlx5_set(d, IB_PC_PORT, port);
	for (i = 1; i <= NIC_NET_PORTS; i++)
		if (port == ALL_PORTS || port == i)
			show_switch(at->viewer, i, t, n, d);
	return 0;
}

static uint16_t of_nic(const struct nic_agent_at *at, bool set, bool ext, uint8_t *d)
{
	const struct pm_field *t = ext ? extended : classic;
	unsigned n =
		ext ? sizeof(extended) / sizeof(extended[0]) : sizeof(classic) / sizeof(classic[0]);
	uint32_t port = (uint32_t)mlx5_get(d, IB_PC_PORT), select;
	unsigned slot = nic_net_slot_of(at->nic);
	uint64_t *base;

	if ((port != 1 && port != ALL_PORTS) || slot == NIC_NET_PORTS)
		return IB_STATUS_BAD_VALUE;
	select = (uint32_t)mlx5_get(d, IB_PC_SELECT);
	if (!ext)
		select |= (uint32_t)mlx5_get(d, IB_PC_SELECT2) << 16;
	memset(d, 0, IB_MAD_SIZE - IB_PM_DATA_OFF);
	mlx5_set(d, IB_PC_PORT, port);
	base = ext ? nic_net.slot[slot].pmx_base : nic_net.slot[slot].pm_base;
	pthread_mutex_lock(&nic_net.lock);
	if (set)
		reset_locked(at->nic, base, t, n, select);
	show_locked(at->nic, base, t, n, d);
	pthread_mutex_unlock(&nic_net.lock);
	return 0;
}

static uint16_t class_info(uint8_t *d)
{
	memset(d, 0, IB_MAD_SIZE - IB_PM_DATA_OFF);
	mlx5_set(d, IB_CPI_BASE_VERSION, 1);
	mlx5_set(d, IB_CPI_CLASS_VERSION, 1);
	mlx5_set(d, IB_CPI_CAP_MASK, IB_PM_CAP_ALL_PORTS | IB_PM_CAP_EXT | IB_PM_CAP_XMIT_WAIT);
	mlx5_set(d, IB_CPI_RESP_TIME, NIC_RESP_TIME);
	return 0;
}

static uint16_t counters(const struct nic_agent_at *at, bool set, bool ext, uint8_t *d)
{
	if (at->nic)
		return of_nic(at, set, ext, d);
	return ext ? of_switch(at, set, extended, sizeof(extended) / sizeof(extended[0]), d) :
		     of_switch(at, set, classic, sizeof(classic) / sizeof(classic[0]), d);
}

void nic_pma_answer(const struct nic_agent_at *at, uint8_t *mad)
{
	uint8_t *d = mad + IB_PM_DATA_OFF;
	bool set = mad[3] == IB_METHOD_SET;
	uint16_t st;

	switch (mlx5_get(mad, IB_MAD_ATTR_ID)) {
	case IB_PM_CLASS_INFO:
		st = set ? IB_STATUS_BAD_ATTR : class_info(d);
		break;
	case IB_PM_COUNTERS:
		st = counters(at, set, false, d);
		break;
	case IB_PM_COUNTERS_EXT:
		st = counters(at, set, true, d);
		break;
	default:
		st = IB_STATUS_BAD_ATTR;
	}
	nic_mad_status(mad, st);
}
