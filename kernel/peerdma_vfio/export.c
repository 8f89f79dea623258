// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs as dma-bufs: the requests and refusals of VFIO's core, and besides a mapping for processors,
 * and a limit to how long whatever takes the memory away waits for importers.
 *
 * Whether memory is there is asked under the buffer's reservation lock, by attach, map and fault.
 * Revocation first says that it is not and then takes each of these locks to invalidate; so what
 * was mapped before is undone, and nothing is mapped after.
 */
#include <linux/dma-buf-mapping.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "peerdma_vfio.h"

struct pdv_export {
	struct list_head entry; /* of the device */
	struct pdv_device *d;	/* NULL once it is closed; the reservation lock */
	struct dma_buf *dmabuf;
	struct peerdma_pin *pin;
	struct p2pdma_provider *provider;
	struct phys_vec *vec;
	u32 n;
	size_t size;
	bool dead; /* the open during which it was made is over; the reservation lock */
	atomic_t n_mapped;
};

/* What an importer has, at attach->priv; the reservation lock. */
struct pdv_import {
	struct peerdma_pin *attached;
	struct peerdma_pin *mapped; /* with a holder for each mapping */
	unsigned int n_mapped;
};

/* The owner is that of the export. Its reservation lock is held, and it is not dead. */
static struct peerdma_pin *charge(struct pdv_export *e, enum peerdma_pin_kind kind,
				  struct device *importer)
{
	const struct peerdma_charge c = { .kind = kind,
					  .flags = PEERDMA_CHARGE_REVOCABLE,
					  .bytes = e->size,
					  .importer = dev_name(importer),
					  .parent = e->pin };

	return peerdma_charge(e->d->provider, &c);
}

/* The reservation lock is held. */
static bool is_there(struct pdv_export *e)
{
	bool there;

	if (e->dead)
		return false;
	down_read(&e->d->lock);
	there = !e->d->revoked && pdv_is_on(e->d);
	up_read(&e->d->lock);
	return there;
}

/* The reservation lock is held. */
static int begin_import(struct pdv_export *e, struct dma_buf_attachment *attach,
			struct pdv_import *i)
{
	if (!is_there(e))
		return -ENODEV;
	i->attached = charge(e, PEERDMA_PIN_ATTACHMENT, attach->dev);
	return PTR_ERR_OR_ZERO(i->attached);
}

static int export_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct pdv_import *i;
	int ret;

	/* It must be able to reach BARs, and to let go when it is told to. */
	if (!attach->peer2peer || !dma_buf_attach_revocable(attach))
		return -EOPNOTSUPP;
	i = kzalloc(sizeof(*i), GFP_KERNEL);
	if (!i)
		return -ENOMEM;
	dma_resv_lock(dmabuf->resv, NULL);
	ret = begin_import(dmabuf->priv, attach, i);
	dma_resv_unlock(dmabuf->resv);
	if (ret)
		kfree(i);
	else
		attach->priv = i;
	return ret;
}

static void export_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct pdv_import *i = attach->priv;

	peerdma_uncharge(i->attached);
	kfree(i);
}

/* The memory does not move. An importer that pins is still told when it goes. */
static int export_pin(struct dma_buf_attachment *attach)
{
	return dma_buf_attach_revocable(attach) ? 0 : -EOPNOTSUPP;
}

static void export_unpin(struct dma_buf_attachment *attach)
{
}

/* The first mapping of an importer counts. */
static int begin_map(struct pdv_export *e, struct dma_buf_attachment *attach)
{
	struct pdv_import *i = attach->priv;
	struct peerdma_pin *pin;

	if (i->n_mapped) {
		peerdma_pin_get(i->mapped);
	} else {
		pin = charge(e, PEERDMA_PIN_IMPORT, attach->dev);
		if (IS_ERR(pin))
			return PTR_ERR(pin);
		i->mapped = pin;
	}
	i->n_mapped++;
	return 0;
}

static void end_map(struct dma_buf_attachment *attach)
{
	struct pdv_import *i = attach->priv;

	i->n_mapped--;
	peerdma_uncharge(i->mapped);
}

static struct sg_table *export_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct pdv_export *e = attach->dmabuf->priv;
	struct sg_table *sgt;
	int ret;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (!is_there(e))
		return ERR_PTR(-ENODEV);
	ret = begin_map(e, attach);
	if (ret)
		return ERR_PTR(ret);
	sgt = dma_buf_phys_vec_to_sgt(attach, e->provider, e->vec, e->n, e->size, dir);
	if (IS_ERR(sgt))
		end_map(attach);
	else
		atomic_inc(&e->n_mapped);
	return sgt;
}

static void export_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	struct pdv_export *e = attach->dmabuf->priv;

	dma_buf_free_sgt(attach, sgt, dir);
	end_map(attach);
	atomic_dec_return_release(&e->n_mapped);
}

