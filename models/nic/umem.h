/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_MODELS_NIC_UMEM_H
#define PEERDMA_MODELS_NIC_UMEM_H

#include "models/nic/object.h"

struct nic;

struct nic_umem {
	struct nic_obj obj;
	uint64_t *page;	   /* address | access bits, as given */
	uint32_t n, first; /* pages; offset of the memory in the first one */
	uint8_t shift;
};

void nic_umem_free(struct nic *nic, struct nic_umem *u);

#endif
