/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Registers, descriptors and codes of the peerdma accelerator, hardware interface version 1.0.
 * What they mean is written in models/accel/SPEC.rst. All values are little-endian.
 *
 * For drivers of both sides of the system call boundary and for the device model; it includes
 * nothing but fixed-width types.
 */
#ifndef PEERDMA_HW_ACCEL_H
#define PEERDMA_HW_ACCEL_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* PCI identity and BARs */
#define ACCEL_PCI_VENDOR   0x1234
#define ACCEL_PCI_DEVICE   0x7d0a
#define ACCEL_PCI_CLASS	   0x120000
#define ACCEL_PCI_REVISION 1

#define ACCEL_BAR_REGS 0 /* 64 KiB, 32-bit, never mapped through to memory */
#define ACCEL_BAR_VRAM 2 /* 64-bit, prefetchable */
#define ACCEL_BAR_MSIX 4 /* 4 KiB, 32-bit */

#define ACCEL_BAR_REGS_SIZE 0x10000
#define ACCEL_BAR_MSIX_SIZE 0x1000
#define ACCEL_MSIX_TABLE    0x000
#define ACCEL_MSIX_PBA	    0x800

#define ACCEL_VRAM_MIN (1ull << 26) /* 64 MiB */
#define ACCEL_VRAM_MAX (1ull << 34) /* 16 GiB */

/* Device registers, offsets in BAR0 */
#define ACCEL_ID	    0x000
#define ACCEL_VERSION	    0x004
#define ACCEL_CAPS	    0x008 /* 64 bits */
#define ACCEL_VRAM_SIZE	    0x010 /* 64 bits */
#define ACCEL_NUM_RINGS	    0x018
#define ACCEL_NUM_VECTORS   0x01c
#define ACCEL_RING_LOG2_MIN 0x020
#define ACCEL_RING_LOG2_MAX 0x024
#define ACCEL_SGL_MAX	    0x028
#define ACCEL_LEN_LOG2_MAX  0x02c
#define ACCEL_CONTROL	    0x030
#define ACCEL_STATUS	    0x034
#define ACCEL_ERROR	    0x038
#define ACCEL_RESETS	    0x03c
#define ACCEL_ERROR_INFO    0x040 /* 64 bits */
#define ACCEL_LINK_STATUS   0x048
#define ACCEL_BAD_ACCESS    0x04c
#define ACCEL_LINK_SIZE	    0x050 /* 64 bits */
#define ACCEL_EVENT	    0x058
#define ACCEL_EVENT_ENABLE  0x05c
#define ACCEL_RING_ERRORS   0x060
#define ACCEL_TIMER	    0x068 /* 64 bits */
#define ACCEL_SCRATCH0	    0x070 /* 64 bits */
#define ACCEL_SCRATCH1	    0x078 /* 64 bits */

#define ACCEL_ID_VALUE	    0x414d4450u /* "PDMA" */
#define ACCEL_VERSION_VALUE 0x00010000u /* major << 16 | minor */

#define ACCEL_CAPS_ATU	    (1ull << 0) /* address translation unit; none in version 1.0 */
#define ACCEL_CAPS_LINK	    (1ull << 1) /* private link port */
#define ACCEL_CAPS_ADD_F32  (1ull << 2)
#define ACCEL_CAPS_WRITE    (1ull << 3)
#define ACCEL_CAPS_COALESCE (1ull << 4)

#define ACCEL_CONTROL_ENABLE	 (1u << 0)
#define ACCEL_CONTROL_SOFT_RESET (1u << 1)

#define ACCEL_STATUS_ENABLED (1u << 0)
#define ACCEL_STATUS_FATAL   (1u << 1)
#define ACCEL_STATUS_ACTIVE  (1u << 2) /* a ring is RUNNING or STOPPING */

#define ACCEL_ERROR_NONE     0
#define ACCEL_ERROR_INTERNAL 1

#define ACCEL_LINK_PRESENT (1u << 0)
#define ACCEL_LINK_UP	   (1u << 1)

#define ACCEL_EVENT_FATAL      (1u << 0)
#define ACCEL_EVENT_LINK       (1u << 1)
#define ACCEL_EVENT_RING_ERROR (1u << 2)
#define ACCEL_EVENT_ALL	       7u

/* Room for the address translation unit: reads as zero, ignores writes */
#define ACCEL_ATU_BASE 0x800
#define ACCEL_ATU_SIZE 0x800

/* Limits of version 1.0; a driver reads them from the registers */
#define ACCEL_RINGS	      8
#define ACCEL_VECTORS	      9
#define ACCEL_VECTOR_EVENTS   0
#define ACCEL_VECTOR_NONE     0xffffffffu
#define ACCEL_RING_MIN_LOG2   1
#define ACCEL_RING_MAX_LOG2   16
#define ACCEL_SGL_MAX_ENTRIES 4096
#define ACCEL_LEN_MAX_LOG2    40

