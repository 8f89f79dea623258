// SPDX-License-Identifier: MIT
#include "lib/dev/peer.h"

#include <errno.h>

#include "lib/core/error.h"

int pdmai_peer_map_by(enum pdmai_route route, struct pdmai_dev *from, struct pdmai_dev *to,
		      unsigned bar, uint64_t off, uint64_t len, struct pdmai_peer *ret_peer)
{
	struct pdmai_peer p = { .from = from, .len = len, .route = route };
	void *mem;
	int ret;

	ret = pdmai_dev_bar(to, bar, &mem);
	if (ret)
		return ret;
	if (!len || off > to->bars[bar].len || len > to->bars[bar].len - off)
		return pdmai_fail(EINVAL, "the window is not inside BAR %u of %s", bar,
				  to->bdf.text);
	p.addr = to->bars[bar].bus_addr + off;
	if (route == PDMAI_ROUTE_BRIDGE && from->ops->dma_map) {
		ret = pdmai_dev_dma_map(from, (char *)mem + off, len, PDMAI_DMA_BOTH, &p.addr);
		p.mapped = true;
	}
	if (!ret)
		*ret_peer = p;
	return ret;
}

int pdmai_peer_map(const char *root, struct pdmai_dev *from, struct pdmai_dev *to, unsigned bar,
		   uint64_t off, uint64_t len, struct pdmai_peer *ret_peer)
{
	enum pdmai_route route;
	int ret;

	ret = pdmai_pci_route(root, &from->bdf, &to->bdf, &route);
	return ret ? ret : pdmai_peer_map_by(route, from, to, bar, off, len, ret_peer);
}

void pdmai_peer_unmap(struct pdmai_peer *p)
{
	if (p->mapped)
		pdmai_dev_dma_unmap(p->from, p->addr, p->len);
	*p = (struct pdmai_peer){ 0 };
}
