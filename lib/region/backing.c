// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "lib/region/region.h"

int pdmai_backing_create(struct pdma_ctx *ctx, const struct pdmai_kind_ops *ops,
			 struct pdmai_backing **ret_backing)
{
	struct pdmai_backing *b = calloc(1, sizeof(*b));

	if (!b)
		return pdmai_fail(ENOMEM, "no memory for a region");
	b->ops = ops;
	b->ctx = ctx;
	b->refs = 1;
	b->bar = -1;
	pdmai_ctx_lock(ctx);
	b->id = ++ctx->next_id;
	pdmai_ctx_unlock(ctx);
	*ret_backing = b;
	return 0;
}

struct pdmai_backing *pdmai_backing_get(struct pdmai_backing *b)
{
	b->refs++;
	return b;
}

void pdmai_backing_put(struct pdmai_backing *b)
{
	if (--b->refs)
		return;
	b->ops->close(b);
	free(b);
}
