// SPDX-License-Identifier: MIT
#include "tests/guest/rdma_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/tap.h"
#include "util/clock.h"

#define WAIT_MS 20000

static void open_device(struct rdma_pair *p, const char *prefix)
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	CHECK(list != NULL);
	for (int i = 0; list[i] && !p->context; i++)
		if (!strncmp(ibv_get_device_name(list[i]), prefix, strlen(prefix)))
			p->context = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	if (!p->context)
		tap_fail(__FILE__, __LINE__, "no RDMA device %s", prefix);
}

static void wait_active(struct rdma_pair *p)
{
	for (int64_t end = util_now_ms() + WAIT_MS;;) {
		CHECK_EQ(ibv_query_port(p->context, 1, &p->port), 0);
		if (p->port.state == IBV_PORT_ACTIVE)
			return;
		CHECK(util_now_ms() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
}

/* The last one: of RoCE that of the IP address, of which there is one. */
static void find_gid(struct rdma_pair *p)
{
	struct ibv_gid_entry entry;

	for (uint32_t i = 0; i < (uint32_t)p->port.gid_tbl_len; i++)
		if (!ibv_query_gid_ex(p->context, 1, i, &entry, 0)) {
			p->gid = entry.gid;
			p->gid_idx = (uint8_t)i;
		}
}

static struct ibv_qp *make_qp(struct rdma_pair *p)
{
	struct ibv_qp_init_attr init = {
		.send_cq = p->cq,
		.recv_cq = p->cq,
		.cap = { .max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp *qp = ibv_create_qp(p->pd, &init);

	CHECK(qp != NULL);
	return qp;
}

static void to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };
	struct ibv_qp_attr init = { .qp_state = IBV_QPS_INIT,
				    .port_num = 1,
				    .qp_access_flags = RDMA_PAIR_ACCESS };

	CHECK_EQ(ibv_modify_qp(qp, &reset, IBV_QP_STATE), 0);
	CHECK_EQ(
		ibv_modify_qp(qp, &init,
			      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
		0);
}

static void to_rts(struct rdma_pair *p, struct ibv_qp *qp, uint32_t peer)
{
	struct ibv_qp_attr rtr = { .qp_state = IBV_QPS_RTR,
				   .path_mtu = p->port.active_mtu,
				   .dest_qp_num = peer,
				   .max_dest_rd_atomic = 1,
				   .min_rnr_timer = 12,
				   .ah_attr = { .dlid = p->port.lid, .port_num = 1 } };
	struct ibv_qp_attr rts = { .qp_state = IBV_QPS_RTS,
				   .timeout = 14,
				   .retry_cnt = 7,
				   .rnr_retry = 7,
				   .max_rd_atomic = 1 };

	if (p->port.link_layer == IBV_LINK_LAYER_ETHERNET) {
		rtr.ah_attr.is_global = 1;
		rtr.ah_attr.grh.dgid = p->gid;
		rtr.ah_attr.grh.sgid_index = p->gid_idx;
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

void rdma_pair_connect(struct rdma_pair *p)
{
	struct ibv_wc wc;

	to_init(p->qp[0]);
	to_init(p->qp[1]);
	while (ibv_poll_cq(p->cq, 1, &wc) > 0)
		;
	to_rts(p, p->qp[0], p->qp[1]->qp_num);
	to_rts(p, p->qp[1], p->qp[0]->qp_num);
}

static void alloc_host(struct rdma_pair *p, size_t len)
{
	p->host = aligned_alloc(4096, len);
	CHECK(p->host != NULL);
	p->host_mr = ibv_reg_mr(p->pd, p->host, len, RDMA_PAIR_ACCESS);
	CHECK(p->host_mr != NULL);
}

void rdma_pair_open(struct rdma_pair *p, const char *prefix, size_t host_len)
{
	memset(p, 0, sizeof(*p));
	open_device(p, prefix);
	wait_active(p);
	find_gid(p);
	p->pd = ibv_alloc_pd(p->context);
	CHECK(p->pd != NULL);
	p->cq = ibv_create_cq(p->context, 16, NULL, NULL, 0);
	CHECK(p->cq != NULL);
	p->qp[0] = make_qp(p);
	p->qp[1] = make_qp(p);
	rdma_pair_connect(p);
	if (host_len)
		alloc_host(p, host_len);
}

void rdma_pair_close(struct rdma_pair *p)
{
	if (!p->context)
		return;
	if (p->host_mr)
		CHECK_EQ(ibv_dereg_mr(p->host_mr), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(ibv_destroy_qp(p->qp[i]), 0);
	CHECK_EQ(ibv_destroy_cq(p->cq), 0);
	/* Whatever is still registered keeps it busy. */
	CHECK_EQ(ibv_dealloc_pd(p->pd), 0);
	CHECK_EQ(ibv_close_device(p->context), 0);
	free(p->host);
}

struct ibv_mr *rdma_pair_dmabuf(struct rdma_pair *p, int fd, uint64_t len)
{
	struct ibv_mr *mr = ibv_reg_dmabuf_mr(p->pd, 0, len, 0, fd, RDMA_PAIR_RW);

	if (!mr)
		tap_fail(__FILE__, __LINE__, "no region of the dma-buf: errno %d", errno);
	close(fd);
	return mr;
}

enum ibv_wc_status rdma_pair_run(struct rdma_pair *p, struct ibv_send_wr *wr)
{
	int64_t end = util_now_ms() + WAIT_MS;
	struct ibv_wc wc = { 0 };
	struct ibv_send_wr *bad;
	int n;

	wr->send_flags = IBV_SEND_SIGNALED;
	CHECK_EQ(ibv_post_send(p->qp[0], wr, &bad), 0);
	do {
		n = ibv_poll_cq(p->cq, 1, &wc);
		CHECK(n >= 0 && util_now_ms() < end);
	} while (!n);
	return wc.status;
}

static void prepare(const struct rdma_op *op, struct ibv_send_wr *wr)
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

enum ibv_wc_status rdma_pair_do(struct rdma_pair *p, const struct rdma_op *op)
{
	struct ibv_sge sge = { .addr = (uintptr_t)p->host,
			       .length = op->len,
			       .lkey = p->host_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = op->op };

	prepare(op, &wr);
	return rdma_pair_run(p, &wr);
}
