// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking the memory away from those who use it, and waiting for them.
 *
 * The core of VFIO takes only the mappings of BARs away, and knows nothing of pages that are held
 * by transfers under way. So each way to lose the memory comes past here before the core acts.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>

#include "peerdma_vfio.h"

static unsigned int revoke_ms = 5000;
module_param(revoke_ms, uint, 0644);
MODULE_PARM_DESC(revoke_ms, "How long a reset waits for pages that are held, in milliseconds");

/*
 * Every way to switch the memory off goes through take_away(), which forgets the answer. The
 * core's lock is tried only: whoever has it may be waiting for a page of our caller's.
 */
bool pdv_is_on(struct pdv_device *d)
{
	struct vfio_pci_core_device *core = &d->core;

	if (READ_ONCE(d->on))
		return true;
	if (!down_read_trylock(&core->memory_lock))
		return false;
	if (!core->pm_runtime_engaged && __vfio_pci_memory_enabled(core))
		WRITE_ONCE(d->on, true);
	up_read(&core->memory_lock);
	return READ_ONCE(d->on);
}

static void zap(struct pdv_device *d)
{
	for (unsigned int n = 0; n < d->n_bars; n++) {
		struct pdv_bar *b = &d->bars[n];

		if (b->region)
			unmap_mapping_range(d->core.vdev.inode->i_mapping,
					    VFIO_PCI_INDEX_TO_OFFSET(b->region),
					    (loff_t)b->n_pages << PAGE_SHIFT, true);
	}
}

/* Return: it was not revoked before. */
static bool take_away(struct pdv_device *d)
{
	bool first;

	down_write(&d->lock);
	first = !d->revoked++;
	d->on = false;
	up_write(&d->lock);
	if (first)
		peerdma_provider_revoke_begin(d->provider);
	zap(d);
	pdv_exports_revoke(d);
	return first;
}

void pdv_allow(struct pdv_device *d)
{
	down_write(&d->lock);
	d->revoked--;
	up_write(&d->lock);
}

static bool is_idle(struct pdv_device *d)
{
	return pdv_pages_idle(d) && pdv_exports_idle(d);
}

int pdv_wait_idle(struct pdv_device *d, bool killable)
{
	ktime_t end = ktime_add_ms(ktime_get(), READ_ONCE(revoke_ms));
	unsigned int us = 50;

	/* Nothing in the kernel tells that a page has only one reference left. */
	while (!is_idle(d)) {
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		if (ktime_after(ktime_get(), end))
			return is_idle(d) ? 0 : -ETIMEDOUT;
		usleep_range(us, 2 * us);
		us = min(2 * us, 2000u);
	}
	return 0;
}

/* A reset of a device that is reset is told of once. */
int pdv_revoke(struct pdv_device *d, bool killable)
{
	bool first = take_away(d);
	int ret = pdv_wait_idle(d, killable);

	if (first)
		peerdma_provider_revoke_end(d->provider, ret);
	return ret;
}

int pdv_try_revoke(struct pdv_device *d)
{
	int ret = pdv_revoke(d, true);

	if (ret == -ETIMEDOUT)
		dev_warn_ratelimited(&d->core.pdev->dev,
				     "memory is held by transfers under way, request refused\n");
	if (ret)
		pdv_allow(d);
	return ret;
}

static bool overlaps(loff_t pos, size_t count, unsigned int reg, unsigned int len)
{
	return pos < reg + len && count > 0 && (pos >= reg || count > reg - pos);
}

/*
 * What is written does not matter: user space can change it between our look and the core's. The
 * registers are such that drivers write seldom.
 */
bool pdv_write_revokes(struct pdv_device *d, loff_t pos, size_t count)
{
	struct pci_dev *pdev = d->core.pdev;

	return overlaps(pos, count, PCI_COMMAND, 1) ||
	       (pdev->pm_cap && overlaps(pos, count, pdev->pm_cap + PCI_PM_CTRL, 2)) ||
	       (pdev->pcie_cap && overlaps(pos, count, pdev->pcie_cap + PCI_EXP_DEVCTL, 2)) ||
	       (d->af_cap && overlaps(pos, count, d->af_cap + PCI_AF_CTRL, 1));
}
