// SPDX-License-Identifier: MIT
#include "bench/kit/pattern.h"

/* Neighbouring places must not give similar words: a multiplication and a shift mix them. */
uint64_t kit_pattern_word(uint64_t seed, uint64_t idx)
{
	uint64_t x = (idx + seed * 0x632be59bd9b4e019ull) * 0x9e3779b97f4a7c15ull;

	return x ^ (x >> 29);
}

void kit_pattern_fill(volatile void *mem, size_t len, uint64_t seed, uint64_t first)
{
	volatile uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		word[i] = kit_pattern_word(seed, first + i);
}

uint64_t kit_pattern_check(const volatile void *mem, size_t len, uint64_t seed, uint64_t first,
			   struct kit_mismatch *ret_mismatch)
{
	const volatile uint64_t *word = mem;
	struct kit_mismatch m = { 0 };

	for (size_t i = 0; i < len / sizeof(*word); i++) {
		uint64_t got = word[i], want = kit_pattern_word(seed, first + i);

		if (got == want)
			continue;
		if (!m.bad_words++) {
			m.first_off = i * sizeof(*word);
			m.want = want;
			m.got = got;
		}
		m.last_off = i * sizeof(*word);
	}
	if (m.bad_words && ret_mismatch)
		*ret_mismatch = m;
	return m.bad_words;
}
