/* SPDX-License-Identifier: MIT */
/*
 * Named fault points. Each device has the door's own and those its model names; a test arms one
 * through the control socket. An unarmed point costs one relaxed load.
 *
 * The door's points: "dma.host.read", "dma.host.write", "dma.peer.read", "dma.peer.write",
 * "dma.link", "irq". Actions the door knows: drop, corrupt, delay, error.
 */
#ifndef PEERDMA_MODELS_COMMON_FAULT_H
#define PEERDMA_MODELS_COMMON_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct mdl_device;

enum mdl_fault_action {
	MDL_FAULT_NONE,
	MDL_FAULT_DROP,	   /* pretend it happened */
	MDL_FAULT_CORRUPT, /* flip one bit */
	MDL_FAULT_DELAY,   /* wait arg microseconds */
	MDL_FAULT_ERROR,   /* fail as the point documents */
	MDL_FAULT_DUP,	   /* do it twice */
	MDL_FAULT_REORDER, /* after the next one */
	MDL_FAULT_STALL,   /* do nothing until the point is disarmed */
};

struct mdl_fault_hit {
	enum mdl_fault_action action;
	uint64_t arg;
};

/*
 * Does point idx of desc->fault_names fire now? Cheap when unarmed. Any thread. On true *ret_hit
 * says what to do; a model ignores actions that make no sense at the point.
 */
bool mdl_fault(struct mdl_device *dev, unsigned idx, struct mdl_fault_hit *ret_hit);

/*
 * Arm or disarm (action NONE) a point by name: skip the first `after` passes, then fire `count`
 * times (0 = until disarmed), each time with probability permille/1000 (0 means always).
 * Return: 0 or -ENOENT.
 */
int mdl_fault_arm(struct mdl_device *dev, const char *name, enum mdl_fault_action action,
		  uint64_t arg, uint64_t after, uint64_t count, unsigned permille);

const char *mdl_fault_action_name(enum mdl_fault_action a);
/* Return: the action, or -EINVAL for an unknown word. */
int mdl_fault_action_parse(const char *word);

#endif
