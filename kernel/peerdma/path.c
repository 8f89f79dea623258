// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's verdict on a path between two PCI functions.
 *
 * The type of a mapping is not exported to modules, so it is found out as an importer would: the
 * range becomes a dma-buf of ours that never leaves the kernel, is mapped for the initiator, and
 * the address the initiator would use is held against that of the BAR.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>

#include <uapi/peerdma/ioctl.h>

#include "peerdma.h"

struct probe {
	struct p2pdma_provider *provider;
	struct phys_vec vec;
};

static struct sg_table *probe_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct probe *probe = attach->dmabuf->priv;

	return dma_buf_phys_vec_to_sgt(attach, probe->provider, &probe->vec, 1, probe->vec.len,
				       dir);
}

static void probe_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			enum dma_data_direction dir)
{
	dma_buf_free_sgt(attach, sgt, dir);
}

/* The probe lives on the stack of whoever made the buffer. */
static void probe_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops probe_ops = {
	.map_dma_buf = probe_map,
	.unmap_dma_buf = probe_unmap,
	.release = probe_release,
};

/* The memory cannot move while both drivers are held in place. */
static void probe_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = probe_invalidate,
};

static int map_attached(struct dma_buf_attachment *attach, struct peerdma_path *path)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	path->dma_addr = sg_dma_address(sgt->sgl);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	return 0;
}

static int map_buffer(struct dma_buf *dmabuf, struct device *initiator, struct peerdma_path *path)
{
	struct dma_buf_attachment *attach;
	int ret;

	attach = dma_buf_dynamic_attach(dmabuf, initiator, &importer_ops, NULL);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	ret = map_attached(attach, path);
	dma_buf_detach(dmabuf, attach);
	return ret;
}

/* Both drivers are held in place. Return: 0 with path->dma_addr, or why the mapping is refused. */
static int map_range(struct pci_dev *initiator, struct pci_dev *target, struct peerdma_path *path)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct probe probe = {
		.vec = { .paddr = pci_resource_start(target, path->bar) + path->off,
			 .len = path->len },
	};
	struct dma_buf *dmabuf;
	int ret;

	ret = pcim_p2pdma_init(target);
	if (ret)
		return ret;
	probe.provider = pcim_p2pdma_provider(target, path->bar);
	if (!probe.provider)
		return -EOPNOTSUPP;
	info.ops = &probe_ops;
	info.size = path->len;
	info.flags = O_RDWR;
	info.priv = &probe;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = map_buffer(dmabuf, &initiator->dev, path);
	/* The last reference, but its release may be put off beyond our stack. */
	dmabuf->priv = NULL;
	dma_buf_put(dmabuf);
	return ret;
}

static void try_mapping(struct pci_dev *initiator, struct pci_dev *target,
			struct peerdma_path *path)
{
	int ret;

	/*
	 * What the kernel keeps for a provider goes with the target's driver, and without one it
	 * would keep the next driver from probing. An initiator without one has no set-up for DMA.
	 */
	if (!device_is_bound(&initiator->dev) || !device_is_bound(&target->dev))
		return;
	path->flags |= PEERDMA_PATH_MAPPED;
	ret = map_range(initiator, target, path);
	path->map_errno = -ret;
	if (ret)
		return;
	path->mapping =
		path->dma_addr == path->bus_addr ? PEERDMA_MAPPING_BUS_ADDR : PEERDMA_MAPPING_IOVA;
}

static void find_common(struct pci_dev *initiator, struct pci_dev *target,
			struct peerdma_path *path)
{
	struct pci_dev *a, *b;

	for (a = pci_upstream_bridge(initiator); a; a = pci_upstream_bridge(a))
		for (b = pci_upstream_bridge(target); b; b = pci_upstream_bridge(b))
			if (a == b)
				goto found;
	return;
found:
	path->flags |= PEERDMA_PATH_COMMON;
	path->common.domain = pci_domain_nr(a->bus);
	path->common.bus = a->bus->number;
	path->common.devfn = a->devfn;
}

static int check_range(struct pci_dev *target, const struct peerdma_path *path)
{
	u64 len;

	if (path->bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(target, path->bar) & IORESOURCE_MEM))
		return -ENXIO;
	len = pci_resource_len(target, path->bar);
	if (!path->len || path->off > len || path->len > len - path->off ||
	    !PAGE_ALIGNED(path->off | path->len))
		return -ENXIO;
	return 0;
}

/*
 * In the order of their addresses, so that two queries the other way round do not wait for each
 * other.
 */
static int lock_both(struct device *a, struct device *b)
{
	int ret;

	if (a > b)
		swap(a, b);
	ret = device_lock_interruptible(a);
	if (ret || a == b)
		return ret;
	ret = device_lock_interruptible(b);
	if (ret)
		device_unlock(a);
	return ret;
}

static void unlock_both(struct device *a, struct device *b)
{
	device_unlock(a);
	if (a != b)
		device_unlock(b);
}

static int query(struct pci_dev *initiator, struct pci_dev *target, struct peerdma_path *path)
{
	int ret = check_range(target, path);

	if (ret)
		return ret;
	ret = lock_both(&initiator->dev, &target->dev);
	if (ret)
		return ret;
	path->bus_addr = pci_bus_address(target, path->bar) + path->off;
	path->distance = pci_p2pdma_distance(target, &initiator->dev, false);
	find_common(initiator, target, path);
	try_mapping(initiator, target, path);
	unlock_both(&initiator->dev, &target->dev);
	return 0;
}

static struct pci_dev *get_function(const struct peerdma_pci *f)
{
	return pci_get_domain_bus_and_slot(f->domain, f->bus, f->devfn);
}

int peerdma_ioctl_path(void __user *arg)
{
	struct pci_dev *initiator __free(pci_dev_put) = NULL;
	struct pci_dev *target __free(pci_dev_put) = NULL;
	struct peerdma_path path;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = pdk_copy_in(&path, sizeof(path), arg, PEERDMA_PATH_SIZE_V1);
	if (ret)
		return ret;
	if (path.flags || path.initiator.reserved || path.target.reserved)
		return -EINVAL;
	path.common = (struct peerdma_pci){ 0 };
	path.bus_addr = path.dma_addr = 0;
	path.mapping = PEERDMA_MAPPING_NONE;
	path.map_errno = 0;

	initiator = get_function(&path.initiator);
	target = get_function(&path.target);
	if (!initiator || !target)
		return -ENODEV;
	ret = query(initiator, target, &path);
	if (ret)
		return ret;
	return pdk_copy_out(arg, &path, sizeof(path));
}
