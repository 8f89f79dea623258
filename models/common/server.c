// SPDX-License-Identifier: MIT
/* What each vfio-user command means for a device. Runs on the socket thread. */
#include <errno.h>
#include <json-c/json.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/common/internal.h"
#include "models/common/proto.h"

#define PAGE_SIZE UINT64_C(4096)

typedef int (*cmd_fn)(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m);

/* The version message's JSON must be an object and end inside the message. */
static bool version_json_ok(const uint8_t *p, size_t len)
{
	struct json_tokener *tok;
	struct json_object *o;
	bool ok;

	if (!len)
		return true;
	if (p[len - 1])
		return false;
	tok = json_tokener_new_ex(8);
	if (!tok)
		return false;
	o = json_tokener_parse_ex(tok, (const char *)p, (int)strlen((const char *)p));
	ok = json_tokener_get_error(tok) == json_tokener_success &&
	     json_object_is_type(o, json_type_object);
	json_object_put(o);
	json_tokener_free(tok);
	return ok;
}

static int cmd_version(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct {
		struct vfu_version v;
		char json[160];
	} out = { .v = { .major = 0 } };
	struct vfu_version in;
	int n;

	if (m->len < sizeof(in) || m->len > 4096)
		return -EINVAL;
	memcpy(&in, m->payload, sizeof(in));
	if (in.major != 0 || !version_json_ok(m->payload + sizeof(in), m->len - sizeof(in)))
		return -EINVAL;
	out.v.minor = in.minor ? 1 : 0;
	n = snprintf(out.json, sizeof(out.json),
		     "{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%u,"
		     "\"max_dma_maps\":%d,\"pgsizes\":4096,\"write_multiple\":true}}",
		     MDL_MAX_FDS, MDL_MAX_XFER, MDL_MAX_WINDOWS);
	return mdl_conn_reply(c, m, &out, sizeof(out.v) + (size_t)n + 1, -1);
}

/*
 * Windows that come before the client asks what the device is are guest RAM at its physical
 * addresses: no IOMMU translates before firmware has run.
 */
static void learn_ram_locked(struct mdl_device *dev, const struct vfu_dma_map *map,
			     const struct mdl_window *win)
{
	struct mdl_node *node = dev->node;
	unsigned i;

	if (dev->sent_info || !win->backing)
		return;
	if (!node->ram_backing) {
		if (map->addr)
			return;
		node->ram_backing = win->backing;
		node->ram_backing->refs++;
	}
	for (i = 0; i < node->n_ram; i++)
		if (node->ram[i].gpa == map->addr)
			return;
	if (win->backing == node->ram_backing && node->n_ram < MDL_MAX_RAM)
		node->ram[node->n_ram++] =
			(struct mdl_ram){ .gpa = map->addr, .len = map->size, .off = map->offset };
}

static int cmd_dma_map(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct mdl_window *win;
	struct vfu_dma_map map;
	unsigned prot = 0;
	int err;

	if (m->len != sizeof(map) || m->n_fds > 1)
		return -EINVAL;
	memcpy(&map, m->payload, sizeof(map));
	/* The offset too: words aligned on the bus must be aligned in memory. */
	if ((map.addr | map.size | map.offset) & (PAGE_SIZE - 1))
		return -EINVAL;
	if (map.flags & VFU_MAP_READ)
		prot |= MDL_PROT_READ;
	if (map.flags & VFU_MAP_WRITE)
		prot |= MDL_PROT_WRITE;
	pthread_rwlock_wrlock(&dev->node->lock);
	err = mdl_windows_map(&dev->windows, &dev->node->backings, map.addr, map.size, prot,
			      m->n_fds ? m->fds[0] : -1, map.offset, &win);
	if (!err)
		learn_ram_locked(dev, &map, win);
	pthread_rwlock_unlock(&dev->node->lock);
	return err ? err : mdl_conn_reply(c, m, NULL, 0, -1);
}

