// SPDX-License-Identifier: MIT
/* Export of VRAM as a dma-buf by the stock vfio-pci driver, and what it refuses. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vfio/compat.h"
#include "lib/vfio/vfio.h"
#include "tests/guest/rig.h"

#define MIB (1ull << 20)

static void check_fdinfo(int fd, const char *want)
{
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		found = found || !strncmp(line, want, strlen(want));
	fclose(f);
	CHECK(found);
}

static int export(struct rig *r, unsigned bar, uint64_t off, uint64_t len, int *ret_fd)
{
	struct pdmai_bar_range range = { off, len };

	return pdmai_dev_dmabuf(r->pair.dev[0], bar, &range, 1, ret_fd);
}

static void one_range_and_all_of_vram(void)
{
	uint64_t size;
	struct rig r;
	int fd;

	rig_open(&r, false);
	size = pdmai_accel_get_info(r.pair.accel[0])->vram_size;
	CHECK_EQ(export(&r, ACCEL_BAR_VRAM, MIB, 4096, &fd), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 4096);
	check_fdinfo(fd, "exp_name:\tvfio_pci");
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(export(&r, ACCEL_BAR_VRAM, 0, size, &fd), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), size);
	CHECK_EQ(close(fd), 0);
	rig_close(&r);
}

static void several_ranges_add_up(void)
{
	static const struct pdmai_bar_range ranges[] = { { 8 * MIB, MIB },
							 { 0, 4096 },
							 { MIB, 8192 } };
	struct rig r;
	int fd;

	rig_open(&r, false);
	CHECK_EQ(pdmai_dev_dmabuf(r.pair.dev[0], ACCEL_BAR_VRAM, ranges, 3, &fd), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), MIB + 4096 + 8192);
	close(fd);
	rig_close(&r);
}

static void bad_ranges_are_refused(void)
{
	static const struct {
		uint64_t off, len;
	} bad[] = {
		{ 0, 0 },
		{ 100, 4096 },
		{ 0, 100 },
		{ 1ull << 34, 4096 },
		{ 4096, 1ull << 34 },
		{ UINT64_MAX - 4095, 8192 },
	};
	struct rig r;
	int fd = -7;

	rig_open(&r, false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int ret = export(&r, ACCEL_BAR_VRAM, bad[i].off, bad[i].len, &fd);

		/* An end beyond 2^64 the kernel calls an overflow. */
		if (ret != -EINVAL && !(i == 5 && ret == -EOVERFLOW))
			tap_fail(__FILE__, __LINE__, "range %zu: errno %d", i, -ret);
	}
	CHECK_EQ(pdmai_dev_dmabuf(r.pair.dev[0], ACCEL_BAR_VRAM, NULL, 0, &fd), -EINVAL);
	CHECK_EQ(fd, -7);
	rig_close(&r);
}

static void absent_bars_are_refused(void)
{
	struct rig r;
	int fd;

	rig_open(&r, false);
	CHECK_EQ(export(&r, 1, 0, 4096, &fd), -ENODEV);
	CHECK_EQ(export(&r, VFIO_PCI_ROM_REGION_INDEX, 0, 4096, &fd), -ENODEV);
	rig_close(&r);
}

static void flags_are_refused(void)
{
	union {
		struct vfio_device_feature feature;
		char space[128];
	} u = { 0 };
	struct vfio_device_feature_dma_buf *buf = (void *)u.feature.data;
	struct rig r;

	rig_open(&r, false);
	u.feature.argsz = sizeof(u);
	u.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	buf->region_index = ACCEL_BAR_VRAM;
	buf->nr_ranges = 1;
	buf->dma_ranges[0].length = 4096;
	buf->flags = 1;
	CHECK_EQ(ioctl(pdmai_vfio_device_fd(r.pair.dev[0]), VFIO_DEVICE_FEATURE, &u.feature), -1);
	CHECK_EQ(errno, EINVAL);
	rig_close(&r);
}

static void cannot_be_mapped_by_the_cpu(void)
{
	struct rig r;
	int fd;

	rig_open(&r, false);
	CHECK_EQ(export(&r, ACCEL_BAR_VRAM, 0, MIB, &fd), 0);
	CHECK(mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	rig_close(&r);
}

/* Reset and decode off revoke the buffer inside the kernel; the device and the fd live on. */
static void reset_while_exported(void)
{
	struct pdmai_accel_cmd nop = { .op = ACCEL_OP_NOP };
	struct rig r;
	int fd;

	rig_open(&r, false);
	CHECK_EQ(export(&r, ACCEL_BAR_VRAM, 0, MIB, &fd), 0);
	CHECK_EQ(pdmai_accel_reset(r.pair.accel[0], PDMAI_ACCEL_RESET_FUNCTION), 0);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], false, false), 0);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], true, true), 0);
	CHECK_EQ(pdmai_accel_ring_reset(r.ring[0], NULL), 0);
	rig_do(&r, 0, &nop);
	CHECK_EQ(lseek(fd, 0, SEEK_END), MIB);
	rig_close(&r);
	/*
	 * After the device is closed the buffer is an empty shell, but closing it is still right.
	 */
	CHECK_EQ(close(fd), 0);
}

static const struct tap_test tests[] = {
	{ "one_range_and_all_of_vram", one_range_and_all_of_vram, TAP_WITH_IOMMU },
	{ "several_ranges_add_up", several_ranges_add_up, TAP_WITH_IOMMU },
	{ "bad_ranges_are_refused", bad_ranges_are_refused, TAP_WITH_IOMMU },
	{ "absent_bars_are_refused", absent_bars_are_refused, TAP_WITH_IOMMU },
	{ "flags_are_refused", flags_are_refused, TAP_WITH_IOMMU },
	{ "cannot_be_mapped_by_the_cpu", cannot_be_mapped_by_the_cpu, TAP_WITH_IOMMU },
	{ "reset_while_exported", reset_while_exported, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
