/* SPDX-License-Identifier: MIT */
/*
 * Give a PCI function to vfio-pci and back to whoever had it. Needs root. For tests, benchmarks and
 * the demo; in production the administrator binds.
 */
#ifndef PEERDMA_LIB_SYSFS_BIND_H
#define PEERDMA_LIB_SYSFS_BIND_H

#include <stdbool.h>

#include "lib/sysfs/pci.h"

struct pdmai_binding {
	const char *root; /* the caller's string, kept */
	struct pdmai_bdf bdf;
	char old_driver[64];   /* "" for none */
	char old_override[64]; /* "" for none */
	bool changed;	       /* nothing to restore otherwise */
};

/*
 * Bind to driver, unless it has the function already. On failure the old driver is bound again.
 * Return: 0 with *ret_binding for pdmai_unbind(); -ENODEV: no such function; -ENOENT: no such
 * driver is loaded; else the kernel's reason to refuse (vfio-pci without an IOMMU: -EINVAL).
 */
int pdmai_bind(const char *root, const struct pdmai_bdf *bdf, const char *driver,
	       struct pdmai_binding *ret_binding);

/* Restore what was before. Return: 0, or the first thing that failed (all steps are tried). */
int pdmai_unbind(struct pdmai_binding *binding);

#endif
