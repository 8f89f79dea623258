// SPDX-License-Identifier: MIT
#include "lib/serve/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/serve/net.h"
#include "peerdma/serve.h"
#include "util/clock.h"

#define NONSENSE "the server said what makes no sense"

static int end(struct pdmai_client *c, const char *why)
{
	if (!c->over)
		snprintf(c->why, sizeof(c->why), "%s", why[0] ? why : "the server gave no reason");
	c->over = true;
	return pdmai_fail(ESTALE, "%s", c->why);
}

/* What comes unasked. Return: 0: it is an answer; -ESTALE: the end. */
static int unasked(struct pdmai_client *c, const struct pdmai_sp_msg *m)
{
	if (m->type == PDMAI_SP_GOODBYE)
		return end(c, m->goodbye.text);
	if (m->type != PDMAI_SP_REVOKED)
		return 0;
	return end(c, m->close.handle == c->handle ? m->close.text : NONSENSE);
}

int pdmai_client_poll(struct pdmai_client *c)
{
	struct pdmai_sp_msg m;
	int ret;

	if (c->over)
		return end(c, "");
	ret = pdmai_chan_recv(c->chan, &m);
	if (!ret)
		return 0;
	if (ret < 0)
		return end(c, "the server has gone");
	/* Nothing was asked: whatever it is, it is the last one. */
	ret = unasked(c, &m);
	return ret ? ret : end(c, NONSENSE);
}

static int server_said(const struct pdmai_sp_msg *m)
{
	return pdmai_fail(pdmai_sp_code_errno(m->error.code), "the server says: %s", m->error.text);
}

static int next(struct pdmai_client *c, struct pdmai_sp_msg *m, int64_t end_ns)
{
	int ret;

	for (;;) {
		ret = pdmai_chan_recv(c->chan, m);
		if (ret > 0)
			return unasked(c, m);
		if (!ret)
			ret = pdmai_chan_wait(c->chan, end_ns);
		if (ret < 0)
			return ret == -EBADMSG ? -EPROTO : ret;
		if (pdmai_chan_flush(c->chan))
			return -ECONNRESET;
	}
}

int pdmai_client_ask(struct pdmai_client *c, struct pdmai_sp_msg *ask, unsigned type,
		     struct pdmai_sp_msg *ret, int64_t end_ns)
{
	int err;

	if (c->over)
		return end(c, "");
	ask->tag = ++c->last_tag ? c->last_tag : ++c->last_tag;
	err = pdmai_chan_send(c->chan, ask);
	err = err ? err : next(c, ret, end_ns);
	if (err)
		return err;
	if (ret->type == PDMAI_SP_ERROR)
		return server_said(ret);
	if (ret->type != type || ret->tag != ask->tag)
		return pdmai_fail(EPROTO, "the server's answer makes no sense");
	return 0;
}

int pdmai_client_list(struct pdmai_client *c, int64_t end_ns,
		      void (*fn)(const struct pdmai_sp_msg *export, void *arg), void *arg)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_LIST }, m;
	int err;

	ask.tag = ++c->last_tag;
	err = pdmai_chan_send(c->chan, &ask);
	/* A server that never comes to an end meets the time limit. */
	while (!err && !(err = next(c, &m, end_ns))) {
		if (m.type == PDMAI_SP_LISTED && m.tag == ask.tag)
			return 0;
		if (m.type != PDMAI_SP_EXPORT || m.tag != ask.tag)
			return m.type == PDMAI_SP_ERROR ?
				       server_said(&m) :
				       pdmai_fail(EPROTO, "the server's answer makes no sense");
		fn(&m, arg);
		if (util_now_ns() > end_ns)
			err = pdmai_fail(ETIMEDOUT, "the server's list does not end");
	}
	return err;
}

static int shake(struct pdmai_client *c, int64_t end_ns)
{
	int ret;

	while (!(ret = pdmai_chan_shake(c->chan))) {
		ret = pdmai_chan_wait(c->chan, end_ns);
		if (ret)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

static int greet(struct pdmai_client *c, int64_t end_ns)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_HELLO }, m;
	int err;

	ask.hello.min = ask.hello.max = PDMAI_SP_VERSION;
	err = pdmai_client_ask(c, &ask, PDMAI_SP_WELCOME, &m, end_ns);
	/*
	 * Our end of TLS 1.3 is done before the server's: a token it does not accept shows itself
	 * only with the first answer.
	 */
	if (err == -ECONNRESET)
		return pdmai_fail(EACCES,
				  "the server closed the connection: it does not accept "
				  "the token '%s', or has no room",
				  c->tokens.token->name);
	if (!err && m.welcome.version != PDMAI_SP_VERSION)
		err = pdmai_fail(EPROTO, "the server speaks version %u", m.welcome.version);
	c->cm_port = err ? 0 : m.welcome.cm_port;
	return err;
}

