/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_MODELS_NIC_QP_STATE_H
#define PEERDMA_MODELS_NIC_QP_STATE_H

#include <stdint.h>

struct nic_cmd;
struct nic_qp;

/* Write the attributes transitions set into a context; both locks held. */
void nic_qp_show_attr(const struct nic_qp *qp, uint8_t *x);

/* The queue pair a command names; NULL with the syndrome set if there is none. A DCT is none. */
struct nic_qp *nic_qp_named(struct nic_cmd *c);

/* Of every creation: make both halves ready; then, when nothing can fail any more, show it. */
uint8_t nic_qp_start(struct nic_cmd *c, struct nic_qp *qp);
void nic_qp_publish(struct nic_qp *qp);

#endif
