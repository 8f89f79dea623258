// SPDX-License-Identifier: MIT
/* Life of an MR. */
#include "lib/reg/mr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITES	 (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)
#define ALL_WAYS ((1u << PDMA_WAYS) - 1)
#define DIRECT	 (ALL_WAYS & ~(unsigned)PDMA_WAY_STAGED)

static void refuse(struct pdma_mr *mr, enum pdma_way way, int err, const char *text)
{
	struct pdma_way_refused *r = &mr->refused[mr->n_refused++];

	r->way = way;
	r->err = err;
	snprintf(r->text, sizeof(r->text), "%s", text);
}

/*
 * The best way that is allowed and possible. Ways that are not allowed say so too, so that a report
 * is complete. On failure the reason of the best allowed way is the sentence.
 */
static int choose(struct pdma_mr *mr, unsigned allowed)
{
	const struct pdma_way_refused *best = NULL;
	int ret;

	for (const enum pdma_way *way = pdmai_ways_for(mr->region); *way; way++) {
		if (!(*way & allowed)) {
			refuse(mr, *way, EPERM, "not allowed by the caller");
			continue;
		}
		ret = pdmai_way_try(mr, *way);
		if (!ret)
			return 0;
		refuse(mr, *way, -ret, pdmai_error());
		if (!best || best->err == EOPNOTSUPP)
			best = &mr->refused[mr->n_refused - 1];
	}
	if (!best)
		return pdmai_fail(EOPNOTSUPP, "%s: none of the allowed ways to register exists",
				  mr->region->uri);
	return pdmai_fail(best->err == ENOMEM ? ENOMEM : EOPNOTSUPP, "%s by %s: %s",
			  mr->region->uri, pdma_way_name(best->way), best->text);
}

static int check_request(struct pdma_region *r, int access, const struct pdma_reg_options *o)
{
	int ret = pdmai_region_gate(r);

	if (ret)
		return ret;
	if (o->ways & ~ALL_WAYS || o->flags)
		return pdmai_fail(EINVAL, "ways 0x%x or flags 0x%x are not all known", o->ways,
				  o->flags);
	if (access & IBV_ACCESS_ON_DEMAND)
		return pdmai_fail(EINVAL,
				  "on-demand paging is asked for by a way, not by an access");
	if (access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC) &&
	    !(access & IBV_ACCESS_LOCAL_WRITE))
		return pdmai_fail(EINVAL, "remote write access needs local write access");
	if (r->flags & PDMA_REGION_READONLY && access & WRITES)
		return pdmai_fail(EACCES, "%s is read-only", r->uri);
	if (r->len > SIZE_MAX)
		return pdmai_fail(EINVAL, "%s is too long", r->uri);
	return 0;
}

static int reg_locked(struct pdma_region *r, struct ibv_pd *pd, int access,
		      const struct pdma_reg_options *o, struct pdma_mr **ret_mr)
{
	struct pdma_mr *mr;
	int ret;

	ret = check_request(r, access, o);
	if (ret)
		return ret;
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return pdmai_fail(ENOMEM, "no memory for an MR");
	mr->region = r;
	mr->pd = pd;
	mr->access = access;
	mr->cookie = o->cookie;
	ret = choose(mr, o->ways ? o->ways : DIRECT);
	if (ret) {
		free(mr);
		return ret;
	}
	LIST_INSERT_HEAD(&r->mrs, mr, of_region);
	*ret_mr = mr;
	return 0;
}

int pdma_reg_mr(struct pdma_region *r, struct ibv_pd *pd, int access,
		const struct pdma_reg_options *opt, struct pdma_mr **ret_mr)
{
	struct pdma_reg_options o;
	int ret;

	ret = pdmai_options_copy(&o, sizeof(o), opt, sizeof(o));
	if (ret)
		return ret;
	pdmai_ctx_lock(r->ctx);
	ret = reg_locked(r, pd, access, &o, ret_mr);
	pdmai_ctx_unlock(r->ctx);
	return ret;
}

