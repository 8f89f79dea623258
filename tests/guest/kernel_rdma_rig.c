// SPDX-License-Identifier: MIT
#include "tests/guest/kernel_rdma_rig.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/guest/kernel_rig.h"
#include "util/clock.h"

#define WAIT_MS 20000

static void open_device(struct kernel_rdma *q, const char *prefix)
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	CHECK(list != NULL);
	for (int i = 0; list[i] && !q->context; i++)
		if (!strncmp(ibv_get_device_name(list[i]), prefix, strlen(prefix)))
			q->context = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	if (!q->context)
		tap_fail(__FILE__, __LINE__, "no RDMA device %s", prefix);
}

static void wait_active(struct kernel_rdma *q)
{
	for (int64_t end = util_now_ms() + WAIT_MS;;) {
		CHECK_EQ(ibv_query_port(q->context, 1, &q->port), 0);
		if (q->port.state == IBV_PORT_ACTIVE)
			return;
		CHECK(util_now_ms() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
}

/* The last one: of RoCE that of the IP address, of which there is one. */
static void find_gid(struct kernel_rdma *q)
{
	struct ibv_gid_entry entry;

	for (uint32_t i = 0; i < (uint32_t)q->port.gid_tbl_len; i++)
		if (!ibv_query_gid_ex(q->context, 1, i, &entry, 0)) {
			q->gid = entry.gid;
			q->gid_idx = (uint8_t)i;
		}
}

static struct ibv_qp *make_qp(struct kernel_rdma *q)
{
	struct ibv_qp_init_attr init = {
		.send_cq = q->cq,
		.recv_cq = q->cq,
		.cap = { .max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp *qp = ibv_create_qp(q->pd, &init);

	CHECK(qp != NULL);
	return qp;
}

static void to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };
	struct ibv_qp_attr init = { .qp_state = IBV_QPS_INIT,
				    .port_num = 1,
				    .qp_access_flags = KERNEL_RDMA_ACCESS };

	CHECK_EQ(ibv_modify_qp(qp, &reset, IBV_QP_STATE), 0);
	CHECK_EQ(
		ibv_modify_qp(qp, &init,
			      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
		0);
}

static void to_rts(struct kernel_rdma *q, struct ibv_qp *qp, uint32_t peer)
{
	struct ibv_qp_attr rtr = { .qp_state = IBV_QPS_RTR,
				   .path_mtu = q->port.active_mtu,
				   .dest_qp_num = peer,
				   .max_dest_rd_atomic = 1,
				   .min_rnr_timer = 12,
				   .ah_attr = { .dlid = q->port.lid, .port_num = 1 } };
	struct ibv_qp_attr rts = { .qp_state = IBV_QPS_RTS,
				   .timeout = 14,
				   .retry_cnt = 7,
				   .rnr_retry = 7,
				   .max_rd_atomic = 1 };

	if (q->port.link_layer == IBV_LINK_LAYER_ETHERNET) {
		rtr.ah_attr.is_global = 1;
		rtr.ah_attr.grh.dgid = q->gid;
		rtr.ah_attr.grh.sgid_index = q->gid_idx;
		rtr.ah_attr.grh.hop_limit = 64;
	}
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

void kernel_rdma_connect(struct kernel_rdma *q)
{
	struct ibv_wc wc;

	to_init(q->qp[0]);
	to_init(q->qp[1]);
	while (ibv_poll_cq(q->cq, 1, &wc) > 0)
		;
	to_rts(q, q->qp[0], q->qp[1]->qp_num);
	to_rts(q, q->qp[1], q->qp[0]->qp_num);
}

void kernel_rdma_open(struct kernel_rdma *q, const char *prefix)
{
	memset(q, 0, sizeof(*q));
	open_device(q, prefix);
	wait_active(q);
	find_gid(q);
	q->pd = ibv_alloc_pd(q->context);
	CHECK(q->pd != NULL);
	q->cq = ibv_create_cq(q->context, 16, NULL, NULL, 0);
	CHECK(q->cq != NULL);
	q->qp[0] = make_qp(q);
	q->qp[1] = make_qp(q);
	kernel_rdma_connect(q);
	q->host = aligned_alloc(4096, KERNEL_RDMA_LEN);
	CHECK(q->host != NULL);
	q->host_mr = ibv_reg_mr(q->pd, q->host, KERNEL_RDMA_LEN, KERNEL_RDMA_ACCESS);
	CHECK(q->host_mr != NULL);
}

void kernel_rdma_close(struct kernel_rdma *q)
{
	CHECK_EQ(ibv_dereg_mr(q->host_mr), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(ibv_destroy_qp(q->qp[i]), 0);
	CHECK_EQ(ibv_destroy_cq(q->cq), 0);
	/* Whatever is still registered keeps it busy. */
	CHECK_EQ(ibv_dealloc_pd(q->pd), 0);
	CHECK_EQ(ibv_close_device(q->context), 0);
	free(q->host);
}

static void prepare(const struct kernel_rdma_op *op, struct ibv_send_wr *wr)
{
	if (op->op != IBV_WR_ATOMIC_CMP_AND_SWP && op->op != IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr->wr.rdma.remote_addr = op->remote;
		wr->wr.rdma.rkey = op->rkey;
		return;
	}
	wr->wr.atomic.remote_addr = op->remote;
	wr->wr.atomic.rkey = op->rkey;
	wr->wr.atomic.compare_add = op->compare_add;
	wr->wr.atomic.swap = op->swap;
}

enum ibv_wc_status kernel_rdma_do(struct kernel_rdma *q, const struct kernel_rdma_op *op)
{
	struct ibv_sge sge = { .addr = (uintptr_t)q->host,
			       .length = op->len,
			       .lkey = q->host_mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = op->op, .send_flags = IBV_SEND_SIGNALED
	};
	int64_t end = util_now_ms() + WAIT_MS;
	struct ibv_wc wc = { 0 };
	int n;

	prepare(op, &wr);
	CHECK_EQ(ibv_post_send(q->qp[0], &wr, &bad), 0);
	do {
		n = ibv_poll_cq(q->cq, 1, &wc);
		CHECK(n >= 0 && util_now_ms() < end);
	} while (!n);
	return wc.status;
}
