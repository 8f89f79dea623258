// SPDX-License-Identifier: MIT
#include "tests/fuzz/waiting.h"

#include <stdint.h>
#include <time.h>

#define SLEEP_NS INT64_C(400000000)

/* The sanitizers come through here, too, before they are ready for instrumented code. */
#define PLAIN __attribute__((no_sanitize("address", "undefined")))

static _Thread_local int64_t now_ns; /* 0: the real clock */

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __real_nanosleep(const struct timespec *wanted, struct timespec *left);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

PLAIN int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!now_ns || clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, t);
	t->tv_sec = now_ns / 1000000000;
	t->tv_nsec = now_ns % 1000000000;
	return 0;
}

PLAIN int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	if (!now_ns)
		return __real_nanosleep(wanted, left);
	now_ns += SLEEP_NS;
	return 0;
}

void waiting_on(void)
{
	now_ns = 1;
}

void waiting_off(void)
{
	now_ns = 0;
}
