/* SPDX-License-Identifier: MIT */
/* NICs on a subnet with no device below: cables, time and port events are the test's. */
#ifndef PEERDMA_TESTS_UNIT_MODELS_NIC_MGMTRIG_H
#define PEERDMA_TESTS_UNIT_MODELS_NIC_MGMTRIG_H

#include <stdbool.h>
#include <stdint.h>

#include "models/nic/internal.h"

/* A NIC of a node, its driver up (port active) or not. NULL when the subnet is full. */
struct nic *rig_nic(const char *node, bool driver_up);
void rig_nic_free(struct nic *nic);
/* Plug a cable between two; pull or push it with rig_cable_set. */
void rig_cable(struct nic *a, struct nic *b);
void rig_cable_set(struct nic *a, bool up);
void rig_driver(struct nic *nic, bool up);

/* Port events of the NIC since the last call, as bits. */
uint32_t rig_events(struct nic *nic);
void rig_time_pass(uint64_t ns);

/* Send in to (lid, qp). Return: true when answered at once. */
bool rig_mad(struct nic *from, unsigned qp, uint16_t dlid, const uint8_t *in, uint8_t *out);
bool rig_mad_more(struct nic *from, uint8_t *out);

#endif
