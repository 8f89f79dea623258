// SPDX-License-Identifier: MIT
#include "models/fabric/lab.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/accel/accel.h"
#include "models/common/device.h"
#include "models/common/log.h"
#include "models/common/node.h"
#include "models/fabric/qmp.h"
#include "models/nic/nic.h"
#include "models/nvme/nvme.h"

#define DEFAULT_VRAM  (UINT64_C(256) << 20)
#define DEFAULT_CMB   (UINT64_C(64) << 20)
#define DEFAULT_CACHE (UINT64_C(64) << 20)
#define DEFAULT_BLOCK 512

_Static_assert(FAB_MAX_NS <= NVME_MAX_NAMESPACES, "every namespace of a configuration has a place");

struct fab_lab {
	const struct fab_config *cfg;
	struct mdl_node *node[FAB_MAX_NODES];
};

struct model {
	const char *name;
	int (*create)(struct mdl_node *node, const struct fab_device_cfg *cfg,
		      struct mdl_device **ret_dev);
};

static int create_accel(struct mdl_node *node, const struct fab_device_cfg *cfg,
			struct mdl_device **ret_dev)
{
	return accel_create(node, cfg->name, cfg->vram ? cfg->vram : DEFAULT_VRAM, ret_dev);
}

static int create_nic(struct mdl_node *node, const struct fab_device_cfg *cfg,
		      struct mdl_device **ret_dev)
{
	return nic_create(node, cfg->name, ret_dev);
}

/* A number that says which disk of the lab it is: the end of "peerdma-NODE-DEVICE" at most. */
static void make_serial(const struct mdl_node *node, const char *name, char serial[21])
{
	char whole[2 * FAB_NAME_MAX + 16];
	size_t len;

	snprintf(whole, sizeof(whole), "peerdma-%s-%s", mdl_node_name(node), name);
	len = strlen(whole);
	strcpy(serial, whole + (len > 20 ? len - 20 : 0));
}

static int create_nvme(struct mdl_node *node, const struct fab_device_cfg *cfg,
		       struct mdl_device **ret_dev)
{
	struct nvme_cfg n = { .cmb_legacy = cfg->cmb_legacy, .n_ns = cfg->n_ns };
	char serial[21];
	unsigned i;

	make_serial(node, cfg->name, serial);
	n.serial = serial;
	if (!cfg->no_cmb)
		n.cmb_size = cfg->cmb ? cfg->cmb : DEFAULT_CMB;
	n.cache = cfg->cache ? cfg->cache : DEFAULT_CACHE;
	for (i = 0; i < cfg->n_ns; i++) {
		const struct fab_ns_cfg *ns = &cfg->ns[i];

		if (ns->block > UINT32_MAX)
			return -EINVAL;
		n.ns[i].path = ns->path;
		n.ns[i].size = ns->size;
		n.ns[i].block = ns->block ? (unsigned)ns->block : DEFAULT_BLOCK;
	}
	return nvme_create(node, cfg->name, &n, ret_dev);
}

static const struct model models[] = {
	{ "accel", create_accel },
	{ "nic", create_nic },
	{ "nvme", create_nvme },
};
#define N_MODELS (sizeof(models) / sizeof(models[0]))

const char *fab_model_name(unsigned i)
{
	return i < N_MODELS ? models[i].name : NULL;
}

static const struct model *model_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < N_MODELS; i++)
		if (!strcmp(models[i].name, name))
			return &models[i];
	return NULL;
}

/* Devices ask at most once each; one question at a time is plenty. */
static int iommu_root(void *arg, const char *dev_name, struct mdl_iommu_root *ret_root)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	const struct fab_node_cfg *cfg = arg;
	int err;

	if (!cfg->qmp[0])
		return -ENOENT;
	pthread_mutex_lock(&one);
	err = fab_qmp_iommu_root(cfg->qmp, dev_name, ret_root);
	pthread_mutex_unlock(&one);
	if (err)
		mdl_log(NULL, MDL_WARN, "%s/%s: IOMMU tables not found: %s", cfg->name, dev_name,
			strerror(-err));
	return err;
}

/* A number for a switch name: that of the first device below it. */
static int switch_number(const struct fab_node_cfg *cfg, const char *name)
{
	unsigned i;

	for (i = 0; name[0] && i < cfg->n_devs; i++)
		if (!strcmp(cfg->dev[i].sw, name))
			return (int)i;
	return -1;
}

