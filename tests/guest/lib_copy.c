// SPDX-License-Identifier: MIT
/* Transfers of the library between all kinds of memory of a node. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/lib_rig.h"

#define LEN (3 * MIB + 4096)

static const char *const kinds[] = { "accel:ACC0+1M:8M", "accel:ACC1+9M:8M",
				     "host:8M",		 "udmabuf:8M",
				     "cmb:DISK0+0:1M",	 "file:/run/lib_copy+0:8M" };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct pdma_region *open_kind(struct lib_rig *r, size_t i)
{
	if (!strncmp(kinds[i], "file:", 5))
		CHECK_EQ(system("test -s /run/lib_copy || truncate -s 8M /run/lib_copy"), 0);
	return lib_region(r, kinds[i]);
}

static void wait_for_nic(void)
{
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	lib_close(&r);
}

/* A guard on both sides of the destination must survive. */
static struct pdma_copy_result copy_and_check(struct pdma_region *dst, struct pdma_region *src,
					      const struct pdma_copy_options *opt, uint64_t seed,
					      uint64_t len)
{
	struct pdma_copy_result result = { .size = sizeof(result) };

	LIB_OK(pdma_region_fill(src, 8192, len, seed));
	LIB_OK(pdma_region_fill(dst, 0, 4096, 77));
	LIB_OK(pdma_region_fill(dst, 4096, len, ~seed));
	LIB_OK(pdma_region_fill(dst, 4096 + len, 4096, 78));
	LIB_OK(pdma_copy(dst, 4096, src, 8192, len, opt, &result));
	LIB_OK(pdma_region_verify(dst, 4096, len, seed, NULL));
	LIB_OK(pdma_region_verify(dst, 0, 4096, 77, NULL));
	LIB_OK(pdma_region_verify(dst, 4096 + len, 4096, 78, NULL));
	CHECK_EQ(result.done, len);
	CHECK(result.why[0] != 0 && result.time_ns > 0);
	return result;
}

static void every_pair_of_kinds(void)
{
	struct pdma_copy_result result;
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < KINDS; j++) {
			/* QEMU's drive answers the CPU word by word. */
			bool slow = strstr(kinds[i], "cmb:") || strstr(kinds[j], "cmb:");
			struct pdma_region *src, *dst;

			if (i == j)
				continue;
			src = open_kind(&r, i);
			dst = open_kind(&r, j);
			result = copy_and_check(dst, src, NULL, i * KINDS + j,
						slow ? 64 * KIB : LEN);
			printf("# %s to %s: %s (%s%s%s), %s\n", kinds[i], kinds[j],
			       pdma_engine_name(result.engine),
			       result.legs[0] ? pdma_engine_name(result.legs[0]) : "",
			       result.legs[0] ? " and " : "",
			       result.legs[1] ? pdma_engine_name(result.legs[1]) : result.device,
			       result.why);
			fflush(stdout);
			pdma_region_close(src);
			pdma_region_close(dst);
		}
	}
	lib_no_event(&r);
	lib_close(&r);
}

/* The same pair by every engine that can, and a reason from each that can't. */
static void every_engine_on_one_pair(void)
{
	static const struct {
		const char *src, *dst;
		unsigned can; /* with an IOMMU */
	} cases[] = {
		{ "accel:ACC0+1M:8M", "accel:ACC1+0:8M",
		  PDMA_ENGINE_ACCEL | PDMA_ENGINE_NIC | PDMA_ENGINE_CPU | PDMA_ENGINE_STAGED },
		{ "host:8M", "accel:ACC0+0:8M",
		  PDMA_ENGINE_ACCEL | PDMA_ENGINE_NIC | PDMA_ENGINE_CPU | PDMA_ENGINE_STAGED },
		{ "accel:ACC0+0:8M", "udmabuf:8M",
		  PDMA_ENGINE_ACCEL | PDMA_ENGINE_NIC | PDMA_ENGINE_CPU | PDMA_ENGINE_STAGED },
		{ "host:8M", "host:8M", PDMA_ENGINE_NIC | PDMA_ENGINE_CPU | PDMA_ENGINE_STAGED },
	};
	struct pdma_copy_options opt = { .size = sizeof(opt) };
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pdma_region *src = lib_region(&r, cases[i].src);
		struct pdma_region *dst = lib_region(&r, cases[i].dst);
		struct pdma_copy_result result;

		for (unsigned n = 0; n < PDMA_ENGINES; n++) {
			opt.engines = 1u << n;
			if (!(cases[i].can & opt.engines)) {
				LIB_FAILS(pdma_copy(dst, 0, src, 0, LEN, &opt, NULL), EOPNOTSUPP);
				continue;
			}
			/* Without an IOMMU there is no VFIO, so no dma-buf and no host DMA. */
			if (!r.iommu && i < 3 && opt.engines == PDMA_ENGINE_NIC) {
				LIB_FAILS(pdma_copy(dst, 0, src, 0, LEN, &opt, NULL), EOPNOTSUPP);
				continue;
			}
			if (!r.iommu && i && opt.engines == PDMA_ENGINE_ACCEL) {
				LIB_FAILS(pdma_copy(dst, 0, src, 0, LEN, &opt, NULL), EOPNOTSUPP);
				continue;
			}
			result = copy_and_check(dst, src, &opt, 1000 + i * 10 + n, LEN);
			CHECK_EQ(result.engine, opt.engines);
		}
		pdma_region_close(src);
		pdma_region_close(dst);
	}
	lib_close(&r);
}

