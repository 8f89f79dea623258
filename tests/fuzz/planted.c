// SPDX-License-Identifier: MIT
/* The fuzzer whose findings are known: driver_check.py sees that the driver reports them. */
#include "tests/fuzz/fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile unsigned sink;

static int begins(const uint8_t *data, size_t size, const char *text)
{
	return size >= strlen(text) && !memcmp(data, text, strlen(text));
}

static void hang(void)
{
	for (;;)
		sink++;
}

static void trace(const uint8_t *data, size_t size)
{
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < size; i++)
		sum = sum * 31 + data[i];
	fprintf(stderr, "%zu %08x\n", size, sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (begins(data, size, "abort"))
		abort();
	if (begins(data, size, "segv"))
		raise(SIGSEGV);
	if (begins(data, size, "hang"))
		hang();
	/* One byte behind the end: only a sanitizer sees it, and only if the size is exact. */
	if (begins(data, size, "over"))
		sink += ((const volatile uint8_t *)data)[size];
	if (size >= 2 && data[0] == 'x' && data[1] == 0xff && getenv("PLANTED_SHALLOW"))
		abort();
	if (getenv("PLANTED_TRACE"))
		trace(data, size);
	return 0;
}
