// SPDX-License-Identifier: MIT
/*
 * cmb:BDF - the controller memory buffer of an NVMe drive. The kernel's nvme driver gives pieces of
 * it through sysfs: every mapping of p2pmem/allocate is a new one, with pages that O_DIRECT takes.
 * When a VFIO driver has the drive, or where there is no IOMMU none has, the registers tell in
 * which BAR it lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/nvme/nvme.h"
#include "lib/region/device.h"
#include "lib/region/kinds.h"
#include "lib/sysfs/attr.h"

#define P2PMEM "%s/bus/pci/devices/%s/p2pmem/%s"

static int p2pmem_number(const struct pdmai_backing *b, const char *bdf, const char *name,
			 uint64_t *ret_value)
{
	char text[32];
	int ret = pdmai_attr_get(text, sizeof(text), P2PMEM, b->ctx->sysfs, bdf, name);

	if (ret)
		return pdmai_fail(EOPNOTSUPP,
				  "%s offers no peer memory: has it a CMB, and does its driver and "
				  "kernel (CONFIG_PCI_P2PDMA) publish it?",
				  bdf);
	*ret_value = strtoull(text, NULL, 10);
	return 0;
}

/* How much to take: the range asked for, or all that is free. */
static int p2pmem_len(const struct pdmai_backing *b, const struct pdmai_uri *uri, uint64_t *ret_len)
{
	const struct pdmai_span *range = &uri->ranges[0];
	uint64_t free_bytes = 0;
	int ret = p2pmem_number(b, uri->bdf.text, "available", &free_bytes);

	if (ret)
		return ret;
	if (range->off)
		return pdmai_fail(ERANGE,
				  "%s: the kernel allocates from the CMB, an offset other than 0 "
				  "is not possible",
				  uri->bdf.text);
	*ret_len = range->len == PDMAI_TO_THE_END ? free_bytes : range->len;
	if (!*ret_len || *ret_len > free_bytes)
		return pdmai_fail(ENOSPC, "%s has %" PRIu64 " bytes of CMB free", uri->bdf.text,
				  free_bytes);
	return 0;
}

static int p2pmem_map(struct pdmai_backing *b, const char *bdf, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char path[PDMAI_PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), P2PMEM, b->ctx->sysfs, bdf, "allocate");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pdmai_fail_errno(errno, "cannot open %s", path);
	b->priv = mmap(NULL, (len + (page - 1)) & ~(page - 1), PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);
	err = errno;
	close(fd);
	if (b->priv == MAP_FAILED)
		return pdmai_fail_errno(err, "%s gives no %" PRIu64 " bytes of CMB", bdf, len);
	return 0;
}

static int open_p2pmem(struct pdmai_backing *b, const struct pdmai_uri *uri)
{
	uint64_t len = 0;
	int ret;

	ret = p2pmem_len(b, uri, &len);
	ret = ret ? ret : p2pmem_map(b, uri->bdf.text, len);
	if (ret)
		return ret;
	b->len = len;
	b->slow = true;
	b->flags = PDMA_REGION_MAP | PDMA_REGION_PAGES | PDMA_REGION_DEVICE;
	snprintf(b->bdf, sizeof(b->bdf), "%s", uri->bdf.text);
	return 0;
}

/* Which part of which BAR, as the controller says once it is asked to. */
static int find_cmb(struct pdmai_dev *dev, struct pdmai_nvme_cmb *ret_cmb)
{
	struct pdmai_nvme_cmb cmb;
	uint32_t loc, size;
	void *regs;
	int ret;

	ret = pdmai_dev_bar(dev, 0, &regs);
	if (ret)
		return ret;
	if (dev->bars[0].len < NVME_CMBMSC + 8)
		return pdmai_fail(ENODEV, "%s is no NVMe controller", dev->bdf.text);
	/* Written once: it would switch off what an owner of the controller switched on beside. */
	if (pdmai_dev_read64(dev, 0, NVME_CAP) & NVME_CAP_CMBS &&
	    !(pdmai_dev_read32(dev, 0, NVME_CMBMSC) & NVME_CMBMSC_CRE))
		pdmai_dev_write32(dev, 0, NVME_CMBMSC, NVME_CMBMSC_CRE);
	loc = pdmai_dev_read32(dev, 0, NVME_CMBLOC);
	size = pdmai_dev_read32(dev, 0, NVME_CMBSZ);
	if (!pdmai_nvme_decode_cmb(loc, size, &cmb) || !cmb.len)
		return pdmai_fail(EOPNOTSUPP, "%s has no controller memory buffer", dev->bdf.text);
	*ret_cmb = cmb;
	return 0;
}

