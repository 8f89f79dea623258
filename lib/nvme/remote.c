// SPDX-License-Identifier: MIT
/*
 * The other end of a grant: commands built, rung for and completed by RDMA alone.
 *
 * Order: work requests of one RC queue pair reach the memory in their order (InfiniBand
 * Architecture 9.5), and writes of one NIC to one function stay in order on PCI Express as long as
 * they are not marked relaxed, so the doorbell comes after the entry and the data.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/nvme/nvme.h"
#include "peerdma/nvme.h"
#include "util/clock.h"

#define PHASE	    1u
#define ENTRIES_MAX 65536u
#define ACCESS	    IBV_ACCESS_LOCAL_WRITE

/* What RDMA reads from here and writes to here. */
struct scratch {
	uint64_t list[PDMAI_NVME_LIST];
	struct nvme_sqe sqe;
	struct nvme_cqe cqe;
	uint32_t bells[2];
};

struct pdma_nvme_remote {
	struct pdma_nvme_grant g;
	struct ibv_qp *qp;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	struct scratch *s;
	unsigned tail, head, phase;
	uint16_t cid;
	int dead; /* -errno of what ended it */
};

static int check_grant(const struct pdma_nvme_grant *g)
{
	if (g->magic != PDMA_NVME_GRANT_MAGIC)
		return pdmai_fail(EINVAL, "that is no grant, or one of another byte order");
	if (g->entries < 2 || g->entries > ENTRIES_MAX || !g->qid || g->qid > UINT16_MAX)
		return pdmai_fail(EINVAL, "the grant has a queue %u of %u entries", g->qid,
				  g->entries);
	if (g->block < 512 || g->block > 65536 || g->block & (g->block - 1))
		return pdmai_fail(EINVAL, "the grant has blocks of %u bytes", g->block);
	if (g->data_len > UINT64_MAX - g->data_bus || g->data_len > UINT64_MAX - g->data_addr ||
	    g->bell_stride < 4 || !g->len_max)
		return pdmai_fail(EINVAL, "the grant makes no sense");
	return 0;
}

int pdma_nvme_remote_create(const struct pdma_nvme_grant *grant, struct ibv_qp *qp,
			    struct ibv_cq *cq, struct ibv_pd *pd,
			    struct pdma_nvme_remote **ret_remote)
{
	struct pdma_nvme_remote *r;
	int ret = check_grant(grant);

	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (r)
		r->s = aligned_alloc(PDMAI_NVME_PAGE, 2 * PDMAI_NVME_PAGE);
	if (!r || !r->s) {
		free(r);
		return pdmai_fail(ENOMEM, "no memory for a remote queue");
	}
	_Static_assert(sizeof(*r->s) <= 2 * PDMAI_NVME_PAGE, "room for what RDMA touches");
	memset(r->s, 0, 2 * PDMAI_NVME_PAGE);
	r->mr = ibv_reg_mr(pd, r->s, sizeof(*r->s), ACCESS);
	if (!r->mr) {
		ret = pdmai_fail_errno(errno, "cannot register memory");
		free(r->s);
		free(r);
		return ret;
	}
	r->g = *grant;
	r->qp = qp;
	r->cq = cq;
	r->phase = PHASE;
	*ret_remote = r;
	return 0;
}

void pdma_nvme_remote_destroy(struct pdma_nvme_remote *r)
{
	if (!r)
		return;
	ibv_dereg_mr(r->mr);
	free(r->s);
	free(r);
}

static int dead(struct pdma_nvme_remote *r, int ret)
{
	r->dead = ret;
	return ret;
}

/* A list of work requests under construction; the last one is signaled. */
struct batch {
	struct ibv_send_wr wr[4];
	struct ibv_sge sge[4];
	unsigned n;
};

static void add(struct batch *b, enum ibv_wr_opcode op, void *local, uint32_t lkey, uint64_t len,
		uint64_t addr, uint32_t rkey)
{
	unsigned i = b->n++;

	b->sge[i] = (struct ibv_sge){ (uintptr_t)local, (uint32_t)len, lkey };
	b->wr[i] = (struct ibv_send_wr){ .wr_id = i,
					 .sg_list = &b->sge[i],
					 .num_sge = 1,
					 .opcode = op,
					 .wr.rdma = { addr, rkey } };
	if (i)
		b->wr[i - 1].next = &b->wr[i];
}

