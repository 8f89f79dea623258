// SPDX-License-Identifier: MIT
#include "lib/region/device.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/sysfs/access.h"
#include "lib/vfio/vfio.h"

#define PCI_COMMAND	   0x04
#define PCI_COMMAND_MEMORY 0x2

static struct pdmai_device *find(struct pdma_ctx *ctx, const struct pdmai_bdf *bdf)
{
	struct pdmai_device *d;

	TAILQ_FOREACH(d, &ctx->devices, entry)
		if (!strcmp(d->dev->bdf.text, bdf->text))
			return d;
	return NULL;
}

static int open_vfio(struct pdma_ctx *ctx, const struct pdmai_bdf *bdf, struct pdmai_dev **ret_dev)
{
	int ret = 0;

	if (!ctx->vfio)
		ret = pdmai_vfio_create(ctx->sysfs, &ctx->vfio);
	return ret ? ret : pdmai_vfio_open(ctx->vfio, bdf, ret_dev);
}

static int open_dev(struct pdmai_device *d, const struct pdmai_bdf *bdf, bool sysfs_too)
{
	unsigned group;
	int ret;

	ret = pdmai_pci_group(d->ctx->sysfs, bdf, &group);
	if (ret && ret != -ENOENT)
		return ret;
	if (ret && !sysfs_too)
		return pdmai_fail(
			ENODEV, "%s is in no IOMMU group, so VFIO cannot give it: is the IOMMU on?",
			bdf->text);
	d->vfio = !ret;
	if (d->vfio)
		ret = open_vfio(d->ctx, bdf, &d->dev);
	else
		ret = pdmai_sysfs_open(d->ctx->sysfs, bdf, &d->dev);
	return ret ? ret : pdmai_dev_enable(d->dev, true, true);
}

static void take_count(int fd)
{
	eventfd_t count;

	(void)!eventfd_read(fd, &count);
}

static void on_wanted(struct pdmai_event_source *source)
{
	struct pdmai_device *d = (void *)((char *)source - offsetof(struct pdmai_device, wanted));
	char text[160];

	take_count(source->fd);
	snprintf(text, sizeof(text), "the kernel wants %s back and waits until it is closed",
		 d->dev->bdf.text);
	pdmai_device_tell(d, PDMA_EVENT_DEVICE_WANTED, text);
}

static void on_failed(struct pdmai_event_source *source)
{
	struct pdmai_device *d = (void *)((char *)source - offsetof(struct pdmai_device, failed));
	char text[160];

	take_count(source->fd);
	snprintf(text, sizeof(text), "%s reported a fatal PCI Express error", d->dev->bdf.text);
	pdmai_device_tell(d, PDMA_EVENT_DEVICE_ERROR, text);
	pdmai_device_revoke(d, EIO, text);
}

static void unwatch(struct pdmai_device *d, struct pdmai_event_source *source)
{
	if (source->fd < 0)
		return;
	pdmai_events_unwatch(d->ctx->events, source);
	close(source->fd);
	source->fd = -1;
}

/* Let the kernel signal an eventfd; not every function and kernel has every one. */
static void watch(struct pdmai_device *d, struct pdmai_event_source *source, unsigned index,
		  void (*fn)(struct pdmai_event_source *source))
{
	union {
		struct vfio_irq_set set;
		char space[sizeof(struct vfio_irq_set) + sizeof(__s32)];
	} u = { .set = { .argsz = sizeof(u.space),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = index,
			 .count = 1 } };
	__s32 fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return;
	memcpy(u.space + sizeof(u.set), &fd, sizeof(fd));
	source->fd = fd;
	source->fn = fn;
	if (ioctl(pdmai_vfio_device_fd(d->dev), VFIO_DEVICE_SET_IRQS, &u.set) < 0 ||
	    pdmai_events_watch(d->ctx->events, source)) {
		close(fd);
		source->fd = -1;
	}
}

/* Whoever wants to change something gets its turn, however many transfers there are. */
static void init_busy(struct pdmai_device *d)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&d->busy, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static void close_device(struct pdmai_device *d)
{
	unwatch(d, &d->wanted);
	unwatch(d, &d->failed);
	pdmai_accel_close(d->accel);
	pdmai_dev_close(d->dev);
	pthread_rwlock_destroy(&d->busy);
	free(d);
}

int pdmai_device_get(struct pdma_ctx *ctx, const struct pdmai_bdf *bdf, bool sysfs_too,
		     struct pdmai_device **ret_device)
{
	struct pdmai_device *d = find(ctx, bdf);
	int ret;

