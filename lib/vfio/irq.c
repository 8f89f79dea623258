// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/core/error.h"
#include "lib/vfio/private.h"

/* The most MSI-X vectors a function can have. */
#define VECTORS_MAX 2048

int pdmai_vfio_irq_enable(struct pdmai_dev *dev, const int *fds, unsigned n)
{
	struct pdmai_vfio_dev *d = (struct pdmai_vfio_dev *)dev;
	union {
		struct vfio_irq_set set;
		char space[sizeof(struct vfio_irq_set) + VECTORS_MAX * sizeof(__s32)];
	} u = { 0 };

	if (!n || n > d->n_irqs || n > VECTORS_MAX)
		return pdmai_fail(ENOSPC, "%s has %u MSI-X vectors, not %u", dev->bdf.text,
				  d->n_irqs, n);
	u.set.argsz = (__u32)(sizeof(u.set) + n * sizeof(__s32));
	u.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	u.set.index = VFIO_PCI_MSIX_IRQ_INDEX;
	u.set.count = n;
	memcpy(u.space + sizeof(u.set), fds, n * sizeof(__s32));
	if (ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &u.set) < 0)
		return pdmai_fail_errno(errno, "%s: cannot enable %u MSI-X vectors", dev->bdf.text,
					n);
	return 0;
}

int pdmai_vfio_irq_disable(struct pdmai_dev *dev)
{
	struct pdmai_vfio_dev *d = (struct pdmai_vfio_dev *)dev;
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};

	if (ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &set) < 0)
		return pdmai_fail_errno(errno, "%s: cannot disable MSI-X", dev->bdf.text);
	return 0;
}
