// SPDX-License-Identifier: MIT
/* The table of kinds that a URI can name. */
#include <errno.h>

#include "lib/region/kinds.h"

static const struct {
	const char *name;
	const struct pdmai_kind_ops *ops; /* NULL: not by a URI, or not in this build */
} kinds[] = {
	[PDMA_KIND_VFIO] = { "vfio", &pdmai_kind_vfio },
	[PDMA_KIND_CMB] = { "cmb", &pdmai_kind_cmb },
	[PDMA_KIND_ACCEL] = { "accel", &pdmai_kind_accel },
	[PDMA_KIND_DM] = { "dm", &pdmai_kind_dm },
	[PDMA_KIND_UDMABUF] = { "udmabuf", &pdmai_kind_udmabuf },
	[PDMA_KIND_HOST] = { "host", &pdmai_kind_host },
	[PDMA_KIND_FILE] = { "file", &pdmai_kind_file },
	[PDMA_KIND_RDMA] = { "rdma", &pdmai_kind_rdma },
	[PDMA_KIND_POINTER] = { "pointer", NULL },
	[PDMA_KIND_DMABUF] = { "dmabuf", NULL },
	[PDMA_KIND_MIXED] = { "mixed", NULL },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct pdmai_kind_ops *pdmai_kind_find(enum pdma_kind kind)
{
	return (unsigned)kind < KINDS ? kinds[kind].ops : NULL;
}

const char *pdma_kind_name(enum pdma_kind kind)
{
	if ((unsigned)kind < KINDS && kinds[kind].name)
		return kinds[kind].name;
	return "unknown";
}
