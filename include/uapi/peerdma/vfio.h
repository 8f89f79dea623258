/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * peerdma_vfio: a VFIO driver with device memory behind plain pointers.
 *
 * A function bound to it offers all that vfio-pci offers and, for each BAR that is eligible, one
 * region more, found by VFIO_DEVICE_GET_REGION_INFO above VFIO_PCI_NUM_REGIONS: its capability
 * VFIO_REGION_INFO_CAP_TYPE has the type below and the number of the BAR as subtype. The region is
 * as long as the BAR and shows the same bytes. Its mapping (MAP_SHARED) consists of pages, so that
 * the pointer can be given to read() and write() with and without O_DIRECT, to io_uring and to
 * on-demand-paging memory regions. The mapping of the BAR itself is that of vfio-pci.
 *
 * Eligible is a memory BAR whose address and length are multiples of 2 MiB.
 *
 * What takes the memory away (reset, hot reset, memory decode off, D3, low power, close) first
 * makes the mapping disappear and then waits until nobody holds a page of it, at most as long as
 * the module's parameter revoke_ms says. In the meantime and while memory decode is off, touching
 * the mapping raises SIGBUS, and system calls that were given the pointer fail with EFAULT.
 * Afterwards the same mapping works again.
 *
 * VFIO_DEVICE_FEATURE_DMA_BUF takes what vfio-pci takes and refuses what it refuses. The dma-buf
 * can be mapped by mmap() besides (MAP_SHARED), for processors only: it shows the ranges one after
 * the other. Touching it raises SIGBUS while the memory is away, and for ever once the device has
 * been closed. Whatever takes the memory away tells importers to let go, and waits for them as for
 * pages.
 *
 * peerdma.ko is told of all this (ioctl.h there): each mmap() of a region of pages or of a dma-buf,
 * of its whole length until nothing of it is left in any process; each dma-buf until its last user
 * lets it go, and each device that has it attached and mapped, for the account of whoever exported
 * it; and the pages that transfers hold. Mappings of BARs as vfio-pci has them do not count.
 *
 * A function that no IOMMU guards is bound only if the module's parameter unsafe_no_iommu is set.
 * VFIO then takes DMA mappings, but the device does not see them: it uses addresses of the bus, and
 * whoever can program it can write to all memory.
 *
 * errno		of what
 * ETIMEDOUT	VFIO_DEVICE_RESET, VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
 *		and its variant with wake-up, pwrite() to the registers of configuration space
 *		named below: a page was still held when the time was over; nothing was done.
 *		Opening the device (VFIO_GROUP_GET_DEVICE_FD): a page is still held by what the
 *		last user had started.
 * EPERM	of binding in sysfs: no IOMMU guards the function and unsafe_no_iommu is not set.
 *		Opening the device: there is no IOMMU, and the caller lacks CAP_SYS_RAWIO
 * EINTR	the same requests, when the caller is being killed
 * EINVAL	mmap() beyond the region or the dma-buf, or MAP_PRIVATE
 *		VFIO_DEVICE_FEATURE_DMA_BUF: no ranges, flags, not GET, a range that is empty, not
 *		of whole pages or not inside the BAR
 * EDQUOT	mmap() of the region or of the dma-buf, VFIO_DEVICE_FEATURE_DMA_BUF: a limit of the
 *		caller's user or control groups is reached
 *		of importers, when they map: a limit of whoever exported it is
 * ENOMEM	the same, and importers when they attach or map: no memory
 * EOVERFLOW	VFIO_DEVICE_FEATURE_DMA_BUF: the end of a range is beyond 2^64
 * ENODEV	VFIO_DEVICE_FEATURE_DMA_BUF: no such BAR
 *		mmap() of the dma-buf: the device has been closed
 *		of importers: the memory is away, or the device has been closed
 * EOPNOTSUPP	of importers: they can't reach peers, or can't be told to let go
 * EFAULT	of read() and write() with O_DIRECT that are given the mapping of a dma-buf
 * EREMOTEIO	of others that are given the pointer: it can't be pinned for long, so
 *		ibv_reg_mr() without on-demand paging and fixed buffers of io_uring do not take it
 *
 * Registers: the low byte of PCI_COMMAND, PCI_PM_CTRL, PCI_EXP_DEVCTL and PCI_AF_CTRL, whatever is
 * written.
 */
#ifndef PEERDMA_UAPI_VFIO_H
#define PEERDMA_UAPI_VFIO_H

#define PEERDMA_VFIO_REGION_TYPE 0x70646d61u

#endif
