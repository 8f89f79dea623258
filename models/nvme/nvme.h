/* SPDX-License-Identifier: MIT */
/* The NVMe controller model: a device of models/common that follows SPEC.rst. */
#ifndef PEERDMA_MODELS_NVME_NVME_H
#define PEERDMA_MODELS_NVME_NVME_H

#include <stdbool.h>
#include <stdint.h>

struct mdl_device;
struct mdl_node;

#define NVME_MAX_NAMESPACES 8
#define NVME_CMB_MIN	    (UINT64_C(2) << 20)
#define NVME_CMB_MAX	    (UINT64_C(1) << 30)
#define NVME_NS_MAX	    (UINT64_C(1) << 40) /* bytes */

struct nvme_ns_cfg {
	const char *path; /* the file; locked against a second user */
	uint64_t size;	  /* bytes: create or extend it, sparse; 0: as it is */
	unsigned block;	  /* bytes: 512 or 4096 */
};

struct nvme_cfg {
	const char *serial; /* printable, at most 20 characters */
	uint64_t cmb_size;  /* power of two from NVME_CMB_MIN to NVME_CMB_MAX, or 0 for none */
	bool cmb_legacy;    /* always enabled and at the BAR's address, as before NVMe 1.4 */
	uint64_t cache;	    /* bytes of the volatile write cache */
	struct nvme_ns_cfg ns[NVME_MAX_NAMESPACES];
	unsigned n_ns;
};

/*
 * Create a controller on a node; strings of cfg are needed during the call only. Let it serve with
 * mdl_device_listen(), end it with mdl_device_destroy(), which writes the cache back.
 * Return: 0 with *ret_dev set; -EINVAL for cfg, or a file without a whole block; -EBUSY for a file
 * that another has locked; -errno of opening the file; or what mdl_device_create(),
 * mdl_mem_create() or mdl_worker_create() return.
 */
int nvme_create(struct mdl_node *node, const char *name, const struct nvme_cfg *cfg,
		struct mdl_device **ret_dev);

#endif
