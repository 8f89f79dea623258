// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/dev/dev.h"

#define HUGE_PAGE (2ull << 20)

static void trim(char *from, const char *to)
{
	if (from < to)
		munmap(from, (size_t)(to - from));
}

/* An aligned piece out of a longer mapping; what is left over on both sides goes back. */
static void *map_aligned(uint64_t len, uint64_t align)
{
	char *all, *start, *end;

	if (len > SIZE_MAX - align)
		return NULL;
	all = mmap(NULL, len + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)all + (align - 1)) & ~(uintptr_t)(align - 1));
	end = start + len;
	trim(all, start);
	trim(end, all + len + align);
	return start;
}

int pdmai_dma_alloc(struct pdmai_dev *dev, uint64_t len, struct pdmai_dma_mem *ret_mem)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), align;
	struct pdmai_dma_mem mem = { .dev = dev };
	int ret;

	if (!len || len > UINT64_MAX / 2)
		return pdmai_fail(EINVAL, "%llu bytes of DMA memory make no sense",
				  (unsigned long long)len);
	mem.len = (len + (page - 1)) & ~(page - 1);
	align = mem.len >= HUGE_PAGE ? HUGE_PAGE : page;
	mem.vaddr = map_aligned(mem.len, align);
	if (!mem.vaddr)
		return pdmai_fail(ENOMEM, "no memory for a buffer of %llu bytes",
				  (unsigned long long)len);
	/* A wish: without huge pages it is only slower. */
	if (align == HUGE_PAGE)
		madvise(mem.vaddr, mem.len, MADV_HUGEPAGE);
	ret = pdmai_dev_dma_map(dev, mem.vaddr, mem.len, PDMAI_DMA_BOTH, &mem.iova);
	if (ret) {
		munmap(mem.vaddr, mem.len);
		return ret;
	}
	*ret_mem = mem;
	return 0;
}

void pdmai_dma_free(struct pdmai_dma_mem *mem)
{
	/*
	 * Memory a device may still reach must not be given to somebody else: then rather leak it.
	 */
	if (mem->vaddr && !pdmai_dev_dma_unmap(mem->dev, mem->iova, mem->len))
		munmap(mem->vaddr, mem->len);
	*mem = (struct pdmai_dma_mem){ 0 };
}
