// SPDX-License-Identifier: MIT
/* Backings that are (parts of) a BAR of a function the context has open. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/region/device.h"
#include "lib/vfio/vfio.h"
#include "uapi/peerdma/vfio.h"

/* The answer about one region of a function, with what may follow it. */
union region_answer {
	struct vfio_region_info info;
	char space[512];
};

static bool is_pages_of(const union region_answer *a, int bar)
{
	struct vfio_region_info_cap_type cap;

	if (!(a->info.flags & VFIO_REGION_INFO_FLAG_CAPS) ||
	    a->info.cap_offset > sizeof(*a) - sizeof(cap))
		return false;
	memcpy(&cap, a->space + a->info.cap_offset, sizeof(cap));
	return cap.header.id == VFIO_REGION_INFO_CAP_TYPE && cap.type == PEERDMA_VFIO_REGION_TYPE &&
	       cap.subtype == (unsigned)bar;
}

/* Where a function bound to peerdma_vfio has the BAR a second time, with pages. */
static bool find_pages(int fd, int bar, uint64_t *ret_off)
{
	struct vfio_device_info dev = { .argsz = sizeof(dev) };

	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &dev) < 0)
		return false;
	for (unsigned i = VFIO_PCI_NUM_REGIONS; i < dev.num_regions; i++) {
		union region_answer a = { .info = { .argsz = sizeof(a), .index = i } };

		if (!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &a.info) && is_pages_of(&a, bar)) {
			*ret_off = a.info.offset;
			return true;
		}
	}
	return false;
}

int pdmai_bar_init(struct pdmai_backing *b, struct pdmai_device *d, int bar)
{
	const struct pdmai_pci_bar *pci = &d->dev->bars[bar];
	uint64_t off;

	if (!pci->len)
		return pdmai_fail(ENOENT, "%s has no BAR %d", d->dev->bdf.text, bar);
	if (!pci->is_mem)
		return pdmai_fail(ENOENT, "BAR %d of %s is I/O ports, not memory", bar,
				  d->dev->bdf.text);
	b->device = d;
	b->bar = bar;
	snprintf(b->bdf, sizeof(b->bdf), "%s", d->dev->bdf.text);
	b->len = pci->len;
	b->bus_addr = pci->bus_addr;
	b->slow = true;
	b->flags |= PDMA_REGION_MAP | PDMA_REGION_DEVICE;
	if (d->vfio)
		b->flags |= PDMA_REGION_DMABUF;
	if (d->vfio && find_pages(pdmai_vfio_device_fd(d->dev), bar, &off))
		b->flags |= PDMA_REGION_PAGES;
	return 0;
}

/* Which file has the BAR, and where. *ret_own: it must be closed. */
static int bar_file(struct pdmai_backing *b, int *ret_fd, uint64_t *ret_off, bool *ret_own)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = (unsigned)b->bar };
	char path[512];
	int fd;

	*ret_own = !b->device->vfio;
	*ret_off = 0;
	if (b->device->vfio) {
		fd = pdmai_vfio_device_fd(b->device->dev);
		*ret_fd = fd;
		if (find_pages(fd, b->bar, ret_off))
			return 0;
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info) < 0)
			return pdmai_fail_errno(errno, "%s: no region for BAR %d", b->bdf, b->bar);
		if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
			return pdmai_fail(EOPNOTSUPP, "VFIO does not map BAR %d of %s", b->bar,
					  b->bdf);
		*ret_off = info.offset;
	} else {
		snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/resource%d", b->ctx->sysfs,
			 b->bdf, b->bar);
		fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
		if (fd < 0)
			return pdmai_fail_errno(errno, "cannot open %s", path);
	}
	*ret_fd = fd;
	return 0;
}

int pdmai_bar_map(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	uint64_t file_off;
	void *mem;
	bool own;
	int ret, err, fd;

	ret = bar_file(b, &fd, &file_off, &own);
	if (ret)
		return ret;
	mem = mmap(addr, len, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED, fd,
		   (off_t)(file_off + b->dev_off + off));
	err = errno;
	if (own)
		close(fd);
	if (mem == MAP_FAILED)
		return pdmai_fail_errno(err, "%s: cannot map BAR %d", b->bdf, b->bar);
	return 0;
}

int pdmai_bar_dmabuf(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		     int *ret_fd, uint64_t *ret_off)
{
	struct pdmai_bar_range *ranges = calloc(n, sizeof(*ranges));
	int ret;

	if (!ranges)
		return pdmai_fail(ENOMEM, "no memory for %u ranges", n);
	for (unsigned i = 0; i < n; i++)
		ranges[i] = (struct pdmai_bar_range){ b->dev_off + spans[i].off, spans[i].len };
	ret = pdmai_dev_dmabuf(b->device->dev, (unsigned)b->bar, ranges, n, ret_fd);
	free(ranges);
	if (!ret)
		*ret_off = 0;
	return ret;
}

int pdmai_bar_check(struct pdmai_backing *b)
{
	return pdmai_device_check(b->device);
}
