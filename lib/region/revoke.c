// SPDX-License-Identifier: MIT
/* Taking regions away from those who use them. */
#include <errno.h>
#include <stdio.h>

#include "lib/reg/mr.h"
#include "lib/region/device.h"
#include "lib/region/map.h"

static int revoke_mrs(struct pdma_region *r, int err, const char *why)
{
	struct pdma_mr *mr;
	int ret = 0;

	LIST_FOREACH(mr, &r->mrs, of_region)
		ret = pdmai_mr_revoke(mr, err, why) ? -EBUSY : ret;
	return ret;
}

static void tell(struct pdma_region *r, struct pdmai_event *e, enum pdma_event_type type, int err,
		 const char *text)
{
	if (e->queued || r->quiet)
		return;
	e->event =
		(struct pdma_event){ .type = type, .err = err, .region = r, .cookie = r->cookie };
	snprintf(e->event.text, sizeof(e->event.text), "%s", text);
	pdmai_events_post(r->ctx->events, e);
}

/* A join of joins may be reached by several ways; the second time it is done already. */
int pdmai_region_revoke(struct pdma_region *r, int err, const char *why)
{
	struct pdmai_region_link *link;
	int ret, one;

	if (!r->revoked) {
		snprintf(r->why, sizeof(r->why), "%s", why);
		/* Those inside the memory get out first; those who come later see the mark. */
		pthread_rwlock_wrlock(&r->access);
		__atomic_store_n(&r->revoked, true, __ATOMIC_RELEASE);
		pdmai_region_pull_map(r);
		pthread_rwlock_unlock(&r->access);
		if (r->on_revoke)
			r->on_revoke(r);
		tell(r, &r->event_revoked, PDMA_EVENT_REGION_REVOKED, err, why);
	}
	/* Also again: an MR that was bound to a window then may be free now. */
	ret = revoke_mrs(r, err, why);
	LIST_FOREACH(link, &r->children, of_parent) {
		one = pdmai_region_revoke(link->child, err, why);
		ret = one ? one : ret;
	}
	return ret;
}

static bool lies_in(const struct pdma_region *r, const struct pdmai_device *d)
{
	for (unsigned i = 0; i < r->n_pieces; i++)
		if (r->pieces[i].backing->device == d)
			return true;
	return false;
}

int pdmai_device_revoke(struct pdmai_device *d, int err, const char *why)
{
	struct pdma_region *r;
	int ret = 0, one;

	TAILQ_FOREACH(r, &d->ctx->regions, entry) {
		one = lies_in(r, d) ? pdmai_region_revoke(r, err, why) : 0;
		ret = one ? one : ret;
	}
	return ret;
}

void pdmai_device_tell(struct pdmai_device *d, enum pdma_event_type type, const char *text)
{
	struct pdma_region *r;

	TAILQ_FOREACH(r, &d->ctx->regions, entry)
		if (lies_in(r, d))
			tell(r,
			     type == PDMA_EVENT_DEVICE_WANTED ? &r->event_wanted : &r->event_failed,
			     type, 0, text);
}

int pdma_region_revoke(struct pdma_region *r, const char *why)
{
	int ret;

	pdmai_ctx_lock(r->ctx);
	ret = pdmai_region_revoke(r, 0, why ? why : "revoked by its owner");
	pdmai_ctx_unlock(r->ctx);
	return ret;
}

static struct pdmai_device *only_device(const struct pdma_region *r)
{
	struct pdmai_device *d = r->pieces[0].backing->device;

	for (unsigned i = 1; i < r->n_pieces; i++)
		if (r->pieces[i].backing->device != d)
			return NULL;
	return d;
}

static int reset_locked(struct pdma_region *r)
{
	struct pdmai_device *d = only_device(r);
	char why[160];
	int ret;

	if (!d && r->flags & PDMA_REGION_DEVICE && r->n_pieces > 1)
		return pdmai_fail(EXDEV, "%s is in several functions", r->uri);
	if (!d)
		return pdmai_fail(EOPNOTSUPP, "%s is in no function this process drives", r->uri);
	snprintf(why, sizeof(why), "%s was reset", d->dev->bdf.text);
	ret = pdmai_device_revoke(d, 0, why);
	return ret ? ret : pdmai_device_reset(d);
}

int pdma_region_reset(struct pdma_region *r)
{
	int ret;

	pdmai_ctx_lock(r->ctx);
	ret = reset_locked(r);
	pdmai_ctx_unlock(r->ctx);
	return ret;
}

static int check_locked(struct pdma_region *r)
{
	int ret = pdmai_region_gate(r);

	for (unsigned i = 0; i < r->n_pieces && !ret; i++) {
		struct pdmai_backing *b = r->pieces[i].backing;

		if (b->ops->check && b->ops->check(b)) {
			pdmai_region_revoke(r, EFAULT, pdmai_error());
			ret = -ESTALE;
		}
	}
	return ret;
}

int pdma_region_check(struct pdma_region *r)
{
	int ret;

	pdmai_ctx_lock(r->ctx);
	ret = check_locked(r);
	pdmai_ctx_unlock(r->ctx);
	return ret;
}
