// SPDX-License-Identifier: MIT
/* Workers: no kick is lost, deadlines are kept, nothing runs after destroy. */
#include "tests/unit/models/common/testdev.h"

#include <semaphore.h>
#include <unistd.h>

#include "models/common/worker.h"

#define KICKERS 3
#define KICKS	20000u

struct job {
	struct mdl_worker *w;
	_Atomic uint64_t posted, seen, runs;
	uint64_t first_ns, after_ns, stop_at;
	sem_t done;
};

/* Everything posted before the kick must be seen by some run after it. */
static bool take_posted(void *arg)
{
	struct job *j = arg;

	j->runs++;
	j->seen = j->posted;
	if (j->stop_at && j->seen == j->stop_at) {
		j->stop_at = 0;
		sem_post(&j->done);
	}
	return false;
}

static void *kicker(void *arg)
{
	struct job *j = arg;
	unsigned i;

	for (i = 0; i < KICKS; i++) {
		j->posted++;
		mdl_worker_kick(j->w);
		/* Let the worker fall asleep now and then, at ever different points. */
		if (i % 64 == 0)
			usleep(i % 7 * 100);
	}
	return NULL;
}

static void wait_done(struct job *j)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 50;
	assert_int_equal(sem_timedwait(&j->done, &ts), 0);
}

static void no_kick_is_lost(void **state)
{
	struct job j = { .stop_at = KICKERS * (uint64_t)KICKS };
	pthread_t t[KICKERS];
	unsigned i;

	sem_init(&j.done, 0, 0);
	assert_int_equal(mdl_worker_create("kicked", take_posted, &j, &j.w), 0);
	for (i = 0; i < KICKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, kicker, &j), 0);
	for (i = 0; i < KICKERS; i++)
		pthread_join(t[i], NULL);
	/* Not one kick more: the last one alone must be enough. */
	wait_done(&j);
	assert_int_equal(j.seen, KICKERS * KICKS);
	mdl_worker_destroy(j.w);
	sem_destroy(&j.done);
}

static bool rearm(void *arg)
{
	struct job *j = arg;

	if (!j->runs++) {
		j->first_ns = mdl_now_ns();
		mdl_worker_after(j->w, UINT64_MAX);
		mdl_worker_after(j->w, 3000000);
		mdl_worker_after(j->w, 900000000000u);
		return false;
	}
	if (j->runs == 2) {
		j->after_ns = mdl_now_ns() - j->first_ns;
		sem_post(&j->done);
	}
	return false;
}

static void deadline_wakes_without_a_kick(void **state)
{
	struct job j = { 0 };

	sem_init(&j.done, 0, 0);
	assert_int_equal(mdl_worker_create("deadline", rearm, &j, &j.w), 0);
	wait_done(&j);
	assert_true(j.after_ns >= 3000000);
	print_message("# 3 ms deadline came after %u us\n", (unsigned)(j.after_ns / 1000));
	mdl_worker_destroy(j.w);
	assert_int_equal(j.runs, 2);
	sem_destroy(&j.done);
}

static bool busy(void *arg)
{
	struct job *j = arg;

	if (j->runs++ == 100)
		sem_post(&j->done);
	return true;
}

static void busy_worker_stops(void **state)
{
	struct job j = { 0 };
	uint64_t runs;

	sem_init(&j.done, 0, 0);
	assert_int_equal(mdl_worker_create("busy", busy, &j, &j.w), 0);
	wait_done(&j);
	mdl_worker_destroy(j.w);
	runs = j.runs;
	usleep(1000);
	assert_int_equal(j.runs, runs);
	mdl_worker_destroy(NULL);
	sem_destroy(&j.done);
}

static void destroy_wakes_a_sleeper(void **state)
{
	struct job j = { 0 };
	unsigned i;

	for (i = 0; i < 200; i++) {
		assert_int_equal(mdl_worker_create("sleeper", take_posted, &j, &j.w), 0);
		if (i % 2)
			usleep(i * 3);
		mdl_worker_destroy(j.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_kick_is_lost),
		cmocka_unit_test(deadline_wakes_without_a_kick),
		cmocka_unit_test(busy_worker_stops),
		cmocka_unit_test(destroy_wakes_a_sleeper),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
