// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio's dma-bufs: what they refuse, and their mapping for processors, which shows the
 * exported ranges one after the other and goes away with the memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vfio/compat.h"
#include "tests/guest/kernel_rig.h"

#define SEED 0x65

static const struct pdmai_bar_range ranges[] = { { 8 * MIB, MIB }, { 0, 4096 }, { MIB, 8192 } };
#define N_RANGES 3
#define SIZE	 (MIB + 4096 + 8192)

static char *map(int fd, uint64_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static int export(struct kernel_rig *r)
{
	int fd;

	CHECK_EQ(pdmai_dev_dmabuf(r->dev, ACCEL_BAR_VRAM, ranges, N_RANGES, &fd), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), SIZE);
	return fd;
}

/* The device is open and its ranges are exported. Return: the dma-buf. */
static int open_export(struct kernel_rig *r)
{
	kernel_open(r, 5000);
	return export(r);
}

/* And all of it is mapped. */
static char *open_mapped(struct kernel_rig *r, int *ret_fd)
{
	*ret_fd = open_export(r);
	return map(*ret_fd, SIZE);
}

/* Of the mapping in one piece, in the places of the device that it was made of. */
static void check_places(struct kernel_rig *r, uint64_t seed)
{
	uint64_t at = 0;

	for (int i = 0; i < N_RANGES; at += ranges[i++].len)
		CHECK_EQ(kit_pattern_check(r->mem + ranges[i].off, ranges[i].len, seed, at / 8,
					   NULL),
			 0);
}

static void ranges_side_by_side(void)
{
	struct kernel_rig r;
	char *p;
	int fd;

	p = open_mapped(&r, &fd);
	close(fd);
	memset(r.mem + 2 * 4096 + MIB, 0x5a, 4096);
	kit_pattern_fill(p, SIZE, SEED, 0);
	check_places(&r, SEED);
	/* Nothing beside them. */
	for (int i = 0; i < 4096; i++)
		CHECK_EQ(r.mem[MIB + 8192 + i], 0x5a);
	CHECK_EQ(munmap(p, SIZE), 0);
	kernel_close(&r);
}

static void a_part_of_it(void)
{
	struct kernel_rig r;
	char *p;
	int fd;

	fd = open_export(&r);
	kit_pattern_fill(r.mem + MIB, 8192, SEED, 0);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, MIB + 8192);
	CHECK(p != MAP_FAILED);
	CHECK(!memcmp(p, r.mem + MIB + 4096, 4096));
	close(fd);
	munmap(p, 4096);
	kernel_close(&r);
}

static void expect_no_map(int fd, uint64_t len, int flags, off_t off, int want)
{
	CHECK(mmap(NULL, len, PROT_READ, flags, fd, off) == MAP_FAILED);
	CHECK_EQ(errno, want);
}

static void bad_mappings_are_refused(void)
{
	struct kernel_rig r;
	int fd;

	fd = open_export(&r);
	expect_no_map(fd, SIZE, MAP_PRIVATE, 0, EINVAL);
	expect_no_map(fd, SIZE + 4096, MAP_SHARED, 0, EINVAL);
	expect_no_map(fd, 8192, MAP_SHARED, SIZE - 4096, EINVAL);
	close(fd);
	kernel_close(&r);
}

/* Those of the core, for a function that is bound to vfio-pci. */
static void bad_requests_are_refused(void)
{
	static const struct {
		unsigned bar;
		uint64_t off, len;
		int want;
	} bad[] = {
		{ 2, 0, 0, -EINVAL },
		{ 2, 100, 4096, -EINVAL },
		{ 2, 0, 100, -EINVAL },
		{ 2, 1ull << 34, 4096, -EINVAL },
		{ 2, 4096, 1ull << 34, -EINVAL },
		{ 2, UINT64_MAX - 4095, 8192, -EOVERFLOW },
		{ 1, 0, 4096, -ENODEV },
		{ VFIO_PCI_ROM_REGION_INDEX, 0, 4096, -ENODEV },
	};
	struct kernel_rig r;
	int fd = -7;

	kernel_open(&r, 5000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pdmai_bar_range range = { bad[i].off, bad[i].len };

		CHECK_EQ(pdmai_dev_dmabuf(r.dev, bad[i].bar, &range, 1, &fd), bad[i].want);
	}
	CHECK_EQ(pdmai_dev_dmabuf(r.dev, ACCEL_BAR_VRAM, ranges, 0, &fd), -EINVAL);
	CHECK_EQ(fd, -7);
	kernel_close(&r);
}

