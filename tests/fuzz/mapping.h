/* SPDX-License-Identifier: MIT */
/*
 * Short anonymous mappings from the heap: without the cost of system calls, and with a sanitizer's
 * eyes on what lies beyond them. Link with --wrap=mmap,--wrap=munmap.
 */
#ifndef PEERDMA_TESTS_FUZZ_MAPPING_H
#define PEERDMA_TESTS_FUZZ_MAPPING_H

/* From now on, for this thread. */
void mapping_on(void);
/* No more. Return: how many are left. */
unsigned mapping_off(void);

#endif
