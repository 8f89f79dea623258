/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the modules are built for (Debian's 7.2 and 7.3), in this
 * file and nowhere else. probe.sh finds out, by compiling; a comparison of version numbers would
 * miss what distributions bring back.
 *
 *   PEERDMA_HAVE_HMM_RANGE_FAULT_UNLOCKED_TIMEOUT   since 7.3; on-demand paging of RDMA uses it
 *   PEERDMA_HAVE_VFIO_DEVICE_NOIOMMU                since 7.3
 */
#ifndef PEERDMA_KERNEL_COMPAT_H
#define PEERDMA_KERNEL_COMPAT_H

#include <linux/types.h>

#include "peerdma_probed.h"

#endif