static void bad_flags_are_refused(void)
{
	union {
		struct vfio_device_feature feature;
		char space[128];
	} u = { 0 };
	struct vfio_device_feature_dma_buf *buf = (void *)u.feature.data;
	struct kernel_rig r;

	kernel_open(&r, 5000);
	u.feature.argsz = sizeof(u);
	u.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	buf->region_index = ACCEL_BAR_VRAM;
	buf->nr_ranges = 1;
	buf->dma_ranges[0].length = 4096;
	buf->flags = 1;
	CHECK_EQ(ioctl(pdmai_vfio_device_fd(r.dev), VFIO_DEVICE_FEATURE, &u.feature), -1);
	CHECK_EQ(errno, EINVAL);
	u.feature.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_BUF;
	CHECK_EQ(ioctl(pdmai_vfio_device_fd(r.dev), VFIO_DEVICE_FEATURE, &u.feature), -1);
	CHECK_EQ(errno, EINVAL);
	kernel_close(&r);
}

static void gone_while_the_memory_is_off(void)
{
	struct kernel_rig r;
	char *p;
	int fd;

	p = open_mapped(&r, &fd);
	kit_pattern_fill(p, SIZE, SEED, 0);
	CHECK_EQ(kernel_reset(&r), 0);
	CHECK_EQ(kit_pattern_check(p, SIZE, SEED, 0, NULL), 0);
	CHECK_EQ(kernel_command(&r, false), 0);
	CHECK(!kernel_touch(p));
	CHECK(!kernel_touch(p + SIZE - 1));
	CHECK_EQ(kernel_command(&r, true), 0);
	CHECK_EQ(kit_pattern_check(p, SIZE, SEED, 0, NULL), 0);
	close(fd);
	kernel_close(&r);
	munmap(p, SIZE);
}

/* It outlives the device, as a shell; not even the next open brings it back. */
static void gone_for_good_with_the_device(void)
{
	struct kernel_rig r;
	char *p;
	int fd;

	p = open_mapped(&r, &fd);
	CHECK(kernel_touch(p));
	kernel_close_device(&r);
	CHECK(!kernel_touch(p));
	CHECK_EQ(kernel_open_device(&r), 0);
	CHECK(kernel_touch(r.mem));
	CHECK(!kernel_touch(p));
	/* Unbinding does not wait for it. */
	kernel_close(&r);
	CHECK(!kernel_touch(p));
	close(fd);
	munmap(p, SIZE);
}

/* It is for looking at; for DMA there is the region of pages. */
static void not_for_direct_io(void)
{
	int disk = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC), fd;
	struct kernel_rig r;
	char *p;

	CHECK(disk >= 0);
	p = open_mapped(&r, &fd);
	CHECK_EQ(pread(disk, p, 4096, 0), -1);
	CHECK_EQ(errno, EFAULT);
	munmap(p, SIZE);
	close(fd);
	kernel_close(&r);
	close(disk);
}

static const struct tap_test tests[] = {
	{ "ranges_side_by_side", ranges_side_by_side, TAP_ANYWHERE },
	{ "a_part_of_it", a_part_of_it, TAP_ANYWHERE },
	{ "bad_mappings_are_refused", bad_mappings_are_refused, TAP_ANYWHERE },
	{ "bad_requests_are_refused", bad_requests_are_refused, TAP_ANYWHERE },
	{ "bad_flags_are_refused", bad_flags_are_refused, TAP_ANYWHERE },
	{ "gone_while_the_memory_is_off", gone_while_the_memory_is_off, TAP_ANYWHERE },
	{ "gone_for_good_with_the_device", gone_for_good_with_the_device, TAP_ANYWHERE },
	{ "not_for_direct_io", not_for_direct_io, TAP_ANYWHERE },
};

TAP_MAIN(tests)
