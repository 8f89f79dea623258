// SPDX-License-Identifier: MIT
/*
 * The worker: rings in turn, a slice each, one step after the other. A step is decided under the
 * lock, carried out without it, and its result is put into the ring under the lock again, if
 * the ring is still the same one.
 */
#include <errno.h>

#include "models/accel/internal.h"

/* How often a stalled device looks whether it may go on. */
#define STALL_POLL_NS 1000000u

enum step {
	STEP_NONE,     /* nothing to do now */
	STEP_CHANGED,  /* the ring stopped: others may have waited for that */
	STEP_START,    /* fetch and check the next command */
	STEP_EXEC,     /* move some data */
	STEP_COMPLETE, /* write the completion */
};

/* What a step needs to know of the ring's registers. */
struct view {
	uint32_t sq_head, sq_tail, cq_tail;
};

/* A reset or an ENABLE came: begin afresh. */
static void adopt_locked(struct accel_ring *r)
{
	r->job_epoch = r->epoch;
	r->job.phase = ACCEL_IDLE;
	r->n_ahead = 0;
	r->src_dma = r->dst_dma = r->dma;
	r->queues = (struct accel_queues){
		.sq_base = r->sq_base,
		.cq_base = r->cq_base,
		.size = r->size,
		.sq_space = (enum mdl_space)(r->space & 0xf),
		.cq_space = (enum mdl_space)(r->space >> 4 & 0xf),
	};
}

static bool executing(const struct accel_ring *r)
{
	return r->job.phase == ACCEL_EXEC || r->job.phase == ACCEL_FENCED;
}

static void abort_locked(struct accel_ring *r)
{
	if (!r->abort)
		return;
	r->abort = false;
	if (r->abort_index == r->sq_head && executing(r))
		accel_cmd_finish(&r->job, (struct accel_outcome){ .status = ACCEL_ABORTED,
								  .info = r->job.done });
}

/* Has ring o come as far as a fence wants, or is it one that a fence does not wait for? */
static bool reached_locked(const struct accel_ring *o, const struct accel_wait *w)
{
	if (o->epoch != w->epoch || !accel_ring_is_active(o))
		return true;
	if (o->job_epoch == o->epoch && o->job.phase == ACCEL_FENCED)
		return true;
	return (int32_t)(o->sq_head - w->until) >= 0;
}

static bool fence_done_locked(struct accel *a, struct accel_ring *r)
{
	bool done = true;
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++) {
		struct accel_wait *w = &r->job.wait[i];

		if (w->on && reached_locked(&a->ring[i], w))
			w->on = false;
		done = done && !w->on;
	}
	return done;
}

/* What is submitted now; of a ring that is stopping, the command it has begun. */
static void fence_begin_locked(struct accel *a, struct accel_ring *r)
{
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++) {
		const struct accel_ring *o = &a->ring[i];

		r->job.wait[i] = (struct accel_wait){
			.on = o != r && accel_ring_is_active(o),
			.epoch = o->epoch,
			.until = o->state == ACCEL_RING_STOPPING ? o->sq_head + 1 : o->sq_tail,
		};
	}
	r->job.phase = ACCEL_FENCED;
}

/* Fault point accel.stall: every ring stands still, registers go on working. */
static bool stalled(struct accel *a)
{
	uint64_t now = 0;
	struct mdl_fault_hit hit;

	if (!a->hold_ns) {
		hit = accel_fault(a, ACCEL_F_STALL);
		/* Asked for again each time, for not one step may slip through meanwhile. */
		if (hit.action == MDL_FAULT_STALL)
			mdl_worker_after(a->worker, STALL_POLL_NS);
		if (hit.action != MDL_FAULT_DELAY)
			return hit.action == MDL_FAULT_STALL;
		now = mdl_now_ns();
		a->hold_ns = now + hit.arg * 1000;
	}
	now = now ? now : mdl_now_ns();
	if (now < a->hold_ns) {
		mdl_worker_after(a->worker, a->hold_ns - now);
		return true;
	}
	a->hold_ns = 0;
	return false;
}

static bool delayed(struct accel *a, struct accel_job *job)
{
	uint64_t now;

	if (!job->start_ns)
		return false;
	now = mdl_now_ns();
	if (now < job->start_ns) {
		mdl_worker_after(a->worker, job->start_ns - now);
		return true;
	}
	job->start_ns = 0;
	return false;
}

