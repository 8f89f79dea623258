/* SPDX-License-Identifier: MIT */
/*
 * Can one PCI function reach memory of another, by which way, and if not, why? What is said here is
 * predicted from a snapshot by the rules of the kernel in it; pdma_path_judge() holds it against
 * what was measured. pdma_doctor_run() looks for everything that is known to stand in the way.
 */
#ifndef PEERDMA_PATH_H
#define PEERDMA_PATH_H

#include <peerdma/topo.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pdma_answer { PDMA_UNKNOWN, PDMA_YES, PDMA_NO };

/* What the initiator puts on the bus, and which way that goes. */
enum pdma_mapping {
	PDMA_MAP_NONE,
	PDMA_MAP_BUS_ADDR,    /* the BAR's own address, turned round below the host bridge */
	PDMA_MAP_HOST_BRIDGE, /* the BAR's own address, through the host bridge */
	PDMA_MAP_IOVA,	      /* an address of the IOMMU's, through the host bridge */
};

/* Why peer-to-peer fails or is slow. Numbers stay as they are. */
enum pdma_cause {
	PDMA_CAUSE_NONE = 0,
	PDMA_CAUSE_ACS_REDIRECT = 1,
	PDMA_CAUSE_IOMMU_TRANSLATES = 2,
	PDMA_CAUSE_HOST_BRIDGE = 3,	  /* not on the kernel's list */
	PDMA_CAUSE_SILENT_CORRUPTION = 4, /* requests vanish, reads give all-ones */
	PDMA_CAUSE_WRITES_ONLY = 5,	  /* peer writes are routed, peer reads are not */
	PDMA_CAUSE_CROSS_SOCKET = 6,
	PDMA_CAUSE_SMALL_BAR = 7,
	PDMA_CAUSE_PEERMEM = 8, /* nvidia-peermem missing or mismatched */
	PDMA_CAUSE_NO_DMABUF = 9,
	PDMA_CAUSE_MAPPED_BAR = 10, /* ibv_reg_mr on an mmapped BAR */
	PDMA_CAUSE_MOVED_TO_RAM = 11,
	PDMA_CAUSE_KERNEL_CONFIG = 12,
	PDMA_CAUSE_MEMLOCK = 13,
	PDMA_CAUSE_ORDERING_ATS = 14, /* relaxed ordering off, ATS */
	PDMA_CAUSE_VMM_BAR = 15,      /* the VMM cannot map the BAR into the IOMMU */
	PDMA_CAUSE_IOMMU_HOLE = 16,   /* BAR above the IOMMU's width or in a reserved range */
	PDMA_CAUSE_DMA_MASK = 17,
	PDMA_CAUSE_STORAGE_COMPAT = 18,
	PDMA_CAUSE_LIBRARY = 19, /* built without the accelerator */
	PDMA_CAUSE_SLOW_REGISTER = 20,
	PDMA_CAUSE_BAR_EXHAUSTED = 21,
	PDMA_CAUSE_VENDOR_POLICY = 22,
	PDMA_CAUSE_ABOVE_4G = 23,
	PDMA_CAUSE_DECODE_OFF = 24,   /* or the device sleeps */
	PDMA_CAUSE_VIOMMU = 25,	      /* a translating virtual IOMMU */
	PDMA_CAUSE_NOT_READABLE = 26, /* config space needs root */
	PDMA_CAUSE_NO_MEMORY = 27,    /* the target has no memory BAR */
	PDMA_CAUSE_KERNEL_FAULT = 28, /* a fault of this release of the kernel */
	PDMA_CAUSES
};

/* "acs-redirect", for scripts; NULL for a number that is none. Static. */
PDMA_API const char *pdma_cause_name(enum pdma_cause cause);
/* A few words for a person. */
PDMA_API const char *pdma_cause_title(enum pdma_cause cause);

PDMA_API const char *pdma_answer_name(enum pdma_answer answer);
PDMA_API const char *pdma_mapping_name(enum pdma_mapping mapping);

/* Of a sentence that says why an initiator does not go the shorter way there is. */
#define PDMA_DETOUR_LEN 128

struct pdma_verdict {
	size_t size; /* set by the caller: sizeof(struct pdma_verdict) */
	enum pdma_answer answer;
	enum pdma_mapping
		mapping;       /* of a yes; for a no, what a path without its cause would give */
	enum pdma_cause cause; /* of a no, of an unknown, or why a yes is not the shortest way */
	uint32_t also;	       /* other causes that apply, bit 1 << cause */
	uint32_t hop;	       /* function that decided; PDMA_NO_FUNCTION */
	uint32_t common;       /* bridge above both; PDMA_NO_FUNCTION: the host bridge */
	unsigned distance;     /* hops, as the kernel counts */
	bool in_switch;	       /* the hardware turns requests round below the host bridge */
	char reason[256];      /* one sentence */
	char remedy[256];      /* what to change; "" when nothing has to */
};

