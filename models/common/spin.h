/* SPDX-License-Identifier: MIT */
/*
 * Looking for work for a short while before sleeping, since a sleep and a wake cost 10 to 25 us.
 * It pays only while it succeeds and while nobody else wants the processor: on a busy machine a
 * thread that spins keeps the guest from making the very work it looks for.
 *
 * One owner thread.
 */
#ifndef PEERDMA_MODELS_COMMON_SPIN_H
#define PEERDMA_MODELS_COMMON_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct mdl_spin {
	uint64_t ns;		 /* how long the next one may last */
	uint64_t end_ns, ask_ns; /* of the one under way; end_ns 0: none */
};

void mdl_spin_init(struct mdl_spin *s);

/* Nothing was found, now is the time. True: look again; false: sleep. */
bool mdl_spin_again(struct mdl_spin *s, uint64_t now_ns);

/* Something was found, looking or not. */
void mdl_spin_found(struct mdl_spin *s);

/* It was found by sleeping for so long. */
void mdl_spin_slept(struct mdl_spin *s, uint64_t ns);

#endif
