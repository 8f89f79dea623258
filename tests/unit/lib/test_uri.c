// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/region/uri.h"

static struct pdmai_uri uri;

static void parse(const char *text)
{
	unsigned column = 12345;

	assert_int_equal(pdmai_uri_parse(text, &uri, &column), 0);
	assert_int_equal(column, 12345);
}

static void check_range(unsigned i, uint64_t off, uint64_t len)
{
	assert_true(i < uri.n_ranges);
	assert_int_equal(uri.ranges[i].off, off);
	assert_int_equal(uri.ranges[i].len, len);
}

static void vfio_ranges(void **state)
{
	parse("vfio:0000:3a:00.1/bar2");
	assert_int_equal(uri.kind, PDMA_KIND_VFIO);
	assert_string_equal(uri.bdf.text, "0000:3a:00.1");
	assert_int_equal(uri.bar, 2);
	assert_false(uri.has_ranges);
	check_range(0, 0, PDMAI_TO_THE_END);
	pdmai_uri_clear(&uri);
	parse("vfio:3A:00.1/bar0+64K:1M,0x1000:0x20,2G:4096");
	assert_string_equal(uri.bdf.text, "0000:3a:00.1");
	assert_int_equal(uri.n_ranges, 3);
	check_range(0, 65536, 1 << 20);
	check_range(1, 4096, 32);
	check_range(2, 2ull << 30, 4096);
	pdmai_uri_clear(&uri);
	parse("vfio:0000:3a:00.1/bar5+8k");
	check_range(0, 8192, PDMAI_TO_THE_END);
	pdmai_uri_clear(&uri);
}

static void other_kinds(void **state)
{
	parse("accel:0000:01:00.0+1M:4K");
	assert_int_equal(uri.kind, PDMA_KIND_ACCEL);
	check_range(0, 1 << 20, 4096);
	pdmai_uri_clear(&uri);
	parse("cmb:01:00.0");
	assert_int_equal(uri.kind, PDMA_KIND_CMB);
	pdmai_uri_clear(&uri);
	parse("dm:mlx5_0:64K");
	assert_string_equal(uri.name, "mlx5_0");
	assert_int_equal(uri.len, 65536);
	pdmai_uri_clear(&uri);
	parse("host:1T");
	assert_int_equal(uri.len, 1ull << 40);
	pdmai_uri_clear(&uri);
	parse("udmabuf:0x10000");
	assert_int_equal(uri.len, 65536);
	pdmai_uri_clear(&uri);
}

/* Everything up to the last "+" with a number behind it belongs to the path. */
static void file_paths(void **state)
{
	parse("file:/tmp/a b:c,d");
	assert_string_equal(uri.name, "/tmp/a b:c,d");
	assert_false(uri.has_ranges);
	pdmai_uri_clear(&uri);
	parse("file:/tmp/c++");
	assert_string_equal(uri.name, "/tmp/c++");
	pdmai_uri_clear(&uri);
	parse("file:c++11+4K:8K");
	assert_string_equal(uri.name, "c++11");
	check_range(0, 4096, 8192);
	pdmai_uri_clear(&uri);
}

static void rdma_names(void **state)
{
	parse("rdma://node-b.example/vram+4K:1M");
	assert_string_equal(uri.name, "node-b.example");
	assert_string_equal(uri.port, "");
	assert_string_equal(uri.object, "vram");
	check_range(0, 4096, 1 << 20);
	pdmai_uri_clear(&uri);
	parse("rdma://[fe80::1]:65535/x");
	assert_string_equal(uri.name, "fe80::1");
	assert_string_equal(uri.port, "65535");
	pdmai_uri_clear(&uri);
}

/* The column is that of the character that is wrong. */
static void errors_have_a_column(void **state)
{
	static const struct {
		const char *text;
		unsigned column;
	} bad[] = {
		{ "", 1 },
		{ "vram:1", 1 },
		{ "vfio:", 6 },
		{ "vfio:01:00.0", 13 },
		{ "vfio:01:00.9/bar0", 6 },
		{ "vfio:01:00.0/bar6", 17 },
		{ "vfio:01:00.0/bar2+", 19 },
		{ "vfio:01:00.0/bar2+x", 19 },
		{ "vfio:01:00.0/bar2+0:0", 21 },
		{ "vfio:01:00.0/bar2+0:1,", 23 },
		{ "vfio:01:00.0/bar2+0:1 ", 22 },
		{ "vfio:01:00.0/bar2+0:1P", 22 },
		{ "vfio:01:00.0/bar20", 18 },
		{ "accel:01:00.0+0:1,2:3", 18 },
		{ "host:", 6 },
		{ "host:0", 6 },
		{ "host:-1", 6 },
		{ "host:18446744073709551616", 6 },
		{ "host:0x10000000000000000", 6 },
		{ "host:16777216T", 6 },
		{ "host:0x", 6 },
		{ "host:4Kx", 8 },
		{ "accel:01:00.0+18446744073709551615:2", 15 },
		{ "dm::4K", 4 },
		{ "dm:mlx5_0", 10 },
		{ "dm:mlx5_0:", 11 },
		{ "file:", 6 },
		{ "file:+0", 6 },
		{ "rdma://", 8 },
		{ "rdma://h", 9 },
		{ "rdma://h:0/x", 10 },
		{ "rdma://h:65536/x", 10 },
		{ "rdma://h:123456/x", 10 },
		{ "rdma://h/", 10 },
		{ "rdma://[::1/x", 12 },
		{ "rdma://h/x/y", 11 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned column = 0;

		if (pdmai_uri_parse(bad[i].text, &uri, &column) != -EINVAL ||
		    column != bad[i].column)
			fail_msg("'%s': column %u, %s", bad[i].text, column, pdma_error());
		assert_null(uri.ranges);
	}
}

static void too_much_is_refused(void **state)
{
	size_t size = 3 * PDMAI_URI_RANGES * 4 + 64;
	char *text = malloc(size);

	assert_non_null(text);
	strcpy(text, "file:/");
	memset(text + 6, 'x', PDMAI_URI_MAX);
	text[6 + PDMAI_URI_MAX] = 0;
	assert_int_equal(pdmai_uri_parse(text, &uri, NULL), -EINVAL);
	strcpy(text, "vfio:01:00.0/bar2+0:1");
	for (int i = 1; i <= PDMAI_URI_RANGES; i++)
		strcpy(text + 21 + (i - 1) * 4, ",0:1");
	assert_int_equal(pdmai_uri_parse(text, &uri, NULL), -EINVAL);
	free(text);
}

static void sizes(void **state)
{
	uint64_t size = 7;

	assert_int_equal(pdma_size_parse("64K", &size), 0);
	assert_int_equal(size, 65536);
	assert_int_equal(pdma_size_parse("0", &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(pdma_size_parse("18446744073709551615", &size), 0);
	assert_true(size == UINT64_MAX);
	size = 7;
	assert_int_equal(pdma_size_parse("18446744073709551616", &size), -ERANGE);
	assert_int_equal(pdma_size_parse("16E", &size), -EINVAL);
	assert_int_equal(pdma_size_parse("", &size), -EINVAL);
	assert_int_equal(size, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vfio_ranges),
		cmocka_unit_test(other_kinds),
		cmocka_unit_test(file_paths),
		cmocka_unit_test(rdma_names),
		cmocka_unit_test(errors_have_a_column),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
