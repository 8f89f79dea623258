// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that no IOMMU guards.
 *
 * VFIO's own mode for them is off in Debian's kernel, so they are registered as devices with an
 * emulated IOMMU: container and mappings are there, but guard nothing. What the core does when it
 * registers a device and is not needed for that (virtual functions, VGA, power saving) is left out.
 */
#include <linux/capability.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/pci.h>

#include "peerdma_vfio.h"

static bool unsafe_no_iommu;
module_param(unsafe_no_iommu, bool, 0644);
MODULE_PARM_DESC(unsafe_no_iommu,
		 "Take functions without an IOMMU; their users can write to all memory (taints)");

bool pdv_is_guarded(struct pci_dev *pdev)
{
	return device_iommu_mapped(&pdev->dev);
}

int pdv_unsafe_allowed(struct pci_dev *pdev)
{
	if (READ_ONCE(unsafe_no_iommu))
		return 0;
	pci_err(pdev, "no IOMMU guards memory from this function; refused without the parameter "
		      "unsafe_no_iommu\n");
	return -EPERM;
}

/* Functions that can only be reset together are opened under one lock. */
static void *reset_set(struct pdv_device *d)
{
	struct pci_dev *pdev = d->core.pdev;

	if (pci_is_root_bus(pdev->bus) || pdev->is_virtfn)
		return d;
	return pci_probe_reset_slot(pdev->slot) ? (void *)pdev->bus : (void *)pdev->slot;
}

/* As the core finds out: whether the state is lost from D3hot to D0. */
static bool forgets_in_d3(struct pci_dev *pdev)
{
	u16 pmcsr;

	if (!pdev->pm_cap)
		return false;
	pci_read_config_word(pdev, pdev->pm_cap + PCI_PM_CTRL, &pmcsr);
	return !(pmcsr & PCI_PM_CTRL_NO_SOFT_RESET);
}

int pdv_unsafe_register(struct pdv_device *d)
{
	struct pci_dev *pdev = d->core.pdev;
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;
	if (pci_num_vf(pdev))
		return -EBUSY;
	ret = vfio_assign_device_set(&d->core.vdev, reset_set(d));
	if (ret)
		return ret;
	/* Both need what only the core's own way to register sets up. */
	d->core.disable_vga = true;
	d->core.disable_idle_d3 = true;
	d->core.needs_pm_restore = forgets_in_d3(pdev);
	ret = vfio_register_emulated_iommu_dev(&d->core.vdev);
	if (ret)
		return ret;
	add_taint(TAINT_USER, LOCKDEP_STILL_OK);
	pci_warn(pdev, "tainting the kernel: no IOMMU guards memory from this function\n");
	return 0;
}

void pdv_unsafe_unregister(struct pdv_device *d)
{
	vfio_unregister_group_dev(&d->core.vdev);
}

int pdv_unsafe_open(struct pdv_device *d)
{
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	pci_warn(d->core.pdev, "opened without IOMMU by %s:%d\n", current->comm,
		 task_pid_nr(current));
	return 0;
}
