// SPDX-License-Identifier: MIT
/* Deadlines of one data worker: a binary heap of QPs by time, with room for every QP it has. */
#include "models/nic/timer.h"

#include <errno.h>
#include <stdlib.h>

#include "models/nic/data.h"

struct timers {
	pthread_mutex_t lock; /* leaf */
	uint32_t n, cap, reserved;
	struct nic_qp **heap; /* heap[i]->req.timer_pos is i + 1 */
};

static uint64_t at(const struct timers *t, uint32_t i)
{
	return t->heap[i]->req.timer_at;
}

static void put(struct timers *t, uint32_t i, struct nic_qp *qp)
{
	t->heap[i] = qp;
	qp->req.timer_pos = i + 1;
}

static void swap(struct timers *t, uint32_t i, uint32_t j)
{
	struct nic_qp *qp = t->heap[i];

	put(t, i, t->heap[j]);
	put(t, j, qp);
}

static void sift(struct timers *t, uint32_t i)
{
	uint32_t c;

	for (; i && at(t, i) < at(t, (i - 1) / 2); i = (i - 1) / 2)
		swap(t, i, (i - 1) / 2);
	for (c = 2 * i + 1; c < t->n; i = c, c = 2 * i + 1) {
		if (c + 1 < t->n && at(t, c + 1) < at(t, c))
			c++;
		if (at(t, i) <= at(t, c))
			break;
		swap(t, i, c);
	}
}

static void take_out(struct timers *t, struct nic_qp *qp)
{
	uint32_t i = qp->req.timer_pos - 1;

	qp->req.timer_pos = 0;
	t->n--;
	if (i == t->n)
		return;
	put(t, i, t->heap[t->n]);
	sift(t, i);
}

void nic_timer_set(struct nic_qp *qp)
{
	struct timers *t = qp->dw->timers;

	if (qp->req.due_ns == qp->req.timer_at && !qp->req.due_ns == !qp->req.timer_pos)
		return;
	pthread_mutex_lock(&t->lock);
	qp->req.timer_at = qp->req.due_ns;
	if (!qp->req.due_ns) {
		if (qp->req.timer_pos)
			take_out(t, qp);
	} else {
		if (!qp->req.timer_pos)
			put(t, t->n++, qp);
		sift(t, qp->req.timer_pos - 1);
	}
	pthread_mutex_unlock(&t->lock);
}

int nic_timer_reserve(struct nic_qp *qp)
{
	struct timers *t = qp->dw->timers;
	struct nic_qp **heap;
	int err = 0;

	pthread_mutex_lock(&t->lock);
	if (t->reserved == t->cap) {
		heap = realloc(t->heap, (t->cap ? 2 * t->cap : 64) * sizeof(*heap));
		if (heap) {
			t->heap = heap;
			t->cap = t->cap ? 2 * t->cap : 64;
		} else {
			err = -ENOMEM;
		}
	}
	t->reserved += !err;
	pthread_mutex_unlock(&t->lock);
	return err;
}

void nic_timer_drop(struct nic_qp *qp)
{
	struct timers *t = qp->dw->timers;

	pthread_mutex_lock(&t->lock);
	if (qp->req.timer_pos)
		take_out(t, qp);
	t->reserved--;
	pthread_mutex_unlock(&t->lock);
}

int nic_timers_init(struct nic_dw *dw)
{
	struct timers *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	dw->timers = t;
	return 0;
}

void nic_timers_fini(struct nic_dw *dw)
{
	struct timers *t = dw->timers;

	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->heap);
	free(t);
	dw->timers = NULL;
}

uint64_t nic_timers_run(struct nic_dw *dw)
{
	struct timers *t = dw->timers;
	uint64_t now, next = 0;

	/* The common case: nothing runs. A QP of this worker can only be added by this worker or by
	 * one that kicks it. */
	if (!__atomic_load_n(&t->n, __ATOMIC_RELAXED))
		return 0;
	now = mdl_now_ns();
	pthread_mutex_lock(&t->lock);
	while (t->n && at(t, 0) <= now) {
		struct nic_qp *qp = t->heap[0];

		take_out(t, qp);
		qp->req.timer_at = 0;
		nic_dbset_add(&dw->qps, qp->obj.id - dw->nic->table[NIC_T_QP].base);
		mdl_worker_kick(dw->worker);
	}
	if (t->n)
		next = at(t, 0);
	pthread_mutex_unlock(&t->lock);
	return next;
}
