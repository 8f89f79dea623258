/* SPDX-License-Identifier: MIT */
/*
 * Devices bound to the stock vfio-pci driver, through the group and container interface with a
 * type 1 version 2 IOMMU. All devices of one container share its IOVAs: what is mapped for one can
 * be reached by all.
 */
#ifndef PEERDMA_LIB_VFIO_VFIO_H
#define PEERDMA_LIB_VFIO_VFIO_H

#include "lib/dev/dev.h"

struct pdmai_vfio;

/*
 * An empty container. root is the sysfs to find groups in ("/sys") and must outlive it.
 * Return: 0; -ENOENT, -EACCES of opening /dev/vfio/vfio; -EPROTONOSUPPORT: another version of VFIO
 * or no type 1 version 2 IOMMU; -ENOMEM.
 */
int pdmai_vfio_create(const char *root, struct pdmai_vfio **ret_vfio);

/* Every device must be closed before. All mappings end. NULL is allowed. */
void pdmai_vfio_destroy(struct pdmai_vfio *vfio);

/*
 * Open a function that is bound to vfio-pci. Its group joins the container until its last device is
 * closed; IOVAs that the group's IOMMU or a PCI window reserves are not handed out from then on.
 * DMA mappings end with the last device of the container.
 * Return: 0 with *ret_dev, closed by pdmai_dev_close(); -ENODEV: no such function, or not bound to
 * vfio-pci; -ENOENT: no IOMMU; -EBUSY: the group is used elsewhere, or not all of it is bound to
 * VFIO; -EADDRINUSE: a mapping made earlier lies where the new group can't have it; or of the
 * kernel.
 */
int pdmai_vfio_open(struct pdmai_vfio *vfio, const struct pdmai_bdf *bdf,
		    struct pdmai_dev **ret_dev);

/* The file of a device opened by pdmai_vfio_open(), for requests of a caller's own. */
int pdmai_vfio_device_fd(const struct pdmai_dev *dev);

#endif
