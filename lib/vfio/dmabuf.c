// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/core/error.h"
#include "lib/vfio/compat.h"
#include "lib/vfio/private.h"

/* So that the size of a request fits its field by far. */
#define RANGES_MAX 65536

static struct vfio_device_feature *request(unsigned bar, const struct pdmai_bar_range *ranges,
					   unsigned n)
{
	size_t len = sizeof(struct vfio_device_feature) +
		     sizeof(struct vfio_device_feature_dma_buf) +
		     (size_t)n * sizeof(struct vfio_region_dma_range);
	struct vfio_device_feature *feature = calloc(1, len);
	struct vfio_device_feature_dma_buf *buf;

	if (!feature)
		return NULL;
	feature->argsz = (__u32)len;
	feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	buf = (void *)feature->data;
	buf->region_index = bar;
	buf->open_flags = O_RDWR | O_CLOEXEC;
	buf->nr_ranges = n;
	for (unsigned i = 0; i < n; i++)
		buf->dma_ranges[i] = (struct vfio_region_dma_range){ ranges[i].off, ranges[i].len };
	return feature;
}

int pdmai_vfio_dmabuf(struct pdmai_dev *dev, unsigned bar, const struct pdmai_bar_range *ranges,
		      unsigned n, int *ret_fd)
{
	struct vfio_device_feature *feature;
	int fd, err;

	if (n > RANGES_MAX)
		return pdmai_fail(E2BIG, "a dma-buf of %u ranges is too much", n);
	feature = request(bar, ranges, n);
	if (!feature)
		return pdmai_fail(ENOMEM, "no memory for %u ranges", n);
	fd = ioctl(((struct pdmai_vfio_dev *)dev)->fd, VFIO_DEVICE_FEATURE, feature);
	err = errno;
	free(feature);
	if (fd < 0)
		return pdmai_fail_errno(err, "%s: the kernel does not export BAR %u as a dma-buf",
					dev->bdf.text, bar);
	*ret_fd = fd;
	return 0;
}
