/* SPDX-License-Identifier: MIT */
/* Where a queue's memory comes from in a CREATE command: an address list in the command itself,
 * or user memory registered by CREATE_UMEM. */
#ifndef PEERDMA_MODELS_NIC_RING_H
#define PEERDMA_MODELS_NIC_RING_H

#include "models/nic/buf.h"
#include "models/nic/cmd.h"

struct nic_ring_src {
	uint32_t pas_off;     /* of the list in the command */
	unsigned log_page;    /* log2 of the page size less 12, as contexts have it */
	unsigned page_offset; /* units of 1/64 page */
	uint64_t size;
	bool umem;
	uint32_t umem_id;
	uint64_t umem_off;
};

/* Make b of it. Return: NIC_OK, or a status with its syndrome in c. */
uint8_t nic_ring_init(struct nic_cmd *c, const struct nic_ring_src *s, struct nic_buf *b);

/* Is addr fit for a doorbell record, and where is it: an address, or an offset into a umem. */
uint8_t nic_dbr_init(struct nic_cmd *c, uint64_t addr, bool umem, uint32_t umem_id,
		     uint64_t *ret_addr);

#endif
