// SPDX-License-Identifier: MIT
/* Transfers by the engines that need no device, and the pattern. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "peerdma/peerdma.h"
#include "tests/unit/lib/fake.h"

#define KIB    1024ull
#define MIB    (1024 * KIB)
#define MAPPED (PDMA_REGION_MAP | PDMA_REGION_DEVICE)

static struct pdma_ctx *ctx;

static int make_ctx(void **state)
{
	return pdma_ctx_create(NULL, &ctx);
}

static int drop_ctx(void **state)
{
	pdma_ctx_destroy(ctx);
	return 0;
}

static struct pdma_region *open_uri(const char *uri, unsigned flags)
{
	struct pdma_region_options opt = { .size = sizeof(opt), .flags = flags };
	struct pdma_region *r = NULL;

	assert_int_equal(pdma_region_open(ctx, uri, &opt, &r), 0);
	return r;
}

static void the_pattern_tells_bytes_apart(void **state)
{
	uint8_t a[300], b[300];
	struct pdma_mismatch m;

	pdma_pattern_fill(a, sizeof(a), 1, 0);
	assert_int_equal(pdma_pattern_check(a, sizeof(a), 1, 0, &m), 0);
	/* A part filled alone is the same as the part of the whole. */
	for (unsigned off = 0; off < 20; off++) {
		pdma_pattern_fill(b, 100, 1, off);
		assert_memory_equal(b, a + off, 100);
		assert_int_equal(pdma_pattern_check(a + off, 100, 1, off, NULL), 0);
	}
	/* Another seed, another place, a swap, a single bit: all seen. */
	assert_true(pdma_pattern_check(a, sizeof(a), 2, 0, &m) > 250);
	assert_true(pdma_pattern_check(a, sizeof(a), 1, 8, &m) > 250);
	a[123] ^= 4;
	a[250] ^= 1;
	assert_int_equal(pdma_pattern_check(a, sizeof(a), 1, 0, &m), 2);
	assert_int_equal(m.first_off, 123);
	assert_int_equal(m.last_off, 250);
	assert_int_equal(m.got, a[123]);
	assert_int_equal(m.want, a[123] ^ 4);
}

static const struct {
	unsigned engine;
	const char *src, *dst;
} pairs[] = {
	{ PDMA_ENGINE_CPU, "host:1M", "host:1M" },
	{ PDMA_ENGINE_CPU, "file:%s+0:1M", "host:1M" },
	{ PDMA_ENGINE_CPU, "host:1M", "file:%s+0:1M" },
	{ PDMA_ENGINE_CPU, "file:%s+0:1M", "file:%s2+0:1M" },
	{ PDMA_ENGINE_STAGED, "host:1M", "host:1M" },
	{ PDMA_ENGINE_STAGED, "file:%s+0:1M", "host:1M" },
};

static struct pdma_region *open_in(const char *format, const char *path)
{
	char uri[128];

