// SPDX-License-Identifier: MIT
/*
 * The registration cache. Entries of a region and a PD hang on one node, found by hash; there they
 * are sorted by where they begin, so that a covering one is found by bisection and a short walk
 * back. Unused entries are on a list, the oldest first.
 *
 * Locks: the cache's own is taken after the context's. A hit takes the cache's alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reg/mr.h"

#define BUCKETS	    1024 /* a power of two */
#define ENTRIES_MAX 1024

struct node;

struct entry {
	TAILQ_ENTRY(entry) unused; /* while refs is 0 and node is set */
	struct node *node;	   /* NULL: forgotten, goes with its last user */
	struct pdma_mr_cache *cache;
	struct pdma_region *part;
	struct pdma_mr *mr;
	uint64_t off, len; /* in the region */
	int access;
	unsigned refs;
	uint64_t addr;
	uint32_t lkey, rkey;
};

/* All entries of one region and PD. */
struct node {
	LIST_ENTRY(node) chain;
	const struct pdma_region *region;
	const struct ibv_pd *pd;
	struct entry **sorted; /* by off */
	unsigned n, room;
	uint64_t longest; /* len of the longest entry there ever was */
};

struct pdma_mr_cache {
	struct pdma_ctx *ctx;
	pthread_mutex_t lock;
	LIST_HEAD(, node) buckets[BUCKETS];
	TAILQ_HEAD(, entry) unused;
	unsigned max_entries;
	uint64_t max_bytes;
	unsigned n_unused;
	uint64_t unused_bytes;
	struct pdma_mr_cache_stats stats;
};

static size_t bucket_of(const void *region, const void *pd)
{
	uint64_t x = (uintptr_t)region * 0x9e3779b97f4a7c15ull + (uintptr_t)pd;

	return (x * 0xff51afd7ed558ccdull) >> 54;
}

static struct node *find_node(struct pdma_mr_cache *c, const struct pdma_region *region,
			      const struct ibv_pd *pd)
{
	struct node *n;

	LIST_FOREACH(n, &c->buckets[bucket_of(region, pd)], chain)
		if (n->region == region && n->pd == pd)
			return n;
	return NULL;
}

