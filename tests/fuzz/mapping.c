// SPDX-License-Identifier: MIT
#include "tests/fuzz/mapping.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len)   ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define PAGE  4096u
#define SHORT 0x10000u
#define MAX   128u

/* As in waiting.c: the sanitizers come through here before they are ready. */
#define PLAIN __attribute__((no_sanitize("address", "undefined")))

static _Thread_local bool on;
static struct map {
	char *at;
	size_t len, left;
} maps[MAX];
static unsigned n_maps;

void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *at, size_t len);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t len);

static void *take(size_t len)
{
	void *at = aligned_alloc(PAGE, len);

	if (!at)
		return MAP_FAILED;
	memset(at, 0, len);
	maps[n_maps++] = (struct map){ at, len, len };
	return at;
}

PLAIN void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	if (!on || fd >= 0 || at || len > SHORT || len % PAGE || n_maps == MAX)
		return __real_mmap64(at, len, prot, flags, fd, off);
	return take(len);
}

/* What is unmapped of one may not be touched any more, even while the rest is there. */
static bool give_back(const char *at, size_t len)
{
	unsigned i;

	for (i = 0; i < n_maps && (uintptr_t)at - (uintptr_t)maps[i].at >= maps[i].len; i++)
		;
	if (i == n_maps)
		return false;
	ASAN_POISON_MEMORY_REGION(at, len);
	maps[i].left -= len;
	if (maps[i].left)
		return true;
	ASAN_UNPOISON_MEMORY_REGION(maps[i].at, maps[i].len);
	free(maps[i].at);
	maps[i] = maps[--n_maps];
	return true;
}

PLAIN int __wrap_munmap(void *at, size_t len)
{
	return on && give_back(at, len) ? 0 : __real_munmap(at, len);
}

void mapping_on(void)
{
	on = true;
}

unsigned mapping_off(void)
{
	on = false;
	return n_maps;
}
