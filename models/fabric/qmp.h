/* SPDX-License-Identifier: MIT */
/* Asking a node's QEMU where the guest's IOMMU keeps its tables. */
#ifndef PEERDMA_MODELS_FABRIC_QMP_H
#define PEERDMA_MODELS_FABRIC_QMP_H

struct mdl_iommu_root;

/*
 * Over the QMP socket at path: the Intel IOMMU's root table and the PCI address of the device
 * whose id is dev_id. Blocks, 2 s at most for each answer. Return: 0; -ENOENT no such device;
 * -EPROTO an answer that can't be read; -errno of the socket.
 */
int fab_qmp_iommu_root(const char *path, const char *dev_id, struct mdl_iommu_root *ret_root);

#endif
