// SPDX-License-Identifier: MIT
/* Queues in memory: doorbells, submission entries in, completion entries out. */
#include <errno.h>
#include <string.h>

#include "models/nvme/internal.h"

void nvme_queues_clear_locked(struct nvme *c)
{
	memset(c->sq, 0, sizeof(c->sq));
	memset(c->cq, 0, sizeof(c->cq));
}

bool nvme_sq_live(struct nvme *c, unsigned qid)
{
	bool live;

	pthread_mutex_lock(&c->lock);
	live = c->sq[qid].live;
	pthread_mutex_unlock(&c->lock);
	return live;
}

bool nvme_cq_live(struct nvme *c, unsigned qid)
{
	bool live;

	pthread_mutex_lock(&c->lock);
	live = c->cq[qid].live;
	pthread_mutex_unlock(&c->lock);
	return live;
}

static uint32_t used(uint32_t tail, uint32_t head, uint32_t size)
{
	return tail >= head ? tail - head : tail + size - head;
}

/* ---- doorbells ---- */

static void bad_doorbell_locked(struct nvme *c, uint8_t info)
{
	mdl_count(c->dev, NVME_C_DB_BAD);
	nvme_event_locked(c, NVME_EVENT_ERROR, info, NVME_LOG_ERROR);
}

static void sq_doorbell_locked(struct nvme *c, struct nvme_sq *sq, uint32_t val)
{
	if (!sq->live)
		bad_doorbell_locked(c, NVME_ERROR_BAD_DB);
	else if (val >= sq->size)
		bad_doorbell_locked(c, NVME_ERROR_BAD_VALUE);
	else
		sq->tail = val;
}

static void cq_doorbell_locked(struct nvme *c, struct nvme_cq *cq, uint32_t val)
{
	if (!cq->live)
		bad_doorbell_locked(c, NVME_ERROR_BAD_DB);
	else if (val >= cq->size ||
		 used(val, cq->head, cq->size) > used(cq->tail, cq->head, cq->size))
		bad_doorbell_locked(c, NVME_ERROR_BAD_VALUE);
	else
		cq->head = val;
}

void nvme_doorbell_locked(struct nvme *c, uint32_t off, uint32_t val)
{
	uint32_t qid = off / 8;

	if (c->state != NVME_READY)
		return;
	mdl_count(c->dev, NVME_C_DB);
	if (qid >= NVME_QUEUES)
		bad_doorbell_locked(c, NVME_ERROR_BAD_DB);
	else if (off & 4)
		cq_doorbell_locked(c, &c->cq[qid], val & 0xffff);
	else
		sq_doorbell_locked(c, &c->sq[qid], val & 0xffff);
	mdl_worker_kick(c->worker);
}

/* ---- completions ---- */

bool nvme_room_locked(const struct nvme *c, unsigned sqid)
{
	const struct nvme_sq *sq = &c->sq[sqid];
	const struct nvme_cq *cq = &c->cq[sq->cqid];

	return sq->live && cq->live && used(cq->tail, cq->head, cq->size) < cq->size - 1;
}

static bool room(struct nvme *c, unsigned sqid)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = nvme_room_locked(c, sqid);
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* Take the next slot. The tail moves before the entry is written: its reader may be quick. */
static bool take_slot(struct nvme *c, uint16_t sqid, struct nvme_cqe *e, struct mdl_seg *at)
{
	struct nvme_sq *sq = &c->sq[sqid];
	struct nvme_cq *cq = &c->cq[sq->cqid];
	bool ok;

	pthread_mutex_lock(&c->lock);
	ok = !nvme_outdated(c) && nvme_room_locked(c, sqid);
	if (ok) {
		*at = (struct mdl_seg){ .addr = cq->base + (uint64_t)cq->tail * sizeof(*e),
					.space = cq->space };
		e->status |= cq->phase;
		e->sqhd = (uint16_t)sq->head;
		cq->tail++;
		if (cq->tail == cq->size) {
			cq->tail = 0;
			cq->phase = !cq->phase;
		}
		c->notify |= UINT64_C(1) << sq->cqid;
	}
	pthread_mutex_unlock(&c->lock);
	return ok;
}

/* The half with the phase goes last and in one store. */
static int write_entry(struct nvme *c, const struct nvme_cqe *e, const struct mdl_seg *at)
{
	uint64_t half;
	int err = mdl_dma_write(&c->dma, at->space, at->addr, e, 8, MDL_CTRL);

	memcpy(&half, (const uint8_t *)e + 8, 8);
	return err ? err : mdl_dma_store(&c->dma, at->space, at->addr + 8, 8, half);
}

static void unreachable(struct nvme *c, int err, const char *what)
{
	if (err == -ECANCELED) {
		c->gone = true;
		return;
	}
	pthread_mutex_lock(&c->lock);
	if (!nvme_outdated(c))
		nvme_fatal_locked(c, what);
	pthread_mutex_unlock(&c->lock);
}

void nvme_post(struct nvme *c, uint16_t sqid, uint16_t cid, uint32_t result, uint16_t status)
{
	struct nvme_cqe e = {
		.dw0 = result, .sqid = sqid, .cid = cid, .status = (uint16_t)(status << 1)
	};
	struct mdl_seg at;
	int err;

	if (!take_slot(c, sqid, &e, &at))
		return;
	if (nvme_fault(c, NVME_FP_CQE_LOST).action == MDL_FAULT_DROP)
		return;
	err = write_entry(c, &e, &at);
	if (err)
		unreachable(c, err, "a completion queue cannot be written");
	else
		mdl_count(c->dev, NVME_C_CQE);
}

