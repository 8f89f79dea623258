/* SPDX-License-Identifier: MIT */
/* Completion queues. Owner: lead. */
#ifndef PEERDMA_MODELS_NIC_CQ_H
#define PEERDMA_MODELS_NIC_CQ_H

#include <pthread.h>
#include "models/nic/buf.h"
#include "models/nic/object.h"

struct nic;
struct nic_eq;
struct nic_sig_err;

/* High nibble of a CQE's last byte. */
enum nic_cqe_op {
	NIC_CQE_REQ = 0x0,
	NIC_CQE_RESP_WR_IMM = 0x1,
	NIC_CQE_RESP_SEND = 0x2,
	NIC_CQE_RESP_SEND_IMM = 0x3,
	NIC_CQE_RESP_SEND_INV = 0x4,
	NIC_CQE_RESIZE = 0x5,
	NIC_CQE_NO_PACKET = 0x6, /* of tag matching, not of a message */
	NIC_CQE_SIG_ERR = 0xc,
	NIC_CQE_REQ_ERR = 0xd,
	NIC_CQE_RESP_ERR = 0xe,
};

/* Syndromes of error completions. */
enum nic_syndrome {
	NIC_S_LOCAL_LENGTH = 0x01,
	NIC_S_LOCAL_QP_OP = 0x02,
	NIC_S_LOCAL_PROT = 0x04,
	NIC_S_FLUSH = 0x05,
	NIC_S_MW_BIND = 0x06,
	NIC_S_BAD_RESP = 0x10,
	NIC_S_LOCAL_ACCESS = 0x11,
	NIC_S_REMOTE_INV_REQ = 0x12,
	NIC_S_REMOTE_ACCESS = 0x13,
	NIC_S_REMOTE_OP = 0x14,
	NIC_S_RETRY_EXC = 0x15,
	NIC_S_RNR_EXC = 0x16,
	NIC_S_REMOTE_ABORTED = 0x22,
};

#define NIC_CQE_APP_TM 1 /* app: of tag matching */

/* A completion in host form; nic_cq_post makes the 64 or 128 bytes of it. */
struct nic_cqe {
	uint8_t opcode;	    /* enum nic_cqe_op */
	uint8_t syndrome;   /* of an error; 0 else */
	uint8_t vendor;	    /* vendor syndrome of an error */
	uint8_t wqe_opcode; /* send opcode of the completed request (top byte of sop_drop_qpn) */
	bool solicited;
	bool grh; /* UD: 40 bytes of GRH are valid */
	uint8_t sl;
	uint16_t slid;	     /* UD */
	uint32_t qpn;	     /* local QP (completion's owner) */
	uint32_t user_index; /* of the QP, or of the (XRC) SRQ: what bytes 32-35 show */
	uint32_t src_qp;     /* UD: remote QP */
	uint8_t mlpath;
	uint16_t pkey_index;
	uint32_t imm_inval; /* immediate data as on the wire, or the invalidated key */
	uint32_t byte_cnt;
	uint32_t srqn; /* 0 when the QP has its own receive queue */
	uint16_t wqe_counter;
	const struct nic_sig_err *sig; /* of NIC_CQE_SIG_ERR */
	uint8_t inline_len; /* bytes scattered into the CQE itself: 0, or up to 32 (64) */
	const void *inline_data;
	/* tag matching: what it is about, which buffer, and the entry's first bytes */
	uint8_t app, app_op;
	uint16_t app_info;
	uint8_t head[16];
};

enum nic_cq_state { NIC_CQ_OK, NIC_CQ_OVERRUN, NIC_CQ_WRITE_FAIL };

struct nic_cq {
	struct nic_obj obj;
	struct nic *nic;
	struct nic_eq *eq;
	struct mdl_dma dma;   /* under lock */
	pthread_mutex_t lock; /* order: after qp and srq locks, before an EQ's */
	struct nic_buf buf;
	uint8_t log_size; /* entries */
	uint8_t log_cqe;  /* 6 or 7 */
	uint8_t cqe_sz;	  /* as given */
	uint8_t state;	  /* enum nic_cq_state */
	bool ignore_overrun;
	uint64_t db_addr; /* doorbell record: consumer index, arm word */
	uint32_t pi, ci;  /* free running; ci as last read */
	uint32_t uar;
	/* notification */
	bool armed, armed_solicited;
	uint32_t arm_sn, arm_ci;
	uint32_t solicit_pi; /* producer index after the last solicited or error entry */
	uint16_t period_us, max_count;
	uint32_t since_event;  /* completions since the last event, for moderation */
	uint64_t event_due_ns; /* moderation's deadline, 0 = none */
};

/*
 * Write one completion. Under an epoch; cq belongs to any NIC. Takes cq->lock and, for an event,
 * the EQ's. A full CQ (without overrun ignore) goes to state OVERRUN, raises a CQ error event and
 * drops this and all later entries.
 * Return: 0; -ENOSPC on overrun; -ECANCELED after a reset; another error of the door (CQ goes to
 * WRITE_FAIL with its event).
 */
int nic_cq_post(struct nic_cq *cq, const struct nic_cqe *e);

/* Is there room for n more? For requesters that want to wait rather than overrun. */
bool nic_cq_has_room(struct nic_cq *cq, uint32_t n);

/* For MODIFY_CQ, lock held: the entry that ends the old ring; entries not yet consumed. */
int nic_cq_mark_resize(struct nic_cq *cq);
uint32_t nic_cq_used(struct nic_cq *cq);

#endif
