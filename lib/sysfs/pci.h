/* SPDX-License-Identifier: MIT */
/* PCI functions as sysfs shows them. root is "/sys" or a captured tree. */
#ifndef PEERDMA_LIB_SYSFS_PCI_H
#define PEERDMA_LIB_SYSFS_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/range.h"

#define PDMAI_BDF_LEN  16 /* "0000:00:00.0" and some */
#define PDMAI_PCI_BARS 6

struct pdmai_bdf {
	char text[PDMAI_BDF_LEN]; /* "dddd:bb:dd.f", small letters */
};

struct pdmai_pci_bar {
	uint64_t bus_addr; /* as the kernel has placed it; CPU physical, equal on x86 */
	uint64_t len;	   /* 0: there is none */
	bool is_mem;
};

/* Parse "dddd:bb:dd.f" or "bb:dd.f". Return: 0, -EINVAL. */
int pdmai_bdf_parse(const char *text, struct pdmai_bdf *ret_bdf);

/*
 * Functions of this vendor and device, sorted by address; at most max of them.
 * Return: how many there are (may be more than max), or -errno of reading the directory.
 */
int pdmai_pci_list(const char *root, uint16_t vendor, uint16_t device, struct pdmai_bdf *list,
		   size_t max);

/* Return: 0; -ENODEV when there is no such function; -EIO when its attribute is not understood. */
int pdmai_pci_bars(const char *root, const struct pdmai_bdf *bdf,
		   struct pdmai_pci_bar bars[PDMAI_PCI_BARS]);

/* Name of the bound driver, "" when there is none. Return: 0, -ENODEV. */
int pdmai_pci_driver(const char *root, const struct pdmai_bdf *bdf, char *buf, size_t size);

/* Is it the name of a VFIO driver, vfio-pci or one that has its interface? All ask here. */
bool pdmai_is_vfio_driver(const char *name);

/* Number of the IOMMU group. Return: 0, -ENOENT when it is in none, -ENODEV. */
int pdmai_pci_group(const char *root, const struct pdmai_bdf *bdf, unsigned *ret_group);
/* The group is one of VFIO's own making: no IOMMU guards anything. */
bool pdmai_pci_unguarded(const char *root, const struct pdmai_bdf *bdf);

/*
 * Take every memory window of every PCI function (BARs, ROMs, bridge windows) out of set. A device
 * behind a switch cannot use such an address as an IOVA: the switch turns it round to the peer.
 * Return: 0, -ENOMEM, or -errno of reading the directory.
 */
int pdmai_pci_exclude_windows(const char *root, struct pdmai_ranges *set);

#endif
