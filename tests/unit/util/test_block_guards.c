// SPDX-License-Identifier: MIT
/* CRC32 and the guards of protection information against the values their definitions give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/crc32.h"
#include "util/t10dif.h"

static const char digits[] = "123456789";

static void crc32(void **state)
{
	unsigned i;

	assert_int_equal(util_crc32(0, digits, 9), 0xcbf43926u);
	for (i = 0; i <= 9; i++)
		assert_int_equal(util_crc32(util_crc32(0, digits, i), digits + i, 9 - i),
				 0xcbf43926u);
}

static void t10_crc(void **state)
{
	unsigned i;

	assert_int_equal(util_t10_crc(0, digits, 9), 0xd0db);
	for (i = 0; i <= 9; i++)
		assert_int_equal(util_t10_crc(util_t10_crc(0, digits, i), digits + i, 9 - i),
				 0xd0db);
}

/* RFC 1071's example. */
static void checksum(void **state)
{
	static const uint8_t words[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	assert_int_equal(util_t10_checksum(0, words, 8), 0x220d);
	assert_int_equal(util_t10_checksum(0, words, 0), 0xffff);
	assert_int_equal(util_t10_checksum(0xffff, words, 8), 0x220d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32),
		cmocka_unit_test(t10_crc),
		cmocka_unit_test(checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
