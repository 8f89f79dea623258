// SPDX-License-Identifier: MIT
/* Snapshots and findings for users of the library. */
#include "lib/core/ctx.h"
#include "lib/path/doctor.h"
#include "lib/path/save.h"

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

int pdma_topo_save(struct pdma_ctx *ctx, const char *dir)
{
	struct pdmai_tree tree;
	int ret;

	ret = pdmai_tree_open(&tree, ctx->sysroot);
	if (ret)
		return ret;
	ret = pdmai_topo_save(&tree, dir);
	pdmai_tree_close(&tree);
	return ret;
}

int pdma_doctor_run(struct pdma_ctx *ctx, const struct pdma_topo *topo,
		    struct pdma_findings **ret_findings)
{
	struct pdmai_tree tree;
	int ret;

	ret = pdmai_tree_open(&tree, ctx->sysroot);
	if (ret)
		return ret;
	ret = pdmai_doctor_run(&tree, topo, ret_findings);
	pdmai_tree_close(&tree);
	return ret;
}
