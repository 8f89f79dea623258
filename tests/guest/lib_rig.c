// SPDX-License-Identifier: MIT
#include "tests/guest/lib_rig.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SECONDS 20

void lib_open(struct lib_rig *r)
{
	memset(r, 0, sizeof(*r));
	r->iommu = !access("/sys/kernel/iommu_groups/0", F_OK);
	CHECK_EQ(kit_control_open(&r->control), 0);
	LIB_OK(pdma_ctx_create(NULL, &r->ctx));
}

static void close_qp(struct lib_rig *r, int i)
{
	if (r->qp[i])
		CHECK_EQ(ibv_destroy_qp(r->qp[i]), 0);
}

void lib_close(struct lib_rig *r)
{
	pdma_ctx_destroy(r->ctx);
	close_qp(r, 0);
	close_qp(r, 1);
	if (r->cq)
		CHECK_EQ(ibv_destroy_cq(r->cq), 0);
	/* Whatever is still registered keeps it busy. */
	if (r->pd)
		CHECK_EQ(ibv_dealloc_pd(r->pd), 0);
	if (r->context)
		CHECK_EQ(ibv_close_device(r->context), 0);
	kit_control_close(r->control);
}

static void wait_active(struct lib_rig *r, struct ibv_port_attr *attr)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	time_t end = time(NULL) + WAIT_SECONDS;

	for (;;) {
		CHECK_EQ(ibv_query_port(r->context, 1, attr), 0);
		if (attr->state == IBV_PORT_ACTIVE)
			return;
		CHECK(time(NULL) < end);
		nanosleep(&pause, NULL);
	}
}

static struct ibv_qp *make_qp(struct lib_rig *r)
{
	struct ibv_qp_init_attr init = {
		.send_cq = r->cq,
		.recv_cq = r->cq,
		.cap = { .max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp *qp = ibv_create_qp(r->pd, &init);

	CHECK(qp != NULL);
	return qp;
}

static void bring_up(struct ibv_qp *qp, uint32_t peer, const struct ibv_port_attr *port)
{
	struct ibv_qp_attr init = { .qp_state = IBV_QPS_INIT,
				    .port_num = 1,
				    .qp_access_flags =
					    IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ };
	struct ibv_qp_attr rtr = { .qp_state = IBV_QPS_RTR,
				   .path_mtu = port->active_mtu,
				   .dest_qp_num = peer,
				   .max_dest_rd_atomic = 1,
				   .min_rnr_timer = 12,
				   .ah_attr = { .dlid = port->lid, .port_num = 1 } };
	struct ibv_qp_attr rts = { .qp_state = IBV_QPS_RTS,
				   .timeout = 14,
				   .retry_cnt = 7,
				   .rnr_retry = 7,
				   .max_rd_atomic = 1 };

	CHECK_EQ(
		ibv_modify_qp(qp, &init,
			      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
		0);
	CHECK_EQ(ibv_modify_qp(qp, &rtr,
			       IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				       IBV_QP_MIN_RNR_TIMER),
		 0);
	CHECK_EQ(ibv_modify_qp(qp, &rts,
			       IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				       IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
		 0);
}

static void connect_pair(struct lib_rig *r)
{
	struct ibv_port_attr port;

	wait_active(r, &port);
	for (int i = 0; i < 2; i++) {
		if (r->qp[i])
			CHECK_EQ(ibv_destroy_qp(r->qp[i]), 0);
		r->qp[i] = make_qp(r);
	}
	bring_up(r->qp[0], r->qp[1]->qp_num, &port);
	bring_up(r->qp[1], r->qp[0]->qp_num, &port);
}

void lib_nic_open(struct lib_rig *r)
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	CHECK(list && list[0]);
	r->context = ibv_open_device(list[0]);
	CHECK(r->context != NULL);
	ibv_free_device_list(list);
	r->pd = ibv_alloc_pd(r->context);
	CHECK(r->pd != NULL);
	r->cq = ibv_create_cq(r->context, 16, NULL, NULL, 0);
	CHECK(r->cq != NULL);
	connect_pair(r);
}

/* Capital letters and a digit behind the first colon are the name of a slot. */
static void expand(const char *uri, char *buf, size_t size)
{
	const char *colon = strchr(uri, ':');
	char variable[64] = "PEERDMA_SLOT_";
	size_t n = 0;

	CHECK(colon != NULL);
	while (isupper((unsigned char)colon[1 + n]))
		n++;
	if (!n) {
		snprintf(buf, size, "%s", uri);
		return;
	}
	n++;
	strncat(variable, colon + 1, n);
	CHECK(getenv(variable) != NULL);
	snprintf(buf, size, "%.*s%s%s", (int)(colon - uri + 1), uri, getenv(variable),
		 colon + 1 + n);
}

int lib_try_region(struct lib_rig *r, const char *uri, struct pdma_region **ret_region)
{
	char text[512];

	expand(uri, text, sizeof(text));
	return pdma_region_open(r->ctx, text, NULL, ret_region);
}

struct pdma_region *lib_region(struct lib_rig *r, const char *uri)
{
	struct pdma_region *region = NULL;
	int ret = lib_try_region(r, uri, &region);

	if (ret)
		tap_fail(__FILE__, __LINE__, "%s: %d: %s", uri, ret, pdma_error());
	return region;
}

enum ibv_wc_status lib_rdma(struct lib_rig *r, enum ibv_wr_opcode op, const struct pdma_mr *local,
			    uint64_t local_off, const struct pdma_mr *remote, uint64_t remote_off,
			    uint32_t len)
{
	struct pdma_mr_info l = lib_mr_info(local), f = lib_mr_info(remote);
	struct ibv_sge sge = { .addr = l.addr + local_off, .length = len, .lkey = l.lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = op,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = f.addr + remote_off, .rkey = f.rkey },
	};
	time_t end = time(NULL) + WAIT_SECONDS;
	struct ibv_wc wc = { 0 };
	int n;

	CHECK_EQ(ibv_post_send(r->qp[0], &wr, &bad), 0);
	do {
		n = ibv_poll_cq(r->cq, 1, &wc);
		CHECK(n >= 0 && time(NULL) < end);
	} while (!n);
	/* An error takes the queues down with it. */
	if (wc.status)
		connect_pair(r);
	return wc.status;
}

struct pdma_mr_info lib_mr_info(const struct pdma_mr *mr)
{
	struct pdma_mr_info info = { .size = sizeof(info) };

	LIB_OK(pdma_mr_get_info(mr, &info));
	return info;
}

struct kit_bytes lib_bytes(struct lib_rig *r, const char *device)
{
	struct kit_bytes bytes;

	CHECK_EQ(kit_control_bytes(r->control, device, &bytes), 0);
	return bytes;
}

struct pdma_event lib_event(struct lib_rig *r, enum pdma_event_type type)
{
	struct pdma_event event;

	CHECK_EQ(pdma_event_wait(r->ctx, WAIT_SECONDS * 1000, &event), 1);
	if (event.type != type)
		tap_fail(__FILE__, __LINE__, "event %s (%s) instead of %s",
			 pdma_event_name(event.type), event.text, pdma_event_name(type));
	CHECK(event.text[0] != 0);
	return event;
}

void lib_no_event(struct lib_rig *r)
{
	struct pdma_event event;

	if (pdma_event_next(r->ctx, &event))
		tap_fail(__FILE__, __LINE__, "unexpected event %s: %s", pdma_event_name(event.type),
			 event.text);
}
