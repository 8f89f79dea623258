// SPDX-License-Identifier: MIT
/*
 * What a hit in the registration cache costs, by the number of entries, beside what a miss costs
 * the library itself. libibverbs is replaced by one that does nothing, so that only the cache is
 * seen.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reg/verbs.h"
#include "peerdma/peerdma.h"
#include "util/clock.h"

#define LEN	4096ull
#define LOOKUPS 200000
#define ROUNDS	9

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	struct ibv_mr *mr = calloc(1, sizeof(*mr));

	if (mr)
		mr->pd = pd;
	return mr;
}

static struct ibv_mr *reg_dmabuf_mr(struct ibv_pd *pd, uint64_t off, size_t len, uint64_t iova,
				    int fd, int access)
{
	errno = EOPNOTSUPP;
	return NULL;
}

static int dereg_mr(struct ibv_mr *mr)
{
	free(mr);
	return 0;
}

static int prefetch(struct ibv_pd *pd, bool write, struct ibv_sge *sge, unsigned n)
{
	return EOPNOTSUPP;
}

static bool has_odp(struct ibv_context *context)
{
	return false;
}

static void driver(struct ibv_context *context, char *buf, size_t size)
{
	buf[0] = 0;
}

static const struct pdmai_verbs nothing = { reg_mr,   reg_dmabuf_mr, dereg_mr,
					    prefetch, has_odp,	     driver };

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void get(struct pdma_mr_cache *c, struct pdma_region *r, struct ibv_pd *pd, uint64_t i)
{
	struct pdma_mr_ref ref;

	if (pdma_mr_cache_get(c, r, i * LEN + 64, 512, pd, IBV_ACCESS_REMOTE_READ, &ref)) {
		fprintf(stderr, "mr_cache: %s\n", pdma_error());
		exit(EXIT_FAILURE);
	}
	pdma_mr_cache_put(c, &ref);
}

static void add(struct pdma_mr_cache *c, struct pdma_region *r, struct ibv_pd *pd, uint64_t i)
{
	struct pdma_mr_ref ref;

	if (pdma_mr_cache_get(c, r, i * LEN, LEN, pd, IBV_ACCESS_REMOTE_READ, &ref))
		exit(EXIT_FAILURE);
	pdma_mr_cache_put(c, &ref);
}

static void measure(struct pdma_ctx *ctx, struct ibv_pd *pd, unsigned n)
{
	struct pdma_mr_cache_options opt = { .size = sizeof(opt), .max_entries = n };
	struct pdma_mr_cache *c;
	struct pdma_region *r;
	double ns[ROUNDS], start, miss;
	uint64_t x = 1;
	char uri[32];

	snprintf(uri, sizeof(uri), "host:%llu", n * LEN);
	if (pdma_region_open(ctx, uri, NULL, &r) || pdma_mr_cache_create(ctx, &opt, &c))
		exit(EXIT_FAILURE);
	start = util_now_ns();
	for (unsigned i = 0; i < n; i++)
		add(c, r, pd, i);
	miss = (util_now_ns() - start) / n;
	for (int k = 0; k < ROUNDS; k++) {
		start = util_now_ns();
		for (int i = 0; i < LOOKUPS; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			get(c, r, pd, (x >> 33) % n);
		}
		ns[k] = (util_now_ns() - start) / LOOKUPS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("%8u %12.1f %8.1f %8.1f %12.1f\n", n, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1], miss);
	pdma_mr_cache_destroy(c);
	pdma_region_close(r);
}

int main(void)
{
	static const unsigned entries[] = { 1, 16, 256, 4096, 16384 };
	static struct ibv_context context;
	struct ibv_pd pd = { .context = &context };
	struct pdma_ctx *ctx;

	pdmai_verbs = &nothing;
	if (pdma_ctx_create(NULL, &ctx))
		return EXIT_FAILURE;
	printf("registration cache: get and put of 512 bytes inside a random entry of 4 KiB,\n"
	       "%d lookups a round, median of %d rounds, one thread; a miss without libibverbs\n",
	       LOOKUPS, ROUNDS);
	printf("%8s %12s %8s %8s %12s\n", "entries", "hit ns", "best", "worst", "miss ns");
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		measure(ctx, &pd, entries[i]);
	pdma_ctx_destroy(ctx);
	return EXIT_SUCCESS;
}
