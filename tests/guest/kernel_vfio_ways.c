// SPDX-License-Identifier: MIT
/* peerdma_vfio: the other ways to lose the memory, each with and without a page that is held. */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/guest/kernel_rig.h"
#include "util/clock.h"

#define SHORT_MS 300
#define PM_CTRL	 4 /* in its capability */

static void config(struct kernel_rig *r, unsigned off, void *buf, size_t len, bool write)
{
	if (write)
		CHECK_EQ(r->dev->ops->config_write(r->dev, off, buf, len), 0);
	else
		CHECK_EQ(r->dev->ops->config_read(r->dev, off, buf, len), 0);
}

/* The offset of a capability, 0 if the function has none such. */
static uint8_t find_cap(struct kernel_rig *r, uint8_t id)
{
	uint8_t cap[2];

	config(r, 0x34, &cap[1], 1, false);
	for (uint8_t at = cap[1]; at; at = cap[1]) {
		config(r, at, cap, 2, false);
		if (cap[0] == id)
			return at;
	}
	return 0;
}

static int d3(struct kernel_rig *r)
{
	uint8_t cap = find_cap(r, 1);
	uint16_t state = 3;
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };
	int fd = pdmai_vfio_device_fd(r->dev);

	CHECK(cap != 0);
	CHECK_EQ(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return pwrite(fd, &state, 2, (off_t)info.offset + cap + PM_CTRL) == 2 ? 0 : -errno;
}

static void d0(struct kernel_rig *r)
{
	uint16_t state = 0;

	config(r, find_cap(r, 1) + PM_CTRL, &state, 2, true);
}

/* PCI Express capability, device control: initiate a function level reset. */
static int flr(struct kernel_rig *r)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint8_t cap = find_cap(r, 0x10);
	int fd = pdmai_vfio_device_fd(r->dev);
	uint16_t control;

	CHECK(cap != 0);
	config(r, cap + 8u, &control, 2, false);
	control |= 0x8000;
	CHECK_EQ(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return pwrite(fd, &control, 2, (off_t)info.offset + cap + 8) == 2 ? 0 : -errno;
}

/* Takes the memory away while nobody holds it: the request succeeds. */
static void way(int (*request)(struct kernel_rig *), void (*back)(struct kernel_rig *))
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kit_pattern_fill(r.mem + KERNEL_TO, MIB, 7, 0);
	CHECK_EQ(request(&r), 0);
	if (back) {
		CHECK(!kernel_touch(r.mem + KERNEL_TO));
		back(&r);
	}
	CHECK_EQ(kit_pattern_check(r.mem + KERNEL_TO, MIB, 7, 0, NULL), 0);
	kernel_close(&r);
}

/* And while somebody does: it is refused in time, and done when the page is free. */
static void way_while_held(int (*request)(struct kernel_rig *), void (*back)(struct kernel_rig *))
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd;

	kernel_open(&r, SHORT_MS);
	fd = kernel_hold_pages(&r, &io, 8);
	kernel_refused(request, &r, SHORT_MS);
	CHECK(kernel_touch(r.mem));
	kernel_let_go(&r, &io, fd);
	CHECK_EQ(kit_pattern_check(r.mem + KERNEL_TO, MIB, 8, 0, NULL), 0);
	CHECK_EQ(request(&r), 0);
	if (back)
		back(&r);
	kernel_close(&r);
}

static void wake(struct kernel_rig *r)
{
	CHECK_EQ(kernel_full_power(r), 0);
}

static void by_hot_reset(void)
{
	way(kernel_hot_reset, NULL);
	way_while_held(kernel_hot_reset, NULL);
}

static void by_low_power(void)
{
	way(kernel_low_power, wake);
	way_while_held(kernel_low_power, wake);
	way(kernel_low_power_wakeup, wake);
	way_while_held(kernel_low_power_wakeup, wake);
}

static void by_d3(void)
{
	way(d3, d0);
	way_while_held(d3, d0);
}

static void by_function_level_reset(void)
{
	way(flr, NULL);
	way_while_held(flr, NULL);
}

/* The administrator's reset can't be refused. It waits for the limit, then goes on. */
static void by_sysfs(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int64_t start;
	int fd;

	way(kernel_sysfs_reset, NULL);
	kernel_open(&r, SHORT_MS);
	fd = kernel_hold_pages(&r, &io, 9);
	start = util_now_ms();
	CHECK_EQ(kernel_sysfs_reset(&r), 0);
	CHECK(util_now_ms() - start >= SHORT_MS);
	CHECK(kernel_touch(r.mem));
	kernel_let_go(&r, &io, fd);
	kernel_close(&r);
}

static const struct tap_test tests[] = {
	{ "by_hot_reset", by_hot_reset, TAP_SWITCH_WITH_IOMMU },
	{ "by_low_power", by_low_power, TAP_WITH_IOMMU },
	{ "by_d3", by_d3, TAP_WITH_IOMMU },
	{ "by_function_level_reset", by_function_level_reset, TAP_WITH_IOMMU },
	{ "by_sysfs", by_sysfs, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
