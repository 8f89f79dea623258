// SPDX-License-Identifier: MIT
/* States of a ring and the commands that change them: SPEC.rst 3.3 and 3.5. */
#include <string.h>

#include "models/accel/internal.h"

bool accel_ring_is_active(const struct accel_ring *r)
{
	return r->state == ACCEL_RING_RUNNING || r->state == ACCEL_RING_STOPPING;
}

static void clear_indices(struct accel_ring *r)
{
	r->sq_head = r->sq_tail = r->cq_head = r->cq_tail = 0;
}

static void clear_error(struct accel_ring *r)
{
	r->error = r->error_index = 0;
	r->error_info = 0;
}

/* From here on the worker drops what it holds of this ring as soon as it looks. */
static void forget_work(struct accel_ring *r)
{
	r->epoch++;
	r->drop = r->abort = r->completing = false;
	r->irq_held = 0;
}

void accel_ring_init(struct accel_ring *r, unsigned idx)
{
	r->idx = idx;
	accel_ring_reset_locked(r);
}

void accel_ring_reset_locked(struct accel_ring *r)
{
	r->sq_base = r->cq_base = 0;
	r->size_log2 = r->space = r->coalesce = 0;
	r->vector = ACCEL_VECTOR_NONE;
	r->state = ACCEL_RING_DISABLED;
	clear_indices(r);
	clear_error(r);
	forget_work(r);
}

static void enter_error(struct accel *a, struct accel_ring *r, uint32_t error, uint64_t info)
{
	unsigned code = ACCEL_RING_ERROR_CODE(error);

	r->state = ACCEL_RING_IN_ERROR;
	r->error = error;
	r->error_index = r->sq_head;
	r->error_info = info;
	mdl_count(a->dev, ACCEL_C_RING_ERR_CONFIG + code - ACCEL_RING_ERR_CONFIG);
	if (code != ACCEL_RING_ERR_CONFIG) {
		r->irq_held = 0;
		accel_irq_ring_locked(a, r);
	}
	accel_event_locked(a, ACCEL_EVENT_RING_ERROR);
}

void accel_ring_fail_locked(struct accel *a, struct accel_ring *r, uint32_t error, uint64_t info)
{
	/* A reset that was asked for is not lost to an error on the way. */
	if (accel_ring_is_active(r) && !r->drop)
		enter_error(a, r, error, info);
}

/* The worker holds nothing of the ring any more: STOPPING ends. */
void accel_ring_stopped_locked(struct accel *a, struct accel_ring *r)
{
	if (r->drop) {
		clear_indices(r);
		clear_error(r);
		mdl_count(a->dev, ACCEL_C_RING_RESET);
	} else {
		if (r->irq_held)
			accel_irq_ring_locked(a, r);
		mdl_count(a->dev, ACCEL_C_RING_STOPPED);
	}
	r->state = ACCEL_RING_DISABLED;
	forget_work(r);
}

static bool queue_ok(const struct accel *a, uint32_t space, uint64_t base, uint64_t len)
{
	uint16_t status;

	return base % 64 == 0 && accel_range_ok(a, space, base, len, &status);
}

/* Return: the offset of the first register with a bad value, or -1. */
static int check_config(const struct accel *a, const struct accel_ring *r)
{
	uint32_t sq_space = r->space & 0xf, cq_space = r->space >> 4;
	uint64_t size;

	if (r->size_log2 < ACCEL_RING_MIN_LOG2 || r->size_log2 > ACCEL_RING_MAX_LOG2)
		return ACCEL_RING_SIZE_LOG2;
	if (sq_space > ACCEL_SPACE_LOCAL || cq_space > ACCEL_SPACE_LOCAL)
		return ACCEL_RING_SPACE;
	size = 1ull << r->size_log2;
	if (!queue_ok(a, sq_space, r->sq_base, size * sizeof(struct accel_sqe)))
		return ACCEL_RING_SQ_BASE;
	if (!queue_ok(a, cq_space, r->cq_base, size * sizeof(struct accel_cqe)))
		return ACCEL_RING_CQ_BASE;
	if (r->vector >= ACCEL_VECTORS && r->vector != ACCEL_VECTOR_NONE)
		return ACCEL_RING_VECTOR;
	return -1;
}

static void enable(struct accel *a, struct accel_ring *r)
{
	int bad = check_config(a, r);

	clear_indices(r);
	clear_error(r);
	forget_work(r);
	if (bad >= 0) {
		enter_error(a, r, ACCEL_RING_ERR_CONFIG, (uint64_t)bad);
		return;
	}
	if (!a->enabled || a->fatal) {
		enter_error(a, r, ACCEL_RING_ERR_NOT_READY, 0);
		return;
	}
	r->size = 1u << r->size_log2;
	mdl_dma_begin(&r->dma, a->dev);
	r->state = ACCEL_RING_RUNNING;
	mdl_count(a->dev, ACCEL_C_RING_ENABLED);
}

static void stop(struct accel *a, struct accel_ring *r)
{
	r->state = ACCEL_RING_STOPPING;
}

/* It concerns the command that is executing now, which is the next to complete, and no other. */
static void abort_command(struct accel *a, struct accel_ring *r)
{
	r->abort = true;
	r->abort_index = r->sq_head;
}

static void reset(struct accel *a, struct accel_ring *r)
{
	r->state = ACCEL_RING_STOPPING;
	r->drop = true;
}

static void recover(struct accel *a, struct accel_ring *r)
{
	clear_error(r);
	r->state = ACCEL_RING_RUNNING;
	mdl_count(a->dev, ACCEL_C_RING_RECOVERED);
}

static bool can_recover(const struct accel_ring *r)
{
	switch (ACCEL_RING_ERROR_CODE(r->error)) {
	case ACCEL_RING_ERR_CONFIG:
	case ACCEL_RING_ERR_FATAL:
	case ACCEL_RING_ERR_NOT_READY:
		return false;
	default:
		return true;
	}
}

#define IN(state) (1u << (state))

static const struct command {
	void (*run)(struct accel *a, struct accel_ring *r);
	unsigned states; /* in which it is allowed */
} commands[] = {
	[ACCEL_RING_ENABLE] = { enable, IN(ACCEL_RING_DISABLED) },
	[ACCEL_RING_STOP] = { stop, IN(ACCEL_RING_RUNNING) },
	[ACCEL_RING_ABORT] = { abort_command, IN(ACCEL_RING_RUNNING) | IN(ACCEL_RING_STOPPING) },
	[ACCEL_RING_RESET] = { reset, IN(ACCEL_RING_RUNNING) | IN(ACCEL_RING_STOPPING) |
					      IN(ACCEL_RING_IN_ERROR) },
	[ACCEL_RING_RECOVER] = { recover, IN(ACCEL_RING_IN_ERROR) },
};

bool accel_ring_command_locked(struct accel *a, struct accel_ring *r, uint32_t cmd)
{
	if (cmd >= sizeof(commands) / sizeof(commands[0]) || !commands[cmd].run ||
	    !(commands[cmd].states & IN(r->state)))
		return false;
	if (cmd == ACCEL_RING_RECOVER && !can_recover(r))
		return false;
	commands[cmd].run(a, r);
	mdl_worker_kick(a->worker);
	return true;
}
