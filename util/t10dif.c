// SPDX-License-Identifier: MIT
#include "util/t10dif.h"

#define POLY 0x8bb7u

static uint16_t table[256];

__attribute__((constructor)) static void fill_table(void)
{
	unsigned b, k, crc;

	for (b = 0; b < 256; b++) {
		crc = b << 8;
		for (k = 0; k < 8; k++)
			crc = crc << 1 ^ (crc & 0x8000 ? POLY : 0);
		table[b] = (uint16_t)crc;
	}
}

uint16_t util_t10_crc(uint16_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	for (; len; len--, p++)
		crc = (uint16_t)(crc << 8 ^ table[crc >> 8 ^ *p]);
	return crc;
}

uint16_t util_t10_checksum(uint16_t sum, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint64_t s = sum;

	for (; len > 1; len -= 2, p += 2)
		s += (uint32_t)p[0] << 8 | p[1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}
