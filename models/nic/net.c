// SPDX-License-Identifier: MIT
/* Who is on the subnet, and who reaches whom. */
#include "models/nic/net.h"

#include <string.h>

#include "models/nic/subnet.h"

struct nic_net nic_net = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct nic *nic_at_slot(unsigned slot)
{
	return slot < NIC_NET_PORTS ?
		       atomic_load_explicit(&nic_net.slot[slot].nic, memory_order_acquire) :
		       NULL;
}

bool nic_net_same(const struct nic *a, const struct nic *b)
{
	struct nic *pa, *pb;

	if (a == b)
		return true;
	pa = atomic_load(&a->port.cabled_to);
	pb = atomic_load(&b->port.cabled_to);
	return pa == b ? pb == a : !pa && !pb;
}

struct nic *nic_net_at(const struct nic *from, unsigned port)
{
	struct nic *nic = port ? nic_at_slot(port - 1) : NULL;

	return nic && nic_port_is_up(nic) && nic_net_same(from, nic) ? nic : NULL;
}

struct nic *nic_net_find_lid(struct nic *from, uint16_t lid)
{
	struct nic *nic = nic_at_slot((unsigned)lid - NIC_LID_FIRST);

	if (!nic || !nic_port_is_up(from) || !nic_port_is_up(nic))
		return NULL;
	return nic_net_same(from, nic) ? nic : NULL;
}

void nic_gid_of(const struct nic *nic, uint8_t gid[16])
{
	memcpy(gid, nic->port.subnet_prefix, 8);
	mlx5_set64(gid, 8, nic->port.guid);
}

struct nic *nic_net_find_gid(struct nic *from, const uint8_t gid[16])
{
	uint8_t theirs[16];
	struct nic *nic;
	unsigned i;

	if (!nic_port_is_up(from))
		return NULL;
	for (i = 1; i <= NIC_NET_PORTS; i++) {
		nic = nic_net_at(from, i);
		if (!nic)
			continue;
		nic_gid_of(nic, theirs);
		if (!memcmp(theirs, gid, 16))
			return nic;
	}
	return NULL;
}
