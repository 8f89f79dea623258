/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LIB_PATH_SAVE_H
#define PEERDMA_LIB_PATH_SAVE_H

#include "lib/path/topo.h"

/* Copy what loading and the doctor read of tree into the new directory dir. As pdma_topo_save(). */
int pdmai_topo_save(const struct pdmai_tree *tree, const char *dir);

#endif
