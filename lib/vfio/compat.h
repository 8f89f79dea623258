/* SPDX-License-Identifier: MIT */
/*
 * What linux/vfio.h of an older build host lacks. Values are the kernel's interface to user space.
 */
#ifndef PEERDMA_LIB_VFIO_COMPAT_H
#define PEERDMA_LIB_VFIO_COMPAT_H

#include <linux/types.h>
#include <linux/vfio.h>

#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
/* Since Linux 6.19: VFIO_DEVICE_FEATURE with GET returns a dma-buf's fd. */
#define VFIO_DEVICE_FEATURE_DMA_BUF 11

struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#endif

#endif
