// SPDX-License-Identifier: MIT
#include "models/nic/dbset.h"

#include <errno.h>
#include <stdlib.h>

int nic_dbset_init(struct nic_dbset *s, uint32_t n)
{
	*s = (struct nic_dbset){ .n = n };
	s->words = calloc(n / 64, sizeof(*s->words));
	s->summary = calloc(n / 4096, sizeof(*s->summary));
	if (!s->words || !s->summary) {
		nic_dbset_fini(s);
		return -ENOMEM;
	}
	return 0;
}

void nic_dbset_fini(struct nic_dbset *s)
{
	free((void *)s->words);
	free((void *)s->summary);
	*s = (struct nic_dbset){ 0 };
}

void nic_dbset_add(struct nic_dbset *s, uint32_t idx)
{
	uint32_t w = idx / 64;

	/* The word first: a taker that clears the summary bit looks at the word after that. */
	if (atomic_fetch_or(&s->words[w], 1ull << (idx % 64)))
		return;
	atomic_fetch_or(&s->summary[w / 64], 1ull << (w % 64));
}

/* Take the lowest number of word w that is at least from (a bit number). */
static bool take_word(struct nic_dbset *s, uint32_t w, unsigned from, uint32_t *ret_idx)
{
	uint64_t bits = atomic_load(&s->words[w]) & (~0ull << from);
	unsigned b;

	if (!bits)
		return false;
	b = (unsigned)__builtin_ctzll(bits);
	*ret_idx = w * 64 + b;
	/* Only the taker clears, so the bit is still there. Keep the summary unless it was last. */
	if (atomic_fetch_and(&s->words[w], ~(1ull << b)) == 1ull << b) {
		atomic_fetch_and(&s->summary[w / 64], ~(1ull << (w % 64)));
		if (atomic_load(&s->words[w]))
			atomic_fetch_or(&s->summary[w / 64], 1ull << (w % 64));
	}
	s->next = (*ret_idx + 1) % s->n;
	return true;
}

/* Look at words from w on, up to the end of its summary word. */
static bool take_group(struct nic_dbset *s, uint32_t w, uint32_t *ret_idx)
{
	uint64_t sum = atomic_load(&s->summary[w / 64]) & (~0ull << (w % 64));
	uint32_t base = w & ~63u;

	for (; sum; sum &= sum - 1)
		if (take_word(s, base + (uint32_t)__builtin_ctzll(sum), 0, ret_idx))
			return true;
	return false;
}

bool nic_dbset_take(struct nic_dbset *s, uint32_t *ret_idx)
{
	uint32_t w = s->next / 64, groups = s->n / 4096, g;

	if (take_word(s, w, s->next % 64, ret_idx))
		return true;
	if ((w + 1) % 64 && take_group(s, w + 1, ret_idx))
		return true;
	for (g = 1; g <= groups; g++)
		if (take_group(s, (w / 64 + g) % groups * 64, ret_idx))
			return true;
	return false;
}

void nic_dbset_clear(struct nic_dbset *s)
{
	uint32_t i;

	for (i = 0; i < s->n / 64; i++)
		atomic_store(&s->words[i], 0);
	for (i = 0; i < s->n / 4096; i++)
		atomic_store(&s->summary[i], 0);
}
