// SPDX-License-Identifier: MIT
/*
 * rdma://HOST[:PORT]/NAME[+OFF[:LEN]] - memory that "peerdma serve" publishes. The key covers what
 * the URI names and no more. The engine that moves the bytes has the connection for itself; looking
 * at single bytes (pdma_region_read()) makes another one when it is first needed.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/region/kinds.h"
#include "lib/serve/client.h"
#include "lib/serve/net.h"
#include "util/clock.h"

#define OPEN_NS	   15000000000ll
#define IO_NS	   30000000000ll
#define IO_BUFFER  (256u << 10)
#define NAME_SPACE 256

struct link {
	struct pdmai_client *client;
	uint8_t rights;
	struct pdmai_sp_msg opened;
};

struct remote {
	struct pdmai_event_source source; /* first */
	struct pdmai_backing *backing;
	bool watched;
	struct link main, io;
	pthread_mutex_t io_lock; /* io, and what follows */
	void *buffer;
	struct ibv_mr *mr;
	/* for the second connection */
	char host[NAME_SPACE], port[8], object[PDMAI_SP_NAME], nic[64], *token_file;
	uint64_t off, len; /* asked for */
	uint8_t rights;
};

struct wanted {
	const char *name;
	bool found, readonly;
};

static void look_for(const struct pdmai_sp_msg *export, void *arg)
{
	struct wanted *w = arg;

	if (strcmp(export->export.name, w->name))
		return;
	w->found = true;
	w->readonly = !(export->export.rights & PDMAI_SP_WRITE);
}

static int open_range(const struct remote *r, struct link *l, int64_t end_ns)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_OPEN };
	int err;

	ask.open.rights = l->rights;
	ask.open.off = r->off;
	ask.open.len = r->len;
	memcpy(ask.open.name, r->object, sizeof(ask.open.name));
	err = pdmai_client_ask(l->client, &ask, PDMAI_SP_OPENED, &l->opened, end_ns);
	if (err)
		return err;
	l->client->handle = l->opened.opened.handle;
	if ((r->len && l->opened.opened.len != r->len) || !l->opened.opened.len ||
	    l->opened.opened.len > UINT64_MAX - r->off)
		return pdmai_fail(EPROTO, "the server gave another range than was asked for");
	return 0;
}

/* Connected, proven, attached. */
static int make_link(struct remote *r, struct link *l, int64_t end_ns)
{
	struct wanted w = { .name = r->object };
	int err;

	err = pdmai_client_connect(r->host, r->port, r->token_file, end_ns, &l->client);
	if (err)
		return err;
	err = pdmai_client_list(l->client, end_ns, look_for, &w);
	if (!err && !w.found)
		err = pdmai_fail(ENOENT, "%s serves no '%s'", r->host, r->object);
	l->rights = w.readonly ? PDMAI_SP_READ : r->rights;
	err = err ? err : pdmai_client_attach(l->client, r->nic[0] ? r->nic : NULL, end_ns);
	err = err ? err : open_range(r, l, end_ns);
	if (err) {
		pdmai_client_destroy(l->client);
		l->client = NULL;
	}
	return err;
}

static void free_remote(struct remote *r)
{
	if (r->mr)
		ibv_dereg_mr(r->mr);
	free(r->buffer);
	pdmai_client_destroy(r->io.client);
	pdmai_client_destroy(r->main.client);
	pthread_mutex_destroy(&r->io_lock);
	free(r->token_file);
	free(r);
}

static void stop_watching(struct remote *r)
{
	if (r->watched)
		pdmai_events_unwatch(r->backing->ctx->events, &r->source);
	r->watched = false;
}

static void close_rdma(struct pdmai_backing *b)
{
	struct remote *r = b->priv;

	stop_watching(r);
	free_remote(r);
}

static bool lies_in(const struct pdma_region *region, const struct pdmai_backing *b)
{
	for (unsigned i = 0; i < region->n_pieces; i++)
		if (region->pieces[i].backing == b)
			return true;
	return false;
}

/* The server said something, or has gone. In pdma_event_next(), with the context's lock. */
static void on_readable(struct pdmai_event_source *source)
{
	struct remote *r = (struct remote *)source;
	struct pdma_region *region;

	if (!pdmai_client_poll(r->main.client))
		return;
	stop_watching(r);
	TAILQ_FOREACH(region, &r->backing->ctx->regions, entry)
		if (lies_in(region, r->backing))
			pdmai_region_revoke(region, ESTALE, r->main.client->why);
}

