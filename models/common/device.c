// SPDX-License-Identifier: MIT
/* Nodes and devices: creation, resets, register access, links. */
#include "models/common/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/common/internal.h"

int mdl_node_create(const struct mdl_node_cfg *cfg, struct mdl_node **ret_node)
{
	pthread_rwlockattr_t attr;
	struct mdl_node *node;

	if (!cfg->name[0] || strlen(cfg->name) >= MDL_NAME_MAX)
		return -EINVAL;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	strcpy(node->name, cfg->name);
	node->cfg = *cfg;
	node->cfg.name = node->name;
	TAILQ_INIT(&node->devs);
	TAILQ_INIT(&node->backings.list);
	pthread_rwlockattr_init(&attr);
	/* A queue of copies must not keep an unmap or a reset waiting. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&node->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	*ret_node = node;
	return 0;
}

void mdl_node_destroy(struct mdl_node *node)
{
	if (!node)
		return;
	pthread_rwlock_destroy(&node->lock);
	free(node);
}

const char *mdl_node_name(const struct mdl_node *node)
{
	return node->name;
}

struct mdl_device *mdl_node_first(const struct mdl_node *node)
{
	return TAILQ_FIRST(&node->devs);
}

struct mdl_device *mdl_node_next(const struct mdl_device *dev)
{
	return TAILQ_NEXT(dev, entry);
}

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static bool bars_ok(const struct mdl_device_desc *d)
{
	unsigned i;

	for (i = 0; i < MDL_MAX_BARS; i++) {
		const struct mdl_bar *b = &d->bars[i];

		if (!b->size)
			continue;
		if (!power_of_two(b->size) || b->size < 4096 || !b->mem != (b->fd < 0))
			return false;
		if (!b->is_64bit && b->size > UINT32_MAX / 2)
			return false;
		if (b->is_64bit && (i + 1 == MDL_MAX_BARS || d->bars[++i].size))
			return false;
	}
	return true;
}

static bool msix_ok(const struct mdl_device_desc *d)
{
	uint64_t size;

	if (!d->n_vectors || d->n_vectors > MDL_MAX_VECTORS || d->msix_bar >= MDL_MAX_BARS)
		return false;
	size = d->bars[d->msix_bar].size;
	return !((d->msix_table_off | d->msix_pba_off) & 7) &&
	       d->msix_table_off + 16u * d->n_vectors <= size &&
	       d->msix_pba_off + MDL_MAX_VECTORS / 8 <= size && !d->bars[d->msix_bar].mem;
}

static bool name_taken(const struct mdl_node *node, const char *name)
{
	const struct mdl_device *dev;

	TAILQ_FOREACH(dev, &node->devs, entry)
		if (!strcmp(dev->name, name))
			return true;
	return false;
}

static int device_alloc(struct mdl_device *dev)
{
	int err = mdl_faults_init(dev);

	dev->counters = calloc(dev->desc.n_counters + 1, sizeof(*dev->counters));
	if (!dev->counters)
		err = -ENOMEM;
	return err;
}

static void device_free(struct mdl_device *dev)
{
	free(dev->counters);
	free(dev->faults);
	free(dev);
}

int mdl_device_create(struct mdl_node *node, const char *name, const struct mdl_device_desc *desc,
		      void *priv, struct mdl_device **ret_dev)
{
	struct mdl_device *dev;
	int err;

	if (!name[0] || strlen(name) >= MDL_NAME_MAX || !bars_ok(desc) || !msix_ok(desc))
		return -EINVAL;
	if (name_taken(node, name))
		return -EEXIST;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	strcpy(dev->name, name);
	dev->desc = *desc;
	dev->priv = priv;
	dev->node = node;
	dev->switch_id = -1;
	err = device_alloc(dev);
	if (err) {
		device_free(dev);
		return err;
	}
	mdl_windows_init(&dev->windows);
	pthread_mutex_init(&dev->mmio, NULL);
	pthread_mutex_init(&dev->link_lock, NULL);
	pthread_mutex_init(&dev->fault_lock, NULL);
	pthread_mutex_init(&dev->log_lock, NULL);
	mdl_irq_init(dev);
	mdl_config_init(dev);
	pthread_rwlock_wrlock(&node->lock);
	TAILQ_INSERT_TAIL(&node->devs, dev, entry);
	pthread_rwlock_unlock(&node->lock);
	*ret_dev = dev;
	return 0;
}

int mdl_device_listen(struct mdl_device *dev, const char *path)
{
	char thread[16];

	snprintf(thread, sizeof(thread), "%.7s/%.7s", dev->node->name, dev->name);
	return mdl_conn_create(path, thread, &mdl_server_ops, dev, &dev->conn);
}

/* The other end keeps no pointer to a device that is going away. */
static void unlink_peer(struct mdl_device *dev)
{
	struct mdl_device *peer = dev->link_peer;

	if (!peer)
		return;
	mdl_link_set(dev, false);
	pthread_rwlock_wrlock(&peer->node->lock);
	peer->link_peer = NULL;
	pthread_rwlock_unlock(&peer->node->lock);
	dev->link_peer = NULL;
}

void mdl_device_destroy(struct mdl_device *dev)
{
	unsigned i;

	if (!dev)
		return;
	mdl_conn_destroy(dev->conn);
	/* No client, so no windows; what is left is peers' access to the BARs and the link. */
	mdl_reset(dev, MDL_RESET_DISCONNECT);
	unlink_peer(dev);
	if (dev->desc.ops->destroy)
		dev->desc.ops->destroy(dev);
	mdl_irq_disarm_all(dev);
	/* Devices that lose their client look through the list. */
	pthread_rwlock_wrlock(&dev->node->lock);
	TAILQ_REMOVE(&dev->node->devs, dev, entry);
	pthread_rwlock_unlock(&dev->node->lock);
	for (i = 0; i < MDL_MAX_BARS; i++)
		if (dev->desc.bars[i].size && dev->desc.bars[i].mem)
			mdl_mem_destroy(dev->desc.bars[i].fd, dev->desc.bars[i].mem,
					dev->desc.bars[i].size);
	device_free(dev);
}

void *mdl_device_priv(const struct mdl_device *dev)
{
	return dev->priv;
}

const char *mdl_device_name(const struct mdl_device *dev)
{
	return dev->name;
}

const char *mdl_device_model(const struct mdl_device *dev)
{
	return dev->desc.model;
}

struct mdl_node *mdl_device_node(const struct mdl_device *dev)
{
	return dev->node;
}

void mdl_device_place(struct mdl_device *dev, int switch_id, bool acs_redirect)
{
	pthread_rwlock_wrlock(&dev->node->lock);
	dev->switch_id = switch_id;
	dev->acs_redirect = acs_redirect;
	pthread_rwlock_unlock(&dev->node->lock);
}

/*
 * From the return of the first half on, no DMA of work begun before touches anything, no peer
 * reaches a BAR, and no interrupt of before is pending.
 */
void mdl_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	pthread_rwlock_wrlock(&dev->node->lock);
	atomic_fetch_add(&dev->gen, 1);
	mdl_config_reset(dev, kind);
	dev->bus_master = false;
	dev->iommu_known = false;
	mdl_routes_update_locked(dev);
	dev->settling = true;
	pthread_rwlock_unlock(&dev->node->lock);
	mdl_irq_reset(dev);
	pthread_mutex_lock(&dev->mmio);
	if (dev->desc.ops->reset)
		dev->desc.ops->reset(dev, kind);
	pthread_mutex_unlock(&dev->mmio);
	/* Work that raced with the first half may have raised one more. */
	mdl_irq_reset(dev);
	dev->resets++;
}

