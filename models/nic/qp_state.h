/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_MODELS_NIC_QP_STATE_H
#define PEERDMA_MODELS_NIC_QP_STATE_H

#include <stdint.h>

struct nic_qp;

/* Write the attributes transitions set into a context; both locks held. */
void nic_qp_show_attr(const struct nic_qp *qp, uint8_t *x);

#endif
