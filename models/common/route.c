// SPDX-License-Identifier: MIT
/*
 * Where an address leads, decided as the hardware between two devices would:
 *
 *  1. A port of a switch turns a request round when the address lies in a BAR of a device below
 *     the same switch, unless ACS redirects peer requests upwards. No IOMMU sees it.
 *  2. Everything else goes up. With an IOMMU the address is an IOVA and only what the guest
 *     mapped exists; without, it is a guest physical address.
 *  3. What comes out is guest RAM, or a peer's BAR, which the host bridge may or may not forward
 *     to.
 */
#include <errno.h>
#include <string.h>

#include "models/common/internal.h"
#include "models/common/vtd.h"

static void routes_remove_locked(struct mdl_node *node, const struct mdl_device *dev)
{
	unsigned i, n = 0;

	for (i = 0; i < node->n_routes; i++)
		if (node->routes[i].dev != dev)
			node->routes[n++] = node->routes[i];
	node->n_routes = n;
}

static void route_insert_locked(struct mdl_node *node, struct mdl_route r)
{
	unsigned i = node->n_routes;

	if (node->n_routes == MDL_MAX_ROUTES)
		return;
	for (; i && node->routes[i - 1].base > r.base; i--)
		node->routes[i] = node->routes[i - 1];
	node->routes[i] = r;
	node->n_routes++;
}

void mdl_routes_update_locked(struct mdl_device *dev)
{
	unsigned i;

	routes_remove_locked(dev->node, dev);
	if (!mdl_config_decodes(dev))
		return;
	for (i = 0; i < MDL_MAX_BARS; i++) {
		uint64_t size = dev->desc.bars[i].size, base;

		base = size ? mdl_config_bar_addr(dev, i) : 0;
		/* 0 is a BAR nobody placed yet; RAM is there. */
		if (!base || size - 1 > UINT64_MAX - base)
			continue;
		route_insert_locked(dev->node, (struct mdl_route){ .base = base,
								   .last = base + (size - 1),
								   .dev = dev,
								   .bar = i });
	}
}

uint64_t mdl_device_bar_addr(struct mdl_device *dev, unsigned bar)
{
	struct mdl_node *node = dev->node;
	uint64_t addr = UINT64_MAX;
	unsigned i;

	pthread_rwlock_rdlock(&node->lock);
	for (i = 0; i < node->n_routes; i++)
		if (node->routes[i].dev == dev && node->routes[i].bar == bar)
			addr = node->routes[i].base;
	pthread_rwlock_unlock(&node->lock);
	return addr;
}

