// SPDX-License-Identifier: MIT
/* Physical region page entries: Base 4.1.1. */
#include <endian.h>
#include <errno.h>

#include "lib/core/error.h"
#include "lib/nvme/nvme.h"

#define MASK (PDMAI_NVME_PAGE - 1)

static int check(const struct pdmai_nvme_seg *seg, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!seg[i].len || seg[i].len - 1 > UINT64_MAX - seg[i].addr)
			return pdmai_fail(EINVAL, "a piece of the data has no length or wraps");
		if (!i && seg[i].addr % 4)
			return pdmai_fail(EINVAL, "the data does not start at a multiple of 4");
		if (i && seg[i].addr & MASK)
			return pdmai_fail(EINVAL,
					  "a later piece of the data does not start at a page");
		if (i + 1 < n && (seg[i].addr + seg[i].len) & MASK)
			return pdmai_fail(EINVAL, "a piece in the middle does not end at a page");
	}
	return 0;
}

static uint64_t pages_of(const struct pdmai_nvme_seg *seg)
{
	uint64_t first = seg->addr & MASK;

	/* Without first + len, which may wrap. */
	return seg->len / PDMAI_NVME_PAGE + (first + (seg->len & MASK) + MASK) / PDMAI_NVME_PAGE;
}

/* The address of page idx, which is there. */
static uint64_t page_at(const struct pdmai_nvme_seg *seg, uint64_t idx)
{
	while (idx >= pages_of(seg))
		idx -= pages_of(seg++);
	return idx ? (seg->addr & ~(uint64_t)MASK) + idx * PDMAI_NVME_PAGE : seg->addr;
}

int pdmai_nvme_prp(const struct pdmai_nvme_seg *seg, unsigned n, volatile uint64_t *list,
		   uint64_t list_addr, uint64_t *ret_prp1, uint64_t *ret_prp2)
{
	uint64_t pages = 0;
	int ret = check(seg, n);

	if (ret)
		return ret;
	for (unsigned i = 0; i < n; i++) {
		if (pages_of(&seg[i]) > PDMAI_NVME_LIST + 1 - pages)
			return pdmai_fail(E2BIG, "the data has more pages than a PRP list");
		pages += pages_of(&seg[i]);
	}
	*ret_prp1 = pages ? seg[0].addr : 0;
	*ret_prp2 = pages == 2 ? page_at(seg, 1) : pages > 2 ? list_addr : 0;
	for (uint64_t i = 1; pages > 2 && i < pages; i++)
		list[i - 1] = htole64(page_at(seg, i));
	return 0;
}
