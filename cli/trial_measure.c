// SPDX-License-Identifier: MIT
/*
 * Data moved by the initiator and checked by the processor, which has a way of its own to the same
 * memory: so a request that vanishes shows.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trial_bench.h"

#define MEASURE_LEN (256u << 10)
/* Memory of a NIC is scarce. */
#define NIC_LEN (64u << 10)
#define PAGE	4096u
#define URI_LEN 96

void cli_trial_cannot(struct cli_trial_bench *b, const char *fmt, ...)
{
	static const char prefix[] = "cannot be measured: ";
	char *how = b->out->how;
	va_list args;

	memcpy(how, prefix, sizeof(prefix));
	va_start(args, fmt);
	vsnprintf(how + sizeof(prefix) - 1, sizeof(b->out->how) - sizeof(prefix) + 1, fmt, args);
	va_end(args);
}

/* ---- the memory under trial ---- */

static uint64_t length_of(const struct cli_path *path, const struct pdma_bar *bar)
{
	uint64_t len = bar->len - path->target.off;

	if (path->target.len && path->target.len < len)
		len = path->target.len;
	if (len > MEASURE_LEN)
		len = MEASURE_LEN;
	return len & ~(uint64_t)(PAGE - 1);
}

static bool has_cmb(const struct pdma_function *f)
{
	return f->role == PDMA_ROLE_NVME && (cli_trial_is_bare(f) || f->p2pmem);
}

/*
 * Under VFIO the range that was asked for; an accelerator's memory from its beginning; of memory
 * that a kernel driver gives, a piece that nobody else has.
 */
