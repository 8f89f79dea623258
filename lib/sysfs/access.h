/* SPDX-License-Identifier: MIT */
/*
 * Devices through sysfs alone: BARs by resourceN, config space by config. For machines without an
 * IOMMU. There is no DMA to host memory and no interrupt: queues lie in the device's own memory and
 * are polled. Needs root, and no driver bound to the function.
 */
#ifndef PEERDMA_LIB_SYSFS_ACCESS_H
#define PEERDMA_LIB_SYSFS_ACCESS_H

#include "lib/dev/dev.h"

/*
 * root is "/sys" and must outlive the device.
 * Return: 0 with *ret_dev, closed by pdmai_dev_close(); -ENODEV: no such function; -EBUSY: a driver
 * has it; or of enabling it.
 */
int pdmai_sysfs_open(const char *root, const struct pdmai_bdf *bdf, struct pdmai_dev **ret_dev);

#endif
