/* SPDX-License-Identifier: MIT */
/* The monotonic clock: CLOCK_MONOTONIC, which no setting of the time of day moves. */
#ifndef PEERDMA_UTIL_CLOCK_H
#define PEERDMA_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t util_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The same in whole milliseconds, rounded down. */
static inline int64_t util_now_ms(void)
{
	return util_now_ns() / 1000000;
}

/* The same in seconds: for the difference of two, not to be kept. */
static inline double util_now_s(void)
{
	return (double)util_now_ns() / 1e9;
}

#endif
