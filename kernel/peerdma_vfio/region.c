// SPDX-License-Identifier: GPL-2.0-only
/* The regions of pages: what VFIO shows of them, their mapping and its faults. */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pci.h>

#include <uapi/peerdma/vfio.h>

#include "peerdma_vfio.h"

#define PGOFF_MASK ((1ul << (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT)) - 1)

static struct pdv_bar *find_bar(struct pdv_device *d, unsigned int region)
{
	for (unsigned int n = 0; n < d->n_bars; n++)
		if (d->bars[n].region == region)
			return &d->bars[n];
	return NULL;
}

static vm_fault_t insert(struct pdv_bar *b, struct vm_fault *vmf)
{
	unsigned long i = vmf->pgoff & PGOFF_MASK;

	if (i >= b->n_pages)
		return VM_FAULT_SIGBUS;
	set_bit(i, b->touched);
	return vmf_insert_page_mkwrite(vmf, pfn_to_page(b->pfn + i), vmf->flags & FAULT_FLAG_WRITE);
}

/*
 * While the memory is being taken away this fails at once. It must not wait: the caller may hold
 * pages for which the other side waits.
 */
static vm_fault_t fault(struct vm_fault *vmf)
{
	struct pdv_mapping *m = vmf->vma->vm_private_data;
	struct pdv_device *d = m->d;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&d->lock);
	if (!d->revoked && pdv_is_on(d))
		ret = insert(m->b, vmf);
	up_read(&d->lock);
	return ret;
}

static void area_open(struct vm_area_struct *vma)
{
	pdv_mapping_get(vma->vm_private_data);
}

static void area_close(struct vm_area_struct *vma)
{
	pdv_mapping_put(vma->vm_private_data);
}

static const struct vm_operations_struct vm_ops = {
	.open = area_open,
	.close = area_close,
	.fault = fault,
};

static int region_mmap(struct vfio_pci_core_device *core, struct vfio_pci_region *region,
		       struct vm_area_struct *vma)
{
	struct pdv_device *d = container_of(core, struct pdv_device, core);
	struct pdv_bar *b = find_bar(d, vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT));
	unsigned long first = vma->vm_pgoff & PGOFF_MASK;
	struct pdv_mapping *m;

	if (!b || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (first > b->n_pages || vma_pages(vma) > b->n_pages - first)
		return -EINVAL;
	m = pdv_mapping_begin(d, b, first, vma_pages(vma));
	if (IS_ERR(m))
		return PTR_ERR(m);
	vma->vm_private_data = m;
	/* As the kernel's own mapping of these pages is. */
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vm_ops;
	return 0;
}

/* Reading and writing the file goes to the BAR. */
static ssize_t region_rw(struct vfio_pci_core_device *core, char __user *buf, size_t count,
			 loff_t *ppos, bool iswrite)
{
	struct pdv_device *d = container_of(core, struct pdv_device, core);
	struct pdv_bar *b = find_bar(d, VFIO_PCI_OFFSET_TO_INDEX(*ppos));
	loff_t pos = *ppos & VFIO_PCI_OFFSET_MASK;
	ssize_t n;

	if (!b)
		return -EINVAL;
	pos |= VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX + b->bar);
	if (iswrite)
		n = vfio_pci_core_write(&core->vdev, buf, count, &pos);
	else
		n = vfio_pci_core_read(&core->vdev, buf, count, &pos);
	if (n > 0)
		*ppos += n;
	return n;
}

static void region_release(struct vfio_pci_core_device *core, struct vfio_pci_region *region)
{
}

static const struct vfio_pci_regops region_ops = {
	.rw = region_rw,
	.release = region_release,
	.mmap = region_mmap,
};

int pdv_regions_add(struct pdv_device *d)
{
	const u32 flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP;
	int ret;

	for (unsigned int n = 0; n < d->n_bars; n++) {
		struct pdv_bar *b = &d->bars[n];

		b->region = VFIO_PCI_NUM_REGIONS + d->core.num_regions;
		ret = vfio_pci_core_register_dev_region(&d->core, PEERDMA_VFIO_REGION_TYPE, b->bar,
							&region_ops, b->n_pages << PAGE_SHIFT,
							flags, NULL);
		if (ret)
			return ret;
	}
	return 0;
}
