// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages over BARs, as the kernel makes them for peer-to-peer memory.
 *
 * The kernel puts them into a pool of the device, from which others may allocate, also by a file
 * in sysfs. So we take all of it at once, and from then on count references of pages only.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/percpu-refcount.h>
#include <linux/slab.h>

#include "peerdma_vfio.h"

/* The kernel makes pages for whole sections only, and warns loudly of anything else. */
static bool is_eligible(struct pci_dev *pdev, unsigned int bar)
{
	resource_size_t start = pci_resource_start(pdev, bar);
	resource_size_t len = pci_resource_len(pdev, bar);

	return (pci_resource_flags(pdev, bar) & IORESOURCE_MEM) && start && len &&
	       IS_ALIGNED(start | len, memremap_compat_align());
}

static unsigned long *alloc_bits(unsigned long n)
{
	return kvcalloc(BITS_TO_LONGS(n), sizeof(unsigned long), GFP_KERNEL);
}

/* The whole pool, which has nothing but this BAR to give. */
static int take_all(struct pci_dev *pdev, unsigned int bar)
{
	size_t len = pci_resource_len(pdev, bar);
	void *mem = pci_alloc_p2pmem(pdev, len);

	if (!mem)
		return -EBUSY;
	if (virt_to_phys(mem) == pci_resource_start(pdev, bar))
		return 0;
	pci_free_p2pmem(pdev, mem, len);
	return -EBUSY;
}

/*
 * A page that is freed gives back a reference of the page map. The allocation has taken one for all
 * of them.
 */
static void hold_pages(struct pdv_bar *b)
{
	struct dev_pagemap *map = page_pgmap(pfn_to_page(b->pfn));

	for (unsigned long i = 0; i < b->n_pages; i++) {
		set_page_count(pfn_to_page(b->pfn + i), 1);
		if (!(i % SZ_64K))
			cond_resched();
	}
	percpu_ref_get_many(&map->ref, b->n_pages - 1);
}

static int add_bar(struct pdv_device *d, unsigned int bar)
{
	struct pci_dev *pdev = d->core.pdev;
	struct pdv_bar *b = &d->bars[d->n_bars];
	int ret;

	b->bar = bar;
	b->pfn = PHYS_PFN(pci_resource_start(pdev, bar));
	b->n_pages = pci_resource_len(pdev, bar) >> PAGE_SHIFT;
	b->touched = alloc_bits(b->n_pages);
	if (!b->touched)
		return -ENOMEM;
	ret = pci_p2pdma_add_resource(pdev, bar, 0, 0);
	if (ret)
		pci_notice(pdev, "BAR %u gets no pages: error %d\n", bar, ret);
	else
		ret = take_all(pdev, bar);
	if (ret) {
		kvfree(b->touched);
		b->touched = NULL;
		return ret;
	}
	hold_pages(b);
	d->n_bars++;
	return 0;
}

int pdv_pages_init(struct pdv_device *d)
{
	struct pci_dev *pdev = d->core.pdev;
	int ret;

	for (unsigned int bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (!is_eligible(pdev, bar))
			continue;
		ret = add_bar(d, bar);
		/* A BAR which the kernel does not want is left to vfio-pci's ways. */
		if (ret == -EBUSY || ret == -ENOMEM) {
			pdv_pages_exit(d);
			return ret;
		}
	}
	return 0;
}

void pdv_pages_exit(struct pdv_device *d)
{
	for (unsigned int n = 0; n < d->n_bars; n++) {
		struct pdv_bar *b = &d->bars[n];

		for (unsigned long i = 0; i < b->n_pages; i++) {
			put_page(pfn_to_page(b->pfn + i));
			if (!(i % SZ_64K))
				cond_resched();
		}
		b->n_pages = 0;
	}
}

void pdv_pages_free(struct pdv_device *d)
{
	for (unsigned int n = 0; n < d->n_bars; n++)
		kvfree(d->bars[n].touched);
}

static bool is_idle(struct pdv_bar *b)
{
	unsigned long i;

	for_each_set_bit(i, b->touched, b->n_pages) {
		if (page_ref_count(pfn_to_page(b->pfn + i)) != 1)
			return false;
		clear_bit(i, b->touched);
	}
	/* Whoever gave the last reference back is done with the memory before we touch it. */
	smp_mb();
	return true;
}

bool pdv_pages_idle(struct pdv_device *d)
{
	for (unsigned int n = 0; n < d->n_bars; n++)
		if (!is_idle(&d->bars[n]))
			return false;
	return true;
}