/* From one accelerator to the other: the devices' counters have every byte as peer traffic. */
static void peer_copies_touch_no_host_memory(void)
{
	static const struct {
		const char *device;
		unsigned engine;
	} by[] = { { "acc0", PDMA_ENGINE_ACCEL }, { "nic0", PDMA_ENGINE_NIC } };
	struct pdma_copy_options opt = { .size = sizeof(opt) };
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	for (size_t i = 0; i < (r.iommu ? 2 : 1); i++) {
		struct pdma_region *src = lib_region(&r, "accel:ACC0+1M:8M");
		struct pdma_region *dst = lib_region(&r, "accel:ACC1+1M:8M");
		struct kit_bytes before, moved;

		opt.engines = by[i].engine;
		before = lib_bytes(&r, by[i].device);
		copy_and_check(dst, src, &opt, 40 + i, LEN);
		moved = lib_bytes(&r, by[i].device);
		moved = kit_bytes_since(&before, &moved);
		CHECK_EQ(moved.write[KIT_PEER_SWITCH] + moved.write[KIT_PEER_BRIDGE], LEN);
		CHECK_EQ(moved.write[KIT_HOST], 0);
		/* Registering reads a list of pages; the accelerator has none. */
		CHECK(moved.read[KIT_HOST] <= (i ? 16 * KIB : 0));
		pdma_region_close(src);
		pdma_region_close(dst);
	}
	lib_close(&r);
}

static const uint64_t shapes[] = { 1, 3, 7, 8, 4095, 4097, 65536 + 5, MIB - 1 };

static void odd_lengths_and_offsets(void)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .slice = 256 * KIB };
	struct pdma_region *src, *dst;
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	src = lib_region(&r, "accel:ACC0+1M:2M");
	dst = lib_region(&r, "accel:ACC1+1M:2M");
	for (unsigned n = 0; n < PDMA_ENGINES; n++) {
		opt.engines = 1u << n;
		if (opt.engines == PDMA_ENGINE_DIRECT ||
		    (!r.iommu && opt.engines == PDMA_ENGINE_NIC))
			continue;
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
			uint64_t len = shapes[i], at = 5 + i * 3;

			LIB_OK(pdma_region_fill(src, at, len, i));
			LIB_OK(pdma_region_fill(dst, 0, at + 1 + len + 64, 99));
			LIB_OK(pdma_copy(dst, at + 1, src, at, len, &opt, NULL));
			LIB_OK(pdma_region_verify(dst, at + 1, len, i, NULL));
			LIB_OK(pdma_region_verify(dst, 0, at + 1, 99, NULL));
		}
	}
	pdma_region_close(src);
	pdma_region_close(dst);
	lib_close(&r);
}

/* Scattered ranges on one side, a join of two devices on the other. */
static void ranges_and_joins(void)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .slice = 64 * KIB };
	struct pdma_region *parts[2], *src, *dst;
	struct pdma_copy_result result;
	struct lib_rig r;

	lib_open(&r);
	src = lib_region(&r, "vfio:ACC0/bar2+32M:1M,0:1M,8M:2M");
	parts[0] = lib_region(&r, "accel:ACC1+2M:1M");
	parts[1] = lib_region(&r, "host:3M");
	LIB_OK(pdma_region_join(parts, 2, NULL, &dst));
	LIB_OK(pdma_region_fill(src, 0, 4 * MIB, 5));
	result.size = sizeof(result);
	LIB_OK(pdma_copy(dst, 0, src, 0, 4 * MIB, &opt, &result));
	LIB_OK(pdma_region_verify(dst, 0, 4 * MIB, 5, NULL));
	LIB_OK(pdma_compare(dst, 0, src, 0, 4 * MIB, NULL));
	pdma_region_close(dst);
	pdma_region_close(parts[0]);
	pdma_region_close(parts[1]);
	pdma_region_close(src);
	lib_close(&r);
}

