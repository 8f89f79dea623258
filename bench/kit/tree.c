// SPDX-License-Identifier: MIT
#include "bench/kit/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Host bridge, root port, two layers of switches: what one root port carries. */
#define FAN_OUT	       8
#define PER_ROOT_PORT  (FAN_OUT * FAN_OUT)
#define PORTS_PER_HOST 4
/* Root port, switch, and for each of its ports a port, a switch and FAN_OUT ports and devices. */
#define NODES_PER_ROOT (2 + FAN_OUT * (2 + 2 * FAN_OUT))

struct builder {
	struct pdma_topo *t;
	uint32_t devices, left;
	uint32_t seed;
	uint64_t next_addr;
};

/* xorshift: the same machine from the same seed everywhere. */
static uint32_t draw(struct builder *b, uint32_t below)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 17;
	b->seed ^= b->seed << 5;
	return b->seed % below;
}

static uint32_t add(struct builder *b, uint32_t parent, enum pdma_function_kind kind,
		    unsigned number)
{
	uint32_t i = b->t->n++;
	struct pdmai_node *node = &b->t->nodes[i];
	struct pdma_function *f = &node->f;

	f->size = sizeof(*f);
	snprintf(f->bdf, sizeof(f->bdf), "%04x:%02x:%02x.%x", i >> 16, i >> 8 & 0xff, i >> 3 & 0x1f,
		 i & 7);
	f->parent = parent;
	f->host = b->t->n_hosts - 1;
	f->kind = kind;
	f->config_len = PDMAI_CONFIG_SIZE;
	f->decode = f->master = PDMA_ON;
	f->iommu_group = -1;
	f->numa_node = (int)(f->host % 2);
	node->group = -1;
	node->ports.number = (uint8_t)number;
	if (kind == PDMA_FUNCTION_DOWNSTREAM || kind == PDMA_FUNCTION_ROOT_PORT) {
		f->acs = PDMA_ON;
		f->acs_capability = 0x5f;
		f->acs_control = draw(b, 4) ? 0x11 : 0x1d;
	}
	return i;
}

static void add_device(struct builder *b, uint32_t parent)
{
	uint32_t i = add(b, parent, PDMA_FUNCTION_ENDPOINT, 0);
	struct pdma_function *f = &b->t->nodes[i].f;

	f->class_code = 0x120000;
	f->bar[2] = (struct pdma_bar){ b->next_addr, 1 << 24, 1 << 24, true, true, true };
	b->next_addr += 1 << 24;
	strcpy(f->driver, "accel");
	f->dma_mask_bits = draw(b, 16) ? 64 : 40;
	if (!draw(b, 64))
		f->decode = PDMA_OFF;
	if (b->t->groups) {
		b->t->groups[b->t->n_groups] =
			(struct pdmai_group){ (int)i, PDMA_IOMMU_DMA, UINT64_MAX, NULL, 0, false };
		b->t->nodes[i].group = (int)b->t->n_groups++;
		f->iommu_group = (int)i;
		f->iommu = draw(b, 2) ? PDMA_IOMMU_DMA : PDMA_IOMMU_IDENTITY;
	}
	b->left--;
}

static void add_switch(struct builder *b, uint32_t parent, unsigned depth)
{
	uint32_t up = add(b, parent, PDMA_FUNCTION_UPSTREAM, 0);

	for (unsigned i = 0; i < FAN_OUT && b->left; i++) {
		uint32_t port = add(b, up, PDMA_FUNCTION_DOWNSTREAM, i);

		if (depth)
			add_switch(b, port, depth - 1);
		else
			add_device(b, port);
	}
}

static void add_host(struct builder *b)
{
	struct pdmai_host *host = &b->t->hosts[b->t->n_hosts++];
	uint32_t first;

	snprintf(host->h.name, sizeof(host->h.name), "pci%04x:00", b->t->n_hosts);
	first = add(b, PDMAI_NONE, PDMA_FUNCTION_ENDPOINT, 0);
	b->t->nodes[first].f.vendor = 0x8086;
	b->t->nodes[first].f.device = draw(b, 3) ? 0x09a2 : 0x2f00;
	strcpy(b->t->nodes[first].f.bdf + 8, "00.0");
	for (int i = 0; i < PORTS_PER_HOST && b->left; i++)
		add_switch(b, add(b, PDMAI_NONE, PDMA_FUNCTION_ROOT_PORT, 0), 1);
}

static bool reserve(struct builder *b)
{
	uint32_t roots = b->devices / PER_ROOT_PORT + 1, hosts = roots / PORTS_PER_HOST + 1;
	struct pdma_topo *t = b->t;

	t->nodes = calloc((size_t)roots * NODES_PER_ROOT + hosts, sizeof(*t->nodes));
	t->hosts = calloc(hosts, sizeof(*t->hosts));
	if (draw(b, 2))
		t->groups = calloc(b->devices, sizeof(*t->groups));
	return t->nodes && t->hosts;
}

struct pdma_topo *kit_tree(uint32_t devices, uint32_t seed)
{
	struct builder b = {
		.t = calloc(1, sizeof(*b.t)),
		.devices = devices,
		.left = devices,
		.seed = seed * 2654435761u | 1,
		.next_addr = 1ull << 38,
	};

	if (!b.t)
		return NULL;
	if (!reserve(&b))
		goto err_destroy;
	strcpy(b.t->system.kernel, seed % 2 ? "7.2.0" : "7.3.0");
	strcpy(b.t->system.cpu_vendor, "GenuineIntel");
	for (int i = 0; i < PDMAI_OPTIONS; i++)
		b.t->options[i] = PDMA_NOT_READ;
	while (b.left)
		add_host(&b);
	if (pdmai_topo_finish(b.t))
		goto err_destroy;
	return b.t;
err_destroy:
	pdma_topo_destroy(b.t);
	return NULL;
}

uint32_t kit_tree_devices(const struct pdma_topo *topo, uint32_t *list, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < topo->n && n < max; i++)
		if (topo->nodes[i].f.bar[2].len)
			list[n++] = i;
	return n;
}
