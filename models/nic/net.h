/* SPDX-License-Identifier: MIT */
/*
 * The InfiniBand subnet of this process: who has which LID and GID, multicast groups and their
 * members, and the subnet manager's tables. Owner: mgmt (net.c, sa.c, mcast.c).
 */
#ifndef PEERDMA_MODELS_NIC_NET_H
#define PEERDMA_MODELS_NIC_NET_H

#include <stdbool.h>
#include <stdint.h>

struct nic;

#define NIC_SM_LID     1 /* the switch's port 0, where SM and SA live */
#define NIC_LID_FIRST  2
#define NIC_MLID_FIRST 0xc000

/*
 * The NIC that has a LID, if a frame from nic `from` can get there now: both ports up and the two
 * joined. NULL else: the frame is lost. Under an epoch; the result lives until it ends.
 */
struct nic *nic_net_find_lid(struct nic *from, uint16_t lid);
struct nic *nic_net_find_gid(struct nic *from, const uint8_t gid[16]);

/* Multicast. Attach and detach: lead's commands, on the command worker. */
int nic_net_attach(struct nic *nic, const uint8_t mgid[16], uint32_t qpn); /* -ENOSPC, -ENOMEM */
int nic_net_detach(struct nic *nic, const uint8_t mgid[16], uint32_t qpn); /* -ENOENT */
/* The last reference of a QP went or the NIC was reset: qpn 0xffffffff = all of the NIC. */
void nic_net_detach_all(struct nic *nic, uint32_t qpn);
/* Call fn for every attached QP a multicast frame reaches. Under an epoch. */
void nic_net_mcast(struct nic *from, const uint8_t mgid[16], uint16_t mlid,
		   void (*fn)(void *arg, struct nic *nic, uint32_t qpn), void *arg);

#endif