static int dial(struct pdmai_client *c, const char *host, const char *port, const char *token_file,
		int64_t end_ns)
{
	char fallback[8];
	int fd, err;

	snprintf(fallback, sizeof(fallback), "%u", PDMA_SERVE_PORT);
	err = pdmai_tokens_load(token_file, &c->tokens);
	err = err ? err : pdmai_chan_keys_init(&c->keys, &c->tokens, false);
	err = err ? err : pdmai_net_connect(host, port && port[0] ? port : fallback, end_ns, &fd);
	err = err ? err : pdmai_chan_create(&c->keys, fd, &c->chan);
	err = err ? err : shake(c, end_ns);
	return err ? err : greet(c, end_ns);
}

int pdmai_client_connect(const char *host, const char *port, const char *token_file, int64_t end_ns,
			 struct pdmai_client **ret_client)
{
	struct pdmai_client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return pdmai_fail(ENOMEM, "no memory for a connection");
	err = dial(c, host, port, token_file, end_ns);
	if (err)
		pdmai_client_destroy(c);
	else
		*ret_client = c;
	return err;
}

void pdmai_client_destroy(struct pdmai_client *c)
{
	struct pdmai_sp_msg bye = { .type = PDMAI_SP_GOODBYE };

	if (!c)
		return;
	if (c->chan && c->chan->ready && !c->over)
		(void)pdmai_chan_send(c->chan, &bye);
	pdmai_rc_destroy(&c->rc);
	if (c->cm)
		rdma_destroy_event_channel(c->cm);
	pdmai_rc_device_close(&c->device);
	pdmai_chan_destroy(c->chan);
	if (c->keys.priority)
		pdmai_chan_keys_clear(&c->keys);
	pdmai_tokens_clear(&c->tokens);
	free(c);
}

static int attach_qp(struct pdmai_client *c, const char *nic, int64_t end_ns)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_CONNECT }, m;
	int err = pdmai_rc_device_open(nic, false, &c->device);

	err = err ? err : pdmai_rc_create(&c->device, false, NULL, NULL, &c->rc);
	if (err)
		return err;
	pdmai_rc_describe(&c->device, &c->rc, &ask);
	err = pdmai_client_ask(c, &ask, PDMAI_SP_CONNECTED, &m, end_ns);
	return err ? err : pdmai_rc_join(&c->device, &c->rc, &m);
}

int pdmai_client_attach(struct pdmai_client *c, const char *nic, int64_t end_ns)
{
	if (c->cm_port && !pdmai_client_attach_cm(c, nic, end_ns))
		return 0;
	return attach_qp(c, nic, end_ns);
}

/* ---- public ---- */

struct listing {
	struct pdma_export *exports;
	unsigned max, n;
};

static void note_export(const struct pdmai_sp_msg *m, void *arg)
{
	struct listing *l = arg;
	struct pdma_export *e = &l->exports[l->n];

	if (l->n++ >= l->max)
		return;
	memset(e, 0, sizeof(*e));
	memcpy(e->name, m->export.name, sizeof(e->name));
	snprintf(e->kind, sizeof(e->kind), "%.15s", m->export.kind);
	e->len = m->export.len;
	e->readonly = !(m->export.rights & PDMAI_SP_WRITE);
}

int pdma_serve_query(struct pdma_ctx *ctx, const char *host, const char *port,
		     const char *token_file, struct pdma_export *ret_exports, unsigned max,
		     unsigned *ret_n)
{
	int64_t end_ns = util_now_ns() + 15000000000ll;
	struct listing l = { ret_exports, max, 0 };
	struct pdmai_client *c;
	int err = pdmai_client_connect(host, port, token_file, end_ns, &c);

	if (err)
		return err;
	err = pdmai_client_list(c, end_ns, note_export, &l);
	pdmai_client_destroy(c);
	if (!err)
		*ret_n = l.n;
	return err;
}
