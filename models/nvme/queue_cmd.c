// SPDX-License-Identifier: MIT
/* Creation and deletion of I/O queues: Base Specification 5.4, 5.5 (Create), 5.6, 5.7 (Delete). */
#include "models/nvme/internal.h"

#define PC 1u /* physically contiguous */

static uint16_t bad(struct nvme_cmd *cmd, uint16_t where, uint16_t sc)
{
	cmd->where = where;
	return NVME_BAD(sc);
}

static bool is_io_queue(uint32_t qid)
{
	return qid && qid < NVME_QUEUES;
}

static uint32_t entries(const struct nvme_cmd *cmd)
{
	return (cmd->sqe.cdw10 >> 16) + 1;
}

/* What both kinds of queue ask: size, one piece of memory, at the start of a page. */
static uint16_t check_memory(struct nvme *c, struct nvme_cmd *cmd, uint32_t entry,
			     struct mdl_seg *ret_seg)
{
	uint32_t size = entries(cmd);

	if (size < 2 || size > NVME_MAX_QSIZE)
		return bad(cmd, 42, NVME_SC_BAD_QSIZE);
	if (!(cmd->sqe.cdw11 & PC))
		return bad(cmd, 44, NVME_SC_BAD_FIELD);
	if (NVME_PSDT(cmd->sqe.flags))
		return bad(cmd, 1, NVME_SC_BAD_FIELD);
	cmd->where = 24;
	if (cmd->sqe.prp1 % c->page)
		return NVME_BAD(NVME_SC_PRP_OFFSET);
	return nvme_locate(c, cmd->sqe.prp1, (uint64_t)size * entry, ret_seg);
}

static uint32_t configuration(struct nvme *c)
{
	uint32_t cc;

	pthread_mutex_lock(&c->lock);
	cc = c->cc;
	pthread_mutex_unlock(&c->lock);
	return cc;
}

uint16_t nvme_create_cq(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t qid = cmd->sqe.cdw10 & 0xffff, vector = cmd->sqe.cdw11 >> 16;
	struct mdl_seg at;
	uint16_t status;

	if (!is_io_queue(qid) || nvme_cq_live(c, qid))
		return bad(cmd, 40, NVME_SC_BAD_QID);
	if (NVME_CC_IOCQES(configuration(c)) != NVME_CQE_LOG2)
		return bad(cmd, 42, NVME_SC_BAD_QSIZE);
	status = check_memory(c, cmd, sizeof(struct nvme_cqe), &at);
	if (status)
		return status;
	if (vector >= NVME_VECTORS)
		return bad(cmd, 46, NVME_SC_BAD_VECTOR);
	pthread_mutex_lock(&c->lock);
	if (!nvme_outdated(c))
		c->cq[qid] = (struct nvme_cq){ .live = true,
					       .irq = cmd->sqe.cdw11 & 2,
					       .phase = true,
					       .vector = (uint16_t)vector,
					       .size = entries(cmd),
					       .base = at.addr,
					       .space = at.space };
	pthread_mutex_unlock(&c->lock);
	if (at.space == MDL_SPACE_LOCAL)
		mdl_count(c->dev, NVME_C_CQ_CMB);
	c->queues_made = true;
	return 0;
}

uint16_t nvme_create_sq(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t qid = cmd->sqe.cdw10 & 0xffff, cqid = cmd->sqe.cdw11 >> 16;
	struct mdl_seg at;
	uint16_t status;

	if (!is_io_queue(qid) || nvme_sq_live(c, qid))
		return bad(cmd, 40, NVME_SC_BAD_QID);
	if (!is_io_queue(cqid))
		return bad(cmd, 46, NVME_SC_BAD_QID);
	if (!nvme_cq_live(c, cqid))
		return bad(cmd, 46, NVME_SC_CQ_INVALID);
	if (NVME_CC_IOSQES(configuration(c)) != NVME_SQE_LOG2)
		return bad(cmd, 42, NVME_SC_BAD_QSIZE);
	status = check_memory(c, cmd, sizeof(struct nvme_sqe), &at);
	if (status)
		return status;
	pthread_mutex_lock(&c->lock);
	if (!nvme_outdated(c))
		c->sq[qid] = (struct nvme_sq){ .live = true,
					       .cqid = (uint16_t)cqid,
					       .size = entries(cmd),
					       .base = at.addr,
					       .space = at.space };
	pthread_mutex_unlock(&c->lock);
	if (at.space == MDL_SPACE_LOCAL)
		mdl_count(c->dev, NVME_C_SQ_CMB);
	c->queues_made = true;
	return 0;
}

static bool in_use(struct nvme *c, uint32_t cqid)
{
	bool yes = false;
	unsigned i;

	pthread_mutex_lock(&c->lock);
	for (i = 1; i < NVME_QUEUES; i++)
		yes = yes || (c->sq[i].live && c->sq[i].cqid == cqid);
	pthread_mutex_unlock(&c->lock);
	return yes;
}

uint16_t nvme_delete_cq(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t qid = cmd->sqe.cdw10 & 0xffff;

	if (!is_io_queue(qid) || !nvme_cq_live(c, qid))
		return bad(cmd, 40, NVME_SC_BAD_QID);
	if (in_use(c, qid))
		return bad(cmd, 40, NVME_SC_QUEUE_DELETION);
	pthread_mutex_lock(&c->lock);
	c->cq[qid] = (struct nvme_cq){ 0 };
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* Commands that wait for the file are given up without a completion, as 5.7 allows. */
uint16_t nvme_delete_sq(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t qid = cmd->sqe.cdw10 & 0xffff;

	if (!is_io_queue(qid) || !nvme_sq_live(c, qid))
		return bad(cmd, 40, NVME_SC_BAD_QID);
	pthread_mutex_lock(&c->lock);
	c->sq[qid] = (struct nvme_sq){ 0 };
	nvme_pending_orphan_locked(c, qid);
	pthread_mutex_unlock(&c->lock);
	return 0;
}
