// SPDX-License-Identifier: MIT
/* CPU mappings of regions, and dma-bufs. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/region/map.h"

static uint64_t page_mask(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE) - 1;
}

static void *reserve(uint64_t len)
{
	void *mem = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* Pages can only be laid side by side where pieces meet at page boundaries. */
static bool meet_at_pages(const struct pdmai_piece *pieces, unsigned n)
{
	uint64_t mask = page_mask();

	for (unsigned i = 0; i < n; i++) {
		if (i && pieces[i].off & mask)
			return false;
		if (i + 1 < n && (pieces[i].off + pieces[i].len) & mask)
			return false;
	}
	return true;
}

static int map_all(const struct pdmai_piece *pieces, unsigned n, char *at, bool write)
{
	uint64_t mask = page_mask();
	int ret = 0;

	for (unsigned i = 0; i < n && !ret; i++) {
		const struct pdmai_piece *p = &pieces[i];
		uint64_t first = p->off & ~mask;
		uint64_t len = (p->off + p->len - first + mask) & ~mask;

		ret = p->backing->ops->map(p->backing, first, len, at, write);
		at += len;
	}
	return ret;
}

static bool all_can_map(const struct pdmai_piece *pieces, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!pieces[i].backing->ops->map)
			return false;
	return true;
}

int pdmai_pieces_map(const struct pdmai_piece *pieces, unsigned n, uint64_t len, bool write,
		     struct pdmai_map *ret_map)
{
	struct pdmai_backing *b = pieces[0].backing;
	uint64_t skew = pieces[0].off & page_mask();
	struct pdmai_map m = { 0 };
	void *base = n == 1 && b->ops->base ? b->ops->base(b) : NULL;
	int ret;

	if (base) {
		m.vaddr = (char *)base + pieces[0].off;
		*ret_map = m;
		return 0;
	}
	if (!all_can_map(pieces, n))
		return pdmai_fail(EOPNOTSUPP, "%s memory has no mapping for the CPU%s",
				  pdma_kind_name(b->kind), n > 1 ? " in several ranges" : "");
	if (!meet_at_pages(pieces, n))
		return pdmai_fail(EOPNOTSUPP,
				  "ranges that are not whole pages can't be mapped side by side");
	m.len = (skew + len + page_mask()) & ~page_mask();
	m.base = reserve(m.len);
	if (!m.base)
		return pdmai_fail(ENOMEM, "no address space for a mapping");
	ret = map_all(pieces, n, m.base, write);
	if (ret) {
		munmap(m.base, m.len);
		return ret;
	}
	m.vaddr = (char *)m.base + skew;
	*ret_map = m;
	return 0;
}

void pdmai_pieces_unmap(struct pdmai_map *m)
{
	if (m->base)
		munmap(m->base, m->len);
	*m = (struct pdmai_map){ 0 };
}

static int map_locked(struct pdma_region *r, void **ret_vaddr)
{
	struct pdmai_map m;
	int ret;

	ret = pdmai_region_gate(r);
	if (!ret && !r->map_refs) {
		if (!(r->flags & PDMA_REGION_MAP))
			return pdmai_fail(EOPNOTSUPP, "%s has no mapping for the CPU", r->uri);
		ret = pdmai_pieces_map(r->pieces, r->n_pieces, r->len,
				       !(r->flags & PDMA_REGION_READONLY), &m);
		if (!ret) {
			r->map_base = m.base;
			r->map_len = m.len;
			r->vaddr = m.vaddr;
		}
	}
	if (ret)
		return ret;
	r->map_refs++;
	*ret_vaddr = r->vaddr;
	return 0;
}

int pdma_region_map(struct pdma_region *r, void **ret_vaddr)
{
	int ret;

	pdmai_ctx_lock(r->ctx);
	ret = map_locked(r, ret_vaddr);
	pdmai_ctx_unlock(r->ctx);
	return ret;
}

void pdma_region_unmap(struct pdma_region *r)
{
	pdmai_ctx_lock(r->ctx);
	if (r->map_refs && !--r->map_refs) {
		if (r->map_base)
			munmap(r->map_base, r->map_len);
		r->map_base = NULL;
		r->vaddr = NULL;
	}
	pdmai_ctx_unlock(r->ctx);
}

void pdmai_region_pull_map(struct pdma_region *r)
{
	/* The address stays taken, so that nothing else can be where the memory was. */
	if (r->map_base)
		mmap(r->map_base, r->map_len, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* Spans of whole pages around the pieces; only the outer ends may be inside a page. */
static int make_spans(const struct pdma_region *r, bool around, struct pdmai_span *spans)
{
	uint64_t mask = page_mask();

	if (!around && ((r->pieces[0].off | r->len) & mask))
		return pdmai_fail(EINVAL, "%s: a dma-buf has whole pages", r->uri);
	if (!meet_at_pages(r->pieces, r->n_pieces))
		return pdmai_fail(EINVAL, "%s: the ranges of a dma-buf meet at whole pages",
				  r->uri);
	for (unsigned i = 0; i < r->n_pieces; i++) {
		uint64_t first = r->pieces[i].off & ~mask;
		uint64_t end = (r->pieces[i].off + r->pieces[i].len + mask) & ~mask;

		spans[i] = (struct pdmai_span){ first, end - first };
	}
	return 0;
}

static int export(struct pdma_region *r, bool around, int *ret_fd, uint64_t *ret_off)
{
	struct pdmai_backing *b = pdmai_region_backing(r);
	struct pdmai_span *spans;
	uint64_t off;
	int ret;

	ret = pdmai_region_gate(r);
	if (ret)
		return ret;
	if (!b)
		return pdmai_fail(EXDEV, "%s: one dma-buf can't be of several memories", r->uri);
	if (!b->ops->dmabuf || !(b->flags & PDMA_REGION_DMABUF))
		return pdmai_fail(EOPNOTSUPP, "%s is not exported as a dma-buf",
				  b->device ? "a device without VFIO" : r->uri);
	spans = calloc(r->n_pieces, sizeof(*spans));
	if (!spans)
		return pdmai_fail(ENOMEM, "no memory for a dma-buf");
	ret = make_spans(r, around, spans);
	ret = ret ? ret : b->ops->dmabuf(b, spans, r->n_pieces, ret_fd, &off);
	free(spans);
	if (!ret && ret_off)
		*ret_off = off + (r->pieces[0].off & page_mask());
	return ret;
}

int pdmai_region_dmabuf_around(struct pdma_region *r, int *ret_fd, uint64_t *ret_off)
{
	return export(r, true, ret_fd, ret_off);
}

int pdma_region_dmabuf(struct pdma_region *r, int *ret_fd)
{
	int ret;

	pdmai_ctx_lock(r->ctx);
	if (pdmai_region_backing(r) && pdmai_region_backing(r)->kind == PDMA_KIND_DMABUF &&
	    (r->pieces[0].off || r->len != r->pieces[0].backing->len))
		ret = pdmai_fail(EINVAL, "%s: part of a foreign dma-buf is none", r->uri);
	else
		ret = export(r, false, ret_fd, NULL);
	pdmai_ctx_unlock(r->ctx);
	return ret;
}