/* Ring registers: ACCEL_RING(n) + offset */
#define ACCEL_RING_BASE	       0x1000
#define ACCEL_RING_STRIDE      0x100
#define ACCEL_RING(n)	       (ACCEL_RING_BASE + ACCEL_RING_STRIDE * (n))
#define ACCEL_RING_SQ_BASE     0x00 /* 64 bits */
#define ACCEL_RING_CQ_BASE     0x08 /* 64 bits */
#define ACCEL_RING_SIZE_LOG2   0x10
#define ACCEL_RING_SPACE       0x14
#define ACCEL_RING_VECTOR      0x18
#define ACCEL_RING_COALESCE    0x1c
#define ACCEL_RING_COMMAND     0x20
#define ACCEL_RING_STATUS      0x24
#define ACCEL_RING_ERROR       0x28
#define ACCEL_RING_ERROR_INDEX 0x2c
#define ACCEL_RING_ERROR_INFO  0x30 /* 64 bits */
#define ACCEL_RING_SQ_HEAD     0x38
#define ACCEL_RING_SQ_TAIL     0x3c
#define ACCEL_RING_CQ_HEAD     0x40
#define ACCEL_RING_CQ_TAIL     0x44
#define ACCEL_RING_PASID       0x48 /* for the translation unit; reserved */

#define ACCEL_RING_SPACE_SQ(space) (0xfu & (uint32_t)(space))
#define ACCEL_RING_SPACE_CQ(space) ((0xfu & (uint32_t)(space)) << 4)

#define ACCEL_RING_COALESCE_COUNT(n) (0xffffu & (uint32_t)(n))
#define ACCEL_RING_COALESCE_US(us)   ((0xffffu & (uint32_t)(us)) << 16)

/* Values written to ACCEL_RING_COMMAND */
enum accel_ring_command {
	ACCEL_RING_ENABLE = 1,
	ACCEL_RING_STOP = 2,
	ACCEL_RING_ABORT = 3,
	ACCEL_RING_RESET = 4,
	ACCEL_RING_RECOVER = 5,
};

/* ACCEL_RING_STATUS */
enum accel_ring_state {
	ACCEL_RING_DISABLED = 0,
	ACCEL_RING_RUNNING = 1,
	ACCEL_RING_STOPPING = 2,
	ACCEL_RING_IN_ERROR = 3,
};

/* ACCEL_RING_ERROR, bits 15:0; bits 31:16 hold an enum accel_status for the two DMA failures */
enum accel_ring_error {
	ACCEL_RING_ERR_NONE = 0,
	ACCEL_RING_ERR_CONFIG = 1,
	ACCEL_RING_ERR_SQ_DOORBELL = 2,
	ACCEL_RING_ERR_CQ_DOORBELL = 3,
	ACCEL_RING_ERR_SQ_FETCH = 4,
	ACCEL_RING_ERR_CQ_WRITE = 5,
	ACCEL_RING_ERR_CQ_OVERRUN = 6,
	ACCEL_RING_ERR_FATAL = 7,
	ACCEL_RING_ERR_NOT_READY = 8,
};

#define ACCEL_RING_ERROR_CODE(reg)   (0xffffu & (reg))
#define ACCEL_RING_ERROR_STATUS(reg) ((reg) >> 16)

/* Doorbells: one 4 KiB page a ring; an 8-byte write sets both, SQ_TAIL first */
#define ACCEL_DOORBELL_BASE    0x8000
#define ACCEL_DOORBELL_STRIDE  0x1000
#define ACCEL_DOORBELL(n)      (ACCEL_DOORBELL_BASE + ACCEL_DOORBELL_STRIDE * (n))
#define ACCEL_DOORBELL_SQ_TAIL 0x0
#define ACCEL_DOORBELL_CQ_HEAD 0x4

/* What an address is an address in */
enum accel_space {
	ACCEL_SPACE_BUS = 0,   /* PCIe bus address (an IOVA when an IOMMU translates) */
	ACCEL_SPACE_LOCAL = 1, /* offset into the device's VRAM */
	ACCEL_SPACE_LINK = 2,  /* offset into the linked device's VRAM */
};

enum accel_opcode {
	ACCEL_OP_NOP = 0,
	ACCEL_OP_COPY = 1,
	ACCEL_OP_FILL = 2,
	ACCEL_OP_CRC32C = 3,
	ACCEL_OP_COMPARE = 4,
	ACCEL_OP_ADD = 5,
	ACCEL_OP_FENCE = 6,
	ACCEL_OP_WRITE = 7,
};

