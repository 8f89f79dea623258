// SPDX-License-Identifier: MIT
/* The walk of the guest's IOMMU tables, over tables made by hand in a file that plays guest RAM. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/vtd.h"

#define RAM    (256u * 1024u)
#define ROOT   0x1000u
#define CTX    0x2000u
#define L4     0x3000u
#define L3     0x4000u
#define L2     0x5000u
#define L1     0x6000u
#define BUS    3u
#define DEVFN  0x18u
#define R      1u
#define W      2u
#define SUPER  0x80u
#define IOVA   UINT64_C(0x0000123456789000)
#define IDX(n) (IOVA >> (12 + 9 * ((n)-1)) & 511)
#define DST    UINT64_C(0x00000abcde123000)

struct fix {
	struct tdev *t;
	struct tram ram;
	struct mdl_iommu_root root;
};

static void put(struct fix *f, uint64_t gpa, uint64_t val)
{
	memcpy(f->ram.mem + gpa, &val, sizeof(val));
}

/* Four levels, as Linux sets up on such a machine. */
static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->t = tdev_create(tnode_create("a", true, true), "dev0");
	f->ram = tram_create(RAM);
	tdev_map(f->t, &f->ram, 0, 0, RAM, 3);
	tdev_window_is_ram(f->t, 0, 0, RAM, 0);
	f->root = (struct mdl_iommu_root){
		.enabled = true, .root = ROOT, .bus = BUS, .devfn = DEVFN
	};
	put(f, ROOT + 16 * BUS, CTX | 1);
	put(f, CTX + 16 * DEVFN, L4 | 1);
	put(f, CTX + 16 * DEVFN + 8, 2);
	put(f, L4 + 8 * IDX(4), L3 | R | W);
	put(f, L3 + 8 * IDX(3), L2 | R | W);
	put(f, L2 + 8 * IDX(2), L1 | R | W);
	put(f, L1 + 8 * IDX(1), DST | R | W);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	struct mdl_node *node = f->t->node;

	tdev_destroy(f->t);
	mdl_node_destroy(node);
	tram_destroy(&f->ram);
	free(f);
	return 0;
}

static int walk(struct fix *f, uint64_t iova, bool write, uint64_t *gpa)
{
	return mdl_vtd_translate(f->t->node, &f->root, iova, write, gpa);
}

static void four_levels(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	assert_int_equal(walk(f, IOVA + 0x123, false, &gpa), 0);
	assert_int_equal(gpa, DST + 0x123);
	assert_int_equal(walk(f, IOVA + 0xfff, true, &gpa), 0);
	assert_int_equal(gpa, DST + 0xfff);
	assert_int_equal(walk(f, IOVA + 0x1000, false, &gpa), -EFAULT);
	assert_int_equal(walk(f, IOVA - 1, false, &gpa), -EFAULT);
	assert_int_equal(walk(f, IOVA | UINT64_C(1) << 48, false, &gpa), -EFAULT);
}

static void three_and_five_levels(void **state)
{
	struct fix *f = *state;
	uint64_t gpa, low = IOVA & ((UINT64_C(1) << 39) - 1);

	put(f, CTX + 16 * DEVFN, L3 | 1);
	put(f, CTX + 16 * DEVFN + 8, 1);
	assert_int_equal(walk(f, low, false, &gpa), 0);
	assert_int_equal(gpa, DST);
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	put(f, CTX + 16 * DEVFN, 0x7000 | 1);
	put(f, CTX + 16 * DEVFN + 8, 3);
	put(f, 0x7000, L4 | R | W);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	assert_int_equal(gpa, DST);
	assert_int_equal(walk(f, UINT64_C(1) << 57, false, &gpa), -EFAULT);
}

static void superpages(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	put(f, L2 + 8 * IDX(2), UINT64_C(0x40000000) | R | W | SUPER);
	assert_int_equal(walk(f, IOVA + 5, false, &gpa), 0);
	assert_int_equal(gpa, 0x40000000 + ((IOVA + 5) & 0x1fffff));
	put(f, L3 + 8 * IDX(3), UINT64_C(0x80000000) | R | W | SUPER);
	assert_int_equal(walk(f, IOVA + 5, true, &gpa), 0);
	assert_int_equal(gpa, 0x80000000 + ((IOVA + 5) & 0x3fffffff));
	/* Bits of a superpage's address below its size are not part of it. */
	put(f, L2 + 8 * IDX(2), UINT64_C(0x401ff000) | R | W | SUPER);
	put(f, L3 + 8 * IDX(3), L2 | R | W);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	assert_int_equal(gpa, 0x40000000 + (IOVA & 0x1fffff));
	/* 512 GiB pages do not exist: the entry is a table, and it has no such bit. */
	put(f, L4 + 8 * IDX(4), L3 | R | W | SUPER);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
}