static void add_own(struct batch *b, const struct pdma_nvme_remote *r, enum ibv_wr_opcode op,
		    void *local, size_t len, uint64_t addr, uint32_t rkey)
{
	add(b, op, local, r->mr->lkey, len, addr, rkey);
}

/* Post, and wait for the last. Whatever fails ends the remote: nobody knows what was done. */
static int go(struct pdma_nvme_remote *r, struct batch *b, int64_t end)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc = { 0 };
	int n, err;

	if (!b->n)
		return 0;
	b->wr[b->n - 1].send_flags = IBV_SEND_SIGNALED;
	err = ibv_post_send(r->qp, b->wr, &bad);
	if (err)
		return dead(r, pdmai_fail(ECONNABORTED, "cannot post to the queue pair: %s",
					  strerror(err)));
	do {
		bool late = util_now_ms() > end;

		n = ibv_poll_cq(r->cq, 1, &wc);
		if (!n && late)
			return dead(r, pdmai_fail(ETIMEDOUT, "RDMA did not complete"));
	} while (!n);
	if (n < 0 || wc.status)
		return dead(r, pdmai_fail(ECONNABORTED, "RDMA to the drive failed: %s",
					  n < 0 ? "no completion queue" :
						  ibv_wc_status_str(wc.status)));
	return 0;
}

static int check_cmd(const struct pdma_nvme_remote *r, const struct pdma_nvme_remote_cmd *cmd)
{
	const struct pdma_nvme_grant *g = &r->g;

	if (cmd->op != PDMA_NVME_FLUSH && cmd->op != PDMA_NVME_WRITE && cmd->op != PDMA_NVME_READ &&
	    cmd->op != PDMA_NVME_COMPARE)
		return pdmai_fail(EINVAL, "command 0x%x is not known", (unsigned)cmd->op);
	if (cmd->flags & ~PDMA_NVME_FUA)
		return pdmai_fail(EINVAL, "flags 0x%x are not all known", cmd->flags);
	if (cmd->op == PDMA_NVME_FLUSH)
		return cmd->len ? pdmai_fail(EINVAL, "a flush has no data") : 0;
	if (!cmd->len || cmd->len % g->block || cmd->len > g->len_max || cmd->len > UINT32_MAX)
		return pdmai_fail(EINVAL, "a command moves whole blocks of %u bytes, %llu at most",
				  g->block, (unsigned long long)g->len_max);
	if (cmd->off > g->data_len || cmd->len > g->data_len - cmd->off)
		return pdmai_fail(ERANGE, "the data is not inside the %llu bytes granted",
				  (unsigned long long)g->data_len);
	if (cmd->lba > g->blocks || cmd->len / g->block > g->blocks - cmd->lba)
		return pdmai_fail(ERANGE, "the namespace has %llu blocks",
				  (unsigned long long)g->blocks);
	return 0;
}

/* The entry, and in *ret_list how many bytes of a PRP list belong to it. */
static int build(struct pdma_nvme_remote *r, const struct pdma_nvme_remote_cmd *cmd,
		 size_t *ret_list)
{
	const struct pdmai_nvme_seg seg = { r->g.data_bus + cmd->off, cmd->len };
	const struct pdmai_nvme_cmd local = {
		.opc = (enum nvme_io_opc)cmd->op,
		.nsid = r->g.nsid,
		.lba = cmd->lba,
		.blocks = (uint32_t)(cmd->len / r->g.block),
		.fua = cmd->flags & PDMA_NVME_FUA,
		.seg = &seg,
		.n_seg = cmd->len ? 1 : 0,
	};
	uint64_t pages;
	int ret;

	ret = pdmai_nvme_encode(&local, (uint16_t)(r->cid + 1), r->s->list, r->g.list_bus,
				&r->s->sqe);
	pages = (seg.addr % PDMAI_NVME_PAGE + cmd->len + PDMAI_NVME_PAGE - 1) / PDMAI_NVME_PAGE;
	*ret_list = cmd->len && pages > 2 ? (size_t)(pages - 1) * sizeof(uint64_t) : 0;
	if (!ret && *ret_list && !r->g.list_bus)
		ret = pdmai_fail(EINVAL, "the drive takes no PRP lists in its CMB: two pages at "
					 "most");
	if (!ret)
		r->cid++;
	return ret;
}

