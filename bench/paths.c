// SPDX-License-Identifier: MIT
/* How long verdicts of all pairs take, and how that grows with the machine. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/kit/tree.h"
#include "util/clock.h"

#define SAMPLES 5

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Return: false: no memory. */
static bool measure(uint32_t devices, double *last)
{
	struct pdma_topo *t = kit_tree(devices, devices + 1);
	uint32_t *list = calloc(devices, sizeof(*list));
	struct pdma_cell *cells = calloc((size_t)devices * devices, sizeof(*cells));
	double times[SAMPLES];
	bool done = false;
	uint32_t n;

	if (!t || !list || !cells)
		goto out;
	n = kit_tree_devices(t, list, devices);
	/* The first run warms caches and page tables; it is not counted. */
	for (int i = -1; i < SAMPLES; i++) {
		double start = util_now_s();

		if (pdma_path_matrix(t, list, n, cells))
			goto out;
		if (i >= 0)
			times[i] = util_now_s() - start;
	}
	qsort(times, SAMPLES, sizeof(*times), by_value);
	printf("%7u %9u %12zu %9.4f %9.4f %9.4f %8.1f", n, t->n, (size_t)n * n, times[0],
	       times[SAMPLES / 2], times[SAMPLES - 1], times[SAMPLES / 2] * 1e9 / ((double)n * n));
	if (*last > 0)
		printf(" %7.2f", times[SAMPLES / 2] / *last);
	puts("");
	*last = times[SAMPLES / 2];
	done = true;
out:
	pdma_topo_destroy(t);
	free(list);
	free(cells);
	return done;
}

int main(void)
{
	double last = 0;

	printf("verdicts of all pairs, synthetic machines, %d samples after one warm-up; seconds\n"
	       "devices functions        pairs       min    median       max  ns/pair  growth\n",
	       SAMPLES);
	for (uint32_t devices = 512; devices <= 8192; devices *= 2)
		if (!measure(devices, &last)) {
			fputs("bench_paths: out of memory\n", stderr);
			return 1;
		}
	return 0;
}
