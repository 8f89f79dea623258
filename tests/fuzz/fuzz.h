/* SPDX-License-Identifier: MIT */
/*
 * What a fuzzer is: one C file that defines LLVMFuzzerTestOneInput(). It is linked with driver.c
 * (any compiler, short deterministic runs in CI) and, with clang, with libFuzzer (long runs).
 */
#ifndef PEERDMA_TESTS_FUZZ_FUZZ_H
#define PEERDMA_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Feed one input to the code under test. data has exactly size bytes, so that a sanitizer sees the
 * first one read beyond. Called many times in one process: all state made must be undone, and the
 * outcome must depend on the input only. Return: 0; anything else is reserved.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