static int cmd_dma_unmap(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct vfu_dma_unmap un;
	int err = 0;

	if (m->len != sizeof(un))
		return -EINVAL;
	memcpy(&un, m->payload, sizeof(un));
	if (un.flags & ~VFU_UNMAP_ALL)
		return un.flags & VFU_UNMAP_DIRTY ? -ENOTSUP : -EINVAL;
	pthread_rwlock_wrlock(&dev->node->lock);
	if (un.flags & VFU_UNMAP_ALL)
		mdl_windows_unmap_all(&dev->windows, &dev->node->backings);
	else
		err = mdl_windows_unmap(&dev->windows, &dev->node->backings, un.addr, un.size);
	pthread_rwlock_unlock(&dev->node->lock);
	return err ? err : mdl_conn_reply(c, m, &un, sizeof(un), -1);
}

static int cmd_get_info(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	const struct {
		uint32_t argsz, flags, num_regions, num_irqs;
	} out = { sizeof(out), VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		  VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS };

	if (m->len < sizeof(out))
		return -EINVAL;
	dev->sent_info = true;
	return mdl_conn_reply(c, m, &out, sizeof(out), -1);
}

/* Region size, or 0 for one the device does not have. */
static uint64_t region_size(const struct mdl_device *dev, uint32_t region)
{
	if (region < MDL_MAX_BARS)
		return dev->desc.bars[region].size;
	return region == VFIO_PCI_CONFIG_REGION_INDEX ? MDL_CONFIG_SIZE : 0;
}

