/* SPDX-License-Identifier: MIT */
/*
 * A thread that does a model's work in slices, spins for a short while after the last piece of
 * work (adaptive, so an idle device costs nothing) and then sleeps.
 */
#ifndef PEERDMA_MODELS_COMMON_WORKER_H
#define PEERDMA_MODELS_COMMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct mdl_worker;

/*
 * Do a bounded slice of work (aim below 100 us). Return true when there may be more at once,
 * false when the worker may wait for a kick. A kick that comes while fn runs is never lost.
 */
typedef bool (*mdl_work_fn)(void *arg);

/* name: at most 15 characters shown by ps. Return: 0 or -errno. */
int mdl_worker_create(const char *name, mdl_work_fn fn, void *arg, struct mdl_worker **ret_w);
/* Wake the worker. Any thread, never blocks. */
void mdl_worker_kick(struct mdl_worker *w);
/* For fn: be called no later than ns from now even without a kick (an earlier deadline wins). */
void mdl_worker_after(struct mdl_worker *w, uint64_t ns);
/* Stop after the current slice, join, free. NULL is allowed. Not from fn. */
void mdl_worker_destroy(struct mdl_worker *w);

/* Monotonic time in ns. */
uint64_t mdl_now_ns(void);

#endif
