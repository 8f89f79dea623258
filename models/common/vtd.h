/* SPDX-License-Identifier: MIT */
/* Reading a guest's Intel VT-d translation tables (legacy mode) from its memory. */
#ifndef PEERDMA_MODELS_COMMON_VTD_H
#define PEERDMA_MODELS_COMMON_VTD_H

#include <stdbool.h>
#include <stdint.h>

struct mdl_iommu_root;
struct mdl_node;

/*
 * What iova means for the device named by root. The node's lock is held. The guest may change its
 * tables at any time: every step is checked, none is trusted. Return: 0; -EFAULT not present or a
 * table outside guest RAM; -EACCES not open in that direction; -ENOTSUP a mode of translation not
 * known here.
 */
int mdl_vtd_translate(const struct mdl_node *node, const struct mdl_iommu_root *root, uint64_t iova,
		      bool write, uint64_t *ret_gpa);

#endif
