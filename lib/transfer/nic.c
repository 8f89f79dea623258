// SPDX-License-Identifier: MIT
/*
 * By a NIC: RDMA WRITE from one MR to another over a queue pair connected to its own NIC, or WRITE
 * and READ over the connection that a remote region brings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/reg/mr.h"
#include "lib/transfer/loopback.h"
#include "lib/transfer/transfer.h"
#include "util/clock.h"

/* Between looks once spinning is over. */
#define PAUSE_NS 50000

/* One end: the part of a region that is copied, registered; or memory of another machine. */
struct nic_end {
	struct pdma_region *part;
	struct pdma_mr *mr;
	uint64_t addr; /* of offset 0 of the transfer's range */
	uint32_t key;
};

struct nic {
	struct pdmai_loopback loop;
	struct pdmai_remote remote;
	bool has_remote;
	struct ibv_qp *qp;
	struct ibv_cq *cq;
	struct nic_end local, far; /* local: of this side's work requests */
	enum ibv_wr_opcode opcode;
	bool reads;
};

static void free_end(struct nic_end *e)
{
	pdma_dereg_mr(e->mr);
	pdma_region_close(e->part);
}

/* Queues first: when they are gone nothing reaches the memory any more. */
static void free_nic(struct pdma_transfer *t, struct nic *n)
{
	struct ibv_qp_attr error = { .qp_state = IBV_QPS_ERR };
	struct ibv_qp *keep = n->has_remote ? n->qp : NULL;

	/* A connection of the region's outlives the transfer unless work of ours is left in it. */
	if (keep && t->tail != t->head)
		ibv_modify_qp(keep, &error, IBV_QP_STATE);
	if (n->loop.qp)
		ibv_destroy_qp(n->loop.qp);
	if (n->loop.other)
		ibv_destroy_qp(n->loop.other);
	n->loop.qp = n->loop.other = NULL;
	free_end(&n->local);
	free_end(&n->far);
	pdmai_loopback_close(&n->loop);
	free(n);
}

/* Not the user's objects: the user's own region tells of a revoke. */
static int register_end(struct pdma_transfer *t, const struct pdmai_end *end, struct ibv_pd *pd,
			int access, struct nic_end *ret_end)
{
	struct pdma_mr *mr;
	int ret;

	ret = pdma_region_slice(end->region, end->off, pdmai_end_span(end, t->len), NULL,
				&ret_end->part);
	if (ret)
		return ret;
	ret_end->part->quiet = true;
	ret = pdma_reg_mr(ret_end->part, pd, access, NULL, &mr);
	if (ret)
		return ret;
	mr->quiet = true;
	ret_end->mr = mr;
	ret_end->addr = mr->addr;
	ret_end->key = 0;
	return 0;
}

static struct pdmai_backing *remote_of(const struct pdma_region *r)
{
	struct pdmai_backing *b = pdmai_region_backing(r);

	return b && r->n_pieces == 1 && b->ops->remote ? b : NULL;
}

static int use_remote(struct pdma_transfer *t, struct nic *n, bool to_far)
{
	const struct pdmai_end *far = to_far ? &t->dst : &t->src;
	struct pdmai_backing *b = remote_of(far->region);
	int ret = b->ops->remote(b, &n->remote);

	if (ret)
		return ret;
	n->has_remote = true;
	n->qp = n->remote.qp;
	n->cq = n->remote.cq;
	n->reads = !to_far;
	n->far.addr = n->remote.addr + far->region->pieces[0].off + far->off;
	n->far.key = n->remote.rkey;
	ret = register_end(t, to_far ? &t->src : &t->dst, n->remote.pd,
			   to_far ? 0 : IBV_ACCESS_LOCAL_WRITE, &n->local);
	return ret;
}

static struct ibv_context *own_context(const struct pdma_transfer *t)
{
	struct ibv_context *context = pdma_region_verbs(t->src.region);

	return context ? context : pdma_region_verbs(t->dst.region);
}

static int use_loopback(struct pdma_transfer *t, struct nic *n)
{
	int ret;

	ret = pdmai_loopback_open(t->opt.pd, t->opt.pd ? NULL : own_context(t), t->opt.nic,
				  &n->loop);
	if (ret)
		return ret;
	n->qp = n->loop.qp;
	n->cq = n->loop.cq;
	ret = register_end(t, &t->src, n->loop.pd, 0, &n->local);
	ret = ret ? ret :
		    register_end(t, &t->dst, n->loop.pd,
				 IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, &n->far);
	if (!ret)
		n->far.key = n->far.mr->rkey;
	return ret;
}

