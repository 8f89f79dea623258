/* SPDX-License-Identifier: MIT */
/* Reliable connections: a device, and a queue pair with a protection domain of its own. */
#ifndef PEERDMA_LIB_SERVE_RC_H
#define PEERDMA_LIB_SERVE_RC_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/serve/proto.h"

#define PDMAI_RC_DEPTH 256 /* work requests of a client */

struct pdmai_rc_device {
	struct ibv_context *verbs;
	bool owned; /* by us, not by librdmacm */
	uint8_t port;
	struct ibv_port_attr attr;
	union ibv_gid gid;
	int gid_index;
	uint8_t max_reads; /* outstanding, as target and as initiator */
};

struct pdmai_rc {
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	uint32_t psn;
	struct rdma_cm_id *id; /* the connection manager's, or NULL */
};

/*
 * Open a device with an active port. name: NULL: the first one. cm: share librdmacm's, if it works
 * here, so that its connections and ours can have a domain together.
 * Return: 0; -ENODEV with a sentence.
 */
int pdmai_rc_device_open(const char *name, bool cm, struct pdmai_rc_device *ret_device);
/* Of a device librdmacm has opened. Return: 0; -ENODEV: its port is not active. */
int pdmai_rc_device_of(struct ibv_context *verbs, uint8_t port, struct pdmai_rc_device *ret_device);
void pdmai_rc_device_close(struct pdmai_rc_device *device);

/*
 * Make domain, completion queue and queue pair. id: of the connection manager, whose verbs are
 * device's; or NULL: the queue pair is in INIT then. server: it only answers.
 */
int pdmai_rc_create(const struct pdmai_rc_device *device, bool server, struct rdma_cm_id *id,
		    void *qp_context, struct pdmai_rc *ret_rc);
/* Also the id. Memory regions of the domain must be gone. */
void pdmai_rc_destroy(struct pdmai_rc *rc);

/* Fill msg->connect with our end; and join it with the other end. */
void pdmai_rc_describe(const struct pdmai_rc_device *device, const struct pdmai_rc *rc,
		       struct pdmai_sp_msg *msg);
int pdmai_rc_join(const struct pdmai_rc_device *device, struct pdmai_rc *rc,
		  const struct pdmai_sp_msg *other);

#endif
