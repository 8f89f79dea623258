/* SPDX-License-Identifier: MIT */
/*
 * Two queue pairs of one NIC, connected to each other: what is written by one arrives by the other.
 */
#ifndef PEERDMA_LIB_TRANSFER_LOOPBACK_H
#define PEERDMA_LIB_TRANSFER_LOOPBACK_H

#include <infiniband/verbs.h>
#include <stdbool.h>

struct pdmai_loopback {
	struct ibv_context *context; /* ours to close when own_context */
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp, *other;
	bool own_context, own_pd;
};

/*
 * pd: of a caller, or NULL and context, or both NULL and the device named nic (NULL: the first with
 * an active port). Return: 0; -ENODEV: no such device, or no active port; -ENOMEM; or of verbs.
 */
int pdmai_loopback_open(struct ibv_pd *pd, struct ibv_context *context, const char *nic,
			struct pdmai_loopback *ret_loop);
/* No work request of it is under way afterwards. */
void pdmai_loopback_close(struct pdmai_loopback *loop);

#endif
