/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * /dev/peerdma: what the kernel thinks of peer-to-peer DMA.
 *
 * Every structure begins with its size, set by user space. A larger one than the kernel knows is
 * taken if what the kernel does not know is zero (else E2BIG), a smaller one is completed with
 * zeroes. Reserved fields must be zero.
 *
 * errno     of every request here
 * ENOTTY    no such request
 * EFAULT    the argument cannot be read or written
 * EINVAL    size below that of the first version, or a reserved field or unknown flag is not zero
 * E2BIG     fields unknown to this kernel module are not zero
 */
#ifndef PEERDMA_UAPI_IOCTL_H
#define PEERDMA_UAPI_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PEERDMA_IOCTL_TYPE 0xb5

/* A PCI function. */
struct peerdma_pci {
	__u32 domain;
	__u8 bus;
	__u8 devfn; /* device << 3 | function */
	__u16 reserved;
};

/* How the initiator reaches the target. */
enum peerdma_mapping {
	PEERDMA_MAPPING_NONE = 0,     /* it does not */
	PEERDMA_MAPPING_BUS_ADDR = 1, /* by the address of the BAR on the bus */
	PEERDMA_MAPPING_IOVA = 2,     /* by an address of the initiator's IOMMU */
};

/* A mapping was tried: mapping, map_errno and dma_addr are what the kernel does. */
#define PEERDMA_PATH_MAPPED (1u << 0)
/* The functions are below a common bridge, see common; else only the host bridge joins them. */
#define PEERDMA_PATH_COMMON (1u << 1)

/*
 * The kernel's verdict on DMA by initiator to a range of a BAR of target.
 *
 * distance is the number of hops as the kernel counts them, -1 where it refuses. Where both
 * functions have a driver the range is mapped for the initiator, looked at, and unmapped: nothing
 * is accessed.
 *
 * ENODEV    no such initiator or target
 * ENXIO     the BAR is not memory, or the range is empty, not whole pages or not inside it
 * EPERM     no CAP_SYS_ADMIN
 * EINTR     a signal came while waiting for a driver that binds or unbinds
 */
struct peerdma_path {
	__u32 size;
	__u32 flags; /* in: 0; out: PEERDMA_PATH_... */
	struct peerdma_pci initiator;
	struct peerdma_pci target;
	struct peerdma_pci common; /* out */
	__u64 off;		   /* in: bytes in the BAR */
	__u64 len;		   /* in: bytes */
	__u64 bus_addr;		   /* out: of off */
	__u64 dma_addr;		   /* out: for the initiator */
	__u32 bar;		   /* in: 0 to 5 */
	__s32 distance;		   /* out */
	__u32 mapping;		   /* out: enum peerdma_mapping */
	__s32 map_errno;	   /* out: positive errno of a mapping that was refused */
};
#define PEERDMA_PATH_SIZE_V1 80u

#define PEERDMA_IOC_PATH _IOWR(PEERDMA_IOCTL_TYPE, 0, __u32)

/* Whose limit. */
enum peerdma_scope {
	PEERDMA_SCOPE_USER = 1,	  /* id is a uid */
	PEERDMA_SCOPE_CGROUP = 2, /* id is the inode number of the directory of a control group */
};

enum peerdma_pin_kind {
	PEERDMA_PIN_CPU_MAPPING = 1, /* pages or a BAR in an address space */
	PEERDMA_PIN_EXPORT = 2,	     /* a dma-buf */
	PEERDMA_PIN_ATTACHMENT = 3,  /* a device that may map a dma-buf */
	PEERDMA_PIN_IMPORT = 4,	     /* a dma-buf mapped for a device */
	PEERDMA_PIN_HELD = 5,	     /* pages held by transfers under way */
};

#endif
