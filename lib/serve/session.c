// SPDX-License-Identifier: MIT
/* One client, from its connection to its end. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/serve/server.h"
#include "util/clock.h"

/* Messages of one client in one run: the others want to be heard too. */
#define BATCH 64

static void update_watch(struct pdmai_session *c)
{
	short want = pdmai_chan_events(c->chan);

	if (c->state != PDMAI_SESSION_OVER && want != c->watched) {
		pdmai_serve_watch(c->serve, &c->source, want);
		c->watched = want;
	}
}

void pdmai_session_send(struct pdmai_session *c, const struct pdmai_sp_msg *msg)
{
	if (c->state == PDMAI_SESSION_OVER)
		return;
	if (pdmai_chan_send(c->chan, msg))
		pdmai_session_end(c, NULL);
	else
		update_watch(c);
}

static void say_goodbye(struct pdmai_session *c, const char *why)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_GOODBYE };

	snprintf(msg.goodbye.text, sizeof(msg.goodbye.text), "%s", why);
	/* Whether it gets there is the client's affair. */
	(void)pdmai_chan_send(c->chan, &msg);
}

static void count_out(struct pdmai_session *c, const char *why)
{
	struct pdma_serve *s = c->serve;

	if (c->state == PDMAI_SESSION_SHAKES) {
		s->stats.pending--;
		s->stats.refused++;
		pdmai_serve_tell(s, PDMA_SERVE_REFUSED, c, NULL, "%s", why);
		return;
	}
	s->stats.clients--;
	pdmai_serve_tell(s, PDMA_SERVE_LEFT, c, NULL, "%s", why);
}

void pdmai_session_end(struct pdmai_session *c, const char *why)
{
	enum pdmai_session_state was = c->state;

	if (was == PDMAI_SESSION_OVER)
		return;
	count_out(c, why ? why : pdmai_error());
	c->state = PDMAI_SESSION_OVER;
	pdmai_serve_unwatch(c->serve, &c->source);
	/* Its queue pair first: nothing comes in any more, whatever keys are left. */
	if (c->rc.qp) {
		struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };

		ibv_modify_qp(c->rc.qp, &attr, IBV_QP_STATE);
	}
	if (why && was != PDMAI_SESSION_SHAKES)
		say_goodbye(c, why);
	pdmai_serve_wake(c->serve);
}

static void free_session(struct pdmai_session *c)
{
	while (!LIST_EMPTY(&c->opens))
		pdmai_open_end(LIST_FIRST(&c->opens));
	pdmai_rc_destroy(&c->rc);
	pdmai_chan_destroy(c->chan);
	TAILQ_REMOVE(&c->serve->sessions, c, entry);
	free(c);
}

void pdmai_session_reap(struct pdma_serve *s)
{
	struct pdmai_session *c, *next;

	for (c = TAILQ_FIRST(&s->sessions); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state == PDMAI_SESSION_OVER)
			free_session(c);
	}
}

/* ---- messages ---- */

static void on_hello(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_WELCOME, .tag = m->tag };

	if (m->hello.min > PDMAI_SP_VERSION || m->hello.max < PDMAI_SP_VERSION) {
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_VERSION, "this server speaks version 1");
		pdmai_session_end(c, "no common version");
		return;
	}
	msg.welcome.version = PDMAI_SP_VERSION;
	msg.welcome.max_opens = (uint16_t)c->serve->opt.max_opens;
	msg.welcome.cm_port = c->serve->cm_port;
	c->state = PDMAI_SESSION_UP;
	pdmai_session_send(c, &msg);
}

static void on_list(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_EXPORT, .tag = m->tag };
	struct pdmai_sp_msg end = { .type = PDMAI_SP_LISTED, .tag = m->tag };
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdmai_export *e;

	LIST_FOREACH(e, &c->serve->exports, entry) {
		pdma_region_get_info(e->region, &info);
		msg.export.len = e->len;
		msg.export.rights = PDMAI_SP_READ | (e->readonly ? 0 : PDMAI_SP_WRITE);
		snprintf(msg.export.name, sizeof(msg.export.name), "%s", e->name);
		snprintf(msg.export.kind, sizeof(msg.export.kind), "%s", pdma_kind_name(info.kind));
		pdmai_session_send(c, &msg);
		end.listed.count++;
	}
	pdmai_session_send(c, &end);
}

