/* SPDX-License-Identifier: MIT */
/* The responder (receive side). Owner: data.  */
#ifndef PEERDMA_MODELS_NIC_RSP_H
#define PEERDMA_MODELS_NIC_RSP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "models/nic/wqe.h"

struct nic_qp;

#define NIC_ATOMICS 16u

struct nic_srq;

/* An atomic that was carried out, kept in case its answer was lost. */
struct nic_atomic_done {
	uint32_t psn;
	bool valid;
	uint64_t old;
};

/* What becomes of the message in progress at a queue with tags. */
enum nic_tm_kind {
	NIC_TM_IDLE,
	NIC_TM_ENTRY,	 /* goes to an ordinary entry */
	NIC_TM_EAGER,	 /* goes to a tagged buffer */
	NIC_TM_FETCH,	 /* rendezvous: the device fetches the data */
	NIC_TM_SOFTWARE, /* rendezvous: software does */
};

struct nic_tm_msg {
	uint8_t kind;	/* enum nic_tm_kind */
	uint8_t app_op; /* ENTRY: how its completion calls it */
	bool told;	/* the match has a completion of its own already */
	uint16_t index; /* of the tagged buffer ... */
	struct nic_sge sge;
	uint8_t tmh[16];
};

struct nic_rsp {
	pthread_mutex_t lock;
	/* all under lock */
	uint32_t epsn; /* expected PSN */
	uint32_t msn;
	uint16_t rq_ci; /* next receive entry to take */
	uint16_t rq_pi; /* producer counter as last read */
	bool flushed;
	bool in_msg, nak_sent, comm_est, last_wqe;
	bool dropping;		  /* UC: rest of a message that lost a packet */
	bool have_rwqe;		  /* an entry is taken and not complete */
	uint16_t rwqe;		  /* its counter ... */
	struct nic_srq *rwqe_srq; /* ... and where it is from; NULL = the QP's own queue */
	uint32_t fault_token;	  /* waits for the guest to answer this page fault; 0 = none */
	uint8_t fault_failed;	  /* answers "can't be resolved" in a row */
	struct nic_tm_msg tm;
	uint8_t atomic_next;
	struct nic_atomic_done atomic[NIC_ATOMICS];
};

/* Called by lead with both locks of the QP held, as in req.h. */
int nic_rsp_init(struct nic_qp *qp);
void nic_rsp_fini(struct nic_qp *qp);
void nic_rsp_reset(struct nic_qp *qp);
void nic_rsp_modified(struct nic_qp *qp, uint8_t old, bool psn_set);

/* In error: complete posted receives with a flush status, a bounded slice, takes rsp.lock itself,
 * under an epoch. Also while in error: entries posted later (poll the doorbell record when
 * kicked). With an SRQ: the last-WQE-reached event, once. Return: true when there is more. */
bool nic_rsp_flush(struct nic_qp *qp);

/* A shared queue goes: forget the entry of it that a message in progress has. Takes rsp.lock. */
void nic_rsp_forget_srq(struct nic_qp *qp, const struct nic_srq *srq);

struct nic_rsp_info {
	uint32_t next_psn, rmsn;
	uint32_t hw_counter, sw_counter;
};
void nic_rsp_info(struct nic_qp *qp, struct nic_rsp_info *ret_info);

/* lead: PAGE_FAULT_RESUME; data finds the waiting side and goes on, or fails it with the flag. */
void nic_fault_resume(struct nic_qp *qp, bool requester, bool error);
/* The same for faults that were reported by memory key and not by QP. token: of the event. */
struct nic;
void nic_fault_resume_mkey(struct nic *nic, uint32_t token, bool error);

#endif
