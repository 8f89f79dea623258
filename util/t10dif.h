/* SPDX-License-Identifier: MIT */
/* Guards of T10 protection information (SBC-3): the CRC, and the checksum of the Internet. */
#ifndef PEERDMA_UTIL_T10DIF_H
#define PEERDMA_UTIL_T10DIF_H

#include <stddef.h>
#include <stdint.h>

/* CRC16 of polynomial 0x8bb7, begun with crc (0, or the CRC of what came before). */
uint16_t util_t10_crc(uint16_t crc, const void *buf, size_t len);

/* Internet checksum of big-endian words (RFC 1071), begun with sum. len is even. */
uint16_t util_t10_checksum(uint16_t sum, const void *buf, size_t len);

#endif
