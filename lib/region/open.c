// SPDX-License-Identifier: MIT
/* From a URI to a region. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/region/region.h"

/* The ranges as pieces of the backing, or all of it. *ret_pieces is the caller's to free. */
static int make_pieces(struct pdmai_backing *b, const struct pdmai_uri *uri, const char *text,
		       struct pdmai_piece **ret_pieces, unsigned *ret_n)
{
	unsigned n = uri->n_ranges ? uri->n_ranges : 1;
	struct pdmai_piece *pieces = calloc(n, sizeof(*pieces));

	if (!pieces)
		return pdmai_fail(ENOMEM, "no memory for a region");
	for (unsigned i = 0; i < n; i++) {
		struct pdmai_span r = { 0, PDMAI_TO_THE_END };

		if (uri->n_ranges)
			r = uri->ranges[i];
		if (r.len == PDMAI_TO_THE_END && r.off < b->len)
			r.len = b->len - r.off;
		if (r.off >= b->len || r.len > b->len - r.off) {
			free(pieces);
			return pdmai_fail(ERANGE,
					  "%s: the range at 0x%" PRIx64
					  " is not inside the %" PRIu64 " bytes there are",
					  text, r.off, b->len);
		}
		pieces[i] = (struct pdmai_piece){ b, r.off, r.len };
	}
	*ret_pieces = pieces;
	*ret_n = n;
	return 0;
}

/* Without the lock: it may take long. */
static int open_backing(struct pdma_ctx *ctx, const struct pdmai_uri *uri,
			const struct pdma_region_options *opt, struct pdmai_backing **ret_b)
{
	const struct pdmai_kind_ops *ops = pdmai_kind_find(uri->kind);
	struct pdmai_backing *b;
	int ret;

	if (!ops)
		return pdmai_fail(EOPNOTSUPP, "%s: regions are not supported by this build",
				  pdma_kind_name(uri->kind));
	ret = pdmai_backing_create(ctx, ops, &b);
	if (ret)
		return ret;
	ret = ops->open(b, uri, opt);
	if (ret) {
		free(b);
		return ret;
	}
	b->kind = uri->kind;
	if (opt->flags & PDMA_OPEN_READONLY)
		b->flags |= PDMA_REGION_READONLY;
	*ret_b = b;
	return 0;
}

/* The region of an open backing, whose reference is given up. */
static int finish_locked(struct pdmai_backing *b, const struct pdmai_uri *uri, const char *text,
			 const struct pdma_region_options *opt, struct pdma_region **ret_region)
{
	struct pdmai_piece *pieces = NULL;
	unsigned n = 0;
	int ret;

	ret = pdmai_ctx_open_check_locked(b->ctx);
	ret = ret ? ret : make_pieces(b, uri, text, &pieces, &n);
	if (!ret && b->ops->opened)
		ret = b->ops->opened(b);
	ret = ret ? ret : pdmai_region_create(b->ctx, pieces, n, text, opt->cookie, ret_region);
	free(pieces);
	pdmai_backing_put(b);
	return ret;
}

static int open_region(struct pdma_ctx *ctx, const struct pdmai_uri *uri, const char *text,
		       const struct pdma_region_options *opt, struct pdma_region **ret_region)
{
	struct pdmai_backing *b = NULL;
	int ret;

	ret = pdmai_ctx_open_begin(ctx);
	if (ret)
		return ret;
	ret = open_backing(ctx, uri, opt, &b);
	pdmai_ctx_lock(ctx);
	if (!ret)
		ret = finish_locked(b, uri, text, opt, ret_region);
	pdmai_ctx_open_end_locked(ctx);
	pdmai_ctx_unlock(ctx);
	return ret;
}

int pdma_region_open(struct pdma_ctx *ctx, const char *text, const struct pdma_region_options *opt,
		     struct pdma_region **ret_region)
{
	struct pdma_region_options options;
	struct pdmai_uri *uri;
	int ret;

	ret = pdmai_options_copy(&options, sizeof(options), opt, sizeof(options));
	if (!ret && options.flags & ~(PDMA_OPEN_READONLY | PDMA_OPEN_CREATE))
		ret = pdmai_fail(EINVAL, "flags 0x%x are not all known", options.flags);
	ret = ret ? ret : pdmai_ctx_need_live(ctx, "opening a region");
	if (ret)
		return ret;
	/* With its path too large for some stacks. */
	uri = malloc(sizeof(*uri));
	if (!uri)
		return pdmai_fail(ENOMEM, "no memory for a URI");
	ret = pdmai_uri_parse(text, uri, NULL);
	if (!ret) {
		ret = open_region(ctx, uri, text, &options, ret_region);
		pdmai_uri_clear(uri);
	}
	free(uri);
	return ret;
}
