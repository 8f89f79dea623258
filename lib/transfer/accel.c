// SPDX-License-Identifier: MIT
/* By the copy engine of the accelerator at either end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/region/device.h"
#include "lib/region/reach.h"
#include "lib/transfer/transfer.h"
#include "util/clock.h"

#define RING_LOG2 5

/* A piece of a region as the engine addresses it. */
struct place {
	struct pdmai_accel_mem mem;
	struct pdmai_reach reach; /* if it is not the engine's own memory */
};

struct side {
	struct pdma_region *region;
	struct place *places; /* one for each piece of the region */
	bool mapped;	      /* the region, by us */
};

struct accel {
	struct pdmai_device *device;
	struct pdmai_accel_ring *ring;
	unsigned ring_idx;
	uint64_t len_max;
	struct side dst, src;
};

static struct pdmai_device *driven(const struct pdma_region *r)
{
	for (unsigned i = 0; i < r->n_pieces; i++) {
		struct pdmai_backing *b = r->pieces[i].backing;

		if (b->kind == PDMA_KIND_ACCEL && b->device)
			return b->device;
	}
	return NULL;
}

static int place_one(struct accel *a, struct side *s, unsigned i, char *vaddr)
{
	const struct pdmai_piece *p = &s->region->pieces[i];
	struct pdmai_backing *b = p->backing;
	struct place *place = &s->places[i];
	int ret;

	if (b->device == a->device && b->bar == ACCEL_BAR_VRAM) {
		place->mem =
			(struct pdmai_accel_mem){ ACCEL_SPACE_LOCAL, b->dev_off + p->off, p->len };
		return 0;
	}
	ret = pdmai_reach_make(a->device->dev, p, vaddr, &place->reach);
	if (!ret)
		place->mem = (struct pdmai_accel_mem){ ACCEL_SPACE_BUS, place->reach.addr, p->len };
	return ret;
}

static int place_all(struct accel *a, struct side *s)
{
	void *vaddr = NULL;
	uint64_t at = 0;
	int ret = 0;

	s->places = calloc(s->region->n_pieces, sizeof(*s->places));
	if (!s->places)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	if (pdmai_reach_by_pointer(s->region)) {
		ret = pdma_region_map(s->region, &vaddr);
		s->mapped = !ret;
	}
	for (unsigned i = 0; i < s->region->n_pieces && !ret; i++) {
		ret = place_one(a, s, i, vaddr ? (char *)vaddr + at : NULL);
		at += s->region->pieces[i].len;
	}
	return ret;
}

static void free_places(struct side *s)
{
	for (unsigned i = 0; s->places && i < s->region->n_pieces; i++)
		pdmai_reach_end(&s->places[i].reach);
	free(s->places);
	if (s->mapped)
		pdma_region_unmap(s->region);
}

/* The ring first: when it is gone, no command reaches a place any more. */
static void free_accel(struct accel *a)
{
	if (a->ring)
		pdmai_device_ring_destroy(a->device, a->ring, a->ring_idx);
	free_places(&a->dst);
	free_places(&a->src);
	free(a);
}

static bool is_wanted(const struct pdma_transfer *t, const struct pdmai_device *device)
{
	return device && (!t->opt.accel || !strcmp(t->opt.accel, device->dev->bdf.text));
}

static int set_up(struct pdma_transfer *t, struct accel *a)
{
	int ret;

	/* Writes are posted, reads wait for an answer: the source's engine pushes. */
	a->device = driven(t->src.region);
	if (!is_wanted(t, a->device))
		a->device = driven(t->dst.region);
	if (!is_wanted(t, a->device))
		return pdmai_fail(EOPNOTSUPP, "no end is an accel: region%s%s",
				  t->opt.accel ? " of " : "", t->opt.accel ? t->opt.accel : "");
	a->src.region = t->src.region;
	a->dst.region = t->dst.region;
	a->len_max = pdmai_accel_get_info(a->device->accel)->len_max;
	ret = place_all(a, &a->src);
	ret = ret ? ret : place_all(a, &a->dst);
	return ret ? ret : pdmai_device_ring_create(a->device, RING_LOG2, &a->ring, &a->ring_idx);
}

