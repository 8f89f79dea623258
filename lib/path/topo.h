/* SPDX-License-Identifier: MIT */
/* The snapshot behind struct pdma_topo, and what verdicts need to be quick. */
#ifndef PEERDMA_LIB_PATH_TOPO_H
#define PEERDMA_LIB_PATH_TOPO_H

#include "lib/path/config.h"
#include "lib/path/rules.h"
#include "lib/path/tree.h"
#include "lib/sysfs/pci.h"
#include "peerdma/path.h"

#define PDMAI_NONE PDMA_NO_FUNCTION

/* Options of the kernel that peer-to-peer needs (options.c has the names). */
enum pdmai_option {
	PDMAI_OPT_P2PDMA,
	PDMAI_OPT_DMABUF,
	PDMAI_OPT_MOVE_NOTIFY,
	PDMAI_OPT_VFIO_DMABUF,
	PDMAI_OPT_DEVICE_PRIVATE,
	PDMAI_OPT_HMM_MIRROR,
	PDMAI_OPT_INFINIBAND,
	PDMAI_OPT_ODP,
	PDMAI_OPT_ZONE_DEVICE,
	PDMAI_OPTIONS
};

struct pdmai_node {
	struct pdma_function f;
	struct pdmai_ports ports;
	int group;  /* index of the IOMMU group, -1 */
	char *path; /* "pci0000:00/0000:00:01.0/0000:01:00.0"; NULL after loading */

	uint32_t asleep; /* function whose decode is off: this one or a bridge above; PDMAI_NONE */
};

/*
 * What a verdict looks at of both ends, worked out by pdmai_topo_finish(). Small, for all pairs of
 * a large machine look at it.
 */
struct pdmai_hot {
	uint64_t top;	/* last byte of its memory BARs */
	uint64_t reach; /* last address that it can put on the bus */
	uint32_t parent;
	uint32_t host;
	int32_t group; /* index of the IOMMU group, -1 */
	/* Counts: from the root down to here, this one included. */
	uint16_t n_redirect; /* functions whose ACS control redirects, by the rules */
	uint16_t n_unread;   /* functions whose ACS control could not be read */
	uint8_t redirects, unread;
	uint8_t broken;	    /* enum pdma_cause that keeps everyone from its memory, 0 for none */
	uint8_t translated; /* its IOMMU does not pass addresses on as they are */
	uint8_t lacks;	    /* the kernel cannot map peers for it */
};

struct pdmai_group {
	int id;
	enum pdma_iommu type;
	uint64_t last; /* last address the IOMMU can translate to; UINT64_MAX: not known */
	struct pdma_window *reserved;
	unsigned n_reserved;
	bool meets_bar; /* some BAR lies in a reserved range */
};

struct pdmai_host {
	struct pdma_host h;
	enum pdmai_listed listed;
};

struct pdma_topo {
	struct pdma_system system;
	struct pdmai_rules rules;
	enum pdma_known options[PDMAI_OPTIONS];
	struct pdmai_node *nodes; /* in the order of the tree */
	struct pdmai_hot *hot;	  /* of each node */
	uint32_t n;
	struct pdmai_host *hosts;
	uint32_t n_hosts;
	struct pdmai_group *groups;
	uint32_t n_groups;
};

/*
 * Load from a tree. sys: "sys/", or "" when the root is /sys itself (then nothing but functions
 * and groups is known). Return: as pdma_topo_load().
 */
int pdmai_topo_load(const struct pdmai_tree *tree, const char *sys, struct pdma_topo **ret_topo);

/*
 * Load no more than two functions and the bridges above them, and of these no more than config
 * space. Return: as above; -ENODEV: one of them does not exist.
 */
int pdmai_topo_load_pair(const struct pdmai_tree *tree, const char *sys, const char *a,
			 const char *b, struct pdma_topo **ret_topo);

/*
 * Complete a topology whose nodes have f, ports and parents in tree order, whose system is known
 * and whose hosts have names: what the rules say of each. Return: 0, -ENOMEM.
 */
int pdmai_topo_finish(struct pdma_topo *topo);

/* Role, importer, exporter, from what else is known. */
void pdmai_role_find(struct pdma_function *function);

/* ---- parts of loading ---- */

/* One function: everything but parent and host. dir: "sys/bus/pci/devices/BDF". */
void pdmai_load_function(const struct pdmai_tree *tree, const char *dir, struct pdmai_node *node);
/* The same from config space alone. */
void pdmai_load_ports(const struct pdmai_tree *tree, const char *dir, struct pdmai_node *node);
/* The IOMMU groups that nodes are in. Return: 0, -ENOMEM. */
int pdmai_load_groups(const struct pdmai_tree *tree, const char *sys, struct pdma_topo *topo);
/* Kernel, processor, kernel options. */
void pdmai_load_system(const struct pdmai_tree *tree, struct pdma_topo *topo);

/* "CONFIG_" is left out. */
extern const char *const pdmai_option_names[PDMAI_OPTIONS];

/* Parse "dddd:bb:dd.f" with a domain of up to eight digits. Return: is it one? */
bool pdmai_is_bdf(const char *text);

static inline bool pdmai_is_bridge(const struct pdmai_node *node)
{
	return node->f.kind != PDMA_FUNCTION_ENDPOINT;
}

static inline bool pdmai_is_user_driver(const struct pdma_function *f)
{
	return pdmai_is_vfio_driver(f->driver) || !__builtin_strncmp(f->driver, "uio", 3) ||
	       !__builtin_strncmp(f->driver, "igb_uio", 7);
}

#endif