static int take_uri(struct remote *r, const struct pdmai_uri *uri,
		    const struct pdma_region_options *opt)
{
	const struct pdmai_span *range = &uri->ranges[0];

	if (strlen(uri->object) >= sizeof(r->object) || strlen(uri->name) >= sizeof(r->host))
		return pdmai_fail(EINVAL, "the name of the host or the region is too long");
	snprintf(r->host, sizeof(r->host), "%.*s", (int)sizeof(r->host) - 1, uri->name);
	snprintf(r->object, sizeof(r->object), "%.*s", (int)sizeof(r->object) - 1, uri->object);
	snprintf(r->port, sizeof(r->port), "%s", uri->port);
	snprintf(r->nic, sizeof(r->nic), "%s", opt->nic ? opt->nic : "");
	r->off = range->off;
	r->len = range->len == PDMAI_TO_THE_END ? 0 : range->len;
	r->rights = PDMAI_SP_READ | (opt->flags & PDMA_OPEN_READONLY ? 0 : PDMAI_SP_WRITE);
	if (!opt->token_file)
		return pdmai_fail(EACCES, "rdma://%s: a token is needed: name a token file",
				  r->host);
	r->token_file = strdup(opt->token_file);
	return r->token_file ? 0 : pdmai_fail(ENOMEM, "no memory for a region");
}

static int open_rdma(struct pdmai_backing *b, const struct pdmai_uri *uri,
		     const struct pdma_region_options *opt)
{
	struct remote *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return pdmai_fail(ENOMEM, "no memory for a region");
	pthread_mutex_init(&r->io_lock, NULL);
	r->backing = b;
	err = take_uri(r, uri, opt);
	err = err ? err : make_link(r, &r->main, util_now_ns() + OPEN_NS);
	if (err) {
		free_remote(r);
		return err;
	}
	r->rights = r->main.rights;
	b->priv = r;
	b->len = r->off + r->main.opened.opened.len;
	b->flags = PDMA_REGION_REMOTE;
	if (!(r->rights & PDMAI_SP_WRITE))
		b->flags |= PDMA_REGION_READONLY;
	return 0;
}

static int watch(struct remote *r)
{
	int err;

	r->source = (struct pdmai_event_source){ r->main.client->chan->fd, on_readable };
	err = pdmai_events_watch(r->backing->ctx->events, &r->source);
	r->watched = !err;
	return err;
}

/* Not before there is a region that could be revoked. */
static int opened_rdma(struct pdmai_backing *b)
{
	return watch(b->priv);
}

static int check_rdma(struct pdmai_backing *b)
{
	struct remote *r = b->priv;

	return pdmai_client_poll(r->main.client);
}

static bool is_connected(const struct remote *r)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return !ibv_query_qp(r->main.client->rc.qp, &attr, IBV_QP_STATE, &init) &&
	       attr.qp_state == IBV_QPS_RTS;
}

/* One more connection to the same range. */
static int make_twin(struct remote *r, struct link *l)
{
	int err = make_link(r, l, util_now_ns() + OPEN_NS);

	if (err || l->opened.opened.len == r->backing->len - r->off)
		return err;
	pdmai_client_destroy(l->client);
	l->client = NULL;
	return pdmai_fail(ESTALE, "%s serves '%s' with another length now", r->host, r->object);
}

/* 1: it is good; 0: it broke; -ESTALE. */
static int look_locked(struct remote *r)
{
	int err = pdmai_client_poll(r->main.client);

	return err ? err : is_connected(r);
}

static int replace_locked(struct remote *r, struct link *l)
{
	struct link old = r->main;

	stop_watching(r);
	r->main = *l;
	*l = old;
	return watch(r);
}

/*
 * A transfer that was cut short left the connection broken: make another one. Somebody else may
 * have done so meanwhile; that one may be in use.
 */
