// SPDX-License-Identifier: MIT
#include "lib/dev/dev.h"

#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "lib/core/error.h"

#define PCI_COMMAND	   0x04
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u

static int unsupported(const struct pdmai_dev *dev, const char *what)
{
	return pdmai_fail(EOPNOTSUPP, "%s: %s is not possible through %s", dev->bdf.text, what,
			  dev->ops->name);
}

void pdmai_dev_close(struct pdmai_dev *dev)
{
	if (!dev)
		return;
	for (unsigned i = 0; i < PDMAI_PCI_BARS; i++)
		if (dev->mem[i] && dev->ops->bar_unmap)
			dev->ops->bar_unmap(dev, i, dev->mem[i]);
	dev->ops->close(dev);
}

int pdmai_dev_bar(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	int ret = 0;

	if (bar >= PDMAI_PCI_BARS || !dev->bars[bar].len || !dev->bars[bar].is_mem)
		return pdmai_fail(ENODEV, "%s has no memory BAR %u", dev->bdf.text, bar);
	if (!dev->ops->bar_map)
		return unsupported(dev, "mapping a BAR");
	if (!dev->mem[bar])
		ret = dev->ops->bar_map(dev, bar, &dev->mem[bar]);
	if (!ret)
		*ret_mem = dev->mem[bar];
	return ret;
}

int pdmai_dev_enable(struct pdmai_dev *dev, bool mem, bool master)
{
	uint16_t cmd;
	int ret;

	if (!dev->ops->config_read || !dev->ops->config_write)
		return unsupported(dev, "access to config space");
	ret = dev->ops->config_read(dev, PCI_COMMAND, &cmd, sizeof(cmd));
	if (ret)
		return ret;
	cmd = le16toh(cmd) & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cmd |= (mem ? PCI_COMMAND_MEMORY : 0) | (master ? PCI_COMMAND_MASTER : 0);
	cmd = htole16(cmd);
	return dev->ops->config_write(dev, PCI_COMMAND, &cmd, sizeof(cmd));
}

int pdmai_dev_reset(struct pdmai_dev *dev)
{
	return dev->ops->reset ? dev->ops->reset(dev) : unsupported(dev, "a reset");
}

int pdmai_dev_irq_enable(struct pdmai_dev *dev, const int *fds, unsigned n)
{
	if (!dev->ops->irq_enable)
		return unsupported(dev, "an interrupt");
	return dev->ops->irq_enable(dev, fds, n);
}

int pdmai_dev_irq_disable(struct pdmai_dev *dev)
{
	if (!dev->ops->irq_disable)
		return unsupported(dev, "an interrupt");
	return dev->ops->irq_disable(dev);
}

static bool page_aligned(uint64_t value)
{
	return !(value & ((uint64_t)sysconf(_SC_PAGESIZE) - 1));
}

int pdmai_dev_dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot,
		      uint64_t *ret_iova)
{
	if (!dev->ops->dma_map)
		return unsupported(dev, "mapping memory for DMA");
	if (!len || !page_aligned(len) || !page_aligned((uintptr_t)vaddr) || !prot ||
	    (prot & ~(unsigned)PDMAI_DMA_BOTH))
		return pdmai_fail(EINVAL, "%s: a DMA mapping needs whole pages and a direction",
				  dev->bdf.text);
	return dev->ops->dma_map(dev, vaddr, len, prot, ret_iova);
}

int pdmai_dev_dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len)
{
	if (!dev->ops->dma_unmap)
		return unsupported(dev, "mapping memory for DMA");
	return dev->ops->dma_unmap(dev, iova, len);
}

int pdmai_dev_dmabuf(struct pdmai_dev *dev, unsigned bar, const struct pdmai_bar_range *ranges,
		     unsigned n, int *ret_fd)
{
	if (!dev->ops->dmabuf_export)
		return unsupported(dev, "exporting a dma-buf");
	return dev->ops->dmabuf_export(dev, bar, ranges, n, ret_fd);
}

static volatile void *reg_at(struct pdmai_dev *dev, unsigned bar, uint64_t off)
{
	return (volatile char *)dev->mem[bar] + off;
}

uint32_t pdmai_dev_read32(struct pdmai_dev *dev, unsigned bar, uint64_t off)
{
	if (dev->ops->reg_read)
		return (uint32_t)dev->ops->reg_read(dev, bar, off, sizeof(uint32_t));
	return le32toh(*(volatile uint32_t *)reg_at(dev, bar, off));
}

uint64_t pdmai_dev_read64(struct pdmai_dev *dev, unsigned bar, uint64_t off)
{
	if (dev->ops->reg_read)
		return dev->ops->reg_read(dev, bar, off, sizeof(uint64_t));
	return le64toh(*(volatile uint64_t *)reg_at(dev, bar, off));
}

void pdmai_dev_write32(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint32_t val)
{
	if (dev->ops->reg_write)
		dev->ops->reg_write(dev, bar, off, val, sizeof(val));
	else
		*(volatile uint32_t *)reg_at(dev, bar, off) = htole32(val);
}

void pdmai_dev_write64(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val)
{
	if (dev->ops->reg_write)
		dev->ops->reg_write(dev, bar, off, val, sizeof(val));
	else
		*(volatile uint64_t *)reg_at(dev, bar, off) = htole64(val);
}
