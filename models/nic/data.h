/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the data path: what goes over the cable. Owner: data.
 *
 * A packet here is a run of packets of one message with consecutive sequence numbers. Between two
 * NICs it is a function call on the sender's worker, with the sender's memory as a scatter list.
 */
#ifndef PEERDMA_MODELS_NIC_DATA_H
#define PEERDMA_MODELS_NIC_DATA_H

#include "models/nic/internal.h"
#include "models/nic/wqe.h"
#include "models/nic/xlt.h"

#define NIC_PSN_MASK 0xffffffu

struct nic_pkt {
	uint8_t opcode; /* enum nic_opcode */
	uint8_t type;	/* sender's service type */
	bool first, last, solicited;
	uint32_t psn, n_psn;
	uint32_t imm, srqn, rkey;
	uint32_t sqpn, dqpn;
	uint64_t dc_key;
	uint64_t dc_conn;  /* a DCI's connection: later ones have higher numbers */
	uint32_t dc_start; /* its first PSN */
	uint16_t slid;
	uint32_t mtu;
	uint64_t raddr;	     /* of the message */
	uint64_t total, off; /* of the message; where this run starts in it */
	uint64_t swap_add, compare;
	struct nic_iov *iov; /* payload; READ: where the data goes. iov->len long */
};

enum nic_answer {
	NIC_A_ACK,    /* all up to psn */
	NIC_A_LOST,   /* no answer */
	NIC_A_SEQ,    /* NAK: psn is the one expected */
	NIC_A_RNR,    /* NAK of psn: no receive entry */
	NIC_A_LATER,  /* psn can't be done now (page fault, key busy): not counted as a retry */
	NIC_A_INV,    /* NAK: invalid request */
	NIC_A_ACCESS, /* NAK: remote access error */
	NIC_A_OP,     /* NAK: remote operational error */
	NIC_A_LOCAL,  /* READ: the requester's own memory failed */
};

struct nic_reply {
	uint8_t kind; /* enum nic_answer */
	uint8_t rnr_timer;
	uint32_t psn;
	uint64_t old; /* atomic */
};

/* Signed distance from b to a of 24-bit sequence numbers. */
static inline int32_t nic_psn_diff(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 8) >> 8;
}

static inline uint32_t nic_packets(uint64_t len, uint32_t mtu)
{
	return len ? (uint32_t)((len + mtu - 1) / mtu) : 1;
}

/* rsp.c: a run of a connected service arrives at its QP. Under an epoch; takes rsp.lock. */
void nic_rsp_packet(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret);

/* The same once it is clear whose it is, for all services but UC. rsp.lock held. */
void nic_rsp_reliable(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret);
/* Complete the receive entry in hand with an error. rsp.lock held. */
void nic_rsp_complete_error(struct nic_qp *qp, uint8_t syndrome);

/* req.c: an answer that was on the way comes in. Under an epoch; takes req.lock. */
void nic_req_reply(struct nic_qp *qp, const struct nic_reply *rep);

/* ---- recv.c: receive entries ---- */

struct nic_rwqe {
	struct nic_srq *srq; /* or NULL */
	uint16_t counter;    /* what the completion shows */
	uint32_t pd;
	uint64_t total;
	unsigned n;
	struct nic_sge sge[NIC_MAX_RSGE];
};

/*
 * Take the next receive entry of qp, or of srq if given. rsp.lock held.
 * Return: 0, -EAGAIN when there is none, or an error of the door.
 */
int nic_recv_take(struct nic_qp *qp, struct nic_srq *srq, struct nic_rwqe *w);
/* Take the next of srq, its lock held. *ret_limit: the limit was crossed, tell the guest. */
int nic_recv_take_locked(struct nic_srq *srq, struct nic_rwqe *w, bool *ret_limit);
/* Read an entry taken before again. Return: 0 or an error of the door. */
int nic_recv_again(struct nic_qp *qp, struct nic_srq *srq, uint16_t counter, struct nic_rwqe *w);

