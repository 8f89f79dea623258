// SPDX-License-Identifier: MIT
/*
 * Register part of a PCI device's BAR with a protection domain of your own.
 *   cc register_bar.c $(pkg-config --cflags --libs peerdma) -o register_bar
 *   register_bar mlx5_0 vfio:0000:04:00.0/bar2+1M:64K
 */
#include <infiniband/verbs.h>
#include <peerdma/peerdma.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
	struct pdma_mr_info info = { .size = sizeof(info) };
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *verbs = NULL;
	struct pdma_region *region = NULL;
	struct pdma_ctx *ctx = NULL;
	struct pdma_mr *mr = NULL;
	int ret;

	for (int i = 0; argc == 3 && list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), argv[1]))
			verbs = ibv_open_device(list[i]);
	struct ibv_pd *pd = verbs ? ibv_alloc_pd(verbs) : NULL; /* your own */
	if (!pd)
		return fprintf(stderr, "usage: register_bar RDMA-DEVICE URI\n"), 2;
	ret = pdma_ctx_create(NULL, &ctx) ?: pdma_region_open(ctx, argv[2], NULL, &region);
	ret = ret ?: pdma_reg_mr(region, pd, access, NULL, &mr) ?: pdma_mr_get_info(mr, &info);
	if (ret)
		return fprintf(stderr, "register_bar: %s\n", pdma_error()), 1;
	printf("rkey 0x%x, address 0x%llx, %llu bytes, by %s: %s\n", info.rkey,
	       (unsigned long long)info.addr, (unsigned long long)info.len, pdma_way_name(info.way),
	       info.why);
	return pdma_dereg_mr(mr);
}