static bool target_uri(struct cli_trial_bench *b, char uri[URI_LEN])
{
	const struct cli_path *path = b->path;
	const struct pdma_function *f = &b->owner;
	int bar = path->target.bar < 0 ? pdma_function_largest_bar(f) : path->target.bar;

	if (bar < 0)
		return false;
	b->len = length_of(path, &f->bar[bar]);
	if (f->role == PDMA_ROLE_NIC && f->name[0] && !f->is_vfio) {
		b->len = b->len < NIC_LEN ? b->len : NIC_LEN;
		snprintf(uri, URI_LEN, "dm:%s:0x%llx", f->name, (unsigned long long)b->len);
	} else if (f->is_vfio) {
		snprintf(uri, URI_LEN, "vfio:%s/bar%d+0x%llx:0x%llx", f->bdf, bar,
			 (unsigned long long)path->target.off, (unsigned long long)b->len);
	} else if (f->role == PDMA_ROLE_ACCELERATOR && !f->driver[0]) {
		snprintf(uri, URI_LEN, "accel:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
	} else if (has_cmb(f)) {
		snprintf(uri, URI_LEN, "cmb:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
	} else {
		return false;
	}
	return true;
}

static bool open_target(struct cli_trial_bench *b)
{
	char uri[URI_LEN];

	if (!target_uri(b, uri))
		cli_trial_cannot(b,
				 "memory of %s can be opened when it is bound to vfio-pci or "
				 "peerdma_vfio, or offers p2pmem",
				 b->owner.bdf);
	else if (!b->len)
		cli_trial_cannot(b, "the range is under a page");
	else if (pdma_region_open(b->path->machine->ctx, uri, NULL, &b->target))
		cli_trial_cannot(b, "%s", pdma_error());
	return b->target;
}

static unsigned target_flags(const struct cli_trial_bench *b)
{
	struct pdma_region_info info = { .size = sizeof(info) };

	return pdma_region_get_info(b->target, &info) ? 0 : info.flags;
}

/* ---- by an engine of the library ---- */

/* A NIC writes from host memory, an accelerator from its own. */
static bool own_uri(struct cli_trial_bench *b, char uri[URI_LEN])
{
	const struct pdma_function *f = &b->initiator;

	if (f->role == PDMA_ROLE_NIC && f->name[0]) {
		snprintf(uri, URI_LEN, "host:%llu", (unsigned long long)b->len);
		b->options.engines = PDMA_ENGINE_NIC;
	} else if (f->role == PDMA_ROLE_ACCELERATOR && (f->is_vfio || !f->driver[0])) {
		snprintf(uri, URI_LEN, "accel:%s+0:0x%llx", f->bdf, (unsigned long long)b->len);
		b->options.engines = PDMA_ENGINE_ACCEL;
	} else {
		return false;
	}
	return true;
}

static bool open_own(struct cli_trial_bench *b)
{
	char uri[URI_LEN];

	if (!own_uri(b, uri))
		cli_trial_cannot(b, "%s has no engine that this program can start",
				 b->initiator.bdf);
	else if (pdma_region_open(b->path->machine->ctx, uri, NULL, &b->own))
		cli_trial_cannot(b, "%s", pdma_error());
	return b->own;
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

/* What would have to be different for this pair to be tried. */
static const char *advice(const struct cli_trial_bench *b)
{
	bool iommu = b->initiator.iommu_group >= 0;

	if (b->options.engines != PDMA_ENGINE_ACCEL)
		return "; bind it to peerdma_vfio, which has both";
	if (b->owner.p2pmem)
		return iommu ? "; bind the drive to vfio-pci" :
			       "; unbind the drive from its driver";
	if (b->owner.role == PDMA_ROLE_NIC && !iommu)
		return "; is the module peerdma loaded? It tells the address";
	return "";
}

/*
 * A NIC registers what has a dma-buf or pages; the accelerator's library has its own ways. What has
 * none of them says nothing about the path.
 */
static enum pdma_trial no_trial(struct cli_trial_bench *b, int err)
{
	bool is_nic = b->options.engines == PDMA_ENGINE_NIC;
	char why[160];

	snprintf(why, sizeof(why), "%s", pdma_error());
	if (is_nic && !(target_flags(b) & (PDMA_REGION_DMABUF | PDMA_REGION_PAGES))) {
		cli_trial_cannot(b, "memory of %s has neither dma-buf nor pages to register%s",
				 b->owner.bdf, advice(b));
		return PDMA_TRIAL_NOT_RUN;
	}
	if (!is_nic && err == -EOPNOTSUPP) {
		cli_trial_cannot(b, "%s%s", why, advice(b));
		return PDMA_TRIAL_NOT_RUN;
	}
	snprintf(b->out->how, sizeof(b->out->how), "%s", why);
	return PDMA_TRIAL_REFUSED;
}

static void tell_mapping(struct cli_trial_bench *b, const struct pdma_copy_result *result)
{
	if (result->mapping == PDMA_MAP_NONE)
		return;
	b->out->mapping = result->mapping;
	b->out->addr = result->addr;
	snprintf(b->out->detour, sizeof(b->out->detour), "%s", result->detour);
}

static enum pdma_trial move(struct cli_trial_bench *b, struct pdma_region *dst,
			    struct pdma_region *src, uint64_t seed, double *mib_s)
{
	struct pdma_copy_result result = { .size = sizeof(result) };
	struct pdma_mismatch bad;
	int ret;

	/* What is there before must not pass for what should come. */
	if (pdma_region_fill(src, 0, b->len, seed) || pdma_region_fill(dst, 0, b->len, ~seed))
		goto not_run;
	ret = pdma_copy(dst, 0, src, 0, b->len, &b->options, &result);
	tell_mapping(b, &result);
	if (ret)
		return no_trial(b, ret);
	snprintf(b->out->how, sizeof(b->out->how), "%llu KiB each way by %s %s",
		 (unsigned long long)b->len >> 10, pdma_engine_name(result.engine), result.device);
	*mib_s = result.time_ns > 0 ? (double)b->len / (1 << 20) / ((double)result.time_ns / 1e9) :
				      0;
	ret = pdma_region_verify(dst, 0, b->len, seed, &bad);
	if (!ret)
		return PDMA_TRIAL_GOOD;
	if (ret != -EBADMSG)
		goto not_run;
	b->out->first_bad = bad.first_off;
	return weigh(dst, b->len, seed, bad.first_off);
not_run:
	cli_trial_cannot(b, "%s", pdma_error());
	return PDMA_TRIAL_NOT_RUN;
}

static void by_engine(struct cli_trial_bench *b)
{
	struct cli_measurement *out = b->out;

	out->m.write = move(b, b->target, b->own, 0x70656572, &out->write_mib_s);
	if (out->m.write != PDMA_TRIAL_NOT_RUN)
		out->m.read = move(b, b->own, b->target, 0x646d61, &out->read_mib_s);
}

/* ---- the whole ---- */

static void run_and_restore(struct cli_trial_bench *b, void (*trials)(struct cli_trial_bench *b))
{
	void *saved = malloc(b->len);

	b->out->len = b->len;
	if (!saved || pdma_region_read(b->target, 0, saved, b->len)) {
		cli_trial_cannot(b, "%s", saved ? pdma_error() : "out of memory");
	} else {
		/* Whatever is pressed now, what was in the memory is put back first. */
		cli_interrupt_catch();
		trials(b);
		if (pdma_region_write(b->target, 0, saved, b->len))
			cli_error(CLI_FAILED, NULL, pdma_error(),
				  "the memory's old content could not be put back");
	}
	free(saved);
}

void cli_measure(const struct cli_path *path, struct cli_measurement *ret)
{
	struct cli_trial_bench b = { .path = path, .out = ret };

	*ret = (struct cli_measurement){ .m.size = sizeof(ret->m) };
	b.initiator = cli_function(path->machine, path->initiator);
	b.owner = cli_function(path->machine, path->target.function);
	b.options = (struct pdma_copy_options){ .size = sizeof(b.options),
						.nic = b.initiator.name,
						.accel = b.initiator.bdf };
	if (strcmp(pdma_ctx_sysroot(path->machine->ctx), "/"))
		cli_trial_cannot(&b, "this is a captured machine");
	else if (!open_target(&b))
		return;
	else if (b.initiator.role == PDMA_ROLE_NVME)
		run_and_restore(&b, cli_trial_by_disk);
	else if (open_own(&b))
		run_and_restore(&b, by_engine);
	pdma_region_close(b.own);
	pdma_region_close(b.target);
	/* What is an address of the bus must be one of the target's. */
	ret->m.has_addr = ret->mapping == PDMA_MAP_BUS_ADDR || ret->mapping == PDMA_MAP_HOST_BRIDGE;
	ret->m.addr = ret->m.has_addr ? ret->addr : 0;
}
