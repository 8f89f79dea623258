// SPDX-License-Identifier: MIT
/* Pairs of I/O queues, and commands on them: Base 5.4 to 5.7, NVM 3.2. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/core/error.h"
#include "lib/nvme/private.h"

#define CONTIGUOUS 1u
#define BLOCKS_MAX 65536u

static int check_config(const struct pdmai_nvme *n, const struct pdmai_nvme_queue_config *c)
{
	const struct pdmai_nvme_info *i = &n->info;

	if (c->entries < 2 || c->entries > i->entries_max)
		return pdmai_fail(EINVAL, "%s has queues of 2 to %u entries, not %u",
				  n->dev->bdf.text, i->entries_max, c->entries);
	if ((c->sq == PDMAI_NVME_IN_CMB && !(i->cmb.flags & PDMAI_NVME_CMB_SQS)) ||
	    (c->cq == PDMAI_NVME_IN_CMB && !(i->cmb.flags & PDMAI_NVME_CMB_CQS)))
		return pdmai_fail(EOPNOTSUPP, "%s has no CMB that takes such a queue",
				  n->dev->bdf.text);
	return 0;
}

static int find_number(const struct pdmai_nvme *n, unsigned *ret_qid)
{
	for (unsigned qid = 1; qid <= n->info.queues; qid++) {
		uint64_t bell = pdmai_nvme_bell(n, qid, true);

		if (n->queues[qid] || bell > n->dev->bars[0].len - 4)
			continue;
		*ret_qid = qid;
		return 0;
	}
	return pdmai_fail(EBUSY, "all %u pairs of queues of %s are in use", n->info.queues,
			  n->dev->bdf.text);
}

/* In whole pages. */
static uint64_t entries_len(unsigned entries)
{
	uint64_t len = (uint64_t)entries * sizeof(struct nvme_sqe);

	return (len + PDMAI_NVME_PAGE - 1) & ~(uint64_t)(PDMAI_NVME_PAGE - 1);
}

static int alloc_queue(struct pdmai_nvme_queue *q, const struct pdmai_nvme_queue_config *c)
{
	struct pdmai_nvme *n = q->nvme;
	int ret;

	ret = pdmai_nvme_ring_alloc(
		n, c->sq, entries_len(c->entries) + (c->foreign ? PDMAI_NVME_PAGE : 0), &q->sq);
	ret = ret ? ret :
		    pdmai_nvme_ring_alloc(n, c->cq, (uint64_t)c->entries * sizeof(struct nvme_cqe),
					  &q->cq);
	if (ret || c->foreign)
		return ret;
	q->slots = calloc(c->entries - 1, sizeof(*q->slots));
	if (!q->slots)
		return pdmai_fail(ENOMEM, "no memory for a queue");
	return pdmai_nvme_ring_alloc(n, PDMAI_NVME_IN_HOST,
				     (uint64_t)(c->entries - 1) * PDMAI_NVME_PAGE, &q->lists);
}

static void free_queue(struct pdmai_nvme_queue *q)
{
	pdmai_nvme_ring_free(q->nvme, &q->sq);
	pdmai_nvme_ring_free(q->nvme, &q->cq);
	pdmai_nvme_ring_free(q->nvme, &q->lists);
	free(q->slots);
	free(q);
}

static int delete (struct pdmai_nvme_queue *q, enum nvme_admin_opc opc)
{
	const struct nvme_sqe sqe = { .opc = opc, .cdw10 = htole32(q->qid) };

	return pdmai_nvme_admin(q->nvme, &sqe, NULL);
}

static int tell(struct pdmai_nvme_queue *q)
{
	const uint32_t cdw10 = htole32((q->entries - 1) << 16 | q->qid);
	const struct nvme_sqe cq = {
		.opc = NVME_CREATE_CQ,
		.prp1 = htole64(q->cq.addr),
		.cdw10 = cdw10,
		.cdw11 = htole32(CONTIGUOUS),
	};
	const struct nvme_sqe sq = {
		.opc = NVME_CREATE_SQ,
		.prp1 = htole64(q->sq.addr),
		.cdw10 = cdw10,
		.cdw11 = htole32(q->qid << 16 | CONTIGUOUS),
	};
	int ret = pdmai_nvme_admin(q->nvme, &cq, NULL);

	/* It must not write into memory that is given back; what got no answer may happen. */
	if (ret) {
		if (q->nvme->admin.broken)
			pdmai_nvme_stop(q->nvme);
		return ret;
	}
	ret = pdmai_nvme_admin(q->nvme, &sq, NULL);
	if (ret && delete (q, NVME_DELETE_CQ))
		pdmai_nvme_stop(q->nvme);
	return ret;
}

int pdmai_nvme_queue_create(struct pdmai_nvme *n, const struct pdmai_nvme_queue_config *config,
			    struct pdmai_nvme_queue **ret_queue)
{
	struct pdmai_nvme_queue *q;
	unsigned qid = 0;
	int ret = check_config(n, config);

