// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/module/module.h"
#include "peerdma/pins.h"
#include "uapi/peerdma/ioctl.h"

struct pdma_limits {
	size_t n;
	struct pdma_limit limits[];
};

static int explain(int err, unsigned long request, const struct peerdma_limit *limit)
{
	switch (err) {
	case ENOENT:
		return pdmai_fail(ESRCH, request == PEERDMA_IOC_LIMIT_CLEAR ?
						 "no limit is set" :
						 "there is no such control group");
	case EPERM:
		return pdmai_fail(EPERM, "it needs CAP_SYS_ADMIN");
	case ENOTTY:
		return pdmai_fail(EOPNOTSUPP, "the module peerdma is too old");
	case EINVAL:
		return pdmai_fail(EINVAL, "no such user or size: %llu, %llu",
				  (unsigned long long)limit->id, (unsigned long long)limit->max);
	default:
		return pdmai_fail_errno(err, "the kernel does not do it");
	}
}

static int request_limit(struct pdma_ctx *ctx, unsigned long request, struct peerdma_limit *limit)
{
	int fd = pdmai_module_open(ctx), err;

	if (fd < 0)
		return fd;
	limit->size = sizeof(*limit);
	err = ioctl(fd, request, limit) ? errno : 0;
	close(fd);
	return err ? explain(err, request, limit) : 0;
}

int pdma_limit_set(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id, uint64_t max)
{
	struct peerdma_limit limit = { .scope = (uint32_t)scope, .id = id, .max = max };

	return request_limit(ctx, PEERDMA_IOC_LIMIT_SET, &limit);
}

int pdma_limit_clear(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id)
{
	struct peerdma_limit limit = { .scope = (uint32_t)scope, .id = id };

	return request_limit(ctx, PEERDMA_IOC_LIMIT_CLEAR, &limit);
}

/* The numbers of scopes and PDMA_NO_LIMIT are the kernel's. */
_Static_assert((int)PDMA_SCOPE_USER == (int)PEERDMA_SCOPE_USER &&
		       (int)PDMA_SCOPE_CGROUP == (int)PEERDMA_SCOPE_CGROUP &&
		       PDMA_NO_LIMIT == PEERDMA_NO_LIMIT,
	       "values of the kernel");

static void fill(struct pdma_limit *to, const struct peerdma_limit *from)
{
	*to = (struct pdma_limit){ .scope = (enum pdma_scope)from->scope,
				   .id = from->id,
				   .max = from->max,
				   .used = from->used,
				   .refused = from->refused };
}

int pdma_limit_get(struct pdma_ctx *ctx, enum pdma_scope scope, uint64_t id,
		   struct pdma_limit *ret_limit)
{
	struct peerdma_limit limit = { .scope = (uint32_t)scope, .id = id };
	int err = request_limit(ctx, PEERDMA_IOC_LIMIT_GET, &limit);

	if (!err)
		fill(ret_limit, &limit);
	return err;
}

/* Append those of a scope. */
static int read_scope(int fd, enum pdma_scope scope, struct pdma_limits **limits)
{
	struct peerdma_limit *rows;
	struct pdma_limits *more;
	void *data;
	size_t n, old = *limits ? (*limits)->n : 0;
	int err = pdmai_module_list(fd, PEERDMA_IOC_LIMITS, (uint32_t)scope, sizeof(*rows), &data,
				    &n);

	if (err)
		return err;
	more = realloc(*limits, sizeof(*more) + (old + n) * sizeof(more->limits[0]));
	if (more) {
		rows = data;
		more->n = old + n;
		for (size_t i = 0; i < n; i++)
			fill(&more->limits[old + i], &rows[i]);
		*limits = more;
	}
	free(data);
	return more ? 0 : pdmai_fail(ENOMEM, "out of memory");
}

int pdma_limits_read(struct pdma_ctx *ctx, struct pdma_limits **ret_limits)
{
	int fd = pdmai_module_open(ctx), err;
	struct pdma_limits *limits = NULL;

	if (fd < 0)
		return fd;
	err = read_scope(fd, PDMA_SCOPE_USER, &limits);
	err = err ? err : read_scope(fd, PDMA_SCOPE_CGROUP, &limits);
	close(fd);
	if (err)
		free(limits);
	else
		*ret_limits = limits;
	return err;
}

size_t pdma_limits_count(const struct pdma_limits *limits)
{
	return limits->n;
}

const struct pdma_limit *pdma_limits_get(const struct pdma_limits *limits, size_t i)
{
	return i < limits->n ? &limits->limits[i] : NULL;
}

void pdma_limits_destroy(struct pdma_limits *limits)
{
	free(limits);
}