static int use_bar(struct pdmai_backing *b, struct pdmai_device *d)
{
	struct pdmai_nvme_cmb cmb = { 0 };
	int ret;

	ret = find_cmb(d->dev, &cmb);
	if (ret)
		return ret;
	if (cmb.bar >= PDMAI_PCI_BARS)
		return pdmai_fail(EIO, "%s puts its CMB into BAR %u", d->dev->bdf.text, cmb.bar);
	ret = pdmai_bar_init(b, d, (int)cmb.bar);
	if (ret)
		return ret;
	if (cmb.off > b->len || cmb.len > b->len - cmb.off)
		return pdmai_fail(EIO, "%s has a CMB that is not inside BAR %u", d->dev->bdf.text,
				  cmb.bar);
	b->dev_off = cmb.off;
	b->bus_addr += cmb.off;
	b->len = cmb.len;
	return 0;
}

static int open_bar_locked(struct pdmai_backing *b, const struct pdmai_uri *uri)
{
	struct pdmai_device *d;
	int ret;

	ret = pdmai_device_get(b->ctx, &uri->bdf, true, &d);
	if (ret)
		return ret;
	ret = use_bar(b, d);
	if (ret)
		pdmai_device_put(d);
	return ret;
}

static int open_cmb(struct pdmai_backing *b, const struct pdmai_uri *uri,
		    const struct pdma_region_options *opt)
{
	char driver[64];
	int ret;

	ret = pdmai_pci_driver(b->ctx->sysfs, &uri->bdf, driver, sizeof(driver));
	if (ret)
		return ret;
	if (driver[0] && !pdmai_is_vfio_driver(driver))
		return open_p2pmem(b, uri);
	pdmai_ctx_lock(b->ctx);
	ret = open_bar_locked(b, uri);
	pdmai_ctx_unlock(b->ctx);
	return ret;
}

static void close_cmb(struct pdmai_backing *b)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (b->device)
		pdmai_device_put(b->device);
	else
		munmap(b->priv, (b->len + (page - 1)) & ~(page - 1));
}

static int map_cmb(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	if (!b->device)
		return pdmai_fail(EOPNOTSUPP, "an allocation from a CMB can't be mapped again");
	return pdmai_bar_map(b, off, len, addr, write);
}

static void *base_cmb(struct pdmai_backing *b)
{
	return b->device ? NULL : b->priv;
}

static int dmabuf_cmb(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		      int *ret_fd, uint64_t *ret_off)
{
	if (!b->device)
		return pdmai_fail(EOPNOTSUPP,
				  "the kernel's nvme driver exports no dma-buf of a CMB");
	return pdmai_bar_dmabuf(b, spans, n, ret_fd, ret_off);
}

static int check_cmb(struct pdmai_backing *b)
{
	char text[32];

	if (b->device)
		return pdmai_bar_check(b);
	/* The directory goes with the driver. */
	if (pdmai_attr_get(text, sizeof(text), P2PMEM, b->ctx->sysfs, b->bdf, "size"))
		return pdmai_fail(ENODEV, "%s offers its CMB no more", b->bdf);
	return 0;
}

const struct pdmai_kind_ops pdmai_kind_cmb = {
	.open = open_cmb,
	.close = close_cmb,
	.map = map_cmb,
	.base = base_cmb,
	.dmabuf = dmabuf_cmb,
	.check = check_cmb,
};
