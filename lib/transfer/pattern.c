// SPDX-License-Identifier: MIT
/* The pattern that proves where bytes came from. */
#include <string.h>

#include "lib/transfer/transfer.h"

/*
 * The word at place idx. Neighbours must not be alike, nor the same place under a seed close by:
 * two rounds of multiplying and folding mix every bit of both.
 */
static uint64_t word_at(uint64_t seed, uint64_t idx)
{
	uint64_t x = idx * 0xd6e8feb86659fd93ull + (seed ^ 0xa0761d6478bd642full);

	x = (x ^ x >> 32) * 0xe7037ed1a0b428dbull;
	return x ^ x >> 29;
}

static uint8_t byte_at(uint64_t seed, uint64_t off)
{
	return (uint8_t)(word_at(seed, off / 8) >> (off % 8 * 8));
}

void pdma_pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t off)
{
	uint8_t *to = buf;
	uint64_t word;

	for (; len && off % 8; len--)
		*to++ = byte_at(seed, off++);
	for (; len >= sizeof(word); len -= sizeof(word), to += sizeof(word), off += sizeof(word)) {
		word = word_at(seed, off / 8);
		memcpy(to, &word, sizeof(word));
	}
	while (len--)
		*to++ = byte_at(seed, off++);
}

static void mismatch(struct pdma_mismatch *m, uint64_t at, uint8_t want, uint8_t got)
{
	if (!m->bad_bytes++) {
		m->first_off = at;
		m->want = want;
		m->got = got;
	}
	m->last_off = at;
}

uint64_t pdma_pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t off,
			    struct pdma_mismatch *ret_mismatch)
{
	struct pdma_mismatch m = { 0 };
	const uint8_t *got = buf;
	uint64_t word, want;
	size_t i = 0;

	while (i < len) {
		if ((off + i) % 8 == 0 && len - i >= sizeof(word)) {
			memcpy(&word, got + i, sizeof(word));
			want = word_at(seed, (off + i) / 8);
			if (word == want) {
				i += sizeof(word);
				continue;
			}
		}
		if (got[i] != byte_at(seed, off + i))
			mismatch(&m, i, byte_at(seed, off + i), got[i]);
		i++;
	}
	if (m.bad_bytes && ret_mismatch)
		*ret_mismatch = m;
	return m.bad_bytes;
}
