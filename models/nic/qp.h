/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs. The object, its commands and the state machine: lead (qp_cmd.c, qp_state.c). What
 * happens on the data path: data (req.c requester, rsp.c responder, recv.c receive entries).
 *
 * Locks of a QP, and the order over all NICs of the process:
 *     req.lock of the sender  ->  rsp.lock of the receiver  ->  SRQ  ->  CQ  ->  EQ
 * A thread holds at most one req.lock and one rsp.lock, and never takes a req.lock while it holds
 * a rsp.lock (of any QP). What a responder has to tell a requester is the call's return value or
 * goes through the cable's queue. Commands that change a QP take its req.lock, then its rsp.lock.
 */
#ifndef PEERDMA_MODELS_NIC_QP_H
#define PEERDMA_MODELS_NIC_QP_H

#include <pthread.h>
#include "models/nic/buf.h"
#include "models/nic/object.h"
#include "models/nic/req.h"
#include "models/nic/rsp.h"

struct nic;
struct nic_cq;
struct nic_dct;
struct nic_rndv;
struct nic_srq;

enum nic_qp_type { /* service type as in the context */
		   NIC_QP_RC = 0x0,
		   NIC_QP_UC = 0x1,
		   NIC_QP_UD = 0x2,
		   NIC_QP_XRC = 0x3,
		   NIC_QP_DCI = 0x5,
		   NIC_QP_DCT = 0x6, /* by a command of its own */
		   NIC_QP_QP0 = 0x7,
		   NIC_QP_QP1 = 0x8,
		   NIC_QP_REG_UMR = 0xc,
};

enum nic_qp_state { /* as in the context */
		    NIC_QPS_RESET = 0,
		    NIC_QPS_INIT = 1,
		    NIC_QPS_RTR = 2,
		    NIC_QPS_RTS = 3,
		    NIC_QPS_SQER = 4,
		    NIC_QPS_SQD = 5,
		    NIC_QPS_ERR = 6,
		    NIC_QPS_SQ_DRAINING = 7,
};

enum nic_rq_kind { NIC_RQ_OWN = 0, NIC_RQ_SRQ = 1, NIC_RQ_NONE = 3 };

struct nic_path {
	uint16_t rlid;
	uint8_t rgid[16];
	uint32_t flow_label;
	uint16_t pkey_index;
	uint8_t mlid, sl, hop_limit, tclass, sgid_index, stat_rate;
	uint8_t ack_timeout; /* 4.096 us << n; 0 = for ever */
	uint8_t port;
	bool grh, free_ar;
};

/* Constant between two commands; written with both locks held, read under either. */
struct nic_qp_attr {
	struct nic_path path, alt;
	uint32_t dqpn;
	uint32_t mtu; /* bytes */
	uint8_t log_msg_max;
	uint8_t retry_count, rnr_retry; /* 7 = without end, for RNR */
	uint8_t log_sra_max, log_rra_max;
	uint8_t min_rnr_nak, atomic_mode;
	bool rre, rwe, rae;
	uint8_t pm_state;
	uint32_t qkey;
	uint32_t sq_psn, rq_psn; /* starting PSNs as given */
	uint32_t xrcd;
	uint16_t rate_limit_index;
	uint32_t ece;
	uint32_t deth_sqpn; /* datagrams: source QP shown to receivers; 0 = its own number */
};

/* One work queue ring in the QP's buffer. */
struct nic_ring {
	uint32_t off;	    /* byte offset in the buffer */
	uint8_t log_stride; /* SQ: 6 */
	uint8_t log_size;   /* entries (SQ: 64-byte blocks) */
};

struct nic_qp {
	struct nic_obj obj;
	/* constant from creation */
	struct nic *nic;
	struct mdl_dma dma; /* copy before use: one thread at a time */
	struct nic_dw *dw;  /* the data worker whose requester this is */
	uint8_t type;	    /* enum nic_qp_type */
	uint8_t rq_kind;    /* enum nic_rq_kind */
	bool no_sq, rlky, drain_sigerr, sig_all;
	bool block_lb_mc, master_send, master_recv, slave_send, slave_recv;
	uint8_t cs_req, cs_res; /* scatter-to-CQE: 0, 1 (32 bytes), 2 (64) encodings kept raw */
	uint32_t pd, uar, user_index;
	uint32_t cqn_snd, cqn_rcv;
	struct nic_cq *scq, *rcq; /* referenced, so they outlive the QP; NULL if absent */
	struct nic_srq *srq;	  /* or NULL */
	struct nic_buf buf;	  /* empty if the QP has neither ring */
	struct nic_ring sq, rq;
	struct nic_rndv *rndv;	/* requests of the device's own in place of a send queue, or NULL */
	struct nic_dct *dct;	/* of a DCT, else NULL */
	uint64_t dc_key;	/* what initiators must know */
	uint32_t dc_violations; /* who did not; rsp.lock */
	uint64_t db_addr;	/* doorbell record: [0] receive counter, [1] send counter */
	/* changed by commands and by errors; see nic_qp_error */
	_Atomic uint8_t state;
	struct nic_qp_attr attr;
	struct nic_req req;
	struct nic_rsp rsp;
};

/*
 * lead: move a QP to the error state because of a failure on the data path. May be called with
 * any of the QP's locks held, from any worker; only stores the state and schedules the flush
 * (nic_req_run and nic_rsp_flush do it later). event: 0, or an enum nic_event for the guest.
 */
void nic_qp_error(struct nic_qp *qp, uint8_t event);

/*
 * The same after an error of the send queue alone: services that promise nothing (UC, UD) go to
 * SQER, where they still receive, the others to ERR.
 */
void nic_qp_send_error(struct nic_qp *qp);

/* lead: have the QP's data worker call nic_req_run for it soon. Any thread. */
void nic_qp_kick(struct nic_qp *qp);

#endif
