// SPDX-License-Identifier: MIT
/* The server: what it listens to, what it serves, what it tells its owner. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/core/ctx.h"
#include "lib/serve/server.h"
#include "util/clock.h"

/* How often exports, time limits and forgotten bytes are looked after. */
#define TICK_NS	    250000000l
#define READY_BATCH 64
#define ACCEPTS	    64

int pdmai_serve_watch(struct pdma_serve *s, struct pdmai_serve_source *source, short events)
{
	/* The bits of poll() and epoll are the same. */
	struct epoll_event ev = { .events = (uint32_t)(unsigned short)events, .data.ptr = source };

	if (!epoll_ctl(s->epoll, EPOLL_CTL_MOD, source->fd, &ev))
		return 0;
	if (errno == ENOENT && !epoll_ctl(s->epoll, EPOLL_CTL_ADD, source->fd, &ev))
		return 0;
	return pdmai_fail_errno(errno, "cannot watch a connection");
}

void pdmai_serve_unwatch(struct pdma_serve *s, struct pdmai_serve_source *source)
{
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

void pdmai_serve_wake(struct pdma_serve *s)
{
	(void)!eventfd_write(s->wake.fd, 1);
}

static struct pdma_serve_event *new_event(struct pdma_serve *s)
{
	unsigned at;

	if (s->n_events == PDMAI_SERVE_EVENTS) {
		s->first_event = (s->first_event + 1) % PDMAI_SERVE_EVENTS;
		s->n_events--;
		s->stats.events_lost++;
	}
	at = (s->first_event + s->n_events++) % PDMAI_SERVE_EVENTS;
	memset(&s->events[at], 0, sizeof(s->events[at]));
	return &s->events[at];
}

void pdmai_serve_tell(struct pdma_serve *s, enum pdma_serve_event_type type,
		      const struct pdmai_session *c, const struct pdmai_open *o, const char *format,
		      ...)
{
	struct pdma_serve_event *e = new_event(s);
	va_list ap;

	e->type = type;
	e->time_ns = util_now_ns();
	if (c) {
		e->client = c->id;
		memcpy(e->peer, c->peer, sizeof(e->peer));
		memcpy(e->token, c->token, sizeof(e->token));
	}
	if (o) {
		memcpy(e->name, o->export->name, sizeof(e->name));
		e->off = o->off;
		e->len = o->len;
		e->write = o->write;
	}
	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
}

int pdma_serve_event_next(struct pdma_serve *s, struct pdma_serve_event *ret_event)
{
	if (!s->n_events)
		return 0;
	*ret_event = s->events[s->first_event];
	s->first_event = (s->first_event + 1) % PDMAI_SERVE_EVENTS;
	s->n_events--;
	return 1;
}

const char *pdma_serve_event_name(enum pdma_serve_event_type type)
{
	static const char *const names[] = {
		[PDMA_SERVE_JOINED] = "joined",	      [PDMA_SERVE_LEFT] = "left",
		[PDMA_SERVE_REFUSED] = "refused",     [PDMA_SERVE_OPENED] = "opened",
		[PDMA_SERVE_CLOSED] = "closed",	      [PDMA_SERVE_DENIED] = "denied",
		[PDMA_SERVE_VIOLATION] = "violation", [PDMA_SERVE_EXPORT_END] = "export-end",
	};

	if ((unsigned)type < sizeof(names) / sizeof(names[0]) && names[type])
		return names[type];
	return "unknown";
}

/* ---- what becomes ready ---- */

static bool is_allowed(const struct pdma_serve *s, const struct sockaddr *addr)
{
	for (unsigned i = 0; i < s->n_allow; i++)
		if (pdmai_cidr_has(&s->allow[i], addr))
			return true;
	return !s->n_allow;
}

static void turn_away(struct pdma_serve *s, int fd, const struct sockaddr *addr)
{
	struct pdmai_session nobody = { .id = 0 };

	pdmai_net_text(addr, nobody.peer);
	s->stats.refused++;
	pdmai_serve_tell(s, PDMA_SERVE_REFUSED, &nobody, NULL,
			 "it is in no network that may connect");
	close(fd);
}

/* Else a connection that cannot be taken would keep us busy for nothing. */
static void pause_listening(struct pdma_serve *s)
{
	s->full = true;
	pdmai_serve_unwatch(s, &s->listener);
}

static void listen_again(struct pdma_serve *s)
{
	if (s->full)
		s->full = pdmai_serve_watch(s, &s->listener, POLLIN) != 0;
}

static void on_listener(struct pdmai_serve_source *source, struct pdma_serve *s)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd;

	for (int i = 0; i < ACCEPTS; i++) {
		len = sizeof(addr);
		fd = accept4(source->fd, (struct sockaddr *)&addr, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				pause_listening(s);
			return;
		}
		if (is_allowed(s, (struct sockaddr *)&addr))
			pdmai_session_begin(s, fd, (struct sockaddr *)&addr);
		else
			turn_away(s, fd, (struct sockaddr *)&addr);
	}
}

