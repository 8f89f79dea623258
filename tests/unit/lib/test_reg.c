// SPDX-License-Identifier: MIT
/* Registrations and their cache, on the fake kind and a fake libibverbs. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peerdma/peerdma.h"
#include "tests/unit/lib/fake.h"

#define PAGE   4096ull
#define MAPPED (PDMA_REGION_MAP | PDMA_REGION_DMABUF | PDMA_REGION_DEVICE)
#define ALL    (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)

static struct pdma_ctx *ctx;
static struct fake_memory fm;
static struct pdma_region *region;

static int set_up(void **state)
{
	fake_verbs_use();
	fm = (struct fake_memory){ 0 };
	if (pdma_ctx_create(NULL, &ctx))
		return -1;
	region = fake_region(ctx, &fm, 64 * PAGE, MAPPED);
	return region ? 0 : -1;
}

static int tear_down(void **state)
{
	pdma_region_close(region);
	pdma_ctx_destroy(ctx);
	fake_memory_free(&fm);
	return fake_verbs_live() ? -1 : 0;
}

static struct pdma_mr_info info_of(const struct pdma_mr *mr)
{
	struct pdma_mr_info info = { .size = sizeof(info) };

	assert_int_equal(pdma_mr_get_info(mr, &info), 0);
	return info;
}

/* Which way is taken, by what the driver, the NIC and the memory can. */
static void the_best_common_way(void **state)
{
	static const struct {
		const char *driver;
		bool odp;
		unsigned flags;
		int dmabuf_err, reg_err, prefetch_err;
		enum pdma_way way; /* 0: none */
	} cases[] = {
		{ "mlx5_core", true, MAPPED, 0, 0, 0, PDMA_WAY_DYNAMIC_DMABUF },
		{ "mlx5_core", false, MAPPED, 0, 0, 0, PDMA_WAY_PINNED_DMABUF },
		{ "irdma", false, MAPPED, 0, 0, 0, PDMA_WAY_PINNED_DMABUF },
		{ "", false, MAPPED, 0, 0, 0, PDMA_WAY_PINNED_DMABUF },
		{ "mlx5_core", true, MAPPED, EOPNOTSUPP, 0, 0, PDMA_WAY_ODP },
		{ "mlx5_core", true, MAPPED, EOPNOTSUPP, 0, EFAULT, PDMA_WAY_POINTER },
		{ "mlx5_core", true, MAPPED, EINVAL, EFAULT, 0, 0 },
		{ "mlx5_core", true, PDMA_REGION_MAP, 0, 0, EOPNOTSUPP, PDMA_WAY_POINTER },
		{ "mlx5_core", true, PDMA_REGION_MAP | PDMA_REGION_RAM, 0, 0, 0, PDMA_WAY_POINTER },
		{ "mlx5_core", true, PDMA_REGION_RAM | MAPPED, 0, 0, 0, PDMA_WAY_DYNAMIC_DMABUF },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_memory own = { 0 };
		struct pdma_region *r = fake_region(ctx, &own, PAGE, cases[i].flags);
		struct pdma_mr *mr = NULL;
		int ret;

		fake_verbs.driver = cases[i].driver;
		fake_verbs.odp = cases[i].odp;
		fake_verbs.dmabuf_err = cases[i].dmabuf_err;
		fake_verbs.reg_err = cases[i].reg_err;
		fake_verbs.prefetch_err = cases[i].prefetch_err;
		ret = pdma_reg_mr(r, &fake_pds[0], ALL, NULL, &mr);
		assert_int_equal(ret, cases[i].way ? 0 : -EOPNOTSUPP);
		if (mr) {
			struct pdma_mr_info info = info_of(mr);

			assert_int_equal(info.way, cases[i].way);
			assert_true(info.why[0] != 0);
			for (unsigned n = 0; n < info.n_refused; n++)
				assert_true(info.refused[n].err > 0 && info.refused[n].text[0]);
			assert_int_equal(fake_verbs.access & IBV_ACCESS_ON_DEMAND,
					 info.way == PDMA_WAY_ODP ? IBV_ACCESS_ON_DEMAND : 0);
		}
		assert_int_equal(pdma_dereg_mr(mr), 0);
		assert_int_equal(fake_verbs_live(), 0);
		pdma_region_close(r);
		assert_int_equal(own.closed, 1);
		fake_memory_free(&own);
	}
}

/* A part inside a page: the dma-buf has the page, the MR only the part. */
static void parts_of_pages(void **state)
{
	struct pdma_region *part;
	struct pdma_mr *mr;

	fake_verbs.driver = "mlx5_core";
	fake_verbs.odp = true;
	assert_int_equal(pdma_region_slice(region, 3 * PAGE + 100, 5000, NULL, &part), 0);
	assert_int_equal(pdma_reg_mr(part, &fake_pds[0], ALL, NULL, &mr), 0);
	assert_int_equal(fm.spans[0].off, 3 * PAGE);
	assert_int_equal(fm.spans[0].len, 2 * PAGE);
	assert_int_equal(fake_verbs.off, 100);
	assert_int_equal(fake_verbs.iova, 100);
	assert_int_equal(fake_verbs.len, 5000);
	assert_int_equal(info_of(mr).addr, 100);
	assert_int_equal(pdma_dereg_mr(mr), 0);
	pdma_region_close(part);
}

