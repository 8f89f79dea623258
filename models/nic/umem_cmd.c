// SPDX-License-Identifier: MIT
/* User memory of a user context, and queues made of it. */
#include <errno.h>
#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/ring.h"
#include "models/nic/syndrome.h"
#include "models/nic/umem.h"

#define MTT_OFF	      0x30 /* of the page list in CREATE_UMEM */
#define ADAPTER_SHIFT 12u

uint8_t nic_cmd_create_umem(struct nic_cmd *c)
{
	const uint8_t *in = c->in + 0x10;
	uint64_t n = mlx5_get(in, MLX5_UMEM_NUM_OF_MTT);
	unsigned shift = (unsigned)mlx5_get(in, MLX5_UMEM_LOG_PAGE_SIZE) + ADAPTER_SHIFT;
	uint32_t off = (uint32_t)mlx5_get(in, MLX5_UMEM_PAGE_OFFSET);
	struct nic_umem *u;
	uint8_t st;
	uint64_t i;

	if (shift > 31 || off >> shift)
		return nic_fail(c, NIC_BAD_PARAM, SYN_PAGE_SIZE);
	if (!n || n > (c->in_len - MTT_OFF) / 8)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_PAGE_LIST);
	st = nic_obj_new(c, NIC_T_UMEM, sizeof(*u), n * 8, &u);
	if (st)
		return st;
	u->page = calloc(n, 8);
	if (!u->page) {
		nic_obj_drop(c->nic, u);
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	}
	for (i = 0; i < n; i++)
		u->page[i] = mlx5_get64(c->in, (uint32_t)(MTT_OFF + i * 8));
	u->n = (uint32_t)n;
	u->shift = (uint8_t)shift;
	u->first = off;
	nic_table_publish(&c->nic->table[NIC_T_UMEM], &u->obj);
	mlx5_set(c->out, MLX5_OUT_ID, u->obj.id);
	return NIC_OK;
}

void nic_umem_free(struct nic *nic, struct nic_umem *u)
{
	free(u->page);
	nic_obj_drop(nic, u);
}

/* Queues copy the addresses they need, so nothing refers to a umem for long. The kernel holds the
 * pages until this command has run, and orders it after the queues' own. */
uint8_t nic_cmd_destroy_umem(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_umem *u = nic_obj_for_destroy(c, NIC_T_UMEM, &st);

	if (!u)
		return st;
	nic_table_hide(&c->nic->table[NIC_T_UMEM], &u->obj);
	nic_umem_free(c->nic, u);
	return NIC_OK;
}

static struct nic_umem *find_umem(struct nic_cmd *c, uint32_t id)
{
	return (struct nic_umem *)nic_cmd_find(c, NIC_T_UMEM, id);
}

static bool umem_addr(const struct nic_umem *u, uint64_t off, uint64_t len, uint64_t *ret_addr)
{
	uint64_t size = ((uint64_t)u->n << u->shift) - u->first;

	if (off > size || len > size - off)
		return false;
	off += u->first;
	*ret_addr = (u->page[off >> u->shift] & ~7ull) + (off & ((1ull << u->shift) - 1));
	return true;
}

/* As a page list of 4 KiB pages, which fits any offset. */
static uint8_t ring_from_umem(struct nic_cmd *c, const struct nic_ring_src *s, struct nic_buf *b)
{
	struct nic_umem *u = find_umem(c, s->umem_id);
	uint64_t at, n, i, a;
	uint8_t *pas;
	int r = 0;

	if (!u)
		return NIC_BAD_RES;
	at = s->umem_off;
	if (!umem_addr(u, at, s->size, &a) || a & 63 || s->size > NIC_MEM_BUDGET)
		return nic_fail(c, NIC_BAD_PARAM, SYN_PAGE_LIST);
	n = ((a & 0xfff) + s->size + 0xfff) >> 12;
	pas = calloc(n, 8);
	if (!pas)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	at -= a & 0xfff;
	for (i = 0; i < n; i++) {
		umem_addr(u, i ? at + (i << 12) : s->umem_off, 0, &a);
		mlx5_set64(pas, (uint32_t)(i * 8), a & ~0xfffull);
	}
	umem_addr(u, s->umem_off, 0, &a);
	r = nic_buf_init(b, pas, (uint32_t)n, 12, (a & 0xfff) / 64, s->size);
	free(pas);
	return r ? nic_fail(c, NIC_BAD_PARAM, SYN_PAGE_LIST) : NIC_OK;
}

uint8_t nic_ring_init(struct nic_cmd *c, const struct nic_ring_src *s, struct nic_buf *b)
{
	uint32_t n = c->in_len > s->pas_off ? (c->in_len - s->pas_off) / 8 : 0;
	int r;

	if (s->umem)
		return ring_from_umem(c, s, b);
	r = nic_buf_init(b, c->in + s->pas_off, n, s->log_page + ADAPTER_SHIFT, s->page_offset,
			 s->size);
	if (r == -ENOMEM)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	return r ? nic_fail(c, NIC_BAD_PARAM, SYN_PAGE_LIST) : NIC_OK;
}

uint8_t nic_dbr_init(struct nic_cmd *c, uint64_t addr, bool umem, uint32_t umem_id,
		     uint64_t *ret_addr)
{
	struct nic_umem *u;

	*ret_addr = addr;
	if (umem) {
		u = find_umem(c, umem_id);
		if (!u)
			return NIC_BAD_RES;
		if (!umem_addr(u, addr, 8, ret_addr))
			return nic_fail(c, NIC_BAD_PARAM, SYN_DOORBELL);
	}
	return *ret_addr & 7 ? nic_fail(c, NIC_BAD_PARAM, SYN_DOORBELL) : NIC_OK;
}
