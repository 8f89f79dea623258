/* SPDX-License-Identifier: MIT */
/*
 * Tag matching: a shared receive queue with a list of tagged buffers. List and its operations:
 * tm.c; messages that arrive and the device's own sends of a rendezvous: tm_rsp.c. Owner: data.
 * Sources: RC providers/mlx5 (srq, qp, cq), libibverbs/tm_types.h, Documentation/tag_matching.md.
 */
#ifndef PEERDMA_MODELS_NIC_TM_H
#define PEERDMA_MODELS_NIC_TM_H

#include <stdatomic.h>
#include "models/nic/srq.h"
#include "models/nic/wqe.h"

struct nic_cqe;
struct nic_outcome;
struct nic_qp;
struct nic_rsp_work;

#define NIC_LOG_TAGS   7u
#define NIC_TMH	       16u /* bytes of a message's tag header, and what a completion shows of it */
#define NIC_RVH	       16u /* bytes of a rendezvous' header behind it */
#define NIC_RNDV_MAX   64u /* bytes of the longest rendezvous message */
#define NIC_RNDV_JOBS  16u
#define NIC_RNDV_SLOTS (2 * NIC_RNDV_JOBS) /* a READ and a SEND each */
#define NIC_TAG_NONE   0xffffu

/* What a completion of tag matching is about. */
enum nic_tm_app {
	NIC_TM_CONSUMED = 0x1, /* matched; the data comes later */
	NIC_TM_EXPECTED = 0x2, /* the data of a match is there */
	NIC_TM_UNEXPECTED = 0x3,
	NIC_TM_NO_TAG = 0x4,
	NIC_TM_APPEND = 0x5,
	NIC_TM_REMOVE = 0x6,
	NIC_TM_NOOP = 0x7,
	NIC_TM_CONSUMED_MSG = 0xa,    /* matched, with data */
	NIC_TM_CONSUMED_MSG_SW = 0xb, /* a rendezvous matched, software does the rest */
	NIC_TM_CANCELED = 0xc,	      /* matched, but no data will come */
};

/* A tagged buffer. */
struct nic_tag {
	bool used, active;
	uint16_t next;
	uint64_t tag, mask;
	struct nic_sge sge;
};

/* Under the queue's lock. The list is in the order of appending. */
struct nic_tm {
	bool rndv; /* may carry out the transfer of a rendezvous */
	uint8_t log_size;
	uint16_t head, tail;
	uint16_t append;	     /* where the next buffer goes: the driver tells each time */
	uint16_t sw_phase, hw_phase; /* unexpected messages: software knows of, there were */
	struct nic_tag tag[];
};

/* Transfers the device makes by itself: one producer (rsp.lock), one consumer (req.lock). */
struct nic_rndv {
	_Atomic uint16_t pi, ci; /* blocks */
	struct {
		uint16_t index;
		uint32_t len;
	} job[NIC_RNDV_JOBS];
	uint8_t ring[NIC_RNDV_SLOTS * NIC_BB];
};

static inline bool nic_srq_tagged(const struct nic_srq *srq)
{
	return srq && srq->kind == NIC_SRQ_TM;
}

/* ---- tm.c ---- */

/* A list of 1 << log_size buffers, or NULL. */
struct nic_tm *nic_tm_new(unsigned log_size, bool rndv);
/* The first active buffer tag belongs to, taken out of the list; NULL if none. srq->lock held. */
const struct nic_tag *nic_tm_match(struct nic_tm *tm, uint64_t tag, uint16_t *ret_index);
/* Change the list as a request asks. req.lock held. */
void nic_tm_run(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret);
/* Post a completion on the shared queue's CQ. */
void nic_tm_post(struct nic_qp *qp, struct nic_cqe *e);

/* ---- tm_rsp.c ---- */

/* A SEND arrives at a queue with tags. rsp.lock held. */
void nic_tm_send(struct nic_rsp_work *w);
/* The QP is in error: say so for the buffer of the message in progress. rsp.lock held. */
void nic_tm_abort(struct nic_qp *qp);

/* The READ at block idx is over. req.lock held. */
void nic_tm_read_end(struct nic_qp *qp, uint16_t idx, bool ok);
/* Read n blocks of the device's own requests. */
void nic_tm_fetch(const struct nic_rndv *r, uint16_t idx, unsigned n, uint8_t *buf);

#endif