static void permissions(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	put(f, L1 + 8 * IDX(1), DST | R);
	assert_int_equal(walk(f, IOVA, true, &gpa), -EACCES);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	put(f, L1 + 8 * IDX(1), DST | W);
	assert_int_equal(walk(f, IOVA, true, &gpa), 0);
	assert_int_equal(walk(f, IOVA, false, &gpa), -EACCES);
	put(f, L1 + 8 * IDX(1), DST | R | W);
	put(f, L3 + 8 * IDX(3), L2 | R);
	assert_int_equal(walk(f, IOVA, true, &gpa), -EACCES);
	put(f, L3 + 8 * IDX(3), L2);
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
}

static void off_and_pass_through(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	put(f, CTX + 16 * DEVFN, L4 | 2 << 2 | 1);
	assert_int_equal(walk(f, 0x1234, true, &gpa), 0);
	assert_int_equal(gpa, 0x1234);
	f->root.enabled = false;
	f->root.root = UINT64_MAX;
	assert_int_equal(walk(f, UINT64_MAX, true, &gpa), 0);
	assert_int_equal(gpa, UINT64_MAX);
}

static void scalable_mode_is_not_known(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	f->root.root |= 1 << 10;
	assert_int_equal(walk(f, IOVA, false, &gpa), -ENOTSUP);
}

static void absent_entries(void **state)
{
	struct fix *f = *state;
	uint64_t gpa;

	f->root.devfn++;
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	f->root.devfn--;
	f->root.bus++;
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	f->root.bus--;
	put(f, CTX + 16 * DEVFN + 8, 0);
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	put(f, CTX + 16 * DEVFN + 8, 7);
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
}

/* Tables that leave RAM at every level, at its very end, and that point at themselves. */
static void hostile_tables(void **state)
{
	struct fix *f = *state;
	const uint64_t at[] = { ROOT + 16 * BUS, CTX + 16 * DEVFN, L4 + 8 * IDX(4), L3 + 8 * IDX(3),
				L2 + 8 * IDX(2) };
	const uint64_t out[] = { RAM, RAM + 4096, UINT64_C(0x000ffffffffff000) };
	uint64_t old, gpa;
	unsigned i, k;

	for (i = 0; i < 5; i++) {
		memcpy(&old, f->ram.mem + at[i], sizeof(old));
		for (k = 0; k < 3; k++) {
			put(f, at[i], out[k] | 3);
			assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
		}
		put(f, at[i], old);
	}
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	for (k = 0; k < 3; k++) {
		f->root.root = out[k];
		assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	}
	f->root.root = ROOT;
	for (i = 0; i < 512; i++)
		put(f, L4 + 8 * i, L4 | R | W);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	assert_int_equal(gpa, L4);
}

/* RAM in two pieces: nothing lies between them. */
static void hole_in_ram(void **state)
{
	struct fix *f = *state;
	struct mdl_node *node = f->t->node;
	uint64_t gpa;

	node->ram[0].len = L3;
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	node->ram[node->n_ram++] =
		(struct mdl_ram){ .gpa = UINT64_C(1) << 32, .len = RAM - L3, .off = L3 };
	assert_int_equal(walk(f, IOVA, false, &gpa), -EFAULT);
	put(f, L4 + 8 * IDX(4), UINT64_C(1) << 32 | R | W);
	put(f, L3 + 8 * IDX(3), ((UINT64_C(1) << 32) + L2 - L3) | R | W);
	put(f, L2 + 8 * IDX(2), ((UINT64_C(1) << 32) + L1 - L3) | R | W);
	assert_int_equal(walk(f, IOVA, false, &gpa), 0);
	assert_int_equal(gpa, DST);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(four_levels),	   T(three_and_five_levels), T(superpages),
		T(permissions),	   T(off_and_pass_through),  T(scalable_mode_is_not_known),
		T(absent_entries), T(hostile_tables),	     T(hole_in_ram),
	};

	return cmocka_run_group_tests_name("vtd", tests, NULL, NULL);
}
