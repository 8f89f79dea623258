/* SPDX-License-Identifier: MIT */
/* Save the input that killed or hung the process. */
#ifndef PEERDMA_TESTS_FUZZ_WATCH_H
#define PEERDMA_TESTS_FUZZ_WATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * From now on a crash, a sanitizer's finding or an input that takes longer than timeout_s writes
 * the current input to a file in dir, prints a TAP "Bail out!" line that names it, and ends the
 * process with a status that is not 0. dir must outlive the process.
 */
void fuzz_watch_start(const char *dir, unsigned timeout_s);

/* The input that is about to run. It must stay as it is until the next call. */
void fuzz_watch_input(const uint8_t *data, size_t len);

/* No input runs: what happens now is no finding. */
void fuzz_watch_stop(void);

#endif
