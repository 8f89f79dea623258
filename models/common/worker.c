// SPDX-License-Identifier: MIT
#include "models/common/worker.h"

#include <errno.h>
#include <immintrin.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "models/common/spin.h"
#include "util/clock.h"

struct mdl_worker {
	pthread_t thread;
	mdl_work_fn fn;
	void *arg;
	_Atomic uint32_t kicks; /* futex word */
	atomic_bool stop, sleeping;
	uint64_t deadline_ns; /* worker thread only; 0 = none */
	struct mdl_spin spin;
};

uint64_t mdl_now_ns(void)
{
	return (uint64_t)util_now_ns();
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
			       .tv_nsec = (long)(deadline_ns % 1000000000u) };

	/* FUTEX_WAIT_BITSET takes an absolute time. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, deadline_ns ? &ts : NULL, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool spin_for_kick(struct mdl_worker *w, uint32_t seen)
{
	uint64_t now = mdl_now_ns();

	while (mdl_spin_again(&w->spin, now)) {
		if (w->deadline_ns && now >= w->deadline_ns)
			return true;
		_mm_pause();
		if (atomic_load_explicit(&w->kicks, memory_order_acquire) != seen) {
			mdl_spin_found(&w->spin);
			return true;
		}
		now = mdl_now_ns();
	}
	return w->deadline_ns && now >= w->deadline_ns;
}

static void wait_for_kick(struct mdl_worker *w, uint32_t seen)
{
	if (spin_for_kick(w, seen))
		return;
	atomic_store(&w->sleeping, true);
	/* seq_cst here and in the kick: one of the two sides sees the other. */
	if (atomic_load(&w->kicks) == seen) {
		uint64_t slept = mdl_now_ns();

		futex_wait(&w->kicks, seen, w->deadline_ns);
		mdl_spin_slept(&w->spin, mdl_now_ns() - slept);
	}
	atomic_store(&w->sleeping, false);
}

static void *worker_main(void *arg)
{
	struct mdl_worker *w = arg;
	uint32_t seen;

	mdl_spin_init(&w->spin);
	while (!atomic_load(&w->stop)) {
		seen = atomic_load_explicit(&w->kicks, memory_order_acquire);
		w->deadline_ns = 0;
		if (w->fn(w->arg) || atomic_load(&w->stop))
			continue;
		if (atomic_load_explicit(&w->kicks, memory_order_acquire) == seen)
			wait_for_kick(w, seen);
	}
	return NULL;
}

int mdl_worker_create(const char *name, mdl_work_fn fn, void *arg, struct mdl_worker **ret_w)
{
	struct mdl_worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->fn = fn;
	w->arg = arg;
	/* Published before the thread runs: fn may be kicked, or kick itself, through *ret_w. */
	*ret_w = w;
	err = pthread_create(&w->thread, NULL, worker_main, w);
	if (err) {
		*ret_w = NULL;
		free(w);
		return -err;
	}
	pthread_setname_np(w->thread, name);
	return 0;
}

void mdl_worker_kick(struct mdl_worker *w)
{
	atomic_fetch_add(&w->kicks, 1);
	if (atomic_load(&w->sleeping))
		futex_wake(&w->kicks);
}

void mdl_worker_after(struct mdl_worker *w, uint64_t ns)
{
	uint64_t now = mdl_now_ns(), at = ns > INT64_MAX - now ? INT64_MAX : now + ns;

	if (!w->deadline_ns || at < w->deadline_ns)
		w->deadline_ns = at;
}

void mdl_worker_destroy(struct mdl_worker *w)
{
	if (!w)
		return;
	atomic_store(&w->stop, true);
	mdl_worker_kick(w);
	pthread_join(w->thread, NULL);
	free(w);
}
