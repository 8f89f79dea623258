// SPDX-License-Identifier: MIT
#include "tests/unit/lib/serve_rig.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define ODD_START 4104u
#define RUNS	  1000 /* that a server may need to come to rest */

const char *const serve_names[SERVE_EXPORTS] = { "ram", "rom", "vast", "odd" };

const char *serve_token_file(void)
{
	static const char line[] = "me:00112233445566778899aabbccddeeff\n";
	static char path[64];
	int fd;

	if (path[0])
		return path;
	fd = memfd_create("tokens", MFD_CLOEXEC);
	assert(fd >= 0 && !fchmod(fd, 0600));
	assert(write(fd, line, sizeof(line) - 1) == sizeof(line) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static void add_export(struct serve_rig *rig, enum serve_export e, struct pdma_region *region,
		       uint64_t start)
{
	struct pdma_region_info info = { .size = sizeof(info) };
	int err;

	assert(region && !pdma_region_get_info(region, &info));
	rig->region[e] = region;
	rig->len[e] = info.len;
	rig->start[e] = start;
	err = pdma_serve_export(rig->serve, region, serve_names[e],
				e == SERVE_ROM ? PDMA_EXPORT_READONLY : 0);
	assert(!err);
}

static void add_exports(struct serve_rig *rig)
{
	struct serve_memory *m = rig->memory;
	struct pdma_region *odd;
	int err;

	add_export(rig, SERVE_RAM, serve_region(rig->ctx, &m[SERVE_RAM], 10000, true), 0);
	add_export(rig, SERVE_ROM, serve_region(rig->ctx, &m[SERVE_ROM], 8192, false), 0);
	add_export(rig, SERVE_VAST,
		   serve_region(rig->ctx, &m[SERVE_VAST], 0x7ffffffffffff000, false), 0);
	rig->parent = serve_region(rig->ctx, &m[SERVE_ODD], 1u << 20, false);
	err = pdma_region_slice(rig->parent, ODD_START, 12345, NULL, &odd);
	assert(!err);
	add_export(rig, SERVE_ODD, odd, ODD_START);
}

/* Ticks come when a test says so. */
static void stop_timer(struct pdma_serve *s)
{
	struct itimerspec never = { .it_value = { 0, 0 } };
	int err = timerfd_settime(s->timer.fd, 0, &never, NULL);

	assert(!err);
}

void serve_rig_open(struct serve_rig *rig)
{
	struct pdma_serve_options opt = {
		.size = sizeof(opt),
		.address = "127.0.0.1",
		.flags = PDMA_SERVE_ANY_PORT,
		.token_file = serve_token_file(),
		.max_clients = SERVE_CLIENTS,
		.max_pending = SERVE_PENDING,
		.max_opens = SERVE_OPENS,
	};
	int err;

	memset(rig, 0, sizeof(*rig));
	for (unsigned i = 0; i < SERVE_PEERS; i++)
		rig->peer[i].fd = -1;
	serve_nic_reset();
	err = pdma_ctx_create(NULL, &rig->ctx);
	assert(!err);
	err = pdma_serve_create(rig->ctx, &opt, &rig->serve);
	assert(!err);
	stop_timer(rig->serve);
	add_exports(rig);
}

static void close_regions(struct serve_rig *rig)
{
	for (unsigned i = 0; i < SERVE_EXPORTS; i++) {
		pdma_region_close(rig->region[i]);
		serve_memory_free(&rig->memory[i]);
	}
	pdma_region_close(rig->parent);
}

void serve_rig_close(struct serve_rig *rig)
{
	pdma_serve_destroy(rig->serve);
	rig->serve = NULL;
	for (unsigned i = 0; i < SERVE_PEERS; i++)
		serve_rig_hang_up(rig, i);
	close_regions(rig);
	pdma_ctx_destroy(rig->ctx);
}

void serve_rig_renew(struct serve_rig *rig)
{
	struct pdma_serve_event event;
	struct pdmai_session *c;

	serve_nic.pd_err = serve_nic.qp_err = serve_nic.modify_err = serve_nic.reg_err = 0;
	while (!LIST_EMPTY(&rig->serve->exports))
		pdma_serve_unexport(rig->serve, LIST_FIRST(&rig->serve->exports)->name, NULL);
	TAILQ_FOREACH(c, &rig->serve->sessions, entry)
		pdmai_session_end(c, "the next one comes");
	for (unsigned i = 0; i < SERVE_PEERS; i++)
		serve_rig_hang_up(rig, i);
	serve_rig_run(rig, true);
	while (pdma_serve_event_next(rig->serve, &event))
		;
	close_regions(rig);
	add_exports(rig);
}

void serve_rig_connect(struct serve_rig *rig, unsigned peer)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(1000) };
	struct serve_peer *p = &rig->peer[peer];
	int fd[2], err;

	serve_rig_hang_up(rig, peer);
	err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd);
	assert(!err);
	*p = (struct serve_peer){ .fd = fd[0] };
	addr.sin_addr.s_addr = htonl(0x0a000001 + peer);
	pdmai_session_begin(rig->serve, fd[1], (struct sockaddr *)&addr);
}

