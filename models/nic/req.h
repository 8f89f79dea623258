/* SPDX-License-Identifier: MIT */
/* The requester (send side). Owner: data. */
#ifndef PEERDMA_MODELS_NIC_REQ_H
#define PEERDMA_MODELS_NIC_REQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "models/common/fault.h"

struct nic_qp;

#define NIC_INFLIGHT 16u

/* A request that was started and is not complete. */
struct nic_inflight {
	uint16_t idx;
	uint8_t nbb, opcode;
	bool signalled;
	uint32_t psn, n_psn;
	uint64_t len;
};

/* Whom a DCI talks to. */
struct nic_dc_peer {
	uint64_t key;
	uint32_t dctn;
	uint16_t lid;
};

struct nic_req {
	pthread_mutex_t lock;
	/* all under lock */
	uint16_t sq_ci;	  /* next block (64 bytes) to complete */
	uint16_t sq_next; /* next block to start */
	uint16_t sq_pi;	  /* producer index as last read from the doorbell record */
	uint32_t psn;	  /* next PSN to send */
	uint32_t acked;	  /* first PSN not acknowledged */
	uint32_t ssn;
	bool drain_event; /* SQD asked for an event when drained (lead sets it) */
	bool flushed;	  /* in error and everything flushed */
	bool stop;	  /* nothing more is sent until an answer or the timer */
	/* timer.c: when nic_req_run is to be called even without a kick; 0 = never */
	uint64_t due_ns;
	uint64_t hold_ns; /* nothing is sent before (RNR, busy); 0 = free */
	uint64_t ack_ns;  /* acknowledge time-out; 0 = not running */
	uint32_t backoff_ns;
	uint8_t retries, rnr_tries;
	uint8_t error_polls;  /* looks at the receive queue in error so far, up to a limit */
	uint32_t fault_token; /* waits for the guest to answer this page fault; 0 = none */
	uint8_t fault_failed; /* answers "can't be resolved" in a row */
	uint8_t fl_head, fl_n, fl_cur; /* oldest; how many; which of them is being sent */
	struct nic_inflight fl[NIC_INFLIGHT];
	/* What a fault point decided for the next packet, and for the next packet of an answer. */
	struct mdl_fault_hit hit_tx, hit_ack;
	/* A DCI's connection: to whom, its number, its first PSN. */
	struct nic_dc_peer dc_to;
	uint64_t dc_conn;
	uint32_t dc_start;
	uint64_t timer_at; /* timer.c */
	uint32_t timer_pos;
};

/* Called by lead with both locks of the QP held. attr is set already. */
int nic_req_init(struct nic_qp *qp);   /* at creation; allocates what the QP needs for life */
void nic_req_fini(struct nic_qp *qp);  /* after the epoch: nobody uses the QP any more */
void nic_req_reset(struct nic_qp *qp); /* to RESET: forget everything, no completions */
/* A transition happened. psn_set: attr.sq_psn was given now. */
void nic_req_modified(struct nic_qp *qp, bool psn_set);

/*
 * One bounded slice of the send queue, under an epoch, by qp->dw. Takes req.lock itself. Does
 * what the state allows: execute (RTS), drain (SQD), flush (ERR, SQER). Bound: about 64 requests
 * or 256 KiB.
 * Return: true when there is more to do at once; the caller then comes back after the other QPs.
 */
bool nic_req_run(struct nic_qp *qp);

/* For QUERY_QP, both locks held: values of hw_sq_wqebb_counter, next_send_psn, last_acked_psn,
 * cur_rnr_retry, cur_retry_count; draining: QUERY shows SQ_DRAINING. */
struct nic_req_info {
	uint16_t hw_counter, sw_counter;
	uint32_t next_psn, last_acked, ssn;
	uint8_t cur_retry, cur_rnr;
	bool draining;
};
void nic_req_info(struct nic_qp *qp, struct nic_req_info *ret_info);

#endif
