/* SPDX-License-Identifier: MIT */
/* The module peerdma, through its device. */
#ifndef PEERDMA_LIB_MODULE_H
#define PEERDMA_LIB_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/sysfs/pci.h"

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

/*
 * The address on the bus of device memory of owner that its driver has mapped for this process: all
 * of it in one memory BAR that sysfs shows too. Needs CAP_SYS_ADMIN. It holds as long as the
 * mapping stays what it is.
 * Return: 0; as pdmai_module_open(); -EOPNOTSUPP: the module is too old; -EPROTO: what it tells is
 * no such address; another -errno of the kernel. Source: PEERDMA_IOC_WHERE.
 */
int pdmai_module_where(struct pdma_ctx *ctx, const struct pdmai_bdf *owner, const void *vaddr,
		       uint64_t len, uint64_t *ret_bus_addr);

/* Is it so? Return: 0, -EPROTO. */
int pdmai_bar_has(const struct pdmai_pci_bar *bars, unsigned bar, uint64_t off, uint64_t bus_addr,
		  uint64_t len);

#endif