	ret = ret ? ret : pdmai_nvme_queue_gate(&n->admin);
	ret = ret ? ret : find_number(n, &qid);
	if (ret)
		return ret;
	q = calloc(1, sizeof(*q));
	if (!q)
		return pdmai_fail(ENOMEM, "no memory for a queue");
	q->nvme = n;
	q->qid = qid;
	q->entries = config->entries;
	q->foreign = config->foreign;
	ret = alloc_queue(q, config);
	if (!ret) {
		pdmai_nvme_queue_clear(q);
		ret = tell(q);
	}
	if (ret) {
		free_queue(q);
		return ret;
	}
	n->queues[qid] = q;
	*ret_queue = q;
	return 0;
}

void pdmai_nvme_queue_destroy(struct pdmai_nvme_queue *q)
{
	struct pdmai_nvme *n;

	if (!q)
		return;
	n = q->nvme;
	/* A queue of before a reset is none of the controller's. */
	if (n->running && q->generation == n->generation &&
	    (delete (q, NVME_DELETE_SQ) || delete (q, NVME_DELETE_CQ)))
		pdmai_nvme_stop(n);
	n->queues[q->qid] = NULL;
	free_queue(q);
}

void pdmai_nvme_queue_where(const struct pdmai_nvme_queue *q, struct pdmai_nvme_queue_place *ret)
{
	const struct pdmai_nvme_cmb *cmb = &q->nvme->info.cmb;

	*ret = (struct pdmai_nvme_queue_place){
		.qid = q->qid,
		.entries = q->entries,
		.sq_off = cmb->off + q->sq.cmb_off,
		.sq_len = q->sq.host.vaddr ? 0 : q->sq.len,
		.cq_off = cmb->off + q->cq.cmb_off,
		.cq_len = q->cq.host.vaddr ? 0 : q->cq.len,
		.sq_bell = pdmai_nvme_bell(q->nvme, q->qid, false),
		.cq_bell = pdmai_nvme_bell(q->nvme, q->qid, true),
		.list_off = entries_len(q->entries),
	};
	if (q->foreign && cmb->flags & PDMAI_NVME_CMB_LISTS)
		ret->list_bus = q->sq.addr + ret->list_off;
}

static int gate(const struct pdmai_nvme_queue *q)
{
	if (q->foreign)
		return pdmai_fail(EPERM, "queue %u is somebody else's to use", q->qid);
	return pdmai_nvme_queue_gate(q);
}

static int find_slot(struct pdmai_nvme_queue *q, unsigned *ret_slot)
{
	unsigned n = q->entries - 1;

	/* An entry is free when the controller has told a head beyond it. */
	if (q->pending >= n || (q->tail + 1) % q->entries == q->sq_head)
		return -EAGAIN;
	while (q->slots[q->next_slot % n].busy)
		q->next_slot++;
	*ret_slot = q->next_slot++ % n;
	return 0;
}

int pdmai_nvme_submit(struct pdmai_nvme_queue *q, const struct pdmai_nvme_cmd *cmd)
{
	unsigned slot = 0;
	struct nvme_sqe sqe;
	int ret = gate(q);

	if (!ret && cmd->blocks > BLOCKS_MAX)
		ret = pdmai_fail(EINVAL, "a command has at most %u blocks", BLOCKS_MAX);
	ret = ret ? ret : find_slot(q, &slot);
	if (ret)
		return ret;
	ret = pdmai_nvme_encode(
		cmd, (uint16_t)slot,
		(volatile uint64_t *)(q->lists.mem + (size_t)slot * PDMAI_NVME_PAGE),
		q->lists.addr + (uint64_t)slot * PDMAI_NVME_PAGE, &sqe);
	if (ret)
		return ret;
	q->slots[slot] = (struct pdmai_nvme_slot){ cmd->cookie, true };
	pdmai_nvme_put(q, &sqe);
	return 0;
}

int pdmai_nvme_poll(struct pdmai_nvme_queue *q, struct pdmai_nvme_done *done, unsigned max)
{
	struct nvme_cqe cqe = { 0 };
	unsigned n = 0;
	int ret = gate(q);

	while (!ret && n < max && (ret = pdmai_nvme_take(q, &cqe)) == 1) {
		ret = 0;
		if (cqe.cid >= q->entries - 1 || !q->slots[cqe.cid].busy) {
			q->broken = -EPROTO;
			ret = pdmai_fail(EPROTO,
					 "%s completes command %u on queue %u, which is "
					 "not under way",
					 q->nvme->dev->bdf.text, cqe.cid, q->qid);
			break;
		}
		q->slots[cqe.cid].busy = false;
		done[n++] = (struct pdmai_nvme_done){
			.cookie = q->slots[cqe.cid].cookie,
			.err = pdmai_nvme_status_errno(cqe.status),
			.status = cqe.status,
		};
	}
	/* What came before the nonsense counts; the next call tells. */
	return n ? (int)n : ret;
}

unsigned pdmai_nvme_pending(const struct pdmai_nvme_queue *q)
{
	return q->pending;
}
