// SPDX-License-Identifier: MIT
/* peerdma bench: the direct way beside the one through host memory, over a sweep of sizes. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_plot.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/region.h"
#include "util/clock.h"

#define SAMPLES_MAX 501
#define MIN_SIZE    4096ull
#define MAX_SIZE    (64ull << 20)
#define DIRECT	    (PDMA_ENGINE_ACCEL | PDMA_ENGINE_NIC | PDMA_ENGINE_DIRECT)

struct bench {
	struct cli *cli;
	struct pdma_region *src, *dst;
	uint64_t min, max, samples, budget_ms;
	unsigned direct;
	struct cli_bench_row rows[CLI_BENCH_ROWS];
	int n;
	char how[2][96], no_direct[256];
};

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void summarize(int64_t *times, int n, struct cli_bench_figure *f)
{
	qsort(times, (size_t)n, sizeof(*times), by_time);
	f->samples = n;
	f->best_ns = times[0];
	f->median_ns = times[n / 2];
	f->worst_ns = times[n - 1];
}

static void note_how(struct bench *b, int way, const struct pdma_copy_result *r)
{
	if (r->engine == PDMA_ENGINE_STAGED)
		snprintf(b->how[way], sizeof(b->how[way]), "staged: %s, then %s",
			 pdma_engine_name(r->legs[0]), pdma_engine_name(r->legs[1]));
	else
		snprintf(b->how[way], sizeof(b->how[way]), "%s%s%s", pdma_engine_name(r->engine),
			 r->device[0] ? " of " : "", r->device);
}

static int one(struct bench *b, int way, uint64_t size, int64_t *ret_ns)
{
	struct pdma_copy_options opt = {
		.size = sizeof(opt),
		.engines = way ? PDMA_ENGINE_STAGED : b->direct,
		.nic = cli_option(b->cli, "nic"),
	};
	struct pdma_copy_result r = { .size = sizeof(r) };
	int err = pdma_copy(b->dst, 0, b->src, 0, size, &opt, &r);

	if (err)
		return err;
	*ret_ns = r.time_ns;
	note_how(b, way, &r);
	return 0;
}

/*
 * A run to warm up, then samples until there are enough or the time is over: that of the clock on
 * the wall, for setting up takes longer than a small copy.
 */
static int measure(struct bench *b, int way, uint64_t size, struct cli_bench_figure *f)
{
	int64_t times[SAMPLES_MAX], end = util_now_ns() + (int64_t)b->budget_ms * 1000000, warm;
	int n = 0, err = one(b, way, size, &warm);

	while (!err && n < (int)b->samples && !cli_interrupted()) {
		err = one(b, way, size, &times[n]);
		if (err)
			break;
		if (++n >= 3 && util_now_ns() > end)
			break;
	}
	if (!err && !n)
		return -ECANCELED;
	if (!err)
		summarize(times, n, f);
	return err;
}

static enum cli_status sweep(struct bench *b)
{
	int err;

	for (uint64_t size = b->min; size <= b->max && b->n < CLI_BENCH_ROWS; size *= 4) {
		struct cli_bench_row *row = &b->rows[b->n];

		row->size = size;
		err = b->no_direct[0] ? -EOPNOTSUPP : measure(b, 0, size, &row->direct);
		if (err == -EOPNOTSUPP && !b->no_direct[0])
			snprintf(b->no_direct, sizeof(b->no_direct), "%s", pdma_error());
		if (!err || err == -EOPNOTSUPP)
			err = measure(b, 1, size, &row->staged);
		if (err == -ECANCELED)
			return CLI_DONE;
		if (err)
			return cli_library_error(err, "bench");
		b->n++;
		if (size > UINT64_MAX / 4)
			break;
	}
	return CLI_DONE;
}

static void figure_cells(struct cli_table *t, uint64_t size, const struct cli_bench_figure *f)
{
	char rate[24];

	if (!f->samples) {
		for (int i = 0; i < 3; i++)
			cli_table_cell(t, CLI_DIM, "-");
		return;
	}
	cli_table_cell(t, CLI_PLAIN, "%.1f", (double)f->median_ns / 1e3);
	cli_table_cell(t, CLI_DIM, "%.1f", (double)(f->worst_ns - f->best_ns) / 1e3);
	cli_table_cell(t, CLI_BOLD, "%s", cli_rate_text(size, f->median_ns, rate));
}

static enum cli_status print_table(const struct bench *b)
{
	struct cli_table *t = cli_table_new(b->cli);
	char size[16];

	cli_table_column(t, "SIZE", CLI_RIGHT);
	cli_table_column(t, "DIRECT us", CLI_RIGHT);
	cli_table_column(t, "+-", CLI_RIGHT);
	cli_table_column(t, "RATE", CLI_RIGHT);
	cli_table_column(t, "STAGED us", CLI_RIGHT);
	cli_table_column(t, "+-", CLI_RIGHT);
	cli_table_column(t, "RATE", CLI_RIGHT);
	cli_table_column(t, "RATIO", CLI_RIGHT);
	for (int i = 0; i < b->n; i++) {
		const struct cli_bench_row *row = &b->rows[i];

		cli_table_row(t);
		cli_table_cell(t, CLI_PLAIN, "%s", cli_size_text(row->size, size));
		figure_cells(t, row->size, &row->direct);
		figure_cells(t, row->size, &row->staged);
		if (row->direct.samples)
			cli_table_cell(t, CLI_GOOD, "%.2f", cli_bench_ratio(row));
		else
			cli_table_cell(t, CLI_DIM, "-");
	}
	return cli_table_print(t);
}

static enum cli_status print_text(const struct bench *b)
{
	enum cli_status status = print_table(b);

