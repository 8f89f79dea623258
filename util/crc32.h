/* SPDX-License-Identifier: MIT */
/* CRC32 of Ethernet, Fibre Channel and zlib (IEEE 802.3, reflected polynomial 0xedb88320). */
#ifndef PEERDMA_UTIL_CRC32_H
#define PEERDMA_UTIL_CRC32_H

#include <stddef.h>
#include <stdint.h>

/*
 * The CRC of len bytes at buf, appended to data whose CRC is crc (0 for none). Any thread, any
 * alignment.
 */
uint32_t util_crc32(uint32_t crc, const void *buf, size_t len);

#endif
