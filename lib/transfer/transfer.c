// SPDX-License-Identifier: MIT
/* What transfers by every engine have in common: slices, order, ends. */
#include "lib/transfer/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define SLICE	  (1ull << 20)
#define SLICE_MAX (1ull << 30)

static void close_engine(struct pdma_transfer *t)
{
	if (t->open)
		t->ops->close(t);
	t->open = false;
}

/* err: -errno, or 0 for all well. What caused it is kept for whoever asks again. */
static int end(struct pdma_transfer *t, int err)
{
	if (t->ended)
		return t->err;
	if (err)
		snprintf(t->sentence, sizeof(t->sentence), "%s", pdmai_error());
	/* The bytes are there; taking registrations and queues down is not the copy's time. */
	t->end_ns = util_now_ns();
	if (!t->leg)
		close_engine(t);
	t->err = err;
	t->ended = true;
	if (err)
		pdmai_fail(-err, "%s", t->sentence);
	return err;
}

static uint64_t to_wrap(const struct pdmai_end *e, uint64_t off)
{
	return e->wrap ? e->wrap - off % e->wrap : UINT64_MAX;
}

static uint64_t to_piece_end(const struct pdmai_end *e, uint64_t off)
{
	uint64_t in_backing, left;

	pdmai_region_piece(e->region, pdmai_end_at(e, off), &in_backing, &left);
	return left;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_slice(const struct pdma_transfer *t, uint64_t limit)
{
	uint64_t off = t->submitted, n = at_most(t->opt.slice, limit - off);

	n = at_most(n, at_most(to_wrap(&t->dst, off), to_wrap(&t->src, off)));
	if (t->ops->by_piece)
		n = at_most(n, at_most(to_piece_end(&t->dst, off), to_piece_end(&t->src, off)));
	return n;
}

static void account(struct pdma_transfer *t, unsigned slices)
{
	for (; slices && t->head != t->tail; slices--)
		t->done += t->fifo[t->head++ % PDMAI_DEPTH];
}

static int fill(struct pdma_transfer *t, uint64_t limit)
{
	int ret = 0;

	while (t->submitted < limit && t->tail - t->head < t->ops->depth && !ret) {
		uint64_t n = next_slice(t, limit);

		ret = t->ops->submit(t, t->submitted, n);
		if (ret == -EAGAIN && t->tail != t->head)
			return 0;
		if (ret)
			break;
		t->fifo[t->tail++ % PDMAI_DEPTH] = n;
		t->submitted += n;
		/* Done already: one at a time, so that a cancel finds a gap. */
		if (t->ops->depth == 1) {
			account(t, 1);
			break;
		}
	}
	return ret;
}

static int fill_and_reap(struct pdma_transfer *t, int timeout_ms, uint64_t limit)
{
	int ret = fill(t, limit);

	if (ret || t->tail == t->head)
		return ret;
	ret = t->ops->reap(t, timeout_ms);
	if (ret < 0)
		return ret;
	account(t, (unsigned)ret);
	/* The engine shall not be idle while the caller looks at the result. */
	return ret ? fill(t, limit) : 0;
}

static int check_stuck(struct pdma_transfer *t, uint64_t before, uint64_t limit)
{
	int64_t now = util_now_ns();

	if (t->done != before || t->done >= limit || !t->moved_ns)
		t->moved_ns = now;
	if (now - t->moved_ns < PDMAI_STUCK_NS)
		return 0;
	return pdmai_fail(ETIMEDOUT, "%s: nothing has arrived for %lld seconds", t->device,
			  PDMAI_STUCK_NS / 1000000000);
}

static int gates(struct pdma_transfer *t)
{
	int ret;

	if (atomic_load(&t->cancelled))
		return pdmai_fail(ECANCELED, "the transfer was cancelled");
	ret = pdmai_region_gate(t->src.region);
	return ret ? ret : pdmai_region_gate(t->dst.region);
}

/*
 * Some paths are refused only when the first byte takes them. Nothing has arrived for certain then,
 * and whoever moves the bytes instead overwrites what may have: the next engine begins anew.
 * Return: 0: it goes on; else ret.
 */
static int next_engine(struct pdma_transfer *t, int ret)
{
	const struct pdmai_engine_ops *ops = t->ops;
	char first[160];

	if (t->done || t->ended || ret == -ECANCELED || ret == -ESTALE || ret == -ENOMEM)
		return ret;
	snprintf(first, sizeof(first), "%s", pdmai_error());
	close_engine(t);
	pdmai_transfer_refuse(t, t->ops->id, -ret, first);
	t->submitted = 0;
	t->head = t->tail = 0;
	t->device[0] = t->why[0] = 0;
	t->legs[0] = t->legs[1] = 0;
	if (pdmai_transfer_choose(t, t->opt.engines)) {
		t->ops = ops;
		return pdmai_fail(-ret, "%s", first);
	}
	t->open = true;
	t->start_ns = t->moved_ns = util_now_ns();
	return 0;
}

int pdmai_transfer_pump(struct pdma_transfer *t, int timeout_ms, uint64_t limit)
{
	uint64_t before = t->done;
	int ret, gate;

	if (t->ended)
		return t->err ? t->err : 1;
	if (!t->start_ns)
		t->start_ns = util_now_ns();
	ret = gates(t);
	if (!ret) {
		ret = t->ops->pump ? t->ops->pump(t, timeout_ms, limit) :
				     fill_and_reap(t, timeout_ms, limit);
		/* Memory that is taken away makes errors of many kinds. */
		gate = ret ? gates(t) : 0;
		ret = gate ? gate : ret;
	}
	ret = ret ? ret : check_stuck(t, before, limit);
	ret = ret ? next_engine(t, ret) : 0;
	if (ret)
		return end(t, ret);
	return t->done == t->len ? (end(t, 0), 1) : 0;
}

static int report(struct pdma_transfer *t)
{
	struct pdma_transfer_status status = { .size = sizeof(status) };

	if (!t->opt.progress)
		return 0;
	pdma_transfer_get_status(t, &status);
	return t->opt.progress(t->opt.arg, &status);
}

int pdma_transfer_poll(struct pdma_transfer *t, int timeout_ms)
{
	int64_t until = timeout_ms < 0 ? INT64_MAX : util_now_ns() + timeout_ms * 1000000ll;
	uint64_t before = t->done;
	int ret, wait;

	if (t->ended) {
		if (t->err)
			pdmai_fail(-t->err, "%s", t->sentence);
		return t->err ? t->err : 1;
	}
	do {
		wait = timeout_ms == 0 ? 0 : 100;
		ret = pdmai_transfer_pump(t, wait, t->len);
	} while (!ret && t->done == before && util_now_ns() < until);
	if ((t->done != before || t->ended) && report(t))
		pdma_transfer_cancel(t);
	return ret;
}

void pdma_transfer_cancel(struct pdma_transfer *t)
{
	atomic_store(&t->cancelled, true);
}

static int check_options(struct pdma_copy_options *o)
{
	if (o->engines >> PDMA_ENGINES || o->flags & ~PDMA_COPY_VERIFY)
		return pdmai_fail(EINVAL, "engines 0x%x or flags 0x%x are not all known",
				  o->engines, o->flags);
	if (!o->slice)
		o->slice = SLICE;
	o->slice = at_most(o->slice, SLICE_MAX);
	return 0;
}

/* Ranges of the same memory. Pieces tell; two names for one file are not seen. */
static bool overlap(const struct pdmai_end *a, const struct pdmai_end *b, uint64_t len)
{
	uint64_t a_off, b_off, left;

	if (a->region->n_pieces != 1 || b->region->n_pieces != 1)
		return a->region == b->region && a->off < b->off + len && b->off < a->off + len;
	if (a->region->pieces[0].backing != b->region->pieces[0].backing)
		return false;
	pdmai_region_piece(a->region, a->off, &a_off, &left);
	pdmai_region_piece(b->region, b->off, &b_off, &left);
	return a_off < b_off + len && b_off < a_off + len;
}

static int check_ends(const struct pdmai_end *dst, const struct pdmai_end *src, uint64_t len)
{
	int ret;

	if (!len)
		return pdmai_fail(EINVAL, "a transfer of 0 bytes makes no sense");
	ret = pdmai_region_check_range(src->region, src->off, len);
	ret = ret ? ret : pdmai_region_check_range(dst->region, dst->off, len);
	if (ret)
		return ret;
	if (src->region->ctx != dst->region->ctx)
		return pdmai_fail(EINVAL, "the regions are of different contexts");
	if (dst->region->flags & PDMA_REGION_READONLY)
		return pdmai_fail(EACCES, "%s is read-only", dst->region->uri);
	if (overlap(dst, src, len))
		return pdmai_fail(EINVAL, "source and destination overlap");
	return 0;
}

int pdmai_transfer_leg(struct pdmai_end dst, struct pdmai_end src, uint64_t len,
		       const struct pdma_copy_options *opt, unsigned allowed,
		       struct pdma_transfer **ret_leg)
{
	struct pdma_transfer *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	t->ctx = dst.region->ctx;
	t->dst = dst;
	t->src = src;
	t->len = len;
	t->opt = *opt;
	ret = pdmai_transfer_choose(t, allowed);
	if (ret) {
		free(t);
		return ret;
	}
	t->open = true;
	*ret_leg = t;
	return 0;
}

int pdma_transfer_create(struct pdma_region *dst, uint64_t dst_off, struct pdma_region *src,
			 uint64_t src_off, uint64_t len, const struct pdma_copy_options *opt,
			 struct pdma_transfer **ret_transfer)
{
	struct pdmai_end to = { .region = dst, .off = dst_off };
	struct pdmai_end from = { .region = src, .off = src_off };
	struct pdma_copy_options o;
	int ret;

	ret = pdmai_options_copy(&o, sizeof(o), opt, sizeof(o));
	ret = ret ? ret : check_options(&o);
	ret = ret ? ret : check_ends(&to, &from, len);
	if (ret)
		return ret;
	return pdmai_transfer_leg(to, from, len, &o,
				  o.engines ? o.engines : (1u << PDMA_ENGINES) - 1, ret_transfer);
}

void pdma_transfer_destroy(struct pdma_transfer *t)
{
	if (!t)
		return;
	close_engine(t);
	free(t);
}

int pdma_transfer_get_status(const struct pdma_transfer *t, struct pdma_transfer_status *ret_status)
{
	struct pdma_transfer_status status = {
		.engine = t->ops->id,
		.len = t->len,
		.done = t->done,
		.start_ns = t->start_ns,
		.now_ns = t->ended ? t->end_ns : util_now_ns(),
		.finished = t->ended,
		.err = -t->err,
	};

	return pdmai_info_copy(ret_status, &status, sizeof(status));
}

int pdma_transfer_get_result(const struct pdma_transfer *t, struct pdma_copy_result *ret_result)
{
	struct pdma_copy_result r;

	memset(&r, 0, sizeof(r));
	r.engine = t->ops->id;
	memcpy(r.legs, t->legs, sizeof(r.legs));
	memcpy(r.device, t->device, sizeof(r.device));
	memcpy(r.why, t->why, sizeof(r.why));
	r.mapping = t->mapping;
	r.addr = t->addr;
	memcpy(r.detour, t->detour, sizeof(r.detour));
	r.n_refused = t->n_refused;
	memcpy(r.refused, t->refused, sizeof(r.refused));
	r.done = t->done;
	if (t->start_ns)
		r.time_ns = (t->ended ? t->end_ns : util_now_ns()) - t->start_ns;
	return pdmai_info_copy(ret_result, &r, sizeof(r));
}
