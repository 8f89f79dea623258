/* SPDX-License-Identifier: MIT */
/*
 * A queue's memory in the guest: a list of equal pages, as CREATE_CQ, CREATE_QP and the others
 * pass it, and the door to it. Immutable once made, so any thread may use it.
 */
#ifndef PEERDMA_MODELS_NIC_BUF_H
#define PEERDMA_MODELS_NIC_BUF_H

#include <stdint.h>
#include <string.h>
#include <stddef.h>
#include "models/common/dma.h"

struct nic_buf {
	uint64_t *page; /* bus address of each page, low bits clear */
	uint32_t n_pages;
	uint32_t first; /* byte offset of the queue in the first page */
	uint64_t size;	/* bytes of the queue */
	uint8_t shift;	/* log2 of the page size */
};

/*
 * Check and copy a page list of n big-endian addresses. page_offset is in units of 1/64 page.
 * Return: 0; -EINVAL when the list does not cover size bytes, the page size is out of 2^12..2^31
 * or an address has low bits other than the three flag bits; -ENOMEM.
 */
int nic_buf_init(struct nic_buf *b, const void *pas, uint32_t n, unsigned shift,
		 unsigned page_offset, uint64_t size);
void nic_buf_fini(struct nic_buf *b);

/*
 * Copy; a range may cross pages but must lie in [0, size), else -EFAULT and nothing is done.
 * Return: 0 or an error of the door. Always class MDL_CTRL.
 */
int nic_buf_read(const struct nic_buf *b, struct mdl_dma *d, uint64_t off, void *dst, size_t len);
int nic_buf_write(const struct nic_buf *b, struct mdl_dma *d, uint64_t off, const void *src,
		  size_t len);

/* Bus address of a byte of the queue; off below size. */
static inline uint64_t nic_buf_addr(const struct nic_buf *b, uint64_t off)
{
	uint64_t o = off + b->first;

	return b->page[o >> b->shift] | (o & ((1ull << b->shift) - 1));
}

#endif
