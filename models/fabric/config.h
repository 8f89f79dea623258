/* SPDX-License-Identifier: MIT */
/* The fabric's configuration file: JSON, described in docs/fabric.md. Unknown keys are errors. */
#ifndef PEERDMA_MODELS_FABRIC_CONFIG_H
#define PEERDMA_MODELS_FABRIC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAB_PATH_MAX	108 /* of a Unix socket */
#define FAB_NAME_MAX	32
#define FAB_MAX_NODES	16
#define FAB_MAX_DEVICES 64 /* a node */
#define FAB_MAX_LINKS	64
#define FAB_FILE_MAX	256 /* of a path of a file */
#define FAB_MAX_NS	8   /* namespaces of an NVMe controller */

struct fab_ns_cfg {
	char path[FAB_FILE_MAX];
	uint64_t size;	/* bytes; 0 = as the file is */
	uint64_t block; /* bytes; 0 = the model's default */
};

struct fab_device_cfg {
	char name[FAB_NAME_MAX];
	char model[FAB_NAME_MAX];
	char socket[FAB_PATH_MAX];
	char sw[FAB_NAME_MAX]; /* switch it sits below; empty: a root port of its own */
	bool acs_redirect;
	uint64_t vram; /* bytes; 0 = the model's default */
	/* of an NVMe controller */
	uint64_t cmb, cache; /* bytes; 0 = the model's default */
	bool no_cmb, cmb_legacy;
	struct fab_ns_cfg ns[FAB_MAX_NS];
	unsigned n_ns;
};

struct fab_node_cfg {
	char name[FAB_NAME_MAX];
	char qmp[FAB_PATH_MAX]; /* empty: none */
	bool host_bridge_p2p, iommu;
	struct fab_device_cfg dev[FAB_MAX_DEVICES];
	unsigned n_devs;
};

struct fab_config {
	char control[FAB_PATH_MAX];
	struct fab_node_cfg node[FAB_MAX_NODES];
	unsigned n_nodes;
	char link[FAB_MAX_LINKS][2][2 * FAB_NAME_MAX]; /* "node/device" */
	unsigned n_links;
};

/*
 * Read path. On failure nothing is kept and why (size n) holds one sentence.
 * Return: 0, -EINVAL, or -errno of reading. Free *ret_cfg with free().
 */
int fab_config_load(const char *path, struct fab_config **ret_cfg, char *why, size_t n);

#endif