static int create_device(struct mdl_node *node, const struct fab_node_cfg *ncfg,
			 const struct fab_device_cfg *cfg, char *why, size_t n)
{
	const struct model *model = model_by_name(cfg->model);
	struct mdl_device *dev;
	int err;

	if (!model) {
		snprintf(why, n, "%s/%s: no model \"%s\"", ncfg->name, cfg->name, cfg->model);
		return -EINVAL;
	}
	err = model->create(node, cfg, &dev);
	if (!err) {
		mdl_device_place(dev, switch_number(ncfg, cfg->sw), cfg->acs_redirect);
		err = mdl_device_listen(dev, cfg->socket);
	}
	if (err)
		snprintf(why, n, "%s/%s: %s", ncfg->name, cfg->name, strerror(-err));
	return err;
}

static bool node_known(const struct fab_lab *lab, const char *name)
{
	unsigned i;

	for (i = 0; i < FAB_MAX_NODES; i++)
		if (lab->node[i] && !strcmp(mdl_node_name(lab->node[i]), name))
			return true;
	return false;
}

static int create_node(struct fab_lab *lab, unsigned idx, char *why, size_t n)
{
	const struct fab_node_cfg *cfg = &lab->cfg->node[idx];
	const struct mdl_node_cfg ncfg = { .name = cfg->name,
					   .host_bridge_p2p = cfg->host_bridge_p2p,
					   .iommu = cfg->iommu,
					   .iommu_root = iommu_root,
					   .arg = (void *)(uintptr_t)cfg };
	unsigned i;
	int err;

	err = node_known(lab, cfg->name) ? -EEXIST : mdl_node_create(&ncfg, &lab->node[idx]);
	if (err)
		snprintf(why, n, "node %s: %s", cfg->name, strerror(-err));
	for (i = 0; i < cfg->n_devs && !err; i++)
		err = create_device(lab->node[idx], cfg, &cfg->dev[i], why, n);
	return err;
}

static int join(struct fab_lab *lab, const char *a, const char *b, char *why, size_t n)
{
	struct mdl_device *da = fab_lab_find(lab, a), *db = fab_lab_find(lab, b);
	int err;

	if (!da || !db) {
		snprintf(why, n, "link %s to %s: no device of the name %s, or several", a, b,
			 da ? b : a);
		return -EINVAL;
	}
	err = strcmp(mdl_device_model(da), mdl_device_model(db)) != 0 ? -EINVAL : mdl_link(da, db);
	if (err)
		snprintf(why, n, "link %s to %s: %s", a, b, strerror(-err));
	/* Busy is an end that is linked already, or both ends one: the configuration is wrong. */
	return err == -EBUSY ? -EINVAL : err;
}

int fab_lab_create(const struct fab_config *cfg, struct fab_lab **ret_lab, char *why, size_t n)
{
	struct fab_lab *lab = calloc(1, sizeof(*lab));
	unsigned i;
	int err = 0;

	if (!lab) {
		snprintf(why, n, "out of memory");
		return -ENOMEM;
	}
	lab->cfg = cfg;
	for (i = 0; i < cfg->n_nodes && !err; i++)
		err = create_node(lab, i, why, n);
	for (i = 0; i < cfg->n_links && !err; i++)
		err = join(lab, cfg->link[i][0], cfg->link[i][1], why, n);
	if (err) {
		fab_lab_destroy(lab);
		return err;
	}
	*ret_lab = lab;
	return 0;
}

void fab_lab_destroy(struct fab_lab *lab)
{
	struct mdl_device *dev;
	unsigned i;

	for (i = 0; i < FAB_MAX_NODES; i++) {
		if (!lab->node[i])
			continue;
		while ((dev = mdl_node_first(lab->node[i])))
			mdl_device_destroy(dev);
	}
	for (i = 0; i < FAB_MAX_NODES; i++)
		mdl_node_destroy(lab->node[i]);
	free(lab);
}

unsigned fab_lab_nodes(const struct fab_lab *lab)
{
	return lab->cfg->n_nodes;
}

struct mdl_node *fab_lab_node(const struct fab_lab *lab, unsigned i)
{
	return lab->node[i];
}

static bool named(const struct mdl_device *dev, const char *name)
{
	const char *node = mdl_node_name(mdl_device_node(dev)), *slash = strchr(name, '/');

	if (!slash)
		return !strcmp(mdl_device_name(dev), name);
	return strlen(node) == (size_t)(slash - name) && !strncmp(node, name, strlen(node)) &&
	       !strcmp(mdl_device_name(dev), slash + 1);
}

struct mdl_device *fab_lab_find(const struct fab_lab *lab, const char *name)
{
	struct mdl_device *dev, *found = NULL;
	unsigned i;

	for (i = 0; i < lab->cfg->n_nodes; i++)
		for (dev = lab->node[i] ? mdl_node_first(lab->node[i]) : NULL; dev;
		     dev = mdl_node_next(dev)) {
			if (!named(dev, name))
				continue;
			if (found)
				return NULL;
			found = dev;
		}
	return found;
}
