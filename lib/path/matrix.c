// SPDX-License-Identifier: MIT
/*
 * All pairs. For one initiator the meeting point with every other function comes out of one pass
 * down the tree, in which a bridge stands before what is below it.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/core/error.h"
#include "lib/path/verdict.h"

struct scratch {
	uint32_t *common; /* of each function with the initiator */
	uint32_t *top;	  /* child of common on the way to each function */
	uint32_t *below;  /* child of each bridge above the initiator on the way to it */
	uint32_t *marked; /* initiator whose way leads over this function, as a row number */
};

static int scratch_alloc(struct scratch *s, uint32_t n)
{
	uint32_t *memory = calloc((size_t)n + 1, 4 * sizeof(*memory));

	if (!memory)
		return pdmai_fail(ENOMEM, "no memory for a matrix");
	s->common = memory;
	s->top = memory + n;
	s->below = memory + 2 * (size_t)n;
	s->marked = memory + 3 * (size_t)n;
	for (uint32_t i = 0; i < n; i++)
		s->marked[i] = PDMAI_NONE;
	return 0;
}

static void mark_way(const struct pdma_topo *t, uint32_t a, struct scratch *s)
{
	uint32_t below = PDMAI_NONE;

	for (uint32_t i = a; i != PDMAI_NONE; i = t->hot[i].parent) {
		s->marked[i] = a;
		s->below[i] = below;
		below = i;
	}
}

static void meet_all(const struct pdma_topo *t, uint32_t a, struct scratch *s)
{
	mark_way(t, a, s);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t up = t->hot[i].parent;

		if (s->marked[i] == a) {
			s->common[i] = i;
			s->top[i] = PDMAI_NONE;
		} else if (up == PDMAI_NONE) {
			s->common[i] = PDMAI_NONE;
			s->top[i] = PDMAI_NONE;
		} else {
			s->common[i] = s->common[up];
			s->top[i] = s->marked[up] == a ? i : s->top[up];
		}
	}
}

static void fill_row(const struct pdma_topo *t, uint32_t a, const uint32_t *list, size_t n,
		     const struct scratch *s, struct pdma_cell *row)
{
	struct pdmai_decision d;

	for (size_t i = 0; i < n; i++) {
		uint32_t b = list[i], common = s->common[b];
		struct pdmai_pair pair = {
			.a = a,
			.b = b,
			.common = common,
			.a_top = common == PDMAI_NONE ? PDMAI_NONE : s->below[common],
			.b_top = s->top[b],
			.top = t->hot[b].top,
		};

		pdmai_decide(t, &pair, &d);
		row[i] = (struct pdma_cell){ d.answer, d.mapping, d.cause, d.in_switch };
	}
}

int pdma_path_matrix(const struct pdma_topo *t, const uint32_t *list, size_t n,
		     struct pdma_cell *cells)
{
	struct scratch s = { 0 };
	int ret;

	for (size_t i = 0; i < n; i++)
		if (list[i] >= t->n)
			return pdmai_fail(EINVAL, "there is no such function");
	ret = scratch_alloc(&s, t->n);
	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++) {
		meet_all(t, list[i], &s);
		fill_row(t, list[i], list, n, &s, cells + i * n);
	}
	free(s.common);
	return 0;
}
