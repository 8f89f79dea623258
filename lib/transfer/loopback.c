// SPDX-License-Identifier: MIT
#include "lib/transfer/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/transfer/transfer.h"

struct way_out {
	uint8_t port;
	struct ibv_port_attr attr;
	union ibv_gid gid;
	int gid_idx; /* -1: by LID */
};

/* A GID that RoCE version 2 uses, else the first. */
static int find_gid(struct ibv_context *context, struct way_out *w)
{
	struct ibv_gid_entry entry;

	w->gid_idx = 0;
	for (int i = 0; i < w->attr.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(context, w->port, (uint32_t)i, &entry, 0))
			continue;
		if (entry.gid_type == IBV_GID_TYPE_ROCE_V2) {
			w->gid_idx = i;
			break;
		}
	}
	return ibv_query_gid(context, w->port, w->gid_idx, &w->gid);
}

static int find_port(struct ibv_context *context, struct way_out *ret_way)
{
	struct ibv_device_attr dev;
	struct way_out w = { .gid_idx = -1 };

	if (ibv_query_device(context, &dev))
		return -EIO;
	for (w.port = 1; w.port <= dev.phys_port_cnt; w.port++) {
		if (ibv_query_port(context, w.port, &w.attr) || w.attr.state != IBV_PORT_ACTIVE)
			continue;
		if (w.attr.link_layer == IBV_LINK_LAYER_ETHERNET && find_gid(context, &w))
			continue;
		*ret_way = w;
		return 0;
	}
	return pdmai_fail(ENODEV, "%s has no active port", ibv_get_device_name(context->device));
}

static struct ibv_context *open_named(struct ibv_device **list, int n, const char *nic)
{
	struct ibv_context *context;
	struct way_out w;

	for (int i = 0; i < n; i++) {
		if (nic && strcmp(ibv_get_device_name(list[i]), nic))
			continue;
		context = ibv_open_device(list[i]);
		if (!context)
			continue;
		if (nic || !find_port(context, &w))
			return context;
		ibv_close_device(context);
	}
	return NULL;
}

static int open_nic(const char *nic, struct ibv_context **ret_context)
{
	struct ibv_device **list;
	int n = 0;

	list = ibv_get_device_list(&n);
	if (!list)
		return pdmai_fail(ENODEV, "this machine has no RDMA devices");
	*ret_context = open_named(list, n, nic);
	ibv_free_device_list(list);
	if (*ret_context)
		return 0;
	if (nic)
		return pdmai_fail(ENODEV, "there is no RDMA device %s, or it can't be opened", nic);
	return pdmai_fail(ENODEV, "this machine has no RDMA device with an active port");
}

static struct ibv_qp *make_qp(const struct pdmai_loopback *l)
{
	struct ibv_qp_init_attr init = {
		.send_cq = l->cq,
		.recv_cq = l->cq,
		.cap = { .max_send_wr = PDMAI_DEPTH,
			 .max_recv_wr = 1,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	return ibv_create_qp(l->pd, &init);
}

static int to_init(struct ibv_qp *qp, const struct way_out *w)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = w->port,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};

	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

static int to_rtr(struct ibv_qp *qp, const struct ibv_qp *peer, const struct way_out *w)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = w->attr.active_mtu,
		.dest_qp_num = peer->qp_num,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = { .dlid = w->attr.lid, .port_num = w->port },
	};

	if (w->gid_idx >= 0) {
		attr.ah_attr.is_global = 1;
		attr.ah_attr.grh.dgid = w->gid;
		attr.ah_attr.grh.sgid_index = (uint8_t)w->gid_idx;
		attr.ah_attr.grh.hop_limit = 64;
	}
	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};

	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

static int connect_qps(struct pdmai_loopback *l, const struct way_out *w)
{
	int err;

	err = to_init(l->qp, w);
	err = err ? err : to_init(l->other, w);
	err = err ? err : to_rtr(l->qp, l->other, w);
	err = err ? err : to_rtr(l->other, l->qp, w);
	err = err ? err : to_rts(l->qp);
	err = err ? err : to_rts(l->other);
	return err ? pdmai_fail_errno(err, "%s does not connect to itself",
				      ibv_get_device_name(l->context->device)) :
		     0;
}

static int make_objects(struct pdmai_loopback *l)
{
	const char *name = ibv_get_device_name(l->context->device);

	if (!l->pd) {
		l->pd = ibv_alloc_pd(l->context);
		if (!l->pd)
			return pdmai_fail_errno(errno, "%s: no protection domain", name);
		l->own_pd = true;
	}
	l->cq = ibv_create_cq(l->context, 2 * PDMAI_DEPTH, NULL, NULL, 0);
	if (!l->cq)
		return pdmai_fail_errno(errno, "%s: no completion queue", name);
	l->qp = make_qp(l);
	l->other = l->qp ? make_qp(l) : NULL;
	if (!l->other)
		return pdmai_fail_errno(errno, "%s: no queue pair", name);
	return 0;
}

int pdmai_loopback_open(struct ibv_pd *pd, struct ibv_context *context, const char *nic,
			struct pdmai_loopback *ret_loop)
{
	struct pdmai_loopback l = { .context = pd ? pd->context : context, .pd = pd };
	struct way_out w;
	int ret = 0;

	if (!l.context) {
		ret = open_nic(nic, &l.context);
		l.own_context = !ret;
	}
	ret = ret ? ret : find_port(l.context, &w);
	ret = ret ? ret : make_objects(&l);
	ret = ret ? ret : connect_qps(&l, &w);
	if (ret) {
		pdmai_loopback_close(&l);
		return ret;
	}
	*ret_loop = l;
	return 0;
}

void pdmai_loopback_close(struct pdmai_loopback *l)
{
	if (l->qp)
		ibv_destroy_qp(l->qp);
	if (l->other)
		ibv_destroy_qp(l->other);
	if (l->cq)
		ibv_destroy_cq(l->cq);
	if (l->own_pd)
		ibv_dealloc_pd(l->pd);
	if (l->own_context)
		ibv_close_device(l->context);
	memset(l, 0, sizeof(*l));
}
