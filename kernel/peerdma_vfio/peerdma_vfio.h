/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERDMA_KERNEL_PEERDMA_VFIO_H
#define PEERDMA_KERNEL_PEERDMA_VFIO_H

#include <linux/kconfig.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/vfio_pci_core.h>

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
 * No page is mapped when this returns, and none will be until pdv_allow(). Does not wait for pages
 * that are held.
 */
void pdv_revoke(struct pdv_device *d);
void pdv_allow(struct pdv_device *d);
/*
 * After pdv_revoke(): wait until no page is held. Return: 0; -ETIMEDOUT; -EINTR: killable, and the
 * caller is being killed.
 */
int pdv_wait_idle(struct pdv_device *d, bool killable);
/* Both, and undone when the waiting fails. */
int pdv_revoke_and_wait(struct pdv_device *d);
/* Memory decode is on and the function in D0; lock is held. */
bool pdv_is_on(struct pdv_device *d);
/* A write of count bytes at pos of configuration space may take the memory away. */
bool pdv_write_revokes(struct pdv_device *d, loff_t pos, size_t count);

/* export.c: BARs as dma-bufs */

/* VFIO_DEVICE_FEATURE_DMA_BUF. Return: as the request does. */
int pdv_export(struct pdv_device *d, u32 flags, void __user *arg, size_t argsz);
/* Of pdv_revoke(): unmap them from processors, and tell importers to let go. */
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
