// SPDX-License-Identifier: MIT
/* Life of regions: pieces, slices, joins, what is known of them. */
#include "lib/region/region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/region/device.h"

#define PARTS_MAX 4096

/* What all pieces have, and what any of them brings. */
#define FLAGS_OF_ALL (PDMA_REGION_MAP | PDMA_REGION_DMABUF | PDMA_REGION_PAGES | PDMA_REGION_RAM)
#define FLAGS_OF_ANY \
	(PDMA_REGION_FILE | PDMA_REGION_REMOTE | PDMA_REGION_READONLY | PDMA_REGION_DEVICE)

static int check_pieces(const struct pdmai_piece *pieces, unsigned n, uint64_t *ret_len)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct pdmai_piece *p = &pieces[i];

		if (!p->len || p->off > p->backing->len || p->len > p->backing->len - p->off)
			return pdmai_fail(ERANGE, "a range is not inside its memory");
		if (p->len > INT64_MAX - len)
			return pdmai_fail(EOVERFLOW, "the ranges together are too long");
		len += p->len;
	}
	*ret_len = len;
	return 0;
}

static void describe(struct pdma_region *r)
{
	unsigned all = ~0u, any = 0;

	r->kind = r->pieces[0].backing->kind;
	for (unsigned i = 0; i < r->n_pieces; i++) {
		const struct pdmai_backing *b = r->pieces[i].backing;

		all &= b->flags;
		any |= b->flags;
		if (b->kind != r->kind)
			r->kind = PDMA_KIND_MIXED;
		if (b != r->pieces[0].backing)
			all &= ~(unsigned)PDMA_REGION_DMABUF;
	}
	r->flags = (all & FLAGS_OF_ALL) | (any & FLAGS_OF_ANY);
}

static void free_region(struct pdma_region *r)
{
	for (unsigned i = 0; i < r->n_pieces; i++)
		pdmai_backing_put(r->pieces[i].backing);
	pthread_rwlock_destroy(&r->access);
	free(r->pieces);
	free(r->uri);
	free(r);
}

static void take_pieces(struct pdma_region *r, const struct pdmai_piece *pieces, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		r->pieces[i] = pieces[i];
		pdmai_backing_get(pieces[i].backing);
	}
	r->n_pieces = n;
	describe(r);
}

int pdmai_region_create(struct pdma_ctx *ctx, const struct pdmai_piece *pieces, unsigned n,
			const char *uri, void *cookie, struct pdma_region **ret_region)
{
	struct pdma_region *r;
	uint64_t len = 0;
	int ret;

	ret = check_pieces(pieces, n, &len);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return pdmai_fail(ENOMEM, "no memory for a region");
	r->ctx = ctx;
	r->len = len;
	r->cookie = cookie;
	LIST_INIT(&r->children);
	LIST_INIT(&r->parents);
	LIST_INIT(&r->mrs);
	pthread_rwlock_init(&r->access, NULL);
	r->uri = strdup(uri);
	r->pieces = calloc(n, sizeof(*r->pieces));
	if (!r->uri || !r->pieces) {
		free_region(r);
		return pdmai_fail(ENOMEM, "no memory for a region");
	}
	take_pieces(r, pieces, n);
	TAILQ_INSERT_TAIL(&ctx->regions, r, entry);
	*ret_region = r;
	return 0;
}

static void unlink_from(struct pdmai_region_link *link)
{
	LIST_REMOVE(link, of_parent);
	LIST_REMOVE(link, of_child);
	free(link);
}

static int link_to(struct pdma_region *parent, struct pdma_region *child)
{
	struct pdmai_region_link *link = malloc(sizeof(*link));

	if (!link)
		return pdmai_fail(ENOMEM, "no memory for a region");
	link->parent = parent;
	link->child = child;
	LIST_INSERT_HEAD(&parent->children, link, of_parent);
	LIST_INSERT_HEAD(&child->parents, link, of_child);
	return 0;
}