static bool find_pfn(struct pdv_export *e, pgoff_t pgoff, unsigned long *ret_pfn)
{
	for (u32 i = 0; i < e->n; i++) {
		unsigned long n_pages = e->vec[i].len >> PAGE_SHIFT;

		if (pgoff < n_pages) {
			*ret_pfn = PHYS_PFN(e->vec[i].paddr) + pgoff;
			return true;
		}
		pgoff -= n_pages;
	}
	return false;
}

static vm_fault_t export_fault(struct vm_fault *vmf)
{
	struct dma_buf *dmabuf = vmf->vma->vm_file->private_data;
	struct pdv_export *e = dmabuf->priv;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned long pfn;

	if (!find_pfn(e, vmf->pgoff, &pfn))
		return ret;
	dma_resv_lock(e->dmabuf->resv, NULL);
	if (is_there(e))
		ret = vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	dma_resv_unlock(e->dmabuf->resv);
	return ret;
}

static void area_open(struct vm_area_struct *vma)
{
	peerdma_pin_get(vma->vm_private_data);
}

static void area_close(struct vm_area_struct *vma)
{
	peerdma_uncharge(vma->vm_private_data);
}

static const struct vm_operations_struct export_vm_ops = {
	.open = area_open,
	.close = area_close,
	.fault = export_fault,
};

/* Return: the pin of a mapping by the calling process, or an error. */
static struct peerdma_pin *charge_area(struct pdv_export *e, struct vm_area_struct *vma)
{
	const struct peerdma_charge c = { .kind = PEERDMA_PIN_CPU_MAPPING,
					  .flags = PEERDMA_CHARGE_REVOCABLE,
					  .bytes = vma->vm_end - vma->vm_start };
	struct peerdma_pin *pin;

	dma_resv_lock(e->dmabuf->resv, NULL);
	pin = e->dead ? ERR_PTR(-ENODEV) : peerdma_charge(e->d->provider, &c);
	dma_resv_unlock(e->dmabuf->resv);
	return pin;
}

/* That it is not longer than the buffer has been checked. */
static int export_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct peerdma_pin *pin;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	pin = charge_area(dmabuf->priv, vma);
	if (IS_ERR(pin))
		return PTR_ERR(pin);
	vma->vm_private_data = pin;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &export_vm_ops;
	return 0;
}

static void export_free(struct pdv_export *e)
{
	peerdma_uncharge(e->pin);
	kvfree(e->vec);
	kfree(e);
}

/* Who goes through the list of exports holds the file meanwhile, so it does not see this one. */
static void export_release(struct dma_buf *dmabuf)
{
	struct pdv_export *e = dmabuf->priv;
	struct pdv_device *d = e->d;

	if (d) {
		mutex_lock(&d->exports_lock);
		list_del(&e->entry);
		mutex_unlock(&d->exports_lock);
		vfio_device_put_registration(&d->core.vdev);
	}
	export_free(e);
}

static const struct dma_buf_ops export_ops = {
	.attach = export_attach,
	.detach = export_detach,
	.pin = export_pin,
	.unpin = export_unpin,
	.map_dma_buf = export_map,
	.unmap_dma_buf = export_unmap,
	.mmap = export_mmap,
	.release = export_release,
};

static int check_ranges(const struct vfio_region_dma_range *ranges, u32 n, size_t *ret_size)
{
	size_t size = 0;

	for (u32 i = 0; i < n; i++) {
		u64 len = ranges[i].length;

		if (!len || !PAGE_ALIGNED(ranges[i].offset | len) ||
		    check_add_overflow(size, len, &size) || size > SSIZE_MAX)
			return -EINVAL;
	}
	*ret_size = size;
	return 0;
}

static int fill(struct pdv_device *d, struct pdv_export *e, u32 bar,
		struct vfio_region_dma_range *ranges)
{
	int ret = check_ranges(ranges, e->n, &e->size);

	if (ret)
		return ret;
	e->vec = kvcalloc(e->n, sizeof(*e->vec), GFP_KERNEL);
	if (!e->vec)
		return -ENOMEM;
	return vfio_pci_core_get_dmabuf_phys(&d->core, &e->provider, bar, e->vec, ranges, e->n);
}

/* The owner is the caller. */
static int charge_export(struct pdv_device *d, struct pdv_export *e)
{
	const struct peerdma_charge c = { .kind = PEERDMA_PIN_EXPORT,
					  .flags = PEERDMA_CHARGE_REVOCABLE,
					  .bytes = e->size };
	struct peerdma_pin *pin = peerdma_charge(d->provider, &c);

	if (IS_ERR(pin))
		return PTR_ERR(pin);
	e->pin = pin;
	return 0;
}