static void staging_must_be_asked_for(void **state)
{
	struct pdma_reg_options opt = { .size = sizeof(opt), .ways = PDMA_WAY_STAGED };
	struct pdma_mr *mr;
	char *bounce;

	fake_verbs.dmabuf_err = EOPNOTSUPP;
	fm.map_err = -ENODEV;
	assert_int_equal(pdma_reg_mr(region, &fake_pds[0], ALL, NULL, &mr), -EOPNOTSUPP);
	assert_int_equal(pdma_reg_mr(region, &fake_pds[0], ALL, &opt, &mr), 0);
	fm.map_err = 0;
	bounce = fake_verbs.addr;
	memcpy(bounce + 100, "from the NIC", 12);
	assert_int_equal(pdma_mr_sync(mr, 100, 12, PDMA_SYNC_TO_REGION), 0);
	assert_memory_equal(fm.mem + 100, "from the NIC", 12);
	memcpy(fm.mem + 200, "to the NIC", 10);
	assert_int_equal(pdma_mr_sync(mr, 200, 10, PDMA_SYNC_FROM_REGION), 0);
	assert_memory_equal(bounce + 200, "to the NIC", 10);
	assert_int_equal(pdma_mr_sync(mr, 64 * PAGE, 1, PDMA_SYNC_TO_REGION), -ERANGE);
	assert_int_equal(pdma_mr_sync(mr, 0, 1, 7), -EINVAL);
	assert_int_equal(pdma_mr_revoke(mr, NULL), 0);
	assert_int_equal(pdma_mr_sync(mr, 0, 1, PDMA_SYNC_TO_REGION), -ESTALE);
	assert_int_equal(pdma_dereg_mr(mr), 0);
}

static void windows_keep_an_mr(void **state)
{
	struct pdma_event event;
	struct pdma_mr *mr;

	assert_int_equal(pdma_reg_mr(region, &fake_pds[0], ALL, NULL, &mr), 0);
	fake_verbs.dereg_err = EBUSY;
	assert_int_equal(pdma_dereg_mr(mr), -EBUSY);
	assert_int_equal(pdma_region_revoke(region, NULL), -EBUSY);
	assert_int_equal(pdma_event_next(ctx, &event), 1);
	assert_int_equal(event.type, PDMA_EVENT_REGION_REVOKED);
	assert_int_equal(pdma_event_next(ctx, &event), 0);
	assert_false(info_of(mr).revoked);
	fake_verbs.dereg_err = 0;
	assert_int_equal(pdma_region_revoke(region, NULL), 0);
	assert_true(info_of(mr).revoked);
	assert_null(pdma_mr_verbs(mr));
	assert_int_equal(pdma_dereg_mr(mr), 0);
}

static struct pdma_mr_cache_stats stats_of(struct pdma_mr_cache *c)
{
	struct pdma_mr_cache_stats stats = { .size = sizeof(stats) };

	assert_int_equal(pdma_mr_cache_get_stats(c, &stats), 0);
	return stats;
}

static struct pdma_mr_ref get(struct pdma_mr_cache *c, uint64_t off, uint64_t len, int access)
{
	struct pdma_mr_ref ref;

	assert_int_equal(pdma_mr_cache_get(c, region, off, len, &fake_pds[0], access, &ref), 0);
	return ref;
}

static void hits_are_covered(void **state)
{
	struct pdma_mr_cache *c;
	struct pdma_mr_ref big, small, right, other;

	assert_int_equal(pdma_mr_cache_create(ctx, NULL, &c), 0);
	big = get(c, PAGE, 4 * PAGE, ALL);
	small = get(c, 2 * PAGE, 100, IBV_ACCESS_REMOTE_READ);
	assert_ptr_equal(small.mr, big.mr);
	assert_int_equal(small.addr - big.addr, PAGE);
	assert_int_equal(small.rkey, big.rkey);
	/* One byte beyond, before, or a right more is another registration. */
	right = get(c, 4 * PAGE, PAGE + 1, ALL);
	assert_ptr_not_equal(right.mr, big.mr);
	other = get(c, PAGE - 1, 2, ALL);
	assert_ptr_not_equal(other.mr, big.mr);
	pdma_mr_cache_put(c, &other);
	other = get(c, PAGE, 10, ALL | IBV_ACCESS_REMOTE_ATOMIC);
	assert_ptr_not_equal(other.mr, big.mr);
	pdma_mr_cache_put(c, &other);
	assert_int_equal(pdma_mr_cache_get(c, region, PAGE, 10, &fake_pds[1], ALL, &other), 0);
	assert_ptr_not_equal(other.mr, big.mr);
	pdma_mr_cache_put(c, &other);
	assert_int_equal(stats_of(c).hits, 1);
	assert_int_equal(stats_of(c).misses, 5);
	assert_int_equal(stats_of(c).used, 2);
	assert_int_equal(pdma_mr_cache_get(c, region, 64 * PAGE, 1, &fake_pds[0], ALL, &other),
			 -ERANGE);
	pdma_mr_cache_put(c, &big);
	pdma_mr_cache_put(c, &small);
	assert_int_equal(pdma_mr_cache_flush(c, NULL, region), -EBUSY);
	pdma_mr_cache_put(c, &right);
	assert_int_equal(pdma_mr_cache_flush(c, &fake_pds[1], NULL), 0);
	assert_int_equal(stats_of(c).entries, 1);
	assert_int_equal(pdma_mr_cache_flush(c, NULL, region), 0);
	assert_int_equal(stats_of(c).entries, 0);
	assert_int_equal(stats_of(c).bytes, 0);
	pdma_mr_cache_destroy(c);
}

