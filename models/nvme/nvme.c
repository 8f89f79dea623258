// SPDX-License-Identifier: MIT
/* The controller as a device of models/common: creation, PCI resets, end. */
#include "models/nvme/nvme.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "models/common/log.h"
#include "models/nvme/internal.h"

static const char *const counter_names[NVME_COUNTERS] = {
#define X(id, name) [NVME_C_##id] = name,
	NVME_COUNTERS_LIST(X)
#undef X
};

static const char *const fault_names[NVME_FAULTS] = {
#define X(id, name) [NVME_FP_##id] = name,
	NVME_FAULT_POINTS(X)
#undef X
};

struct mdl_fault_hit nvme_fault(struct nvme *c, enum nvme_fault point)
{
	struct mdl_fault_hit hit;

	if (!mdl_fault(c->dev, point, &hit))
		hit = (struct mdl_fault_hit){ .action = MDL_FAULT_NONE };
	return hit;
}

/* A machine that is switched off takes the write cache with it, unless it was shut down first. */
static void switched_off_locked(struct nvme *c)
{
	if (c->state != NVME_OFF && c->shst != NVME_CSTS_SHST_DONE)
		c->unsafe++;
	if (c->shst != NVME_CSTS_SHST_DONE)
		c->lose_cache = true;
	c->power_cycles++;
}

/* The door has already stopped all DMA of the work that is dropped here. */
static void reset(struct mdl_device *dev, enum mdl_reset kind)
{
	struct nvme *c = mdl_device_priv(dev);
	bool keep = kind != MDL_RESET_DISCONNECT && kind != MDL_RESET_BUS, bad;
	uint64_t msc;

	pthread_mutex_lock(&c->lock);
	if (kind == MDL_RESET_DISCONNECT)
		switched_off_locked(c);
	msc = keep ? c->cmbmsc : 0;
	bad = keep && c->cmb_bad;
	nvme_reset_locked(c);
	/* A function level reset leaves the address of the memory buffer. */
	c->cmbmsc = msc;
	c->cmb_bad = bad;
	c->nssro = false;
	pthread_mutex_unlock(&c->lock);
	mdl_count(dev, NVME_C_RESET);
	if (kind == MDL_RESET_DISCONNECT && c->cmb && madvise(c->cmb, c->cmb_size, MADV_REMOVE))
		mdl_log(dev, MDL_WARN, "cannot clear the memory buffer: %s", strerror(errno));
	if (c->worker)
		mdl_worker_kick(c->worker);
}

