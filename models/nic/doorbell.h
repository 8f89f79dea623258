/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_MODELS_NIC_DOORBELL_H
#define PEERDMA_MODELS_NIC_DOORBELL_H

#include <stdbool.h>

struct nic;
struct nic_dw;

/* CQ and EQ doorbells and moderated events, a slice, inside the epoch, data worker 0 only.
 * Return: true when there is more. */
bool nic_doorbells_run(struct nic_dw *dw);

/* Port events left by nic_event_port; command worker. */
void nic_port_events_run(struct nic *nic);

/* Parts of nic_doorbells_run. */
void nic_eq_doorbells(struct nic *nic);

#endif
