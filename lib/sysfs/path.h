/* SPDX-License-Identifier: MIT */
/* The way requests take between two PCI functions, as sysfs and config space tell. */
#ifndef PEERDMA_LIB_SYSFS_PATH_H
#define PEERDMA_LIB_SYSFS_PATH_H

#include "lib/sysfs/pci.h"

enum pdmai_route {
	PDMAI_ROUTE_SWITCH, /* turned round in a switch: bus addresses, no IOMMU sees them */
	PDMAI_ROUTE_BRIDGE, /* up to the root complex: what it does with them only a trial tells */
};

/*
 * How requests of from reach the BARs of to. A switch port with ACS request redirect on sends them
 * up. Return: 0; -ENODEV: no such function; -EINVAL: they are the same; -EIO: config space of a
 * port on the way can't be read whole (needs root).
 */
int pdmai_pci_route(const char *root, const struct pdmai_bdf *from, const struct pdmai_bdf *to,
		    enum pdmai_route *ret_route);

#endif
