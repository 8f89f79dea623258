/* SPDX-License-Identifier: MIT */
/*
 * The two accelerators of a node, opened in the way its topology allows: over VFIO with an IOMMU,
 * over sysfs without.
 */
#ifndef PEERDMA_BENCH_KIT_PAIR_H
#define PEERDMA_BENCH_KIT_PAIR_H

#include <stdbool.h>

#include "lib/accel/accel.h"
#include "lib/sysfs/bind.h"
#include "lib/vfio/vfio.h"

struct kit_pair {
	struct pdmai_bdf bdf[2];
	bool iommu;
	struct pdmai_binding binding[2];
	struct pdmai_vfio *vfio;
	struct pdmai_dev *dev[2];
	struct pdmai_accel *accel[2];
};

extern const char *const kit_accel_names[2]; /* in the lab: "acc0", "acc1" */

/*
 * Find them: PEERDMA_SLOT_ACC0 and _ACC1, else the first two by address. Return: 0; -ENODEV.
 */
int kit_pair_find(struct kit_pair *p);
/* Bind (with an IOMMU, to vfio-pci) and open. On failure kit_pair_close() is still needed. */
int kit_pair_open(struct kit_pair *p, bool interrupts);
/* Undo all; also after an open that failed half-way. */
void kit_pair_close(struct kit_pair *p);

#endif
