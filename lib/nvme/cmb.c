// SPDX-License-Identifier: MIT
/* The controller memory buffer: Base 8.2.3, 3.1.3.13 to 3.1.3.16. */
#include <errno.h>
#include <stdlib.h>

#include "lib/core/error.h"
#include "lib/nvme/private.h"

/* 4 KiB times a power of 16; the field may not say more than 64 GiB. */
#define UNIT_MAX 6

bool pdmai_nvme_decode_cmb(uint32_t loc, uint32_t size, struct pdmai_nvme_cmb *ret_cmb)
{
	uint64_t unit;

	*ret_cmb = (struct pdmai_nvme_cmb){ 0 };
	if (!(size >> 12))
		return true;
	if ((size >> 8 & 0xf) > UNIT_MAX)
		return false;
	unit = (uint64_t)PDMAI_NVME_PAGE << (4 * (size >> 8 & 0xf));
	ret_cmb->bar = loc & 7;
	ret_cmb->flags = size & 0x1f;
	ret_cmb->off = (loc >> 12) * unit;
	ret_cmb->len = (size >> 12) * unit;
	return true;
}

int pdmai_nvme_parse_cmb(uint32_t loc, uint32_t size, const struct pdmai_dev *dev,
			 struct pdmai_nvme_cmb *ret_cmb)
{
	struct pdmai_nvme_cmb cmb;
	bool known = pdmai_nvme_decode_cmb(loc, size, &cmb);
	uint64_t bar_len;

	*ret_cmb = (struct pdmai_nvme_cmb){ 0 };
	if ((known && !cmb.len) || (size == UINT32_MAX && loc == UINT32_MAX))
		return 0;
	/* BIR: Base 3.1.3.11 allows 0 and 2 to 5. */
	if (!known || cmb.bar == 1 || cmb.bar >= PDMAI_PCI_BARS)
		return pdmai_fail(EPROTO, "%s describes its CMB by nonsense (0x%08x, 0x%08x)",
				  dev->bdf.text, loc, size);
	bar_len = dev->bars[cmb.bar].is_mem ? dev->bars[cmb.bar].len : 0;
	if (cmb.off >= bar_len || cmb.len > bar_len - cmb.off)
		return pdmai_fail(EPROTO, "%s has a CMB that is not inside BAR %u", dev->bdf.text,
				  cmb.bar);
	cmb.addr = dev->bars[cmb.bar].bus_addr + cmb.off;
	if (cmb.addr % PDMAI_NVME_PAGE || cmb.len - 1 > UINT64_MAX - cmb.addr)
		return pdmai_fail(EPROTO, "%s has a CMB at no possible address", dev->bdf.text);
	*ret_cmb = cmb;
	return 0;
}

static void write_cmbmsc(struct pdmai_nvme *n, uint64_t val)
{
	/* The switch last. */
	pdmai_nvme_write32(n, NVME_CMBMSC + 4, (uint32_t)(val >> 32));
	pdmai_nvme_write32(n, NVME_CMBMSC, (uint32_t)val);
}

/*
 * In commands the buffer has the address of its BAR: the addresses of PCI windows are never handed
 * out as IOVAs, so that no memory of the host is hidden behind it.
 */
static int switch_on(struct pdmai_nvme *n, const struct pdmai_nvme_cmb *cmb)
{
	write_cmbmsc(n, NVME_CMBMSC_CBA(cmb->addr) | NVME_CMBMSC_CMSE | NVME_CMBMSC_CRE);
	if (pdmai_nvme_read32(n, NVME_CMBSTS) & NVME_CMBSTS_CBAI)
		return pdmai_fail(EPROTO, "%s refuses the address of its own CMB",
				  n->dev->bdf.text);
	return 0;
}

static int map(struct pdmai_nvme *n, struct pdmai_nvme_cmb *cmb)
{
	void *mem;
	int ret = pdmai_dev_bar(n->dev, cmb->bar, &mem);

	if (ret)
		return ret;
	n->cmb = (char *)mem + cmb->off;
	return pdmai_ranges_add(&n->cmb_free, 0, cmb->len - 1);
}

static bool same(const struct pdmai_nvme_cmb *a, const struct pdmai_nvme_cmb *b)
{
	return a->bar == b->bar && a->off == b->off && a->len == b->len;
}

int pdmai_nvme_cmb_start(struct pdmai_nvme *n)
{
	bool modern = pdmai_dev_read64(n->dev, 0, NVME_CAP) & NVME_CAP_CMBS;
	struct pdmai_nvme_cmb cmb;
	int ret;

	if (modern)
		write_cmbmsc(n, NVME_CMBMSC_CRE);
	ret = pdmai_nvme_parse_cmb(pdmai_nvme_read32(n, NVME_CMBLOC),
				   pdmai_nvme_read32(n, NVME_CMBSZ), n->dev, &cmb);
	cmb.legacy = cmb.len && !modern;
	if (!ret && modern && cmb.len)
		ret = switch_on(n, &cmb);
	/* Somebody may use parts of the one of before the reset. */
	if (!ret && n->cmb && !same(&cmb, &n->info.cmb))
		ret = pdmai_fail(EPROTO, "%s has another CMB than before", n->dev->bdf.text);
	if (!ret && cmb.len && !n->cmb)
		ret = map(n, &cmb);
	if (!ret)
		n->info.cmb = cmb;
	return ret;
}

int pdmai_nvme_cmb_need(const struct pdmai_nvme *n, uint32_t flags)
{
	if ((n->info.cmb.flags & flags) == flags && n->info.cmb.len)
		return 0;
	return pdmai_fail(EOPNOTSUPP,
			  "%s has no IOMMU, and no CMB that takes queues, lists and data "
			  "(CMBSZ 0x%x)",
			  n->dev->bdf.text, n->info.cmb.flags);
}

int pdmai_nvme_cmb_alloc(struct pdmai_nvme *n, uint64_t len, uint64_t *ret_off)
{
	uint64_t pages;
	int ret;

	if (!n->info.cmb.len)
		return pdmai_fail(EOPNOTSUPP, "%s has no controller memory buffer",
				  n->dev->bdf.text);
	if (!len || len > n->info.cmb.len)
		return pdmai_fail(ENOSPC, "%s: %llu bytes are not free in its CMB",
				  n->dev->bdf.text, (unsigned long long)len);
	pages = (len + PDMAI_NVME_PAGE - 1) & ~(uint64_t)(PDMAI_NVME_PAGE - 1);
	ret = pdmai_ranges_take(&n->cmb_free, pages, PDMAI_NVME_PAGE, ret_off);
	if (ret)
		return pdmai_fail(-ret, "%s: %llu bytes are not free in its CMB", n->dev->bdf.text,
				  (unsigned long long)len);
	return 0;
}

void pdmai_nvme_cmb_free(struct pdmai_nvme *n, uint64_t off, uint64_t len)
{
	uint64_t pages = (len + PDMAI_NVME_PAGE - 1) & ~(uint64_t)(PDMAI_NVME_PAGE - 1);

	/* Failure only wastes it. */
	if (pages)
		pdmai_ranges_add(&n->cmb_free, off, off + (pages - 1));
}
