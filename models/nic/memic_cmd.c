// SPDX-License-Identifier: MIT
#include "models/nic/memic.h"

#include "hw/mlx5_cmd.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/syndrome.h"

#define MIN_SIZE       4u
#define MAX_ALIGN      6u
#define BASE_ALIGN_LOG 6u
#define OP_ALLOC       0
#define OP_DEALLOC     1

struct nic_memic {
	struct nic_obj obj;
	uint32_t start, size; /* offset within the device memory */
};

static struct nic_memic *overlapping(struct nic *nic, uint32_t start, uint32_t size)
{
	struct nic_table *t = &nic->table[NIC_T_MEMIC];
	struct nic_memic *m;
	uint32_t i, seen;

	for (i = 0, seen = 0; i < t->cap && seen < t->used; i++) {
		m = (struct nic_memic *)t->own[i];
		if (!m)
			continue;
		seen++;
		if (start < m->start + m->size && m->start < start + size)
			return m;
	}
	return NULL;
}

/* Pages of a piece of memory lend themselves to operation op, or no longer. */
static void set_op(struct nic *nic, const struct nic_memic *m, unsigned op, bool on)
{
	uint32_t p = m->start / NIC_MEMIC_PAGE, end = (m->start + m->size - 1) / NIC_MEMIC_PAGE;

	for (; p <= end; p++) {
		if (on)
			atomic_fetch_or(&nic->memic_ops[p], (uint8_t)(1u << op));
		else
			atomic_fetch_and(&nic->memic_ops[p], (uint8_t) ~(1u << op));
	}
}

static struct nic_memic *starting_at(struct nic_cmd *c, uint64_t addr)
{
	struct nic_memic *m = NULL;

	if (addr >= NIC_MEMIC_OFF && addr - NIC_MEMIC_OFF < NIC_MEMIC_SIZE)
		m = overlapping(c->nic, (uint32_t)(addr - NIC_MEMIC_OFF), 1);
	if (m && m->start == addr - NIC_MEMIC_OFF)
		return m;
	c->syndrome = SYN_MEMIC;
	return NULL;
}

/* The driver names a range of pages of its own and wants memory inside it. */
uint8_t nic_cmd_alloc_memic(struct nic_cmd *c)
{
	uint64_t range = mlx5_get(c->in, MLX5_ALLOC_MEMIC_IN_RANGE_START_ADDR);
	uint32_t len = (uint32_t)mlx5_get(c->in, MLX5_ALLOC_MEMIC_IN_RANGE_SIZE);
	uint32_t size = (uint32_t)mlx5_get(c->in, MLX5_ALLOC_MEMIC_IN_MEMIC_SIZE);
	uint32_t align = (uint32_t)mlx5_get(c->in, MLX5_ALLOC_MEMIC_IN_LOG_MEMIC_ADDR_ALIGNMENT);
	struct nic_memic *m;
	uint8_t st;

	if (!size || size % MIN_SIZE || align > MAX_ALIGN || range < NIC_MEMIC_OFF)
		return nic_fail(c, NIC_BAD_PARAM, SYN_MEMIC);
	range -= NIC_MEMIC_OFF;
	if (range > NIC_MEMIC_SIZE || len > NIC_MEMIC_SIZE - range || size > len ||
	    range & ((1ull << (BASE_ALIGN_LOG + align)) - 1))
		return nic_fail(c, NIC_BAD_PARAM, SYN_MEMIC);
	if (overlapping(c->nic, (uint32_t)range, size))
		return nic_fail(c, NIC_NO_RES, SYN_MEMIC);
	st = nic_obj_new(c, NIC_T_MEMIC, sizeof(*m), 0, &m);
	if (st)
		return st;
	m->start = (uint32_t)range;
	m->size = size;
	nic_table_publish(&c->nic->table[NIC_T_MEMIC], &m->obj);
	mlx5_set(c->out, MLX5_ALLOC_MEMIC_OUT_MEMIC_START_ADDR, NIC_MEMIC_OFF + range);
	return NIC_OK;
}

uint8_t nic_cmd_dealloc_memic(struct nic_cmd *c)
{
	uint64_t addr = mlx5_get(c->in, MLX5_DEALLOC_MEMIC_IN_MEMIC_START_ADDR);
	struct nic_memic *m = starting_at(c, addr);
	unsigned op;

	if (!m)
		return NIC_BAD_RES;
	for (op = 0; op < NIC_MEMIC_OPS; op++)
		set_op(c->nic, m, op, false);
	nic_table_hide(&c->nic->table[NIC_T_MEMIC], &m->obj);
	/* The next owner must not see what the last one wrote. */
	memset((uint8_t *)c->nic->memic + m->start, 0, m->size);
	nic_obj_drop(c->nic, m);
	return NIC_OK;
}

uint8_t nic_cmd_modify_memic(struct nic_cmd *c)
{
	uint64_t addr = mlx5_get(c->in, MLX5_MODIFY_MEMIC_IN_MEMIC_START_ADDR);
	unsigned op = (unsigned)mlx5_get(c->in, MLX5_MODIFY_MEMIC_IN_MEMIC_OPERATION_TYPE);
	struct nic_memic *m = starting_at(c, addr);

	if (!m)
		return NIC_BAD_RES;
	if (c->op_mod > OP_DEALLOC)
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	if (op >= NIC_MEMIC_OPS)
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	set_op(c->nic, m, op, c->op_mod == OP_ALLOC);
	mlx5_set(c->out, MLX5_MODIFY_MEMIC_OUT_MEMIC_OPERATION_ADDR,
		 addr + (op + 1ull) * NIC_MEMIC_SIZE);
	return NIC_OK;
}
