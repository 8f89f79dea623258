// SPDX-License-Identifier: GPL-2.0-only
/*
 * peerdma_vfio: what vfio-pci does, by the same core, and regions of pages besides.
 *
 * Here is the driver and what stands between user space and the core.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "peerdma_vfio.h"

static bool nointxmask;
module_param(nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask, "As of vfio-pci: do not mask INTx by the command register");

static bool disable_idle_d3;
module_param(disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3, "As of vfio-pci: leave unused functions in D0");

static bool enable_sriov;
module_param(enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov, "As of vfio-pci: allow to switch SR-IOV on");

static int pdv_init(struct vfio_device *vdev)
{
	struct pdv_device *d = to_pdv(vdev);

	init_rwsem(&d->lock);
	mutex_init(&d->exports_lock);
	INIT_LIST_HEAD(&d->exports);
	spin_lock_init(&d->mappings_lock);
	INIT_LIST_HEAD(&d->mappings);
	d->revoked = 1; /* closed */
	d->unsafe = !pdv_is_guarded(to_pci_dev(vdev->dev));
	d->core.nointxmask = nointxmask;
	d->core.disable_idle_d3 = disable_idle_d3;
	return vfio_pci_core_init_dev(vdev);
}

static void pdv_release(struct vfio_device *vdev)
{
	pdv_pages_free(to_pdv(vdev));
	vfio_pci_core_release_dev(vdev);
}

static int pdv_open(struct vfio_device *vdev)
{
	struct pdv_device *d = to_pdv(vdev);
	int ret = d->unsafe ? pdv_unsafe_open(d) : 0;

	if (ret)
		return ret;
	/* What the last user started must not write into what is the next one's. */
	ret = pdv_wait_idle(d, true);
	if (ret) {
		pci_warn(d->core.pdev, "memory is still held by transfers of the last user\n");
		return ret;
	}
	ret = vfio_pci_core_enable(&d->core);
	if (ret)
		return ret;
	ret = pdv_regions_add(d);
	if (ret) {
		vfio_pci_core_disable(&d->core);
		return ret;
	}
	vfio_pci_core_finish_enable(&d->core);
	pdv_allow(d);
	return 0;
}

static void pdv_close(struct vfio_device *vdev)
{
	struct pdv_device *d = to_pdv(vdev);

	if (pdv_revoke(d, false))
		pci_warn(d->core.pdev, "closed while memory is held by transfers under way\n");
	pdv_exports_end(d);
	vfio_pci_core_close_device(vdev);
}

static long pdv_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct pdv_device *d = to_pdv(vdev);
	long ret;

	if (cmd != VFIO_DEVICE_RESET && cmd != VFIO_DEVICE_PCI_HOT_RESET)
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	ret = pdv_try_revoke(d);
	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl(vdev, cmd, arg);
	pdv_allow(d);
	return ret;
}

static bool feature_revokes(u32 flags)
{
	u32 feature = flags & VFIO_DEVICE_FEATURE_MASK;

	return (flags & VFIO_DEVICE_FEATURE_SET) && !(flags & VFIO_DEVICE_FEATURE_PROBE) &&
	       (feature == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY ||
		feature == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP);
}

static int pdv_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct pdv_device *d = to_pdv(vdev);
	int ret;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_DMA_BUF)
		return pdv_export(d, flags, arg, argsz);
	if (!feature_revokes(flags))
		return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	ret = pdv_try_revoke(d);
	if (ret)
		return ret;
	ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	pdv_allow(d);
	return ret;
}

static ssize_t pdv_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			 loff_t *ppos)
{
	struct pdv_device *d = to_pdv(vdev);
	ssize_t ret;

	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) != VFIO_PCI_CONFIG_REGION_INDEX ||
	    !pdv_write_revokes(d, *ppos & VFIO_PCI_OFFSET_MASK, count))
		return vfio_pci_core_write(vdev, buf, count, ppos);
	ret = pdv_try_revoke(d);
	if (ret)
		return ret;
	ret = vfio_pci_core_write(vdev, buf, count, ppos);
	pdv_allow(d);
	return ret;
}

