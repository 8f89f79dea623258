// SPDX-License-Identifier: MIT
/*
 * dm:DEVICE:LEN - memory of an RDMA NIC, allocated through a verbs context of the region's own. PDs
 * of that context register it natively; as a dma-buf it goes where libibverbs and the kernel export
 * it. Where the driver's library says where it has mapped the memory for the CPU (mlx5), that
 * mapping can be given to an IOMMU, and the kernel module peerdma tells where on the bus it is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <infiniband/mlx5dv.h>
#include <infiniband/verbs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/module/module.h"
#include "lib/region/kinds.h"
#include "lib/sysfs/attr.h"

/* libibverbs has it since version 61; older ones are what the oldest distributions bring. */
typedef int export_fn(struct ibv_dm *dm);

struct dm {
	struct ibv_context *context;
	struct ibv_dm *dm;
	void *mapping;
};

static export_fn *find_export(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "ibv_dm_export_dmabuf_fd");
	export_fn *fn;

	memcpy(&fn, &symbol, sizeof(fn));
	return fn;
}

/*
 * Where the CPU has it, NULL where nobody tells. Of the library that libibverbs has loaded for the
 * device, so there is none to load and none to depend on.
 */
static void *find_mapping(const struct dm *dm)
{
	void *lib = dlopen("libmlx5.so.1", RTLD_NOW | RTLD_NOLOAD);
	bool (*is_mlx5)(struct ibv_device * device) = NULL;
	int (*init_obj)(struct mlx5dv_obj * obj, uint64_t type) = NULL;
	struct mlx5dv_dm out = { 0 };
	struct mlx5dv_obj obj = { .dm = { .in = dm->dm, .out = &out } };
	void *symbols[2];

	if (!lib)
		return NULL;
	symbols[0] = dlsym(lib, "mlx5dv_is_supported");
	symbols[1] = dlsym(lib, "mlx5dv_init_obj");
	memcpy(&is_mlx5, &symbols[0], sizeof(is_mlx5));
	memcpy(&init_obj, &symbols[1], sizeof(init_obj));
	if (!is_mlx5 || !init_obj || !is_mlx5(dm->context->device) || init_obj(&obj, MLX5DV_OBJ_DM))
		out.buf = NULL;
	dlclose(lib);
	return out.buf;
}

static int open_device(const char *name, struct ibv_context **ret_context)
{
	struct ibv_device **list;
	int n = 0, err = ENODEV;

	list = ibv_get_device_list(&n);
	if (!list)
		return pdmai_fail(ENODEV, "this machine has no RDMA devices");
	for (int i = 0; i < n; i++) {
		if (strcmp(ibv_get_device_name(list[i]), name))
			continue;
		*ret_context = ibv_open_device(list[i]);
		err = *ret_context ? 0 : errno;
	}
	ibv_free_device_list(list);
	if (!err)
		return 0;
	if (err == ENODEV)
		return pdmai_fail(err, "there is no RDMA device %s", name);
	return pdmai_fail_errno(err, "cannot open %s", name);
}

static int allocate(struct dm *dm, const char *name, uint64_t len)
{
	struct ibv_alloc_dm_attr attr = { .length = len };
	struct ibv_device_attr_ex dev = { 0 };

	if (ibv_query_device_ex(dm->context, NULL, &dev) || !dev.max_dm_size)
		return pdmai_fail(EOPNOTSUPP, "%s has no memory to give", name);
	if (len > dev.max_dm_size)
		return pdmai_fail(ENOSPC, "%s gives at most %" PRIu64 " bytes of its memory", name,
				  dev.max_dm_size);
	dm->dm = ibv_alloc_dm(dm->context, &attr);
	if (!dm->dm)
		return pdmai_fail_errno(errno, "%s has no %" PRIu64 " bytes of memory free", name,
					len);
	return 0;
}

static void close_dm(struct pdmai_backing *b)
{
	struct dm *dm = b->priv;

	if (dm->dm)
		ibv_free_dm(dm->dm);
	if (dm->context)
		ibv_close_device(dm->context);
	free(dm);
}

