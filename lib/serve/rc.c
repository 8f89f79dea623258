// SPDX-License-Identifier: MIT
#include "lib/serve/rc.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lib/core/error.h"

/* 4.096 us * 2^16 = 268 ms, seven times: a dead peer is known in about two seconds. */
#define ACK_TIMEOUT 16
#define RETRIES	    7
#define MAX_READS   16

/* RoCE has a table of addresses; version 2 with an IPv4 address is what networks route. */
static int pick_gid(struct pdmai_rc_device *d)
{
	struct ibv_gid_entry entry[64];
	ssize_t n;

	d->gid_index = 0;
	if (d->attr.link_layer != IBV_LINK_LAYER_ETHERNET)
		return ibv_query_gid(d->verbs, d->port, 0, &d->gid) ? -ENODEV : 0;
	n = ibv_query_gid_table(d->verbs, entry, 64, 0);
	for (ssize_t i = 0; i < n; i++) {
		if (entry[i].port_num != d->port || entry[i].gid_type != IBV_GID_TYPE_ROCE_V2)
			continue;
		d->gid = entry[i].gid;
		d->gid_index = (int)entry[i].gid_index;
		if (entry[i].gid.raw[10] == 0xff && entry[i].gid.raw[11] == 0xff)
			return 0;
	}
	return d->gid_index ? 0 : -ENODEV;
}

int pdmai_rc_device_of(struct ibv_context *verbs, uint8_t port, struct pdmai_rc_device *ret)
{
	struct pdmai_rc_device d = { .verbs = verbs, .port = port };
	struct ibv_device_attr attr;

	if (ibv_query_device(verbs, &attr) || port > attr.phys_port_cnt ||
	    ibv_query_port(verbs, port, &d.attr) || d.attr.state != IBV_PORT_ACTIVE || pick_gid(&d))
		return pdmai_fail(ENODEV, "port %u of %s is not active", port,
				  ibv_get_device_name(verbs->device));
	d.max_reads = attr.max_qp_rd_atom < MAX_READS ? (uint8_t)attr.max_qp_rd_atom : MAX_READS;
	*ret = d;
	return 0;
}

static int any_port(struct ibv_context *verbs, struct pdmai_rc_device *ret)
{
	struct ibv_device_attr attr;
	int err = -ENODEV;

	if (ibv_query_device(verbs, &attr))
		return -ENODEV;
	for (uint8_t port = 1; err && port <= attr.phys_port_cnt; port++)
		err = pdmai_rc_device_of(verbs, port, ret);
	return err;
}

static bool is_named(struct ibv_device *device, const char *name)
{
	return !name || !strcmp(ibv_get_device_name(device), name);
}

static int open_shared(const char *name, struct pdmai_rc_device *ret)
{
	struct ibv_context **list = rdma_get_devices(NULL);
	int err = -ENODEV;

	for (int i = 0; list && err && list[i]; i++)
		if (is_named(list[i]->device, name))
			err = any_port(list[i], ret);
	if (list)
		rdma_free_devices(list);
	return err;
}

static int open_one(struct ibv_device *device, struct pdmai_rc_device *ret)
{
	struct ibv_context *verbs = ibv_open_device(device);
	int err = verbs ? any_port(verbs, ret) : -ENODEV;

	if (err && verbs)
		ibv_close_device(verbs);
	else if (!err)
		ret->owned = true;
	return err;
}

int pdmai_rc_device_open(const char *name, bool cm, struct pdmai_rc_device *ret)
{
	struct ibv_device **list;
	int err = -ENODEV;

	if (cm && !open_shared(name, ret))
		return 0;
	list = ibv_get_device_list(NULL);
	for (int i = 0; list && err && list[i]; i++)
		if (is_named(list[i], name))
			err = open_one(list[i], ret);
	if (list)
		ibv_free_device_list(list);
	return err ? pdmai_fail(ENODEV, "no RDMA device%s%s has an active port", name ? " " : "",
				name ? name : "") :
		     0;
}

void pdmai_rc_device_close(struct pdmai_rc_device *d)
{
	if (d->owned && d->verbs)
		ibv_close_device(d->verbs);
	memset(d, 0, sizeof(*d));
}