/* A ring that is stopping: has it come to its end? */
static bool stops_locked(const struct accel_ring *r)
{
	return r->state == ACCEL_RING_STOPPING && (r->drop || r->job.phase == ACCEL_IDLE);
}

static enum step complete_or_fail_locked(struct accel *a, struct accel_ring *r)
{
	if (r->cq_tail - r->cq_head < r->queues.size) {
		r->completing = true;
		return STEP_COMPLETE;
	}
	accel_ring_fail_locked(a, r, ACCEL_RING_ERR_CQ_OVERRUN, r->cq_tail);
	return STEP_CHANGED;
}

static enum step by_phase_locked(struct accel *a, struct accel_ring *r)
{
	struct accel_job *job = &r->job;

	switch (job->phase) {
	case ACCEL_IDLE:
		return r->sq_head == r->sq_tail || stalled(a) ? STEP_NONE : STEP_START;
	case ACCEL_EXEC:
		return stalled(a) || delayed(a, job) ? STEP_NONE : STEP_EXEC;
	case ACCEL_FENCED:
		if (stalled(a) || !fence_done_locked(a, r))
			return STEP_NONE;
		accel_cmd_finish(job, accel_cmd_success(job));
		return complete_or_fail_locked(a, r);
	case ACCEL_DONE:
		return stalled(a) ? STEP_NONE : complete_or_fail_locked(a, r);
	case ACCEL_DROPPED:
		break;
	}
	return STEP_NONE;
}

static enum step next_step(struct accel *a, struct accel_ring *r, struct view *ret_view)
{
	enum step step = STEP_NONE;

	pthread_mutex_lock(&a->lock);
	if (r->job_epoch != r->epoch)
		adopt_locked(r);
	abort_locked(r);
	if (stops_locked(r)) {
		accel_ring_stopped_locked(a, r);
		step = STEP_CHANGED;
	} else if (accel_ring_is_active(r)) {
		step = by_phase_locked(a, r);
	}
	*ret_view = (struct view){ r->sq_head, r->sq_tail, r->cq_tail };
	pthread_mutex_unlock(&a->lock);
	return step;
}

/* The queue itself cannot be reached: that is the ring's error, not a command's. */
static void queue_failed(struct accel *a, struct accel_ring *r, int err, uint32_t error,
			 enum mdl_space space, uint64_t addr)
{
	if (err == -ECANCELED) {
		r->job.phase = ACCEL_DROPPED;
		return;
	}
	pthread_mutex_lock(&a->lock);
	if (r->job_epoch == r->epoch) {
		r->completing = false;
		accel_ring_fail_locked(a, r, error | (uint32_t)accel_dma_status(err, space) << 16,
				       addr);
	}
	pthread_mutex_unlock(&a->lock);
}

/* Fault point accel.fatal. True: the device has failed. */
static bool fails_now(struct accel *a, struct accel_ring *r)
{
	if (accel_fault(a, ACCEL_F_FATAL).action != MDL_FAULT_ERROR)
		return false;
	pthread_mutex_lock(&a->lock);
	if (r->job_epoch == r->epoch)
		accel_fatal_locked(a, r);
	pthread_mutex_unlock(&a->lock);
	return true;
}

/* Fault point accel.cmd.error, for a command that is ready to run. */
static void spoil(struct accel *a, struct accel_job *job)
{
	struct mdl_fault_hit hit = accel_fault(a, ACCEL_F_CMD_ERROR);

	switch (hit.action) {
	case MDL_FAULT_ERROR:
		accel_cmd_finish(job, (struct accel_outcome){ .status = ACCEL_INTERNAL });
		break;
	case MDL_FAULT_DROP:
		accel_cmd_finish(job, accel_cmd_success(job));
		break;
	case MDL_FAULT_DELAY:
		job->start_ns = mdl_now_ns() + hit.arg * 1000;
		break;
	default:
		break;
	}
}

static bool is_device_fence(const struct accel_sqe *s)
{
	return s->opcode == ACCEL_OP_FENCE && s->param == ACCEL_FENCE_DEVICE;
}

