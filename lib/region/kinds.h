/* SPDX-License-Identifier: MIT */
/* The kinds of memory, one a file of its name. */
#ifndef PEERDMA_LIB_REGION_KINDS_H
#define PEERDMA_LIB_REGION_KINDS_H

#include "lib/region/region.h"

extern const struct pdmai_kind_ops pdmai_kind_vfio, pdmai_kind_accel, pdmai_kind_cmb, pdmai_kind_dm,
	pdmai_kind_udmabuf, pdmai_kind_host, pdmai_kind_file, pdmai_kind_rdma;

#endif
