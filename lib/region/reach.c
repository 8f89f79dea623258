// SPDX-License-Identifier: MIT
#include "lib/region/reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/region/device.h"
#include "lib/sysfs/path.h"

static uint64_t page_mask(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE) - 1;
}

bool pdmai_reach_by_pointer(const struct pdma_region *r)
{
	if (r->flags & PDMA_REGION_FILE || !(r->flags & PDMA_REGION_MAP))
		return false;
	for (unsigned i = 0; i < r->n_pieces; i++)
		if (!r->pieces[i].backing->device)
			return true;
	return false;
}

static enum pdma_mapping bus_mapping(enum pdmai_route route)
{
	return route == PDMAI_ROUTE_SWITCH ? PDMA_MAP_BUS_ADDR : PDMA_MAP_HOST_BRIDGE;
}

/* A BAR of a function that the context has open. */
static int reach_peer(const struct pdmai_piece *p, struct pdmai_reach *r)
{
	struct pdmai_backing *b = p->backing;
	uint64_t off = b->dev_off + p->off, first = off & ~page_mask();
	uint64_t len = (off + p->len - first + page_mask()) & ~page_mask();
	int ret = pdmai_peer_map(b->ctx->sysfs, r->from, b->device->dev, (unsigned)b->bar, first,
				 len, &r->peer);

	if (ret)
		return ret;
	r->addr = r->peer.addr + (off - first);
	r->mapping = r->peer.mapped ? PDMA_MAP_IOVA : bus_mapping(r->peer.route);
	return 0;
}

static int reach_pointer(const struct pdmai_piece *p, char *vaddr, struct pdmai_reach *r)
{
	uintptr_t first = (uintptr_t)vaddr & ~page_mask();
	uint64_t len = ((uintptr_t)vaddr + p->len - first + page_mask()) & ~page_mask();
	int ret = pdmai_dev_dma_map(r->from, (void *)first, len, PDMAI_DMA_BOTH, &r->iova);

	if (ret)
		return ret;
	r->iova_len = len;
	r->addr = r->iova + ((uintptr_t)vaddr - first);
	r->mapping = PDMA_MAP_IOVA;
	return 0;
}

/* There is no IOMMU either: whatever the reason is, it is out of reach. */
static int unknown(const struct pdmai_backing *b, const struct pdmai_dev *from)
{
	char why[160];

	snprintf(why, sizeof(why), "%s", pdmai_error());
	return pdmai_fail(EOPNOTSUPP,
			  "nobody tells %s the address of memory of %s, which has no IOMMU to map "
			  "it: %s",
			  from->bdf.text, b->bdf, why);
}

/* Return: 1: by its bus address; 0: the IOMMU's mapping is the way, or the only one; -errno. */
static int by_bus(const struct pdmai_piece *p, struct pdmai_reach *r)
{
	struct pdmai_backing *b = p->backing;
	enum pdmai_route route = PDMAI_ROUTE_BRIDGE;
	bool iommu = r->from->ops->dma_map;
	struct pdmai_bdf owner;
	int ret = pdmai_bdf_parse(b->bdf, &owner);

	ret = ret ? ret : pdmai_pci_route(b->ctx->sysfs, &r->from->bdf, &owner, &route);
	/* Who may not look at config space may still use the IOMMU. */
	if (iommu && (ret || route == PDMAI_ROUTE_BRIDGE))
		return 0;
	if (ret)
		return ret;
	if (b->ops->where(b, p->off, p->len, &r->addr)) {
		if (!iommu)
			return unknown(b, r->from);
		snprintf(r->detour, sizeof(r->detour), "%s", pdmai_error());
		return 0;
	}
	r->mapping = bus_mapping(route);
	return 1;
}

/* Memory that the driver of another function has mapped for the processor. */
static int reach_driver(const struct pdmai_piece *p, char *vaddr, struct pdmai_reach *r)
{
	int ret = by_bus(p, r);

	if (ret)
		return ret < 0 ? ret : 0;
	return reach_pointer(p, vaddr, r);
}

int pdmai_reach_make(struct pdmai_dev *from, const struct pdmai_piece *p, void *vaddr,
		     struct pdmai_reach *ret_reach)
{
	struct pdmai_reach r = { .from = from };
	struct pdmai_backing *b = p->backing;
	int ret;

	if (b->device)
		ret = reach_peer(p, &r);
	else if (vaddr && b->ops->where && b->bdf[0])
		ret = reach_driver(p, vaddr, &r);
	else if (vaddr)
		ret = reach_pointer(p, vaddr, &r);
	else
		ret = pdmai_fail(EOPNOTSUPP, "%s memory is out of the reach of %s",
				 pdma_kind_name(b->kind), from->bdf.text);
	if (!ret)
		*ret_reach = r;
	return ret;
}

void pdmai_reach_end(struct pdmai_reach *r)
{
	pdmai_peer_unmap(&r->peer);
	if (r->iova_len)
		pdmai_dev_dma_unmap(r->from, r->iova, r->iova_len);
	*r = (struct pdmai_reach){ 0 };
}
