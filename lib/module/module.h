/* SPDX-License-Identifier: MIT */
/* The module peerdma, through its device. */
#ifndef PEERDMA_LIB_MODULE_H
#define PEERDMA_LIB_MODULE_H

#include <stddef.h>
#include <stdint.h>

struct pdma_ctx;

/*
 * Return: a descriptor; -ENOENT: the module is not loaded; -EOPNOTSUPP: ctx looks at a captured
 * tree; another -errno. Each with a sentence.
 */
int pdmai_module_open(struct pdma_ctx *ctx);

/*
 * All rows that a request for a list gives, of row_size bytes each. scope as in struct
 * peerdma_list. Return: 0 and an array to be freed; -EOPNOTSUPP, -ENOMEM, another -errno.
 */
int pdmai_module_list(int fd, unsigned long request, uint32_t scope, size_t row_size,
		      void **ret_rows, size_t *ret_n);

#endif
