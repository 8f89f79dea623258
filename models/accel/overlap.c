// SPDX-License-Identifier: MIT
/* Does any byte of one list lie in another? In n log n, since a guest chooses the lists. */
#include <stdlib.h>

#include "models/accel/internal.h"

static int by_place(const void *va, const void *vb)
{
	const struct accel_extent *x = va, *y = vb;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return 0;
}

static unsigned add_list(struct accel_extent *e, unsigned n, const struct accel_list *l,
			 uint32_t side)
{
	unsigned i;

	for (i = 0; i < l->n; i++, n++)
		e[n] = (struct accel_extent){ .first = l->seg[i].addr,
					      .last = l->seg[i].addr + (l->seg[i].len - 1),
					      .space = l->seg[i].space,
					      .side = side };
	return n;
}

/*
 * In order of their first byte, an extent overlaps one of the other side exactly when some extent
 * of that side that began before reaches as far as its first byte.
 */
static bool sweep(const struct accel_extent *e, unsigned n)
{
	uint64_t reach[2] = { 0, 0 }; /* last byte so far */
	bool seen[2] = { false, false };
	unsigned i, other;

	for (i = 0; i < n; i++) {
		if (i && e[i].space != e[i - 1].space)
			seen[0] = seen[1] = false;
		other = !e[i].side;
		if (seen[other] && reach[other] >= e[i].first)
			return true;
		if (!seen[e[i].side] || reach[e[i].side] < e[i].last)
			reach[e[i].side] = e[i].last;
		seen[e[i].side] = true;
	}
	return false;
}

bool accel_lists_overlap(struct accel *a, const struct accel_list *x, const struct accel_list *y)
{
	unsigned n = add_list(a->extent, 0, x, 0);

	n = add_list(a->extent, n, y, 1);
	qsort(a->extent, n, sizeof(*a->extent), by_place);
	return sweep(a->extent, n);
}