/* Interrupts for what was posted since the last call. */
void nvme_notify(struct nvme *c)
{
	unsigned i, vector;
	bool irq;

	for (i = 0; c->notify; i++) {
		if (!(c->notify & UINT64_C(1) << i))
			continue;
		c->notify &= ~(UINT64_C(1) << i);
		pthread_mutex_lock(&c->lock);
		irq = c->cq[i].live && c->cq[i].irq && !nvme_outdated(c);
		vector = c->cq[i].vector;
		pthread_mutex_unlock(&c->lock);
		if (irq)
			mdl_irq_raise_for(&c->dma, vector);
	}
}

/* ---- commands ---- */

struct batch {
	uint16_t sqid;
	uint32_t n;
	struct mdl_seg at;
	struct nvme_sqe sqe[NVME_FETCH];
};

static bool next_batch(struct nvme *c, struct batch *b)
{
	unsigned i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < NVME_QUEUES; i++) {
		unsigned qid = (c->next_sq + i) % NVME_QUEUES;
		struct nvme_sq *sq = &c->sq[qid];

		if (!sq->live || sq->head == sq->tail || !nvme_room_locked(c, qid))
			continue;
		b->sqid = (uint16_t)qid;
		b->n = (sq->tail > sq->head ? sq->tail : sq->size) - sq->head;
		b->n = b->n < NVME_FETCH ? b->n : NVME_FETCH;
		b->at = (struct mdl_seg){ .addr = sq->base + (uint64_t)sq->head * sizeof(*b->sqe),
					  .space = sq->space };
		c->next_sq = (qid + 1) % NVME_QUEUES;
		break;
	}
	pthread_mutex_unlock(&c->lock);
	return i < NVME_QUEUES;
}

/* The host may use the slot again once a completion says so. False: a reset came. */
static bool consume(struct nvme *c, unsigned sqid)
{
	struct nvme_sq *sq = &c->sq[sqid];
	bool ok;

	pthread_mutex_lock(&c->lock);
	ok = !nvme_outdated(c) && sq->live && !c->fatal;
	if (ok)
		sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
	pthread_mutex_unlock(&c->lock);
	return ok;
}

/* Fault points of all commands. True: *status is what the command ends with. */
static bool spoilt(struct nvme *c, const struct nvme_cmd *cmd, uint16_t *status)
{
	struct mdl_fault_hit hit = nvme_fault(c, NVME_FP_SMART);

	if (hit.action != MDL_FAULT_NONE) {
		c->warning = (uint8_t)hit.arg;
		if (c->f_events & c->warning)
			nvme_event(c, NVME_EVENT_SMART, NVME_SMART_SUBSYSTEM, NVME_LOG_SMART);
	}
	hit = nvme_fault(c, NVME_FP_NS_CHANGED);
	if (hit.action != MDL_FAULT_NONE && nvme_ns(c, (uint32_t)hit.arg)) {
		c->changed_ns |= 1u << (hit.arg - 1);
		if (c->f_events & NVME_OAES_NS)
			nvme_event(c, NVME_EVENT_NOTICE, NVME_NOTICE_NS, NVME_LOG_CHANGED_NS);
	}
	if (!cmd->sqid)
		return false;
	hit = nvme_fault(c, NVME_FP_CMD_ERROR);
	*status = hit.arg ? hit.arg & 0x7fff : NVME_SC_INTERNAL;
	return hit.action == MDL_FAULT_ERROR;
}

static uint16_t execute(struct nvme *c, struct nvme_cmd *cmd)
{
	uint16_t status;

	nvme_cmb_look(c);
	if (spoilt(c, cmd, &status))
		return status;
	if (NVME_FUSE(cmd->sqe.flags)) {
		cmd->where = 1;
		return NVME_BAD(NVME_SC_BAD_FIELD);
	}
	return cmd->sqid ? nvme_io(c, cmd) : nvme_admin(c, cmd);
}

/* Return: the queue may go on. */
static bool one(struct nvme *c, struct nvme_cmd *cmd)
{
	uint16_t status;

	if (!consume(c, cmd->sqid))
		return false;
	status = execute(c, cmd);
	if (status == NVME_GONE) {
		mdl_count(c->dev, NVME_C_CANCELED);
		c->gone = true;
		return false;
	}
	if (status == NVME_LATER)
		return true;
	if (status)
		status = nvme_log_error(c, cmd, status);
	nvme_post(c, cmd->sqid, cmd->sqe.cid, cmd->result, status);
	return true;
}

/* Fault point nvme.power.cut. True: nothing more happens. */
static bool power_is_cut(struct nvme *c, unsigned sqid)
{
	if (!sqid || nvme_fault(c, NVME_FP_POWER_CUT).action == MDL_FAULT_NONE)
		return false;
	nvme_power_cut(c);
	return true;
}

bool nvme_turn(struct nvme *c)
{
	uint64_t bytes = 0;
	struct batch b;
	unsigned i;
	int err;

	if (!next_batch(c, &b))
		return false;
	err = mdl_dma_read(&c->dma, b.at.space, b.at.addr, b.sqe, b.n * sizeof(*b.sqe), MDL_CTRL);
	if (err) {
		unreachable(c, err, "a submission queue cannot be read");
		return false;
	}
	for (i = 0; i < b.n && bytes < NVME_TURN_BYTES; i++) {
		struct nvme_cmd cmd = { .sqe = b.sqe[i], .sqid = b.sqid, .where = 0xffff };

		if (!room(c, b.sqid) || !nvme_pending_room(c) || power_is_cut(c, b.sqid) ||
		    !one(c, &cmd))
			break;
		bytes += cmd.bytes;
	}
	return i > 0;
}
