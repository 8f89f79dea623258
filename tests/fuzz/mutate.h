/* SPDX-License-Identifier: MIT */
/* Deterministic random changes to byte strings: the same seed makes the same inputs everywhere. */
#ifndef PEERDMA_TESTS_FUZZ_MUTATE_H
#define PEERDMA_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_rng {
	uint64_t state;
};

/* A byte string in a buffer of max bytes. */
struct fuzz_input {
	uint8_t *data;
	size_t len;
	size_t max;
};

uint64_t fuzz_random(struct fuzz_rng *rng);

/* A number from 0 to n - 1; n is not 0. */
size_t fuzz_below(struct fuzz_rng *rng, size_t n);

/* Fill with random bytes of a random length from 0 to max. */
void fuzz_generate(struct fuzz_rng *rng, struct fuzz_input *in);

/*
 * Change in by one to sixteen random steps. other is a second input to take pieces from and may be
 * empty. The length stays within max.
 */
void fuzz_mutate(struct fuzz_rng *rng, struct fuzz_input *in, const struct fuzz_input *other);

#endif
