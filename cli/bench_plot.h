/* SPDX-License-Identifier: MIT */
/* Figures of peerdma bench as a picture. */
#ifndef PEERDMA_CLI_BENCH_PLOT_H
#define PEERDMA_CLI_BENCH_PLOT_H

#include "cli/cli.h"

#define CLI_BENCH_ROWS 32

struct cli_bench_figure {
	int samples; /* 0: not measured */
	int64_t best_ns, median_ns, worst_ns;
};

struct cli_bench_row {
	uint64_t size;
	struct cli_bench_figure direct, staged;
};

/* How many times as long the staged way takes. */
double cli_bench_ratio(const struct cli_bench_row *row);

/* Draw rates over sizes into an SVG file. Return: CLI_DONE, or after telling. */
enum cli_status cli_bench_plot(const char *path, const struct cli_bench_row *rows, int n,
			       const char *from, const char *to);

#endif