/* All but the ways to use iommufd. */
#define PDV_OPS                                                                                    \
	.name = "peerdma_vfio", .init = pdv_init, .release = pdv_release, .open_device = pdv_open, \
	.close_device = pdv_close, .ioctl = pdv_ioctl,                                             \
	.get_region_info_caps = vfio_pci_ioctl_get_region_info, .device_feature = pdv_feature,     \
	.read = vfio_pci_core_read, .write = pdv_write, .mmap = vfio_pci_core_mmap,                \
	.request = vfio_pci_core_request, .match = vfio_pci_core_match,                            \
	.match_token_uuid = vfio_pci_core_match_token_uuid

static const struct vfio_device_ops pdv_ops = {
	PDV_OPS,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};

static const struct vfio_device_ops pdv_unsafe_ops = {
	PDV_OPS,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int pdv_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const struct vfio_device_ops *ops = &pdv_ops;
	struct pdv_device *d;
	int ret;

	if (!pdv_is_guarded(pdev)) {
		ret = pdv_unsafe_allowed(pdev);
		if (ret)
			return ret;
		ops = &pdv_unsafe_ops;
	}
	d = vfio_alloc_device(pdv_device, core.vdev, &pdev->dev, ops);
	if (IS_ERR(d))
		return PTR_ERR(d);
	dev_set_drvdata(&pdev->dev, &d->core);
	d->af_cap = pci_find_capability(pdev, PCI_CAP_ID_AF);
	ret = pdv_pages_init(d);
	if (ret)
		goto put;
	ret = pdv_account_init(d);
	if (ret)
		goto free_pages;
	ret = d->unsafe ? pdv_unsafe_register(d) : vfio_pci_core_register_device(&d->core);
	if (!ret)
		return 0;
	pdv_account_exit(d);
free_pages:
	pdv_pages_exit(d);
put:
	vfio_put_device(&d->core.vdev);
	return ret;
}

static void pdv_remove(struct pci_dev *pdev)
{
	struct pdv_device *d = container_of(dev_get_drvdata(&pdev->dev), struct pdv_device, core);

	if (d->unsafe)
		pdv_unsafe_unregister(d);
	else
		vfio_pci_core_unregister_device(&d->core);
	/* A driver can't refuse to go. The kernel waits for the pages before they cease to be. */
	if (pdv_wait_idle(d, false))
		pci_err(pdev, "memory is held by transfers under way, unbinding waits for them\n");
	pdv_account_exit(d);
	pdv_pages_exit(d);
	vfio_put_device(&d->core.vdev);
}

static int pdv_sriov_configure(struct pci_dev *pdev, int n)
{
	struct pdv_device *d = container_of(dev_get_drvdata(&pdev->dev), struct pdv_device, core);

	if (!enable_sriov)
		return -ENOENT;
	return d->unsafe ? -EOPNOTSUPP : vfio_pci_core_sriov_configure(&d->core, n);
}

/*
 * Every reset of the function, whoever asked for it: this file in sysfs, another function of the
 * same bus. It can't be refused here. Ours have waited already.
 */
static void pdv_reset_prepare(struct pci_dev *pdev)
{
	struct pdv_device *d = container_of(dev_get_drvdata(&pdev->dev), struct pdv_device, core);

	if (pdv_revoke(d, false))
		pci_warn(pdev, "reset while memory is held by transfers under way\n");
}

static void pdv_reset_done(struct pci_dev *pdev)
{
	struct pdv_device *d = container_of(dev_get_drvdata(&pdev->dev), struct pdv_device, core);

	pdv_allow(d);
}

static const struct pci_error_handlers pdv_err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
	.reset_prepare = pdv_reset_prepare,
	.reset_done = pdv_reset_done,
};

/* By driver_override only; no alias, so that no tool takes it for vfio-pci. */
static const struct pci_device_id pdv_table[] = { { PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID,
										    PCI_ANY_ID) },
						  {} };

static struct pci_driver pdv_driver = {
	.name = "peerdma_vfio",
	.id_table = pdv_table,
	.probe = pdv_probe,
	.remove = pdv_remove,
	.sriov_configure = pdv_sriov_configure,
	.err_handler = &pdv_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(pdv_driver);

MODULE_DESCRIPTION("VFIO for PCI with device memory behind plain pointers");
MODULE_LICENSE("GPL");
MODULE_VERSION(PEERDMA_VERSION);
