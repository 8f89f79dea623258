/* SPDX-License-Identifier: MIT */
/* How a verdict is reached, and how it is put into words. */
#ifndef PEERDMA_LIB_PATH_VERDICT_H
#define PEERDMA_LIB_PATH_VERDICT_H

#include "lib/path/topo.h"

/* Two functions and where their ways to the host bridge meet. */
struct pdmai_pair {
	uint32_t a, b;	       /* initiator, target */
	uint32_t common;       /* lowest bridge above (or one of) both; PDMAI_NONE */
	uint32_t a_top, b_top; /* child of common on the way to each, PDMAI_NONE if there is none */
	uint64_t top;	       /* last byte of the target's memory that is meant */
};

struct pdmai_decision {
	uint8_t answer, mapping, cause;
	bool in_switch;
};

void pdmai_pair_find(const struct pdma_topo *t, uint32_t a, uint32_t b, struct pdmai_pair *ret);

/* Constant time. */
void pdmai_decide(const struct pdma_topo *t, const struct pdmai_pair *pair,
		  struct pdmai_decision *ret);

/* Does a port send peer requests up? target: the port they would leave by, PDMAI_NONE: any. */
bool pdmai_redirects(const struct pdma_topo *t, uint32_t port, uint32_t target);

/* Everything else of a verdict, from a decision. */
void pdmai_explain(const struct pdma_topo *t, const struct pdmai_pair *pair,
		   const struct pdmai_decision *d, struct pdma_verdict *ret);

/* Causes that apply without deciding. */
uint32_t pdmai_also(const struct pdma_topo *t, const struct pdmai_pair *pair,
		    const struct pdmai_decision *d);

#endif