	/* Every format is one of ours, with or without a path. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(uri, sizeof(uri), format, path);
#pragma GCC diagnostic pop
	return open_uri(uri, strstr(uri, "file:") ? PDMA_OPEN_CREATE : 0);
}

static void all_shapes(void **state)
{
	static const uint64_t lens[] = { 1, 7, 4096, 65537, 700000 };
	struct pdma_copy_options opt = { .size = sizeof(opt), .slice = 64 * KIB };
	char path[] = "/tmp/peerdma-test-XXXXXX", other[64];

	close(mkstemp(path));
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct pdma_region *src = open_in(pairs[i].src, path);
		struct pdma_region *dst = open_in(pairs[i].dst, path);

		opt.engines = pairs[i].engine;
		for (size_t n = 0; n < sizeof(lens) / sizeof(lens[0]); n++) {
			struct pdma_copy_result result = { .size = sizeof(result) };
			uint64_t len = lens[n];

			assert_int_equal(pdma_region_fill(src, 3, len, i), 0);
			assert_int_equal(pdma_region_fill(dst, 0, len + 64, 99), 0);
			assert_int_equal(pdma_copy(dst, 5, src, 3, len, &opt, &result), 0);
			assert_int_equal(result.engine, pairs[i].engine);
			assert_int_equal(result.done, len);
			assert_int_equal(pdma_region_verify(dst, 5, len, i, NULL), 0);
			assert_int_equal(pdma_region_verify(dst, 0, 5, 99, NULL), 0);
			assert_int_equal(pdma_compare(src, 3, dst, 5, len, NULL), 0);
		}
		pdma_region_close(src);
		pdma_region_close(dst);
	}
	snprintf(other, sizeof(other), "%s2", path);
	unlink(other);
	unlink(path);
}

static void compare_finds_the_ends(void **state)
{
	struct pdma_region *a = open_uri("host:3M", 0), *b = open_uri("host:3M", 0);
	struct pdma_mismatch m;

	assert_int_equal(pdma_region_fill(a, 0, 3 * MIB, 1), 0);
	assert_int_equal(pdma_copy(b, 0, a, 0, 3 * MIB, NULL, NULL), 0);
	assert_int_equal(pdma_compare(a, 0, b, 0, 3 * MIB, &m), 0);
	assert_int_equal(m.bad_bytes, 0);
	assert_int_equal(pdma_region_write(b, MIB - 1, "\0\0", 2), 0);
	assert_int_equal(pdma_region_write(b, 3 * MIB - 1, "\0", 1), 0);
	assert_int_equal(pdma_compare(a, 0, b, 0, 3 * MIB, &m), -EBADMSG);
	assert_int_equal(m.first_off, MIB - 1);
	assert_int_equal(m.last_off, 3 * MIB - 1);
	assert_int_equal(m.bad_bytes, 3);
	assert_int_equal(pdma_region_verify(b, MIB, MIB, 1, NULL), -EBADMSG);
	pdma_region_close(a);
	pdma_region_close(b);
}

static void why_not_is_told(void **state)
{
	struct pdma_region *a = open_uri("host:1M", 0), *b = open_uri("host:1M", 0);
	struct pdma_copy_options opt = { .size = sizeof(opt), .engines = PDMA_ENGINE_DIRECT };
	struct pdma_copy_result result = { .size = sizeof(result) };

	assert_int_equal(pdma_copy(a, 0, b, 0, MIB, &opt, &result), -EOPNOTSUPP);
	assert_non_null(strstr(pdma_error(), "no end is a file"));
	opt.engines = PDMA_ENGINE_ACCEL | PDMA_ENGINE_CPU;
	assert_int_equal(pdma_copy(a, 0, b, 0, MIB, &opt, &result), 0);
	assert_int_equal(result.engine, PDMA_ENGINE_CPU);
	assert_int_equal(result.n_refused, 1);
	assert_int_equal(result.refused[0].err, EPERM);
	pdma_region_close(a);
	pdma_region_close(b);
}

/* Memory that faults in the middle: what is said to have arrived has, the rest is untouched. */
static void a_failure_leaves_the_rest_alone(void **state)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .slice = 64 * KIB };
	struct fake_memory fm = { 0 };
	struct pdma_region *src = open_uri("host:1M", 0);
	struct pdma_region *dst = fake_region(ctx, &fm, MIB, MAPPED);
	struct pdma_transfer_status status = { .size = sizeof(status) };
	struct pdma_transfer *t;
	int ret = 0;

	opt.engines = PDMA_ENGINE_CPU;
	assert_int_equal(pdma_region_fill(src, 0, MIB, 4), 0);
	assert_int_equal(pdma_region_fill(dst, 0, MIB, 5), 0);
	assert_int_equal(pdma_transfer_create(dst, 0, src, 0, MIB, &opt, &t), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pdma_transfer_poll(t, 0), 0);
	fm.map_err = -ENXIO;
	while (!ret)
		ret = pdma_transfer_poll(t, 0);
	assert_int_equal(ret, -ENXIO);
	assert_int_equal(pdma_transfer_poll(t, -1), -ENXIO);
	assert_string_equal(pdma_error(), "the fake does not map");
	assert_int_equal(pdma_transfer_get_status(t, &status), 0);
	assert_true(status.finished);
	assert_int_equal(status.err, ENXIO);
	assert_int_equal(status.done, 3 * 64 * KIB);
	fm.map_err = 0;
	assert_int_equal(pdma_region_verify(dst, 0, status.done, 4, NULL), 0);
	assert_int_equal(
		pdma_pattern_check(fm.mem + status.done, MIB - status.done, 5, status.done, NULL),
		0);
	pdma_transfer_destroy(t);
	pdma_region_close(src);
	pdma_region_close(dst);
	fake_memory_free(&fm);
}

static void a_cancelled_transfer_moves_nothing(void **state)
{
	struct pdma_region *a = open_uri("host:1M", 0), *b = open_uri("host:1M", 0);
	struct pdma_transfer_status status = { .size = sizeof(status) };
	struct pdma_transfer *t;

	assert_int_equal(pdma_transfer_create(a, 0, b, 0, MIB, NULL, &t), 0);
	pdma_transfer_cancel(t);
	assert_int_equal(pdma_transfer_poll(t, -1), -ECANCELED);
	assert_int_equal(pdma_transfer_get_status(t, &status), 0);
	assert_int_equal(status.done, 0);
	pdma_transfer_destroy(t);
	pdma_region_close(a);
	pdma_region_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pattern_tells_bytes_apart),
		cmocka_unit_test(all_shapes),
		cmocka_unit_test(compare_finds_the_ends),
		cmocka_unit_test(why_not_is_told),
		cmocka_unit_test(a_failure_leaves_the_rest_alone),
		cmocka_unit_test(a_cancelled_transfer_moves_nothing),
	};

	return cmocka_run_group_tests(tests, make_ctx, drop_ctx);
}
