/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_MODELS_NIC_MMIO_H
#define PEERDMA_MODELS_NIC_MMIO_H

#include "models/common/device.h"

#define NIC_BAR_SIZE   (32ull << 20)
#define NIC_UAR_SHIFT  12
#define NIC_FIRST_UAR  0x20u
#define NIC_MSIX_TABLE 0x2000
#define NIC_MSIX_PBA   0x3000

/* In the words kept for the workers beside the doorbell's value (low half) and UAR (bits 32-61). */
#define NIC_DB_SET (1ull << 63)
#define NIC_DB_ARM (1ull << 62)

void nic_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len);
void nic_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf, size_t len);

#endif