static int connect_rdma(struct pdmai_backing *b)
{
	struct remote *r = b->priv;
	struct link l = { .client = NULL };
	int ret;

	pdmai_ctx_lock(b->ctx);
	ret = look_locked(r);
	pdmai_ctx_unlock(b->ctx);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = make_twin(r, &l);
	if (ret)
		return ret;
	pdmai_ctx_lock(b->ctx);
	ret = look_locked(r);
	if (!ret)
		ret = replace_locked(r, &l);
	pdmai_ctx_unlock(b->ctx);
	pdmai_client_destroy(l.client);
	return ret < 0 ? ret : 0;
}

static int remote_rdma(struct pdmai_backing *b, struct pdmai_remote *ret)
{
	struct remote *r = b->priv;
	int good = look_locked(r);

	if (good <= 0)
		return good ? good : pdmai_fail(ENOTCONN, "the connection broke");
	*ret = (struct pdmai_remote){
		.pd = r->main.client->rc.pd,
		.qp = r->main.client->rc.qp,
		.cq = r->main.client->rc.cq,
		/* The key begins at the range; offsets are those of the export. */
		.addr = r->main.opened.opened.addr - r->off,
		.rkey = r->main.opened.opened.rkey,
	};
	return 0;
}

/* ---- by the CPU ---- */

static int need_io(struct remote *r)
{
	int err;

	if (!r->io.client) {
		err = make_twin(r, &r->io);
		if (err)
			return err;
	}
	if (!r->buffer && posix_memalign(&r->buffer, 4096, IO_BUFFER)) {
		r->buffer = NULL;
		return pdmai_fail(ENOMEM, "no memory for a buffer");
	}
	if (!r->mr)
		r->mr = ibv_reg_mr(r->io.client->rc.pd, r->buffer, IO_BUFFER,
				   IBV_ACCESS_LOCAL_WRITE);
	return r->mr ? 0 : pdmai_fail_errno(errno, "cannot register a buffer");
}

/* The connection is of no use any more; the next access makes another one. */
static int broken(struct remote *r, const char *what)
{
	int err = pdmai_client_poll(r->io.client);

	ibv_dereg_mr(r->mr);
	r->mr = NULL;
	pdmai_client_destroy(r->io.client);
	r->io.client = NULL;
	return err ? err : pdmai_fail(EREMOTEIO, "the remote memory did not answer: %s", what);
}

static int await(struct remote *r)
{
	int64_t end_ns = util_now_ns() + IO_NS;
	struct ibv_wc wc;
	int n;

	do {
		n = ibv_poll_cq(r->io.client->rc.cq, 1, &wc);
	} while (!n && util_now_ns() < end_ns);
	if (n == 1 && wc.status == IBV_WC_SUCCESS)
		return 0;
	return broken(r, n == 1 ? ibv_wc_status_str(wc.status) : "no completion");
}

static int move(struct remote *r, uint64_t off, uint32_t len, bool write)
{
	struct ibv_sge sge = { .addr = (uintptr_t)r->buffer, .length = len, .lkey = r->mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = write ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { r->io.opened.opened.addr + (off - r->off), r->io.opened.opened.rkey },
	};
	int err = ibv_post_send(r->io.client->rc.qp, &wr, &bad);

	return err ? broken(r, strerror(err)) : await(r);
}

static int io_locked(struct remote *r, uint64_t off, char *buf, uint64_t len, bool write)
{
	uint32_t n;
	int err = 0;

	for (; len && !err; len -= n, off += n, buf += n) {
		n = len < IO_BUFFER ? (uint32_t)len : IO_BUFFER;
		err = need_io(r);
		if (err)
			break;
		if (write)
			memcpy(r->buffer, buf, n);
		err = move(r, off, n, write);
		if (!err && !write)
			memcpy(buf, r->buffer, n);
	}
	return err;
}

static int io_rdma(struct pdmai_backing *b, uint64_t off, void *buf, uint64_t len, bool write)
{
	struct remote *r = b->priv;
	int err;

	pthread_mutex_lock(&r->io_lock);
	err = io_locked(r, off, buf, len, write);
	pthread_mutex_unlock(&r->io_lock);
	return err;
}

const struct pdmai_kind_ops pdmai_kind_rdma = {
	.open = open_rdma,
	.opened = opened_rdma,
	.close = close_rdma,
	.io = io_rdma,
	.check = check_rdma,
	.connect = connect_rdma,
	.remote = remote_rdma,
};