void mdl_device_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	mdl_reset(dev, kind);
}

static bool node_has_client_locked(const struct mdl_node *node)
{
	const struct mdl_device *dev;

	TAILQ_FOREACH(dev, &node->devs, entry)
		if (dev->attached)
			return true;
	return false;
}

void mdl_client_gone(struct mdl_device *dev)
{
	struct mdl_node *node = dev->node;

	pthread_rwlock_wrlock(&node->lock);
	dev->attached = false;
	/* With its windows gone old work fails because of the client, not of its addresses. */
	atomic_fetch_add(&dev->gen, 1);
	mdl_windows_unmap_all(&dev->windows, &node->backings);
	if (node->ram_backing && !node_has_client_locked(node)) {
		mdl_backing_put(&node->backings, node->ram_backing);
		node->ram_backing = NULL;
		node->n_ram = 0;
	}
	pthread_rwlock_unlock(&node->lock);
	mdl_irq_disarm_all(dev);
	mdl_reset(dev, MDL_RESET_DISCONNECT);
}

static size_t chunk(size_t len)
{
	return len < 8 ? len : 8;
}

static bool in_msix(const struct mdl_device *dev, unsigned bar, uint64_t off)
{
	const struct mdl_device_desc *d = &dev->desc;

	return bar == d->msix_bar && off >= d->msix_pba_off &&
	       off - d->msix_pba_off < (d->n_vectors + 63) / 64 * 8;
}

