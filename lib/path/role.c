// SPDX-License-Identifier: MIT
/* What functions are there for. */
#include <string.h>

#include "lib/path/topo.h"

/* Base class and subclass, PCI Code and ID Assignment. */
#define CLASS_NVME	 0x0108
#define CLASS_INFINIBAND 0x0c06
#define BASE_NETWORK	 0x02
#define BASE_DISPLAY	 0x03
#define BASE_ACCELERATOR 0x12

static enum pdma_role role_of(const struct pdma_function *f)
{
	unsigned class = f->class_code >> 8, base = f->class_code >> 16;

	if (f->kind != PDMA_FUNCTION_ENDPOINT)
		return PDMA_ROLE_PORT;
	if (base == BASE_DISPLAY || base == BASE_ACCELERATOR)
		return PDMA_ROLE_ACCELERATOR;
	if (base == BASE_NETWORK || class == CLASS_INFINIBAND)
		return PDMA_ROLE_NIC;
	return class == CLASS_NVME ? PDMA_ROLE_NVME : PDMA_ROLE_OTHER;
}

static bool has_memory(const struct pdma_function *f)
{
	for (int i = 0; i < PDMA_BARS; i++)
		if (f->bar[i].is_mem && f->bar[i].len)
			return true;
	return false;
}

void pdmai_role_find(struct pdma_function *f)
{
	bool in_user_space = pdmai_is_user_driver(f);

	f->is_vfio = pdmai_is_vfio_driver(f->driver);
	f->role = role_of(f);
	if (f->role == PDMA_ROLE_PORT)
		return;
	f->is_importer = f->role != PDMA_ROLE_OTHER || in_user_space;
	f->is_exporter =
		has_memory(f) && (f->role == PDMA_ROLE_ACCELERATOR || f->p2pmem || in_user_space);
}

int pdma_function_largest_bar(const struct pdma_function *f)
{
	int best = -1;

	for (int i = 0; i < PDMA_BARS; i++)
		if (f->bar[i].is_mem && f->bar[i].len &&
		    (best < 0 || f->bar[i].len > f->bar[best].len))
			best = i;
	return best;
}

const char *pdma_role_name(const struct pdma_function *f)
{
	static const char *const ports[] = {
		[PDMA_FUNCTION_ROOT_PORT] = "root port",
		[PDMA_FUNCTION_UPSTREAM] = "switch up",
		[PDMA_FUNCTION_DOWNSTREAM] = "switch down",
		[PDMA_FUNCTION_BRIDGE] = "bridge",
	};
	static const char *const roles[] = {
		[PDMA_ROLE_OTHER] = "device",
		[PDMA_ROLE_NIC] = "nic",
		[PDMA_ROLE_ACCELERATOR] = "accelerator",
		[PDMA_ROLE_NVME] = "nvme",
	};

	if (f->kind != PDMA_FUNCTION_ENDPOINT)
		return ports[f->kind];
	return f->role == PDMA_ROLE_PORT ? roles[PDMA_ROLE_OTHER] : roles[f->role];
}
