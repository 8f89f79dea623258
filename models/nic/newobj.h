/* SPDX-License-Identifier: MIT */
/* Making and unmaking objects, for the command handlers. Command worker only. */
#ifndef PEERDMA_MODELS_NIC_NEWOBJ_H
#define PEERDMA_MODELS_NIC_NEWOBJ_H

#include "models/nic/cmd.h"

/* All contexts of one NIC together may take this many bytes of the host. */
#define NIC_MEM_BUDGET (2ull << 30)

/*
 * A zeroed object of size bytes (first member struct nic_obj) with a number of its own, owned by
 * c->uid, charged with size + extra bytes. Nobody finds it until nic_table_publish.
 * Return: NIC_OK, or NO_RES or LIM_ERR with its syndrome.
 */
uint8_t nic_obj_new(struct nic_cmd *c, enum nic_type type, size_t size, uint64_t extra,
		    void *ret_obj);

/* Give back number and charge and free obj, which was never published or is hidden and unseen. */
void nic_obj_drop(struct nic *nic, void *obj);

/* For DESTROY commands: find by MLX5_IN_ID, refuse if referenced. NULL: *ret_status says why. */
void *nic_obj_for_destroy(struct nic_cmd *c, enum nic_type type, uint8_t *ret_status);

/* Hide obj and wait until no worker can still hold it. */
void nic_obj_unlink(struct nic *nic, void *obj);

#endif
