/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERDMA_KERNEL_PEERDMA_VFIO_H
#define PEERDMA_KERNEL_PEERDMA_VFIO_H

#include <linux/kconfig.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio_pci_core.h>

#include "../peerdma/provider.h"

#if !IS_ENABLED(CONFIG_PCI_P2PDMA)
#error "peerdma_vfio needs a kernel with CONFIG_PCI_P2PDMA"
#endif
#if !IS_ENABLED(CONFIG_VFIO_PCI_CORE)
#error "peerdma_vfio needs a kernel with CONFIG_VFIO_PCI_CORE"
#endif

/*
 * A BAR with pages. We hold one reference of each from probe to remove, so that the pool they come
 * from can't hand them to anybody else; a page with more is mapped or pinned.
 */
struct pdv_bar {
	unsigned int bar;
	unsigned int region; /* its index for user space while the device is open */
	unsigned long pfn;
	unsigned long n_pages;
	unsigned long *touched; /* a bit for each page that may have more references than ours */
};

struct pdv_device {
	struct vfio_pci_core_device core; /* first */
	struct pdv_bar bars[PCI_STD_NUM_BARS];
	unsigned int n_bars;
	unsigned int af_cap;
	bool unsafe; /* no IOMMU guards memory from it */
	/* Held for reading from the look at what follows until the page is in the page table. */
	struct rw_semaphore lock;
	unsigned int revoked;	   /* reasons why no page may be mapped; closed is one */
	bool on;		   /* memory decode is known to be on */
	struct mutex exports_lock; /* taken before reservation locks */
	struct list_head exports;
	struct peerdma_provider *provider; /* as long as it can be opened, and longer */
	spinlock_t mappings_lock;
	struct list_head mappings;
};

/* Of pages, from one mmap() on, with all that forks and splits made of it. */
struct pdv_mapping {
	struct list_head entry; /* of the device */
	refcount_t refs;	/* areas */
	struct pdv_device *d;
	struct pdv_bar *b;
	unsigned long first, n_pages;
	struct peerdma_pin *pin;
};

static inline struct pdv_device *to_pdv(struct vfio_device *vdev)
{
	return container_of(vdev, struct pdv_device, core.vdev);
}

/* pages.c */

/* Make pages of the eligible BARs. Return: 0; -EBUSY: somebody else has some of them; -ENOMEM. */
int pdv_pages_init(struct pdv_device *d);
/*
 * Give our references back. The kernel takes the pages apart when the driver is gone, and waits
 * for those that are still held.
 */
void pdv_pages_exit(struct pdv_device *d);
/* After the last use of the device. */
void pdv_pages_free(struct pdv_device *d);
/* Nobody but us holds a page. No page may be mapped while this is asked. */
bool pdv_pages_idle(struct pdv_device *d);

/* region.c: tell VFIO of a region for each BAR with pages, in open. */
int pdv_regions_add(struct pdv_device *d);

/* revoke.c */

/*
 * While it is revoked: wait until no page is held. Return: 0; -ETIMEDOUT; -EINTR: killable, and the
 * caller is being killed.
 */
int pdv_wait_idle(struct pdv_device *d, bool killable);
/*
 * No page is mapped when this returns, and none will be until pdv_allow(), even when the waiting
 * failed. Return: as pdv_wait_idle().
 */
int pdv_revoke(struct pdv_device *d, bool killable);
void pdv_allow(struct pdv_device *d);
/* For those who can refuse: killable, and undone when the waiting fails. */
int pdv_try_revoke(struct pdv_device *d);
/* Memory decode is on and the function in D0; lock is held. */
bool pdv_is_on(struct pdv_device *d);
/* A write of count bytes at pos of configuration space may take the memory away. */
bool pdv_write_revokes(struct pdv_device *d, loff_t pos, size_t count);

/* account.c: what peerdma.ko is told */

/* The pages are there, and nobody can open the device yet. Return: 0, or -ENOMEM. */
int pdv_account_init(struct pdv_device *d);
/* Nobody can open it any more, and the pages are still there. */
void pdv_account_exit(struct pdv_device *d);
/* Return: with one area; -EDQUOT: a limit of the caller's is reached; -ENOMEM. */
struct pdv_mapping *pdv_mapping_begin(struct pdv_device *d, struct pdv_bar *b, unsigned long first,
				      unsigned long n_pages);
/* One area more, or less. */
void pdv_mapping_get(struct pdv_mapping *m);
void pdv_mapping_put(struct pdv_mapping *m);

/* export.c: BARs as dma-bufs */

/* VFIO_DEVICE_FEATURE_DMA_BUF. Return: as the request does. */
int pdv_export(struct pdv_device *d, u32 flags, void __user *arg, size_t argsz);
/* Of revocation: unmap them from processors, and tell importers to let go. */
void pdv_exports_revoke(struct pdv_device *d);
/* No importer has one mapped. */
bool pdv_exports_idle(struct pdv_device *d);
/* The device is being closed, and they are revoked for ever. */
void pdv_exports_end(struct pdv_device *d);

/* unsafe.c: functions that no IOMMU guards */

bool pdv_is_guarded(struct pci_dev *pdev);
/* Return: 0, or -EPERM: the administrator has not allowed it. */
int pdv_unsafe_allowed(struct pci_dev *pdev);
/* In place of the core's. */
int pdv_unsafe_register(struct pdv_device *d);
void pdv_unsafe_unregister(struct pdv_device *d);
/* Return: 0, or -EPERM: the opener could not write to all memory anyway. */
int pdv_unsafe_open(struct pdv_device *d);

#endif