/* Memory of the target: len bytes at off of a BAR. bar -1: all its memory BARs. */
struct pdma_target {
	uint32_t function;
	int bar;
	uint64_t off, len; /* len 0: to the end of the BAR */
};

/*
 * Predict whether initiator reaches the target, for the kernel of the snapshot.
 * Threads: any. Does not block.
 * Return: 0; -EINVAL: no such function, BAR or range, or ret_verdict->size is too small.
 */
PDMA_API int pdma_path_verdict(const struct pdma_topo *topo, uint32_t initiator,
			       const struct pdma_target *target, struct pdma_verdict *ret_verdict);

/* What the kernel answered. */
struct pdma_kernel_verdict {
	size_t size; /* set by the caller: sizeof(struct pdma_kernel_verdict) */
	enum pdma_answer answer;
	/* of a page of the target that was mapped for the initiator and unmapped, if mapped */
	enum pdma_mapping mapping;
	bool mapped;	   /* tried: both functions have a driver */
	int map_errno;	   /* positive errno of a mapping that was refused, 0 */
	int distance;	   /* hops, -1: the kernel refuses */
	uint64_t addr;	   /* what the initiator would put on the bus, if mapped */
	uint64_t bus_addr; /* where the target's memory is on the bus */
};

/*
 * Ask the kernel of this machine, through the module peerdma. Nothing is read or written.
 * Threads: any. Blocks while a driver of either function binds or unbinds. Needs CAP_SYS_ADMIN.
 * Return: 0; -ENOENT: the module is not loaded; -EOPNOTSUPP: ctx looks at a captured tree; -EINVAL:
 * no such function, or ret_verdict->size is too small; -ENXIO: no such memory; -EPERM, -EACCES;
 * -ENODEV: a function has gone since the snapshot; -EINTR.
 * Source: PEERDMA_IOC_PATH.
 */
PDMA_API int pdma_path_ask(struct pdma_ctx *ctx, const struct pdma_topo *topo, uint32_t initiator,
			   const struct pdma_target *target,
			   struct pdma_kernel_verdict *ret_verdict);

struct pdma_cell {
	uint8_t answer, mapping, cause, in_switch;
};

/*
 * Verdicts of all pairs of n functions. cells: out, n * n, row: initiator, column: target.
 * Time is in proportion to n times the functions of the snapshot. Return: 0; -EINVAL: no such
 * function; -ENOMEM.
 */
PDMA_API int pdma_path_matrix(const struct pdma_topo *topo, const uint32_t *functions, size_t n,
			      struct pdma_cell *cells);

/* What came of a trial in one direction of data. */
enum pdma_trial {
	PDMA_TRIAL_NOT_RUN,
	PDMA_TRIAL_GOOD,
	PDMA_TRIAL_WRONG_DATA,
	PDMA_TRIAL_ALL_ONES, /* every wrong byte is 0xff */
	PDMA_TRIAL_REFUSED,  /* the kernel or the device gave an error before any byte moved */
};

struct pdma_measured {
	size_t size;		     /* set by the caller: sizeof(struct pdma_measured) */
	enum pdma_trial write, read; /* by the initiator, of the target's memory */
	bool has_addr;
	uint64_t addr; /* what the initiator was given for the target's first byte */
};

/*
 * Hold a measurement against a verdict: verdict is changed to what is true, with cause and
 * sentence, where the two differ. target: as given to pdma_path_verdict().
 * Return: 0: they agree; 1: they differ, verdict says how; -EINVAL.
 */
PDMA_API int pdma_path_judge(const struct pdma_topo *topo, const struct pdma_target *target,
			     const struct pdma_measured *measured, struct pdma_verdict *verdict);

/* ---- the whole system ---- */

enum pdma_severity { PDMA_BROKEN, PDMA_SLOW, PDMA_NOTE };

struct pdma_finding {
	enum pdma_severity severity;
	enum pdma_cause cause;
	uint32_t function;  /* the first one concerned; PDMA_NO_FUNCTION: the system */
	char what[160];	    /* one sentence */
	char evidence[200]; /* file or register, and what was in it */
	char remedy[256];
};

struct pdma_findings;

/*
 * Look for every cause that the machine ctx looks at can show, in the snapshot and beside it.
 * ret_findings: out, the caller's until pdma_findings_destroy(); the worst come first.
 * Return: 0, -ENOMEM.
 */
PDMA_API int pdma_doctor_run(struct pdma_ctx *ctx, const struct pdma_topo *topo,
			     struct pdma_findings **ret_findings);
PDMA_API size_t pdma_findings_count(const struct pdma_findings *findings);
/* The i-th, valid as long as the list; NULL behind the last. */
PDMA_API const struct pdma_finding *pdma_findings_get(const struct pdma_findings *findings,
						      size_t i);
/* NULL is allowed. */
PDMA_API void pdma_findings_destroy(struct pdma_findings *findings);

#ifdef __cplusplus
}
#endif

#endif
