// SPDX-License-Identifier: MIT
/* The controller memory buffer: at which addresses it is, and what lies in it. */
#include "models/nvme/internal.h"

/* Take hold of the mapping for the command that comes: the host may change it meanwhile. */
void nvme_cmb_look(struct nvme *c)
{
	uint64_t msc;

	if (!c->cmb_size)
		return;
	if (c->cmb_legacy) {
		c->cmb_base = mdl_device_bar_addr(c->dev, NVME_BAR_CMB);
		c->cmb_on = c->cmb_base != UINT64_MAX;
		return;
	}
	pthread_mutex_lock(&c->lock);
	msc = c->cmbmsc;
	c->cmb_on = (msc & NVME_CMBMSC_CRE) && (msc & NVME_CMBMSC_CMSE) && !c->cmb_bad;
	pthread_mutex_unlock(&c->lock);
	c->cmb_base = NVME_CMBMSC_CBA(msc);
}

/* [a, a + alen) and [b, b + blen) share a byte; neither wraps, neither is empty. */
static bool overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b ? b - a < alen : a - b < blen;
}

uint16_t nvme_locate(const struct nvme *c, uint64_t addr, uint64_t len, struct mdl_seg *ret_seg)
{
	*ret_seg = (struct mdl_seg){ .addr = addr, .len = len, .space = MDL_SPACE_BUS };
	if (!len)
		return 0;
	if (len - 1 > UINT64_MAX - addr)
		return NVME_BAD(NVME_SC_DATA_TRANSFER);
	if (!c->cmb_on || !overlap(addr, len, c->cmb_base, c->cmb_size))
		return 0;
	if (addr < c->cmb_base || len > c->cmb_size - (addr - c->cmb_base))
		return NVME_BAD(NVME_SC_BAD_CMB);
	ret_seg->addr = addr - c->cmb_base;
	ret_seg->space = MDL_SPACE_LOCAL;
	return 0;
}