void mdl_mmio_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	uint8_t *p = buf;
	size_t n;

	if (dev->desc.bars[bar].mem) {
		memcpy(buf, (uint8_t *)dev->desc.bars[bar].mem + off, len);
		return;
	}
	for (; len; len -= n, p += n, off += n) {
		n = chunk(len);
		if (in_msix(dev, bar, off)) {
			mdl_irq_read_pba(dev, off - dev->desc.msix_pba_off, p, n);
			continue;
		}
		pthread_mutex_lock(&dev->mmio);
		dev->desc.ops->bar_read(dev, bar, off, p, n);
		pthread_mutex_unlock(&dev->mmio);
	}
}

void mdl_mmio_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t n;

	if (dev->desc.bars[bar].mem) {
		memcpy((uint8_t *)dev->desc.bars[bar].mem + off, buf, len);
		return;
	}
	for (; len; len -= n, p += n, off += n) {
		n = chunk(len);
		if (in_msix(dev, bar, off))
			continue;
		pthread_mutex_lock(&dev->mmio);
		dev->desc.ops->bar_write(dev, bar, off, p, n);
		pthread_mutex_unlock(&dev->mmio);
	}
}

void mdl_count_add(struct mdl_device *dev, unsigned idx, uint64_t n)
{
	if (idx < dev->desc.n_counters)
		atomic_fetch_add_explicit(&dev->counters[idx], n, memory_order_relaxed);
}

int mdl_mem_create(const char *name, uint64_t size, int *ret_fd, void **ret_mem)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), err;
	void *mem;

	if (fd < 0)
		return -errno;
	if (size > INT64_MAX || ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto err_close;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		goto err_close;
	*ret_fd = fd;
	*ret_mem = mem;
	return 0;

err_close:
	err = errno ? -errno : -EINVAL;
	close(fd);
	return err;
}

void mdl_mem_destroy(int fd, void *mem, uint64_t size)
{
	munmap(mem, size);
	close(fd);
}

int mdl_link(struct mdl_device *a, struct mdl_device *b)
{
	if (a == b || a->link_peer || b->link_peer)
		return -EBUSY;
	a->link_peer = b;
	b->link_peer = a;
	mdl_link_set(a, true);
	return 0;
}

struct mdl_device *mdl_link_peer(const struct mdl_device *dev)
{
	return dev->link_peer;
}

bool mdl_link_is_up(const struct mdl_device *dev)
{
	return dev->link_up;
}

static void set_end(struct mdl_device *dev, bool up)
{
	pthread_rwlock_wrlock(&dev->node->lock);
	dev->link_up = up;
	pthread_rwlock_unlock(&dev->node->lock);
}

/* Down means down: copies over the link have ended when this returns. */
void mdl_link_set(struct mdl_device *dev, bool up)
{
	struct mdl_device *peer = dev->link_peer;

	if (!peer || dev->link_up == up)
		return;
	set_end(dev, up);
	set_end(peer, up);
	if (dev->desc.ops->link_changed)
		dev->desc.ops->link_changed(dev, up);
	if (peer->desc.ops->link_changed)
		peer->desc.ops->link_changed(peer, up);
}
