// SPDX-License-Identifier: MIT
/* vfio:BDF/barN - a BAR of a function that is bound to vfio-pci or peerdma_vfio. */
#include "lib/region/device.h"
#include "lib/region/kinds.h"

static void close_vfio(struct pdmai_backing *b)
{
	pdmai_device_put(b->device);
}

static int open_locked(struct pdmai_backing *b, const struct pdmai_uri *uri)
{
	struct pdmai_device *d;
	int ret;

	ret = pdmai_device_get(b->ctx, &uri->bdf, false, &d);
	if (ret)
		return ret;
	ret = pdmai_bar_init(b, d, uri->bar);
	if (ret)
		pdmai_device_put(d);
	return ret;
}

static int open_vfio(struct pdmai_backing *b, const struct pdmai_uri *uri,
		     const struct pdma_region_options *opt)
{
	int ret;

	pdmai_ctx_lock(b->ctx);
	ret = open_locked(b, uri);
	pdmai_ctx_unlock(b->ctx);
	return ret;
}

const struct pdmai_kind_ops pdmai_kind_vfio = {
	.open = open_vfio,
	.close = close_vfio,
	.map = pdmai_bar_map,
	.dmabuf = pdmai_bar_dmabuf,
	.check = pdmai_bar_check,
};
