// SPDX-License-Identifier: MIT
/*
 * Data moved by an NVMe drive. It writes to the target when its blocks are read into it, and reads
 * the target when it compares its blocks with it (NVMe Compare). Nothing on the drive changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trial_disk.h"
#include "util/clock.h"

#define CHUNK (64u << 10) /* compared by one command */

static double rate(uint64_t len, double start)
{
	double time = util_now_s() - start;

	return time > 0 ? (double)len / (1 << 20) / time : 0;
}

static enum pdma_trial not_run(struct cli_disk *d, const char *what, const char *why)
{
	cli_trial_cannot(d->bench, "%s: %.180s", what, why);
	return PDMA_TRIAL_NOT_RUN;
}

static enum pdma_trial refused(struct cli_disk *d, const char *what)
{
	snprintf(d->bench->out->how, sizeof(d->bench->out->how), "%s of %s: %s", what, d->name,
		 d->why);
	return PDMA_TRIAL_REFUSED;
}

/* got and want; all wrong bytes of the first wrong page are ones: the bus answered for nobody. */
static enum pdma_trial weigh(struct cli_disk *d)
{
	uint64_t first = 0, end;

	while (first < d->bench->len && d->got[first] == d->want[first])
		first++;
	if (first == d->bench->len)
		return PDMA_TRIAL_GOOD;
	d->bench->out->first_bad = first;
	end = (first | (CLI_DISK_PAGE - 1)) + 1;
	for (uint64_t i = first; i < end; i++)
		if (d->got[i] != d->want[i] && d->got[i] != 0xff)
			return PDMA_TRIAL_WRONG_DATA;
	return PDMA_TRIAL_ALL_ONES;
}

/* The drive writes: what it has comes into memory that holds something else in each byte. */
static enum pdma_trial try_write(struct cli_disk *d)
{
	struct cli_trial_bench *b = d->bench;
	double start;

	for (uint64_t i = 0; i < b->len; i++)
		d->got[i] = d->want[i] ^ 0xa5;
	if (pdma_region_write(b->target, 0, d->got, b->len))
		return not_run(d, "the processor writes", pdma_error());
	start = util_now_s();
	if (d->ops->read(d))
		return refused(d, "reading into it");
	b->out->write_mib_s = rate(b->len, start);
	if (pdma_region_read(b->target, 0, d->got, b->len))
		return not_run(d, "the processor reads", pdma_error());
	return weigh(d);
}

static enum pdma_trial failed_compare(struct cli_disk *d, int err)
{
	if (err == -EOPNOTSUPP)
		return not_run(d, d->name, "has no Compare command");
	return refused(d, "Compare");
}

/* The first block of a chunk that is told to differ. */
static enum pdma_trial wrong_block(struct cli_disk *d, uint64_t off, uint64_t len)
{
	uint64_t at = off;

	while (at - off < len && d->ops->compare(d, at, d->block) != 1)
		at += d->block;
	d->bench->out->first_bad = at - off < len ? at : off;
	return PDMA_TRIAL_WRONG_DATA;
}

static uint64_t chunk_at(const struct cli_disk *d, uint64_t off)
{
	return d->bench->len - off < CHUNK ? d->bench->len - off : CHUNK;
}

static enum pdma_trial compare_equal(struct cli_disk *d)
{
	for (uint64_t off = 0; off < d->bench->len; off += CHUNK) {
		int ret = d->ops->compare(d, off, chunk_at(d, off));

		if (ret == 1)
			return wrong_block(d, off, chunk_at(d, off));
		if (ret)
			return failed_compare(d, ret);
	}
	return PDMA_TRIAL_GOOD;
}

/* One byte of each chunk is changed: who still finds it equal has not read it. */
static enum pdma_trial compare_changed(struct cli_disk *d)
{
	for (uint64_t off = 0; off < d->bench->len; off += CHUNK) {
		uint64_t len = chunk_at(d, off), at = off + len / 2 + 1;
		uint8_t other = (uint8_t)~d->want[at];
		int ret;

		if (pdma_region_write(d->bench->target, at, &other, 1))
			return not_run(d, "the processor writes", pdma_error());
		ret = d->ops->compare(d, off, len);
		if (ret < 0)
			return failed_compare(d, ret);
		if (ret)
			continue;
		d->bench->out->first_bad = at;
		return PDMA_TRIAL_WRONG_DATA;
	}
	return PDMA_TRIAL_GOOD;
}

static enum pdma_trial try_read(struct cli_disk *d)
{
	struct cli_trial_bench *b = d->bench;
	enum pdma_trial trial;
	double start;

	if (pdma_region_write(b->target, 0, d->want, b->len))
		return not_run(d, "the processor writes", pdma_error());
	start = util_now_s();
	trial = compare_equal(d);
	b->out->read_mib_s = rate(b->len, start);
	return trial == PDMA_TRIAL_GOOD ? compare_changed(d) : trial;
}

static void run(struct cli_disk *d)
{
	struct cli_measurement *out = d->bench->out;

	snprintf(out->how, sizeof(out->how), "%llu KiB each way by %s%s: direct read, Compare",
		 (unsigned long long)d->bench->len >> 10, d->name, d->driver);
	out->m.write = try_write(d);
	if (out->m.write != PDMA_TRIAL_NOT_RUN)
		out->m.read = try_read(d);
	/* The drive may be in use: what changed on it meanwhile is no error of the path. */
	if (d->ops->peek(d, d->got) || memcmp(d->got, d->want, d->bench->len)) {
		out->m.write = out->m.read = PDMA_TRIAL_NOT_RUN;
		cli_trial_cannot(d->bench, "what %s has changed meanwhile: is it in use?", d->name);
	}
}

void cli_trial_by_disk(struct cli_trial_bench *b)
{
	struct cli_disk d = { .bench = b };

	d.ops = cli_trial_is_ours(&b->initiator) ? &cli_disk_own : &cli_disk_kernel;
	d.want = aligned_alloc(CLI_DISK_PAGE, b->len);
	d.got = aligned_alloc(CLI_DISK_PAGE, b->len);
	if (!d.want || !d.got) {
		cli_trial_cannot(b, "no memory");
	} else if (d.ops->open(&d)) {
		run(&d);
		d.ops->close(&d);
	}
	free(d.want);
	free(d.got);
}
