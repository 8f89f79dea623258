/* SPDX-License-Identifier: MIT */
/*
 * A node: one guest as the models see it. It holds the guest's memory, where each device sits in
 * the PCIe hierarchy, and which bus address belongs to which BAR.
 */
#ifndef PEERDMA_MODELS_COMMON_NODE_H
#define PEERDMA_MODELS_COMMON_NODE_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct mdl_device;
struct mdl_node;

/* Where the guest's IOMMU keeps its tables, for one device. */
struct mdl_iommu_root {
	bool enabled;  /* translation is on */
	uint64_t root; /* guest physical address of the root table */
	uint8_t bus;   /* the device's bus number ... */
	uint8_t devfn; /* ... and device and function */
};

struct mdl_node_cfg {
	const char *name;
	bool host_bridge_p2p; /* the host bridge forwards requests between its root ports */
	bool iommu;	      /* the guest has one; an address nobody mapped is then refused */
	/*
	 * Find the IOMMU's tables for a device. Called on a worker with no lock held, may take
	 * milliseconds. Return: 0 or -errno; then the slow route through QEMU is taken. May be
	 * NULL.
	 */
	int (*iommu_root)(void *arg, const char *dev_name, struct mdl_iommu_root *ret_root);
	void *arg;
};

int mdl_node_create(const struct mdl_node_cfg *cfg, struct mdl_node **ret_node);
/* All its devices must have been destroyed. NULL is allowed. */
void mdl_node_destroy(struct mdl_node *node);
const char *mdl_node_name(const struct mdl_node *node);

/* Devices in order of creation; NULL ends. Not while devices are created or destroyed. */
struct mdl_device *mdl_node_first(const struct mdl_node *node);
struct mdl_device *mdl_node_next(const struct mdl_device *dev);

/*
 * Put a device below a switch (same number = same switch) or, with -1, below a root port of its
 * own, which is where a new device sits. acs_redirect: the port above it sends peer requests up.
 */
void mdl_device_place(struct mdl_device *dev, int switch_id, bool acs_redirect);

/* Counters, state and fault points of a device as JSON; the caller owns the result. */
struct json_object *mdl_device_counters(struct mdl_device *dev);
void mdl_device_counters_reset(struct mdl_device *dev);
struct json_object *mdl_device_snapshot(struct mdl_device *dev);
struct json_object *mdl_device_faults(struct mdl_device *dev);
struct json_object *mdl_device_describe(struct mdl_device *dev);

#endif
