/* SPDX-License-Identifier: MIT */
/* The accelerator model: a device of models/common that follows SPEC.rst. */
#ifndef PEERDMA_MODELS_ACCEL_ACCEL_H
#define PEERDMA_MODELS_ACCEL_ACCEL_H

#include <stdint.h>

struct mdl_device;
struct mdl_node;

/*
 * Create an accelerator on a node; vram_size is a power of two, 64 MiB to 16 GiB, and costs memory
 * only where it was written. Let it serve with mdl_device_listen(), end it with
 * mdl_device_destroy().
 * Return: 0 with *ret_dev set; -EINVAL for the size; or what mdl_device_create(),
 * mdl_mem_create() or mdl_worker_create() return.
 */
int accel_create(struct mdl_node *node, const char *name, uint64_t vram_size,
		 struct mdl_device **ret_dev);

#endif