static void start(struct accel *a, struct accel_ring *r, const struct view *v)
{
	struct accel_job *job = &r->job;
	int err = accel_sq_fetch(r, v->sq_head, v->sq_tail);

	if (err) {
		queue_failed(a, r, err, ACCEL_RING_ERR_SQ_FETCH, r->queues.sq_space,
			     r->src_dma.fault_addr);
		return;
	}
	if (fails_now(a, r))
		return;
	accel_cmd_prepare(a, r);
	if (job->phase != ACCEL_EXEC)
		return;
	spoil(a, job);
	if (job->phase == ACCEL_EXEC && is_device_fence(&job->sqe)) {
		pthread_mutex_lock(&a->lock);
		fence_begin_locked(a, r);
		pthread_mutex_unlock(&a->lock);
	}
}

static void commit(struct accel *a, struct accel_ring *r, bool written)
{
	const struct accel_job *job = &r->job;
	bool asked = job->sqe.flags & ACCEL_SQE_IRQ, failed = job->out.status != ACCEL_OK;

	mdl_count(a->dev, accel_status_counter(job->out.status));
	pthread_mutex_lock(&a->lock);
	if (r->job_epoch == r->epoch) {
		r->completing = false;
		r->sq_head++;
		if (written) {
			r->cq_tail++;
			accel_irq_completed_locked(a, r, asked, failed);
		}
	}
	pthread_mutex_unlock(&a->lock);
	r->job.phase = ACCEL_IDLE;
}

static void complete(struct accel *a, struct accel_ring *r, const struct view *v)
{
	bool lost = accel_fault(a, ACCEL_F_CQE_LOST).action == MDL_FAULT_DROP;
	int err = lost ? 0 : accel_cq_write(r, v->sq_head, v->cq_tail);

	if (err) {
		queue_failed(a, r, err, ACCEL_RING_ERR_CQ_WRITE, r->queues.cq_space,
			     r->dst_dma.fault_addr);
		return;
	}
	if (lost)
		mdl_count(a->dev, ACCEL_C_CQE_LOST);
	commit(a, r, !lost);
}

/* Lists are read and sorted as a whole, so they count as data of the turn. */
static uint64_t lists_cost(const struct accel_sqe *s)
{
	uint64_t n = (s->flags & ACCEL_SQE_SRC_SGL ? s->src_count : 0) +
		     (uint64_t)(s->flags & ACCEL_SQE_DST_SGL ? s->dst_count : 0);

	return n * sizeof(struct accel_sge);
}

static void spend(uint64_t *left, uint64_t n)
{
	*left -= n < *left ? n : *left;
}

static void do_step(struct accel *a, struct accel_ring *r, enum step step, const struct view *v,
		    uint64_t *left)
{
	uint64_t n;

	switch (step) {
	case STEP_START:
		start(a, r, v);
		spend(left, lists_cost(&r->job.sqe));
		break;
	case STEP_EXEC:
		accel_exec(a, r, *left, &n);
		spend(left, n);
		break;
	case STEP_COMPLETE:
		complete(a, r, v);
		break;
	case STEP_NONE:
	case STEP_CHANGED:
		break;
	}
	if (r->job.phase == ACCEL_DROPPED)
		mdl_count(a->dev, ACCEL_C_CANCELED);
}

/* Return: true when the ring did anything. */
static bool ring_turn(struct accel *a, struct accel_ring *r)
{
	unsigned steps = 3 * ACCEL_TURN_STEPS; /* a short command takes three */
	uint64_t left = ACCEL_SLICE;
	bool busy = false;
	struct view v;
	enum step step;

	while (left && steps--) {
		step = next_step(a, r, &v);
		if (step == STEP_NONE)
			break;
		busy = true;
		do_step(a, r, step, &v, &left);
	}
	return busy;
}

static void carry_out_soft_reset(struct accel *a)
{
	pthread_mutex_lock(&a->lock);
	if (a->soft_reset) {
		accel_reset_registers_locked(a);
		mdl_count(a->dev, ACCEL_C_SOFT_RESET);
	}
	pthread_mutex_unlock(&a->lock);
}

/* One ring's turn. No DMA runs between two calls, so a soft reset can be made here. */
bool accel_work(void *arg)
{
	struct accel *a = arg;
	bool busy = false;
	unsigned i;

	carry_out_soft_reset(a);
	for (i = 0; i < ACCEL_RINGS && !busy; i++) {
		busy = ring_turn(a, &a->ring[a->next_ring]);
		a->next_ring = (a->next_ring + 1) % ACCEL_RINGS;
	}
	accel_irq_poll(a);
	return busy;
}