const struct mdl_route *mdl_route_find_locked(const struct mdl_node *node, uint64_t addr)
{
	unsigned lo = 0, hi = node->n_routes;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (node->routes[mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || node->routes[lo - 1].last < addr)
		return NULL;
	return &node->routes[lo - 1];
}

static void span_of_route(const struct mdl_route *r, uint64_t addr, uint64_t len,
			  enum mdl_target target, struct mdl_span *s)
{
	const struct mdl_bar *b = &r->dev->desc.bars[r->bar];
	uint64_t off = addr - r->base, left = r->last - addr;

	s->target = target;
	s->len = len - 1 > left ? left + 1 : len;
	s->mem = b->mem ? (uint8_t *)b->mem + off : NULL;
	s->peer = r->dev;
	s->peer_bar = r->bar;
	s->peer_off = off;
}

static bool same_switch(const struct mdl_device *a, const struct mdl_device *b)
{
	return a->switch_id >= 0 && a->switch_id == b->switch_id && !a->acs_redirect;
}

/* Past the root complex: gpa is an address of the guest's physical space. */
static int resolve_peer_locked(struct mdl_device *dev, uint64_t gpa, uint64_t len,
			       const struct mdl_route *r, struct mdl_span *s)
{
	if (r->dev == dev || !dev->node->cfg.host_bridge_p2p)
		return -EREMOTEIO;
	span_of_route(r, gpa, len, MDL_T_PEER_BRIDGE, s);
	return 0;
}

static int resolve_window_locked(struct mdl_device *dev, struct mdl_window *w, uint64_t addr,
				 uint64_t len, bool write, struct mdl_span *s)
{
	uint64_t left = w->last - addr;

	if (!(w->prot & (write ? MDL_PROT_WRITE : MDL_PROT_READ)))
		return -EACCES;
	s->len = len - 1 > left ? left + 1 : len;
	s->mem = w->mem ? w->mem + (addr - w->first) : NULL;
	s->target =
		w->backing && w->backing == dev->node->ram_backing ? MDL_T_HOST : MDL_T_PEER_QEMU;
	return 0;
}

/*
 * A window the client gave no file for: what its addresses translate to, and in the two low bits
 * for what. QEMU announces every window as readable and writable, whatever the guest allows.
 */
static uint64_t window_gpa_locked(struct mdl_device *dev, struct mdl_window *w)
{
	uint64_t gpa = w->gpa, read, write;

	if (gpa != MDL_GPA_UNKNOWN)
		return gpa;
	gpa = MDL_GPA_NONE;
	if (!mdl_vtd_translate(dev->node, &dev->iommu, w->first, true, &write))
		gpa = write | MDL_PROT_WRITE;
	if (!mdl_vtd_translate(dev->node, &dev->iommu, w->first, false, &read))
		gpa = read | MDL_PROT_READ | (gpa == MDL_GPA_NONE ? 0 : MDL_PROT_WRITE);
	w->gpa = gpa;
	return gpa;
}

/* *gpa is of the window's first address before the call, of addr after it. */
static int take_window_gpa(const struct mdl_window *w, uint64_t addr, bool write, uint64_t *gpa)
{
	if (*gpa == MDL_GPA_NONE)
		return 0;
	if (!(*gpa & (write ? MDL_PROT_WRITE : MDL_PROT_READ)))
		return -EACCES;
	*gpa = (*gpa & ~(uint64_t)(MDL_PROT_READ | MDL_PROT_WRITE)) + (addr - w->first);
	return 0;
}

static int resolve_iommu_locked(struct mdl_device *dev, uint64_t addr, uint64_t len, bool write,
				struct mdl_span *s)
{
	struct mdl_window *w = mdl_windows_find(&dev->windows, addr);
	const struct mdl_route *r;
	uint64_t gpa;
	int err = 0;

	if (w) {
		err = resolve_window_locked(dev, w, addr, len, write, s);
		if (err || s->mem)
			return err;
	}
	s->want_iommu = !dev->iommu_known;
	if (s->want_iommu)
		return w ? 0 : -EFAULT;
	/* Registers of a peer are mapped but never announced; their pages are looked up anew. */
	if (w) {
		gpa = window_gpa_locked(dev, w);
		err = take_window_gpa(w, addr, write, &gpa);
	} else {
		err = mdl_vtd_translate(dev->node, &dev->iommu, addr, write, &gpa);
	}
	if (err)
		return err == -EACCES ? err : -EFAULT;
	r = gpa != MDL_GPA_NONE ? mdl_route_find_locked(dev->node, gpa) : NULL;
	if (!r)
		return w ? 0 : -EFAULT;
	if (!w && len > 4096 - (addr & 4095))
		len = 4096 - (addr & 4095);
	return resolve_peer_locked(dev, gpa, w ? s->len : len, r, s);
}

static int resolve_bus_locked(struct mdl_device *dev, uint64_t addr, uint64_t len, bool write,
			      struct mdl_span *s)
{
	const struct mdl_route *r = mdl_route_find_locked(dev->node, addr);
	struct mdl_window *w;

	if (r && r->dev != dev && same_switch(dev, r->dev)) {
		span_of_route(r, addr, len, MDL_T_PEER_SWITCH, s);
		return 0;
	}
	if (dev->node->cfg.iommu)
		return resolve_iommu_locked(dev, addr, len, write, s);
	if (r)
		return resolve_peer_locked(dev, addr, len, r, s);
	w = mdl_windows_find(&dev->windows, addr);
	return w ? resolve_window_locked(dev, w, addr, len, write, s) : -EFAULT;
}

static int resolve_memory(uint8_t *mem, uint64_t size, uint64_t addr, uint64_t len,
			  enum mdl_target target, struct mdl_span *s)
{
	if (addr >= size)
		return -EFAULT;
	s->mem = mem + addr;
	s->len = len > size - addr ? size - addr : len;
	s->target = target;
	return 0;
}

int mdl_resolve_locked(struct mdl_device *dev, enum mdl_space space, uint64_t addr, uint64_t len,
		       bool write, struct mdl_span *s)
{
	struct mdl_device *peer;

	memset(s, 0, sizeof(*s));
	switch (space) {
	case MDL_SPACE_LOCAL:
		return resolve_memory(dev->desc.local_mem, dev->desc.local_size, addr, len,
				      MDL_T_OWN, s);
	case MDL_SPACE_LINK:
		peer = dev->link_peer;
		if (!peer || !dev->link_up)
			return -EREMOTEIO;
		return resolve_memory(peer->desc.local_mem, peer->desc.local_size, addr, len,
				      MDL_T_LINK, s);
	case MDL_SPACE_BUS:
		if (!dev->bus_master)
			return -EACCES;
		return resolve_bus_locked(dev, addr, len, write, s);
	}
	return -EFAULT;
}

bool mdl_iommu_learn(struct mdl_device *dev)
{
	struct mdl_node *node = dev->node;
	struct mdl_iommu_root root;

	/* Not kept while translation is off: the guest may turn it on at any time. */
	if (!node->cfg.iommu_root || node->cfg.iommu_root(node->cfg.arg, dev->name, &root) ||
	    !root.enabled)
		return false;
	pthread_rwlock_wrlock(&node->lock);
	dev->iommu = root;
	dev->iommu_known = true;
	pthread_rwlock_unlock(&node->lock);
	return true;
}
