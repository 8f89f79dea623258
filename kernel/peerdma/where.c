// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where in a BAR the caller's mapping of device memory lies. Nothing else tells: /proc/PID/pagemap
 * leaves out what has no struct page, which is what drivers give of a BAR.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <uapi/peerdma/ioctl.h>

#include "peerdma.h"

/* Memory behind an address, and how much of it follows without a gap. */
struct frames {
	phys_addr_t phys;
	u64 len;
};

/* Return: 0; -EFAULT: no mapping of page frames, or nothing in its page table yet. */
static int look_at(unsigned long address, struct frames *f)
{
	struct follow_pfnmap_args args = { .address = address };
	unsigned long within;

	args.vma = vma_lookup(current->mm, address);
	if (!args.vma || !(args.vma->vm_flags & VM_PFNMAP))
		return -EFAULT;
	if (follow_pfnmap_start(&args))
		return -EFAULT;
	within = address & ~args.addr_mask;
	f->phys = PFN_PHYS(args.pfn) + offset_in_page(address);
	f->len = (u64)~args.addr_mask + 1 - within;
	follow_pfnmap_end(&args);
	return 0;
}

/* Return: the memory BAR that has all of it, with its offset there; -ENXIO. */
static int find_bar(struct pci_dev *pdev, phys_addr_t phys, u64 len, u64 *off)
{
	for (int bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		u64 bar_len = pci_resource_len(pdev, bar);

		if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
		    phys < pci_resource_start(pdev, bar))
			continue;
		*off = phys - pci_resource_start(pdev, bar);
		if (*off < bar_len && len <= bar_len - *off)
			return bar;
	}
	return -ENXIO;
}

/* The rest must follow the first piece without a gap. It is no longer than a BAR. */
static int check_rest(unsigned long address, u64 left, struct frames *f)
{
	phys_addr_t next = f->phys + f->len;

	while (left > f->len) {
		left -= f->len;
		address += f->len;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (look_at(address, f))
			return -EFAULT;
		if (f->phys != next)
			return -ENXIO;
		next += f->len;
	}
	return 0;
}

static int find(struct pci_dev *pdev, struct peerdma_where *where)
{
	struct mm_struct *mm = current->mm;
	struct frames f;
	int bar, ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = look_at(where->address, &f);
	if (ret)
		goto unlock;
	bar = find_bar(pdev, f.phys, where->len, &where->off);
	ret = bar < 0 ? bar : check_rest(where->address, where->len, &f);
	if (ret)
		goto unlock;
	where->bar = bar;
	where->bus_addr = pci_bus_address(pdev, bar) + where->off;
unlock:
	mmap_read_unlock(mm);
	return ret;
}

int pdk_ioctl_where(void __user *arg)
{
	struct pci_dev *pdev __free(pci_dev_put) = NULL;
	struct peerdma_where where;
	u64 end;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = pdk_copy_in(&where, sizeof(where), arg, PEERDMA_WHERE_SIZE_V1);
	if (ret)
		return ret;
	if (where.flags || where.function.reserved || where.reserved || !where.len ||
	    check_add_overflow(where.address, where.len - 1, &end) || end > ULONG_MAX)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(where.function.domain, where.function.bus,
					   where.function.devfn);
	if (!pdev)
		return -ENODEV;
	ret = find(pdev, &where);
	return ret ? ret : pdk_copy_out(arg, &where, sizeof(where));
}
