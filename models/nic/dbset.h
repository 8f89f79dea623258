/* SPDX-License-Identifier: MIT */
/*
 * A set of small numbers (queue numbers whose doorbell rang) that any thread adds to without a
 * lock and one worker takes from. Adding twice is adding once; it never overflows. The taker goes
 * round, so that a busy queue cannot starve the next.
 */
#ifndef PEERDMA_MODELS_NIC_DBSET_H
#define PEERDMA_MODELS_NIC_DBSET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nic_dbset {
	uint32_t n;		   /* numbers are 0 .. n - 1; n is a multiple of 4096 */
	uint32_t next;		   /* where the taker goes on */
	_Atomic uint64_t *words;   /* one bit a number */
	_Atomic uint64_t *summary; /* one bit a word that may be non-zero */
};

/* Return: 0 or -ENOMEM. */
int nic_dbset_init(struct nic_dbset *s, uint32_t n);
void nic_dbset_fini(struct nic_dbset *s);

/* idx below n. What the adder wrote before is seen by the taker. */
void nic_dbset_add(struct nic_dbset *s, uint32_t idx);

/* Take the next number. Return: false when the set is empty. */
bool nic_dbset_take(struct nic_dbset *s, uint32_t *ret_idx);

/* Forget everything. */
void nic_dbset_clear(struct nic_dbset *s);

#endif
