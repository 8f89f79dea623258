// SPDX-License-Identifier: MIT
/*
 * By the CPU: where one end is host memory, straight between it and the other end; else through a
 * buffer of a slice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/transfer/transfer.h"

struct cpu {
	char *src, *dst; /* host memory, mapped; or NULL */
	char *buf;
};

static bool reachable(const struct pdma_region *r)
{
	for (unsigned i = 0; i < r->n_pieces; i++) {
		const struct pdmai_kind_ops *ops = r->pieces[i].backing->ops;

		if (!ops->io && !ops->map && !ops->base)
			return false;
	}
	return true;
}

/* Plain memory that read() and memcpy may be pointed at. */
static int map_ram(struct pdma_region *r, char **ret_vaddr)
{
	void *vaddr;
	int ret;

	if (!(r->flags & PDMA_REGION_RAM) || r->flags & PDMA_REGION_FILE)
		return 0;
	ret = pdma_region_map(r, &vaddr);
	if (!ret)
		*ret_vaddr = vaddr;
	return ret;
}

static void close_cpu(struct pdma_transfer *t)
{
	struct cpu *c = t->priv;

	if (c->src)
		pdma_region_unmap(t->src.region);
	if (c->dst)
		pdma_region_unmap(t->dst.region);
	free(c->buf);
	free(c);
}

static int set_up(struct pdma_transfer *t, struct cpu *c)
{
	int ret;

	ret = map_ram(t->src.region, &c->src);
	if (!ret && !c->src)
		ret = map_ram(t->dst.region, &c->dst);
	if (ret || c->src || c->dst)
		return ret;
	c->buf = malloc(t->opt.slice);
	return c->buf ? 0 : pdmai_fail(ENOMEM, "no memory for a buffer");
}

static int open_cpu(struct pdma_transfer *t)
{
	struct cpu *c;
	int ret;

	if (!reachable(t->src.region) || !reachable(t->dst.region))
		return pdmai_fail(EOPNOTSUPP, "%s is out of the CPU's reach",
				  reachable(t->src.region) ? t->dst.region->uri :
							     t->src.region->uri);
	c = calloc(1, sizeof(*c));
	if (!c)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	t->priv = c;
	ret = set_up(t, c);
	if (ret)
		close_cpu(t);
	snprintf(t->why, sizeof(t->why), "loads and stores, or reads and writes of a file");
	return ret;
}

static int submit_cpu(struct pdma_transfer *t, uint64_t off, uint64_t len)
{
	uint64_t from = pdmai_end_at(&t->src, off), to = pdmai_end_at(&t->dst, off);
	struct cpu *c = t->priv;
	int ret;

	if (c->src)
		return pdma_region_write(t->dst.region, to, c->src + from, len);
	if (c->dst)
		return pdma_region_read(t->src.region, from, c->dst + to, len);
	ret = pdma_region_read(t->src.region, from, c->buf, len);
	return ret ? ret : pdma_region_write(t->dst.region, to, c->buf, len);
}

const struct pdmai_engine_ops pdmai_engine_cpu = {
	.id = PDMA_ENGINE_CPU,
	.depth = 1,
	.open = open_cpu,
	.close = close_cpu,
	.submit = submit_cpu,
};
