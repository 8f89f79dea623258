// SPDX-License-Identifier: MIT
#include "lib/sysfs/pci.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"

#define DEVICES "%s/bus/pci/devices"
#define DEVICE	DEVICES "/%s"

/* Bits of the third column of "resource", as in the kernel's ioport.h. */
#define RESOURCE_MEM 0x200u
/* BARs, ROM, and whatever else a kernel may list (bridge windows, SR-IOV). */
#define RESOURCES_MAX 32

struct resource {
	uint64_t first, last, flags;
};

int pdmai_bdf_parse(const char *text, struct pdmai_bdf *ret_bdf)
{
	unsigned domain = 0, bus, dev, fn;
	char rest;

	if (sscanf(text, "%4x:%2x:%2x.%1x%c", &domain, &bus, &dev, &fn, &rest) != 4) {
		domain = 0;
		if (sscanf(text, "%2x:%2x.%1x%c", &bus, &dev, &fn, &rest) != 3)
			return pdmai_fail(EINVAL, "'%.32s' is not a PCI address", text);
	}
	if (domain > 0xffff || bus > 0xff || dev > 31 || fn > 7)
		return pdmai_fail(EINVAL, "'%.32s' is not a PCI address", text);
	snprintf(ret_bdf->text, sizeof(ret_bdf->text), "%04x:%02x:%02x.%x", domain & 0xffff,
		 bus & 0xff, dev & 0x1f, fn & 7);
	return 0;
}

static bool attr_is(const char *root, const char *name, const char *attr, uint16_t value)
{
	char text[32];
	char *end;

	if (pdmai_attr_get(text, sizeof(text), DEVICE "/%s", root, name, attr))
		return false;
	return strtoul(text, &end, 16) == value && end != text && !*end;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct pdmai_bdf *)a)->text, ((const struct pdmai_bdf *)b)->text);
}

static DIR *open_devices(const char *root)
{
	char path[PDMAI_PATH_MAX];

	if (snprintf(path, sizeof(path), DEVICES, root) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return opendir(path);
}

int pdmai_pci_list(const char *root, uint16_t vendor, uint16_t device, struct pdmai_bdf *list,
		   size_t max)
{
	DIR *dir = open_devices(root);
	struct pdmai_bdf bdf;
	struct dirent *e;
	size_t n = 0;

	if (!dir)
		return pdmai_fail_errno(errno, "cannot list the PCI devices in %s", root);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || pdmai_bdf_parse(e->d_name, &bdf) ||
		    !attr_is(root, bdf.text, "vendor", vendor) ||
		    !attr_is(root, bdf.text, "device", device))
			continue;
		if (n < max)
			list[n] = bdf;
		n++;
	}
	closedir(dir);
	if (n && max)
		qsort(list, n < max ? n : max, sizeof(*list), by_text);
	return (int)n;
}

/* Return: number of lines, or -errno. */
static int read_resources(const char *root, const char *name, struct resource res[RESOURCES_MAX])
{
	char text[RESOURCES_MAX * 64], *line, *save = NULL;
	int n = 0, ret;

	ret = pdmai_attr_get(text, sizeof(text), DEVICE "/resource", root, name);
	if (ret)
		return pdmai_fail(ENODEV, "there is no PCI device %s", name);
	for (line = strtok_r(text, "\n", &save); line && n < RESOURCES_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		struct resource *r = &res[n++];

		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &r->first, &r->last,
			   &r->flags) != 3)
			return pdmai_fail(EIO, "the resources of %s are not understood", name);
	}
	return n;
}

static bool is_placed_memory(const struct resource *r)
{
	return (r->flags & RESOURCE_MEM) && r->first && r->last >= r->first;
}

int pdmai_pci_bars(const char *root, const struct pdmai_bdf *bdf,
		   struct pdmai_pci_bar bars[PDMAI_PCI_BARS])
{
	struct resource res[RESOURCES_MAX];
	int n = read_resources(root, bdf->text, res);

	if (n < 0)
		return n;
	memset(bars, 0, PDMAI_PCI_BARS * sizeof(*bars));
	for (int i = 0; i < n && i < PDMAI_PCI_BARS; i++) {
		if (!res[i].first || res[i].last < res[i].first)
			continue;
		bars[i].bus_addr = res[i].first;
		bars[i].len = res[i].last - res[i].first + 1;
		bars[i].is_mem = res[i].flags & RESOURCE_MEM;
	}
	return 0;
}

int pdmai_pci_driver(const char *root, const struct pdmai_bdf *bdf, char *buf, size_t size)
{
	char path[PDMAI_PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), DEVICE, root, bdf->text);
	if (access(path, F_OK))
		return pdmai_fail(ENODEV, "there is no PCI device %s", bdf->text);
	ret = pdmai_attr_link(buf, size, "%s/driver", path);
	if (ret == -ENOENT) {
		buf[0] = 0;
		return 0;
	}
	return ret;
}

bool pdmai_is_vfio_driver(const char *name)
{
	return !strcmp(name, "vfio-pci") || !strcmp(name, "peerdma_vfio");
}

int pdmai_pci_group(const char *root, const struct pdmai_bdf *bdf, unsigned *ret_group)
{
	char path[PDMAI_PATH_MAX], name[32], *end;
	unsigned long group;
	int ret;

	snprintf(path, sizeof(path), DEVICE, root, bdf->text);
	if (access(path, F_OK))
		return pdmai_fail(ENODEV, "there is no PCI device %s", bdf->text);
	ret = pdmai_attr_link(name, sizeof(name), "%s/iommu_group", path);
	if (ret)
		return pdmai_fail(ENOENT,
				  "%s is in no IOMMU group: the kernel runs without an IOMMU",
				  bdf->text);
	group = strtoul(name, &end, 10);
	if (end == name || *end || group > INT32_MAX)
		return pdmai_fail(EIO, "IOMMU group '%s' of %s is not a number", name, bdf->text);
	*ret_group = (unsigned)group;
	return 0;
}

bool pdmai_pci_unguarded(const char *root, const struct pdmai_bdf *bdf)
{
	char name[32];

	return !pdmai_attr_get(name, sizeof(name), DEVICE "/iommu_group/name", root, bdf->text) &&
	       !strcmp(name, "vfio-noiommu");
}

static int exclude_device(const char *root, const char *name, struct pdmai_ranges *set)
{
	struct resource res[RESOURCES_MAX];
	int n = read_resources(root, name, res), ret = 0;

	for (int i = 0; i < n && !ret; i++)
		if (is_placed_memory(&res[i]))
			ret = pdmai_ranges_remove(set, res[i].first, res[i].last);
	return n < 0 ? n : ret;
}

int pdmai_pci_exclude_windows(const char *root, struct pdmai_ranges *set)
{
	DIR *dir = open_devices(root);
	struct dirent *e;
	int ret = 0;

	if (!dir)
		return pdmai_fail_errno(errno, "cannot list the PCI devices in %s", root);
	while (!ret && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			ret = exclude_device(root, e->d_name, set);
	closedir(dir);
	return ret;
}
