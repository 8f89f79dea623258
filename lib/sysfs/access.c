// SPDX-License-Identifier: MIT
#include "lib/sysfs/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"

#define DEVICE "%s/bus/pci/devices/%s"

struct sysfs_dev {
	struct pdmai_dev dev; /* first */
	const char *root;
	int config;
	bool enabled; /* by us */
};

static struct sysfs_dev *self(struct pdmai_dev *dev)
{
	return (struct sysfs_dev *)dev;
}

static int config_read(struct pdmai_dev *dev, unsigned off, void *buf, size_t len)
{
	if (pread(self(dev)->config, buf, len, off) != (ssize_t)len)
		return pdmai_fail(EIO, "%s: cannot read config space at 0x%x", dev->bdf.text, off);
	return 0;
}

static int config_write(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len)
{
	if (pwrite(self(dev)->config, buf, len, off) != (ssize_t)len)
		return pdmai_fail(EIO, "%s: cannot write config space at 0x%x", dev->bdf.text, off);
	return 0;
}

static int open_attr(const struct sysfs_dev *d, const char *attr)
{
	char path[PDMAI_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), DEVICE "/%s", d->root, d->dev.bdf.text, attr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pdmai_fail_errno(errno, "cannot open %s of %s", attr, d->dev.bdf.text);
	return fd;
}

static int bar_map(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	char attr[16];
	void *mem;
	int fd, err;

	snprintf(attr, sizeof(attr), "resource%u", bar);
	fd = open_attr(self(dev), attr);
	if (fd < 0)
		return fd;
	mem = mmap(NULL, dev->bars[bar].len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = errno;
	close(fd);
	if (mem == MAP_FAILED)
		return pdmai_fail_errno(
			err,
			"%s: cannot map BAR %u (a kernel with IO_STRICT_DEVMEM refuses a "
			"claimed one without iomem=relaxed)",
			dev->bdf.text, bar);
	*ret_mem = mem;
	return 0;
}

static void bar_unmap(struct pdmai_dev *dev, unsigned bar, void *mem)
{
	munmap(mem, dev->bars[bar].len);
}

static int reset(struct pdmai_dev *dev)
{
	int ret = pdmai_attr_put("1", DEVICE "/reset", self(dev)->root, dev->bdf.text);

	return ret ? pdmai_fail_errno(-ret, "%s: cannot be reset", dev->bdf.text) : 0;
}

/* "enable" counts: what we switched on, and no more, is switched off again. */
static void close_device(struct pdmai_dev *dev)
{
	struct sysfs_dev *d = self(dev);

	if (d->config >= 0) {
		pdmai_dev_enable(dev, true, false);
		close(d->config);
	}
	if (d->enabled)
		pdmai_attr_put("0", DEVICE "/enable", d->root, dev->bdf.text);
	free(d);
}

static const struct pdmai_dev_ops ops = {
	.name = "sysfs",
	.config_read = config_read,
	.config_write = config_write,
	.bar_map = bar_map,
	.bar_unmap = bar_unmap,
	.reset = reset,
	.close = close_device,
};

static int check_unbound(const struct sysfs_dev *d)
{
	char driver[64];
	int ret;

	ret = pdmai_pci_driver(d->root, &d->dev.bdf, driver, sizeof(driver));
	if (!ret && driver[0])
		return pdmai_fail(EBUSY, "%s is in the hands of driver %s", d->dev.bdf.text,
				  driver);
	return ret;
}

static int open_device(struct sysfs_dev *d)
{
	int ret;

	ret = check_unbound(d);
	ret = ret ? ret : pdmai_pci_bars(d->root, &d->dev.bdf, d->dev.bars);
	if (ret)
		return ret;
	ret = pdmai_attr_put("1", DEVICE "/enable", d->root, d->dev.bdf.text);
	if (ret)
		return pdmai_fail_errno(-ret, "%s: cannot be enabled", d->dev.bdf.text);
	d->enabled = true;
	d->config = open_attr(d, "config");
	return d->config < 0 ? d->config : 0;
}

int pdmai_sysfs_open(const char *root, const struct pdmai_bdf *bdf, struct pdmai_dev **ret_dev)
{
	struct sysfs_dev *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return pdmai_fail(ENOMEM, "no memory for a device");
	d->dev.ops = &ops;
	d->dev.bdf = *bdf;
	d->root = root;
	d->config = -1;
	ret = open_device(d);
	if (ret) {
		close_device(&d->dev);
		return ret;
	}
	*ret_dev = &d->dev;
	return 0;
}
