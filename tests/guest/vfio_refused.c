// SPDX-License-Identifier: MIT
/* Without an IOMMU the stock vfio-pci driver does not take a device; what happens is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/access.h"
#include "lib/sysfs/attr.h"
#include "tests/guest/rig.h"

/* A record of the kernel log, from now on, that holds all of these words. */
static bool kernel_said(int kmsg, const char *one, const char *two)
{
	char record[2048];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		record[n] = 0;
		if (strstr(record, one) && strstr(record, two))
			return true;
	}
	return false;
}

static void vfio_refuses_for_want_of_a_group(void)
{
	char driver[64], override[64];
	struct pdmai_binding b;
	struct kit_pair p;
	int kmsg;

	CHECK_EQ(kit_pair_find(&p), 0);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(kmsg >= 0);
	CHECK(lseek(kmsg, 0, SEEK_END) >= 0);
	CHECK_EQ(pdmai_bind(PDMAI_SYSFS, &p.bdf[0], "vfio-pci", &b), -EINVAL);
	CHECK(strstr(pdmai_error(), "vfio-pci") != NULL);
	/* -22 is the -EINVAL of VFIO's search for the device's group. */
	CHECK(kernel_said(kmsg, p.bdf[0].text, "failed with error -22"));
	CHECK_EQ(pdmai_pci_driver(PDMAI_SYSFS, &p.bdf[0], driver, sizeof(driver)), 0);
	CHECK_EQ(driver[0], 0);
	CHECK_EQ(pdmai_attr_get(override, sizeof(override),
				PDMAI_SYSFS "/bus/pci/devices/%s/driver_override", p.bdf[0].text),
		 0);
	CHECK(!strcmp(override, "(null)") || !override[0]);
	close(kmsg);
}

static void opening_over_vfio_says_why_not(void)
{
	struct pdmai_vfio *vfio;
	struct pdmai_dev *dev;
	struct kit_pair p;
	unsigned group;
	int ret;

	CHECK_EQ(kit_pair_find(&p), 0);
	CHECK_EQ(pdmai_pci_group(PDMAI_SYSFS, &p.bdf[0], &group), -ENOENT);
	CHECK(strstr(pdmai_error(), "IOMMU") != NULL);
	ret = pdmai_vfio_create(PDMAI_SYSFS, &vfio);
	CHECK_EQ(ret, 0);
	CHECK_EQ(pdmai_vfio_open(vfio, &p.bdf[0], &dev), -ENOENT);
	pdmai_vfio_destroy(vfio);
}

/* The way that is left, and what it cannot do. */
static void sysfs_access_has_no_dma_and_no_interrupts(void)
{
	struct pdmai_dma_mem mem;
	struct pdmai_accel *a;
	struct pdmai_dev *dev;
	struct kit_pair p;
	int fd = -1;

	CHECK_EQ(kit_pair_find(&p), 0);
	CHECK_EQ(pdmai_sysfs_open(PDMAI_SYSFS, &p.bdf[0], &dev), 0);
	CHECK_EQ(pdmai_accel_open(dev, true, &a), -EOPNOTSUPP);
	CHECK_EQ(pdmai_dma_alloc(dev, 4096, &mem), -EOPNOTSUPP);
	CHECK_EQ(pdmai_dev_dmabuf(dev, ACCEL_BAR_VRAM, NULL, 0, &fd), -EOPNOTSUPP);
	CHECK_EQ(pdmai_dev_irq_enable(dev, &fd, 1), -EOPNOTSUPP);
	pdmai_dev_close(dev);
}

static const struct tap_test tests[] = {
	{ "vfio_refuses_for_want_of_a_group", vfio_refuses_for_want_of_a_group, TAP_WITHOUT_IOMMU },
	{ "opening_over_vfio_says_why_not", opening_over_vfio_says_why_not, TAP_WITHOUT_IOMMU },
	{ "sysfs_access_has_no_dma_and_no_interrupts", sysfs_access_has_no_dma_and_no_interrupts,
	  TAP_WITHOUT_IOMMU },
};

TAP_MAIN(tests)
