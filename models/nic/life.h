/* SPDX-License-Identifier: MIT */
/* The NIC's life cycle: bring-up commands, and tear-down by command or reset. */
#ifndef PEERDMA_MODELS_NIC_LIFE_H
#define PEERDMA_MODELS_NIC_LIFE_H

struct json_object;
struct mdl_device;
struct nic;

int nic_life_init(struct nic *nic);
void nic_life_fini(struct nic *nic);

/* After a reset, on the command worker: everything goes, the device is as after power-on. */
void nic_tear_down(struct nic *nic);

/* Take all objects out of their tables and free them. Command worker. */
void nic_free_objects(struct nic *nic);

void nic_snapshot(struct mdl_device *dev, struct json_object *obj);

#endif