/* Return: 0, also when it is gone already; -EBUSY. */
static int dereg(struct pdma_mr *mr)
{
	int err;

	if (!mr->mr)
		return 0;
	err = pdmai_verbs->dereg_mr(mr->mr);
	if (err)
		return pdmai_fail(EBUSY, "the MR can't be deregistered (%s): memory windows on it?",
				  strerror(err));
	mr->mr = NULL;
	pdmai_way_release(mr);
	return 0;
}

int pdma_dereg_mr(struct pdma_mr *mr)
{
	struct pdma_ctx *ctx;
	int ret;

	if (!mr)
		return 0;
	ctx = mr->region->ctx;
	pdmai_ctx_lock(ctx);
	ret = dereg(mr);
	if (!ret) {
		pdmai_events_drop(ctx->events, &mr->event);
		LIST_REMOVE(mr, of_region);
		free(mr);
	}
	pdmai_ctx_unlock(ctx);
	return ret;
}

int pdmai_mr_revoke(struct pdma_mr *mr, int err, const char *why)
{
	int ret;

	/* Nobody gets it from a cache any more, whatever comes of the rest. */
	if (mr->forget)
		mr->forget(mr, mr->forget_arg);
	mr->forget = NULL;
	ret = dereg(mr);
	if (ret || mr->revoked)
		return ret;
	mr->revoked = true;
	if (mr->quiet)
		return 0;
	mr->event.event = (struct pdma_event){ .type = PDMA_EVENT_MR_REVOKED,
					       .err = err,
					       .region = mr->region,
					       .mr = mr,
					       .cookie = mr->cookie };
	snprintf(mr->event.event.text, sizeof(mr->event.event.text), "%s", why);
	pdmai_events_post(mr->region->ctx->events, &mr->event);
	return 0;
}

int pdma_mr_revoke(struct pdma_mr *mr, const char *why)
{
	struct pdma_ctx *ctx = mr->region->ctx;
	int ret;

	pdmai_ctx_lock(ctx);
	ret = pdmai_mr_revoke(mr, 0, why ? why : "revoked by its owner");
	pdmai_ctx_unlock(ctx);
	return ret;
}

int pdma_mr_get_info(const struct pdma_mr *mr, struct pdma_mr_info *ret_info)
{
	struct pdma_mr_info info;
	struct pdma_ctx *ctx = mr->region->ctx;

	memset(&info, 0, sizeof(info));
	pdmai_ctx_lock(ctx);
	info.way = mr->way;
	info.lkey = mr->lkey;
	info.rkey = mr->rkey;
	info.addr = mr->addr;
	info.len = mr->region->len;
	info.access = mr->access;
	info.revoked = mr->revoked;
	memcpy(info.why, mr->why, sizeof(info.why));
	info.n_refused = mr->n_refused;
	memcpy(info.refused, mr->refused, sizeof(info.refused));
	info.cookie = mr->cookie;
	pdmai_ctx_unlock(ctx);
	return pdmai_info_copy(ret_info, &info, sizeof(info));
}

struct ibv_mr *pdma_mr_verbs(const struct pdma_mr *mr)
{
	return mr->mr;
}

struct pdma_region *pdma_mr_region(const struct pdma_mr *mr)
{
	return mr->region;
}

struct ibv_context *pdma_region_verbs(const struct pdma_region *r)
{
	struct pdmai_backing *b = pdmai_region_backing(r);

	return b && b->ops->verbs ? b->ops->verbs(b) : NULL;
}

int pdma_mr_sync(struct pdma_mr *mr, uint64_t off, uint64_t len, enum pdma_sync direction)
{
	int ret;

	if (direction != PDMA_SYNC_TO_REGION && direction != PDMA_SYNC_FROM_REGION)
		return pdmai_fail(EINVAL, "there is no direction %d", direction);
	ret = pdmai_region_check_range(mr->region, off, len);
	if (ret || mr->way != PDMA_WAY_STAGED)
		return ret;
	if (!mr->bounce)
		return pdmai_fail(ESTALE, "the MR of %s was revoked", mr->region->uri);
	if (direction == PDMA_SYNC_TO_REGION)
		return pdma_region_write(mr->region, off, (char *)mr->bounce + off, len);
	return pdma_region_read(mr->region, off, (char *)mr->bounce + off, len);
}
