/* SPDX-License-Identifier: MIT */
/* Between rsp.c (the responder) and tm_rsp.c (messages with tags). rsp.lock held. */
#ifndef PEERDMA_MODELS_NIC_RSPINT_H
#define PEERDMA_MODELS_NIC_RSPINT_H

#include "models/nic/data.h"

/* What one run needs while the responder works on it. */
struct nic_rsp_work {
	struct nic_qp *qp;
	const struct nic_pkt *p;
	struct nic_reply *rep;
};

/* Say no, and stop serving this peer. */
void nic_rsp_refuse(struct nic_rsp_work *w, enum nic_answer kind, uint8_t event);
/* No entry can be taken: -EAGAIN when there is none, or an error of the door. */
void nic_rsp_no_entry(struct nic_rsp_work *w, int err);
/* The run is done. */
void nic_rsp_ack(struct nic_rsp_work *w);
/* The entry e is the message's. */
void nic_rsp_hold_entry(struct nic_qp *qp, const struct nic_rwqe *e);
/* A SEND into a receive entry. */
void nic_rsp_send(struct nic_rsp_work *w);
/* The payload to e's memory. Return: false after an answer; *ret_x is then the reason, if ours. */
bool nic_rsp_scatter(struct nic_rsp_work *w, const struct nic_rwqe *e, enum nic_xlt *ret_x);
/* What comes with the last packet. Return: false after an answer was decided. */
bool nic_rsp_end_of_send(struct nic_rsp_work *w, struct nic_cqe *cqe);

#endif
