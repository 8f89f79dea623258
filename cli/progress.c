// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define EVERY_NS 100000000ll

void cli_progress_init(struct cli_progress *p, const struct cli *cli)
{
	*p = (struct cli_progress){ .shown = isatty(STDERR_FILENO) && !cli->json };
}

const char *cli_rate_text(uint64_t bytes, int64_t time_ns, char *buf)
{
	double rate = time_ns > 0 ? (double)bytes * 1e9 / (double)time_ns : 0;
	char size[16];

	snprintf(buf, 24, "%s/s", cli_size_text((uint64_t)rate, size));
	return buf;
}

static void draw(struct cli_progress *p, const struct pdma_transfer_status *s)
{
	int64_t time_ns = s->now_ns - s->start_ns, left = 0;
	char done[16], len[16], rate[24];

	if (s->done && time_ns > 0)
		left = (int64_t)((double)(s->len - s->done) * (double)time_ns / (double)s->done) /
		       1000000000;
	fprintf(stderr, "\r%3" PRIu64 " %%  %s of %s  %s  %" PRId64 ":%02" PRId64 " left\033[K",
		s->len ? (uint64_t)((double)s->done * 100 / (double)s->len) : 100,
		cli_size_text(s->done, done), cli_size_text(s->len, len),
		cli_rate_text(s->done, time_ns, rate), left / 60, left % 60);
	p->drawn = true;
	p->last_ns = s->now_ns;
}

int cli_progress_fn(void *arg, const struct pdma_transfer_status *s)
{
	struct cli_progress *p = arg;

	if (p->shown && s->now_ns - p->last_ns >= EVERY_NS)
		draw(p, s);
	return cli_interrupted();
}

void cli_progress_clear(struct cli_progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