	if (d && (d->vfio || sysfs_too)) {
		d->refs++;
		*ret_device = d;
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return pdmai_fail(ENOMEM, "no memory for a device");
	*d = (struct pdmai_device){ .ctx = ctx, .refs = 1, .wanted.fd = -1, .failed.fd = -1 };
	init_busy(d);
	ret = open_dev(d, bdf, sysfs_too);
	if (ret) {
		close_device(d);
		return ret;
	}
	if (d->vfio) {
		watch(d, &d->wanted, VFIO_PCI_REQ_IRQ_INDEX, on_wanted);
		watch(d, &d->failed, VFIO_PCI_ERR_IRQ_INDEX, on_failed);
	}
	TAILQ_INSERT_TAIL(&ctx->devices, d, entry);
	*ret_device = d;
	return 0;
}

void pdmai_device_put(struct pdmai_device *d)
{
	if (!d || --d->refs)
		return;
	TAILQ_REMOVE(&d->ctx->devices, d, entry);
	close_device(d);
}

/* Keep the start of the memory for regions: what rings allocate is at the end then. */
static int keep_end(struct pdmai_accel *accel)
{
	uint64_t size = pdmai_accel_get_info(accel)->vram_size, off;

	if (size <= PDMAI_ACCEL_KEPT)
		return pdmai_fail(ENOSPC, "the accelerator has no memory to spare for rings");
	return pdmai_accel_vram_alloc(accel, size - PDMAI_ACCEL_KEPT, 1, &off);
}

int pdmai_device_accel(struct pdmai_device *d, struct pdmai_accel **ret_accel)
{
	struct pdmai_accel *accel;
	int ret = 0;

	if (!d->accel) {
		ret = pdmai_accel_open(d->dev, false, &accel);
		if (ret)
			return ret;
		ret = keep_end(accel);
		if (ret) {
			pdmai_accel_close(accel);
			return ret;
		}
		d->accel = accel;
	}
	*ret_accel = d->accel;
	return ret;
}

int pdmai_device_ring_create(struct pdmai_device *d, unsigned size_log2,
			     struct pdmai_accel_ring **ret_ring, unsigned *ret_idx)
{
	struct pdmai_accel_ring_config config = {
		.size_log2 = size_log2,
		.place = d->dev->ops->dma_map ? PDMAI_ACCEL_IN_HOST : PDMAI_ACCEL_IN_VRAM,
	};
	unsigned n = pdmai_accel_get_info(d->accel)->n_rings;
	int ret;

	while (config.idx < n && config.idx < 64 && d->rings_used >> config.idx & 1)
		config.idx++;
	if (config.idx >= n || config.idx >= 64)
		return pdmai_fail(EBUSY, "all %u rings of %s are in use", n, d->dev->bdf.text);
	pthread_rwlock_wrlock(&d->busy);
	ret = pdmai_accel_ring_create(d->accel, &config, ret_ring);
	pthread_rwlock_unlock(&d->busy);
	if (ret)
		return ret;
	d->rings_used |= 1ull << config.idx;
	*ret_idx = config.idx;
	return 0;
}

void pdmai_device_ring_destroy(struct pdmai_device *d, struct pdmai_accel_ring *ring, unsigned idx)
{
	pthread_rwlock_wrlock(&d->busy);
	pdmai_accel_ring_destroy(ring);
	pthread_rwlock_unlock(&d->busy);
	d->rings_used &= ~(1ull << idx);
}

int pdmai_device_reset(struct pdmai_device *d)
{
	int ret;

	pthread_rwlock_wrlock(&d->busy);
	if (d->accel) {
		ret = pdmai_accel_reset(d->accel, PDMAI_ACCEL_RESET_FUNCTION);
	} else {
		ret = pdmai_dev_reset(d->dev);
		ret = ret ? ret : pdmai_dev_enable(d->dev, true, true);
	}
	pthread_rwlock_unlock(&d->busy);
	return ret;
}

int pdmai_device_check(struct pdmai_device *d)
{
	uint16_t id, command;
	int ret;

	ret = d->dev->ops->config_read(d->dev, 0, &id, sizeof(id));
	ret = ret ? ret : d->dev->ops->config_read(d->dev, PCI_COMMAND, &command, sizeof(command));
	if (ret)
		return ret;
	if (id == UINT16_MAX)
		return pdmai_fail(ENODEV, "%s does not answer", d->dev->bdf.text);
	if (!(command & PCI_COMMAND_MEMORY))
		return pdmai_fail(EFAULT, "memory decode of %s is off", d->dev->bdf.text);
	return 0;
}
