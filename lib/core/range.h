/* SPDX-License-Identifier: MIT */
/*
 * A set of free ranges of a 64-bit address space: IOVAs of a container, bytes of a device's memory.
 * Ranges are given by their first and last address, so that the whole space can be named.
 * Not thread safe.
 */
#ifndef PEERDMA_LIB_CORE_RANGE_H
#define PEERDMA_LIB_CORE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pdmai_range {
	uint64_t first, last;
};

/* Sorted, disjoint, not adjacent. All zero is the empty set. */
struct pdmai_ranges {
	struct pdmai_range *r;
	size_t n, cap;
};

/*
 * Add a range, joined with its neighbours.
 * Return: 0; -EINVAL for last < first or an overlap with the set, -ENOMEM: nothing changed.
 */
int pdmai_ranges_add(struct pdmai_ranges *set, uint64_t first, uint64_t last);

/* Take out whatever part of first to last is in the set. Return: 0, -EINVAL, -ENOMEM as above. */
int pdmai_ranges_remove(struct pdmai_ranges *set, uint64_t first, uint64_t last);

/*
 * Keep only what lies in one of n ranges, which are sorted and disjoint.
 * Return: 0, -EINVAL if they are not, -ENOMEM.
 */
int pdmai_ranges_keep(struct pdmai_ranges *set, const struct pdmai_range *keep, size_t n);

/*
 * Take len bytes out of the set, at the lowest address that is a multiple of align (a power of
 * two). Return: 0 with *ret_first; -EINVAL for len 0 or a bad align; -ENOSPC; -ENOMEM.
 */
int pdmai_ranges_take(struct pdmai_ranges *set, uint64_t len, uint64_t align, uint64_t *ret_first);

/* Is every address from first to last in the set? */
bool pdmai_ranges_contain(const struct pdmai_ranges *set, uint64_t first, uint64_t last);

/* Bytes in the set; UINT64_MAX for the whole space. */
uint64_t pdmai_ranges_total(const struct pdmai_ranges *set);

/* Free the memory; the set is empty afterwards. */
void pdmai_ranges_clear(struct pdmai_ranges *set);

#endif
