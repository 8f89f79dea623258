/* SPDX-License-Identifier: MIT */
/* Large machines that nobody has, to try the path rules on. */
#ifndef PEERDMA_BENCH_KIT_TREE_H
#define PEERDMA_BENCH_KIT_TREE_H

#include "lib/path/topo.h"

/*
 * A machine with that many devices, one below each port of switches that stand two deep below root
 * ports of several host bridges. seed decides where ACS redirects, what is behind an IOMMU, which
 * bridges the kernel lists and which devices sleep. Return: for pdma_topo_destroy(); NULL: no
 * memory.
 */
struct pdma_topo *kit_tree(uint32_t devices, uint32_t seed);

/* The devices of it, at most max. Return: how many. */
uint32_t kit_tree_devices(const struct pdma_topo *topo, uint32_t *list, uint32_t max);

#endif
