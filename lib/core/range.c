// SPDX-License-Identifier: MIT
#include "lib/core/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range that ends at or behind addr. */
static size_t lower_bound(const struct pdmai_ranges *set, uint64_t addr)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (set->r[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int reserve_one(struct pdmai_ranges *set)
{
	size_t cap = set->cap ? set->cap * 2 : 16;
	struct pdmai_range *r;

	if (set->n < set->cap)
		return 0;
	r = reallocarray(set->r, cap, sizeof(*r));
	if (!r)
		return -ENOMEM;
	set->r = r;
	set->cap = cap;
	return 0;
}

static void insert_at(struct pdmai_ranges *set, size_t i, struct pdmai_range range)
{
	memmove(&set->r[i + 1], &set->r[i], (set->n - i) * sizeof(*set->r));
	set->r[i] = range;
	set->n++;
}

static void delete_at(struct pdmai_ranges *set, size_t i)
{
	set->n--;
	memmove(&set->r[i], &set->r[i + 1], (set->n - i) * sizeof(*set->r));
}

int pdmai_ranges_add(struct pdmai_ranges *set, uint64_t first, uint64_t last)
{
	size_t i = lower_bound(set, first);
	bool joins_left, joins_right;

	if (last < first || (i < set->n && set->r[i].first <= last))
		return -EINVAL;
	/* Neither sum wraps: there is a range on that side. */
	joins_left = i > 0 && set->r[i - 1].last + 1 == first;
	joins_right = i < set->n && last + 1 == set->r[i].first;
	if (joins_left && joins_right) {
		set->r[i - 1].last = set->r[i].last;
		delete_at(set, i);
	} else if (joins_left) {
		set->r[i - 1].last = last;
	} else if (joins_right) {
		set->r[i].first = first;
	} else {
		if (reserve_one(set))
			return -ENOMEM;
		insert_at(set, i, (struct pdmai_range){ first, last });
	}
	return 0;
}

int pdmai_ranges_remove(struct pdmai_ranges *set, uint64_t first, uint64_t last)
{
	size_t i;

	if (last < first)
		return -EINVAL;
	/* One range may become two; have room before anything changes. */
	if (reserve_one(set))
		return -ENOMEM;
	i = lower_bound(set, first);
	while (i < set->n && set->r[i].first <= last) {
		struct pdmai_range *r = &set->r[i], old = *r;

		if (old.first < first && old.last > last) {
			r->last = first - 1;
			insert_at(set, i + 1, (struct pdmai_range){ last + 1, old.last });
			return 0;
		}
		if (old.first < first) {
			r->last = first - 1;
			i++;
		} else if (old.last > last) {
			r->first = last + 1;
			return 0;
		} else {
			delete_at(set, i);
		}
	}
	return 0;
}

static bool sorted(const struct pdmai_range *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i].last < keep[i].first || (i && keep[i].first <= keep[i - 1].last))
			return false;
	return true;
}

int pdmai_ranges_keep(struct pdmai_ranges *set, const struct pdmai_range *keep, size_t n)
{
	uint64_t next = 0;
	int ret;

	if (!sorted(keep, n))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (keep[i].first > next) {
			ret = pdmai_ranges_remove(set, next, keep[i].first - 1);
			if (ret)
				return ret;
		}
		if (keep[i].last == UINT64_MAX)
			return 0;
		next = keep[i].last + 1;
	}
	return pdmai_ranges_remove(set, next, UINT64_MAX);
}

int pdmai_ranges_take(struct pdmai_ranges *set, uint64_t len, uint64_t align, uint64_t *ret_first)
{
	uint64_t first;
	int ret;

	if (!len || !align || (align & (align - 1)))
		return -EINVAL;
	for (size_t i = 0; i < set->n; i++) {
		const struct pdmai_range *r = &set->r[i];
		uint64_t pad = -r->first & (align - 1);

		if (pad > r->last - r->first || len - 1 > r->last - r->first - pad)
			continue;
		first = r->first + pad;
		ret = pdmai_ranges_remove(set, first, first + (len - 1));
		if (!ret)
			*ret_first = first;
		return ret;
	}
	return -ENOSPC;
}

bool pdmai_ranges_contain(const struct pdmai_ranges *set, uint64_t first, uint64_t last)
{
	size_t i = lower_bound(set, first);

	return first <= last && i < set->n && set->r[i].first <= first && last <= set->r[i].last;
}

uint64_t pdmai_ranges_total(const struct pdmai_ranges *set)
{
	uint64_t total = 0;

	for (size_t i = 0; i < set->n; i++) {
		uint64_t len_less_one = set->r[i].last - set->r[i].first;

		if (len_less_one == UINT64_MAX)
			return UINT64_MAX;
		total += len_less_one + 1;
	}
	return total;
}

void pdmai_ranges_clear(struct pdmai_ranges *set)
{
	free(set->r);
	*set = (struct pdmai_ranges){ 0 };
}
