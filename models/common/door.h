/* SPDX-License-Identifier: MIT */
/* Shared by the files of the DMA door: door.c (copies), door_word.c (words and visits). */
#ifndef PEERDMA_MODELS_COMMON_DOOR_H
#define PEERDMA_MODELS_COMMON_DOOR_H

#include "models/common/internal.h"

/* Bytes through one door call not yet added to the device's counters. */
struct mdl_tally {
	struct mdl_device *dev;
	enum mdl_class cls;
	enum mdl_target target;
	bool write;
	uint64_t bytes, ops;
};

void mdl_tally_add(struct mdl_tally *t, enum mdl_target target, uint64_t bytes);
void mdl_tally_flush(struct mdl_tally *t);

/* 0, or why d can't be used for space any more. */
int mdl_door_gate_locked(const struct mdl_dma *d, enum mdl_space space);

/* Does a fault of the door strike a data transfer to or from target? */
bool mdl_door_fault(struct mdl_device *dev, enum mdl_class cls, enum mdl_target target, bool write,
		    struct mdl_fault_hit *ret_hit);

/* What a fault of kind delay asks for; no lock held. */
void mdl_door_delay(uint64_t us);

/*
 * Move up to len bytes, as many as one span holds, between buf and an address, on whichever route
 * it takes. No lock held. Return: bytes moved (1 to len) or -errno.
 */
int64_t mdl_door_piece(struct mdl_tally *t, struct mdl_dma *d, enum mdl_space space, uint64_t addr,
		       void *buf, size_t len);

#endif
