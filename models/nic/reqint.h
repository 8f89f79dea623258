/* SPDX-License-Identifier: MIT */
/* Between req.c (sending) and req_ack.c (answers, completions, retries). req.lock held. */
#ifndef PEERDMA_MODELS_NIC_REQINT_H
#define PEERDMA_MODELS_NIC_REQINT_H

#include "models/nic/data.h"

/* The i-th request in flight, oldest first. */
struct nic_inflight *nic_req_fl(struct nic_req *r, unsigned i);

/* Act on an answer: progress, retry, or failure. */
void nic_req_answer(struct nic_qp *qp, const struct nic_reply *rep);
/* Write an atomic's old value. Return: enum nic_answer. */
uint8_t nic_req_atomic_result(struct nic_iov *v, uint64_t old);
/* The oldest request is done: complete it. */
void nic_req_complete_head(struct nic_qp *qp);
/* The oldest request failed: complete it so, and the QP is in error. */
void nic_req_fail(struct nic_qp *qp, uint8_t syndrome);
void nic_req_post_error(struct nic_qp *qp, uint16_t idx, uint8_t opcode, uint8_t syndrome);
/* Has the acknowledge timer run out? Then send again, or give up. */
void nic_req_check_timeout(struct nic_qp *qp);
/* Start the timer when something is not acknowledged, stop it when all is. */
void nic_req_arm_timeout(struct nic_qp *qp);

#endif
