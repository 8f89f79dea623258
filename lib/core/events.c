// SPDX-License-Identifier: MIT
#include "lib/core/events.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/core/ctx.h"
#include "util/clock.h"

struct pdmai_event_queue {
	pthread_mutex_t lock; /* no other is taken under it */
	TAILQ_HEAD(, pdmai_event) list;
	int epoll;  /* what callers poll */
	int signal; /* eventfd: readable while the list is not empty */
};

int pdmai_events_create(struct pdmai_event_queue **ret_queue)
{
	struct pdmai_event_queue *q = calloc(1, sizeof(*q));
	struct epoll_event ev = { .events = EPOLLIN };
	int err;

	if (!q)
		return pdmai_fail(ENOMEM, "no memory for a context");
	TAILQ_INIT(&q->list);
	pthread_mutex_init(&q->lock, NULL);
	q->signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (q->signal < 0 || q->epoll < 0 ||
	    epoll_ctl(q->epoll, EPOLL_CTL_ADD, q->signal, &ev) < 0) {
		err = errno;
		pdmai_events_destroy(q);
		return pdmai_fail_errno(err, "no file descriptor for events");
	}
	*ret_queue = q;
	return 0;
}

void pdmai_events_destroy(struct pdmai_event_queue *q)
{
	if (!q)
		return;
	if (q->epoll >= 0)
		close(q->epoll);
	if (q->signal >= 0)
		close(q->signal);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* The eventfd follows the list: 1 or nothing in it. */
static void raise_signal_locked(struct pdmai_event_queue *q)
{
	/* It can't fail: the count is at most one. */
	(void)!eventfd_write(q->signal, 1);
}

static void lower_signal_locked(struct pdmai_event_queue *q)
{
	eventfd_t count;

	if (TAILQ_EMPTY(&q->list))
		(void)!eventfd_read(q->signal, &count);
}

void pdmai_events_post(struct pdmai_event_queue *q, struct pdmai_event *e)
{
	pthread_mutex_lock(&q->lock);
	if (!e->queued) {
		e->event.time_ns = util_now_ns();
		if (TAILQ_EMPTY(&q->list))
			raise_signal_locked(q);
		TAILQ_INSERT_TAIL(&q->list, e, entry);
		e->queued = true;
	}
	pthread_mutex_unlock(&q->lock);
}

static void take_locked(struct pdmai_event_queue *q, struct pdmai_event *e)
{
	TAILQ_REMOVE(&q->list, e, entry);
	e->queued = false;
	lower_signal_locked(q);
}

void pdmai_events_drop(struct pdmai_event_queue *q, struct pdmai_event *e)
{
	pthread_mutex_lock(&q->lock);
	if (e->queued)
		take_locked(q, e);
	pthread_mutex_unlock(&q->lock);
}

int pdmai_events_watch(struct pdmai_event_queue *q, struct pdmai_event_source *source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(q->epoll, EPOLL_CTL_ADD, source->fd, &ev) < 0)
		return pdmai_fail_errno(errno, "cannot watch a device");
	return 0;
}

void pdmai_events_unwatch(struct pdmai_event_queue *q, struct pdmai_event_source *source)
{
	epoll_ctl(q->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

/*
 * One report at a time: its handler may close nothing, but the next call of a user may close what a
 * second report would be about.
 */
static void look_at_sources(struct pdma_ctx *ctx)
{
	struct pdmai_event_source *source;
	struct epoll_event ev[16];
	int n;

	pdmai_ctx_lock(ctx);
	n = epoll_wait(ctx->events->epoll, ev, 16, 0);
	for (int i = 0; i < n; i++) {
		source = ev[i].data.ptr;
		if (source)
			source->fn(source);
	}
	pdmai_ctx_unlock(ctx);
}

int pdma_event_fd(const struct pdma_ctx *ctx)
{
	return ctx->events->epoll;
}

int pdma_event_next(struct pdma_ctx *ctx, struct pdma_event *ret_event)
{
	struct pdmai_event_queue *q = ctx->events;
	struct pdmai_event *e;

	look_at_sources(ctx);
	pthread_mutex_lock(&q->lock);
	e = TAILQ_FIRST(&q->list);
	if (e) {
		*ret_event = e->event;
		take_locked(q, e);
	}
	pthread_mutex_unlock(&q->lock);
	return e ? 1 : 0;
}

int pdma_event_wait(struct pdma_ctx *ctx, int timeout_ms, struct pdma_event *ret_event)
{
	struct pollfd p = { .fd = ctx->events->epoll, .events = POLLIN };
	int64_t end = util_now_ns() + timeout_ms * 1000000ll, left;
	int n;

	for (;;) {
		n = pdma_event_next(ctx, ret_event);
		left = timeout_ms < 0 ? -1 : (end - util_now_ns() + 999999) / 1000000;
		if (n || (timeout_ms >= 0 && left <= 0))
			return n;
		n = poll(&p, 1, (int)left);
		if (n < 0)
			return pdmai_fail_errno(errno, "waiting for an event");
	}
}

const char *pdma_event_name(enum pdma_event_type type)
{
	static const char *const names[] = {
		[PDMA_EVENT_REGION_REVOKED] = "region-revoked",
		[PDMA_EVENT_MR_REVOKED] = "mr-revoked",
		[PDMA_EVENT_DEVICE_WANTED] = "device-wanted",
		[PDMA_EVENT_DEVICE_ERROR] = "device-error",
	};

	if ((unsigned)type < sizeof(names) / sizeof(names[0]) && names[type])
		return names[type];
	return "unknown";
}
