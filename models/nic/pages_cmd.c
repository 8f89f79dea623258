// SPDX-License-Identifier: MIT
#include "models/nic/pages.h"

#include <errno.h>
#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

/* QUERY_PAGES' operation modifiers */
#define FOR_BOOT 1
#define FOR_INIT 2
#define REGULAR	 3
/* MANAGE_PAGES' */
#define CANNOT_GIVE 0
#define GIVE	    1
#define TAKE	    2

#define BOOT_PAGES 16
#define INIT_PAGES 64
#define MAX_PAGES  4096
#define LIST_OFF   16

struct nic_pages {
	uint32_t n;
	uint64_t page[MAX_PAGES];
};

int nic_pages_init(struct nic *nic)
{
	nic->pages = calloc(1, sizeof(*nic->pages));
	return nic->pages ? 0 : -ENOMEM;
}

void nic_pages_fini(struct nic *nic)
{
	free(nic->pages);
	nic->pages = NULL;
}

void nic_pages_reset(struct nic *nic)
{
	nic->pages->n = 0;
}

/* How many more it wants; negative: how many it could give back. */
static int32_t wanted(const struct nic *nic, uint16_t when)
{
	uint32_t have = nic->pages->n, want = when == FOR_BOOT ? BOOT_PAGES : INIT_PAGES;

	if (when == REGULAR && atomic_load(&nic->hca_state) != NIC_HCA_INIT)
		want = 0;
	return (int32_t)want - (int32_t)have;
}

uint8_t nic_cmd_query_pages(struct nic_cmd *c)
{
	int32_t n;

	if (c->op_mod < FOR_BOOT || c->op_mod > REGULAR)
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	if (mlx5_get(c->in, MLX5_QUERY_PAGES_IN_FUNCTION_ID))
		return nic_fail(c, NIC_BAD_PARAM, SYN_FUNCTION);
	n = wanted(c->nic, c->op_mod);
	if (c->op_mod != REGULAR && n < 0)
		n = 0;
	mlx5_set(c->out, MLX5_QUERY_PAGES_OUT_NUM_PAGES, (uint32_t)n);
	return NIC_OK;
}

static int by_address(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All in one order, so that twins lie side by side. */
static bool has_twins(struct nic_pages *p, uint32_t n)
{
	uint32_t i;

	qsort(p->page, n, sizeof(p->page[0]), by_address);
	for (i = 1; i < n; i++)
		if (p->page[i] == p->page[i - 1])
			return true;
	return false;
}

static uint8_t give(struct nic_cmd *c, uint32_t n)
{
	struct nic_pages *p = c->nic->pages, *next;
	uint32_t i;
	bool bad = false;

	if (n > MAX_PAGES - p->n)
		return nic_fail(c, NIC_LIM_ERR, SYN_PAGES);
	if (n > (c->in_len - LIST_OFF) / 8)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_IN_LEN);
	next = malloc(sizeof(*next));
	if (!next)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	*next = *p;
	for (i = 0; i < n; i++) {
		next->page[p->n + i] = mlx5_get64(c->in, LIST_OFF + i * 8);
		bad |= next->page[p->n + i] & 0xfff;
	}
	next->n = p->n + n;
	if (bad || has_twins(next, next->n)) {
		free(next);
		return nic_fail(c, NIC_BAD_PARAM, SYN_PAGES);
	}
	free(p);
	c->nic->pages = next;
	return NIC_OK;
}

static uint8_t take_back(struct nic_cmd *c, uint32_t n)
{
	struct nic_pages *p = c->nic->pages;
	uint32_t i;

	if (n > (c->out_len - LIST_OFF) / 8)
		return nic_fail(c, NIC_BAD_OUTP_LEN, SYN_OUT_LEN);
	n = n < p->n ? n : p->n;
	for (i = 0; i < n; i++)
		mlx5_set64(c->out, LIST_OFF + i * 8, p->page[--p->n]);
	mlx5_set(c->out, MLX5_MANAGE_PAGES_OUT_OUTPUT_NUM_ENTRIES, n);
	return NIC_OK;
}

uint8_t nic_cmd_manage_pages(struct nic_cmd *c)
{
	uint32_t n = (uint32_t)mlx5_get(c->in, MLX5_MANAGE_PAGES_IN_INPUT_NUM_ENTRIES);

	if (mlx5_get(c->in, MLX5_MANAGE_PAGES_IN_FUNCTION_ID))
		return nic_fail(c, NIC_BAD_PARAM, SYN_FUNCTION);
	if (c->op_mod == GIVE)
		return give(c, n);
	if (c->op_mod == TAKE)
		return take_back(c, n);
	/* The driver has none to give: the model can live with that. */
	return c->op_mod == CANNOT_GIVE ? NIC_OK : nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
}
