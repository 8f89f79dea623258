// SPDX-License-Identifier: MIT
/*
 * Data moved by the initiator and checked by the processor, which has a way of its own to the same
 * memory: so a request that vanishes shows.
 */
#include <errno.h>
#include <peerdma/region.h>
#include <peerdma/transfer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trial.h"

#define MEASURE_LEN (256u << 10)
#define PAGE	    4096u

#define SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

/* The memory under trial, and memory of the initiator's side. */
struct bench {
	struct pdma_region *target, *own;
	struct pdma_copy_options options;
	void *saved;
	uint64_t len;
	struct cli_measurement *out;
};

static uint64_t length_of(const struct cli_path *path, const struct pdma_bar *bar)
{
	uint64_t len = bar->len - path->target.off;

	if (path->target.len && path->target.len < len)
		len = path->target.len;
	if (len > MEASURE_LEN)
		len = MEASURE_LEN;
	return len & ~(uint64_t)(PAGE - 1);
}

/*
 * By vfio-pci the range that was asked for; an accelerator's memory from its beginning; of memory
 * that a kernel driver offers, a piece that nobody else has.
 */
static bool target_uri(const struct cli_path *path, const struct pdma_function *f, char uri[96],
		       struct bench *b)
{
	int bar = path->target.bar < 0 ? pdma_function_largest_bar(f) : path->target.bar;

	if (bar < 0)
		return false;
	b->len = length_of(path, &f->bar[bar]);
	if (f->is_vfio)
		snprintf(uri, 96, "vfio:%s/bar%d+0x%llx:0x%llx", f->bdf, bar,
			 (unsigned long long)path->target.off, (unsigned long long)b->len);
	else if (f->role == PDMA_ROLE_ACCELERATOR && !f->driver[0])
		snprintf(uri, 96, "accel:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
	else if (f->p2pmem)
		snprintf(uri, 96, "cmb:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
	else
		return false;
	return true;
}

static bool open_target(const struct cli_path *path, const struct pdma_function *f, struct bench *b)
{
	char uri[96];

	if (!target_uri(path, f, uri, b)) {
		SAY(b->out->how,
		    "memory of %s can be opened when it is bound to vfio-pci or offers p2pmem",
		    f->bdf);
		return false;
	}
	if (b->len && !pdma_region_open(path->machine->ctx, uri, NULL, &b->target))
		return true;
	SAY(b->out->how, "%.180s", b->len ? pdma_error() : "the range is under a page");
	return false;
}

/* A NIC writes from host memory, an accelerator from its own. */
static bool open_own(const struct cli_path *path, const struct pdma_function *f, struct bench *b)
{
	char uri[96];

	if (f->role == PDMA_ROLE_NIC && f->name[0]) {
		SAY(uri, "host:%llu", (unsigned long long)b->len);
		b->options.engines = PDMA_ENGINE_NIC;
	} else if (f->is_vfio ||
		   (f->role == PDMA_ROLE_ACCELERATOR && !f->driver[0])) {
		SAY(uri, "accel:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
		b->options.engines = PDMA_ENGINE_ACCEL;
	} else {
		SAY(b->out->how, "%s has no engine that this program can start", f->bdf);
		return false;
	}
	if (!pdma_region_open(path->machine->ctx, uri, NULL, &b->own))
		return true;
	SAY(b->out->how, "%.180s", pdma_error());
	return false;
}

/* All wrong bytes are ones: the bus answered for nobody. */
static enum pdma_trial weigh(struct pdma_region *region, uint64_t len, uint64_t seed,
			     uint64_t first_bad)
{
	uint8_t got[PAGE], want[PAGE];
	uint64_t off = first_bad & ~(uint64_t)(PAGE - 1);

	if (off >= len || pdma_region_read(region, off, got, sizeof(got)))
		return PDMA_TRIAL_WRONG_DATA;
	pdma_pattern_fill(want, sizeof(want), seed, off);
	for (size_t i = 0; i < sizeof(got); i++)
		if (got[i] != want[i] && got[i] != 0xff)
			return PDMA_TRIAL_WRONG_DATA;
	return PDMA_TRIAL_ALL_ONES;
}

static enum pdma_trial move(struct bench *b, struct pdma_region *dst, struct pdma_region *src,
			    uint64_t seed, double *mib_s)
{
	struct pdma_copy_result result = { .size = sizeof(result) };
	struct pdma_mismatch bad;
	int ret;

	/* What is there before must not pass for what should come. */
	if (pdma_region_fill(src, 0, b->len, seed) || pdma_region_fill(dst, 0, b->len, ~seed))
		goto not_run;
	ret = pdma_copy(dst, 0, src, 0, b->len, &b->options, &result);
	/* The accelerator's library has no way to such memory: that says nothing about the path. */
	if (ret == -EOPNOTSUPP && b->options.engines == PDMA_ENGINE_ACCEL)
		goto not_run;
	if (ret) {
		SAY(b->out->how, "%.180s", pdma_error());
		return PDMA_TRIAL_REFUSED;
	}
	SAY(b->out->how, "%llu KiB each way by %s %s", (unsigned long long)b->len >> 10,
	    pdma_engine_name(result.engine), result.device);
	*mib_s = result.time_ns > 0 ? (double)b->len / (1 << 20) / ((double)result.time_ns / 1e9) :
				      0;
	ret = pdma_region_verify(dst, 0, b->len, seed, &bad);
	if (!ret)
		return PDMA_TRIAL_GOOD;
	b->out->first_bad = bad.first_off;
	return weigh(dst, b->len, seed, bad.first_off);
not_run:
	SAY(b->out->how, "%.180s", pdma_error());
	return PDMA_TRIAL_NOT_RUN;
}

static void run_trials(struct bench *b)
{
	struct cli_measurement *out = b->out;
	struct pdma_region_range range;

	out->len = b->len;
	out->m.write = move(b, b->target, b->own, 0x70656572, &out->write_mib_s);
	if (out->m.write != PDMA_TRIAL_NOT_RUN)
		out->m.read = move(b, b->own, b->target, 0x646d61, &out->read_mib_s);
	if (!pdma_region_range(b->target, 0, &range)) {
		out->m.has_addr = range.bus_addr;
		out->m.addr = range.bus_addr;
	}
}

static void run_and_restore(struct bench *b)
{
	b->saved = malloc(b->len);
	if (!b->saved || pdma_region_read(b->target, 0, b->saved, b->len)) {
		SAY(b->out->how, "%s", b->saved ? pdma_error() : "out of memory");
	} else {
		/* Whatever is pressed now, what was in the memory is put back first. */
		cli_interrupt_catch();
		run_trials(b);
		if (pdma_region_write(b->target, 0, b->saved, b->len))
			cli_error(CLI_FAILED, NULL, pdma_error(),
				  "the memory's old content could not be put back");
	}
	free(b->saved);
}

void cli_measure(const struct cli_path *path, struct cli_measurement *ret)
{
	struct pdma_function a = cli_function(path->machine, path->initiator);
	struct pdma_function f = cli_function(path->machine, path->target.function);
	struct bench b = {
		.out = ret, .options = { .size = sizeof(b.options), .nic = a.name, .accel = a.bdf }
	};

	*ret = (struct cli_measurement){ .m.size = sizeof(ret->m) };
	if (strcmp(pdma_ctx_sysroot(path->machine->ctx), "/")) {
		SAY(ret->how, "this is a captured machine");
		return;
	}
	if (open_target(path, &f, &b) && open_own(path, &a, &b))
		run_and_restore(&b);
	pdma_region_close(b.own);
	pdma_region_close(b.target);
}
