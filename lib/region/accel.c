// SPDX-License-Identifier: MIT
/*
 * accel:BDF - memory of the lab's accelerator, which brings a copy engine. Over VFIO, or over sysfs
 * where there is no IOMMU; there the end of the memory holds rings and is not part of the region.
 */
#include "lib/region/device.h"
#include "lib/region/kinds.h"

static void close_accel(struct pdmai_backing *b)
{
	pdmai_device_put(b->device);
}

static int open_locked(struct pdmai_backing *b, const struct pdmai_uri *uri)
{
	struct pdmai_accel *accel;
	struct pdmai_device *d;
	int ret;

	ret = pdmai_device_get(b->ctx, &uri->bdf, true, &d);
	if (ret)
		return ret;
	ret = pdmai_device_accel(d, &accel);
	ret = ret ? ret : pdmai_bar_init(b, d, ACCEL_BAR_VRAM);
	if (ret) {
		pdmai_device_put(d);
		return ret;
	}
	if (!d->dev->ops->dma_map)
		b->len -= PDMAI_ACCEL_KEPT;
	return 0;
}

static int open_accel(struct pdmai_backing *b, const struct pdmai_uri *uri,
		      const struct pdma_region_options *opt)
{
	int ret;

	pdmai_ctx_lock(b->ctx);
	ret = open_locked(b, uri);
	pdmai_ctx_unlock(b->ctx);
	return ret;
}

const struct pdmai_kind_ops pdmai_kind_accel = {
	.open = open_accel,
	.close = close_accel,
	.map = pdmai_bar_map,
	.dmabuf = pdmai_bar_dmabuf,
	.check = pdmai_bar_check,
};
