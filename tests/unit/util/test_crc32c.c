// SPDX-License-Identifier: MIT
/* CRC32C against RFC 3720 (iSCSI) B.4 and against itself in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/crc32c.h"

typedef uint32_t (*crc_fn)(uint32_t crc, const void *buf, size_t len);

static const crc_fn both[] = { util_crc32c, util_crc32c_portable };

static void known_vectors(void **state)
{
	static const uint8_t read_pdu[48] = { 0x01, 0xc0, 0,	0, 0, 0, 0,    0,    0, 0,
					      0,    0,	  0,	0, 0, 0, 0x14, 0,    0, 0,
					      0,    0,	  0x04, 0, 0, 0, 0,    0x14, 0, 0,
					      0,    0x18, 0x28, 0, 0, 0, 0,    0,    0, 0,
					      0x02, 0,	  0,	0, 0, 0, 0,    0 };
	uint8_t buf[32];
	unsigned i, k;

	for (k = 0; k < 2; k++) {
		assert_int_equal(both[k](0, "123456789", 9), 0xe3069283u);
		assert_int_equal(both[k](0, NULL, 0), 0);
		memset(buf, 0, sizeof(buf));
		assert_int_equal(both[k](0, buf, 32), 0x8a9136aau);
		memset(buf, 0xff, sizeof(buf));
		assert_int_equal(both[k](0, buf, 32), 0x62a8ab43u);
		for (i = 0; i < 32; i++)
			buf[i] = (uint8_t)i;
		assert_int_equal(both[k](0, buf, 32), 0x46dd794eu);
		for (i = 0; i < 32; i++)
			buf[i] = (uint8_t)(31 - i);
		assert_int_equal(both[k](0, buf, 32), 0x113fdb5cu);
		assert_int_equal(both[k](0, read_pdu, 48), 0xd9963a56u);
	}
}

static void parts_and_alignments(void **state)
{
	uint8_t buf[100];
	uint32_t whole;
	unsigned i, at, k;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 131 + 7);
	for (at = 0; at < 9; at++) {
		whole = util_crc32c_portable(0, buf + at, 90);
		for (k = 0; k < 2; k++)
			for (i = 0; i <= 90; i++)
				assert_int_equal(
					both[k](both[k](0, buf + at, i), buf + at + i, 90 - i),
					whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_vectors),
		cmocka_unit_test(parts_and_alignments),
	};

	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
