// SPDX-License-Identifier: MIT
/* lib/vfio/iova: the kernel's list of IOVA ranges, well made and not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/vfio/private.h"

union answer {
	struct vfio_iommu_type1_info info;
	uint64_t words[64];
	char bytes[512];
};

static struct vfio_iommu_type1_info_cap_iova_range *cap_at(union answer *a, unsigned off)
{
	return (void *)(a->bytes + off);
}

static void put_cap(union answer *a, unsigned off, unsigned id, unsigned next)
{
	struct vfio_info_cap_header h = { .id = (__u16)id, .version = 1, .next = next };

	memcpy(a->bytes + off, &h, sizeof(h));
}

static void start(union answer *a, unsigned cap)
{
	memset(a, 0, sizeof(*a));
	a->info.flags = VFIO_IOMMU_INFO_CAPS;
	a->info.cap_offset = cap;
}

static int parse(union answer *a, struct pdmai_range *r, size_t max, size_t *n)
{
	return pdmai_vfio_iova_parse(&a->info, sizeof(*a), r, max, n);
}

static void second_capability_is_found(void **state)
{
	struct pdmai_range r[4];
	union answer a;
	size_t n;

	start(&a, 64);
	put_cap(&a, 64, 99, 128);
	put_cap(&a, 128, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
	cap_at(&a, 128)->nr_iovas = 2;
	cap_at(&a, 128)->iova_ranges[0] = (struct vfio_iova_range){ 0, 0xfedfffff };
	cap_at(&a, 128)->iova_ranges[1] = (struct vfio_iova_range){ 0xfef00000, 0x7fffffffff };
	assert_int_equal(parse(&a, r, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r[0].last, 0xfedfffff);
	assert_int_equal(r[1].first, 0xfef00000);
	assert_int_equal(parse(&a, r, 1, &n), -EPROTO);
}

static void none_is_no_error(void **state)
{
	struct pdmai_range r[4];
	union answer a;
	size_t n = 9;

	start(&a, 64);
	put_cap(&a, 64, 99, 0);
	assert_int_equal(parse(&a, r, 4, &n), 0);
	assert_int_equal(n, 0);
	a.info.flags = 0;
	assert_int_equal(parse(&a, r, 4, &n), 0);
	assert_int_equal(n, 0);
}

static void circles_and_bad_offsets_end(void **state)
{
	struct pdmai_range r[4];
	union answer a;
	size_t n;

	start(&a, 64);
	put_cap(&a, 64, 99, 64);
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
	put_cap(&a, 64, 99, 128);
	put_cap(&a, 128, 99, 64);
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
	start(&a, 508);
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
	start(&a, 0xfffffff8);
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
	start(&a, 65);
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
}

static void more_ranges_than_there_is_room_for(void **state)
{
	struct pdmai_range r[4];
	union answer a;
	size_t n;

	start(&a, 480);
	put_cap(&a, 480, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 0);
	cap_at(&a, 480)->nr_iovas = 2;
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
	cap_at(&a, 480)->nr_iovas = 0xffffffff;
	assert_int_equal(parse(&a, r, 4, &n), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_capability_is_found),
		cmocka_unit_test(none_is_no_error),
		cmocka_unit_test(circles_and_bad_offsets_end),
		cmocka_unit_test(more_ranges_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