void pdma_region_close(struct pdma_region *r)
{
	struct pdma_ctx *ctx;

	if (!r)
		return;
	ctx = r->ctx;
	pdmai_ctx_lock(ctx);
	while (r->map_refs)
		pdma_region_unmap(r);
	while (!LIST_EMPTY(&r->children))
		unlink_from(LIST_FIRST(&r->children));
	while (!LIST_EMPTY(&r->parents))
		unlink_from(LIST_FIRST(&r->parents));
	pdmai_events_drop(ctx->events, &r->event_revoked);
	pdmai_events_drop(ctx->events, &r->event_wanted);
	pdmai_events_drop(ctx->events, &r->event_failed);
	TAILQ_REMOVE(&ctx->regions, r, entry);
	free_region(r);
	pdmai_ctx_unlock(ctx);
}

int pdmai_region_gate(const struct pdma_region *r)
{
	if (!__atomic_load_n(&r->revoked, __ATOMIC_ACQUIRE))
		return 0;
	return pdmai_fail(ESTALE, "%s was revoked: %s", r->uri, r->why);
}

int pdmai_region_check_range(const struct pdma_region *r, uint64_t off, uint64_t len)
{
	int ret = pdmai_region_gate(r);

	if (!ret && (off > r->len || len > r->len - off))
		ret = pdmai_fail(ERANGE,
				 "%" PRIu64 " bytes at 0x%" PRIx64 " are not inside the %" PRIu64
				 " bytes of %s",
				 len, off, r->len, r->uri);
	return ret;
}

const struct pdmai_piece *pdmai_region_piece(const struct pdma_region *r, uint64_t off,
					     uint64_t *ret_off, uint64_t *ret_left)
{
	for (unsigned i = 0; i < r->n_pieces; i++) {
		const struct pdmai_piece *p = &r->pieces[i];

		if (off < p->len) {
			*ret_off = p->off + off;
			*ret_left = p->len - off;
			return p;
		}
		off -= p->len;
	}
	return NULL;
}

struct pdmai_backing *pdmai_region_backing(const struct pdma_region *r)
{
	for (unsigned i = 1; i < r->n_pieces; i++)
		if (r->pieces[i].backing != r->pieces[0].backing)
			return NULL;
	return r->pieces[0].backing;
}

/* The pieces of part of a region. Return: how many, in pieces, which has room for all. */
static unsigned cut(const struct pdma_region *r, uint64_t off, uint64_t len,
		    struct pdmai_piece *pieces)
{
	uint64_t in_backing, left;
	unsigned n = 0;

	while (len) {
		const struct pdmai_piece *p = pdmai_region_piece(r, off, &in_backing, &left);
		uint64_t take = left < len ? left : len;

		pieces[n++] = (struct pdmai_piece){ p->backing, in_backing, take };
		off += take;
		len -= take;
	}
	return n;
}

static int slice_locked(struct pdma_region *parent, uint64_t off, uint64_t len, void *cookie,
			struct pdma_region **ret_region)
{
	struct pdmai_piece *pieces = calloc(parent->n_pieces, sizeof(*pieces));
	struct pdma_region *r;
	char *uri = NULL;
	int ret;

	if (!pieces ||
	    asprintf(&uri, "%s[0x%" PRIx64 ":0x%" PRIx64 "]", parent->uri, off, len) < 0) {
		free(pieces);
		return pdmai_fail(ENOMEM, "no memory for a region");
	}
	ret = pdmai_region_create(parent->ctx, pieces, cut(parent, off, len, pieces), uri, cookie,
				  &r);
	free(pieces);
	free(uri);
	if (ret)
		return ret;
	ret = link_to(parent, r);
	if (ret) {
		pdma_region_close(r);
		return ret;
	}
	r->flags |= parent->flags & PDMA_REGION_READONLY;
	*ret_region = r;
	return 0;
}

int pdma_region_slice(struct pdma_region *parent, uint64_t off, uint64_t len, void *cookie,
		      struct pdma_region **ret_region)
{
	int ret;

	if (!len)
		return pdmai_fail(EINVAL, "a slice of 0 bytes makes no sense");
	pdmai_ctx_lock(parent->ctx);
	ret = pdmai_region_check_range(parent, off, len);
	ret = ret ? ret : slice_locked(parent, off, len, cookie, ret_region);
	pdmai_ctx_unlock(parent->ctx);
	return ret;
}

