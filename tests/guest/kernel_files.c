// SPDX-License-Identifier: MIT
/*
 * The pointer of peerdma_vfio and files: read() and write() of every length, from less than a page
 * to 256 MiB, at places that are round and at others, on the raw disk and on ext4. Needs 512 MiB of
 * device memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/guest/kernel_area.h"

#define AREA  (2 * MIB) /* a border of what a huge page would be */
#define PAGE  4096ull
#define BLOCK 512ull

/* mem: bytes behind AREA, or before it; file: place in the file */
struct place {
	int64_t mem;
	uint64_t file;
};

static const struct place round_place = { 0, 0 };
static const struct place odd_places[] = {
	{ BLOCK, 3 * BLOCK },
	{ 7 * BLOCK, BLOCK },
	{ -(int64_t)BLOCK, 9 * BLOCK },		  /* begins a block before a border of 2 MiB */
	{ 2 * MIB - 5 * BLOCK, 2 * MIB - BLOCK }, /* crosses the next */
};

static const uint64_t lens[] = { PAGE, 2 * PAGE, 64 * KIB, 2 * MIB, 16 * MIB, 256 * MIB };
static const uint64_t odd_lens[] = { BLOCK, PAGE - BLOCK, PAGE + BLOCK, 3 * BLOCK + 2 * MIB };

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* By the page cache: what is no whole block. It is not left in the cache. */
static void move_tail(struct kernel_file *f, char *mem, uint64_t len, uint64_t off, bool out)
{
	if (!len)
		return;
	if (out) {
		CHECK_EQ(pwrite(f->cached, mem, len, (off_t)off), len);
		CHECK_EQ(fsync(f->cached), 0);
	} else {
		CHECK_EQ(pread(f->cached, mem, len, (off_t)off), len);
	}
	CHECK_EQ(posix_fadvise(f->cached, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* Whole blocks directly, and the disk touches no byte of host memory for them. */
static void move(struct kernel_file *f, struct kernel_area *a, uint64_t off, bool out)
{
	uint64_t whole = a->len - a->len % f->block;
	struct kernel_moved m;

	kernel_moved_start(a->rig, &m);
	if (whole && out)
		CHECK_EQ(pwrite(f->direct, a->mem, whole, (off_t)off), whole);
	if (whole && !out)
		CHECK_EQ(pread(f->direct, a->mem, whole, (off_t)off), whole);
	kernel_only_peers(a->rig, &m, whole);
	move_tail(f, a->mem + whole, a->len - whole, off + whole, out);
}

static void there_and_back(struct kernel_rig *r, struct kernel_file *f, struct place p,
			   uint64_t len)
{
	static uint64_t seed = 100;
	struct kernel_area a;

	kernel_area_fill(&a, r, AREA + (uint64_t)p.mem, len, seed++);
	move(f, &a, p.file, true);
	kernel_file_check(f, p.file, len, a.seed);
	CHECK_EQ(posix_fadvise(f->cached, 0, 0, POSIX_FADV_DONTNEED), 0);
	kernel_area_spoil(&a);
	move(f, &a, p.file, false);
	KERNEL_CHECK_AREA(&a);
}

static void every_length(struct kernel_rig *r, const char *path, uint64_t most)
{
	struct kernel_file f;

	kernel_file_open(&f, path);
	for (size_t i = 0; i < N(lens) && lens[i] <= most; i++) {
		/* Once is enough of what an IOMMU maps page by page. */
		if (lens[i] < 256 * MIB) {
			there_and_back(r, &f, round_place, lens[i] - 1);
			there_and_back(r, &f, round_place, lens[i]);
		}
		there_and_back(r, &f, round_place, lens[i] + 1);
	}
	kernel_file_close(&f);
}

static void odd_ones(struct kernel_rig *r, const char *path)
{
	struct kernel_file f;

	kernel_file_open(&f, path);
	CHECK_EQ(f.block, BLOCK);
	for (size_t p = 0; p < N(odd_places); p++)
		for (size_t i = 0; i < N(odd_lens); i++)
			there_and_back(r, &f, odd_places[p], odd_lens[i]);
	kernel_file_close(&f);
}

/* What direct I/O does not take is refused, and changes nothing. */
static void crooked_is_refused(struct kernel_rig *r, const char *path)
{
	struct kernel_file f;
	struct kernel_area a;

	kernel_file_open(&f, path);
	kernel_area_fill(&a, r, AREA, PAGE, 3);
	CHECK_EQ(pread(f.direct, a.mem, PAGE - 1, 0), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(pread(f.direct, a.mem, PAGE, 1), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(pread(f.direct, a.mem + 1, PAGE, 0), -1);
	CHECK_EQ(errno, EINVAL);
	KERNEL_CHECK_AREA(&a);
	kernel_file_close(&f);
}

/*
 * Pieces in memory in another order than in the file. Those of the first table join at borders of
 * pages, so one command can name them by page; those of the other can't.
 */
#define PIECES 5
static const struct piece {
	uint64_t skew, len;
} by_page[PIECES] = {
	{ PAGE - BLOCK, BLOCK }, { 0, PAGE }, { 0, 64 * KIB }, { 0, 2 * MIB }, { 0, 3 * BLOCK },
}, not_by_page[PIECES] = {
	{ BLOCK, BLOCK }, { BLOCK, PAGE + BLOCK }, { 0, 64 * KIB }, { BLOCK, 2 * MIB }, { 0, PAGE },
};

static void pieces(struct kernel_rig *r, const char *path, const struct piece *p)
{
	struct kernel_area a[PIECES];
	struct iovec v[PIECES];
	struct kernel_moved m;
	struct kernel_file f;
	uint64_t sum = 0;

	kernel_file_open(&f, path);
	for (int i = 0; i < PIECES; i++) {
		kernel_area_fill(&a[i], r, AREA + (uint64_t)(PIECES - i) * 3 * MIB + p[i].skew,
				 p[i].len, 50 + (uint64_t)i);
		v[i] = (struct iovec){ a[i].mem, a[i].len };
		sum += a[i].len;
	}
	kernel_moved_start(r, &m);
	CHECK_EQ(pwritev(f.direct, v, PIECES, MIB), sum);
	for (int i = 0; i < PIECES; i++)
		kernel_area_spoil(&a[i]);
	CHECK_EQ(preadv(f.direct, v, PIECES, MIB), sum);
	kernel_only_peers(r, &m, 2 * sum);
	sum = MIB;
	for (int i = 0; i < PIECES; i++) {
		KERNEL_CHECK_AREA(&a[i]);
		kernel_file_check(&f, sum, a[i].len, a[i].seed);
		sum += a[i].len;
	}
	kernel_file_close(&f);
}

static void all_pieces(struct kernel_rig *r, const char *path)
{
	bool lists = kernel_lists_work();

	if (!lists)
		kernel_lists(false);
	pieces(r, path, by_page);
	if (lists)
		pieces(r, path, not_by_page);
	kernel_lists(true);
}

/* Host memory and device memory in one call. */
static void mixed_pieces(struct kernel_rig *r, const char *path)
{
	char *host = aligned_alloc(PAGE, 2 * PAGE);
	struct kernel_area a;
	struct iovec v[3];
	struct kernel_file f;

	CHECK(host != NULL);
	kernel_file_open(&f, path);
	kernel_area_fill(&a, r, AREA, 2 * PAGE, 70);
	kit_pattern_fill(host, 2 * PAGE, 71, 0);
	v[0] = (struct iovec){ host, PAGE };
	v[1] = (struct iovec){ a.mem, 2 * PAGE };
	v[2] = (struct iovec){ host + PAGE, PAGE };
	CHECK_EQ(pwritev(f.direct, v, 3, 0), 4 * PAGE);
	kernel_area_spoil(&a);
	memset(host, 0, 2 * PAGE);
	CHECK_EQ(preadv(f.direct, v, 3, 0), 4 * PAGE);
	KERNEL_CHECK_AREA(&a);
	CHECK_EQ(kit_pattern_check(host, 2 * PAGE, 71, 0, NULL), 0);
	kernel_file_check(&f, PAGE, 2 * PAGE, 70);
	kernel_file_close(&f);
	free(host);
}

static void raw_every_length(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	every_length(&r, kernel_disk(1), UINT64_MAX);
	kernel_close(&r);
}

/* Blocks of 4096: less is done directly. */
static void raw_large_blocks(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	every_length(&r, kernel_disk(2), 16 * MIB);
	kernel_close(&r);
}

static void raw_odd_places(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	odd_ones(&r, kernel_disk(1));
	crooked_is_refused(&r, kernel_disk(1));
	kernel_close(&r);
}

static void raw_pieces(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	all_pieces(&r, kernel_disk(1));
	mixed_pieces(&r, kernel_disk(1));
	kernel_close(&r);
}

static void ext4_every_length(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kernel_mount(&r, 1, 288 * MIB);
	every_length(&r, KERNEL_FILE, UINT64_MAX);
	kernel_umount();
	kernel_close(&r);
}

static void ext4_odd_places(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kernel_mount(&r, 1, 32 * MIB);
	odd_ones(&r, KERNEL_FILE);
	crooked_is_refused(&r, KERNEL_FILE);
	all_pieces(&r, KERNEL_FILE);
	mixed_pieces(&r, KERNEL_FILE);
	kernel_umount();
	kernel_close(&r);
}

static const struct tap_test tests[] = {
	{ "raw_every_length", raw_every_length, TAP_WITH_IOMMU },
	{ "raw_large_blocks", raw_large_blocks, TAP_WITH_IOMMU },
	{ "raw_odd_places", raw_odd_places, TAP_WITH_IOMMU },
	{ "raw_pieces", raw_pieces, TAP_WITH_IOMMU },
	{ "ext4_every_length", ext4_every_length, TAP_WITH_IOMMU },
	{ "ext4_odd_places", ext4_odd_places, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