static void connect_qp(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_CONNECTED, .tag = m->tag };
	const struct pdmai_rc_device *device = &c->serve->device;

	if (pdmai_rc_create(device, true, NULL, c, &c->rc)) {
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_SERVER, pdmai_error());
		return;
	}
	if (pdmai_rc_join(device, &c->rc, m)) {
		pdmai_rc_destroy(&c->rc);
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_MESSAGE, pdmai_error());
		return;
	}
	c->connected = true;
	c->cookie_valid = false; /* there is one connection for each client */
	pdmai_rc_describe(device, &c->rc, &msg);
	pdmai_session_send(c, &msg);
}

static void connect_cm(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_CONNECTED, .tag = m->tag };

	if (!c->serve->cm_port || getrandom(c->cookie, PDMAI_COOKIE, 0) != PDMAI_COOKIE) {
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_STATE, "no connection manager here");
		return;
	}
	c->cookie_valid = true;
	msg.connect.way = PDMAI_SP_WAY_CM;
	memcpy(msg.connect.cookie, c->cookie, PDMAI_COOKIE);
	pdmai_session_send(c, &msg);
}

static void on_connect(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	if (c->connected || c->rc.pd)
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_STATE, "already connected");
	else if (m->connect.way == PDMAI_SP_WAY_QP)
		connect_qp(c, m);
	else if (m->connect.way == PDMAI_SP_WAY_CM)
		connect_cm(c, m);
	else
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_MESSAGE, "no such way to connect");
}

static void on_close(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_CLOSED, .tag = m->tag };
	struct pdmai_open *o = pdmai_open_find(c, m->close.handle);

	if (!o) {
		pdmai_session_refuse(c, m->tag, PDMAI_SP_E_NAME, "no such range is open");
		return;
	}
	pdmai_serve_tell(c->serve, PDMA_SERVE_CLOSED, c, o, "given back");
	pdmai_open_end(o);
	msg.close.handle = m->close.handle;
	pdmai_session_send(c, &msg);
}

static void on_ping(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_PONG, .tag = m->tag };

	pdmai_session_send(c, &msg);
}

static void on_goodbye(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	pdmai_session_end(c, "it said good-bye");
}

static const struct {
	enum pdmai_session_state state;
	void (*fn)(struct pdmai_session *c, const struct pdmai_sp_msg *m);
} handlers[] = {
	[PDMAI_SP_HELLO] = { PDMAI_SESSION_GREETS, on_hello },
	[PDMAI_SP_LIST] = { PDMAI_SESSION_UP, on_list },
	[PDMAI_SP_CONNECT] = { PDMAI_SESSION_UP, on_connect },
	[PDMAI_SP_OPEN] = { PDMAI_SESSION_UP, pdmai_open_make },
	[PDMAI_SP_CLOSE] = { PDMAI_SESSION_UP, on_close },
	[PDMAI_SP_PING] = { PDMAI_SESSION_UP, on_ping },
	[PDMAI_SP_GOODBYE] = { PDMAI_SESSION_UP, on_goodbye },
};
#define HANDLERS (sizeof(handlers) / sizeof(handlers[0]))

static void handle(struct pdmai_session *c, const struct pdmai_sp_msg *m)
{
	c->heard_ns = util_now_ns();
	if (m->type < HANDLERS && handlers[m->type].fn && handlers[m->type].state == c->state) {
		handlers[m->type].fn(c, m);
		return;
	}
	pdmai_session_refuse(c, m->tag, PDMAI_SP_E_STATE, "this message is not expected here");
	pdmai_session_end(c, "it sent a message that was not expected");
}

