// SPDX-License-Identifier: MIT
#include "models/nic/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "hw/mlx5_bits.h"

#define FLAG_BITS 7ull

static bool geometry_ok(struct nic_buf *b, uint32_t n, unsigned page_offset)
{
	uint64_t room;

	if (b->shift < 12 || b->shift > 31 || page_offset > 63 || !b->size || !n)
		return false;
	b->first = (uint32_t)((uint64_t)page_offset << (b->shift - 6));
	room = ((uint64_t)n << b->shift) - b->first;
	return b->size <= room;
}

static int copy_pages(struct nic_buf *b, const void *pas, uint32_t n)
{
	uint64_t low = (1ull << b->shift) - 1, a;
	uint32_t i;

	b->page = calloc(n, sizeof(*b->page));
	if (!b->page)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		a = mlx5_get64(pas, i * 8) & ~FLAG_BITS;
		if (a & low) {
			nic_buf_fini(b);
			return -EINVAL;
		}
		b->page[i] = a;
	}
	b->n_pages = n;
	return 0;
}

int nic_buf_init(struct nic_buf *b, const void *pas, uint32_t n, unsigned shift,
		 unsigned page_offset, uint64_t size)
{
	*b = (struct nic_buf){ .shift = (uint8_t)shift, .size = size };
	if (shift > 31 || !geometry_ok(b, n, page_offset))
		return -EINVAL;
	/* Pages beyond the queue's end are of no use. */
	n = (uint32_t)((b->first + size + (1ull << shift) - 1) >> shift);
	return copy_pages(b, pas, n);
}

void nic_buf_fini(struct nic_buf *b)
{
	free(b->page);
	*b = (struct nic_buf){ 0 };
}

static int copy(const struct nic_buf *b, struct mdl_dma *d, uint64_t off, uint8_t *p, size_t len,
		bool write)
{
	uint64_t page = 1ull << b->shift, addr, n;
	int r;

	if (off > b->size || len > b->size - off)
		return -EFAULT;
	for (; len; len -= n, off += n, p += n) {
		addr = nic_buf_addr(b, off);
		n = page - (addr & (page - 1));
		n = n < len ? n : len;
		if (write)
			r = mdl_dma_write(d, MDL_SPACE_BUS, addr, p, n, MDL_CTRL);
		else
			r = mdl_dma_read(d, MDL_SPACE_BUS, addr, p, n, MDL_CTRL);
		if (r)
			return r;
	}
	return 0;
}

int nic_buf_read(const struct nic_buf *b, struct mdl_dma *d, uint64_t off, void *dst, size_t len)
{
	return copy(b, d, off, dst, len, false);
}

int nic_buf_write(const struct nic_buf *b, struct mdl_dma *d, uint64_t off, const void *src,
		  size_t len)
{
	return copy(b, d, off, (void *)(uintptr_t)src, len, true);
}
