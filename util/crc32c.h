/* SPDX-License-Identifier: MIT */
/* CRC32C: the CRC of iSCSI, NVMe and ext4 (Castagnoli, reflected polynomial 0x82f63b78). */
#ifndef PEERDMA_UTIL_CRC32C_H
#define PEERDMA_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The CRC of len bytes at buf, appended to data whose CRC is crc (0 for none):
 * util_crc32c(util_crc32c(0, a), b) is the CRC of a followed by b. Any thread, any alignment.
 */
uint32_t util_crc32c(uint32_t crc, const void *buf, size_t len);

/* The same without special instructions, for processors that lack them and for the test. */
uint32_t util_crc32c_portable(uint32_t crc, const void *buf, size_t len);

#endif
