// SPDX-License-Identifier: MIT
/* Interrupts of rings and of the device, and holding them back: SPEC.rst 2.4 and 3.6. */
#include "models/accel/internal.h"

static void raise(struct accel *a, unsigned vector)
{
	struct mdl_fault_hit hit = accel_fault(a, ACCEL_F_IRQ_LOST);

	if (hit.action == MDL_FAULT_DROP) {
		mdl_count(a->dev, ACCEL_C_IRQ_LOST);
		return;
	}
	if (hit.action == MDL_FAULT_DUP)
		mdl_irq_raise(a->dev, vector);
	mdl_irq_raise(a->dev, vector);
	mdl_count(a->dev, ACCEL_C_IRQ_RAISED);
}

void accel_irq_ring_locked(struct accel *a, struct accel_ring *r)
{
	r->irq_held = 0;
	if (r->vector < ACCEL_VECTORS)
		raise(a, r->vector);
}

void accel_irq_event_locked(struct accel *a)
{
	raise(a, ACCEL_VECTOR_EVENTS);
}

void accel_irq_completed_locked(struct accel *a, struct accel_ring *r, bool asked, bool urgent)
{
	uint32_t count = r->coalesce & 0xffff, us = r->coalesce >> 16;

	if (!asked && !urgent)
		return;
	if (urgent || count <= 1 || !us || r->irq_held + 1 >= count) {
		accel_irq_ring_locked(a, r);
		return;
	}
	if (!r->irq_held++)
		r->irq_due_ns = mdl_now_ns() + us * 1000ull;
	mdl_count(a->dev, ACCEL_C_IRQ_HELD);
}

void accel_irq_poll(struct accel *a)
{
	uint64_t now = 0;
	unsigned i;

	pthread_mutex_lock(&a->lock);
	for (i = 0; i < ACCEL_RINGS; i++) {
		struct accel_ring *r = &a->ring[i];

		if (!r->irq_held)
			continue;
		now = now ? now : mdl_now_ns();
		if (r->irq_due_ns <= now)
			accel_irq_ring_locked(a, r);
		else
			mdl_worker_after(a->worker, r->irq_due_ns - now);
	}
	pthread_mutex_unlock(&a->lock);
}