static int to_init(const struct pdmai_rc_device *d, struct pdmai_rc *rc, bool server)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = d->port,
		/* A client's memory is nobody's but its own. */
		.qp_access_flags = server ? IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE : 0,
	};

	return ibv_modify_qp(rc->qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

static int make_qp(const struct pdmai_rc_device *d, struct pdmai_rc *rc, bool server, void *context)
{
	unsigned depth = server ? 1 : PDMAI_RC_DEPTH;
	struct ibv_qp_init_attr init = {
		.qp_context = context,
		.send_cq = rc->cq,
		.recv_cq = rc->cq,
		.cap = { .max_send_wr = depth,
			 .max_send_sge = server ? 1 : 4,
			 .max_recv_wr = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	if (rc->id) {
		if (rdma_create_qp(rc->id, rc->pd, &init))
			return errno;
		rc->qp = rc->id->qp;
		return 0;
	}
	rc->qp = ibv_create_qp(rc->pd, &init);
	return rc->qp ? to_init(d, rc, server) : errno;
}

int pdmai_rc_create(const struct pdmai_rc_device *d, bool server, struct rdma_cm_id *id,
		    void *context, struct pdmai_rc *ret)
{
	struct pdmai_rc rc = { .id = id };
	int err = 0;

	if (getrandom(&rc.psn, sizeof(rc.psn), 0) != sizeof(rc.psn))
		return pdmai_fail_errno(errno, "no random number");
	rc.psn &= 0xffffff;
	rc.pd = ibv_alloc_pd(d->verbs);
	rc.cq = rc.pd ? ibv_create_cq(d->verbs, server ? 2 : PDMAI_RC_DEPTH + 1, NULL, NULL, 0) :
			NULL;
	if (!rc.cq)
		err = errno;
	else
		err = make_qp(d, &rc, server, context);
	if (!err) {
		*ret = rc;
		return 0;
	}
	rc.id = NULL; /* stays the caller's */
	pdmai_rc_destroy(&rc);
	return pdmai_fail_errno(err, "cannot make a queue pair of %s",
				ibv_get_device_name(d->verbs->device));
}

void pdmai_rc_destroy(struct pdmai_rc *rc)
{
	if (rc->id && rc->qp)
		rdma_destroy_qp(rc->id);
	else if (rc->qp)
		ibv_destroy_qp(rc->qp);
	if (rc->cq)
		ibv_destroy_cq(rc->cq);
	if (rc->pd)
		ibv_dealloc_pd(rc->pd);
	if (rc->id)
		rdma_destroy_id(rc->id);
	memset(rc, 0, sizeof(*rc));
}

void pdmai_rc_describe(const struct pdmai_rc_device *d, const struct pdmai_rc *rc,
		       struct pdmai_sp_msg *msg)
{
	msg->connect.way = PDMAI_SP_WAY_QP;
	msg->connect.mtu = (uint8_t)d->attr.active_mtu;
	msg->connect.lid = d->attr.lid;
	msg->connect.qpn = rc->qp->qp_num;
	msg->connect.psn = rc->psn;
	memcpy(msg->connect.gid, d->gid.raw, sizeof(msg->connect.gid));
}

static bool is_sane(const struct pdmai_sp_msg *other)
{
	return other->connect.mtu >= IBV_MTU_256 && other->connect.mtu <= IBV_MTU_4096 &&
	       other->connect.qpn < 1u << 24 && other->connect.psn < 1u << 24;
}

static int to_rtr(const struct pdmai_rc_device *d, struct pdmai_rc *rc,
		  const struct pdmai_sp_msg *other)
{
	bool ethernet = d->attr.link_layer == IBV_LINK_LAYER_ETHERNET;
	enum ibv_mtu mtu = (enum ibv_mtu)other->connect.mtu;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = mtu < d->attr.active_mtu ? mtu : d->attr.active_mtu,
		.dest_qp_num = other->connect.qpn,
		.rq_psn = other->connect.psn,
		.max_dest_rd_atomic = d->max_reads,
		.min_rnr_timer = 12,
		.ah_attr = { .port_num = d->port, .dlid = other->connect.lid },
	};

	if (ethernet || !other->connect.lid) {
		attr.ah_attr.is_global = 1;
		attr.ah_attr.grh.hop_limit = 64;
		attr.ah_attr.grh.sgid_index = (uint8_t)d->gid_index;
		memcpy(attr.ah_attr.grh.dgid.raw, other->connect.gid, 16);
	}
	return ibv_modify_qp(rc->qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(const struct pdmai_rc_device *d, struct pdmai_rc *rc)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = ACK_TIMEOUT,
		.retry_cnt = RETRIES,
		.rnr_retry = RETRIES,
		.sq_psn = rc->psn,
		.max_rd_atomic = d->max_reads,
	};

	return ibv_modify_qp(rc->qp, &attr,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

int pdmai_rc_join(const struct pdmai_rc_device *d, struct pdmai_rc *rc,
		  const struct pdmai_sp_msg *other)
{
	int err;

	if (!is_sane(other))
		return pdmai_fail(EPROTO, "the other end's queue pair makes no sense");
	err = to_rtr(d, rc, other);
	err = err ? err : to_rts(d, rc);
	return err ? pdmai_fail_errno(err, "cannot connect a queue pair") : 0;
}
