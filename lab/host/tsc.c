// SPDX-License-Identifier: MIT
/*
 * The rate of this processor's time stamp counter in kHz, on a line, for guests that see the very
 * counter (QEMU's TCG). Exit status 1, and nothing is said, when it is not one that runs evenly.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

#define INVARIANT (1u << 8) /* of EDX, leaf 0x80000007 */
#define LOOKS	  200
#define APART_NS  20000000

struct look {
	uint64_t ticks, ns;
};

static uint64_t raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Both clocks at once: of many looks the one that took least, so that none was interrupted. */
static struct look look(void)
{
	uint64_t least = UINT64_MAX;
	struct look best = { 0 };

	for (int i = 0; i < LOOKS; i++) {
		uint64_t before = __rdtsc(), ns = raw_ns(), after = __rdtsc();

		if (after - before < least) {
			least = after - before;
			best = (struct look){ before + (after - before) / 2, ns };
		}
	}
	return best;
}

int main(void)
{
	unsigned a, b, c, d;
	struct look first, last;

	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & INVARIANT))
		return 1;
	first = look();
	nanosleep(&(struct timespec){ .tv_nsec = APART_NS }, NULL);
	last = look();
	printf("%.0f\n", (double)(last.ticks - first.ticks) * 1e6 / (double)(last.ns - first.ns));
	return 0;
}
#else
int main(void)
{
	return 1;
}
#endif
