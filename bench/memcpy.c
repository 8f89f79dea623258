// SPDX-License-Identifier: MIT
/*
 * bench_memcpy SIZE...: memcpy between two shared mappings, as guest memory is one, a size after
 * the other. Prints a line a size: bytes, copies, MiB/s. One thread; the same two buffers again and
 * again, as perftest does, for 50 ms after a warm-up of 10 ms.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"

#define WARM_NS	   10000000u
#define MEASURE_NS 50000000u
#define MAX_SIZE   (1ul << 30)

/* NULL with errno set. All pages are there. */
static void *shared(size_t size, int fill)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	void *mem = NULL;

	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, (off_t)size))
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (!mem || mem == MAP_FAILED)
		return NULL;
	memset(mem, fill, size);
	return mem;
}

/* Return: the number of copies in about ns. *ret_ns is how long they took. */
static uint64_t copy_for(void *dst, const void *src, size_t size, uint64_t ns, uint64_t *ret_ns)
{
	uint64_t start = util_now_ns(), end, batch = (64u << 10) / size + 1, n = 0, i;

	do {
		for (i = 0; i < batch; i++) {
			memcpy(dst, src, size);
			/* The compiler must not leave copies out. */
			__asm__ volatile("" : : "r"(dst) : "memory");
		}
		n += batch;
		end = util_now_ns();
	} while (end - start < ns);
	*ret_ns = end - start;
	return n;
}

static int measure(size_t size)
{
	void *src = shared(size, 1), *dst = shared(size, 2);
	uint64_t n, ns;

	if (!src || !dst) {
		fprintf(stderr, "bench_memcpy: %zu bytes: %s\n", size, strerror(errno));
		return 1;
	}
	copy_for(dst, src, size, WARM_NS, &ns);
	n = copy_for(dst, src, size, MEASURE_NS, &ns);
	printf("%zu %lu %.1f\n", size, n, (double)n * (double)size * 1e9 / (double)ns / (1 << 20));
	munmap(src, size);
	munmap(dst, size);
	return 0;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_memcpy SIZE...\n");
		return 2;
	}
	for (i = 1; i < argc; i++) {
		char *end;
		unsigned long size = strtoul(argv[i], &end, 10);

		if (*end || !size || size > MAX_SIZE) {
			fprintf(stderr, "bench_memcpy: %s: not a size from 1 to %lu\n", argv[i],
				MAX_SIZE);
			return 2;
		}
		if (measure(size))
			return 1;
	}
	return 0;
}
