/* SPDX-License-Identifier: MIT */
/* Pages the driver gives to the device. The model needs none, but asks for a few as hardware
 * does, keeps account of them and gives them back. */
#ifndef PEERDMA_MODELS_NIC_PAGES_H
#define PEERDMA_MODELS_NIC_PAGES_H

struct nic;

int nic_pages_init(struct nic *nic);
void nic_pages_fini(struct nic *nic);
void nic_pages_reset(struct nic *nic);

#endif