/* ---- ud.c ---- */

enum nic_local { NIC_L_OK, NIC_L_BUSY, NIC_L_FAULT, NIC_L_ERROR };

/* What a request that needs no acknowledgement came to. */
struct nic_outcome {
	uint8_t result;	  /* enum nic_local */
	uint8_t syndrome; /* of an error */
	struct nic_fault fault;
};

/* Send a datagram. req.lock held. */
void nic_ud_send(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret);

/* A datagram on the wire, as the cable keeps it. */
struct nic_dgram {
	uint32_t sqpn, dqpn, qkey, imm;
	uint16_t slid, dlid, pkey;
	uint8_t sl, mlpath;
	bool has_imm, solicited, grh, mcast;
	uint8_t grh_bytes[40];
};
/* Hand it to the QP of nic it is for, or drop it. data is mtu bytes at most. */
void nic_ud_deliver(struct nic *nic, struct nic_qp *qp, const struct nic_dgram *g,
		    struct nic_iov *data);

/* ---- umr.c ---- */

/* Change a memory key as a request asks. req.lock held. */
void nic_umr_run(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret);
/* Invalidate rkey for a remote peer of qp. Return: NIC_L_OK, _BUSY, or _ERROR. */
enum nic_local nic_umr_remote_inval(struct nic_qp *qp, uint32_t rkey);

/* ---- odp.c ---- */

/*
 * How often the guest may fail a fault before the access fails: it does so also for a key that is
 * being replaced (implicit regions), where asking again finds the new one.
 */
#define NIC_FAULT_TRIES	  8
#define NIC_FAULT_WAIT_NS 1000000u

/*
 * Tell the guest of an absent page. Return: the token its answer will carry, or 0 when nobody
 * listens for page faults: the access is then an error.
 */
uint32_t nic_odp_raise(struct nic_qp *qp, bool requester, const struct nic_fault *f);

/* ---- cable.c ---- */

/* Does the cable hurt the next of n packets? Return: index of the first that suffers, or n. */
uint32_t nic_cable_clean(struct nic *nic, unsigned point, uint32_t n, struct mdl_fault_hit *hit);
/* Let a run or a datagram arrive later; payload is copied. Dropped when the cable is full. */
void nic_cable_queue_pkt(struct nic *to, const struct nic_pkt *p, uint64_t due_ns);
void nic_cable_queue_dgram(struct nic *to, const struct nic_dgram *g, struct nic_iov *data,
			   uint64_t due_ns);
void nic_cable_queue_reply(struct nic *to, uint32_t qpn, const struct nic_reply *rep,
			   uint64_t due_ns);
/* When a packet that was hit arrives, or 0 if never. Counts what became of it; to may be NULL. */
uint64_t nic_cable_due(struct nic *from, struct nic *to, const struct mdl_fault_hit *hit);

/* ---- timer.c ---- */

/* Run the QP's requester at qp->req.due_ns (0 = no longer). req.lock held. */
void nic_timer_set(struct nic_qp *qp);
/* The QP goes away. */
void nic_timer_drop(struct nic_qp *qp);
int nic_timer_reserve(struct nic_qp *qp);

/* Status of a failed translation of local memory. */
static inline uint8_t nic_local_syndrome(enum nic_xlt r)
{
	return r == NIC_XLT_OK ? 0 : NIC_S_LOCAL_PROT;
}

/* Bytes a packet of the QP holds; never 0. */
static inline uint32_t nic_mtu(const struct nic_qp *qp)
{
	return qp->attr.mtu ? qp->attr.mtu : 4096;
}

static inline void nic_qp_ctx(const struct nic_qp *qp, uint8_t access, struct nic_access_ctx *c)
{
	*c = (struct nic_access_ctx){
		.nic = qp->nic, .pd = qp->pd, .qpn = qp->obj.id, .rlky = qp->rlky, .access = access
	};
}

#endif
