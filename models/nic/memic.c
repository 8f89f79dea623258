// SPDX-License-Identifier: MIT
/* Operations on device memory by the CPU. Source: KH modify_memic_in; RC mlx5dv_dm_map_op_addr. */
#include "models/nic/memic.h"

#include <string.h>

#include "models/nic/internal.h"

/* Where in the memory an access goes that may do this operation there, or NULL. */
static void *place(struct nic *nic, enum nic_memic_op op, uint64_t off, size_t len)
{
	uint64_t at = (off - NIC_MEMIC_OFF) % NIC_MEMIC_SIZE;

	if ((off - NIC_MEMIC_OFF) / NIC_MEMIC_SIZE - 1 == op && len && len <= 8 &&
	    !(len & (len - 1)) && at % len == 0 &&
	    atomic_load(&nic->memic_ops[at / NIC_MEMIC_PAGE]) >> op & 1)
		return (uint8_t *)nic->memic + at;
	mdl_count(nic->dev, NIC_C_BAD_MMIO);
	return NULL;
}

void nic_memic_op_write(struct nic *nic, uint64_t off, const void *buf, size_t len)
{
	void *p = place(nic, NIC_MEMIC_ADD, off, len);
	uint64_t v = 0;

	if (!p)
		return;
	memcpy(&v, buf, len);
	if (len == 1)
		__atomic_fetch_add((uint8_t *)p, (uint8_t)v, __ATOMIC_SEQ_CST);
	else if (len == 2)
		__atomic_fetch_add((uint16_t *)p, (uint16_t)v, __ATOMIC_SEQ_CST);
	else if (len == 4)
		__atomic_fetch_add((uint32_t *)p, (uint32_t)v, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_add((uint64_t *)p, v, __ATOMIC_SEQ_CST);
}

void nic_memic_op_read(struct nic *nic, uint64_t off, void *buf, size_t len)
{
	void *p = place(nic, NIC_MEMIC_TEST_SET, off, len);
	uint64_t v;

	if (!p)
		return;
	if (len == 1)
		v = __atomic_exchange_n((uint8_t *)p, 1, __ATOMIC_SEQ_CST);
	else if (len == 2)
		v = __atomic_exchange_n((uint16_t *)p, 1, __ATOMIC_SEQ_CST);
	else if (len == 4)
		v = __atomic_exchange_n((uint32_t *)p, 1, __ATOMIC_SEQ_CST);
	else
		v = __atomic_exchange_n((uint64_t *)p, 1, __ATOMIC_SEQ_CST);
	memcpy(buf, &v, len);
}