static int cmd_region_info(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct {
		struct vfio_region_info info;
		struct vfu_sparse_one sparse;
	} out = { 0 };
	struct vfio_region_info *in = &out.info;
	uint32_t room, idx;
	size_t len = sizeof(*in);
	int fd = -1;

	if (m->len < sizeof(*in))
		return -EINVAL;
	memcpy(in, m->payload, sizeof(*in));
	room = in->argsz;
	idx = in->index;
	if (room < sizeof(*in) || idx >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	*in = (struct vfio_region_info){ .argsz = sizeof(*in),
					 .index = idx,
					 .size = region_size(dev, idx) };
	if (in->size)
		in->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (idx < MDL_MAX_BARS && dev->desc.bars[idx].mem) {
		in->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		in->argsz = sizeof(out);
		/* Said already in the first answer, which has no room for it: QEMU insists. */
		in->cap_offset = sizeof(*in);
		out.sparse = (struct vfu_sparse_one){ .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
						      .version = 1,
						      .nr_areas = 1,
						      .size = in->size };
		if (room >= sizeof(out)) {
			len = sizeof(out);
			fd = dev->desc.bars[idx].fd;
		}
	}
	return mdl_conn_reply(c, m, &out, len, fd);
}

static unsigned irq_count(const struct mdl_device *dev, uint32_t index)
{
	if (index == VFIO_PCI_MSIX_IRQ_INDEX)
		return dev->desc.n_vectors;
	return index == VFIO_PCI_ERR_IRQ_INDEX;
}

static int cmd_irq_info(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct vfio_irq_info info;

	if (m->len < sizeof(info))
		return -EINVAL;
	memcpy(&info, m->payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.count = irq_count(dev, info.index);
	info.flags = info.count ? VFIO_IRQ_INFO_EVENTFD : 0;
	/* MSI-X without NORESIZE, or QEMU tears every eventfd down for each new vector. */
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	return mdl_conn_reply(c, m, &info, sizeof(info), -1);
}

static void keep_fds(const struct mdl_msg *m)
{
	unsigned i;

	for (i = 0; i < m->n_fds; i++)
		m->fds[i] = -1;
}

static int set_err_irq(struct mdl_device *dev, const struct vfio_irq_set *s,
		       const struct mdl_msg *m)
{
	if (m->n_fds && (m->n_fds != s->count || !mdl_irq_fd_ok(m->fds[0])))
		return -EINVAL;
	pthread_mutex_lock(&dev->irq.lock);
	if (dev->irq.err_fd >= 0)
		close(dev->irq.err_fd);
	dev->irq.err_fd = m->n_fds ? m->fds[0] : -1;
	pthread_mutex_unlock(&dev->irq.lock);
	keep_fds(m);
	return 0;
}

static int set_irqs(struct mdl_device *dev, const struct vfio_irq_set *s, const struct mdl_msg *m)
{
	uint32_t data = s->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	int err;

	if (s->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK) ||
	    (s->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;
	if (data == VFIO_IRQ_SET_DATA_NONE && !s->count && !m->n_fds)
		return s->index == VFIO_PCI_MSIX_IRQ_INDEX ?
			       mdl_irq_set(dev, 0, dev->desc.n_vectors, NULL, 0) :
			       0;
	if (s->start > irq_count(dev, s->index) || s->count > irq_count(dev, s->index) - s->start)
		return -EINVAL;
	if (data == VFIO_IRQ_SET_DATA_NONE && !m->n_fds)
		return s->index == VFIO_PCI_MSIX_IRQ_INDEX ?
			       mdl_irq_trigger(dev, s->start, s->count) :
			       0;
	if (data != VFIO_IRQ_SET_DATA_EVENTFD)
		return -EINVAL;
	if (s->index == VFIO_PCI_ERR_IRQ_INDEX)
		return set_err_irq(dev, s, m);
	err = mdl_irq_set(dev, s->start, s->count, m->fds, m->n_fds);
	if (!err)
		keep_fds(m);
	return err;
}

static int cmd_set_irqs(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct vfio_irq_set s;
	int err;

	if (m->len < sizeof(s))
		return -EINVAL;
	memcpy(&s, m->payload, sizeof(s));
	if (s.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	err = set_irqs(dev, &s, m);
	return err ? err : mdl_conn_reply(c, m, NULL, 0, -1);
}

static bool access_ok(const struct mdl_device *dev, uint32_t region, uint64_t off, uint64_t len)
{
	uint64_t size = region < VFIO_PCI_NUM_REGIONS ? region_size(dev, region) : 0;

	return size && off <= size && len <= size - off;
}

/*
 * After a reset, answer as a device that is not ready until the client has no request of ours
 * left to carry out: so the guest never takes up a device with an old write still on its way.
 * The node's lock is held, so that no reset comes between the look and its conclusion.
 */
static bool not_ready_locked(struct mdl_device *dev)
{
	if (!dev->settling)
		return false;
	dev->settling = mdl_conn_in_flight(dev->conn) != 0;
	return dev->settling;
}

static void region_read(struct mdl_device *dev, uint32_t region, uint64_t off, uint8_t *buf,
			size_t len)
{
	if (region != VFIO_PCI_CONFIG_REGION_INDEX) {
		mdl_mmio_read(dev, region, off, buf, len);
		return;
	}
	pthread_rwlock_rdlock(&dev->node->lock);
	if (not_ready_locked(dev))
		memset(buf, 0xff, len);
	else
		mdl_config_read(dev, (unsigned)off, buf, len);
	pthread_rwlock_unlock(&dev->node->lock);
}

static void region_write(struct mdl_device *dev, uint32_t region, uint64_t off, const void *buf,
			 size_t len)
{
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		mdl_config_write(dev, (unsigned)off, buf, len);
	else
		mdl_mmio_write(dev, region, off, buf, len);
}

static int cmd_region_read(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct {
		struct vfu_access a;
		uint8_t data[4096];
	} out;

	if (m->len != sizeof(out.a))
		return -EINVAL;
	memcpy(&out.a, m->payload, sizeof(out.a));
	/* One access of a CPU, or a page of config space: nobody needs longer ones. */
	if (out.a.count > sizeof(out.data) ||
	    !access_ok(dev, out.a.region, out.a.offset, out.a.count))
		return -EINVAL;
	region_read(dev, out.a.region, out.a.offset, out.data, out.a.count);
	return mdl_conn_reply(c, m, &out, sizeof(out.a) + out.a.count, -1);
}

static int cmd_region_write(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct vfu_access a;

	if (m->len < sizeof(a))
		return -EINVAL;
	memcpy(&a, m->payload, sizeof(a));
	if (a.count != m->len - sizeof(a) || !access_ok(dev, a.region, a.offset, a.count))
		return -EINVAL;
	region_write(dev, a.region, a.offset, m->payload + sizeof(a), a.count);
	return mdl_conn_reply(c, m, &a, sizeof(a), -1);
}

/* All entries are checked before the first is carried out. */
static int cmd_write_multi(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct vfu_multi_entry e;
	const uint8_t *p = m->payload + sizeof(uint64_t);
	uint64_t n, i;

	if (m->len < sizeof(n))
		return -EINVAL;
	memcpy(&n, m->payload, sizeof(n));
	if (n > MDL_MAX_MSG / sizeof(e) || m->len - sizeof(n) != n * sizeof(e))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		memcpy(&e, p + i * sizeof(e), sizeof(e));
		if (e.len > sizeof(e.data) || !access_ok(dev, e.region, e.offset, e.len))
			return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		memcpy(&e, p + i * sizeof(e), sizeof(e));
		region_write(dev, e.region, e.offset, e.data, e.len);
	}
	return mdl_conn_reply(c, m, &n, sizeof(n), -1);
}

static int cmd_reset(struct mdl_device *dev, struct mdl_conn *c, const struct mdl_msg *m)
{
	mdl_reset(dev, MDL_RESET_BUS);
	return mdl_conn_reply(c, m, NULL, 0, -1);
}

static const cmd_fn commands[] = {
	[VFU_VERSION] = cmd_version,
	[VFU_DMA_MAP] = cmd_dma_map,
	[VFU_DMA_UNMAP] = cmd_dma_unmap,
	[VFU_DEVICE_GET_INFO] = cmd_get_info,
	[VFU_DEVICE_GET_REGION_INFO] = cmd_region_info,
	[VFU_DEVICE_GET_IRQ_INFO] = cmd_irq_info,
	[VFU_DEVICE_SET_IRQS] = cmd_set_irqs,
	[VFU_REGION_READ] = cmd_region_read,
	[VFU_REGION_WRITE] = cmd_region_write,
	[VFU_DEVICE_RESET] = cmd_reset,
	[VFU_REGION_WRITE_MULTI] = cmd_write_multi,
};

/* Only a version message may come first, and only once; a bad one ends the connection. */
static int server_command(void *arg, struct mdl_conn *c, const struct mdl_msg *m)
{
	struct mdl_device *dev = arg;
	cmd_fn fn = m->cmd < sizeof(commands) / sizeof(commands[0]) ? commands[m->cmd] : NULL;
	int err;

	if ((m->cmd == VFU_VERSION) == dev->negotiated)
		err = -EPROTO;
	else
		err = fn ? fn(dev, c, m) : -ENOTSUP;
	if (!err) {
		dev->negotiated = true;
		return 0;
	}
	dev->bad_messages++;
	mdl_log(dev, MDL_DEBUG, "message %u of %zu bytes with %u fds: %s", m->cmd, m->len, m->n_fds,
		strerror(-err));
	err = mdl_conn_error(c, m, err);
	return dev->negotiated ? err : -EPROTO;
}

static void server_attached(void *arg)
{
	struct mdl_device *dev = arg;

	dev->negotiated = false;
	dev->sent_info = false;
	pthread_rwlock_wrlock(&dev->node->lock);
	dev->attached = true;
	pthread_rwlock_unlock(&dev->node->lock);
	mdl_log(dev, MDL_INFO, "client connected");
}

static void server_detached(void *arg)
{
	struct mdl_device *dev = arg;

	mdl_client_gone(dev);
	mdl_log(dev, MDL_INFO, "client gone");
}

const struct mdl_conn_ops mdl_server_ops = {
	.command = server_command,
	.attached = server_attached,
	.detached = server_detached,
};