static void on_timer(struct pdmai_serve_source *source, struct pdma_serve *s)
{
	uint64_t count;

	(void)!read(source->fd, &count, sizeof(count));
}

static struct pdmai_session *session_of(struct pdma_serve *s, const struct ibv_qp *qp)
{
	struct pdmai_session *c;

	TAILQ_FOREACH(c, &s->sessions, entry)
		if (c->rc.qp && c->rc.qp == qp)
			return c;
	return NULL;
}

static bool is_of_qp(enum ibv_event_type type)
{
	return type == IBV_EVENT_QP_ACCESS_ERR || type == IBV_EVENT_QP_REQ_ERR ||
	       type == IBV_EVENT_QP_FATAL;
}

/* The NIC stopped a queue pair at something it had no key for, or a broken request. */
static void on_stopped(struct pdmai_session *c, enum ibv_event_type type)
{
	if (c->state == PDMAI_SESSION_OVER)
		return;
	if (pdmai_open_bereft(c)) {
		pdmai_session_end(c, "its requests met a key that was revoked");
		return;
	}
	c->serve->stats.violations++;
	pdmai_serve_tell(c->serve, PDMA_SERVE_VIOLATION, c, NULL, "%s", ibv_event_type_str(type));
	pdmai_session_end(c, "its NIC asked for memory or rights it was not given");
}

static void on_async(struct pdmai_serve_source *source, struct pdma_serve *s)
{
	struct ibv_async_event ev;
	struct pdmai_session *c;

	while (!ibv_get_async_event(s->device.verbs, &ev)) {
		c = is_of_qp(ev.event_type) ? session_of(s, ev.element.qp) : NULL;
		if (ev.event_type == IBV_EVENT_DEVICE_FATAL)
			s->device_gone = true;
		ibv_ack_async_event(&ev);
		if (c)
			on_stopped(c, ev.event_type);
	}
}

/* ---- looking after exports ---- */

static void check_exports(struct pdma_serve *s, bool look)
{
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdmai_export *e, *next;

	for (e = LIST_FIRST(&s->exports); e; e = next) {
		next = LIST_NEXT(e, entry);
		if (look)
			pdma_region_check(e->region);
		pdma_region_get_info(e->region, &info);
		if (info.revoked)
			pdmai_open_end_export(s, e, "the region was revoked");
	}
}

/* Keys that died alone, by pdma_mr_revoke(). */
static void check_keys(struct pdmai_session *c)
{
	struct pdma_mr_info info = { .size = sizeof(info) };
	struct pdmai_open *o, *next;

	for (o = LIST_FIRST(&c->opens); o; o = next) {
		next = LIST_NEXT(o, entry);
		if (!o->mr || pdma_mr_get_info(o->mr, &info) || !info.revoked)
			continue;
		pdmai_open_tell(o, "the key was revoked");
		pdmai_open_end(o);
	}
}

static void look_after(struct pdma_serve *s, bool tick, bool woken)
{
	int64_t now = util_now_ns();
	struct pdmai_session *c;

	if (tick || woken)
		check_exports(s, tick);
	TAILQ_FOREACH(c, &s->sessions, entry) {
		if (tick || woken)
			pdmai_session_tick(c, now);
		if (woken)
			check_keys(c);
	}
	pdmai_session_reap(s);
	if (tick)
		listen_again(s);
}

int pdma_serve_run(struct pdma_serve *s)
{
	struct epoll_event ev[READY_BATCH];
	struct pdmai_serve_source *source;
	bool tick = false, woken = false;
	eventfd_t count;
	int n = epoll_wait(s->epoll, ev, READY_BATCH, 0);

	for (int i = 0; i < n; i++) {
		source = ev[i].data.ptr;
		tick |= source == &s->timer;
		if (source == &s->wake)
			woken = !eventfd_read(s->wake.fd, &count);
		else
			source->ready(source, s);
	}
	look_after(s, tick, woken);
	return s->device_gone ? pdmai_fail(ENODEV, "the RDMA device has gone") : 0;
}