static void the_oldest_unused_goes(void **state)
{
	struct pdma_mr_cache_options opt = { .size = sizeof(opt), .max_entries = 2 };
	struct pdma_mr_cache *c;
	struct pdma_mr_ref ref[4];

	assert_int_equal(pdma_mr_cache_create(ctx, &opt, &c), 0);
	for (unsigned i = 0; i < 4; i++)
		ref[i] = get(c, i * PAGE, PAGE, ALL);
	assert_int_equal(fake_verbs_live(), 4);
	for (unsigned i = 0; i < 4; i++)
		pdma_mr_cache_put(c, &ref[i]);
	assert_int_equal(fake_verbs_live(), 2);
	assert_int_equal(stats_of(c).evictions, 2);
	ref[0] = get(c, 3 * PAGE, PAGE, ALL);
	assert_int_equal(stats_of(c).hits, 1);
	pdma_mr_cache_put(c, &ref[0]);
	pdma_mr_cache_destroy(c);
}

/* No hit after the revoke, neither of entries in use nor of others; users put them later. */
static void a_revoke_empties_the_cache(void **state)
{
	struct pdma_mr_cache *c;
	struct pdma_mr_ref used, unused, ref;
	struct pdma_event event;

	assert_int_equal(pdma_mr_cache_create(ctx, NULL, &c), 0);
	used = get(c, 0, PAGE, ALL);
	unused = get(c, PAGE, PAGE, ALL);
	pdma_mr_cache_put(c, &unused);
	assert_int_equal(pdma_region_revoke(region, NULL), 0);
	assert_int_equal(fake_verbs_live(), 0);
	assert_int_equal(pdma_mr_cache_get(c, region, 0, PAGE, &fake_pds[0], ALL, &ref), -ESTALE);
	assert_int_equal(stats_of(c).invalidations, 2);
	/* The region's own event, none of the cache's objects. */
	assert_int_equal(pdma_event_next(ctx, &event), 1);
	assert_ptr_equal(event.region, region);
	assert_int_equal(pdma_event_next(ctx, &event), 0);
	pdma_mr_cache_put(c, &used);
	assert_int_equal(pdma_mr_cache_flush(c, NULL, NULL), 0);
	assert_int_equal(stats_of(c).entries, 0);
	pdma_mr_cache_destroy(c);
}

struct user {
	pthread_t thread;
	struct pdma_mr_cache *cache;
	unsigned seed;
	_Atomic unsigned hits;
	int ret;
};

/* Takes and gives back registrations until the region is gone. */
static void *use_cache(void *arg)
{
	struct user *u = arg;
	struct pdma_mr_ref ref;

	for (;;) {
		uint64_t page = (u->seed = u->seed * 1103515245u + 12345u) >> 16 & 31;

		u->ret = pdma_mr_cache_get(u->cache, region, page * PAGE, PAGE + page, &fake_pds[0],
					   ALL, &ref);
		if (u->ret)
			return NULL;
		u->hits++;
		pdma_mr_cache_put(u->cache, &ref);
	}
}

static void users_against_a_revoke(void **state)
{
	struct pdma_mr_cache_options opt = { .size = sizeof(opt), .max_entries = 8 };
	struct user users[3] = { { .seed = 1 }, { .seed = 2 }, { .seed = 3 } };
	struct pdma_mr_cache *c;

	assert_int_equal(pdma_mr_cache_create(ctx, &opt, &c), 0);
	for (int i = 0; i < 3; i++) {
		users[i].cache = c;
		assert_int_equal(pthread_create(&users[i].thread, NULL, use_cache, &users[i]), 0);
	}
	while (users[0].hits < 100 || users[1].hits < 100 || users[2].hits < 100)
		sched_yield();
	assert_int_equal(pdma_region_revoke(region, NULL), 0);
	assert_int_equal(fake_verbs_live(), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(users[i].thread, NULL);
		assert_int_equal(users[i].ret, -ESTALE);
	}
	assert_int_equal(pdma_mr_cache_flush(c, NULL, NULL), 0);
	assert_int_equal(stats_of(c).entries, 0);
	assert_int_equal(stats_of(c).bytes, 0);
	pdma_mr_cache_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_best_common_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(parts_of_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(staging_must_be_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(windows_keep_an_mr, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hits_are_covered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_unused_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_revoke_empties_the_cache, set_up, tear_down),
		cmocka_unit_test_setup_teardown(users_against_a_revoke, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
