// SPDX-License-Identifier: MIT
/* lib/core/range: sets of free addresses, at the edges of 64 bits too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/core/range.h"

static void expect(const struct pdmai_ranges *s, const struct pdmai_range *want, size_t n)
{
	assert_int_equal(s->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(s->r[i].first == want[i].first);
		assert_true(s->r[i].last == want[i].last);
	}
}

#define EXPECT(set, ...)                                              \
	do {                                                          \
		const struct pdmai_range want_[] = { __VA_ARGS__ };   \
		expect(set, want_, sizeof(want_) / sizeof(want_[0])); \
	} while (0)

static void add_joins_neighbours(void **state)
{
	struct pdmai_ranges s = { 0 };

	assert_int_equal(pdmai_ranges_add(&s, 10, 19), 0);
	assert_int_equal(pdmai_ranges_add(&s, 30, 39), 0);
	assert_int_equal(pdmai_ranges_add(&s, 0, 4), 0);
	EXPECT(&s, { 0, 4 }, { 10, 19 }, { 30, 39 });
	assert_int_equal(pdmai_ranges_add(&s, 20, 29), 0);
	EXPECT(&s, { 0, 4 }, { 10, 39 });
	assert_int_equal(pdmai_ranges_add(&s, 40, UINT64_MAX), 0);
	EXPECT(&s, { 0, 4 }, { 10, UINT64_MAX });
	assert_int_equal(pdmai_ranges_add(&s, 5, 9), 0);
	EXPECT(&s, { 0, UINT64_MAX });
	assert_true(pdmai_ranges_total(&s) == UINT64_MAX);
	pdmai_ranges_clear(&s);
}

static void add_refuses_what_is_there(void **state)
{
	struct pdmai_ranges s = { 0 };

	assert_int_equal(pdmai_ranges_add(&s, 10, 19), 0);
	assert_int_equal(pdmai_ranges_add(&s, 19, 25), -EINVAL);
	assert_int_equal(pdmai_ranges_add(&s, 0, 10), -EINVAL);
	assert_int_equal(pdmai_ranges_add(&s, 0, 100), -EINVAL);
	assert_int_equal(pdmai_ranges_add(&s, 12, 13), -EINVAL);
	assert_int_equal(pdmai_ranges_add(&s, 30, 29), -EINVAL);
	EXPECT(&s, { 10, 19 });
	pdmai_ranges_clear(&s);
}

static void remove_cuts(void **state)
{
	struct pdmai_ranges s = { 0 };

	assert_int_equal(pdmai_ranges_add(&s, 0, UINT64_MAX), 0);
	assert_int_equal(pdmai_ranges_remove(&s, 100, 199), 0);
	EXPECT(&s, { 0, 99 }, { 200, UINT64_MAX });
	assert_int_equal(pdmai_ranges_remove(&s, 0, 9), 0);
	assert_int_equal(pdmai_ranges_remove(&s, UINT64_MAX, UINT64_MAX), 0);
	EXPECT(&s, { 10, 99 }, { 200, UINT64_MAX - 1 });
	assert_int_equal(pdmai_ranges_remove(&s, 50, 299), 0);
	EXPECT(&s, { 10, 49 }, { 300, UINT64_MAX - 1 });
	assert_int_equal(pdmai_ranges_remove(&s, 0, UINT64_MAX), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(pdmai_ranges_remove(&s, 5, 4), -EINVAL);
	pdmai_ranges_clear(&s);
}

static void keep_is_an_intersection(void **state)
{
	const struct pdmai_range keep[] = { { 5, 14 }, { 20, 24 }, { 100, UINT64_MAX } };
	const struct pdmai_range crossed[] = { { 5, 14 }, { 14, 24 } };
	struct pdmai_ranges s = { 0 };

	assert_int_equal(pdmai_ranges_add(&s, 0, 22), 0);
	assert_int_equal(pdmai_ranges_add(&s, 90, 120), 0);
	assert_int_equal(pdmai_ranges_keep(&s, crossed, 2), -EINVAL);
	assert_int_equal(pdmai_ranges_keep(&s, keep, 3), 0);
	EXPECT(&s, { 5, 14 }, { 20, 22 }, { 100, 120 });
	assert_int_equal(pdmai_ranges_keep(&s, keep, 1), 0);
	EXPECT(&s, { 5, 14 });
	pdmai_ranges_clear(&s);
}

static void take_aligns_and_fits(void **state)
{
	struct pdmai_ranges s = { 0 };
	uint64_t at = 77;

	assert_int_equal(pdmai_ranges_add(&s, 0x1001, 0x4fff), 0);
	assert_int_equal(pdmai_ranges_take(&s, 0x1000, 0x1000, &at), 0);
	assert_int_equal(at, 0x2000);
	EXPECT(&s, { 0x1001, 0x1fff }, { 0x3000, 0x4fff });
	assert_int_equal(pdmai_ranges_take(&s, 0x2001, 1, &at), -ENOSPC);
	assert_int_equal(pdmai_ranges_take(&s, 0x2000, 0x1000, &at), 0);
	assert_int_equal(at, 0x3000);
	assert_int_equal(pdmai_ranges_take(&s, 0, 1, &at), -EINVAL);
	assert_int_equal(pdmai_ranges_take(&s, 8, 3, &at), -EINVAL);
	assert_int_equal(pdmai_ranges_take(&s, 8, 0, &at), -EINVAL);
	assert_int_equal(at, 0x3000);
	pdmai_ranges_clear(&s);
}

static void take_at_the_top(void **state)
{
	struct pdmai_ranges s = { 0 };
	uint64_t at;

	assert_int_equal(pdmai_ranges_add(&s, UINT64_MAX - 0xfff, UINT64_MAX), 0);
	assert_int_equal(pdmai_ranges_take(&s, 0x1001, 1, &at), -ENOSPC);
	assert_int_equal(pdmai_ranges_take(&s, 0x10, 1ull << 63, &at), -ENOSPC);
	assert_int_equal(pdmai_ranges_take(&s, UINT64_MAX, 1, &at), -ENOSPC);
	assert_int_equal(pdmai_ranges_take(&s, 0x1000, 0x1000, &at), 0);
	assert_true(at == UINT64_MAX - 0xfff);
	assert_int_equal(s.n, 0);
	pdmai_ranges_clear(&s);
}

/* Against a bit for each address. */
static void random_steps_agree_with_a_bitmap(void **state)
{
	struct pdmai_ranges s = { 0 };
	uint8_t map[256] = { 0 };
	uint64_t at;

	srand(1);
	for (int step = 0; step < 20000; step++) {
		unsigned a = (unsigned)rand() % 256, b = a + (unsigned)rand() % (256 - a);
		bool any = memchr(map + a, 1, b - a + 1) != NULL;
		int ret;

		switch (rand() % 3) {
		case 0:
			ret = pdmai_ranges_add(&s, a, b);
			assert_int_equal(ret, any ? -EINVAL : 0);
			if (!ret)
				memset(map + a, 1, b - a + 1);
			break;
		case 1:
			assert_int_equal(pdmai_ranges_remove(&s, a, b), 0);
			memset(map + a, 0, b - a + 1);
			break;
		default:
			if (pdmai_ranges_take(&s, b % 16 + 1, 1u << (a % 4), &at))
				break;
			assert_int_equal(at % (1u << (a % 4)), 0);
			for (uint64_t i = at; i <= at + b % 16; i++) {
				assert_int_equal(map[i], 1);
				map[i] = 0;
			}
		}
		for (unsigned i = 0; i < 256; i++)
			assert_int_equal(pdmai_ranges_contain(&s, i, i), map[i]);
		for (size_t i = 1; i < s.n; i++)
			assert_true(s.r[i - 1].last + 1 < s.r[i].first);
	}
	pdmai_ranges_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_joins_neighbours),
		cmocka_unit_test(add_refuses_what_is_there),
		cmocka_unit_test(remove_cuts),
		cmocka_unit_test(keep_is_an_intersection),
		cmocka_unit_test(take_aligns_and_fits),
		cmocka_unit_test(take_at_the_top),
		cmocka_unit_test(random_steps_agree_with_a_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