static int check_parts(struct pdma_region *const *parts, unsigned n, unsigned *ret_pieces)
{
	unsigned pieces = 0;
	int ret = 0;

	for (unsigned i = 0; i < n && !ret; i++) {
		if (parts[i]->ctx != parts[0]->ctx)
			return pdmai_fail(EINVAL, "the parts are of different contexts");
		ret = pdmai_region_gate(parts[i]);
		pieces += parts[i]->n_pieces;
	}
	*ret_pieces = pieces;
	return ret;
}

static int link_all(struct pdma_region *const *parts, unsigned n, struct pdma_region *r)
{
	int ret = 0;

	for (unsigned i = 0; i < n && !ret; i++) {
		ret = link_to(parts[i], r);
		r->flags |= parts[i]->flags & PDMA_REGION_READONLY;
	}
	return ret;
}

static int join_locked(struct pdma_region *const *parts, unsigned n, void *cookie,
		       struct pdma_region **ret_region)
{
	struct pdmai_piece *pieces;
	struct pdma_region *r;
	unsigned total = 0, at = 0;
	char uri[64];
	int ret;

	ret = check_parts(parts, n, &total);
	if (ret)
		return ret;
	pieces = calloc(total, sizeof(*pieces));
	if (!pieces)
		return pdmai_fail(ENOMEM, "no memory for a region");
	for (unsigned i = 0; i < n; i++) {
		memcpy(&pieces[at], parts[i]->pieces, parts[i]->n_pieces * sizeof(*pieces));
		at += parts[i]->n_pieces;
	}
	snprintf(uri, sizeof(uri), "join of %u regions", n);
	ret = pdmai_region_create(parts[0]->ctx, pieces, total, uri, cookie, &r);
	free(pieces);
	if (ret)
		return ret;
	ret = link_all(parts, n, r);
	if (ret) {
		pdma_region_close(r);
		return ret;
	}
	*ret_region = r;
	return 0;
}

int pdma_region_join(struct pdma_region *const *parts, unsigned n, void *cookie,
		     struct pdma_region **ret_region)
{
	int ret;

	if (!n || n > PARTS_MAX)
		return pdmai_fail(EINVAL, "1 to %d regions can be joined, not %u", PARTS_MAX, n);
	pdmai_ctx_lock(parts[0]->ctx);
	ret = join_locked(parts, n, cookie, ret_region);
	pdmai_ctx_unlock(parts[0]->ctx);
	return ret;
}

int pdma_region_get_info(const struct pdma_region *r, struct pdma_region_info *ret_info)
{
	struct pdma_region_info info = {
		.kind = r->kind,
		.flags = r->flags,
		.len = r->len,
		.n_ranges = r->n_pieces,
		.revoked = __atomic_load_n(&r->revoked, __ATOMIC_ACQUIRE),
		.bar = r->pieces[0].backing->bar,
		.cookie = r->cookie,
	};

	memcpy(info.bdf, r->pieces[0].backing->bdf, sizeof(info.bdf));
	return pdmai_info_copy(ret_info, &info, sizeof(info));
}

const char *pdma_region_uri(const struct pdma_region *r)
{
	return r->uri;
}

struct pdma_ctx *pdma_region_ctx(const struct pdma_region *r)
{
	return r->ctx;
}

int pdma_region_range(const struct pdma_region *r, unsigned idx,
		      struct pdma_region_range *ret_range)
{
	const struct pdmai_backing *b;
	struct pdma_region_range range;

	if (idx >= r->n_pieces)
		return pdmai_fail(ERANGE, "%s has %u ranges", r->uri, r->n_pieces);
	b = r->pieces[idx].backing;
	range = (struct pdma_region_range){
		.len = r->pieces[idx].len,
		.dev_off = b->dev_off + r->pieces[idx].off,
		.bus_addr = b->bus_addr ? b->bus_addr + r->pieces[idx].off : 0,
		.bar = b->bar,
		.kind = b->kind,
	};
	memcpy(range.bdf, b->bdf, sizeof(range.bdf));
	*ret_range = range;
	return 0;
}
