// SPDX-License-Identifier: MIT
/*
 * peerdma-demo: runs in a guest of the lab and copies one accelerator's memory to the other's,
 * directly and, for comparison, through host memory. Checks the data and which way it went, and
 * prints a table. Exit status 0 only if every check holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/kit/control.h"
#include "bench/kit/pair.h"
#include "bench/kit/pattern.h"
#include "lib/core/error.h"
#include "lib/dev/peer.h"
#include "lib/sysfs/attr.h"
#include "util/crc32c.h"

#define SIZE	   (64ull << 20)
#define GUARD	   4096ull
#define AREA	   (SIZE + 2 * GUARD)
#define SAMPLES	   5
#define WAIT_NS	   (30ll * 1000 * 1000 * 1000)
#define GUARD_SEED 0x6775617264ull

struct demo {
	struct kit_pair pair;
	struct kit_control *control;
	struct pdmai_accel_ring *ring[2];
	uint64_t off[2]; /* of the data in the VRAM of each, guards around it */
	struct pdmai_peer peer;
	struct pdmai_dma_mem host;
	bool failed;
};

struct outcome {
	const char *name;
	struct kit_bytes bytes; /* of both devices, one copy */
	int64_t ns;		/* median */
	uint64_t seed;
};

static const char *topology(void)
{
	const char *name = getenv("PEERDMA_TOPOLOGY");

	return name ? name : "this machine";
}

