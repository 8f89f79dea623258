// SPDX-License-Identifier: MIT
#include "bench/kit/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/sysfs/access.h"
#include "lib/sysfs/attr.h"

const char *const kit_accel_names[2] = { "acc0", "acc1" };

int kit_pair_find(struct kit_pair *p)
{
	const char *text[2] = { getenv("PEERDMA_SLOT_ACC0"), getenv("PEERDMA_SLOT_ACC1") };
	unsigned group;
	int n;

	memset(p, 0, sizeof(*p));
	if (text[0] && text[1]) {
		n = pdmai_bdf_parse(text[0], &p->bdf[0]) ?: pdmai_bdf_parse(text[1], &p->bdf[1]);
		if (n)
			return n;
	} else {
		n = pdmai_pci_list(PDMAI_SYSFS, ACCEL_PCI_VENDOR, ACCEL_PCI_DEVICE, p->bdf, 2);
		if (n < 2)
			return pdmai_fail(ENODEV, "this machine has no two accelerators");
	}
	p->iommu = !pdmai_pci_group(PDMAI_SYSFS, &p->bdf[0], &group);
	return 0;
}

static int open_one(struct kit_pair *p, int i, bool interrupts)
{
	int ret;

	if (p->iommu)
		ret = pdmai_vfio_open(p->vfio, &p->bdf[i], &p->dev[i]);
	else
		ret = pdmai_sysfs_open(PDMAI_SYSFS, &p->bdf[i], &p->dev[i]);
	return ret ? ret : pdmai_accel_open(p->dev[i], interrupts, &p->accel[i]);
}

int kit_pair_open(struct kit_pair *p, bool interrupts)
{
	int ret = 0;

	for (int i = 0; i < 2 && p->iommu && !ret; i++)
		ret = pdmai_bind(PDMAI_SYSFS, &p->bdf[i], "vfio-pci", &p->binding[i]);
	if (!ret && p->iommu)
		ret = pdmai_vfio_create(PDMAI_SYSFS, &p->vfio);
	for (int i = 0; i < 2 && !ret; i++)
		ret = open_one(p, i, interrupts);
	return ret;
}

void kit_pair_close(struct kit_pair *p)
{
	for (int i = 0; i < 2; i++) {
		pdmai_accel_close(p->accel[i]);
		pdmai_dev_close(p->dev[i]);
		p->accel[i] = NULL;
		p->dev[i] = NULL;
	}
	pdmai_vfio_destroy(p->vfio);
	p->vfio = NULL;
	for (int i = 0; i < 2; i++)
		if (p->binding[i].root)
			pdmai_unbind(&p->binding[i]);
}
