// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/peerdma_import: an importer of dma-bufs that does what a test tells it, also what no driver
 * should: attach without being able to reach peers or to let go, and hold on when told to let go.
 * What a file has attached is found by handles, and goes when the file is closed.
 */
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include <uapi/peerdma/ioctl.h>

#include "test.h"

enum import_op {
	IMPORT_ATTACH = 1, /* function: who; fd, flags; out: handle */
	IMPORT_DETACH,	   /* and unmap; handle, as of all that follow */
	IMPORT_MAP,	   /* out: address, len of its first piece */
	IMPORT_UNMAP,	   /* the last mapping */
	IMPORT_PIN,
	IMPORT_UNPIN,
	IMPORT_FENCE,  /* work that uses the buffer begins */
	IMPORT_SIGNAL, /* it ends */
	IMPORT_TOLD,   /* out: how often it was told to let go; n_mapped */
};

#define IMPORT_PEERS (1u << 0) /* can reach peers */
#define IMPORT_HEARS (1u << 1) /* can be told to let go */
#define IMPORT_HOLDS (1u << 2) /* does not let go when it is told to */
#define IMPORT_PLAIN (1u << 3) /* as an importer that knows of neither */

struct import_request {
	__u32 op;
	__u32 handle;
	__u32 flags;
	__s32 fd;
	struct peerdma_pci function;
	__u32 n_told;
	__u32 n_mapped;
	__u64 address;
	__u64 len;
};

#define IMPORT_IOC _IOWR(0xb6, 1, struct import_request)
#define MAX_MAPPED 4

struct import {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct pci_dev *pdev;
	bool holds;
	/* The rest belongs to the reservation lock. */
	struct sg_table *sgt[MAX_MAPPED];
	unsigned int n_mapped;
	unsigned int n_told;
	bool pinned;
	struct dma_fence *fence;
};

struct import_file {
	struct mutex mutex;
	struct xarray imports;
};

static void unmap_last(struct import *i)
{
	dma_buf_unmap_attachment(i->attach, i->sgt[--i->n_mapped], DMA_BIDIRECTIONAL);
}

/* The reservation lock is held. */
static void told(struct dma_buf_attachment *attach)
{
	struct import *i = attach->importer_priv;

	i->n_told++;
	while (i->n_mapped && !i->holds)
		unmap_last(i);
}

static const struct dma_buf_attach_ops attach_ops[] = {
	[0] = {},
	[IMPORT_PEERS] = { .allow_peer2peer = true },
	[IMPORT_HEARS] = { .invalidate_mappings = told },
	[IMPORT_PEERS | IMPORT_HEARS] = { .allow_peer2peer = true, .invalidate_mappings = told },
};

static const char *fence_name(struct dma_fence *fence)
{
	return "peerdma_test";
}

/* Its code must outlive it. */
static void fence_release(struct dma_fence *fence)
{
	dma_fence_free(fence);
	module_put(THIS_MODULE);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
	.release = fence_release,
};

static int attach_to(struct import *i, const struct import_request *r)
{
	u32 how = r->flags & (IMPORT_PEERS | IMPORT_HEARS);

	i->holds = r->flags & IMPORT_HOLDS;
	if (r->flags & IMPORT_PLAIN)
		i->attach = dma_buf_attach(i->dmabuf, &i->pdev->dev);
	else
		i->attach = dma_buf_dynamic_attach(i->dmabuf, &i->pdev->dev, &attach_ops[how], i);
	return PTR_ERR_OR_ZERO(i->attach);
}

static void put_import(struct import *i)
{
	if (!IS_ERR_OR_NULL(i->dmabuf))
		dma_buf_put(i->dmabuf);
	pci_dev_put(i->pdev);
	kfree(i);
}

static int attach(struct import_file *f, struct import_request *r)
{
	struct import *i = kzalloc(sizeof(*i), GFP_KERNEL);
	int ret;

	if (!i)
		return -ENOMEM;
	i->pdev =
		pci_get_domain_bus_and_slot(r->function.domain, r->function.bus, r->function.devfn);
	i->dmabuf = dma_buf_get(r->fd);
	ret = PTR_ERR_OR_ZERO(i->dmabuf);
	if (!ret && !i->pdev)
		ret = -ENXIO;
	if (!ret)
		ret = attach_to(i, r);
	if (ret)
		goto err_put;
	ret = xa_alloc(&f->imports, &r->handle, i, XA_LIMIT(1, 1000), GFP_KERNEL);
	if (!ret)
		return 0;
	dma_buf_detach(i->dmabuf, i->attach);
err_put:
	put_import(i);
	return ret;
}

