// SPDX-License-Identifier: MIT
/*
 * The worker: sees resets and starts through, writes the cache back, reports events, and gives each
 * submission queue its turn: at most NVME_FETCH commands, or about NVME_TURN_BYTES of data.
 */
#include <string.h>

#include "models/common/log.h"
#include "models/nvme/internal.h"

/* How often a stalled device looks whether it may go on. */
#define STALL_POLL_NS 1000000u

bool nvme_outdated(const struct nvme *c)
{
	return c->seen != atomic_load_explicit(&c->epoch, memory_order_relaxed);
}

/* The admin queue pair, as the registers say. */
static void make_admin_queue_locked(struct nvme *c, const struct mdl_seg *sq,
				    const struct mdl_seg *cq)
{
	c->cq[0] = (struct nvme_cq){ .live = true,
				     .irq = true,
				     .phase = true,
				     .size = NVME_AQA_CQ(c->aqa) + 1,
				     .base = cq->addr,
				     .space = cq->space };
	c->sq[0] = (struct nvme_sq){
		.live = true, .size = NVME_AQA_SQ(c->aqa) + 1, .base = sq->addr, .space = sq->space
	};
}

static void forget(struct nvme *c)
{
	c->gone = false;
	c->n_aers = 0;
	memset(c->event_masked, 0, sizeof(c->event_masked));
	c->next_sq = 0;
	c->notify = 0;
	c->cmb_on = false;
	nvme_features_reset(c);
}

/* What was under way is over now; registers of the admin queue and of the buffer stay. */
static void stopped_locked(struct nvme *c)
{
	uint32_t aqa = c->aqa, cc = c->cc;
	uint64_t asq = c->asq, acq = c->acq, msc = c->cmbmsc;
	bool all = c->subsystem, bad = c->cmb_bad;

	nvme_reset_locked(c);
	c->seen = c->epoch;
	mdl_count(c->dev, NVME_C_DISABLED);
	if (all) {
		c->nssro = true;
		return;
	}
	c->cc = cc;
	c->aqa = aqa;
	c->asq = asq;
	c->acq = acq;
	c->cmbmsc = msc;
	c->cmb_bad = bad;
}

/* CC is kept by a start that the worker sees only now. */
static void started(struct nvme *c)
{
	struct mdl_seg sq, cq;
	uint64_t sq_len, cq_len;
	uint16_t status;

	pthread_mutex_lock(&c->lock);
	sq.addr = c->asq;
	cq.addr = c->acq;
	sq_len = (NVME_AQA_SQ(c->aqa) + 1) * sizeof(struct nvme_sqe);
	cq_len = (NVME_AQA_CQ(c->aqa) + 1) * sizeof(struct nvme_cqe);
	c->page = 4096u << NVME_CC_MPS(c->cc);
	pthread_mutex_unlock(&c->lock);
	nvme_cmb_look(c);
	status = nvme_locate(c, sq.addr, sq_len, &sq);
	if (!status)
		status = nvme_locate(c, cq.addr, cq_len, &cq);
	pthread_mutex_lock(&c->lock);
	if (!nvme_outdated(c)) {
		if (status) {
			nvme_fatal_locked(c, "admin queue partly in the memory buffer");
		} else {
			make_admin_queue_locked(c, &sq, &cq);
			c->state = NVME_READY;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

static void lose_cache(struct nvme *c)
{
	uint64_t lost = 0;
	unsigned i;

	for (i = 0; i < c->n_ns; i++)
		lost += nvme_media_lose(&c->ns[i]);
	mdl_count_add(c->dev, NVME_C_LOST, lost);
	if (lost)
		mdl_log(c->dev, MDL_INFO, "no power: %llu bytes of the write cache are lost",
			(unsigned long long)lost);
}

void nvme_power_cut(struct nvme *c)
{
	lose_cache(c);
	pthread_mutex_lock(&c->lock);
	c->unsafe++;
	c->power_cycles++;
	if (!nvme_outdated(c))
		nvme_fatal_locked(c, "power cut");
	pthread_mutex_unlock(&c->lock);
	mdl_count(c->dev, NVME_C_POWER_CUTS);
}

/* See an epoch, lost power and a shutdown through. Return: commands may be executed. */
static bool catch_up(struct nvme *c)
{
	bool lose, start = false, ready, shutdown;

	pthread_mutex_lock(&c->lock);
	lose = c->lose_cache;
	c->lose_cache = false;
	if (nvme_outdated(c)) {
		forget(c);
		c->seen = c->epoch;
		c->dma = c->dma_begun;
		if (c->state == NVME_STOPPING)
			stopped_locked(c);
		start = c->state == NVME_STARTING;
	}
	pthread_mutex_unlock(&c->lock);
	if (lose)
		lose_cache(c);
	if (start)
		started(c);
	pthread_mutex_lock(&c->lock);
	shutdown = c->shutdown_wanted && c->seen == c->epoch;
	c->shutdown_wanted = c->shutdown_wanted && !shutdown;
	ready = c->state == NVME_READY && !c->fatal && c->seen == c->epoch;
	pthread_mutex_unlock(&c->lock);
	/* There is always a slot for it: the last one is kept. */
	if (shutdown)
		nvme_flush_start(c, NULL, 0, c->n_ns);
	return ready && !c->gone;
}

/* Fault point nvme.stall: commands stand still, registers go on working. */
static bool stalled(struct nvme *c)
{
	struct mdl_fault_hit hit;
	uint64_t now = 0;

	if (!c->hold_ns) {
		hit = nvme_fault(c, NVME_FP_STALL);
		/* Asked for again each time, for not one command may slip through meanwhile. */
		if (hit.action == MDL_FAULT_STALL)
			mdl_worker_after(c->worker, STALL_POLL_NS);
		if (hit.action != MDL_FAULT_DELAY)
			return hit.action == MDL_FAULT_STALL;
		now = mdl_now_ns();
		c->hold_ns = now + hit.arg * 1000;
	}
	now = now ? now : mdl_now_ns();
	if (now < c->hold_ns) {
		mdl_worker_after(c->worker, c->hold_ns - now);
		return true;
	}
	c->hold_ns = 0;
	return false;
}

bool nvme_work(void *arg)
{
	struct nvme *c = arg;
	bool busy, ready = catch_up(c);

	busy = nvme_pending_poll(c);
	if (!ready)
		return busy || nvme_outdated(c);
	if (!stalled(c))
		busy |= nvme_turn(c);
	nvme_aer_poll(c);
	nvme_notify(c);
	return busy || nvme_outdated(c);
}
