// SPDX-License-Identifier: MIT
/* Questions about a snapshot. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/path/topo.h"

static int copy_out(void *to, size_t given, const void *from, size_t size)
{
	if (given < size)
		return pdmai_fail(EINVAL, "a structure of %zu bytes is too small: is its size set?",
				  given);
	memcpy(to, from, size);
	/* The caller's size stays his; what a newer caller has behind ours is not known here. */
	memcpy(to, &given, sizeof(given));
	if (given > size)
		memset((char *)to + size, 0, given - size);
	return 0;
}

int pdma_topo_system(const struct pdma_topo *t, struct pdma_system *ret_system)
{
	return copy_out(ret_system, ret_system->size, &t->system, sizeof(t->system));
}

int pdma_topo_function(const struct pdma_topo *t, uint32_t index,
		       struct pdma_function *ret_function)
{
	if (index >= t->n)
		return pdmai_fail(EINVAL, "there is no PCI function number %u", index);
	return copy_out(ret_function, ret_function->size, &t->nodes[index].f,
			sizeof(t->nodes[index].f));
}

int pdma_topo_host(const struct pdma_topo *t, uint32_t index, struct pdma_host *ret_host)
{
	if (index >= t->n_hosts)
		return pdmai_fail(EINVAL, "there is no host bridge number %u", index);
	return copy_out(ret_host, ret_host->size, &t->hosts[index].h, sizeof(t->hosts[index].h));
}

static bool is_called(const struct pdma_function *f, const char *name)
{
	if (!strcasecmp(f->bdf, name) || (f->name[0] && !strcmp(f->name, name)))
		return true;
	/* Without a domain, the first one. */
	return !strncmp(f->bdf, "0000:", 5) && !strcasecmp(f->bdf + 5, name);
}

int pdma_topo_find(const struct pdma_topo *t, const char *name, uint32_t *ret_index)
{
	if (!name || !name[0])
		return pdmai_fail(EINVAL, "an empty name is no PCI function");
	for (uint32_t i = 0; i < t->n; i++)
		if (is_called(&t->nodes[i].f, name)) {
			*ret_index = i;
			return 0;
		}
	return pdmai_fail(ENODEV, "there is no PCI function %.40s", name);
}
