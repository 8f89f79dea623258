// SPDX-License-Identifier: MIT
#include "util/crc32.h"

#define POLY 0xedb88320u

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void)
{
	uint32_t b, crc;
	unsigned k;

	for (b = 0; b < 256; b++) {
		crc = b;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? POLY : 0);
		table[b] = crc;
	}
}

uint32_t util_crc32(uint32_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	crc = ~crc;
	for (; len; len--, p++)
		crc = crc >> 8 ^ table[(crc ^ *p) & 0xff];
	return ~crc;
}
