/* SPDX-License-Identifier: MIT */
/* Subnet administration: a query, and what the files of records give to it. */
#ifndef PEERDMA_MODELS_NIC_SA_H
#define PEERDMA_MODELS_NIC_SA_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/ib_mad.h"

struct nic;

#define NIC_SA_MAX_BYTES (64u * 1024u) /* of one answer */

/* One component: bit n of the mask asks for equality of this field, or of len bytes at off. */
struct nic_sa_comp {
	uint8_t bit;
	uint8_t len; /* bytes, or 0: use f */
	uint16_t off;
	mlx5_field f;
};

struct nic_sa_query {
	struct nic *viewer;  /* who asks */
	const uint8_t *want; /* 200 bytes of attribute data */
	uint64_t comps;
	uint32_t mod; /* attribute modifier */
	const struct nic_sa_row *row;
	uint8_t *recs;
	uint32_t n, cap; /* records in recs, and room */
	bool overflow, no_memory;
};

struct nic_sa_row {
	uint16_t attr;
	uint16_t size; /* of a record, a multiple of 8 */
	const struct nic_sa_comp *comps;
	/* Offer every record there is (of what the viewer sees) to nic_sa_emit. */
	void (*each)(struct nic_sa_query *q);
};

/* Add rec (row->size bytes) if it is what is wanted. */
void nic_sa_emit(struct nic_sa_query *q, const uint8_t *rec);

/* Does a value satisfy what was asked with a selector (greater, less, equal, best)? */
bool nic_sa_selects(uint32_t selector, uint32_t want, uint32_t have);

static inline bool nic_sa_has(uint64_t comps, unsigned bit)
{
	return comps >> bit & 1;
}

/* sa_rec.c, sa_path.c, sa_mc.c */
extern const struct nic_sa_row nic_sa_records[];
extern const unsigned nic_sa_n_records;
void nic_sa_each_path(struct nic_sa_query *q);
extern const struct nic_sa_comp nic_sa_path_comps[];
void nic_sa_each_member(struct nic_sa_query *q);
extern const struct nic_sa_comp nic_sa_member_comps[];

/* Join or leave; rec is the request's record and becomes the answer's. Return: MAD status. */
uint16_t nic_sa_join(struct nic *nic, uint64_t comps, uint8_t *rec);
uint16_t nic_sa_leave(struct nic *nic, uint64_t comps, uint8_t *rec);

#endif
