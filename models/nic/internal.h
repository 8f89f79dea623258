/* SPDX-License-Identifier: MIT */
/*
 * The NIC as a whole. Owner: lead.
 *
 * Threads of one NIC
 *   socket thread   BAR reads and writes. Never looks at objects: a doorbell becomes a number in a
 *                   dbset (or a command slot's bit) and a kick.
 *   command worker  commands, tear-down after a reset, port events. The only one that adds, removes
 *                   and references objects. May wait for data workers (nic_epoch_sync).
 *   data workers    n_dw of them, each inside an epoch for a slice: requesters of the QPs bound to
 *                   it (and, by call, responders of any NIC), CQ and EQ doorbells, timers, cable.
 *                   Never wait for a command worker.
 *
 * Reset, at any time: reset() only marks the NIC and kicks the command worker. All doors are dead
 * by then (mdl_dma gen), since every object's door is a copy of the one begun when the doorbell of
 * its creating command rang. The command worker empties the tables; until it is done the
 * initialization segment says "initializing" and new commands wait in their slots.
 */
#ifndef PEERDMA_MODELS_NIC_INTERNAL_H
#define PEERDMA_MODELS_NIC_INTERNAL_H

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <string.h>

#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/fault.h"
#include "models/common/log.h"
#include "models/common/worker.h"
#include "models/nic/cable.h"
#include "models/nic/cmd.h"
#include "models/nic/cq.h"
#include "models/nic/dbset.h"
#include "models/nic/epoch.h"
#include "models/nic/eq.h"
#include "models/nic/mad.h"
#include "models/nic/memic.h"
#include "models/nic/mkey.h"
#include "models/nic/net.h"
#include "models/nic/object.h"
#include "models/nic/port.h"
#include "models/nic/qp.h"
#include "models/nic/srq.h"
#include "models/nic/timer.h"

#define NIC_MAX_DW   4
#define NIC_LOG_QP   16
#define NIC_LOG_CQ   16
#define NIC_LOG_MKEY 20
#define NIC_LOG_SRQ  14
#define NIC_LOG_EQ   7
#define NIC_VECTORS  64
#define NIC_LOG_MSG  30

/* Counters by name on the control socket; names in nic.c in the same order. */
enum nic_counter {
	NIC_C_COMMANDS,
	NIC_C_COMMANDS_FAILED,
	NIC_C_BAD_MMIO,
	NIC_C_DOORBELLS,
	NIC_C_BAD_DOORBELL,
	NIC_C_CQES,
	NIC_C_CQ_OVERRUN,
	NIC_C_EQES,
	NIC_C_EQ_OVERRUN,
	NIC_C_RESETS,
	/* data */
	NIC_C_WQES,
	NIC_C_BAD_WQE,
	NIC_C_RETRANSMIT,
	NIC_C_RNR_NAK,
	NIC_C_SEQ_NAK,
	NIC_C_TIMEOUT,
	NIC_C_PAGE_FAULT,
	NIC_C_FLUSHED,
	NIC_C_UD_DROPPED,
	/* mgmt */
	NIC_C_MADS,
	NIC_C_BAD_MAD,
	NIC_C_SA_QUERIES,
	NIC_C_COUNT
};

enum nic_fault_point {
	NIC_F_CABLE_TX,	 /* drop, corrupt, delay, dup, reorder */
	NIC_F_CABLE_ACK, /* the same, on acknowledgements and read responses */
	NIC_F_CMD,	 /* error: the next command answers INT_ERR; delay; stall */
	NIC_F_COUNT
};

enum nic_hca_state { NIC_HCA_OFF, NIC_HCA_ENABLED, NIC_HCA_INIT };

