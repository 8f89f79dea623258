/* SPDX-License-Identifier: MIT */
/* URIs of regions, taken apart. Nothing is opened. */
#ifndef PEERDMA_LIB_REGION_URI_H
#define PEERDMA_LIB_REGION_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/sysfs/pci.h"
#include "peerdma/region.h"

#define PDMAI_URI_MAX	 4096 /* bytes, with the NUL */
#define PDMAI_URI_RANGES 1024

/* A piece of memory. len is never 0. */
struct pdmai_span {
	uint64_t off, len;
};

/* len of a range that was given without one: to the end of the memory. */
#define PDMAI_TO_THE_END UINT64_MAX

struct pdmai_uri {
	enum pdma_kind kind;
	struct pdmai_bdf bdf;	   /* vfio, accel, cmb */
	int bar;		   /* vfio; else -1 */
	char name[PDMAI_URI_MAX];  /* file: path; dm: device; rdma: host */
	char port[8];		   /* rdma: digits, "" when not given */
	char object[256];	   /* rdma: name of the export */
	uint64_t len;		   /* dm, udmabuf, host */
	struct pdmai_span *ranges; /* at least one where the kind has ranges, else NULL */
	unsigned n_ranges;
	bool has_ranges; /* they were given; else it is one from 0 to the end */
};

/*
 * Take text apart. ret_column: from 1, set on -EINVAL.
 * Return: 0, *ret_uri for pdmai_uri_clear(); -EINVAL with a sentence naming the column; -ENOMEM.
 */
int pdmai_uri_parse(const char *text, struct pdmai_uri *ret_uri, unsigned *ret_column);
void pdmai_uri_clear(struct pdmai_uri *uri);

#endif
