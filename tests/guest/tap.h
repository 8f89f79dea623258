/* SPDX-License-Identifier: MIT */
/*
 * Tests in a guest: each runs in a process of its own, so that a crash, an endless wait or a failed
 * check ends that test and the kernel takes back what it held. Prints TAP. No library is needed.
 */
#ifndef PEERDMA_TESTS_GUEST_TAP_H
#define PEERDMA_TESTS_GUEST_TAP_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

/* Which machines a test is for. Elsewhere it is not counted at all. */
enum tap_where { TAP_ANYWHERE, TAP_WITH_IOMMU, TAP_WITHOUT_IOMMU, TAP_SWITCH_WITH_IOMMU };

struct tap_test {
	const char *name;
	void (*fn)(void);
	enum tap_where where;
};

/* Run the tests, or those whose names are arguments. Return: exit status. */
int tap_main(int argc, char **argv, const struct tap_test *tests, size_t n);
#define TAP_MAIN(tests)                                                                 \
	int main(int argc, char **argv)                                                 \
	{                                                                               \
		return tap_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

/* End the test as failed. */
_Noreturn void tap_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define CHECK(cond)                                                \
	do {                                                       \
		if (!(cond))                                       \
			tap_fail(__FILE__, __LINE__, "%s", #cond); \
	} while (0)

#define CHECK_EQ(got, want)                                                                       \
	do {                                                                                      \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                           \
		if (got_ != want_)                                                                \
			tap_fail(__FILE__, __LINE__,                                              \
				 "%s is %" PRId64 " (0x%" PRIx64 "), not %" PRId64 " (0x%" PRIx64 \
				 ")",                                                             \
				 #got, got_, (uint64_t)got_, want_, (uint64_t)want_);             \
	} while (0)

#endif
