/* SPDX-License-Identifier: MIT */
/* CPU mappings of pieces, and copying to and from device memory. */
#ifndef PEERDMA_LIB_REGION_MAP_H
#define PEERDMA_LIB_REGION_MAP_H

#include "lib/region/region.h"

struct pdmai_map {
	void *base; /* ours to unmap, NULL when somebody else keeps it */
	uint64_t len;
	void *vaddr; /* of the first byte */
};

/* Map n pieces, len bytes together, one behind the other. Return: as pdma_region_map(). */
int pdmai_pieces_map(const struct pdmai_piece *pieces, unsigned n, uint64_t len, bool write,
		     struct pdmai_map *ret_map);
void pdmai_pieces_unmap(struct pdmai_map *map);

/* Make the region's mapping fault; nobody else reads it meanwhile. */
void pdmai_region_pull_map(struct pdma_region *r);

/*
 * Copy in aligned words of 8 bytes on the side that is a device's, single bytes at its ends only.
 */
void pdmai_copy_from_device(void *to, const volatile void *from, uint64_t len);
void pdmai_copy_to_device(volatile void *to, const void *from, uint64_t len);

#endif