/* How the end that is not the engine's own is reached, for the result. */
static void tell_mapping(struct pdma_transfer *t, const struct accel *a)
{
	const struct pdmai_reach *reach = &a->dst.places[0].reach;

	if (reach->mapping == PDMA_MAP_NONE)
		reach = &a->src.places[0].reach;
	t->mapping = reach->mapping;
	t->addr = reach->addr;
	memcpy(t->detour, reach->detour, sizeof(t->detour));
}

static int open_accel(struct pdma_transfer *t)
{
	struct accel *a = calloc(1, sizeof(*a));
	int ret;

	if (!a)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	pdmai_ctx_lock(t->ctx);
	ret = set_up(t, a);
	if (ret)
		free_accel(a);
	pdmai_ctx_unlock(t->ctx);
	if (ret)
		return ret;
	t->priv = a;
	tell_mapping(t, a);
	snprintf(t->device, sizeof(t->device), "%s", a->device->dev->bdf.text);
	snprintf(t->why, sizeof(t->why), "the accelerator at the %s end copies by itself",
		 a->device == driven(t->src.region) ? "source" : "destination");
	return 0;
}

static void close_accel(struct pdma_transfer *t)
{
	pdmai_ctx_lock(t->ctx);
	free_accel(t->priv);
	pdmai_ctx_unlock(t->ctx);
	t->priv = NULL;
}

/* A slice lies in one piece. */
static struct pdmai_accel_mem address(const struct side *s, uint64_t off, uint64_t len)
{
	struct pdmai_accel_mem mem;
	unsigned i = 0;

	while (off >= s->region->pieces[i].len)
		off -= s->region->pieces[i++].len;
	mem = s->places[i].mem;
	mem.addr += off;
	mem.len = len;
	return mem;
}

static int submit_accel(struct pdma_transfer *t, uint64_t off, uint64_t len)
{
	struct accel *a = t->priv;
	struct pdmai_accel_mem src = address(&a->src, pdmai_end_at(&t->src, off), len);
	struct pdmai_accel_mem dst = address(&a->dst, pdmai_end_at(&t->dst, off), len);
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_COPY,
				       .len = len,
				       .src = &src,
				       .n_src = 1,
				       .dst = &dst,
				       .n_dst = 1,
				       .cookie = off };

	int ret;

	pthread_rwlock_rdlock(&a->device->busy);
	ret = pdmai_accel_submit(a->ring, &cmd);
	pthread_rwlock_unlock(&a->device->busy);
	return ret;
}

static int failed(const struct pdma_transfer *t, const struct pdmai_accel_done *done)
{
	return pdmai_fail(-done->err, "%s ended the copy at offset %llu with %s", t->device,
			  (unsigned long long)done->cookie, pdmai_accel_status_name(done->status));
}

/* Return: how many, -errno. */
static int take(struct accel *a, int timeout_ms, struct pdmai_accel_done done[PDMAI_DEPTH])
{
	int64_t spin_end = util_now_ns() + (timeout_ms ? PDMAI_SPIN_NS : 0);
	int n, ret;

	do {
		n = pdmai_accel_poll(a->ring, done, PDMAI_DEPTH);
		if (n)
			return n;
	} while (util_now_ns() < spin_end);
	ret = pdmai_accel_wait(a->ring, timeout_ms * 1000000ll, &done[0]);
	if (ret)
		return ret == -ETIMEDOUT ? 0 : ret;
	n = pdmai_accel_poll(a->ring, done + 1, PDMAI_DEPTH - 1);
	return n < 0 ? n : n + 1;
}

static int reap_accel(struct pdma_transfer *t, int timeout_ms)
{
	struct pdmai_accel_done done[PDMAI_DEPTH];
	struct accel *a = t->priv;
	int n;

	pthread_rwlock_rdlock(&a->device->busy);
	n = take(a, timeout_ms, done);
	pthread_rwlock_unlock(&a->device->busy);
	for (int i = 0; i < n; i++)
		if (done[i].err)
			return failed(t, &done[i]);
	return n;
}

const struct pdmai_engine_ops pdmai_engine_accel = {
	.id = PDMA_ENGINE_ACCEL,
	.depth = 8,
	.by_piece = true,
	.open = open_accel,
	.close = close_accel,
	.submit = submit_accel,
	.reap = reap_accel,
};
