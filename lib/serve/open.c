// SPDX-License-Identifier: MIT
/* Ranges that clients have keys for: made, given back, taken away. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reg/mr.h"
#include "lib/serve/server.h"

void pdmai_session_refuse(struct pdmai_session *session, uint16_t tag, enum pdmai_sp_code code,
			  const char *text)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_ERROR, .tag = tag };

	msg.error.code = code;
	snprintf(msg.error.text, sizeof(msg.error.text), "%s", text);
	pdmai_session_send(session, &msg);
}

static void deny(struct pdmai_session *session, const struct pdmai_sp_msg *ask,
		 enum pdmai_sp_code code, const char *text)
{
	session->serve->stats.denied++;
	pdmai_serve_tell(session->serve, PDMA_SERVE_DENIED, session, NULL, "%s: %s", ask->open.name,
			 text);
	pdmai_session_refuse(session, ask->tag, code, text);
}

/* Return: 0, or why not. */
static enum pdmai_sp_code check(const struct pdmai_session *session, const struct pdmai_export *e,
				const struct pdmai_sp_msg *ask, const char **ret_text)
{
	unsigned rights = ask->open.rights;

	*ret_text = "no region of that name is served here";
	if (!e)
		return PDMAI_SP_E_NAME;
	*ret_text = "connect first";
	if (!session->connected)
		return PDMAI_SP_E_STATE;
	*ret_text = "these rights make no sense";
	if (!rights || rights & ~(unsigned)(PDMAI_SP_READ | PDMAI_SP_WRITE))
		return PDMAI_SP_E_MESSAGE;
	*ret_text = "the region is served read-only";
	if (rights & PDMAI_SP_WRITE && e->readonly)
		return PDMAI_SP_E_RIGHTS;
	*ret_text = "the range is not inside the region";
	if (ask->open.off >= e->len || ask->open.len > e->len - ask->open.off)
		return PDMAI_SP_E_RANGE;
	*ret_text = "too many ranges are open";
	if (session->n_opens >= session->serve->opt.max_opens)
		return PDMAI_SP_E_LIMIT;
	return 0;
}

/* A revoke by whoever, in whatever thread: the key is dead, the next run tells the client. */
static void key_died(struct pdma_mr *mr, void *arg)
{
	pdmai_serve_wake(arg);
}

static int register_slice(struct pdmai_open *o)
{
	int access = IBV_ACCESS_REMOTE_READ;
	int err = pdma_region_slice(o->export->region, o->off, o->len, NULL, &o->slice);

	if (err)
		return err;
	/* Clients hear of a revoke from us; our owner hears of his regions only. */
	o->slice->quiet = true;
	if (o->write)
		access |= IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE;
	err = pdma_reg_mr(o->slice, o->session->rc.pd, access, NULL, &o->mr);
	if (err) {
		pdma_region_close(o->slice);
		return err;
	}
	pdmai_ctx_lock(o->session->serve->ctx);
	o->mr->quiet = true;
	o->mr->forget = key_died;
	o->mr->forget_arg = o->session->serve;
	pdmai_ctx_unlock(o->session->serve->ctx);
	return 0;
}

static void answer(struct pdmai_open *o, uint16_t tag)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_OPENED, .tag = tag };
	struct pdma_mr_info info = { .size = sizeof(info) };

	pdma_mr_get_info(o->mr, &info);
	msg.opened.handle = o->handle;
	msg.opened.rkey = info.rkey;
	msg.opened.addr = info.addr;
	msg.opened.len = o->len;
	msg.opened.rights = PDMAI_SP_READ | (o->write ? PDMAI_SP_WRITE : 0);
	pdmai_serve_tell(o->session->serve, PDMA_SERVE_OPENED, o->session, o, "%s by %s",
			 o->write ? "to read and write" : "to read", pdma_way_name(info.way));
	pdmai_session_send(o->session, &msg);
}

