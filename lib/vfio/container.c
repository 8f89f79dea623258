// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/vfio/private.h"

static int check_version(int fd)
{
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return pdmai_fail(EPROTONOSUPPORT, "this kernel speaks another version of VFIO");
	if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return pdmai_fail(EPROTONOSUPPORT,
				  "VFIO has no type 1 IOMMU: is vfio_iommu_type1 loaded?");
	return 0;
}

int pdmai_vfio_create(const char *root, struct pdmai_vfio **ret_vfio)
{
	struct pdmai_vfio *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return pdmai_fail(ENOMEM, "no memory for a VFIO container");
	v->root = root;
	v->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (v->fd < 0)
		ret = pdmai_fail_errno(errno, "cannot open /dev/vfio/vfio");
	else
		ret = check_version(v->fd);
	if (ret) {
		pdmai_vfio_destroy(v);
		return ret;
	}
	*ret_vfio = v;
	return 0;
}

void pdmai_vfio_destroy(struct pdmai_vfio *v)
{
	if (!v)
		return;
	/* The mappings end with the last group. */
	for (size_t i = 0; i < v->n_groups; i++)
		close(v->groups[i].fd);
	if (v->fd >= 0)
		close(v->fd);
	pdmai_ranges_clear(&v->iovas);
	free(v->mappings);
	free(v->groups);
	free(v);
}

static int open_group(unsigned number, int *ret_fd)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%u", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pdmai_fail_errno(errno, "cannot open %s", path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0) {
		int err = errno;

		close(fd);
		return pdmai_fail_errno(err, "cannot ask for the state of IOMMU group %u", number);
	}
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		close(fd);
		return pdmai_fail(EBUSY, "not every device of IOMMU group %u is bound to VFIO",
				  number);
	}
	*ret_fd = fd;
	return 0;
}

/* The kind of IOMMU can only be chosen when the container has a group. */
static int join(struct pdmai_vfio *v, unsigned number, bool guarded, int fd)
{
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &v->fd) < 0)
		return pdmai_fail_errno(errno, "IOMMU group %u can't join the container", number);
	if (!v->has_iommu) {
		if (ioctl(v->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
			return pdmai_fail_errno(errno, "cannot use IOMMU group %u by type 1",
						number);
		v->has_iommu = true;
	}
	/* Without an IOMMU there are no addresses but those of the bus. */
	return guarded ? pdmai_vfio_iova_update(v) : 0;
}

static int remember(struct pdmai_vfio *v, unsigned number, int fd)
{
	struct pdmai_vfio_group *groups;

	groups = reallocarray(v->groups, v->n_groups + 1, sizeof(*groups));
	if (!groups)
		return pdmai_fail(ENOMEM, "no memory for an IOMMU group");
	v->groups = groups;
	groups[v->n_groups++] = (struct pdmai_vfio_group){ number, fd, 1 };
	return 0;
}

int pdmai_vfio_group_get(struct pdmai_vfio *v, unsigned number, bool guarded, int *ret_fd)
{
	int ret, fd = -1;

	for (size_t i = 0; i < v->n_groups; i++) {
		if (v->groups[i].number == number) {
			v->groups[i].devices++;
			*ret_fd = v->groups[i].fd;
			return 0;
		}
	}
	ret = open_group(number, &fd);
	if (ret)
		return ret;
	ret = join(v, number, guarded, fd);
	ret = ret ? ret : remember(v, number, fd);
	if (ret) {
		/* Without its last group the container forgets its IOMMU. */
		if (!v->n_groups)
			v->has_iommu = v->has_iovas = false;
		close(fd);
		return ret;
	}
	*ret_fd = fd;
	return 0;
}

void pdmai_vfio_group_put(struct pdmai_vfio *v, unsigned number)
{
	for (size_t i = 0; i < v->n_groups; i++) {
		struct pdmai_vfio_group *g = &v->groups[i];

		if (g->number != number || --g->devices)
			continue;
		close(g->fd);
		*g = v->groups[--v->n_groups];
		break;
	}
	if (v->n_groups)
		return;
	/* Without a group the container has no IOMMU, so nothing is mapped. */
	v->has_iommu = v->has_iovas = false;
	v->n_mappings = 0;
}
