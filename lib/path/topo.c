// SPDX-License-Identifier: MIT
/* Snapshots for users of the library. */
#include "lib/core/ctx.h"
#include "lib/path/topo.h"

int pdma_topo_load(struct pdma_ctx *ctx, struct pdma_topo **ret_topo)
{
	struct pdmai_tree tree;
	int ret;

	ret = pdmai_tree_open(&tree, ctx->sysroot);
	if (ret)
		return ret;
	ret = pdmai_topo_load(&tree, "sys/", ret_topo);
	pdmai_tree_close(&tree);
	return ret;
}
