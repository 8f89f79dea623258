// SPDX-License-Identifier: MIT
#include "tests/unit/models/common/testdev.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void t_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	struct tdev *t = mdl_device_priv(dev);

	t->reads++;
	memset(buf, 0xff, len);
	if (bar == 0 && len <= TDEV_REGS - off)
		memcpy(buf, t->regs + off, len);
}

static void t_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
			size_t len)
{
	struct tdev *t = mdl_device_priv(dev);

	t->writes++;
	if (bar == 0 && len <= TDEV_REGS - off)
		memcpy(t->regs + off, buf, len);
}

static void t_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	struct tdev *t = mdl_device_priv(dev);

	t->resets++;
	t->last_reset = kind;
}

static void t_link_changed(struct mdl_device *dev, bool up)
{
	struct tdev *t = mdl_device_priv(dev);

	t->links++;
}

static const struct mdl_device_ops ops = {
	.bar_read = t_bar_read,
	.bar_write = t_bar_write,
	.reset = t_reset,
	.link_changed = t_link_changed,
};

static const char *const counter_names[] = { "one", "two" };
static const char *const fault_names[] = { "model.point" };

struct mdl_node *tnode_create(const char *name, bool bridge, bool iommu)
{
	struct mdl_node_cfg cfg = { .name = name, .host_bridge_p2p = bridge, .iommu = iommu };
	struct mdl_node *node;

	assert_int_equal(mdl_node_create(&cfg, &node), 0);
	return node;
}

struct tdev *tdev_create(struct mdl_node *node, const char *name)
{
	struct tdev *t = calloc(1, sizeof(*t));
	struct mdl_device_desc d = {
		.model = "test",
		.ops = &ops,
		.id = { 0x1234, 0x5678, 0x9abc, 0xdef0, 0x120000, 3 },
		.n_vectors = TDEV_VECTORS,
		.msix_bar = 4,
		.msix_pba_off = 0x800,
		.local_size = TDEV_VRAM,
		.counter_names = counter_names,
		.n_counters = 2,
		.fault_names = fault_names,
		.n_faults = 1,
	};
	void *mem;
	int fd;

	assert_non_null(t);
	assert_int_equal(mdl_mem_create("vram", TDEV_VRAM, &fd, &mem), 0);
	d.bars[0] = (struct mdl_bar){ .size = TDEV_REGS, .fd = -1 };
	d.bars[2] = (struct mdl_bar){
		.size = TDEV_VRAM, .is_64bit = true, .prefetch = true, .fd = fd, .mem = mem
	};
	d.bars[4] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.local_mem = mem;
	t->node = node;
	t->vram = mem;
	assert_int_equal(mdl_device_create(node, name, &d, t, &t->dev), 0);
	return t;
}

void tdev_destroy(struct tdev *t)
{
	tdev_detach(t);
	mdl_device_destroy(t->dev);
	free(t);
}

void tdev_detach(struct tdev *t)
{
	mdl_client_gone(t->dev);
}

void tdev_write16(struct tdev *t, unsigned off, uint16_t val)
{
	mdl_config_write(t->dev, off, &val, sizeof(val));
}

void tdev_write32(struct tdev *t, unsigned off, uint32_t val)
{
	mdl_config_write(t->dev, off, &val, sizeof(val));
}

uint16_t tdev_read16(struct tdev *t, unsigned off)
{
	uint16_t val;

	mdl_config_read(t->dev, off, &val, sizeof(val));
	return val;
}

uint32_t tdev_read32(struct tdev *t, unsigned off)
{
	uint32_t val;

	mdl_config_read(t->dev, off, &val, sizeof(val));
	return val;
}

void tdev_enable(struct tdev *t, uint32_t bar0, uint64_t bar2)
{
	tdev_write32(t, PCI_BASE_ADDRESS_0, bar0);
	tdev_write32(t, PCI_BASE_ADDRESS_2, (uint32_t)bar2);
	tdev_write32(t, PCI_BASE_ADDRESS_3, (uint32_t)(bar2 >> 32));
	tdev_write16(t, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

struct tram tram_create(uint64_t size)
{
	struct tram r = { .fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING),
			  .size = size };

	assert_true(r.fd >= 0);
	assert_int_equal(ftruncate(r.fd, (off_t)size), 0);
	assert_int_equal(fcntl(r.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	r.mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(r.mem, MAP_FAILED);
	return r;
}

void tram_destroy(struct tram *r)
{
	munmap(r->mem, r->size);
	close(r->fd);
}

void tdev_map(struct tdev *t, const struct tram *r, uint64_t addr, uint64_t off, uint64_t size,
	      unsigned prot)
{
	pthread_rwlock_wrlock(&t->node->lock);
	assert_int_equal(mdl_windows_map(&t->dev->windows, &t->node->backings, addr, size, prot,
					 r ? r->fd : -1, off, NULL),
			 0);
	pthread_rwlock_unlock(&t->node->lock);
}

void tdev_unmap(struct tdev *t, uint64_t addr, uint64_t size)
{
	pthread_rwlock_wrlock(&t->node->lock);
	assert_int_equal(mdl_windows_unmap(&t->dev->windows, &t->node->backings, addr, size), 0);
	pthread_rwlock_unlock(&t->node->lock);
}

void tdev_window_is_ram(struct tdev *t, uint64_t addr, uint64_t gpa, uint64_t len, uint64_t off)
{
	struct mdl_node *node = t->node;
	struct mdl_window *w;

	pthread_rwlock_wrlock(&node->lock);
	w = mdl_windows_find(&t->dev->windows, addr);
	assert_non_null(w);
	assert_non_null(w->backing);
	if (!node->ram_backing) {
		node->ram_backing = w->backing;
		w->backing->refs++;
	}
	assert_ptr_equal(node->ram_backing, w->backing);
	node->ram[node->n_ram++] = (struct mdl_ram){ .gpa = gpa, .len = len, .off = off };
	t->dev->attached = true;
	pthread_rwlock_unlock(&node->lock);
}

static uint8_t pat(size_t pos, unsigned seed)
{
	uint64_t x = (pos + 1) * 0x9e3779b97f4a7c15u + seed * 0xbf58476d1ce4e5b9u;

	x ^= x >> 29;
	return (uint8_t)(x * 0x94d049bb133111ebu >> 56);
}

void tpat_fill(void *buf, size_t len, unsigned seed)
{
	uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pat(i, seed);
}

long tpat_check(const void *buf, size_t len, unsigned seed)
{
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != pat(i, seed))
			return (long)i;
	return -1;
}

uint64_t tcount_bytes(const struct tdev *t, enum mdl_class cls, enum mdl_target target, bool write)
{
	return t->dev->dma[cls][target][write].bytes;
}

uint64_t tcount_ops(const struct tdev *t, enum mdl_class cls, enum mdl_target target, bool write)
{
	return t->dev->dma[cls][target][write].ops;
}

uint64_t tcount_all(const struct tdev *t)
{
	uint64_t sum = 0;
	unsigned c, k, w;

	for (c = 0; c < MDL_CLASS_COUNT; c++)
		for (k = 0; k < MDL_T_COUNT; k++)
			for (w = 0; w < 2; w++)
				sum += t->dev->dma[c][k][w].bytes;
	return sum;
}
