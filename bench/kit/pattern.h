/* SPDX-License-Identifier: MIT */
/*
 * Data whose every 8-byte word depends on a seed and on its place, so that a word lost, doubled,
 * moved or left from another test is seen. Memory may be a device's: it is touched in whole words.
 */
#ifndef PEERDMA_BENCH_KIT_PATTERN_H
#define PEERDMA_BENCH_KIT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

uint64_t kit_pattern_word(uint64_t seed, uint64_t idx);

/* len: bytes, a multiple of 8; first: number of the first word, for a part of a pattern */
void kit_pattern_fill(volatile void *mem, size_t len, uint64_t seed, uint64_t first);

struct kit_mismatch {
	uint64_t bad_words, first_off, last_off; /* offsets in bytes */
	uint64_t want, got;			 /* at first_off */
};

/* Return: number of bad words; ret_mismatch (may be NULL) is filled when there are any. */
uint64_t kit_pattern_check(const volatile void *mem, size_t len, uint64_t seed, uint64_t first,
			   struct kit_mismatch *ret_mismatch);

#endif
