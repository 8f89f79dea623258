// SPDX-License-Identifier: MIT
/* The port: joining and leaving the subnet, going up and down. */
#include "models/nic/port.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "models/common/node.h"
#include "models/nic/subnet.h"

/* Bits of PortInfo's capability mask */
#define CAP_SL_MAP	 (1u << 6)
#define CAP_EXT_SPEEDS	 (1u << 14)
#define CAP_CM		 (1u << 16)
#define CAP_CLIENT_REREG (1u << 25)
#define CAP_SYS_IMAGE	 (1u << 11)

/* A GUID that is the same in every run: locally administered, from the names. FNV-1a. */
static uint64_t hash(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return (h ^ 0xff) * 0x100000001b3ull;
}

static void init_names(struct nic *nic)
{
	struct nic_port *p = &nic->port;
	const char *node = mdl_node_name(mdl_device_node(nic->dev));
	const char *dev = mdl_device_name(nic->dev);
	uint64_t h = hash(hash(0xcbf29ce484222325ull, node), dev);

	p->guid = (h & 0x00ffffffffffffffull) | 0x0200000000000000ull;
	p->system_guid = p->guid;
	mlx5_set64(p->subnet_prefix, 0, NIC_PREFIX);
	strncpy((char *)p->node_desc, node, sizeof(p->node_desc) - 1);
	strncat((char *)p->node_desc, " ", sizeof(p->node_desc) - 1 - strlen((char *)p->node_desc));
	strncat((char *)p->node_desc, dev, sizeof(p->node_desc) - 1 - strlen((char *)p->node_desc));
}

static void init_fields(struct nic_port *p)
{
	p->mtu_enum = NIC_MTU_4096;
	p->vl_cap = 1;
	atomic_store(&p->pkey[0], NIC_DEFAULT_PKEY);
	atomic_store(&p->cap_mask,
		     CAP_SL_MAP | CAP_EXT_SPEEDS | CAP_CM | CAP_CLIENT_REREG | CAP_SYS_IMAGE);
	atomic_store(&p->state, NIC_PS_DOWN);
	atomic_store(&p->phys, 2);
}

static int take_slot_locked(struct nic *nic)
{
	struct nic_net_slot *s;
	unsigned i;

	if (!nic_net.mkey) {
		if (getrandom(&nic_net.mkey, sizeof(nic_net.mkey), 0) != sizeof(nic_net.mkey))
			return -EIO;
		nic_net.mkey |= 1;
		nic_mc_init_locked();
	}
	for (i = 0; i < NIC_NET_PORTS && atomic_load(&nic_net.slot[i].nic); i++)
		;
	if (i == NIC_NET_PORTS)
		return -ENOSPC;
	s = &nic_net.slot[i];
	s->was_linked = false;
	s->groups = 0;
	s->tokens = NIC_MAD_BURST;
	s->token_ns = mdl_now_ns();
	memset(s->pm_base, 0, sizeof(s->pm_base));
	memset(s->pmx_base, 0, sizeof(s->pmx_base));
	atomic_store(&nic->port.sm_lid, NIC_SM_LID);
	atomic_store(&nic->port.lid, (uint16_t)(NIC_LID_FIRST + i));
	atomic_store(&s->nic, nic);
	return 0;
}

int nic_port_init(struct nic *nic)
{
	int r;

	init_names(nic);
	init_fields(&nic->port);
	pthread_mutex_lock(&nic_net.lock);
	r = take_slot_locked(nic);
	pthread_mutex_unlock(&nic_net.lock);
	if (!r)
		nic_port_update(nic);
	return r;
}

void nic_port_fini(struct nic *nic)
{
	unsigned i = nic_net_slot_of(nic), k;

	if (i == NIC_NET_PORTS || atomic_load(&nic_net.slot[i].nic) != nic)
		return;
	nic_net_detach_all(nic, 0xffffffff);
	pthread_mutex_lock(&nic_net.lock);
	atomic_store(&nic->port.state, NIC_PS_DOWN);
	nic_mc_leave_all_locked(i);
	for (k = 0; k < NIC_RMPP_MAX; k++)
		nic_rmpp_end(&nic_net.slot[i].rmpp[k]);
	for (k = 0; k < NIC_NET_PORTS; k++) {
		struct nic *other = atomic_load(&nic_net.slot[k].nic);

		if (other && atomic_load(&other->port.cabled_to) == nic)
			atomic_store(&other->port.cabled_to, other);
	}
	atomic_store(&nic_net.slot[i].nic, NULL);
	pthread_mutex_unlock(&nic_net.lock);
}

/* The NIC at the other end of the cable; itself once it had a cable that is gone; NULL = switch. */
static struct nic *cable_end_locked(struct nic *nic, unsigned slot)
{
	struct mdl_device *peer = mdl_link_peer(nic->dev);
	struct nic_net_slot *s = &nic_net.slot[slot];
	struct nic *other = NULL;
	unsigned i;

	for (i = 0; peer && i < NIC_NET_PORTS && !other; i++) {
		other = atomic_load(&nic_net.slot[i].nic);
		if (other && other->dev != peer)
			other = NULL;
	}
	if (peer)
		s->was_linked = true;
	return other ? other : s->was_linked ? nic : NULL;
}

/* Return: true when it changed. */
static bool update_locked(struct nic *nic, unsigned slot)
{
	struct nic_port *p = &nic->port;
	bool up = atomic_load(&nic->hca_state) == NIC_HCA_INIT;

	/* Without a driver the wish is forgotten: tools cannot open a port that is down. */
	if (!up)
		atomic_store(&p->admin_down, false);
	if (atomic_load(&p->admin_down))
		up = false;
	atomic_store(&p->cabled_to, cable_end_locked(nic, slot));
	if (nic_net.slot[slot].was_linked && !mdl_link_is_up(nic->dev))
		up = false;
	if (up == nic_port_is_up(nic))
		return false;
	atomic_store(&p->state, up ? NIC_PS_ACTIVE : NIC_PS_DOWN);
	atomic_store(&p->phys, up ? 5 : atomic_load(&p->admin_down) ? 3 : 2);
	if (!up) {
		nic_port_count_add(p, NIC_PC_LINK_DOWNED, 1);
		nic_mc_leave_all_locked(slot);
	}
	return true;
}

void nic_port_update(struct nic *nic)
{
	unsigned slot = nic_net_slot_of(nic);
	bool changed;

	if (slot == NIC_NET_PORTS)
		return;
	pthread_mutex_lock(&nic_net.lock);
	changed = atomic_load(&nic_net.slot[slot].nic) == nic && update_locked(nic, slot);
	pthread_mutex_unlock(&nic_net.lock);
	if (!changed)
		return;
	/*
	 * That what was joined must be joined again goes with port-down. Linux does not bear a
	 * client-reregister event right behind port-active: IPoIB's join of the one, which fails
	 * while the address of the subnet manager is looked up anew, races with the flush of the
	 * other and touches freed memory.
	 */
	nic_event_port(nic, nic_port_is_up(nic) ? NIC_PORT_ACTIVE : NIC_PORT_DOWN);
}

void nic_port_get_desc(struct nic *nic, uint8_t desc[64])
{
	pthread_mutex_lock(&nic_net.lock);
	memcpy(desc, nic->port.node_desc, 64);
	pthread_mutex_unlock(&nic_net.lock);
}

void nic_port_set_desc(struct nic *nic, const uint8_t desc[64])
{
	pthread_mutex_lock(&nic_net.lock);
	memcpy(nic->port.node_desc, desc, 64);
	pthread_mutex_unlock(&nic_net.lock);
}
