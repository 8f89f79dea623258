// SPDX-License-Identifier: MIT
/*
 * The kernel's verdict: through its module peerdma, else by having it map a target's memory for an
 * RDMA device.
 */
#include <infiniband/verbs.h>
#include <inttypes.h>
#include <peerdma/region.h>
#include <peerdma/registration.h>
#include <stdio.h>
#include <string.h>

#include "cli/trial.h"

#define TRY_LEN 4096

#define SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

static struct ibv_context *open_rdma(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *verbs = NULL;

	for (int i = 0; list && list[i] && !verbs; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			verbs = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	return verbs;
}

static void try_register(struct pdma_region *region, struct ibv_pd *pd, const char *nic,
			 struct cli_kernel *k)
{
	struct pdma_reg_options options = {
		.size = sizeof(options),
		.ways = PDMA_WAY_DYNAMIC_DMABUF | PDMA_WAY_PINNED_DMABUF | PDMA_WAY_ODP,
	};
	struct pdma_mr_info info = { .size = sizeof(info) };
	struct pdma_mr *mr;

	if (pdma_reg_mr(region, pd, IBV_ACCESS_LOCAL_WRITE, &options, &mr)) {
		k->answer = PDMA_NO;
		SAY(k->how, "registering it with %s: %.180s", nic, pdma_error());
		return;
	}
	k->answer = PDMA_YES;
	if (!pdma_mr_get_info(mr, &info))
		SAY(k->how, "%s registered it (%s)", nic, pdma_way_name(info.way));
	pdma_dereg_mr(mr);
}

static void try_region(const struct cli_path *path, const char *uri, const char *nic,
		       struct cli_kernel *k)
{
	struct ibv_context *verbs = open_rdma(nic);
	struct pdma_region *region;
	struct ibv_pd *pd;

	if (!verbs) {
		SAY(k->how, "not asked: %s cannot be opened", nic);
		return;
	}
	pd = ibv_alloc_pd(verbs);
	if (!pd) {
		SAY(k->how, "not asked: %s gives no protection domain", nic);
	} else if (pdma_region_open(path->machine->ctx, uri, NULL, &region)) {
		SAY(k->how, "not asked: %.140s", pdma_error());
	} else {
		try_register(region, pd, nic, k);
		pdma_region_close(region);
	}
	if (pd)
		ibv_dealloc_pd(pd);
	ibv_close_device(verbs);
}

/* Return: false: there is no module, or it may not be asked. */
static bool ask_module(const struct cli_path *path, struct cli_kernel *k)
{
	struct pdma_kernel_verdict v = { .size = sizeof(v) };
	const struct cli_machine *m = path->machine;

	if (pdma_path_ask(m->ctx, m->topo, path->initiator, &path->target, &v))
		return false;
	k->answer = v.answer;
	if (v.mapping != PDMA_MAP_NONE)
		SAY(k->how, "module peerdma: mapped at 0x%" PRIx64 " (%s), %d hops", v.addr,
		    pdma_mapping_name(v.mapping), v.distance);
	else if (v.map_errno)
		SAY(k->how, "module peerdma: mapping refused: %s", strerror(v.map_errno));
	else if (v.distance < 0)
		SAY(k->how, "module peerdma: the kernel refuses the path");
	else
		SAY(k->how, "module peerdma: %d hops; not mapped, as a driver is missing",
		    v.distance);
	return true;
}

/* Without the module: only what an RDMA device can register can be found out. */
static void ask_by_registering(const struct cli_path *path, struct cli_kernel *k)
{
	struct pdma_function a = cli_function(path->machine, path->initiator);
	struct pdma_function b = cli_function(path->machine, path->target.function);
	int bar = path->target.bar < 0 ? pdma_function_largest_bar(&b) : path->target.bar;
	char uri[80];

	if (a.role != PDMA_ROLE_NIC || !a.name[0]) {
		SAY(k->how, "not asked: %s is no RDMA device, and module peerdma is not loaded",
		    a.bdf);
	} else if (b.is_vfio && bar >= 0) {
		SAY(uri, "vfio:%s/bar%d+0x%llx:%u", b.bdf, bar,
		    (unsigned long long)path->target.off, TRY_LEN);
		try_region(path, uri, a.name, k);
	} else if (b.p2pmem) {
		SAY(uri, "cmb:%s+0:%u", b.bdf, TRY_LEN);
		try_region(path, uri, a.name, k);
	} else {
		SAY(k->how, "not asked: %s has no VFIO driver, and module peerdma is not loaded",
		    b.bdf);
	}
}

void cli_ask_kernel(const struct cli_path *path, struct cli_kernel *ret_kernel)
{
	struct cli_kernel k = { .answer = PDMA_UNKNOWN };

	if (strcmp(pdma_ctx_sysroot(path->machine->ctx), "/"))
		SAY(k.how, "not asked: this is a captured machine");
	else if (!ask_module(path, &k))
		ask_by_registering(path, &k);
	*ret_kernel = k;
}