static void nvme_free(struct nvme *c)
{
	unsigned i;

	for (i = 0; i < c->n_ns; i++)
		nvme_ns_close(&c->ns[i]);
	free(c->bounce);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* What a shutdown would have done; what a lost machine loses is lost by now. */
static void write_all_back(struct nvme *c)
{
	uint64_t cursor;
	unsigned i;

	for (i = 0; i < c->n_ns; i++) {
		cursor = 0;
		while (nvme_media_write_back(c, &c->ns[i], &cursor) > 0)
			;
	}
}

static void destroy(struct mdl_device *dev)
{
	struct nvme *c = mdl_device_priv(dev);
	unsigned i;

	mdl_worker_destroy(c->worker);
	mdl_worker_destroy(c->syncer);
	for (i = 0; c->lose_cache && i < c->n_ns; i++)
		nvme_media_lose(&c->ns[i]);
	write_all_back(c);
	nvme_free(c);
}

static const struct mdl_device_ops ops = {
	.bar_read = nvme_bar_read,
	.bar_write = nvme_bar_write,
	.reset = reset,
	.snapshot = nvme_snapshot,
	.destroy = destroy,
};

static const struct mdl_device_desc template = {
	.model = "nvme",
	.ops = &ops,
	.id = { .vendor = 0x1234,
		.device = 0x7d0b,
		.subsys_vendor = 0x1234,
		.subsys = 0x7d0b,
		.class_code = NVME_PCI_CLASS,
		.revision = 1 },
	.bars = { [NVME_BAR_REGS] = { .size = NVME_BAR_REGS_SIZE, .is_64bit = true, .fd = -1 },
		  [NVME_BAR_MSIX] = { .size = NVME_BAR_MSIX_SIZE, .fd = -1 } },
	.n_vectors = NVME_VECTORS,
	.msix_bar = NVME_BAR_MSIX,
	.msix_table_off = NVME_MSIX_TABLE,
	.msix_pba_off = NVME_MSIX_PBA,
	.counter_names = counter_names,
	.n_counters = NVME_COUNTERS,
	.fault_names = fault_names,
	.n_faults = NVME_FAULTS,
};

static int create_device(struct mdl_node *node, const char *name, struct nvme *c)
{
	struct mdl_device_desc desc = template;
	struct mdl_bar *bar = &desc.bars[NVME_BAR_CMB];
	int err = 0;

	if (c->cmb_size) {
		*bar = (struct mdl_bar){ .size = c->cmb_size, .is_64bit = true, .prefetch = true };
		err = mdl_mem_create("nvme-cmb", c->cmb_size, &bar->fd, &bar->mem);
	}
	if (err)
		return err;
	desc.local_mem = c->cmb = bar->mem;
	desc.local_size = c->cmb_size;
	err = mdl_device_create(node, name, &desc, c, &c->dev);
	if (err && c->cmb_size)
		mdl_mem_destroy(bar->fd, bar->mem, c->cmb_size);
	return err;
}

static bool serial_ok(const char *serial)
{
	size_t i, len = serial ? strlen(serial) : 0;

	for (i = 0; i < len; i++)
		if (!isprint((unsigned char)serial[i]))
			return false;
	return len && len <= 20;
}

static bool cfg_ok(const struct nvme_cfg *cfg)
{
	uint64_t cmb = cfg->cmb_size;

	if (cmb && (cmb < NVME_CMB_MIN || cmb > NVME_CMB_MAX || cmb & (cmb - 1)))
		return false;
	return serial_ok(cfg->serial) && cfg->n_ns && cfg->n_ns <= NVME_MAX_NAMESPACES &&
	       cfg->cache >= NVME_MAX_DATA;
}

static struct nvme *nvme_alloc(const struct nvme_cfg *cfg, int *ret_err)
{
	struct nvme *c = calloc(1, sizeof(*c));
	unsigned i;
	int err = 0;

	*ret_err = -ENOMEM;
	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	strcpy(c->serial, cfg->serial);
	c->cmb_legacy = cfg->cmb_legacy;
	c->cmb_size = cfg->cmb_size;
	c->cache_limit = cfg->cache;
	c->born_ns = mdl_now_ns();
	c->power_cycles = 1;
	nvme_features_reset(c);
	c->bounce = malloc(NVME_MAX_DATA);
	for (i = 0; i < cfg->n_ns && !err; i++)
		err = nvme_ns_open(c, &cfg->ns[i]);
	*ret_err = err;
	if (c->bounce && !err)
		return c;
	nvme_free(c);
	return NULL;
}

static int create_workers(struct nvme *c, const char *name)
{
	char thread[16];
	int err;

	snprintf(thread, sizeof(thread), "%.10s-sync", name);
	err = mdl_worker_create(thread, nvme_sync_work, c, &c->syncer);
	snprintf(thread, sizeof(thread), "%.15s", name);
	return err ? err : mdl_worker_create(thread, nvme_work, c, &c->worker);
}

int nvme_create(struct mdl_node *node, const char *name, const struct nvme_cfg *cfg,
		struct mdl_device **ret_dev)
{
	struct mdl_device *dev;
	struct nvme *c;
	int err = -EINVAL;

	c = cfg_ok(cfg) ? nvme_alloc(cfg, &err) : NULL;
	if (!c)
		return err;
	err = create_device(node, name, c);
	if (err) {
		nvme_free(c);
		return err;
	}
	dev = c->dev;
	err = create_workers(c, name);
	if (err) {
		mdl_device_destroy(dev);
		return err;
	}
	*ret_dev = dev;
	return 0;
}