static void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void progress(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", topology());
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void check(struct demo *d, bool good, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void check(struct demo *d, bool good, const char *format, ...)
{
	va_list ap;

	if (good)
		return;
	d->failed = true;
	fprintf(stderr, "%s: FAILED: ", topology());
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static char *data(const struct demo *d, int i)
{
	return (char *)pdmai_accel_vram(d->pair.accel[i]) + d->off[i];
}

static struct pdmai_accel_mem local(const struct demo *d, int i)
{
	return (struct pdmai_accel_mem){ ACCEL_SPACE_LOCAL, d->off[i], SIZE };
}

static int run(struct demo *d, int i, enum accel_opcode op, const struct pdmai_accel_mem *src,
	       const struct pdmai_accel_mem *dst, uint64_t *ret_result)
{
	struct pdmai_accel_cmd cmd = { .op = op,
				       .len = SIZE,
				       .src = src,
				       .dst = dst,
				       .n_src = src != NULL,
				       .n_dst = dst != NULL };
	struct pdmai_accel_done done;
	int ret;

	cmd.param = op == ACCEL_OP_FILL ? 8 : 0;
	ret = pdmai_accel_run(d->ring[i], &cmd, WAIT_NS, &done);
	if (!ret && done.err)
		ret = pdmai_fail(-done.err,
				 "%s: command %u failed with %s (result 0x%" PRIx64
				 ", info 0x%" PRIx64 ")",
				 kit_accel_names[i], done.op, pdmai_accel_status_name(done.status),
				 done.result, done.info);
	if (!ret && ret_result)
		*ret_result = done.result;
	return ret;
}

/* acc1 reads acc0's memory itself. */
static int copy_direct(struct demo *d)
{
	struct pdmai_accel_mem src = { ACCEL_SPACE_BUS, d->peer.addr + GUARD, SIZE };
	struct pdmai_accel_mem dst = local(d, 1);

	return run(d, 1, ACCEL_OP_COPY, &src, &dst, NULL);
}

/* acc0 writes to host memory, then acc1 reads from there. */
static int copy_staged(struct demo *d)
{
	struct pdmai_accel_mem src = local(d, 0), dst = local(d, 1);
	struct pdmai_accel_mem host = { ACCEL_SPACE_BUS, d->host.iova, SIZE };
	int ret;

	ret = run(d, 0, ACCEL_OP_COPY, &src, &host, NULL);
	return ret ? ret : run(d, 1, ACCEL_OP_COPY, &host, &dst, NULL);
}

static int bytes_of_both(struct demo *d, struct kit_bytes *sum)
{
	struct kit_bytes one[2];
	int ret;

	ret = kit_control_bytes(d->control, kit_accel_names[0], &one[0]);
	ret = ret ? ret : kit_control_bytes(d->control, kit_accel_names[1], &one[1]);
	for (int t = 0; t < KIT_TARGETS && !ret; t++) {
		sum->read[t] = one[0].read[t] + one[1].read[t];
		sum->write[t] = one[0].write[t] + one[1].write[t];
	}
	return ret ? pdmai_fail_errno(-ret, "the fabric does not tell its counters") : 0;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int measure(struct demo *d, int (*copy)(struct demo *), struct outcome *o)
{
	struct kit_bytes before, after;
	int64_t ns[SAMPLES], start;
	int ret;

	ret = bytes_of_both(d, &before);
	for (int i = 0; i < SAMPLES && !ret; i++) {
		start = now_ns();
		ret = copy(d);
		ns[i] = now_ns() - start;
	}
	ret = ret ? ret : bytes_of_both(d, &after);
	if (ret)
		return ret;
	qsort(ns, SAMPLES, sizeof(ns[0]), by_value);
	o->ns = ns[SAMPLES / 2];
	o->bytes = kit_bytes_since(&before, &after);
	for (int t = 0; t < KIT_TARGETS; t++) {
		check(d, o->bytes.read[t] % SAMPLES == 0 && o->bytes.write[t] % SAMPLES == 0,
		      "%s: %d equal copies moved unequal numbers of bytes", o->name, SAMPLES);
		o->bytes.read[t] /= SAMPLES;
		o->bytes.write[t] /= SAMPLES;
	}
	return 0;
}

static void check_data(struct demo *d, const struct outcome *o)
{
	const char *at = data(d, 1);
	struct kit_mismatch m;

	check(d, !kit_pattern_check(at, SIZE, o->seed, 0, &m),
	      "%s: %" PRIu64 " words are wrong, first at 0x%" PRIx64 ", last at 0x%" PRIx64,
	      o->name, m.bad_words, m.first_off, m.last_off);
	check(d, !kit_pattern_check(at - GUARD, GUARD, GUARD_SEED, 0, NULL),
	      "%s: bytes in front of the destination were written", o->name);
	check(d, !kit_pattern_check(at + SIZE, GUARD, GUARD_SEED, 1, NULL),
	      "%s: bytes behind the destination were written", o->name);
}

/* The device's CRC of both sides, and ours. */
static int check_crc(struct demo *d, const struct outcome *o)
{
	struct pdmai_accel_mem src = local(d, 0), dst = local(d, 1);
	uint64_t crc[2];
	uint32_t want;
	int ret;

	ret = run(d, 0, ACCEL_OP_CRC32C, &src, NULL, &crc[0]);
	ret = ret ? ret : run(d, 1, ACCEL_OP_CRC32C, &dst, NULL, &crc[1]);
	if (ret)
		return ret;
	want = util_crc32c(0, data(d, 0), SIZE);
	check(d, crc[0] == want && crc[1] == want,
	      "%s: CRC32C by acc0 is %08" PRIx64 ", by acc1 %08" PRIx64 ", by the CPU %08" PRIx32,
	      o->name, crc[0], crc[1], want);
	return 0;
}

static int transfer(struct demo *d, int (*copy)(struct demo *), struct outcome *o)
{
	struct pdmai_accel_mem dst = local(d, 1);
	int ret;

	kit_pattern_fill(data(d, 0), SIZE, o->seed, 0);
	kit_pattern_fill(data(d, 1) - GUARD, GUARD, GUARD_SEED, 0);
	kit_pattern_fill(data(d, 1) + SIZE, GUARD, GUARD_SEED, 1);
	ret = run(d, 1, ACCEL_OP_FILL, NULL, &dst, NULL);
	ret = ret ? ret : measure(d, copy, o);
	if (ret)
		return ret;
	check_data(d, o);
	return check_crc(d, o);
}

static uint64_t total(const struct kit_bytes *b, enum kit_target t)
{
	return b->read[t] + b->write[t];
}

static void check_way(struct demo *d, const struct outcome *direct, const struct outcome *staged)
{
	enum kit_target peer =
		d->peer.route == PDMAI_ROUTE_SWITCH ? KIT_PEER_SWITCH : KIT_PEER_BRIDGE;

	for (int t = 0; t < KIT_TARGETS; t++) {
		uint64_t want = t == (int)peer || t == KIT_OWN ? SIZE : 0;

		check(d, total(&direct->bytes, t) == want,
		      "direct: %" PRIu64 " bytes on way %d instead of %llu",
		      total(&direct->bytes, t), t, (unsigned long long)want);
		want = t == KIT_HOST || t == KIT_OWN ? 2 * SIZE : 0;
		check(d, total(&staged->bytes, t) == want,
		      "through host memory: %" PRIu64 " bytes on way %d instead of %llu",
		      total(&staged->bytes, t), t, (unsigned long long)want);
	}
}

static int set_up_accel(struct demo *d, int i)
{
	const struct pdmai_accel_ring_config config = { .size_log2 = 4,
							.place = PDMAI_ACCEL_IN_HOST };
	int ret;

	ret = pdmai_accel_ring_create(d->pair.accel[i], &config, &d->ring[i]);
	ret = ret ? ret : pdmai_accel_vram_alloc(d->pair.accel[i], AREA, 2ull << 20, &d->off[i]);
	d->off[i] += GUARD;
	return ret;
}

static int set_up(struct demo *d)
{
	int ret;

	ret = kit_control_open(&d->control);
	if (ret)
		return pdmai_fail_errno(-ret, "no way to the fabric's counters");
	ret = kit_pair_find(&d->pair);
	ret = ret ? ret : kit_pair_open(&d->pair, false);
	if (!ret && !d->pair.iommu)
		ret = pdmai_fail(EOPNOTSUPP, "the demonstration needs an IOMMU in the machine");
	ret = ret ? ret : set_up_accel(d, 0);
	ret = ret ? ret : set_up_accel(d, 1);
	ret = ret ? ret : pdmai_dma_alloc(d->pair.dev[1], SIZE, &d->host);
	if (ret)
		return ret;
	return pdmai_peer_map(PDMAI_SYSFS, d->pair.dev[1], d->pair.dev[0], ACCEL_BAR_VRAM,
			      d->off[0] - GUARD, AREA, &d->peer);
}

static void tear_down(struct demo *d)
{
	pdmai_peer_unmap(&d->peer);
	pdmai_dma_free(&d->host);
	for (int i = 0; i < 2; i++)
		pdmai_accel_ring_destroy(d->ring[i]);
	kit_pair_close(&d->pair);
	kit_control_close(d->control);
}

static void print_row(const char *way, const struct outcome *o)
{
	printf("%-17s %-24s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8.1f %7.2f\n",
	       topology(), way, total(&o->bytes, KIT_HOST) >> 20,
	       total(&o->bytes, KIT_PEER_SWITCH) >> 20, total(&o->bytes, KIT_PEER_BRIDGE) >> 20,
	       total(&o->bytes, KIT_PEER_QEMU) >> 20, (double)o->ns / 1e6,
	       (double)SIZE / (double)o->ns);
}

/* The launcher has one table for all labs and asks the first of them for the head. */
static bool wants_head(void)
{
	const char *asked = getenv("PEERDMA_DEMO_HEADER");

	return !asked || strcmp(asked, "0") != 0;
}

static void print_head(void)
{
	printf("%-17s %-24s %35s %8s\n", "", "", "MiB moved from or to", "median");
	printf("%-17s %-24s %8s %8s %8s %8s %8s %7s\n", "topology", "64 MiB acc0 to acc1",
	       "host RAM", "switch", "bridge", "QEMU", "ms", "GB/s");
}

static void print_table(const struct demo *d, const struct outcome *direct,
			const struct outcome *staged)
{
	bool in_switch = d->peer.route == PDMAI_ROUTE_SWITCH;

	if (wants_head())
		print_head();
	print_row(in_switch ? "direct, in the switch" : "direct, IOMMU and bridge", direct);
	print_row("through host memory", staged);
	printf("%-17s direct is %.2f times as fast; data %s\n", topology(),
	       (double)staged->ns / (double)direct->ns,
	       d->failed ? "or route WRONG" : "verified by CRC32C of both devices and by the CPU");
}

int main(void)
{
	struct outcome direct = { .name = "direct", .seed = 1 };
	struct outcome staged = { .name = "through host memory", .seed = 2 };
	static struct demo d;
	int ret;

	progress("opening two accelerators");
	ret = set_up(&d);
	if (!ret) {
		progress("copying directly, %d times", SAMPLES);
		ret = transfer(&d, copy_direct, &direct);
	}
	if (!ret) {
		progress("copying through host memory, %d times", SAMPLES);
		ret = transfer(&d, copy_staged, &staged);
	}
	if (ret) {
		progress("FAILED: %s", pdmai_error()[0] ? pdmai_error() : strerror(-ret));
	} else {
		check_way(&d, &direct, &staged);
		print_table(&d, &direct, &staged);
	}
	tear_down(&d);
	return ret || d.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