void serve_rig_hang_up(struct serve_rig *rig, unsigned peer)
{
	struct serve_peer *p = &rig->peer[peer];

	if (p->fd >= 0)
		close(p->fd);
	*p = (struct serve_peer){ .fd = -1 };
}

void serve_rig_send(struct serve_rig *rig, unsigned peer, const void *bytes, size_t len)
{
	struct serve_peer *p = &rig->peer[peer];

	/* A server that does not read, or has gone, is the client's affair. */
	if (p->fd >= 0)
		(void)!send(p->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int serve_rig_recv(struct serve_rig *rig, unsigned peer, struct pdmai_sp_msg *ret_msg)
{
	struct serve_peer *p = &rig->peer[peer];
	int len, err;
	ssize_t n;

	while (!(len = pdmai_sp_frame_len(p->in, p->n_in)) || (len > 0 && (size_t)len > p->n_in)) {
		n = p->fd < 0 ? 0 : read(p->fd, p->in + p->n_in, sizeof(p->in) - p->n_in);
		p->shut |= !n || (n < 0 && errno != EAGAIN);
		if (n <= 0)
			return 0;
		p->n_in += (size_t)n;
	}
	if (len < 0)
		return len;
	err = pdmai_sp_decode(p->in, (size_t)len, ret_msg);
	p->n_in -= (size_t)len;
	memmove(p->in, p->in + len, p->n_in);
	return err ? err : len;
}

static void expire(struct pdma_serve *s)
{
	struct itimerspec now = { .it_value = { 0, 1 } };
	struct pollfd p = { .fd = s->timer.fd, .events = POLLIN };
	int err = timerfd_settime(s->timer.fd, 0, &now, NULL);

	assert(!err);
	err = ppoll(&p, 1, NULL, NULL);
	assert(err == 1);
}

static bool has_work(const struct pdma_serve *s)
{
	struct pollfd p = { .fd = pdma_serve_fd(s), .events = POLLIN };
	struct timespec none = { 0, 0 };

	return ppoll(&p, 1, &none, NULL) == 1;
}

void serve_rig_run(struct serve_rig *rig, bool tick)
{
	if (tick)
		expire(rig->serve);
	for (int i = 0; has_work(rig->serve); i++) {
		assert(i < RUNS);
		pdma_serve_run(rig->serve);
	}
}

/* ---- what must hold ---- */

static const struct serve_key *key_of(const struct pdmai_open *o)
{
	const struct serve_key *k;

	LIST_FOREACH(k, &serve_nic.keys, entry)
		if (&k->mr == pdma_mr_verbs(o->mr))
			return k;
	return NULL;
}

static int index_of(const struct pdmai_export *e)
{
	for (int i = 0; i < SERVE_EXPORTS; i++)
		if (!strcmp(e->name, serve_names[i]))
			return i;
	return -1;
}

static bool is_served(const struct serve_rig *rig, const struct pdmai_export *export)
{
	const struct pdmai_export *e;

	LIST_FOREACH(e, &rig->serve->exports, entry)
		if (e == export)
			return true;
	return false;
}

static bool covers_range(const struct serve_rig *rig, const struct serve_key *k,
			 const struct pdmai_open *o, int i)
{
	const struct serve_memory *m = &rig->memory[i];

	if (!o->len || o->off > rig->len[i] || o->len > rig->len[i] - o->off || k->len != o->len)
		return false;
	if (m->base)
		return k->addr == m->base + o->off;
	return k->memory == m && k->off == rig->start[i] + o->off;
}

static const char *open_broken(const struct serve_rig *rig, const struct pdmai_open *o)
{
	const int writes = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE;
	const struct serve_key *k;
	int i;

	if (!is_served(rig, o->export))
		return "a range is open of what is not served";
	k = key_of(o);
	if (!k)
		return NULL; /* revoked, not told yet */
	i = index_of(o->export);
	if (!covers_range(rig, k, o, i))
		return "a key covers another range than was granted";
	if (k->access & ~(writes | IBV_ACCESS_REMOTE_READ))
		return "a key has rights nobody can ask for";
	if (k->access & writes && (!o->write || i == SERVE_ROM))
		return "a key may write what was not granted for writing";
	if (k->mr.pd != o->session->rc.pd || !o->session->connected)
		return "a key is of another domain than its client's";
	return NULL;
}

static const char *session_broken(const struct serve_rig *rig, const struct pdmai_session *c,
				  unsigned *n_keys)
{
	const struct pdmai_open *o;
	const char *broken = NULL;
	unsigned n = 0;

	LIST_FOREACH(o, &c->opens, entry) {
		broken = broken ? broken : open_broken(rig, o);
		*n_keys += key_of(o) != NULL;
		n++;
	}
	if (broken)
		return broken;
	if (n != c->n_opens || n > SERVE_OPENS)
		return "a client has more ranges than it may, or they are miscounted";
	if (c->state != PDMAI_SESSION_UP && (n || c->rc.pd || c->connected))
		return "something is held for a client that may not have it";
	if (c->chan->out_len > sizeof(c->chan->out) || c->chan->in_len > sizeof(c->chan->in))
		return "a buffer of a channel is beyond its end";
	return NULL;
}

static const char *totals_broken(const struct serve_rig *rig, unsigned keys, unsigned opens,
				 unsigned domains, unsigned sessions)
{
	const struct pdma_serve *s = rig->serve;
	const struct serve_key *k;

	LIST_FOREACH(k, &serve_nic.keys, entry)
		if (!keys--)
			return "a key is of no open range";
	if (s->stats.opens != opens)
		return "open ranges are miscounted";
	if (serve_nic.pds != domains || serve_nic.qps != domains || serve_nic.cqs != domains)
		return "queue pairs are of no session";
	if (s->stats.clients > SERVE_CLIENTS || s->stats.pending > SERVE_PENDING ||
	    s->stats.clients + s->stats.pending != sessions)
		return "more clients than there may be, or they are miscounted";
	return s->n_events > PDMAI_SERVE_EVENTS ? "too many events" : NULL;
}

const char *serve_rig_broken(const struct serve_rig *rig)
{
	unsigned keys = 0, opens = 0, domains = 0, sessions = 0;
	const struct pdmai_session *c;
	const char *broken;

	TAILQ_FOREACH(c, &rig->serve->sessions, entry) {
		broken = session_broken(rig, c, &keys);
		if (broken)
			return broken;
		opens += c->n_opens;
		domains += c->rc.pd != NULL;
		sessions++;
	}
	return totals_broken(rig, keys, opens, domains, sessions);
}
