/* SPDX-License-Identifier: MIT */
/*
 * vfio-user on the wire, as far as a server needs it. All fields little-endian, as x86 has them.
 * Source: the vfio-user protocol specification (QEMU docs/interop/vfio-user.rst) and
 * linux/vfio.h for the structures it borrows.
 */
#ifndef PEERDMA_MODELS_COMMON_PROTO_H
#define PEERDMA_MODELS_COMMON_PROTO_H

#include <stdint.h>

enum vfu_cmd {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_DEVICE_GET_INFO = 4,
	VFU_DEVICE_GET_REGION_INFO = 5,
	VFU_DEVICE_GET_REGION_IO_FDS = 6,
	VFU_DEVICE_GET_IRQ_INFO = 7,
	VFU_DEVICE_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11,
	VFU_DMA_WRITE = 12,
	VFU_DEVICE_RESET = 13,
	VFU_REGION_WRITE_MULTI = 15,
};

#define VFU_TYPE_MASK	 0xfu
#define VFU_TYPE_COMMAND 0u
#define VFU_TYPE_REPLY	 1u
#define VFU_NO_REPLY	 0x10u
#define VFU_ERROR	 0x20u

struct vfu_header {
	uint16_t id, cmd;
	uint32_t size; /* of the whole message, header included */
	uint32_t flags;
	uint32_t error;
};

struct vfu_version {
	uint16_t major, minor;
	/* NUL-terminated JSON follows */
};

#define VFU_MAP_READ  1u
#define VFU_MAP_WRITE 2u
struct vfu_dma_map {
	uint32_t argsz, flags;
	uint64_t offset, addr, size;
};

#define VFU_UNMAP_DIRTY 1u
#define VFU_UNMAP_ALL	2u
struct vfu_dma_unmap {
	uint32_t argsz, flags;
	uint64_t addr, size;
};

struct vfu_access {
	uint64_t offset;
	uint32_t region, count;
	/* data follows in a write and in the reply to a read */
};

/* vfio_region_info_cap_sparse_mmap with its one area */
struct vfu_sparse_one {
	uint16_t id, version;
	uint32_t next;
	uint32_t nr_areas, reserved;
	uint64_t offset, size;
};

struct vfu_multi_entry {
	uint64_t offset;
	uint32_t region, len;
	uint8_t data[8];
};

struct vfu_dma_access {
	uint64_t addr, count;
	/* data follows in a write and in the reply to a read */
};

#endif