static void start(struct pdmai_session *session, struct pdmai_export *e,
		  const struct pdmai_sp_msg *ask)
{
	struct pdmai_open *o = calloc(1, sizeof(*o));
	int err;

	if (!o) {
		pdmai_session_refuse(session, ask->tag, PDMAI_SP_E_SERVER, "out of memory");
		return;
	}
	*o = (struct pdmai_open){ .session = session, .export = e, .off = ask->open.off };
	o->len = ask->open.len ? ask->open.len : e->len - ask->open.off;
	o->write = ask->open.rights & PDMAI_SP_WRITE;
	o->handle = ++session->next_handle;
	err = register_slice(o);
	if (err) {
		free(o);
		deny(session, ask, err == -ESTALE ? PDMAI_SP_E_GONE : PDMAI_SP_E_SERVER,
		     pdmai_error());
		return;
	}
	LIST_INSERT_HEAD(&session->opens, o, entry);
	session->n_opens++;
	session->serve->stats.opens++;
	answer(o, ask->tag);
}

void pdmai_open_make(struct pdmai_session *session, const struct pdmai_sp_msg *ask)
{
	struct pdmai_export *e = pdmai_serve_find(session->serve, ask->open.name);
	const char *text;
	enum pdmai_sp_code code = check(session, e, ask, &text);

	if (code)
		deny(session, ask, code, text);
	else
		start(session, e, ask);
}

struct pdmai_open *pdmai_open_find(struct pdmai_session *session, uint32_t handle)
{
	struct pdmai_open *o;

	LIST_FOREACH(o, &session->opens, entry)
		if (o->handle == handle)
			return o;
	return NULL;
}

static void end_key(struct pdmai_open *o)
{
	if (!o->mr)
		return;
	pdmai_ctx_lock(o->session->serve->ctx);
	o->mr->forget = NULL;
	pdmai_ctx_unlock(o->session->serve->ctx);
	/* It cannot be busy: nobody but us has the domain, and we bind no windows. */
	pdma_dereg_mr(o->mr);
	o->mr = NULL;
}

void pdmai_open_end(struct pdmai_open *o)
{
	end_key(o);
	pdma_region_close(o->slice);
	LIST_REMOVE(o, entry);
	o->session->n_opens--;
	o->session->serve->stats.opens--;
	free(o);
}

bool pdmai_open_bereft(const struct pdmai_session *session)
{
	struct pdma_mr_info info = { .size = sizeof(info) };
	const struct pdmai_open *o;

	LIST_FOREACH(o, &session->opens, entry)
		if (!o->mr || (!pdma_mr_get_info(o->mr, &info) && info.revoked))
			return true;
	return session->bereft;
}

void pdmai_open_tell(struct pdmai_open *o, const char *why)
{
	struct pdmai_sp_msg msg = { .type = PDMAI_SP_REVOKED };

	o->session->bereft = true;
	msg.close.handle = o->handle;
	snprintf(msg.close.text, sizeof(msg.close.text), "%s", why);
	pdmai_session_send(o->session, &msg);
}

/* Sending may end a session, but takes nothing off a list: that is done at the end of a run. */
static void end_opens(struct pdmai_session *session, struct pdmai_export *e, const char *why)
{
	struct pdmai_open *o, *next;

	for (o = LIST_FIRST(&session->opens); o; o = next) {
		next = LIST_NEXT(o, entry);
		if (o->export != e)
			continue;
		pdmai_open_tell(o, why);
		pdmai_open_end(o);
	}
}

void pdmai_open_end_export(struct pdma_serve *s, struct pdmai_export *e, const char *why)
{
	struct pdmai_session *session;
	struct pdmai_open *o;

	TAILQ_FOREACH(session, &s->sessions, entry)
		LIST_FOREACH(o, &session->opens, entry)
			if (o->export == e)
				end_key(o);
	TAILQ_FOREACH(session, &s->sessions, entry)
		end_opens(session, e, why);
	pdmai_serve_tell(s, PDMA_SERVE_EXPORT_END, NULL, NULL, "%s: %s", e->name, why);
	LIST_REMOVE(e, entry);
	s->stats.exports--;
	free(e);
}
