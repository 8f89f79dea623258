// SPDX-License-Identifier: MIT
/* The accelerator as a device of models/common: creation, resets, events, link, snapshot. */
#include "models/accel/accel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "models/accel/internal.h"
#include "models/common/log.h"

static const char *const counter_names[ACCEL_COUNTERS] = {
#define X(id, name) [ACCEL_C_CMD_##id] = "cmd." name,
	ACCEL_OPCODES(X)
#undef X
#define X(id, name) [ACCEL_C_BYTES_##id] = "bytes." name,
		ACCEL_OPCODES(X)
#undef X
#define X(id, name) [ACCEL_C_STATUS_##id] = "status." name,
			ACCEL_STATUSES(X)
#undef X
#define X(id, name) [ACCEL_C_RING_ERR_##id] = "ring.error." name,
				ACCEL_RING_ERRORS_LIST(X)
#undef X
#define X(id, name) [ACCEL_C_##id] = name,
					ACCEL_OTHER_COUNTERS(X)
#undef X
};

static const char *const fault_names[ACCEL_FAULTS] = {
#define X(id, name) [ACCEL_F_##id] = name,
	ACCEL_FAULT_POINTS(X)
#undef X
};

struct mdl_fault_hit accel_fault(struct accel *a, enum accel_fault point)
{
	struct mdl_fault_hit hit;

	if (!mdl_fault(a->dev, point, &hit))
		hit = (struct mdl_fault_hit){ .action = MDL_FAULT_NONE };
	return hit;
}

uint64_t accel_link_size(const struct accel *a)
{
	struct mdl_device *peer = mdl_link_peer(a->dev);

	if (!peer || !mdl_link_is_up(a->dev) || strcmp(mdl_device_model(peer), "accel") != 0)
		return 0;
	return ((const struct accel *)mdl_device_priv(peer))->vram_size;
}

void accel_event_locked(struct accel *a, uint32_t bits)
{
	a->event |= bits;
	if (a->event_enable & bits)
		accel_irq_event_locked(a);
}

void accel_fatal_locked(struct accel *a, const struct accel_ring *r)
{
	unsigned i;

	mdl_log(a->dev, MDL_WARN, "device error while serving ring %u", r->idx);
	mdl_count(a->dev, ACCEL_C_FATAL);
	a->fatal = true;
	a->error = ACCEL_ERROR_INTERNAL;
	a->error_info = r->idx;
	for (i = 0; i < ACCEL_RINGS; i++)
		if (accel_ring_is_active(&a->ring[i]))
			accel_ring_fail_locked(a, &a->ring[i], ACCEL_RING_ERR_FATAL, 0);
	accel_event_locked(a, ACCEL_EVENT_FATAL);
}

/* Everything that is not marked kept, live or running in SPEC.rst 2.1. */
void accel_reset_registers_locked(struct accel *a)
{
	unsigned i;

	a->enabled = a->fatal = a->soft_reset = false;
	a->error = a->event = a->event_enable = a->bad_access = 0;
	a->error_info = a->scratch[0] = a->scratch[1] = 0;
	a->timer_latched = false;
	for (i = 0; i < ACCEL_RINGS; i++)
		accel_ring_reset_locked(&a->ring[i]);
	a->resets++;
}

/* The door has already stopped all DMA of the work that is dropped here. */
static void reset(struct mdl_device *dev, enum mdl_reset kind)
{
	struct accel *a = mdl_device_priv(dev);

	pthread_mutex_lock(&a->lock);
	accel_reset_registers_locked(a);
	mdl_count(dev, ACCEL_C_RESET);
	pthread_mutex_unlock(&a->lock);
	/* The machine is off: its memory loses what it held. */
	if (kind == MDL_RESET_DISCONNECT && madvise(a->vram, a->vram_size, MADV_REMOVE))
		mdl_log(dev, MDL_WARN, "cannot clear VRAM: %s", strerror(errno));
	if (a->worker)
		mdl_worker_kick(a->worker);
}

static void link_changed(struct mdl_device *dev, bool up)
{
	struct accel *a = mdl_device_priv(dev);

	pthread_mutex_lock(&a->lock);
	accel_event_locked(a, ACCEL_EVENT_LINK);
	pthread_mutex_unlock(&a->lock);
}

static void accel_free(struct accel *a)
{
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++) {
		free(a->ring[i].job.src.seg);
		free(a->ring[i].job.dst.seg);
	}
	free(a->bounce);
	free(a->extent);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* VRAM belongs to the common code, which frees it after this. */
