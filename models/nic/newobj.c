// SPDX-License-Identifier: MIT
#include "models/nic/newobj.h"

#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

uint8_t nic_obj_new(struct nic_cmd *c, enum nic_type type, size_t size, uint64_t extra,
		    void *ret_obj)
{
	struct nic *nic = c->nic;
	struct nic_obj *o;

	if (nic->mem_used > NIC_MEM_BUDGET || size + extra > NIC_MEM_BUDGET - nic->mem_used)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	o = calloc(1, size);
	if (!o)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	if (nic_table_reserve(&nic->table[type], &o->id)) {
		free(o);
		return nic_fail(c, NIC_LIM_ERR, SYN_TABLE_FULL);
	}
	o->type = (uint8_t)type;
	o->uid = c->uid;
	o->charge = size + extra;
	nic->mem_used += o->charge;
	*(void **)ret_obj = o;
	return NIC_OK;
}

void nic_obj_drop(struct nic *nic, void *obj)
{
	struct nic_obj *o = obj;

	nic_table_release(&nic->table[o->type], o->id);
	nic->mem_used -= o->charge;
	free(o);
}

void *nic_obj_for_destroy(struct nic_cmd *c, enum nic_type type, uint8_t *ret_status)
{
	struct nic_obj *o = nic_cmd_find(c, type, (uint32_t)mlx5_get(c->in, MLX5_IN_ID));

	*ret_status = NIC_OK;
	if (!o)
		*ret_status = NIC_BAD_RES;
	else if (c->uid && o->uid != c->uid)
		*ret_status = nic_fail(c, NIC_BAD_RES, SYN_NOT_OWNER + type);
	else if (o->refs)
		*ret_status = nic_fail(c, NIC_RES_BUSY, SYN_BUSY);
	return *ret_status ? NULL : o;
}

void nic_obj_unlink(struct nic *nic, void *obj)
{
	struct nic_obj *o = obj;

	nic_table_hide(&nic->table[o->type], o);
	nic_epoch_sync();
}
