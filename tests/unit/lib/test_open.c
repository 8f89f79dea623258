// SPDX-License-Identifier: MIT
/* Opening a region takes as long as it takes; who else uses the context does not wait for it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/region/region.h"
#include "peerdma/event.h"

#define SLOW "rdma://h/slow"

const struct pdmai_kind_ops *__wrap_pdmai_kind_find(enum pdma_kind kind);
const struct pdmai_kind_ops *__real_pdmai_kind_find(enum pdma_kind kind);

/* A kind whose opening waits until it is told to go on. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside, opens, closed;
	bool go_on;
	int err; /* negative: opening fails */
	int opened_err;
} slow = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static int open_slow(struct pdmai_backing *b, const struct pdmai_uri *uri,
		     const struct pdma_region_options *opt)
{
	int err;

	pthread_mutex_lock(&slow.lock);
	slow.inside++;
	pthread_cond_broadcast(&slow.changed);
	while (!slow.go_on)
		pthread_cond_wait(&slow.changed, &slow.lock);
	slow.inside--;
	err = slow.err;
	slow.opens += !err;
	pthread_mutex_unlock(&slow.lock);
	b->len = 4096;
	return err ? pdmai_fail(-err, "slow, and then nothing") : 0;
}

static int opened_slow(struct pdmai_backing *b)
{
	return slow.opened_err ? pdmai_fail(-slow.opened_err, "not watched") : 0;
}

static void close_slow(struct pdmai_backing *b)
{
	pthread_mutex_lock(&slow.lock);
	slow.closed++;
	pthread_mutex_unlock(&slow.lock);
}

static const struct pdmai_kind_ops slow_ops = {
	.open = open_slow,
	.opened = opened_slow,
	.close = close_slow,
};

const struct pdmai_kind_ops *__wrap_pdmai_kind_find(enum pdma_kind kind)
{
	return kind == PDMA_KIND_RDMA ? &slow_ops : __real_pdmai_kind_find(kind);
}

static void wait_inside(unsigned n)
{
	pthread_mutex_lock(&slow.lock);
	while (slow.inside != n)
		pthread_cond_wait(&slow.changed, &slow.lock);
	pthread_mutex_unlock(&slow.lock);
}

static void go_on(int err)
{
	pthread_mutex_lock(&slow.lock);
	slow.err = err;
	slow.go_on = true;
	pthread_cond_broadcast(&slow.changed);
	pthread_mutex_unlock(&slow.lock);
}

/* ---- somebody who opens ---- */

struct opener {
	pthread_t thread;
	struct pdma_ctx *ctx;
	struct pdma_region *region;
	int ret;
};

static void *opens(void *arg)
{
	struct opener *o = arg;

	o->ret = pdma_region_open(o->ctx, SLOW, NULL, &o->region);
	return NULL;
}

static void start(struct opener *o, struct pdma_ctx *ctx)
{
	*o = (struct opener){ .ctx = ctx };
	assert_int_equal(pthread_create(&o->thread, NULL, opens, o), 0);
}

static int finish(struct opener *o)
{
	pthread_join(o->thread, NULL);
	return o->ret;
}

static struct pdma_ctx *ctx;

static int set_up(void **state)
{
	slow.inside = slow.opens = slow.closed = 0;
	slow.go_on = false;
	slow.err = slow.opened_err = 0;
	return pdma_ctx_create(NULL, &ctx);
}

static int tear_down(void **state)
{
	assert_int_equal(slow.opens, slow.closed);
	pdma_ctx_destroy(ctx);
	return 0;
}

/* ---- tests ---- */

static void use_context(void)
{
	struct pdma_region *r, *part;
	struct pdma_event event;

	assert_int_equal(pdma_region_open(ctx, "host:8192", NULL, &r), 0);
	assert_int_equal(pdma_region_slice(r, 0, 4096, NULL, &part), 0);
	assert_int_equal(pdma_region_write(part, 0, "x", 1), 0);
	assert_int_equal(pdma_region_revoke(r, NULL), 0);
	assert_int_equal(pdma_event_next(ctx, &event), 1);
	assert_int_equal(event.type, PDMA_EVENT_REGION_REVOKED);
	pdma_region_close(part);
	pdma_region_close(r);
}

static void others_go_on(void **state)
{
	struct opener one, two;

	start(&one, ctx);
	start(&two, ctx);
	wait_inside(2);
	use_context();
	go_on(0);
	assert_int_equal(finish(&one), 0);
	assert_int_equal(finish(&two), 0);
	pdma_region_close(one.region);
	pdma_region_close(two.region);
}

static void an_open_that_fails(void **state)
{
	struct opener o;

	start(&o, ctx);
	wait_inside(1);
	use_context();
	go_on(-ETIMEDOUT);
	assert_int_equal(finish(&o), -ETIMEDOUT);
	assert_null(o.region);
	assert_int_equal(slow.closed, 0);
}

/* The last step, with the lock: what was opened is closed again. */
static void an_open_that_fails_late(void **state)
{
	struct pdma_region *r;

	slow.opened_err = -ENOSPC;
	go_on(0);
	assert_int_equal(pdma_region_open(ctx, SLOW, NULL, &r), -ENOSPC);
	assert_int_equal(slow.closed, 1);
	slow.opened_err = 0;
	assert_int_equal(pdma_region_open(ctx, SLOW "+4096", NULL, &r), -ERANGE);
	assert_int_equal(slow.closed, 2);
}

static void *destroys(void *arg)
{
	pdma_ctx_destroy(arg);
	return NULL;
}

/*
 * Closing waits for who is opening, who gets nothing; meanwhile nobody else begins. The context is
 * there as long as somebody opens, so it can be looked at.
 */
static void closing_during_an_open(void **state)
{
	struct pdma_ctx *own;
	struct pdma_region *r;
	struct opener o;
	pthread_t closer;
	bool closing = false;

	assert_int_equal(pdma_ctx_create(NULL, &own), 0);
	start(&o, own);
	wait_inside(1);
	assert_int_equal(pthread_create(&closer, NULL, destroys, own), 0);
	while (!closing) {
		pdmai_ctx_lock(own);
		closing = own->closing;
		pdmai_ctx_unlock(own);
		sched_yield();
	}
	assert_int_equal(pdma_region_open(own, "host:4096", NULL, &r), -ECANCELED);
	go_on(0);
	assert_int_equal(finish(&o), -ECANCELED);
	pthread_join(closer, NULL);
	assert_null(o.region);
	assert_int_equal(slow.closed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_go_on),
		TEST(an_open_that_fails),
		TEST(an_open_that_fails_late),
		TEST(closing_during_an_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
