/* SPDX-License-Identifier: MIT */
/* What ends an object that no table shows any more and no worker can still hold. */
#ifndef PEERDMA_MODELS_NIC_FREE_H
#define PEERDMA_MODELS_NIC_FREE_H

struct nic;
struct nic_qp;
struct nic_srq;
struct nic_cq;
struct nic_eq;
struct nic_mkey;
struct nic_general;

void nic_qp_free(struct nic *nic, struct nic_qp *qp);
void nic_srq_free(struct nic *nic, struct nic_srq *q);
void nic_cq_free(struct nic *nic, struct nic_cq *cq);
void nic_eq_free(struct nic *nic, struct nic_eq *eq);
void nic_mkey_free(struct nic *nic, struct nic_mkey *mk);
void nic_general_free(struct nic *nic, struct nic_general *g);

#endif
