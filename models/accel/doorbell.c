// SPDX-License-Identifier: MIT
/*
 * Doorbells: SPEC.rst 3.4. They only move an index; the work is the worker's.
 *
 * A driver may answer a completion before the worker has come back from writing it and moved
 * SQ_HEAD and CQ_TAIL; r->completing makes room for that.
 */
#include "models/accel/internal.h"

static void sq_tail_locked(struct accel *a, struct accel_ring *r, uint32_t val)
{
	uint32_t ready = r->sq_tail - r->sq_head, want = val - r->sq_head;

	if (r->state != ACCEL_RING_RUNNING) {
		mdl_count(a->dev, ACCEL_C_DB_IGNORED);
		return;
	}
	if (want > r->size + r->completing || want < ready) {
		mdl_count(a->dev, ACCEL_C_DB_BAD);
		accel_ring_fail_locked(a, r, ACCEL_RING_ERR_SQ_DOORBELL, val);
		return;
	}
	mdl_count(a->dev, ACCEL_C_DB_SQ);
	r->sq_tail = val;
	mdl_worker_kick(a->worker);
}

static void cq_head_locked(struct accel *a, struct accel_ring *r, uint32_t val)
{
	if (r->state == ACCEL_RING_DISABLED) {
		mdl_count(a->dev, ACCEL_C_DB_IGNORED);
		return;
	}
	if (val - r->cq_head > r->cq_tail + r->completing - r->cq_head) {
		mdl_count(a->dev, ACCEL_C_DB_BAD);
		accel_ring_fail_locked(a, r, ACCEL_RING_ERR_CQ_DOORBELL, val);
		return;
	}
	mdl_count(a->dev, ACCEL_C_DB_CQ);
	r->cq_head = val;
}

void accel_doorbell_locked(struct accel *a, struct accel_ring *r, uint32_t off, uint32_t val)
{
	if (accel_fault(a, ACCEL_F_DB_LOST).action == MDL_FAULT_DROP) {
		mdl_count(a->dev, ACCEL_C_DB_LOST);
		return;
	}
	if (off == ACCEL_DOORBELL_SQ_TAIL)
		sq_tail_locked(a, r, val);
	else
		cq_head_locked(a, r, val);
}