static int set_up(struct pdma_transfer *t, struct nic *n)
{
	bool to = remote_of(t->dst.region), from = remote_of(t->src.region);
	int ret;

	if ((t->src.region->flags | t->dst.region->flags) & PDMA_REGION_FILE)
		return pdmai_fail(EOPNOTSUPP, "a file is not registered with a NIC");
	if (to && from)
		return pdmai_fail(EOPNOTSUPP, "both ends are on other machines");
	ret = to || from ? use_remote(t, n, to) : use_loopback(t, n);
	if (ret)
		return ret;
	n->local.key = n->local.mr->lkey;
	n->opcode = n->reads ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
	snprintf(t->device, sizeof(t->device), "%s", ibv_get_device_name(n->qp->context->device));
	snprintf(t->why, sizeof(t->why), "%s registers %s", t->device,
		 n->has_remote ? "the local end" : "both ends");
	return 0;
}

/* Before the lock is taken: others need not wait for another machine. */
static int connect_far(struct pdma_transfer *t)
{
	struct pdma_region *const ends[] = { t->dst.region, t->src.region };
	struct pdmai_backing *b;
	int ret = 0;

	for (int i = 0; i < 2 && !ret; i++) {
		b = remote_of(ends[i]);
		ret = b && b->ops->connect ? b->ops->connect(b) : 0;
	}
	return ret;
}

static int open_nic(struct pdma_transfer *t)
{
	struct nic *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	ret = connect_far(t);
	pdmai_ctx_lock(t->ctx);
	ret = ret ? ret : set_up(t, n);
	if (ret)
		free_nic(t, n);
	pdmai_ctx_unlock(t->ctx);
	if (!ret)
		t->priv = n;
	return ret;
}

static void close_nic(struct pdma_transfer *t)
{
	pdmai_ctx_lock(t->ctx);
	free_nic(t, t->priv);
	pdmai_ctx_unlock(t->ctx);
	t->priv = NULL;
}

/* From the start of what is registered or reachable, not of the user's region. */
static uint64_t in_end(const struct pdmai_end *end, uint64_t off)
{
	return pdmai_end_at(end, off) - end->off;
}

static int submit_nic(struct pdma_transfer *t, uint64_t off, uint64_t len)
{
	struct nic *n = t->priv;
	uint64_t src = in_end(&t->src, off), dst = in_end(&t->dst, off);
	struct ibv_sge sge = { .addr = n->local.addr + (n->reads ? dst : src),
			       .length = (uint32_t)len,
			       .lkey = n->local.key };
	struct ibv_send_wr *bad, wr = {
		.wr_id = off,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = n->opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = n->far.addr + (n->reads ? src : dst),
			     .rkey = n->far.key },
	};
	int err = ibv_post_send(n->qp, &wr, &bad);

	if (err == ENOMEM)
		return -EAGAIN;
	return err ? pdmai_fail_errno(err, "%s takes no work", t->device) : 0;
}

static int failed(const struct pdma_transfer *t, const struct ibv_wc *wc)
{
	int err = EIO;

	if (wc->status == IBV_WC_REM_ACCESS_ERR || wc->status == IBV_WC_REM_OP_ERR ||
	    wc->status == IBV_WC_RETRY_EXC_ERR || wc->status == IBV_WC_REM_INV_REQ_ERR)
		err = EREMOTEIO;
	return pdmai_fail(err, "%s ended the copy at offset %llu with: %s", t->device,
			  (unsigned long long)wc->wr_id, ibv_wc_status_str(wc->status));
}

static int look(struct pdma_transfer *t, struct nic *n)
{
	struct ibv_wc wc[PDMAI_DEPTH];
	int count = ibv_poll_cq(n->cq, PDMAI_DEPTH, wc);

	if (count < 0)
		return pdmai_fail(EIO, "%s: the completion queue is broken", t->device);
	for (int i = 0; i < count; i++)
		if (wc[i].status)
			return failed(t, &wc[i]);
	return count;
}

static int reap_nic(struct pdma_transfer *t, int timeout_ms)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t start = util_now_ns(), end = start + timeout_ms * 1000000ll, now;
	int ret;

	for (;;) {
		now = util_now_ns();
		ret = look(t, t->priv);
		if (ret || now >= end)
			return ret;
		if (now - start > PDMAI_SPIN_NS)
			nanosleep(&pause, NULL);
	}
}

const struct pdmai_engine_ops pdmai_engine_nic = {
	.id = PDMA_ENGINE_NIC,
	.depth = PDMAI_DEPTH,
	.open = open_nic,
	.close = close_nic,
	.submit = submit_nic,
	.reap = reap_nic,
};
