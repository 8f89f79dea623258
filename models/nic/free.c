// SPDX-License-Identifier: MIT
/* One door to every kind of object's end. */
#include "models/nic/free.h"

#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/umem.h"

void nic_object_free(struct nic *nic, struct nic_obj *obj)
{
	switch (obj->type) {
	case NIC_T_QP:
		nic_qp_free(nic, (struct nic_qp *)obj);
		break;
	case NIC_T_SRQ:
		nic_srq_free(nic, (struct nic_srq *)obj);
		break;
	case NIC_T_CQ:
		nic_cq_free(nic, (struct nic_cq *)obj);
		break;
	case NIC_T_EQ:
		nic_eq_free(nic, (struct nic_eq *)obj);
		break;
	case NIC_T_MKEY:
		nic_mkey_free(nic, (struct nic_mkey *)obj);
		break;
	case NIC_T_UMEM:
		nic_umem_free(nic, (struct nic_umem *)obj);
		break;
	case NIC_T_GENERAL:
		nic_general_free(nic, (struct nic_general *)obj);
		break;
	default:
		nic_obj_drop(nic, obj);
		break;
	}
}