static void destroy(struct mdl_device *dev)
{
	struct accel *a = mdl_device_priv(dev);

	mdl_worker_destroy(a->worker);
	accel_free(a);
}

static const struct mdl_device_ops ops = {
	.bar_read = accel_bar_read,
	.bar_write = accel_bar_write,
	.reset = reset,
	.link_changed = link_changed,
	.snapshot = accel_snapshot,
	.destroy = destroy,
};

static bool size_ok(uint64_t size)
{
	return size >= ACCEL_VRAM_MIN && size <= ACCEL_VRAM_MAX && !(size & (size - 1));
}

static struct accel *accel_alloc(uint64_t vram_size)
{
	struct accel *a = calloc(1, sizeof(*a));
	bool ok;
	unsigned i;

	if (!a)
		return NULL;
	a->vram_size = vram_size;
	a->born_ns = mdl_now_ns();
	pthread_mutex_init(&a->lock, NULL);
	a->bounce = malloc(ACCEL_SLICE);
	a->extent = malloc(2 * ACCEL_SGL_MAX_ENTRIES * sizeof(*a->extent));
	ok = a->bounce && a->extent;
	for (i = 0; i < ACCEL_RINGS; i++) {
		struct accel_job *job = &a->ring[i].job;

		accel_ring_init(&a->ring[i], i);
		job->src.seg = malloc(ACCEL_SGL_MAX_ENTRIES * sizeof(struct mdl_seg));
		job->dst.seg = malloc(ACCEL_SGL_MAX_ENTRIES * sizeof(struct mdl_seg));
		ok = ok && job->src.seg && job->dst.seg;
	}
	if (ok)
		return a;
	accel_free(a);
	return NULL;
}

static const struct mdl_device_desc template = {
	.model = "accel",
	.ops = &ops,
	.id = { .vendor = ACCEL_PCI_VENDOR,
		.device = ACCEL_PCI_DEVICE,
		.subsys_vendor = ACCEL_PCI_VENDOR,
		.subsys = ACCEL_PCI_DEVICE,
		.class_code = ACCEL_PCI_CLASS,
		.revision = ACCEL_PCI_REVISION },
	.bars = { [ACCEL_BAR_REGS] = { .size = ACCEL_BAR_REGS_SIZE, .fd = -1 },
		  [ACCEL_BAR_VRAM] = { .is_64bit = true, .prefetch = true, .fd = -1 },
		  [ACCEL_BAR_MSIX] = { .size = ACCEL_BAR_MSIX_SIZE, .fd = -1 } },
	.n_vectors = ACCEL_VECTORS,
	.msix_bar = ACCEL_BAR_MSIX,
	.msix_table_off = ACCEL_MSIX_TABLE,
	.msix_pba_off = ACCEL_MSIX_PBA,
	.counter_names = counter_names,
	.n_counters = ACCEL_COUNTERS,
	.fault_names = fault_names,
	.n_faults = ACCEL_FAULTS,
};

static int create_device(struct mdl_node *node, const char *name, struct accel *a)
{
	struct mdl_device_desc desc = template;
	struct mdl_bar *vram = &desc.bars[ACCEL_BAR_VRAM];
	int err;

	err = mdl_mem_create("accel-vram", a->vram_size, &vram->fd, &vram->mem);
	if (err)
		return err;
	vram->size = a->vram_size;
	desc.local_mem = a->vram = vram->mem;
	desc.local_size = a->vram_size;
	err = mdl_device_create(node, name, &desc, a, &a->dev);
	if (err)
		mdl_mem_destroy(vram->fd, vram->mem, a->vram_size);
	return err;
}

int accel_create(struct mdl_node *node, const char *name, uint64_t vram_size,
		 struct mdl_device **ret_dev)
{
	struct mdl_device *dev;
	struct accel *a;
	char thread[16];
	int err;

	if (!size_ok(vram_size))
		return -EINVAL;
	a = accel_alloc(vram_size);
	if (!a)
		return -ENOMEM;
	err = create_device(node, name, a);
	if (err) {
		accel_free(a);
		return err;
	}
	dev = a->dev;
	snprintf(thread, sizeof(thread), "%.15s", name);
	err = mdl_worker_create(thread, accel_work, a, &a->worker);
	if (err) {
		mdl_device_destroy(dev);
		return err;
	}
	*ret_dev = dev;
	return 0;
}
