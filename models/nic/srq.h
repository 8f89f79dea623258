/* SPDX-License-Identifier: MIT */
/*
 * Shared receive queues: SRQ, XRC SRQ and RMP, which differ in who may use them, and XRQ, which
 * matches tags. Object and commands: lead (srq_cmd.c). Taking entries: data (recv.c, tm.h).
 */
#ifndef PEERDMA_MODELS_NIC_SRQ_H
#define PEERDMA_MODELS_NIC_SRQ_H

#include <pthread.h>
#include "models/nic/buf.h"
#include "models/nic/object.h"

struct nic;
struct nic_cq;
struct nic_tm;

enum nic_srq_kind { NIC_SRQ_BASIC, NIC_SRQ_XRC, NIC_SRQ_RMP, NIC_SRQ_TM };
enum nic_srq_state { NIC_SRQ_OK, NIC_SRQ_ERROR };

struct nic_srq {
	struct nic_obj obj;
	struct nic *nic;
	struct mdl_dma dma;   /* under lock */
	pthread_mutex_t lock; /* after rsp.lock, before CQs */
	uint8_t kind, state;
	uint8_t log_size, log_stride;
	bool cyclic; /* basic_cyclic_rcv_wqe: a ring, not a linked list */
	uint32_t pd, xrcd, user_index;
	struct nic_cq *cq; /* XRC and tag matching only */
	struct nic_tm *tm; /* tag matching only */
	struct nic_buf buf;
	uint64_t db_addr;
	/* under lock, data */
	uint16_t head;	/* index of the next entry to take; its successor is read when taking the
			    * entry after it (the driver links entries late) */
	bool head_used; /* head was taken: follow its link first */
	uint16_t taken; /* counter of entries taken, compared with the doorbell record */
	uint16_t lwm;	/* limit; 0 = not armed. Below it: one event, then 0 */
};

#endif
