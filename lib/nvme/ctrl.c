// SPDX-License-Identifier: MIT
/* Controllers as objects of a context, and regions of their CMB. */
#include "lib/nvme/ctrl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct pdma_nvme *nvme)
{
	if (!--nvme->refs)
		free(nvme);
}

static int open_locked(struct pdma_nvme *nvme, const struct pdmai_bdf *bdf)
{
	int ret = pdmai_device_get(nvme->ctx, bdf, true, &nvme->device);

	if (ret)
		return ret;
	if (nvme->device->nvme || nvme->device->accel)
		ret = pdmai_fail(EBUSY, "%s is open already", bdf->text);
	ret = ret ? ret : pdmai_nvme_open(nvme->device->dev, &nvme->core);
	if (ret)
		pdmai_device_put(nvme->device);
	else
		nvme->device->nvme = nvme;
	return ret;
}

int pdma_nvme_open(struct pdma_ctx *ctx, const char *text, struct pdma_nvme **ret_nvme)
{
	struct pdma_nvme *nvme;
	struct pdmai_bdf bdf;
	int ret = pdmai_ctx_need_live(ctx, "opening a controller");

	if (!ret && pdmai_bdf_parse(text, &bdf))
		ret = pdmai_fail(EINVAL, "'%s' is no address of a PCI function", text);
	if (ret)
		return ret;
	nvme = calloc(1, sizeof(*nvme));
	if (!nvme)
		return pdmai_fail(ENOMEM, "no memory for a controller");
	nvme->ctx = ctx;
	nvme->refs = 1;
	pdmai_ctx_lock(ctx);
	ret = open_locked(nvme, &bdf);
	pdmai_ctx_unlock(ctx);
	if (ret)
		free(nvme);
	else
		*ret_nvme = nvme;
	return ret;
}

static void close_cmb(struct pdmai_backing *b)
{
	struct pdma_nvme *nvme = b->priv;

	if (nvme->core)
		pdmai_nvme_cmb_free(nvme->core,
				    b->dev_off - pdmai_nvme_get_info(nvme->core)->cmb.off, b->len);
	pdmai_device_put(b->device);
	put(nvme);
}

static const struct pdmai_kind_ops cmb_ops = {
	.close = close_cmb,
	.map = pdmai_bar_map,
	.dmabuf = pdmai_bar_dmabuf,
	.check = pdmai_bar_check,
};

static void revoke_cmb(struct pdma_nvme *nvme)
{
	struct pdma_region *r;

	TAILQ_FOREACH(r, &nvme->ctx->regions, entry)
		for (unsigned i = 0; i < r->n_pieces; i++)
			if (r->pieces[i].backing->priv == nvme)
				pdmai_region_revoke(r, 0, "its controller was closed");
}

void pdma_nvme_close(struct pdma_nvme *nvme)
{
	struct pdmai_device *d;

	if (!nvme)
		return;
	struct pdma_ctx *ctx = nvme->ctx;

	pdmai_ctx_lock(ctx);
	d = nvme->device;
	revoke_cmb(nvme);
	pthread_rwlock_wrlock(&d->busy);
	pdmai_nvme_close(nvme->core);
	nvme->core = NULL;
	d->nvme = NULL;
	pthread_rwlock_unlock(&d->busy);
	pdmai_device_put(d);
	put(nvme);
	pdmai_ctx_unlock(ctx);
}

int pdma_nvme_reset(struct pdma_nvme *nvme)
{
	int ret;

	pdmai_ctx_lock(nvme->ctx);
	pthread_rwlock_wrlock(&nvme->device->busy);
	ret = pdmai_nvme_reset(nvme->core);
	pthread_rwlock_unlock(&nvme->device->busy);
	pdmai_ctx_unlock(nvme->ctx);
	return ret;
}

int pdma_nvme_check(struct pdma_nvme *nvme)
{
	int ret;

	pthread_rwlock_rdlock(&nvme->device->busy);
	ret = pdmai_nvme_check(nvme->core);
	pthread_rwlock_unlock(&nvme->device->busy);
	return ret;
}

