/* SPDX-License-Identifier: MIT */
/* How a device that this process drives reaches a piece of a region. With the context's lock. */
#ifndef PEERDMA_LIB_REGION_REACH_H
#define PEERDMA_LIB_REGION_REACH_H

#include "lib/dev/peer.h"
#include "lib/region/region.h"
#include "peerdma/path.h"

struct pdmai_reach {
	uint64_t addr;		   /* of the piece's first byte, as the device puts it on the bus */
	enum pdma_mapping mapping; /* NONE: nothing is set up */
	char detour[PDMA_DETOUR_LEN]; /* why not the shorter way there is, "" */
	struct pdmai_peer peer;	      /* the window, if it took one */
	struct pdmai_dev *from;
	uint64_t iova, iova_len; /* the mapping, if it took one */
};

/*
 * Whole pages around the piece. Memory of another function is reached by its bus address where a
 * switch turns requests round or where there is no IOMMU, if the address is known; all else through
 * the IOMMU. vaddr: where the piece is mapped for the processor, NULL if it is not.
 * Return: 0; -EOPNOTSUPP: out of the device's reach; as pdmai_peer_map() and pdmai_dev_dma_map().
 */
int pdmai_reach_make(struct pdmai_dev *from, const struct pdmai_piece *piece, void *vaddr,
		     struct pdmai_reach *ret_reach);
/* All zero is allowed. */
void pdmai_reach_end(struct pdmai_reach *reach);

/*
 * Does it take a mapping of the whole region for the processor to reach it? For host memory, and
 * for memory that only its own driver maps.
 */
bool pdmai_reach_by_pointer(const struct pdma_region *region);

#endif