static int open_dm(struct pdmai_backing *b, const struct pdmai_uri *uri,
		   const struct pdma_region_options *opt)
{
	struct dm *dm = calloc(1, sizeof(*dm));
	int ret;

	if (!dm)
		return pdmai_fail(ENOMEM, "no memory for a region");
	b->priv = dm;
	ret = open_device(uri->name, &dm->context);
	ret = ret ? ret : allocate(dm, uri->name, uri->len);
	if (ret) {
		close_dm(b);
		return ret;
	}
	b->len = uri->len;
	dm->mapping = find_mapping(dm);
	b->slow = true;
	b->flags = PDMA_REGION_DEVICE | (find_export() ? PDMA_REGION_DMABUF : 0) |
		   (dm->mapping ? PDMA_REGION_MAP : 0);
	if (pdmai_attr_link(b->bdf, sizeof(b->bdf), "%s/class/infiniband/%s/device", b->ctx->sysfs,
			    uri->name))
		b->bdf[0] = 0;
	return 0;
}

static int dmabuf_dm(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		     int *ret_fd, uint64_t *ret_off)
{
	export_fn *export = find_export();
	struct dm *dm = b->priv;
	int fd;

	if (!export)
		return pdmai_fail(EOPNOTSUPP,
				  "this libibverbs exports no device memory (since 61)");
	if (n != 1)
		return pdmai_fail(EOPNOTSUPP, "ranges of NIC memory can't be joined");
	fd = export(dm->dm);
	if (fd < 0)
		return pdmai_fail_errno(errno, "the kernel exports no device memory of this NIC");
	*ret_fd = fd;
	*ret_off = spans[0].off;
	return 0;
}

/* Drivers take whole words of 4 bytes; the ends are read and written back with what is between. */
static int io_dm(struct pdmai_backing *b, uint64_t off, void *buf, uint64_t len, bool write)
{
	uint64_t first = off & ~3ull, end = (off + len + 3) & ~3ull;
	struct dm *dm = b->priv;
	char *words;
	int err;

	if (end > b->len)
		end = b->len;
	words = malloc(end - first);
	if (!words)
		return pdmai_fail(ENOMEM, "no memory for a buffer");
	err = ibv_memcpy_from_dm(words, dm->dm, first, end - first);
	if (!err && write) {
		memcpy(words + (off - first), buf, len);
		err = ibv_memcpy_to_dm(dm->dm, first, words, end - first);
		/* Its writes are posted: whatever another device does there comes behind a read. */
		err = err ? err :
			    ibv_memcpy_from_dm(words, dm->dm, first,
					       end - first < 4 ? end - first : 4);
	} else if (!err) {
		memcpy(buf, words + (off - first), len);
	}
	free(words);
	return err ? pdmai_fail_errno(err, "device memory can't be reached by the CPU") : 0;
}

static void *base_dm(struct pdmai_backing *b)
{
	return ((struct dm *)b->priv)->mapping;
}

static int where_dm(struct pdmai_backing *b, uint64_t off, uint64_t len, uint64_t *ret_bus_addr)
{
	struct dm *dm = b->priv;
	struct pdmai_bdf owner;
	int ret = pdmai_bdf_parse(b->bdf, &owner);

	if (ret || !dm->mapping)
		return pdmai_fail(EOPNOTSUPP, "the driver of this NIC does not map its memory");
	return pdmai_module_where(b->ctx, &owner, (char *)dm->mapping + off, len, ret_bus_addr);
}

static struct ibv_context *verbs_dm(struct pdmai_backing *b)
{
	return ((struct dm *)b->priv)->context;
}

static int reg_dm(struct pdmai_backing *b, uint64_t off, uint64_t len, struct ibv_pd *pd,
		  int access, struct ibv_mr **ret_mr)
{
	struct dm *dm = b->priv;
	struct ibv_mr *mr;

	mr = ibv_reg_dm_mr(pd, dm->dm, off, len, (unsigned)access | IBV_ACCESS_ZERO_BASED);
	if (!mr)
		return pdmai_fail_errno(errno, "the NIC does not register its memory");
	*ret_mr = mr;
	return 0;
}

const struct pdmai_kind_ops pdmai_kind_dm = {
	.open = open_dm,
	.close = close_dm,
	.base = base_dm,
	.dmabuf = dmabuf_dm,
	.io = io_dm,
	.where = where_dm,
	.verbs = verbs_dm,
	.reg = reg_dm,
};
