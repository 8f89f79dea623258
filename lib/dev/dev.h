/* SPDX-License-Identifier: MIT */
/*
 * Access to a PCI function from user space, the same over VFIO (lib/vfio) and over sysfs
 * (lib/sysfs/access.h). What a way of access cannot do gives -EOPNOTSUPP.
 *
 * A device is used by one thread at a time, except pdmai_dev_read*, _write* and memory obtained
 * from it, which may be used by several.
 */
#ifndef PEERDMA_LIB_DEV_DEV_H
#define PEERDMA_LIB_DEV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sysfs/pci.h"

struct pdmai_dev;

enum pdmai_dma_prot {
	PDMAI_DMA_READ = 1,  /* the device may read */
	PDMAI_DMA_WRITE = 2, /* the device may write */
	PDMAI_DMA_BOTH = 3,
};

/* Part of a BAR, as a dma-buf is made of. */
struct pdmai_bar_range {
	uint64_t off, len; /* bytes, multiples of the page size */
};

/* All but close may be NULL: -EOPNOTSUPP. Each returns 0 or -errno with a sentence recorded. */
struct pdmai_dev_ops {
	const char *name; /* "vfio", "sysfs" */
	int (*config_read)(struct pdmai_dev *dev, unsigned off, void *buf, size_t len);
	int (*config_write)(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len);
	int (*bar_map)(struct pdmai_dev *dev, unsigned bar, void **ret_mem);
	void (*bar_unmap)(struct pdmai_dev *dev, unsigned bar, void *mem);
	int (*reset)(struct pdmai_dev *dev);
	int (*irq_enable)(struct pdmai_dev *dev, const int *fds, unsigned n);
	int (*irq_disable)(struct pdmai_dev *dev);
	int (*dma_map)(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot,
		       uint64_t *ret_iova);
	int (*dma_unmap)(struct pdmai_dev *dev, uint64_t iova, uint64_t len);
	int (*dmabuf_export)(struct pdmai_dev *dev, unsigned bar,
			     const struct pdmai_bar_range *ranges, unsigned n, int *ret_fd);
	void (*close)(struct pdmai_dev *dev);
	/* Registers; NULL: through the mapping of the BAR. size is 4 or 8. */
	uint64_t (*reg_read)(struct pdmai_dev *dev, unsigned bar, uint64_t off, unsigned size);
	void (*reg_write)(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val,
			  unsigned size);
};

struct pdmai_dev {
	const struct pdmai_dev_ops *ops;
	struct pdmai_bdf bdf;
	struct pdmai_pci_bar bars[PDMAI_PCI_BARS];
	void *mem[PDMAI_PCI_BARS]; /* mapped so far; unmapped by pdmai_dev_close() */
};

/* Unmap BARs, give the device back. NULL is allowed. Its DMA mappings end with its container. */
void pdmai_dev_close(struct pdmai_dev *dev);

/*
 * Map a whole memory BAR, once. Valid until close; touching it while memory decode is off raises
 * SIGBUS. Return: 0; -ENODEV: no such memory BAR; or of the kernel.
 */
int pdmai_dev_bar(struct pdmai_dev *dev, unsigned bar, void **ret_mem);

/* Switch memory decode and bus mastering on or off. Return: 0, -EIO, or of the access. */
int pdmai_dev_enable(struct pdmai_dev *dev, bool mem, bool master);

/* Function level reset (or what the kernel has instead). DMA has ended when it returns. */
int pdmai_dev_reset(struct pdmai_dev *dev);

/*
 * Attach eventfds to MSI-X vectors 0 to n-1 (-1: none) in one go; enabling more later loses events.
 * Return: 0; -EOPNOTSUPP over sysfs; -ENOSPC: the device has fewer.
 */
int pdmai_dev_irq_enable(struct pdmai_dev *dev, const int *fds, unsigned n);
int pdmai_dev_irq_disable(struct pdmai_dev *dev);

/*
 * Let the device reach len bytes at vaddr (both page aligned): memory, or a mapped BAR of a peer,
 * which it then reaches through the IOMMU and the host bridge. The address is good for every device
 * of the container. Return: 0; -EOPNOTSUPP over sysfs (no IOMMU guards anything there); -EINVAL;
 * -ENOSPC; -ENOMEM: also above the limit of locked memory.
 */
int pdmai_dev_dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot,
		      uint64_t *ret_iova);
/* Exactly one mapping as made. When it returns no device can reach it. Return: 0, -ENOENT. */
int pdmai_dev_dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len);

/* A dma-buf of parts of a BAR; the caller closes the fd. Return: 0, -EOPNOTSUPP, of the kernel. */
int pdmai_dev_dmabuf(struct pdmai_dev *dev, unsigned bar, const struct pdmai_bar_range *ranges,
		     unsigned n, int *ret_fd);

/* Registers, little-endian on the bus, of a BAR that is mapped. */
uint32_t pdmai_dev_read32(struct pdmai_dev *dev, unsigned bar, uint64_t off);
uint64_t pdmai_dev_read64(struct pdmai_dev *dev, unsigned bar, uint64_t off);
void pdmai_dev_write32(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint32_t val);
void pdmai_dev_write64(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val);

/*
 * Memory of this process that a device can reach. Zeroed; 2 MiB aligned and on huge pages where
 * possible when it is that long, so that the IOMMU needs few entries.
 */
struct pdmai_dma_mem {
	struct pdmai_dev *dev;
	void *vaddr;
	uint64_t iova;
	uint64_t len; /* rounded up to pages */
};

/* Return: 0; -EINVAL for len 0; -ENOMEM; as pdmai_dev_dma_map(). */
int pdmai_dma_alloc(struct pdmai_dev *dev, uint64_t len, struct pdmai_dma_mem *ret_mem);
/* All zero is allowed. */
void pdmai_dma_free(struct pdmai_dma_mem *mem);

#endif