/* Index of the first entry that begins behind off. */
static unsigned upper_bound(const struct node *n, uint64_t off)
{
	unsigned lo = 0, hi = n->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (n->sorted[mid]->off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct entry *find_covering(const struct node *n, uint64_t off, uint64_t len, int access)
{
	for (unsigned i = upper_bound(n, off); i > 0; i--) {
		struct entry *e = n->sorted[i - 1];
		uint64_t skip = off - e->off;

		/* Nothing that begins earlier is long enough. */
		if (skip >= n->longest)
			return NULL;
		if (skip <= e->len && len <= e->len - skip && (e->access & access) == access)
			return e;
	}
	return NULL;
}

static void take_out(struct entry *e)
{
	struct node *n = e->node;
	unsigned i = upper_bound(n, e->off);

	while (n->sorted[i - 1] != e)
		i--;
	memmove(&n->sorted[i - 1], &n->sorted[i], (n->n - i) * sizeof(struct entry *));
	n->n--;
	e->node = NULL;
	if (n->n)
		return;
	LIST_REMOVE(n, chain);
	free(n->sorted);
	free(n);
}

static void leave_unused(struct pdma_mr_cache *c, struct entry *e)
{
	TAILQ_REMOVE(&c->unused, e, unused);
	c->n_unused--;
	c->unused_bytes -= e->len;
}

/*
 * The MR is being revoked; the context is locked. The entry goes when it is put, or, unused, with
 * the next that makes room.
 */
static void forget(struct pdma_mr *mr, void *arg)
{
	struct entry *e = arg;
	struct pdma_mr_cache *c = e->cache;

	pthread_mutex_lock(&c->lock);
	if (e->node) {
		take_out(e);
		c->stats.invalidations++;
	}
	pthread_mutex_unlock(&c->lock);
}

/* Context locked, cache not. The entry is in no list and no node any more. */
static void destroy(struct entry *e)
{
	e->mr->forget = NULL;
	pdma_dereg_mr(e->mr);
	pdma_region_close(e->part);
	free(e);
}

/* The oldest unused entry that may go: too many, or forgotten. */
static struct entry *take_surplus(struct pdma_mr_cache *c)
{
	struct entry *e = NULL;

	pthread_mutex_lock(&c->lock);
	TAILQ_FOREACH(e, &c->unused, unused)
		if (!e->node || c->n_unused > c->max_entries ||
		    (c->max_bytes && c->unused_bytes > c->max_bytes))
			break;
	if (e) {
		leave_unused(c, e);
		if (e->node) {
			take_out(e);
			c->stats.evictions++;
		}
		c->stats.entries--;
		c->stats.bytes -= e->len;
	}
	pthread_mutex_unlock(&c->lock);
	return e;
}

static void trim(struct pdma_mr_cache *c)
{
	struct entry *e;

	pdmai_ctx_lock(c->ctx);
	while ((e = take_surplus(c)))
		destroy(e);
	pdmai_ctx_unlock(c->ctx);
}

int pdma_mr_cache_create(struct pdma_ctx *ctx, const struct pdma_mr_cache_options *opt,
			 struct pdma_mr_cache **ret_cache)
{
	struct pdma_mr_cache_options o;
	struct pdma_mr_cache *c;
	int ret;

	ret = pdmai_options_copy(&o, sizeof(o), opt, sizeof(o));
	if (ret)
		return ret;
	c = calloc(1, sizeof(*c));
	if (!c)
		return pdmai_fail(ENOMEM, "no memory for a cache");
	c->ctx = ctx;
	pthread_mutex_init(&c->lock, NULL);
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_INIT(&c->buckets[i]);
	TAILQ_INIT(&c->unused);
	c->max_entries = o.max_entries ? o.max_entries : ENTRIES_MAX;
	c->max_bytes = o.max_bytes;
	*ret_cache = c;
	return 0;
}

void pdma_mr_cache_destroy(struct pdma_mr_cache *c)
{
	if (!c)
		return;
	pdma_mr_cache_flush(c, NULL, NULL);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void use(struct pdma_mr_cache *c, struct entry *e, uint64_t off, struct pdma_mr_ref *ret_ref)
{
	if (!e->refs++)
		leave_unused(c, e);
	*ret_ref = (struct pdma_mr_ref){ .mr = e->mr,
					 .lkey = e->lkey,
					 .rkey = e->rkey,
					 .addr = e->addr + (off - e->off),
					 .entry = e };
}

static bool hit(struct pdma_mr_cache *c, const struct pdma_region *region, uint64_t off,
		uint64_t len, const struct ibv_pd *pd, int access, struct pdma_mr_ref *ret_ref)
{
	struct entry *e;
	struct node *n;

	pthread_mutex_lock(&c->lock);
	n = find_node(c, region, pd);
	e = n ? find_covering(n, off, len, access) : NULL;
	if (e) {
		c->stats.hits++;
		use(c, e, off, ret_ref);
	}
	pthread_mutex_unlock(&c->lock);
	return e;
}

static int reserve(struct node *n)
{
	unsigned room = n->room ? n->room * 2 : 8;
	struct entry **sorted;

	if (n->n < n->room)
		return 0;
	sorted = reallocarray(n->sorted, room, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	n->sorted = sorted;
	n->room = room;
	return 0;
}

static struct node *make_node(struct pdma_mr_cache *c, const struct pdma_region *region,
			      const struct ibv_pd *pd)
{
	struct node *n = find_node(c, region, pd);

	if (n)
		return reserve(n) ? NULL : n;
	n = calloc(1, sizeof(*n));
	if (!n || reserve(n)) {
		free(n);
		return NULL;
	}
	n->region = region;
	n->pd = pd;
	LIST_INSERT_HEAD(&c->buckets[bucket_of(region, pd)], n, chain);
	return n;
}

/* Context locked. Return: 0 with one reference; -ENOMEM: it is not in the cache. */
static int insert(struct pdma_mr_cache *c, struct entry *e, const struct pdma_region *region,
		  const struct ibv_pd *pd, struct pdma_mr_ref *ret_ref)
{
	struct node *n;
	unsigned i;

	pthread_mutex_lock(&c->lock);
	n = make_node(c, region, pd);
	if (!n) {
		pthread_mutex_unlock(&c->lock);
		return pdmai_fail(ENOMEM, "no memory for a cache");
	}
	i = upper_bound(n, e->off);
	memmove(&n->sorted[i + 1], &n->sorted[i], (n->n - i) * sizeof(struct entry *));
	n->sorted[i] = e;
	n->n++;
	if (e->len > n->longest)
		n->longest = e->len;
	e->node = n;
	c->stats.misses++;
	c->stats.entries++;
	c->stats.bytes += e->len;
	TAILQ_INSERT_TAIL(&c->unused, e, unused);
	c->n_unused++;
	c->unused_bytes += e->len;
	use(c, e, e->off, ret_ref);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static int register_part(struct entry *e, struct pdma_region *region, struct ibv_pd *pd)
{
	struct pdma_mr_info info = { .size = sizeof(info) };
	int ret;

	ret = pdma_region_slice(region, e->off, e->len, NULL, &e->part);
	if (ret)
		return ret;
	e->part->quiet = true;
	ret = pdma_reg_mr(e->part, pd, e->access, NULL, &e->mr);
	if (ret) {
		pdma_region_close(e->part);
		return ret;
	}
	e->mr->quiet = true;
	e->mr->forget = forget;
	e->mr->forget_arg = e;
	pdma_mr_get_info(e->mr, &info);
	e->addr = info.addr;
	e->lkey = info.lkey;
	e->rkey = info.rkey;
	return 0;
}

static int miss(struct pdma_mr_cache *c, struct pdma_region *region, uint64_t off, uint64_t len,
		struct ibv_pd *pd, int access, struct pdma_mr_ref *ret_ref)
{
	struct entry *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return pdmai_fail(ENOMEM, "no memory for a cache");
	*e = (struct entry){ .cache = c, .off = off, .len = len, .access = access };
	ret = register_part(e, region, pd);
	if (ret) {
		free(e);
		return ret;
	}
	ret = insert(c, e, region, pd, ret_ref);
	if (ret)
		destroy(e);
	return ret;
}

int pdma_mr_cache_get(struct pdma_mr_cache *c, struct pdma_region *region, uint64_t off,
		      uint64_t len, struct ibv_pd *pd, int access, struct pdma_mr_ref *ret_ref)
{
	int ret;

	if (hit(c, region, off, len, pd, access, ret_ref))
		return 0;
	pdmai_ctx_lock(c->ctx);
	ret = miss(c, region, off, len, pd, access, ret_ref);
	pdmai_ctx_unlock(c->ctx);
	return ret;
}

void pdma_mr_cache_put(struct pdma_mr_cache *c, const struct pdma_mr_ref *ref)
{
	struct entry *e = ref->entry;
	bool surplus;

	pthread_mutex_lock(&c->lock);
	if (!--e->refs) {
		TAILQ_INSERT_TAIL(&c->unused, e, unused);
		c->n_unused++;
		c->unused_bytes += e->len;
	}
	surplus = !e->node || c->n_unused > c->max_entries ||
		  (c->max_bytes && c->unused_bytes > c->max_bytes);
	pthread_mutex_unlock(&c->lock);
	if (surplus)
		trim(c);
}

static bool matches(const struct entry *e, const struct ibv_pd *pd,
		    const struct pdma_region *region)
{
	if (!e->node)
		return true;
	return (!pd || e->node->pd == pd) && (!region || e->node->region == region);
}

static struct entry *take_matching(struct pdma_mr_cache *c, const struct ibv_pd *pd,
				   const struct pdma_region *region)
{
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	TAILQ_FOREACH(e, &c->unused, unused)
		if (matches(e, pd, region))
			break;
	if (e) {
		leave_unused(c, e);
		if (e->node)
			take_out(e);
		c->stats.entries--;
		c->stats.bytes -= e->len;
	}
	pthread_mutex_unlock(&c->lock);
	return e;
}

/* What is left is in use: forgotten entries in use have no node, but belong to somebody. */
static bool any_left(struct pdma_mr_cache *c, const struct ibv_pd *pd,
		     const struct pdma_region *region)
{
	bool left = false;
	struct node *n;

	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < BUCKETS && !left; i++)
		LIST_FOREACH(n, &c->buckets[i], chain)
			left = left || ((!pd || n->pd == pd) && (!region || n->region == region));
	pthread_mutex_unlock(&c->lock);
	return left;
}

int pdma_mr_cache_flush(struct pdma_mr_cache *c, const struct ibv_pd *pd,
			const struct pdma_region *region)
{
	struct entry *e;

	pdmai_ctx_lock(c->ctx);
	while ((e = take_matching(c, pd, region)))
		destroy(e);
	pdmai_ctx_unlock(c->ctx);
	if (any_left(c, pd, region))
		return pdmai_fail(EBUSY, "cached registrations are in use");
	return 0;
}

int pdma_mr_cache_get_stats(struct pdma_mr_cache *c, struct pdma_mr_cache_stats *ret_stats)
{
	struct pdma_mr_cache_stats stats;

	pthread_mutex_lock(&c->lock);
	stats = c->stats;
	stats.used = c->stats.entries - c->n_unused;
	pthread_mutex_unlock(&c->lock);
	return pdmai_info_copy(ret_stats, &stats, sizeof(stats));
}
