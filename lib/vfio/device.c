// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/vfio/private.h"

static struct pdmai_vfio_dev *self(struct pdmai_dev *dev)
{
	return (struct pdmai_vfio_dev *)dev;
}

int pdmai_vfio_device_fd(const struct pdmai_dev *dev)
{
	return ((const struct pdmai_vfio_dev *)dev)->fd;
}

static int config_read(struct pdmai_dev *dev, unsigned off, void *buf, size_t len)
{
	if (pread(self(dev)->fd, buf, len, (off_t)(self(dev)->config_off + off)) != (ssize_t)len)
		return pdmai_fail(EIO, "%s: cannot read config space at 0x%x", dev->bdf.text, off);
	return 0;
}

static int config_write(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len)
{
	if (pwrite(self(dev)->fd, buf, len, (off_t)(self(dev)->config_off + off)) != (ssize_t)len)
		return pdmai_fail(EIO, "%s: cannot write config space at 0x%x", dev->bdf.text, off);
	return 0;
}

static int region_info(int fd, unsigned index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	return ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) < 0 ? -errno : 0;
}

static int bar_map(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	struct vfio_region_info info;
	void *mem;
	int ret;

	ret = region_info(self(dev)->fd, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);
	if (ret)
		return pdmai_fail_errno(-ret, "%s: cannot ask for BAR %u", dev->bdf.text, bar);
	if (info.size != dev->bars[bar].len)
		return pdmai_fail(ENODEV, "%s: VFIO and sysfs differ in the size of BAR %u",
				  dev->bdf.text, bar);
	mem = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, self(dev)->fd,
		   (off_t)info.offset);
	if (mem == MAP_FAILED)
		return pdmai_fail_errno(errno, "%s: cannot map BAR %u", dev->bdf.text, bar);
	*ret_mem = mem;
	return 0;
}

static void bar_unmap(struct pdmai_dev *dev, unsigned bar, void *mem)
{
	munmap(mem, dev->bars[bar].len);
}

static int reset(struct pdmai_dev *dev)
{
	if (ioctl(self(dev)->fd, VFIO_DEVICE_RESET) < 0)
		return pdmai_fail_errno(errno, "%s: cannot be reset", dev->bdf.text);
	return 0;
}

static void close_device(struct pdmai_dev *dev)
{
	close(self(dev)->fd);
	pdmai_vfio_group_put(self(dev)->vfio, self(dev)->group);
	free(dev);
}

#define OPS                                                                         \
	.name = "vfio", .config_read = config_read, .config_write = config_write,   \
	.bar_map = bar_map, .bar_unmap = bar_unmap, .reset = reset,                 \
	.irq_enable = pdmai_vfio_irq_enable, .irq_disable = pdmai_vfio_irq_disable, \
	.dmabuf_export = pdmai_vfio_dmabuf, .close = close_device

static const struct pdmai_dev_ops ops = {
	OPS,
	.dma_map = pdmai_vfio_dma_map,
	.dma_unmap = pdmai_vfio_dma_unmap,
};

/* VFIO takes mappings for such a function, but the device does not see them. */
static const struct pdmai_dev_ops unguarded_ops = { OPS };

static int look_at(struct pdmai_vfio_dev *d)
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	struct vfio_region_info config;

	if (region_info(d->fd, VFIO_PCI_CONFIG_REGION_INDEX, &config))
		return pdmai_fail(EIO, "%s: VFIO offers no config space", d->dev.bdf.text);
	d->config_off = config.offset;
	/* A device without MSI-X says so with a count of 0 or an error. */
	d->n_irqs = ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &irq) < 0 ? 0 : irq.count;
	return 0;
}

static int open_fd(struct pdmai_vfio *v, const struct pdmai_bdf *bdf, bool guarded, int *ret_fd,
		   unsigned *ret_group)
{
	char driver[64];
	unsigned number;
	int ret, group, fd;

	ret = pdmai_pci_group(v->root, bdf, &number);
	if (ret)
		return ret;
	ret = pdmai_pci_driver(v->root, bdf, driver, sizeof(driver));
	if (ret)
		return ret;
	if (!pdmai_is_vfio_driver(driver))
		return pdmai_fail(ENODEV, "%s is not bound to a VFIO driver (%s)", bdf->text,
				  driver[0] ? driver : "no driver");
	ret = pdmai_vfio_group_get(v, number, guarded, &group);
	if (ret)
		return ret;
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf->text);
	if (fd < 0) {
		ret = pdmai_fail_errno(errno, "cannot open %s in IOMMU group %u", bdf->text,
				       number);
		pdmai_vfio_group_put(v, number);
		return ret;
	}
	*ret_fd = fd;
	*ret_group = number;
	return 0;
}

int pdmai_vfio_open(struct pdmai_vfio *v, const struct pdmai_bdf *bdf, struct pdmai_dev **ret_dev)
{
	bool guarded = !pdmai_pci_unguarded(v->root, bdf);
	struct pdmai_vfio_dev *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return pdmai_fail(ENOMEM, "no memory for a device");
	d->dev.ops = guarded ? &ops : &unguarded_ops;
	d->dev.bdf = *bdf;
	d->vfio = v;
	ret = pdmai_pci_bars(v->root, bdf, d->dev.bars);
	ret = ret ? ret : open_fd(v, bdf, guarded, &d->fd, &d->group);
	if (ret) {
		free(d);
		return ret;
	}
	ret = look_at(d);
	if (ret) {
		close_device(&d->dev);
		return ret;
	}
	*ret_dev = &d->dev;
	return 0;
}
