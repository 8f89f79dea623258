/* SPDX-License-Identifier: MIT */
/*
 * What the library needs of libibverbs to register memory, so that tests can answer in its place.
 */
#ifndef PEERDMA_LIB_REG_VERBS_H
#define PEERDMA_LIB_REG_VERBS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>

/* Each returns NULL with errno set, or a positive errno; as libibverbs does. */
struct pdmai_verbs {
	struct ibv_mr *(*reg_mr)(struct ibv_pd *pd, void *addr, size_t len, int access);
	struct ibv_mr *(*reg_dmabuf_mr)(struct ibv_pd *pd, uint64_t off, size_t len, uint64_t iova,
					int fd, int access);
	int (*dereg_mr)(struct ibv_mr *mr);
	/* Bring the pages in now. */
	int (*prefetch)(struct ibv_pd *pd, bool write, struct ibv_sge *sge, unsigned n);
	/* Has the device on-demand paging? */
	bool (*has_odp)(struct ibv_context *context);
	/* Name of the kernel driver, "" when it is not known. */
	void (*driver)(struct ibv_context *context, char *buf, size_t size);
};

/* libibverbs, unless a test says otherwise. */
extern const struct pdmai_verbs *pdmai_verbs;

#endif