int pdma_serve_fd(const struct pdma_serve *s)
{
	return s->epoll;
}

/* ---- exports ---- */

struct pdmai_export *pdmai_serve_find(struct pdma_serve *s, const char *name)
{
	struct pdmai_export *e;

	LIST_FOREACH(e, &s->exports, entry)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

/* Does the NIC reach it? Better to know now than when the first client comes. */
static int try_registering(struct pdma_serve *s, struct pdma_region *region, bool readonly)
{
	int access = IBV_ACCESS_REMOTE_READ |
		     (readonly ? 0 : IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE);
	struct ibv_pd *pd = ibv_alloc_pd(s->device.verbs);
	struct pdma_mr *mr;
	int err;

	if (!pd)
		return pdmai_fail_errno(errno, "no protection domain");
	err = pdma_reg_mr(region, pd, access, NULL, &mr);
	if (!err)
		pdma_dereg_mr(mr);
	ibv_dealloc_pd(pd);
	return err;
}

int pdma_serve_export(struct pdma_serve *s, struct pdma_region *region, const char *name,
		      unsigned flags)
{
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdmai_export *e;
	bool readonly;
	int err;

	pdma_region_get_info(region, &info);
	readonly = flags & PDMA_EXPORT_READONLY || info.flags & PDMA_REGION_READONLY;
	if (flags & ~PDMA_EXPORT_READONLY || pdmai_sp_name_check(name))
		return pdmai_fail(EINVAL,
				  "'%.70s' is no name for an export: 1 to 63 letters, "
				  "digits, '.', '_' and '-'",
				  name);
	if (pdmai_serve_find(s, name))
		return pdmai_fail(EEXIST, "there is an export '%s' already", name);
	if (s->stats.exports == PDMAI_SERVE_EXPORTS)
		return pdmai_fail(ENOSPC, "there are %u exports already", PDMAI_SERVE_EXPORTS);
	err = try_registering(s, region, readonly);
	if (err)
		return err;
	e = calloc(1, sizeof(*e));
	if (!e)
		return pdmai_fail(ENOMEM, "no memory for an export");
	*e = (struct pdmai_export){ .region = region, .len = info.len, .readonly = readonly };
	snprintf(e->name, sizeof(e->name), "%s", name);
	LIST_INSERT_HEAD(&s->exports, e, entry);
	s->stats.exports++;
	return 0;
}

int pdma_serve_unexport(struct pdma_serve *s, const char *name, const char *why)
{
	struct pdmai_export *e = pdmai_serve_find(s, name);

	if (!e)
		return pdmai_fail(ENOENT, "there is no export '%.70s'", name);
	pdmai_open_end_export(s, e, why ? why : "no longer served");
	return 0;
}

int pdma_serve_get_stats(const struct pdma_serve *s, struct pdma_serve_stats *ret)
{
	struct pdma_serve_stats stats = s->stats;

	stats.port = s->port;
	stats.cm = s->cm_port;
	snprintf(stats.nic, sizeof(stats.nic), "%s", ibv_get_device_name(s->device.verbs->device));
	return pdmai_info_copy(ret, &stats, sizeof(stats));
}

/* ---- beginning and end ---- */

static unsigned or_default(unsigned value, unsigned fallback, unsigned max)
{
	if (!value)
		return fallback;
	return value < max ? value : max;
}

static int take_options(struct pdma_serve *s, const struct pdma_serve_options *given)
{
	struct pdma_serve_options *o = &s->opt;
	int err = pdmai_options_copy(o, sizeof(*o), given, sizeof(*o));

	if (err)
		return err;
	if (o->flags & ~(PDMA_SERVE_NO_CM | PDMA_SERVE_ANY_PORT))
		return pdmai_fail(EINVAL, "flags 0x%x are not all known", o->flags);
	for (; o->allow && o->allow[s->n_allow]; s->n_allow++) {
		if (s->n_allow == PDMAI_SERVE_ALLOW)
			return pdmai_fail(EINVAL, "more than %u networks", PDMAI_SERVE_ALLOW);
		err = pdmai_cidr_parse(o->allow[s->n_allow], &s->allow[s->n_allow]);
		if (err)
			return err;
	}
	o->max_clients = or_default(o->max_clients, 256, 65536);
	o->max_pending = or_default(o->max_pending, 512, 65536);
	o->max_opens = or_default(o->max_opens, 64, 4096);
	o->handshake_ms = or_default(o->handshake_ms, 10000, 3600000);
	o->idle_ms = or_default(o->idle_ms, 60000, 86400000);
	return 0;
}

static int start_wake(struct pdma_serve *s)
{
	struct itimerspec every = { .it_interval = { 0, TICK_NS }, .it_value = { 0, TICK_NS } };
	int err;

	s->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->timer =
		(struct pdmai_serve_source){ on_timer, timerfd_create(CLOCK_MONOTONIC,
								      TFD_CLOEXEC | TFD_NONBLOCK) };
	if (s->wake.fd < 0 || s->timer.fd < 0 || timerfd_settime(s->timer.fd, 0, &every, NULL) < 0)
		return pdmai_fail_errno(errno, "no timer");
	err = pdmai_serve_watch(s, &s->wake, POLLIN);
	return err ? err : pdmai_serve_watch(s, &s->timer, POLLIN);
}

static int start_device(struct pdma_serve *s)
{
	bool cm = !(s->opt.flags & PDMA_SERVE_NO_CM);
	int err = pdmai_rc_device_open(s->opt.nic, cm, &s->device), flags;

	if (err)
		return err;
	s->async = (struct pdmai_serve_source){ on_async, s->device.verbs->async_fd };
	flags = fcntl(s->async.fd, F_GETFL);
	if (fcntl(s->async.fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return pdmai_fail_errno(errno, "events of the device");
	err = pdmai_serve_watch(s, &s->async, POLLIN);
	if (!err && cm)
		pdmai_serve_cm_start(s); /* without it numbers are exchanged by message */
	return err;
}

static int start_listener(struct pdma_serve *s)
{
	uint16_t port = s->opt.port ? s->opt.port : PDMA_SERVE_PORT;
	int err;

	if (s->opt.flags & PDMA_SERVE_ANY_PORT)
		port = 0;
	s->listener.ready = on_listener;
	err = pdmai_net_listen(s->opt.address, port, &s->listener.fd, &s->port);
	return err ? err : pdmai_serve_watch(s, &s->listener, POLLIN);
}

static int start(struct pdma_serve *s)
{
	int err = pdmai_tokens_load(s->opt.token_file, &s->tokens);

	err = err ? err : pdmai_chan_keys_init(&s->keys, &s->tokens, true);
	if (err)
		return err;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->events = calloc(PDMAI_SERVE_EVENTS, sizeof(*s->events));
	if (s->epoll < 0 || !s->events)
		return pdmai_fail_errno(errno, "no room for a server");
	err = start_wake(s);
	err = err ? err : start_device(s);
	return err ? err : start_listener(s);
}

int pdma_serve_create(struct pdma_ctx *ctx, const struct pdma_serve_options *opt,
		      struct pdma_serve **ret_serve)
{
	struct pdma_serve *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return pdmai_fail(ENOMEM, "no memory for a server");
	s->ctx = ctx;
	s->epoll = s->listener.fd = s->timer.fd = s->wake.fd = -1;
	LIST_INIT(&s->exports);
	TAILQ_INIT(&s->sessions);
	err = take_options(s, opt);
	err = err ? err : pdmai_ctx_need_live(ctx, "serving");
	err = err ? err : start(s);
	if (err) {
		pdma_serve_destroy(s);
		return err;
	}
	/* They were the caller's. */
	s->opt.address = s->opt.token_file = s->opt.nic = NULL;
	s->opt.allow = NULL;
	*ret_serve = s;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pdma_serve_destroy(struct pdma_serve *s)
{
	struct pdmai_session *c;

	if (!s)
		return;
	while (!LIST_EMPTY(&s->exports))
		pdmai_open_end_export(s, LIST_FIRST(&s->exports), "the server ends");
	TAILQ_FOREACH(c, &s->sessions, entry)
		pdmai_session_end(c, "the server ends");
	pdmai_session_reap(s);
	pdmai_serve_cm_stop(s);
	pdmai_rc_device_close(&s->device);
	close_fd(s->listener.fd);
	close_fd(s->timer.fd);
	close_fd(s->wake.fd);
	close_fd(s->epoll);
	if (s->keys.priority)
		pdmai_chan_keys_clear(&s->keys);
	pdmai_tokens_clear(&s->tokens);
	free(s->events);
	free(s);
}
