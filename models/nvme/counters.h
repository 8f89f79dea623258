/* SPDX-License-Identifier: MIT */
/* Names of the counters and fault points. Each list is the single place to add one. */
#ifndef PEERDMA_MODELS_NVME_COUNTERS_H
#define PEERDMA_MODELS_NVME_COUNTERS_H

/* X(name in C, name outside) */
#define NVME_COUNTERS_LIST(X)                      \
	X(ADMIN, "admin.commands")                 \
	X(READ, "io.read")                         \
	X(WRITE, "io.write")                       \
	X(FLUSH, "io.flush")                       \
	X(COMPARE, "io.compare")                   \
	X(VERIFY, "io.verify")                     \
	X(ZEROES, "io.write_zeroes")               \
	X(UNCORRECTABLE, "io.write_uncorrectable") \
	X(DSM, "io.dsm")                           \
	X(ERRORS, "commands.failed")               \
	X(CANCELED, "commands.canceled")           \
	X(CQE, "queue.completions")                \
	X(SQ_CMB, "queue.sq_in_cmb")               \
	X(CQ_CMB, "queue.cq_in_cmb")               \
	X(PRP, "lists.prp")                        \
	X(SGL, "lists.sgl")                        \
	X(DB, "db.rung")                           \
	X(DB_BAD, "db.bad")                        \
	X(MMIO_BAD, "mmio.bad")                    \
	X(AER, "events.reported")                  \
	X(RESET, "reset.pci")                      \
	X(DISABLED, "reset.controller")            \
	X(SUBSYSTEM, "reset.subsystem")            \
	X(SHUTDOWN, "shutdowns")                   \
	X(FATAL, "fatal")                          \
	X(CACHED, "cache.bytes_in")                \
	X(WRITTEN_BACK, "cache.bytes_out")         \
	X(LOST, "cache.bytes_lost")                \
	X(SLOW, "media.slow_reads")                \
	X(SYNCS, "media.syncs")                    \
	X(MEDIA_ERRORS, "media.errors")            \
	X(POWER_CUTS, "power_cuts")

enum nvme_counter {
#define X(id, name) NVME_C_##id,
	NVME_COUNTERS_LIST(X)
#undef X
		NVME_COUNTERS
};

#define NVME_FAULT_POINTS(X)               \
	X(POWER_CUT, "nvme.power.cut")     \
	X(CMD_ERROR, "nvme.cmd.error")     \
	X(MEDIA_READ, "nvme.media.read")   \
	X(MEDIA_WRITE, "nvme.media.write") \
	X(STALL, "nvme.stall")             \
	X(CQE_LOST, "nvme.cqe.lost")       \
	X(SMART, "nvme.smart")             \
	X(NS_CHANGED, "nvme.ns.changed")

enum nvme_fault {
#define X(id, name) NVME_FP_##id,
	NVME_FAULT_POINTS(X)
#undef X
		NVME_FAULTS
};

#endif
