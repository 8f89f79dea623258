/* SPDX-License-Identifier: MIT */
/* Names of the counters and fault points. Each list is the single place to add one. */
#ifndef PEERDMA_MODELS_ACCEL_COUNTERS_H
#define PEERDMA_MODELS_ACCEL_COUNTERS_H

/* X(name in C, name outside). Per opcode, in the order of enum accel_opcode. */
#define ACCEL_OPCODES(X)      \
	X(NOP, "nop")         \
	X(COPY, "copy")       \
	X(FILL, "fill")       \
	X(CRC32C, "crc32c")   \
	X(COMPARE, "compare") \
	X(ADD, "add")         \
	X(FENCE, "fence")     \
	X(WRITE, "write")

/* Statuses of completions. */
#define ACCEL_STATUSES(X)               \
	X(OK, "ok")                     \
	X(BAD_OPCODE, "bad_opcode")     \
	X(BAD_FLAGS, "bad_flags")       \
	X(BAD_FIELD, "bad_field")       \
	X(BAD_PARAM, "bad_param")       \
	X(BAD_LENGTH, "bad_length")     \
	X(BAD_SPACE, "bad_space")       \
	X(BAD_COUNT, "bad_count")       \
	X(BAD_ALIGN, "bad_align")       \
	X(BAD_RANGE, "bad_range")       \
	X(SGL_LENGTH, "sgl_length")     \
	X(OVERLAP, "overlap")           \
	X(DMA_UNMAPPED, "dma_unmapped") \
	X(DMA_DENIED, "dma_denied")     \
	X(DMA_PEER, "dma_peer")         \
	X(DMA_ERROR, "dma_error")       \
	X(LINK_DOWN, "link_down")       \
	X(MISCOMPARE, "miscompare")     \
	X(ABORTED, "aborted")           \
	X(INTERNAL, "internal")

/* Errors of rings, in the order of enum accel_ring_error from 1 on. */
#define ACCEL_RING_ERRORS_LIST(X)     \
	X(CONFIG, "config")           \
	X(SQ_DOORBELL, "sq_doorbell") \
	X(CQ_DOORBELL, "cq_doorbell") \
	X(SQ_FETCH, "sq_fetch")       \
	X(CQ_WRITE, "cq_write")       \
	X(CQ_OVERRUN, "cq_overrun")   \
	X(FATAL, "fatal")             \
	X(NOT_READY, "not_ready")

#define ACCEL_OTHER_COUNTERS(X)             \
	X(RING_ENABLED, "ring.enabled")     \
	X(RING_STOPPED, "ring.stopped")     \
	X(RING_RESET, "ring.reset")         \
	X(RING_RECOVERED, "ring.recovered") \
	X(DB_SQ, "db.sq")                   \
	X(DB_CQ, "db.cq")                   \
	X(DB_BAD, "db.bad")                 \
	X(DB_IGNORED, "db.ignored")         \
	X(DB_LOST, "db.lost")               \
	X(MMIO_SIZE, "mmio.size")           \
	X(MMIO_RESERVED, "mmio.reserved")   \
	X(MMIO_READONLY, "mmio.readonly")   \
	X(MMIO_REFUSED, "mmio.refused")     \
	X(IRQ_RAISED, "irq.raised")         \
	X(IRQ_HELD, "irq.held")             \
	X(IRQ_LOST, "irq.lost")             \
	X(CQE_LOST, "cqe.lost")             \
	X(CANCELED, "cmd.canceled")         \
	X(SOFT_RESET, "reset.soft")         \
	X(RESET, "reset.pci")               \
	X(FATAL, "fatal")

enum accel_counter {
#define X(id, name) ACCEL_C_CMD_##id,
	ACCEL_OPCODES(X)
#undef X
#define X(id, name) ACCEL_C_BYTES_##id,
		ACCEL_OPCODES(X)
#undef X
#define X(id, name) ACCEL_C_STATUS_##id,
			ACCEL_STATUSES(X)
#undef X
#define X(id, name) ACCEL_C_RING_ERR_##id,
				ACCEL_RING_ERRORS_LIST(X)
#undef X
#define X(id, name) ACCEL_C_##id,
					ACCEL_OTHER_COUNTERS(X)
#undef X
						ACCEL_COUNTERS
};

#define ACCEL_FAULT_POINTS(X)               \
	X(CMD_ERROR, "accel.cmd.error")     \
	X(CRC_CORRUPT, "accel.crc.corrupt") \
	X(IRQ_LOST, "accel.irq.lost")       \
	X(CQE_LOST, "accel.cqe.lost")       \
	X(DB_LOST, "accel.db.lost")         \
	X(STALL, "accel.stall")             \
	X(FATAL, "accel.fatal")

enum accel_fault {
#define X(id, name) ACCEL_F_##id,
	ACCEL_FAULT_POINTS(X)
#undef X
		ACCEL_FAULTS
};

#endif