/* Return: the export, which its dma-buf frees; or an error. */
static struct pdv_export *export_create(struct pdv_device *d,
					const struct vfio_device_feature_dma_buf *req,
					struct vfio_region_dma_range *ranges)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct pdv_export *e = kzalloc(sizeof(*e), GFP_KERNEL);
	int ret;

	if (!e)
		return ERR_PTR(-ENOMEM);
	e->n = req->nr_ranges;
	ret = fill(d, e, req->region_index, ranges);
	if (!ret)
		ret = charge_export(d, e);
	if (ret)
		goto err_free;
	if (!vfio_device_try_get_registration(&d->core.vdev)) {
		ret = -ENODEV;
		goto err_free;
	}
	e->d = d;
	info.ops = &export_ops;
	info.size = e->size;
	info.flags = req->open_flags;
	info.priv = e;
	e->dmabuf = dma_buf_export(&info);
	if (IS_ERR(e->dmabuf)) {
		ret = PTR_ERR(e->dmabuf);
		goto err_put;
	}
	mutex_lock(&d->exports_lock);
	list_add_tail(&e->entry, &d->exports);
	mutex_unlock(&d->exports_lock);
	return e;
err_put:
	vfio_device_put_registration(&d->core.vdev);
err_free:
	export_free(e);
	return ERR_PTR(ret);
}

int pdv_export(struct pdv_device *d, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_buf __user *from = arg;
	struct vfio_device_feature_dma_buf req;
	struct vfio_region_dma_range *ranges;
	struct pdv_export *e;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(req));
	if (ret != 1)
		return ret;
	if (copy_from_user(&req, from, sizeof(req)))
		return -EFAULT;
	if (!req.nr_ranges || req.flags)
		return -EINVAL;
	if (req.region_index >= VFIO_PCI_ROM_REGION_INDEX ||
	    !pci_resource_len(d->core.pdev, req.region_index))
		return -ENODEV;
	ranges = memdup_array_user(from->dma_ranges, req.nr_ranges, sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	e = export_create(d, &req, ranges);
	kfree(ranges);
	if (IS_ERR(e))
		return PTR_ERR(e);
	ret = dma_buf_fd(e->dmabuf, req.open_flags);
	if (ret < 0)
		dma_buf_put(e->dmabuf);
	return ret;
}

/* The next export of the list that is not being released; its file is held. */
static struct pdv_export *next_export(struct pdv_device *d, struct list_head *at)
{
	lockdep_assert_held(&d->exports_lock);
	for (at = at->next; at != &d->exports; at = at->next) {
		struct pdv_export *e = list_entry(at, struct pdv_export, entry);

		if (get_file_active(&e->dmabuf->file))
			return e;
	}
	return NULL;
}

void pdv_exports_revoke(struct pdv_device *d)
{
	struct list_head *at = &d->exports;
	struct pdv_export *e;

	mutex_lock(&d->exports_lock);
	while ((e = next_export(d, at))) {
		at = &e->entry;
		dma_resv_lock(e->dmabuf->resv, NULL);
		unmap_mapping_range(e->dmabuf->file->f_mapping, 0, 0, true);
		dma_buf_invalidate_mappings(e->dmabuf);
		dma_resv_unlock(e->dmabuf->resv);
		fput(e->dmabuf->file);
	}
	mutex_unlock(&d->exports_lock);
}

static bool is_idle(struct pdv_export *e)
{
	return !atomic_read_acquire(&e->n_mapped) &&
	       dma_resv_test_signaled(e->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP);
}

bool pdv_exports_idle(struct pdv_device *d)
{
	struct list_head *at = &d->exports;
	struct pdv_export *e;
	bool idle = true;

	mutex_lock(&d->exports_lock);
	while (idle && (e = next_export(d, at))) {
		at = &e->entry;
		idle = is_idle(e);
		fput(e->dmabuf->file);
	}
	mutex_unlock(&d->exports_lock);
	return idle;
}

/* One that an importer still has stays, and keeps the device, until its last user lets it go. */
void pdv_exports_end(struct pdv_device *d)
{
	struct list_head *at = &d->exports;
	struct pdv_export *e;
	bool gone;

	mutex_lock(&d->exports_lock);
	while ((e = next_export(d, at))) {
		dma_resv_lock(e->dmabuf->resv, NULL);
		e->dead = true;
		gone = is_idle(e);
		if (gone)
			e->d = NULL;
		dma_resv_unlock(e->dmabuf->resv);
		if (gone) {
			list_del(&e->entry);
			vfio_device_put_registration(&d->core.vdev);
		} else {
			at = &e->entry;
		}
		fput(e->dmabuf->file);
	}
	mutex_unlock(&d->exports_lock);
}

MODULE_IMPORT_NS("DMA_BUF");
