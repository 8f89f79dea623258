/* SPDX-License-Identifier: MIT */
/*
 * Time for code that waits by looking and sleeping: between on and off the monotonic clock of this
 * thread stands still but for its sleeps, of which each takes very long and no time. Link with
 * --wrap=clock_gettime,--wrap=nanosleep.
 */
#ifndef PEERDMA_TESTS_FUZZ_WAITING_H
#define PEERDMA_TESTS_FUZZ_WAITING_H

void waiting_on(void);
void waiting_off(void);

#endif