static int send_cmd(struct pdma_nvme_remote *r, const struct pdma_nvme_remote_cmd *cmd, int64_t end)
{
	const struct pdma_nvme_grant *g = &r->g;
	struct batch b = { 0 };
	size_t list = 0;
	int ret = build(r, cmd, &list);

	if (ret)
		return ret;
	if (cmd->buf && (cmd->op == PDMA_NVME_WRITE || cmd->op == PDMA_NVME_COMPARE))
		add(&b, IBV_WR_RDMA_WRITE, cmd->buf, cmd->lkey, cmd->len, g->data_addr + cmd->off,
		    g->data_rkey);
	if (list)
		add_own(&b, r, IBV_WR_RDMA_WRITE, r->s->list, list, g->sq_addr + g->list_off,
			g->sq_rkey);
	add_own(&b, r, IBV_WR_RDMA_WRITE, &r->s->sqe, sizeof(r->s->sqe),
		g->sq_addr + (uint64_t)r->tail * sizeof(r->s->sqe), g->sq_rkey);
	r->tail = r->tail + 1 == g->entries ? 0 : r->tail + 1;
	r->s->bells[0] = htole32(r->tail);
	add_own(&b, r, IBV_WR_RDMA_WRITE, &r->s->bells[0], sizeof(uint32_t), g->bell_addr,
		g->bell_rkey);
	return go(r, &b, end);
}

/*
 * The second half of an entry has the phase and all that is checked, and the drive stores it as
 * one word.
 */
static int wait_cqe(struct pdma_nvme_remote *r, int64_t end, uint16_t *ret_status)
{
	uint64_t addr = r->g.cq_addr + (uint64_t)r->head * sizeof(struct nvme_cqe) + 8;
	char *to = (char *)&r->s->cqe + 8;

	for (;;) {
		bool late = util_now_ms() > end;
		struct batch b = { 0 };
		int ret;

		add_own(&b, r, IBV_WR_RDMA_READ, to, 8, addr, r->g.cq_rkey);
		ret = go(r, &b, end);
		if (ret)
			return ret;
		if ((le16toh(r->s->cqe.status) & PHASE) == r->phase)
			break;
		if (late)
			return dead(r, pdmai_fail(ETIMEDOUT, "the drive does not complete"));
	}
	if (le16toh(r->s->cqe.cid) != r->cid || le16toh(r->s->cqe.sqid) != r->g.qid ||
	    le16toh(r->s->cqe.sqhd) != r->tail)
		return dead(r, pdmai_fail(EPROTO, "the drive completes what nobody asked for"));
	*ret_status = le16toh(r->s->cqe.status) >> 1;
	return 0;
}

/* Give the entry back, and fetch what was read. */
static int finish(struct pdma_nvme_remote *r, const struct pdma_nvme_remote_cmd *cmd,
		  uint16_t status, int64_t end)
{
	struct batch b = { 0 };

	if (++r->head == r->g.entries) {
		r->head = 0;
		r->phase ^= PHASE;
	}
	r->s->bells[1] = htole32(r->head);
	add_own(&b, r, IBV_WR_RDMA_WRITE, &r->s->bells[1], sizeof(uint32_t),
		r->g.bell_addr + r->g.bell_stride, r->g.bell_rkey);
	if (cmd->buf && cmd->op == PDMA_NVME_READ && !pdmai_nvme_status_errno(status))
		add(&b, IBV_WR_RDMA_READ, cmd->buf, cmd->lkey, cmd->len, r->g.data_addr + cmd->off,
		    r->g.data_rkey);
	return go(r, &b, end);
}

int pdma_nvme_remote_run(struct pdma_nvme_remote *r, const struct pdma_nvme_remote_cmd *cmd,
			 int timeout_ms, struct pdma_nvme_done *ret_done)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : util_now_ms() + timeout_ms;
	uint16_t status = 0;
	int ret;

	if (r->dead)
		return pdmai_fail(-r->dead, "the remote queue failed before");
	ret = check_cmd(r, cmd);
	ret = ret ? ret : send_cmd(r, cmd, end);
	ret = ret ? ret : wait_cqe(r, end, &status);
	ret = ret ? ret : finish(r, cmd, status, end);
	if (ret)
		return ret;
	*ret_done = (struct pdma_nvme_done){ .err = pdmai_nvme_status_errno(status),
					     .status = status,
					     .text = pdmai_nvme_status_text(status) };
	return 0;
}
