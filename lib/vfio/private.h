/* SPDX-License-Identifier: MIT */
/* Shared by the files of lib/vfio. */
#ifndef PEERDMA_LIB_VFIO_PRIVATE_H
#define PEERDMA_LIB_VFIO_PRIVATE_H

#include <linux/vfio.h>

#include "lib/vfio/vfio.h"

struct pdmai_vfio_group {
	unsigned number;
	int fd;
	unsigned devices; /* open ones */
};

struct pdmai_vfio_mapping {
	uint64_t iova, len;
};

struct pdmai_vfio {
	const char *root;
	int fd;
	bool has_iommu; /* since the first group */
	bool has_iovas; /* since the first group that an IOMMU guards */
	struct pdmai_vfio_group *groups;
	size_t n_groups;
	struct pdmai_ranges iovas; /* free ones */
	struct pdmai_vfio_mapping *mappings;
	size_t n_mappings, cap_mappings;
};

struct pdmai_vfio_dev {
	struct pdmai_dev dev; /* first */
	struct pdmai_vfio *vfio;
	unsigned group; /* number */
	int fd;
	unsigned n_irqs;
	uint64_t config_off; /* of the config region in fd */
};

/* container.c: a reference for each open device */
int pdmai_vfio_group_get(struct pdmai_vfio *v, unsigned number, bool guarded, int *ret_fd);
/*
 * With its last device the group leaves the container: the kernel makes a new one when a driver is
 * bound anew, and the old one knows nothing of its devices.
 */
void pdmai_vfio_group_put(struct pdmai_vfio *v, unsigned number);

/* iova.c */
int pdmai_vfio_iova_update(struct pdmai_vfio *v);
/*
 * The IOVA ranges in an answer to VFIO_IOMMU_GET_INFO of len bytes; -EPROTO when it is malformed.
 */
int pdmai_vfio_iova_parse(const struct vfio_iommu_type1_info *info, size_t len,
			  struct pdmai_range *ranges, size_t max, size_t *ret_n);
int pdmai_vfio_dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot,
		       uint64_t *ret_iova);
int pdmai_vfio_dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len);

/* irq.c */
int pdmai_vfio_irq_enable(struct pdmai_dev *dev, const int *fds, unsigned n);
int pdmai_vfio_irq_disable(struct pdmai_dev *dev);

/* dmabuf.c */
int pdmai_vfio_dmabuf(struct pdmai_dev *dev, unsigned bar, const struct pdmai_bar_range *ranges,
		      unsigned n, int *ret_fd);

#endif