/* What a broken path does silently, verifying finds: the first and the last bad byte. */
static void verify_finds_planted_faults(void)
{
	static const struct {
		const char *device, *point, *action;
		unsigned engine;
	} faults[] = {
		{ "acc0", "dma.peer.write", "drop", PDMA_ENGINE_ACCEL },
		{ "acc0", "dma.peer.write", "corrupt", PDMA_ENGINE_ACCEL },
		{ "nic0", "dma.peer.write", "drop", PDMA_ENGINE_NIC },
		{ "nic0", "dma.peer.read", "drop", PDMA_ENGINE_NIC },
	};
	struct pdma_copy_options opt = { .size = sizeof(opt),
					 .flags = PDMA_COPY_VERIFY,
					 .slice = 64 * KIB };
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct pdma_copy_result result = { .size = sizeof(result) };
		struct pdma_region *src, *dst;

		if (!r.iommu && faults[i].engine == PDMA_ENGINE_NIC)
			continue;
		src = lib_region(&r, "accel:ACC0+1M:1M");
		dst = lib_region(&r, "accel:ACC1+1M:1M");
		LIB_OK(pdma_region_fill(src, 0, MIB, i));
		LIB_OK(pdma_region_fill(dst, 0, MIB, 1000 + i));
		opt.engines = faults[i].engine;
		CHECK_EQ(kit_control_fault(r.control, faults[i].device, faults[i].point,
					   faults[i].action, 0, 1, 1),
			 0);
		LIB_FAILS(pdma_copy(dst, 0, src, 0, MIB, &opt, &result), EBADMSG);
		CHECK_EQ(result.done, MIB);
		CHECK(result.mismatch.bad_bytes > 0);
		CHECK(result.mismatch.first_off > 0 && result.mismatch.first_off < MIB);
		CHECK(result.mismatch.last_off >= result.mismatch.first_off);
		CHECK(result.mismatch.want != result.mismatch.got);
		kit_control_fault(r.control, faults[i].device, faults[i].point, "none", 0, 0, 0);
		LIB_OK(pdma_copy(dst, 0, src, 0, MIB, &opt, &result));
		CHECK_EQ(result.mismatch.bad_bytes, 0);
		pdma_region_close(src);
		pdma_region_close(dst);
	}
	lib_close(&r);
}

/* A fault the device reports ends the copy; what is said to have arrived has. */
static void reported_faults_end_the_copy(void)
{
	struct pdma_copy_options opt = { .size = sizeof(opt),
					 .engines = PDMA_ENGINE_ACCEL,
					 .slice = 64 * KIB };
	struct pdma_copy_result result = { .size = sizeof(result) };
	struct pdma_region *src, *dst;
	struct lib_rig r;
	int ret;

	lib_open(&r);
	src = lib_region(&r, "accel:ACC0+1M:1M");
	dst = lib_region(&r, "accel:ACC1+1M:1M");
	LIB_OK(pdma_region_fill(src, 0, MIB, 3));
	CHECK_EQ(kit_control_fault(r.control, "acc0", "dma.peer.write", "error", 0, 5, 1), 0);
	ret = pdma_copy(dst, 0, src, 0, MIB, &opt, &result);
	kit_control_fault(r.control, "acc0", "dma.peer.write", "none", 0, 0, 0);
	CHECK(ret < 0 && ret != -EBADMSG && pdma_error()[0]);
	CHECK(result.done < MIB);
	LIB_OK(pdma_region_verify(dst, 0, result.done, 3, NULL));
	LIB_OK(pdma_copy(dst, 0, src, 0, MIB, &opt, &result));
	pdma_region_close(src);
	pdma_region_close(dst);
	lib_close(&r);
}

struct seen {
	unsigned calls;
	uint64_t last, stop_at;
	struct pdma_region *revoke;
};

static int on_progress(void *arg, const struct pdma_transfer_status *status)
{
	struct seen *seen = arg;

	CHECK(status->done >= seen->last && status->len == 4 * MIB);
	seen->last = status->done;
	seen->calls++;
	if (seen->revoke && !status->finished && status->done >= seen->stop_at)
		LIB_OK(pdma_region_revoke(seen->revoke, NULL));
	return !seen->revoke && status->done >= seen->stop_at;
}

