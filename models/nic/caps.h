/* SPDX-License-Identifier: MIT */
/* Capabilities: what the device can do, and what the driver chose of it. Command worker only. */
#ifndef PEERDMA_MODELS_NIC_CAPS_H
#define PEERDMA_MODELS_NIC_CAPS_H

#include <stdint.h>

struct nic;

int nic_caps_init(struct nic *nic);
void nic_caps_fini(struct nic *nic);
/* Current values become what a reset gives. */
void nic_caps_reset(struct nic *nic);
uint8_t nic_caps_issi(const struct nic *nic);
void nic_caps_set_issi(struct nic *nic, uint8_t issi);
/* Is the 8-byte endianness mode of atomics chosen? */
uint8_t nic_caps_atomic_mode(const struct nic *nic);

#endif
