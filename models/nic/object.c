// SPDX-License-Identifier: MIT
#include "models/nic/object.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int nic_table_init(struct nic_table *t, uint32_t base, uint32_t cap)
{
	*t = (struct nic_table){ .base = base, .cap = cap };
	t->busy = calloc((cap + 63) / 64, sizeof(*t->busy));
	t->own = calloc(cap, sizeof(struct nic_obj *));
	t->slot = calloc(cap, sizeof(*t->slot));
	if (!t->busy || !t->own || !t->slot) {
		nic_table_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void nic_table_fini(struct nic_table *t)
{
	free(t->busy);
	free((void *)t->own);
	free((void *)t->slot);
	*t = (struct nic_table){ 0 };
}

static bool is_busy(const struct nic_table *t, uint32_t i)
{
	return t->busy[i / 64] >> (i % 64) & 1;
}

static void take(struct nic_table *t, uint32_t i)
{
	t->busy[i / 64] |= 1ull << (i % 64);
	t->used++;
}

int nic_table_reserve(struct nic_table *t, uint32_t *ret_id)
{
	uint32_t i = t->next;

	if (t->used == t->cap)
		return -ENOSPC;
	while (is_busy(t, i)) {
		if (i % 64 == 0 && t->busy[i / 64] == ~0ull)
			i += 64;
		else
			i++;
		if (i >= t->cap)
			i = 0;
	}
	take(t, i);
	t->next = (i + 1) % t->cap;
	*ret_id = t->base + i;
	return 0;
}

int nic_table_reserve_id(struct nic_table *t, uint32_t id)
{
	uint32_t i = id - t->base;

	if (i >= t->cap)
		return -ENOSPC;
	if (is_busy(t, i))
		return -EBUSY;
	take(t, i);
	return 0;
}

void nic_table_release(struct nic_table *t, uint32_t id)
{
	uint32_t i = id - t->base;

	t->busy[i / 64] &= ~(1ull << (i % 64));
	t->own[i] = NULL;
	t->used--;
}

void nic_table_publish(struct nic_table *t, struct nic_obj *obj)
{
	t->own[obj->id - t->base] = obj;
	atomic_store_explicit(&t->slot[obj->id - t->base], obj, memory_order_release);
}

void nic_table_hide(struct nic_table *t, struct nic_obj *obj)
{
	atomic_store(&t->slot[obj->id - t->base], NULL);
}