int pdma_nvme_get_info(const struct pdma_nvme *nvme, struct pdma_nvme_info *ret_info)
{
	const struct pdmai_nvme_info *i = pdmai_nvme_get_info(nvme->core);
	struct pdma_nvme_info info = {
		.version = i->version,
		.entries_max = i->entries_max,
		.queues = i->queues,
		.bell_stride = i->stride,
		.len_max = i->len_max,
		.cmb_len = i->cmb.len,
		.cmb_legacy = i->cmb.legacy,
		.cache = i->cache,
		.compare = i->compare,
		.n_namespaces = i->n_ns,
	};

	memcpy(info.serial, i->serial, sizeof(info.serial));
	memcpy(info.model, i->model, sizeof(info.model));
	memcpy(info.firmware, i->firmware, sizeof(info.firmware));
	return pdmai_info_copy(ret_info, &info, sizeof(info));
}

int pdma_nvme_namespace(const struct pdma_nvme *nvme, unsigned idx,
			struct pdma_nvme_namespace *ret_ns)
{
	const struct pdmai_nvme_info *i = pdmai_nvme_get_info(nvme->core);

	if (idx >= i->n_ns)
		return pdmai_fail(ERANGE, "%s has %u namespaces", nvme->device->dev->bdf.text,
				  i->n_ns);
	*ret_ns = (struct pdma_nvme_namespace){ i->ns[idx].nsid, i->ns[idx].block,
						i->ns[idx].blocks };
	return 0;
}

/* A backing for len bytes at off of the CMB, which are allocated already. */
static int make_backing(struct pdma_nvme *nvme, uint64_t off, uint64_t len,
			struct pdmai_backing **ret_b)
{
	const struct pdmai_nvme_cmb *cmb = &pdmai_nvme_get_info(nvme->core)->cmb;
	struct pdmai_device *d;
	struct pdmai_backing *b;
	int ret = pdmai_backing_create(nvme->ctx, &cmb_ops, &b);

	if (ret)
		return ret;
	ret = pdmai_bar_init(b, nvme->device, (int)cmb->bar);
	ret = ret ? ret : pdmai_device_get(nvme->ctx, &nvme->device->dev->bdf, true, &d);
	if (ret) {
		free(b);
		return ret;
	}
	b->kind = PDMA_KIND_CMB;
	b->dev_off = cmb->off + off;
	b->bus_addr += cmb->off + off;
	b->len = len;
	b->priv = nvme;
	nvme->refs++;
	*ret_b = b;
	return 0;
}

static int cmb_locked(struct pdma_nvme *nvme, uint64_t len, void *cookie,
		      struct pdma_region **ret_region)
{
	struct pdmai_backing *b;
	struct pdmai_piece piece;
	uint64_t off = 0;
	char uri[80];
	int ret = pdmai_nvme_cmb_alloc(nvme->core, len, &off);

	if (ret)
		return ret;
	ret = make_backing(nvme, off, len, &b);
	if (ret) {
		pdmai_nvme_cmb_free(nvme->core, off, len);
		return ret;
	}
	snprintf(uri, sizeof(uri), "cmb:%s+0x%" PRIx64 ":0x%" PRIx64, b->bdf, off, len);
	piece = (struct pdmai_piece){ b, 0, len };
	ret = pdmai_region_create(nvme->ctx, &piece, 1, uri, cookie, ret_region);
	pdmai_backing_put(b);
	return ret;
}

int pdma_nvme_cmb(struct pdma_nvme *nvme, uint64_t len, void *cookie,
		  struct pdma_region **ret_region)
{
	int ret;

	pdmai_ctx_lock(nvme->ctx);
	ret = cmb_locked(nvme, len, cookie, ret_region);
	pdmai_ctx_unlock(nvme->ctx);
	return ret;
}