/* accel_sqe.flags */
#define ACCEL_SQE_IRQ	  (1u << 0) /* interrupt when complete */
#define ACCEL_SQE_SRC_SGL (1u << 1) /* src_addr points at src_count elements */
#define ACCEL_SQE_DST_SGL (1u << 2)

/* accel_sqe.param of ADD */
enum accel_add_type {
	ACCEL_ADD_U32 = 0,
	ACCEL_ADD_I32 = 1,
	ACCEL_ADD_F32 = 2,
};

/* accel_sqe.param of FENCE */
enum accel_fence_scope {
	ACCEL_FENCE_RING = 0,
	ACCEL_FENCE_DEVICE = 1,
};

/* Submission entry */
struct accel_sqe {
	uint8_t opcode;	    /* 0x00 */
	uint8_t flags;	    /* 0x01 */
	uint16_t param;	    /* 0x02 */
	uint32_t cmd_id;    /* 0x04 given back in the completion */
	uint64_t len;	    /* 0x08 bytes */
	uint64_t imm;	    /* 0x10 pattern, seed, value */
	uint64_t src_addr;  /* 0x18 */
	uint64_t dst_addr;  /* 0x20 */
	uint32_t src_count; /* 0x28 elements; 0 without ACCEL_SQE_SRC_SGL */
	uint32_t dst_count; /* 0x2c */
	uint8_t src_space;  /* 0x30 of the data, or of the element array */
	uint8_t dst_space;  /* 0x31 */
	uint8_t rsvd[14];   /* 0x32 zero */
};

/* Element of a scatter-gather list */
struct accel_sge {
	uint64_t addr;	/* 0x00 */
	uint64_t len;	/* 0x08 bytes, not 0 */
	uint32_t space; /* 0x10 */
	uint32_t rsvd;	/* 0x14 zero */
};

/* Completion entry */
struct accel_cqe {
	uint64_t result;  /* 0x00 by opcode; on an error by status */
	uint64_t info;	  /* 0x08 */
	uint32_t sq_head; /* 0x10 submission entries below this index are free */
	uint8_t opcode;	  /* 0x14 as submitted */
	uint8_t where;	  /* 0x15 enum accel_where; 0 on success */
	uint16_t rsvd;	  /* 0x16 zero */
	uint32_t cmd_id;  /* 0x18 */
	uint16_t status;  /* 0x1c enum accel_status */
	uint16_t flags;	  /* 0x1e bit 0: phase */
};

#define ACCEL_CQE_PHASE 1u

/* accel_cqe.where: what the error is about */
enum accel_where {
	ACCEL_WHERE_NONE = 0,
	ACCEL_WHERE_DESC = 1,	 /* info: offset of the field in the submission entry */
	ACCEL_WHERE_SRC_SGL = 2, /* info: index of the element */
	ACCEL_WHERE_DST_SGL = 3,
	ACCEL_WHERE_SRC = 4, /* info: bytes certainly done; result: address that failed */
	ACCEL_WHERE_DST = 5,
};

enum accel_status {
	ACCEL_OK = 0x0000,

	/* The command is malformed. Nothing was done. */
	ACCEL_BAD_OPCODE = 0x0101,
	ACCEL_BAD_FLAGS = 0x0102,
	ACCEL_BAD_FIELD = 0x0103,
	ACCEL_BAD_PARAM = 0x0104,
	ACCEL_BAD_LENGTH = 0x0105,
	ACCEL_BAD_SPACE = 0x0106,
	ACCEL_BAD_COUNT = 0x0107,
	ACCEL_BAD_ALIGN = 0x0108,
	ACCEL_BAD_RANGE = 0x0109,
	ACCEL_SGL_LENGTH = 0x010a,
	ACCEL_OVERLAP = 0x010b,

	/* Memory could not be reached. info says how far the command got. */
	ACCEL_DMA_UNMAPPED = 0x0201,
	ACCEL_DMA_DENIED = 0x0202,
	ACCEL_DMA_PEER = 0x0203,
	ACCEL_DMA_ERROR = 0x0204,
	ACCEL_LINK_DOWN = 0x0205,

	ACCEL_MISCOMPARE = 0x0301,

	ACCEL_ABORTED = 0x0401,
	ACCEL_INTERNAL = 0x0402,
};

#ifdef __cplusplus
#define ACCEL_HW_ASSERT(cond) static_assert(cond, #cond)
#else
#define ACCEL_HW_ASSERT(cond) _Static_assert(cond, #cond)
#endif
ACCEL_HW_ASSERT(sizeof(struct accel_sqe) == 64);
ACCEL_HW_ASSERT(sizeof(struct accel_sge) == 24);
ACCEL_HW_ASSERT(sizeof(struct accel_cqe) == 32);

#endif