static void progress_cancel_and_revoke(void)
{
	static const unsigned engines[] = { PDMA_ENGINE_ACCEL, PDMA_ENGINE_NIC, PDMA_ENGINE_CPU };
	struct lib_rig r;

	wait_for_nic();
	lib_open(&r);
	for (size_t i = 0; i < 3; i++) {
		struct seen seen = { .stop_at = UINT64_MAX };
		struct pdma_copy_options opt = { .size = sizeof(opt),
						 .engines = engines[i],
						 .slice = 64 * KIB,
						 .progress = on_progress,
						 .arg = &seen };
		struct pdma_region *src, *dst;

		if (!r.iommu && engines[i] == PDMA_ENGINE_NIC)
			continue;
		src = lib_region(&r, "accel:ACC0+1M:4M");
		dst = lib_region(&r, "accel:ACC1+1M:4M");
		LIB_OK(pdma_copy(dst, 0, src, 0, 4 * MIB, &opt, NULL));
		CHECK(seen.calls > 1 && seen.last == 4 * MIB);
		seen = (struct seen){ .stop_at = MIB };
		LIB_FAILS(pdma_copy(dst, 0, src, 0, 4 * MIB, &opt, NULL), ECANCELED);
		CHECK(seen.last >= MIB && seen.last < 4 * MIB);
		seen = (struct seen){ .stop_at = MIB, .revoke = dst };
		LIB_FAILS(pdma_copy(dst, 0, src, 0, 4 * MIB, &opt, NULL), ESTALE);
		lib_event(&r, PDMA_EVENT_REGION_REVOKED);
		lib_no_event(&r);
		pdma_region_close(src);
		pdma_region_close(dst);
	}
	lib_close(&r);
}

static void bad_requests_are_refused(void)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .engines = 1u << 20 };
	struct pdma_region_options read_only = { .size = sizeof(read_only),
						 .flags = PDMA_OPEN_READONLY };
	struct pdma_region *a, *b;
	struct lib_rig r;

	lib_open(&r);
	a = lib_region(&r, "host:1M");
	LIB_OK(pdma_region_open(r.ctx, "host:1M", &read_only, &b));
	LIB_FAILS(pdma_copy(a, 0, b, 0, 0, NULL, NULL), EINVAL);
	LIB_FAILS(pdma_copy(a, 0, b, 1, MIB, NULL, NULL), ERANGE);
	LIB_FAILS(pdma_copy(a, UINT64_MAX, b, 0, 2, NULL, NULL), ERANGE);
	LIB_FAILS(pdma_copy(b, 0, a, 0, 1, NULL, NULL), EACCES);
	LIB_FAILS(pdma_copy(a, 0, a, 4096, 8192, NULL, NULL), EINVAL);
	LIB_FAILS(pdma_copy(a, 0, b, 0, 1, &opt, NULL), EINVAL);
	opt = (struct pdma_copy_options){ .size = sizeof(opt),
					  .engines = PDMA_ENGINE_NIC,
					  .nic = "nosuch" };
	LIB_FAILS(pdma_copy(a, 0, b, 0, 1, &opt, NULL), EOPNOTSUPP);
	LIB_OK(pdma_copy(a, 0, a, 8192, 8192, NULL, NULL));
	LIB_OK(pdma_region_revoke(a, NULL));
	LIB_FAILS(pdma_copy(a, 0, b, 0, 1, NULL, NULL), ESTALE);
	pdma_region_close(a);
	pdma_region_close(b);
	lib_close(&r);
}

static const struct tap_test tests[] = {
	{ "every_pair_of_kinds", every_pair_of_kinds, TAP_ANYWHERE },
	{ "every_engine_on_one_pair", every_engine_on_one_pair, TAP_ANYWHERE },
	{ "peer_copies_touch_no_host_memory", peer_copies_touch_no_host_memory, TAP_ANYWHERE },
	{ "odd_lengths_and_offsets", odd_lengths_and_offsets, TAP_ANYWHERE },
	{ "ranges_and_joins", ranges_and_joins, TAP_WITH_IOMMU },
	{ "verify_finds_planted_faults", verify_finds_planted_faults, TAP_ANYWHERE },
	{ "reported_faults_end_the_copy", reported_faults_end_the_copy, TAP_ANYWHERE },
	{ "progress_cancel_and_revoke", progress_cancel_and_revoke, TAP_ANYWHERE },
	{ "bad_requests_are_refused", bad_requests_are_refused, TAP_ANYWHERE },
};

TAP_MAIN(tests)