static int signal(struct import *i)
{
	if (!i->fence)
		return -EINVAL;
	dma_fence_signal(i->fence);
	dma_fence_put(i->fence);
	i->fence = NULL;
	return 0;
}

static int unpin(struct import *i)
{
	if (!i->pinned)
		return -EINVAL;
	dma_buf_unpin(i->attach);
	i->pinned = false;
	return 0;
}

static int detach(struct import_file *f, struct import *i, u32 handle)
{
	dma_resv_lock(i->dmabuf->resv, NULL);
	while (i->n_mapped)
		unmap_last(i);
	unpin(i);
	signal(i);
	dma_resv_unlock(i->dmabuf->resv);
	dma_buf_detach(i->dmabuf, i->attach);
	xa_erase(&f->imports, handle);
	put_import(i);
	return 0;
}

static int map(struct import *i, struct import_request *r)
{
	struct sg_table *sgt;

	if (i->n_mapped == MAX_MAPPED)
		return -EINVAL;
	sgt = dma_buf_map_attachment(i->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	i->sgt[i->n_mapped++] = sgt;
	r->address = sg_dma_address(sgt->sgl);
	r->len = sg_dma_len(sgt->sgl);
	return 0;
}

static int unmap(struct import *i)
{
	if (!i->n_mapped)
		return -EINVAL;
	unmap_last(i);
	return 0;
}

static int pin(struct import *i)
{
	int ret = i->pinned ? -EINVAL : dma_buf_pin(i->attach);

	if (!ret)
		i->pinned = true;
	return ret;
}

static int fence(struct import *i)
{
	struct dma_fence *new;
	int ret;

	if (i->fence)
		return -EINVAL;
	ret = dma_resv_reserve_fences(i->dmabuf->resv, 1);
	if (ret)
		return ret;
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	__module_get(THIS_MODULE);
	dma_fence_init(new, &fence_ops, NULL, dma_fence_context_alloc(1), 1);
	dma_resv_add_fence(i->dmabuf->resv, new, DMA_RESV_USAGE_BOOKKEEP);
	i->fence = new;
	return 0;
}

static int act_locked(struct import *i, struct import_request *r)
{
	switch (r->op) {
	case IMPORT_MAP:
		return map(i, r);
	case IMPORT_UNMAP:
		return unmap(i);
	case IMPORT_PIN:
		return pin(i);
	case IMPORT_UNPIN:
		return unpin(i);
	case IMPORT_FENCE:
		return fence(i);
	case IMPORT_SIGNAL:
		return signal(i);
	case IMPORT_TOLD:
		r->n_told = i->n_told;
		r->n_mapped = i->n_mapped;
		return 0;
	default:
		return -ENOTTY;
	}
}

static int act(struct import_file *f, struct import_request *r)
{
	struct import *i = xa_load(&f->imports, r->handle);
	int ret;

	if (r->op == IMPORT_ATTACH)
		return attach(f, r);
	if (!i)
		return -ENOENT;
	if (r->op == IMPORT_DETACH)
		return detach(f, i, r->handle);
	dma_resv_lock(i->dmabuf->resv, NULL);
	ret = act_locked(i, r);
	dma_resv_unlock(i->dmabuf->resv);
	return ret;
}

static long import_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct import_file *f = file->private_data;
	struct import_request r;
	int ret;

	if (cmd != IMPORT_IOC)
		return -ENOTTY;
	if (copy_from_user(&r, (void __user *)arg, sizeof(r)))
		return -EFAULT;
	mutex_lock(&f->mutex);
	ret = act(f, &r);
	mutex_unlock(&f->mutex);
	if (!ret && copy_to_user((void __user *)arg, &r, sizeof(r)))
		return -EFAULT;
	return ret;
}

static int import_open(struct inode *inode, struct file *file)
{
	struct import_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->mutex);
	xa_init_flags(&f->imports, XA_FLAGS_ALLOC1);
	file->private_data = f;
	return 0;
}

static int import_release(struct inode *inode, struct file *file)
{
	struct import_file *f = file->private_data;
	unsigned long handle;
	struct import *i;

	xa_for_each(&f->imports, handle, i)
		detach(f, i, handle);
	xa_destroy(&f->imports);
	kfree(f);
	return 0;
}

static const struct file_operations import_fops = {
	.owner = THIS_MODULE,
	.open = import_open,
	.release = import_release,
	.unlocked_ioctl = import_ioctl,
};

struct miscdevice pdt_import_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peerdma_import",
	.fops = &import_fops,
	.mode = 0600,
};

MODULE_IMPORT_NS("DMA_BUF");