static void read_messages(struct pdmai_session *c)
{
	struct pdmai_sp_msg m;
	int ret = 1;

	for (int i = 0; i < BATCH && c->state != PDMAI_SESSION_OVER; i++) {
		ret = pdmai_chan_recv(c->chan, &m);
		if (ret <= 0)
			break;
		handle(c, &m);
	}
	if (c->state == PDMAI_SESSION_OVER)
		return;
	if (ret < 0)
		pdmai_session_end(c, ret == -EBADMSG ? "it does not speak this protocol" : NULL);
	else if (ret)
		pdmai_serve_wake(c->serve);
}

static void shake(struct pdmai_session *c)
{
	struct pdma_serve *s = c->serve;
	int ret = pdmai_chan_shake(c->chan);

	if (!ret)
		return;
	if (ret > 0 && s->stats.clients >= s->opt.max_clients)
		ret = pdmai_fail(EUSERS, "there are %u clients already", s->stats.clients);
	if (ret < 0) {
		pdmai_session_end(c, NULL);
		return;
	}
	s->stats.pending--;
	s->stats.clients++;
	s->stats.joined++;
	c->state = PDMAI_SESSION_GREETS;
	c->heard_ns = util_now_ns();
	snprintf(c->token, sizeof(c->token), "%s", pdmai_chan_token(c->chan));
	pdmai_serve_tell(s, PDMA_SERVE_JOINED, c, NULL, "token '%s' proven", c->token);
}

static void go_on(struct pdmai_session *c)
{
	if (c->state == PDMAI_SESSION_SHAKES)
		shake(c);
	if (c->state == PDMAI_SESSION_GREETS || c->state == PDMAI_SESSION_UP)
		read_messages(c);
	if (c->state != PDMAI_SESSION_OVER && pdmai_chan_flush(c->chan))
		pdmai_session_end(c, NULL);
	if (c->state != PDMAI_SESSION_OVER)
		update_watch(c);
}

static void ready(struct pdmai_serve_source *source, struct pdma_serve *s)
{
	go_on((struct pdmai_session *)source);
}

void pdmai_session_tick(struct pdmai_session *c, int64_t now_ns)
{
	int64_t handshake_ns = c->serve->opt.handshake_ms * 1000000ll;
	int64_t idle_ns = c->serve->opt.idle_ms * 1000000ll;

	if (c->state == PDMAI_SESSION_OVER)
		return;
	if (pdmai_chan_pending(c->chan))
		go_on(c);
	if (c->state == PDMAI_SESSION_SHAKES && now_ns - c->began_ns > handshake_ns)
		pdmai_session_end(c, "it took too long to prove a token");
	else if (c->state != PDMAI_SESSION_OVER && !c->n_opens && now_ns - c->heard_ns > idle_ns)
		pdmai_session_end(c, "it was idle for too long");
}

static void drop_oldest(struct pdma_serve *s)
{
	struct pdmai_session *c;

	TAILQ_FOREACH(c, &s->sessions, entry) {
		if (c->state != PDMAI_SESSION_SHAKES)
			continue;
		s->stats.dropped++;
		pdmai_session_end(c, "too many at once have not proven a token");
		return;
	}
}

void pdmai_session_begin(struct pdma_serve *s, int fd, const struct sockaddr *addr)
{
	struct pdmai_session *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	if (s->stats.pending >= s->opt.max_pending)
		drop_oldest(s);
	pdmai_net_tune(fd);
	if (pdmai_chan_create(&s->keys, fd, &c->chan)) {
		free(c);
		return;
	}
	c->source = (struct pdmai_serve_source){ ready, fd };
	c->serve = s;
	c->id = ++s->next_id;
	c->began_ns = c->heard_ns = util_now_ns();
	pdmai_net_text(addr, c->peer);
	LIST_INIT(&c->opens);
	TAILQ_INSERT_TAIL(&s->sessions, c, entry);
	s->stats.pending++;
	update_watch(c);
}
