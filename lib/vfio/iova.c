// SPDX-License-Identifier: MIT
/* IOVAs of a container: which exist, which are free, and what is mapped. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/vfio/private.h"

/* A null pointer in a descriptor shall be an error, not somebody's memory. */
#define FIRST_IOVA (64u << 10)
#define HUGE_PAGE  (2ull << 20)
#define INFO_MAX   (64u << 10)
#define RANGES_MAX 256

static int take_ranges(const struct vfio_iommu_type1_info_cap_iova_range *cap, size_t room,
		       struct pdmai_range *ranges, size_t max, size_t *ret_n)
{
	size_t n;

	if (room < sizeof(*cap))
		return -EPROTO;
	n = cap->nr_iovas;
	if (n > max || n > (room - sizeof(*cap)) / sizeof(cap->iova_ranges[0]))
		return -EPROTO;
	for (size_t i = 0; i < n; i++)
		ranges[i] =
			(struct pdmai_range){ cap->iova_ranges[i].start, cap->iova_ranges[i].end };
	*ret_n = n;
	return 0;
}

int pdmai_vfio_iova_parse(const struct vfio_iommu_type1_info *info, size_t len,
			  struct pdmai_range *ranges, size_t max, size_t *ret_n)
{
	size_t off = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0, next;

	*ret_n = 0;
	/* Each step goes forward, so a chain that bites its tail ends. */
	for (; off; off = next) {
		const struct vfio_info_cap_header *cap;

		if (off > len || sizeof(*cap) > len - off || off % 8)
			return -EPROTO;
		cap = (const void *)((const char *)info + off);
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			return take_ranges((const void *)cap, len - off, ranges, max, ret_n);
		next = cap->next;
		if (next && next <= off)
			return -EPROTO;
	}
	return 0;
}

static struct vfio_iommu_type1_info *get_info(int fd)
{
	struct vfio_iommu_type1_info *info = calloc(1, INFO_MAX);

	if (!info)
		return NULL;
	info->argsz = INFO_MAX;
	if (!ioctl(fd, VFIO_IOMMU_GET_INFO, info) && info->argsz <= INFO_MAX)
		return info;
	free(info);
	return NULL;
}

static int read_ranges(struct pdmai_vfio *v, struct pdmai_range *ranges, size_t *ret_n)
{
	struct vfio_iommu_type1_info *info = get_info(v->fd);
	int ret;

	if (!info)
		return pdmai_fail(EIO, "the kernel does not describe its IOMMU");
	ret = pdmai_vfio_iova_parse(info, INFO_MAX, ranges, RANGES_MAX, ret_n);
	free(info);
	if (ret || !*ret_n)
		return pdmai_fail(EPROTO, "the kernel does not name the usable IOVAs");
	return 0;
}

static bool within(const struct pdmai_vfio_mapping *m, const struct pdmai_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ranges[i].first <= m->iova && m->iova + (m->len - 1) <= ranges[i].last)
			return true;
	return false;
}

int pdmai_vfio_iova_update(struct pdmai_vfio *v)
{
	struct pdmai_range ranges[RANGES_MAX];
	size_t n;
	int ret;

	ret = read_ranges(v, ranges, &n);
	if (ret)
		return ret;
	for (size_t i = 0; i < v->n_mappings; i++)
		if (!within(&v->mappings[i], ranges, n))
			return pdmai_fail(EADDRINUSE, "IOVA 0x%" PRIx64 " is mapped already",
					  v->mappings[i].iova);
	if (!v->has_iovas) {
		pdmai_ranges_clear(&v->iovas);
		ret = pdmai_ranges_add(&v->iovas, FIRST_IOVA, UINT64_MAX);
		v->has_iovas = !ret;
	}
	ret = ret ? ret : pdmai_ranges_keep(&v->iovas, ranges, n);
	return ret ? ret : pdmai_pci_exclude_windows(v->root, &v->iovas);
}

static int reserve_mapping(struct pdmai_vfio *v)
{
	size_t cap = v->cap_mappings ? v->cap_mappings * 2 : 16;
	struct pdmai_vfio_mapping *m;

	if (v->n_mappings < v->cap_mappings)
		return 0;
	m = reallocarray(v->mappings, cap, sizeof(*m));
	if (!m)
		return pdmai_fail(ENOMEM, "no memory for a DMA mapping");
	v->mappings = m;
	v->cap_mappings = cap;
	return 0;
}

/*
 * The same remainder by 2 MiB as the memory has lets the IOMMU use large pages. Nothing is taken
 * that is not free, so the padding in front goes back at once.
 */
static int take_iova(struct pdmai_vfio *v, uintptr_t vaddr, uint64_t len, uint64_t *ret_iova)
{
	uint64_t pad = len >= HUGE_PAGE ? vaddr & (HUGE_PAGE - 1) : 0;
	uint64_t align = len >= HUGE_PAGE ? HUGE_PAGE : (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first;
	int ret;

	if (len > UINT64_MAX - pad)
		return -ENOSPC;
	ret = pdmai_ranges_take(&v->iovas, len + pad, align, &first);
	if (ret)
		return ret;
	if (pad)
		pdmai_ranges_add(&v->iovas, first, first + (pad - 1));
	*ret_iova = first + pad;
	return 0;
}

static int map_at(struct pdmai_vfio *v, void *vaddr, uint64_t len, unsigned prot, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = len,
	};

	if (prot & PDMAI_DMA_READ)
		map.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (prot & PDMAI_DMA_WRITE)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(v->fd, VFIO_IOMMU_MAP_DMA, &map) < 0 ? -errno : 0;
}

int pdmai_vfio_dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot,
		       uint64_t *ret_iova)
{
	struct pdmai_vfio *v = ((struct pdmai_vfio_dev *)dev)->vfio;
	uint64_t iova;
	int ret;

	ret = reserve_mapping(v);
	if (ret)
		return ret;
	ret = take_iova(v, (uintptr_t)vaddr, len, &iova);
	if (ret)
		return pdmai_fail(-ret, "no free IOVAs for %" PRIu64 " bytes", len);
	ret = map_at(v, vaddr, len, prot, iova);
	if (ret) {
		pdmai_ranges_add(&v->iovas, iova, iova + (len - 1));
		return pdmai_fail_errno(-ret, "the IOMMU does not map %" PRIu64 " bytes at %p", len,
					vaddr);
	}
	v->mappings[v->n_mappings++] = (struct pdmai_vfio_mapping){ iova, len };
	*ret_iova = iova;
	return 0;
}

static struct pdmai_vfio_mapping *find(struct pdmai_vfio *v, uint64_t iova, uint64_t len)
{
	for (size_t i = 0; i < v->n_mappings; i++)
		if (v->mappings[i].iova == iova && v->mappings[i].len == len)
			return &v->mappings[i];
	return NULL;
}

int pdmai_vfio_dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = iova,
						    .size = len };
	struct pdmai_vfio *v = ((struct pdmai_vfio_dev *)dev)->vfio;
	struct pdmai_vfio_mapping *m = find(v, iova, len);

	if (!m)
		return pdmai_fail(ENOENT, "no mapping of %" PRIu64 " bytes at IOVA 0x%" PRIx64, len,
				  iova);
	if (ioctl(v->fd, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return pdmai_fail_errno(errno, "the IOMMU does not unmap IOVA 0x%" PRIx64, iova);
	*m = v->mappings[--v->n_mappings];
	/* Failure only wastes the addresses. */
	pdmai_ranges_add(&v->iovas, iova, iova + (len - 1));
	return 0;
}