/* A data worker. */
struct nic_dw {
	struct nic *nic;
	struct mdl_worker *worker;
	unsigned idx;
	struct nic_epoch epoch;
	struct nic_dbset qps;	    /* QPs to run, by qpn - table base */
	struct nic_dbset cqs;	    /* CQs whose arm doorbell rang; worker 0 only */
	struct nic_dbset moderated; /* CQs whose event waits for its deadline; worker 0 only */
	uint64_t moderated_due;	    /* when to look at those; 0 = nothing waits */
	void *timers;		    /* data */
};

struct nic_cmdq; /* cmd.c */
struct nic_mem;	 /* cmd_pages.c */

struct nic {
	struct mdl_device *dev;
	struct mdl_worker *cmd_worker;
	struct nic_epoch cmd_epoch; /* the command worker enters while it posts events */
	unsigned n_dw;
	struct nic_dw dw[NIC_MAX_DW];

	struct nic_table table[NIC_T_COUNT];
	struct nic_qp *_Atomic special[2];	     /* QP0 and QP1 */
	struct nic_eq *_Atomic event_eq[NIC_EV_MAX]; /* who asked for which event */
	_Atomic uint32_t
		*qp_uar; /* by index: UAR the QP's doorbell must come from, plus 1; 0 none */
	_Atomic uint64_t *cq_arm; /* by index: last arm doorbell: value | UAR << 32 | 1 << 63 */
	_Atomic uint64_t eq_db[1 << NIC_LOG_EQ]; /* last doorbell of each EQ, as cq_arm */
	_Atomic uint64_t eq_pending[(1 << NIC_LOG_EQ) / 64];

	_Atomic uint8_t hca_state;	      /* enum nic_hca_state; command worker writes */
	_Atomic uint32_t resets, resets_done; /* they differ while objects are torn down */
	_Atomic uint32_t port_events;	      /* 1 << enum nic_port_event */
	uint64_t half_off;		      /* first half of an 8-byte doorbell; MMIO lock */
	uint8_t half[8];
	void *memic; /* device memory, MDL_SPACE_LOCAL */
	_Atomic uint8_t memic_ops[NIC_MEMIC_SIZE / NIC_MEMIC_PAGE]; /* by page: 1 << operation */
	int memic_fd;
	struct nic_cmdq *cmdq;
	struct nic_pages *pages;
	struct nic_caps *caps;
	struct nic_port port;
	struct nic_cable cable;
	uint64_t mem_used; /* charge of all objects; command worker */
	uint64_t boot_ns;  /* free-running timer's zero */
};

static inline struct nic *nic_of(struct mdl_device *dev)
{
	return mdl_device_priv(dev);
}

/* Typed look-ups; any id; NULL when absent. Threading: object.h. */
static inline struct nic_qp *nic_find_qp(struct nic *nic, uint32_t qpn)
{
	return (struct nic_qp *)nic_table_find(&nic->table[NIC_T_QP], qpn);
}

static inline struct nic_cq *nic_find_cq(struct nic *nic, uint32_t cqn)
{
	return (struct nic_cq *)nic_table_find(&nic->table[NIC_T_CQ], cqn);
}

static inline struct nic_srq *nic_find_srq(struct nic *nic, uint32_t srqn)
{
	return (struct nic_srq *)nic_table_find(&nic->table[NIC_T_SRQ], srqn);
}

static inline struct nic_mkey *nic_find_mkey(struct nic *nic, uint32_t key)
{
	return (struct nic_mkey *)nic_table_find(&nic->table[NIC_T_MKEY], key >> 8);
}

/* Is a reset waiting to be carried out? Shown as "initializing". */
static inline bool nic_in_reset(const struct nic *nic)
{
	return atomic_load(&nic->resets) != atomic_load(&nic->resets_done);
}

/* QP0 and QP1 of the port: the special QPs, whatever number they have. NULL when not there. */
struct nic_qp *nic_find_special(struct nic *nic, unsigned which);

/* The device's clock: what init segment and completions show, 1 GHz. */
static inline uint64_t nic_clock(const struct nic *nic)
{
	return mdl_now_ns() - nic->boot_ns;
}

#endif