	if (b->no_direct[0])
		printf("no direct way: %s\n", b->no_direct);
	else
		printf("direct: %s\n", b->how[0]);
	printf("%s%s\nmedians of up to %" PRIu64
	       " copies after one to warm up; +- is slowest less fastest; ratio: staged/direct\n",
	       b->how[1][0] == 's' ? "" : "staged: ", b->how[1], b->samples);
	return status;
}

static struct json_object *figure_json(const struct cli_bench_figure *f)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "samples", json_object_new_int(f->samples));
	json_object_object_add(o, "best_ns", json_object_new_int64(f->best_ns));
	json_object_object_add(o, "median_ns", json_object_new_int64(f->median_ns));
	json_object_object_add(o, "worst_ns", json_object_new_int64(f->worst_ns));
	return o;
}

static enum cli_status print_json(const struct bench *b)
{
	struct json_object *o = json_object_new_object(), *rows = json_object_new_array(), *r;

	json_object_object_add(o, "source", json_object_new_string(pdma_region_uri(b->src)));
	json_object_object_add(o, "target", json_object_new_string(pdma_region_uri(b->dst)));
	json_object_object_add(o, "direct", json_object_new_string(b->how[0]));
	json_object_object_add(o, "no_direct", json_object_new_string(b->no_direct));
	json_object_object_add(o, "staged", json_object_new_string(b->how[1]));
	for (int i = 0; i < b->n; i++) {
		r = json_object_new_object();
		json_object_object_add(r, "size", json_object_new_uint64(b->rows[i].size));
		if (b->rows[i].direct.samples)
			json_object_object_add(r, "direct", figure_json(&b->rows[i].direct));
		json_object_object_add(r, "staged", figure_json(&b->rows[i].staged));
		json_object_array_add(rows, r);
	}
	json_object_object_add(o, "rows", rows);
	return cli_json_print(o);
}

static bool take_options(struct bench *b)
{
	uint64_t src = cli_region_len(b->src), dst = cli_region_len(b->dst);
	uint64_t room = src < dst ? src : dst;

	b->min = MIN_SIZE;
	b->max = MAX_SIZE;
	b->samples = 101;
	b->budget_ms = 500;
	if (!cli_size_option(b->cli, "min", &b->min) || !cli_size_option(b->cli, "max", &b->max) ||
	    !cli_size_option(b->cli, "samples", &b->samples) ||
	    !cli_size_option(b->cli, "time", &b->budget_ms) ||
	    !cli_engines_option(b->cli, &b->direct))
		return false;
	b->direct = b->direct ? b->direct : DIRECT;
	b->max = b->max < room ? b->max : room;
	b->min = b->min < b->max ? b->min : b->max;
	if (!b->min || b->samples < 3 || b->samples > SAMPLES_MAX || b->budget_ms > 60000 ||
	    b->direct & PDMA_ENGINE_STAGED) {
		cli_error(CLI_USAGE, "peerdma bench --help",
			  "sizes from 1, samples from 3 to 501, a time up to 60000, engines that "
			  "are not staged",
			  "an option is out of its range");
		return false;
	}
	return true;
}

static enum cli_status bench(struct bench *b)
{
	const char *plot = cli_option(b->cli, "plot");
	enum cli_status status;

	if (!take_options(b))
		return CLI_USAGE;
	status = sweep(b);
	if (status || !b->n)
		return status;
	status = b->cli->json ? print_json(b) : print_text(b);
	if (!status && plot)
		status = cli_bench_plot(plot, b->rows, b->n, pdma_region_uri(b->src),
					pdma_region_uri(b->dst));
	return status;
}

static enum cli_status run(struct cli *cli)
{
	struct bench *b = calloc(1, sizeof(*b));
	enum cli_status status;
	struct pdma_ctx *ctx;

	if (!b)
		return cli_error(CLI_FAILED, NULL, "out of memory", "bench");
	b->cli = cli;
	cli_interrupt_catch();
	status = cli_ctx_open(&ctx);
	if (!status) {
		status = cli_region_open(cli, ctx, cli->argv[0], PDMA_OPEN_READONLY, &b->src);
		if (!status)
			status = cli_region_open(cli, ctx, cli->argv[1], 0, &b->dst);
		if (!status)
			status = bench(b);
		pdma_region_close(b->dst);
		pdma_region_close(b->src);
		pdma_ctx_destroy(ctx);
	}
	free(b);
	return status;
}

static const struct cli_option options[] = {
	{ "min", 0, "BYTES", "smallest size (default: 4K)", CLI_COMPLETE_NONE },
	{ "max", 0, "BYTES", "largest size (default: 64M, or what there is)", CLI_COMPLETE_NONE },
	{ "samples", 0, "N", "copies of each size, 3 to 501 (default: 101)", CLI_COMPLETE_NONE },
	{ "time", 0, "MS", "time for each size and way (default: 500)", CLI_COMPLETE_NONE },
	{ "engine", 'e', "LIST", "engines of the direct way (default: accel,nic,direct-io)",
	  CLI_COMPLETE_NONE },
	{ "plot", 0, "FILE.svg", "draw a picture, by gnuplot", CLI_COMPLETE_FILE },
	CLI_OPTION_TOKEN,
	CLI_OPTION_NIC,
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_bench = {
	.name = "bench",
	.args = "A B",
	.summary = "measure copies from A to B, direct and through host memory",
	.help = "Overwrites the beginning of B. Sizes grow by four; both ways are measured in one\n"
		"run, one behind the other for each size. Times are those of the transfer alone,\n"
		"without opening and registering.",
	.examples = "peerdma bench accel:0000:03:00.0 accel:0000:04:00.0\n"
		    "peerdma bench --plot rate.svg accel:0000:03:00.0 rdma://b/vram",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.complete = CLI_COMPLETE_REGION,
	.run = run,
};
