/* SPDX-License-Identifier: MIT */
/* A window through which one device reaches memory in another device's BAR. */
#ifndef PEERDMA_LIB_DEV_PEER_H
#define PEERDMA_LIB_DEV_PEER_H

#include "lib/dev/dev.h"
#include "lib/sysfs/path.h"

struct pdmai_peer {
	struct pdmai_dev *from;
	uint64_t addr; /* what from puts on the bus for offset 0 of the window */
	uint64_t len;
	enum pdmai_route route;
	bool mapped; /* addr is an IOVA */
};

/*
 * Let from reach len bytes at off (whole pages) of a BAR of to: by bus address where a switch turns
 * requests round or where there is no IOMMU, through the IOMMU otherwise. Both devices must be of
 * one container then. Return: 0; -EINVAL; -ENODEV: no such BAR; or of route and mapping.
 */
int pdmai_peer_map(const char *root, struct pdmai_dev *from, struct pdmai_dev *to, unsigned bar,
		   uint64_t off, uint64_t len, struct pdmai_peer *ret_peer);

/* The same by a given route, whatever the topology says; for tests. */
int pdmai_peer_map_by(enum pdmai_route route, struct pdmai_dev *from, struct pdmai_dev *to,
		      unsigned bar, uint64_t off, uint64_t len, struct pdmai_peer *ret_peer);

/* All zero is allowed. */
void pdmai_peer_unmap(struct pdmai_peer *peer);

#endif
