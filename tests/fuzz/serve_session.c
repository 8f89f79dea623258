// SPDX-License-Identifier: MIT
/*
 * Hostile clients of a server: messages in every state, before and after the proof of a token, cut,
 * repeated, out of order, with lengths and offsets at every edge, by several clients at once, while
 * the owner takes regions away, keys die, the NIC fails and the connection manager brings requests.
 * The whole server runs; GnuTLS and libibverbs are replaced at their own interface.
 *
 * The input is a program: an operation byte (modulo the number of operations) and its arguments. A
 * short one ends early; every input is valid. Promised after each run of the server: what
 * serve_rig_broken() says; every answer is a message and belongs to a request; a range that was
 * granted is what was asked for; a key is dead when its client hears that it was closed or revoked.
 * Promised at the end: nothing is left, and no memory either.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/lib/serve_rig.h"

#define ASKED	 1024
#define OPENED	 256
#define REST_MAX 4096
#define MEMORY	 (8u << 20) /* of a server and all of its clients */

/* Only there under a sanitizer. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* What a client said, as the server must understand it, and what it heard. */
struct client {
	bool spoke, proven, garbled;
	unsigned first, n_asked, n_opened;
	size_t n_rest, n_last, n_said;
	uint16_t tag;
	uint8_t cookie[PDMAI_COOKIE];
	/* From here on only what the numbers above say is there. */
	struct pdmai_sp_msg asked[ASKED]; /* ring: requests without an answer */
	struct pdmai_sp_msg opened[OPENED];
	uint8_t rest[REST_MAX], last[PDMAI_SP_FRAME], said[PDMAI_SP_FRAME];
};

struct world {
	struct fuzz_input in;
	struct serve_rig *rig; /* with a server, or without one */
	struct client client[SERVE_PEERS];
};

static struct world world;

static void forget(struct client *c)
{
	memset(c, 0, offsetof(struct client, asked));
}

/* ---- what a client hears ---- */

static bool is_alive(uint32_t rkey)
{
	const struct serve_key *k;

	LIST_FOREACH(k, &serve_nic.keys, entry)
		if (k->mr.rkey == rkey)
			return true;
	return false;
}

static void hear_opened(struct world *w, struct client *c, const struct pdmai_sp_msg *ask,
			const struct pdmai_sp_msg *m)
{
	int i = 0;

	while (i < SERVE_EXPORTS && strcmp(ask->open.name, serve_names[i]))
		i++;
	fuzz_promise(i < SERVE_EXPORTS, "only exports are opened");
	fuzz_promise(ask->open.off < w->rig->len[i], "a range begins in its export");
	fuzz_promise(m->opened.len && m->opened.len <= w->rig->len[i] - ask->open.off,
		     "a range ends in its export");
	fuzz_promise(m->opened.len == ask->open.len || !ask->open.len,
		     "a range is as long as was asked for");
	fuzz_promise(!(m->opened.rights & PDMAI_SP_WRITE & ~ask->open.rights),
		     "rights are those that were asked for");
	c->opened[c->n_opened++ % OPENED] = *m;
}

static void hear_end(struct client *c, uint32_t handle)
{
	for (unsigned i = 0; i < OPENED && i < c->n_opened; i++)
		fuzz_promise(c->opened[i].opened.handle != handle ||
				     !is_alive(c->opened[i].opened.rkey),
			     "no key survives its end");
}

static void hear_unasked(struct client *c, const struct pdmai_sp_msg *m)
{
	if (m->type == PDMAI_SP_REVOKED)
		hear_end(c, m->close.handle);
}

/* Requests are answered in their order, each once, by what answers it or by an error. */
static void hear_answer(struct world *w, struct client *c, const struct pdmai_sp_msg *m)
{
	static const uint8_t answers[PDMAI_SP_GOODBYE + 1] = {
		[PDMAI_SP_HELLO] = PDMAI_SP_WELCOME,	 [PDMAI_SP_LIST] = PDMAI_SP_LISTED,
		[PDMAI_SP_CONNECT] = PDMAI_SP_CONNECTED, [PDMAI_SP_OPEN] = PDMAI_SP_OPENED,
		[PDMAI_SP_CLOSE] = PDMAI_SP_CLOSED,	 [PDMAI_SP_PING] = PDMAI_SP_PONG,
	};
	const struct pdmai_sp_msg *ask = &c->asked[c->first];

	fuzz_promise(c->n_asked, "there are no more answers than requests");
	fuzz_promise(m->tag == ask->tag, "an answer has the tag of its request");
	if (m->type == PDMAI_SP_EXPORT && ask->type == PDMAI_SP_LIST)
		return;
	fuzz_promise(m->type == PDMAI_SP_ERROR || m->type == answers[ask->type],
		     "an answer is one to its request");
	if (m->type == PDMAI_SP_OPENED)
		hear_opened(w, c, ask, m);
	else if (m->type == PDMAI_SP_CLOSED)
		hear_end(c, ask->close.handle);
	else if (m->type == PDMAI_SP_CONNECTED)
		memcpy(c->cookie, m->connect.cookie, sizeof(c->cookie));
	c->first = (c->first + 1) % ASKED;
	c->n_asked--;
}

static void hear(struct world *w, unsigned peer)
{
	struct client *c = &w->client[peer];
	struct pdmai_sp_msg m;
	int ret;

	while ((ret = serve_rig_recv(w->rig, peer, &m)) > 0) {
		fuzz_promise(c->proven, "nothing is said to who has not proven a token");
		if (m.type == PDMAI_SP_REVOKED || m.type == PDMAI_SP_GOODBYE)
			hear_unasked(c, &m);
		else
			hear_answer(w, c, &m);
	}
	fuzz_promise(!ret, "what the server says are messages");
}

/* ---- what a client says ---- */

/* An offset or a length, mostly at an edge of the export. */
static uint64_t edge(struct world *w, unsigned export)
{
	uint64_t len = w->rig->len[export % SERVE_EXPORTS];
	uint8_t how = fuzz_u8(&w->in);
	const uint64_t edges[] = { 0,	    1,	     4095,	 4096,		 len - 1,
				   len,	    len + 1, INT64_MAX,	 1ull << 63,	 UINT64_MAX,
				   0 - len, 1 - len, len - 4096, UINT64_MAX - 1, len / 2,
				   0 - 4096 };
	size_t n = sizeof(edges) / sizeof(edges[0]);

	return how & 0x80 ? fuzz_u64(&w->in) : edges[how % n];
}

static void fill_open(struct world *w, struct pdmai_sp_msg *m)
{
	uint8_t how = fuzz_u8(&w->in);
	unsigned export = how % SERVE_EXPORTS;

	snprintf(m->open.name, sizeof(m->open.name), "%s", serve_names[export]);
	if (how & 0x40)
		m->open.name[how >> 2 & 3] ^= 1;
	m->open.rights = how & 0x80 ? fuzz_u8(&w->in) : (how >> 4 & 1) + 1;
	if (!(how & 0x20))
		m->open.rights |= PDMAI_SP_READ;
	m->open.off = edge(w, export);
	m->open.len = edge(w, export);
	/* The one length that is just right, or one too long. */
	if (how & 0x04)
		m->open.len = w->rig->len[export] - m->open.off + (how >> 3 & 1);
}

static void fill_connect(struct world *w, struct pdmai_sp_msg *m)
{
	uint8_t how = fuzz_u8(&w->in);

	m->connect.way = how & 3;
	m->connect.mtu = how & 0x80 ? fuzz_u8(&w->in) : 5;
	m->connect.lid = how & 0x40 ? 0 : 9;
	m->connect.qpn = how & 0x20 ? fuzz_u32(&w->in) : 0x123;
	m->connect.psn = how & 0x10 ? fuzz_u32(&w->in) : 0x456;
}

static uint32_t some_handle(struct world *w, const struct client *c)
{
	uint8_t which = fuzz_u8(&w->in);

	if (which & 0x80 || !c->n_opened)
		return which & 0x7f;
	return c->opened[which % (c->n_opened < OPENED ? c->n_opened : OPENED)].opened.handle;
}

static size_t make_message(struct world *w, struct client *c, uint8_t *frame)
{
	static const uint8_t usual[] = { PDMAI_SP_HELLO, PDMAI_SP_LIST,	 PDMAI_SP_CONNECT,
					 PDMAI_SP_OPEN,	 PDMAI_SP_CLOSE, PDMAI_SP_PING,
					 PDMAI_SP_OPEN,	 PDMAI_SP_CLOSE };
	struct pdmai_sp_msg m;
	uint8_t which = fuzz_u8(&w->in);
	int len;

	memset(&m, 0, sizeof(m));
	m.type = which & 0x80 ? which % (PDMAI_SP_GOODBYE + 1u) : usual[which % sizeof(usual)];
	m.tag = c->tag = (uint16_t)(c->tag + 1);
	if (m.type == PDMAI_SP_HELLO)
		m.hello.min = m.hello.max = which & 0x40 ? fuzz_u16(&w->in) : PDMAI_SP_VERSION;
	else if (m.type == PDMAI_SP_CONNECT)
		fill_connect(w, &m);
	else if (m.type == PDMAI_SP_OPEN)
		fill_open(w, &m);
	else if (m.type == PDMAI_SP_CLOSE)
		m.close.handle = some_handle(w, c);
	len = pdmai_sp_encode(&m, frame);
	if (len < 0)
		return 0;
	memcpy(c->last, frame, (size_t)len);
	c->n_last = (size_t)len;
	return (size_t)len;
}

/* One byte more in the stream: is a request complete? */
static void note(struct client *c, uint8_t byte)
{
	struct pdmai_sp_msg m;
	int len;

	c->said[c->n_said++] = byte;
	len = pdmai_sp_frame_len(c->said, c->n_said);
	if (!len || (len > 0 && (size_t)len > c->n_said))
		return;
	c->garbled = len < 0 || pdmai_sp_decode(c->said, (size_t)len, &m);
	c->n_said = 0;
	if (c->garbled)
		return;
	fuzz_promise(c->n_asked < ASKED, "the fuzzer has room for requests");
	c->asked[(c->first + c->n_asked++) % ASKED] = m;
}

/* The first byte is the proof, whatever it was meant to be. */
static void transmit(struct world *w, unsigned peer, const uint8_t *bytes, size_t len)
{
	struct client *c = &w->client[peer];

	if (c->n_asked > ASKED / 2)
		hear(w, peer);
	if (w->rig->peer[peer].fd < 0 || w->rig->peer[peer].shut)
		return;
	for (size_t i = 0; i < len && !c->garbled; i++) {
		if (c->spoke)
			note(c, bytes[i]);
		else
			c->proven = bytes[i] == SERVE_PROOF;
		c->spoke = true;
	}
	serve_rig_send(w->rig, peer, bytes, len);
}

/* Behind what was kept back, so that the stream stays in order. */
static void say(struct world *w, unsigned peer, const uint8_t *bytes, size_t len)
{
	struct client *c = &w->client[peer];

	if (!c->n_rest) {
		transmit(w, peer, bytes, len);
	} else if (len <= sizeof(c->rest) - c->n_rest) {
		memcpy(c->rest + c->n_rest, bytes, len);
		c->n_rest += len;
	}
}

static unsigned some_peer(struct world *w)
{
	return fuzz_u8(&w->in) % SERVE_PEERS;
}

/* ---- operations ---- */

static void op_connect(struct world *w)
{
	unsigned peer = some_peer(w);

	forget(&w->client[peer]);
	serve_rig_connect(w->rig, peer);
}

static void op_prove(struct world *w)
{
	unsigned peer = some_peer(w);
	uint8_t how = fuzz_u8(&w->in), proof = how & 0x80 ? how : SERVE_PROOF;

	transmit(w, peer, &proof, 1);
}

static void op_message(struct world *w)
{
	unsigned peer = some_peer(w);
	struct client *c = &w->client[peer];
	uint8_t frame[PDMAI_SP_FRAME];
	size_t len = make_message(w, c, frame);

	say(w, peer, frame, len);
}

/* The length, the type or a byte of the body is another one. */
static void op_spoiled(struct world *w)
{
	unsigned peer = some_peer(w);
	struct client *c = &w->client[peer];
	uint8_t frame[PDMAI_SP_FRAME], at;
	size_t len = make_message(w, c, frame);

	at = fuzz_u8(&w->in);
	if (at & 0x80)
		at = 3 - (at & 3); /* length */
	if (at < len)
		frame[at] = fuzz_u8(&w->in);
	say(w, peer, frame, len);
}

/* The beginning; the rest waits for op_rest(). */
static void op_half(struct world *w)
{
	unsigned peer = some_peer(w);
	struct client *c = &w->client[peer];
	uint8_t frame[PDMAI_SP_FRAME];
	size_t len = make_message(w, c, frame), first = fuzz_u8(&w->in);

	first = first < len ? first : len;
	say(w, peer, frame, first);
	if (len - first <= sizeof(c->rest) - c->n_rest) {
		memcpy(c->rest + c->n_rest, frame + first, len - first);
		c->n_rest += len - first;
	}
}

static void op_rest(struct world *w)
{
	unsigned peer = some_peer(w);
	struct client *c = &w->client[peer];
	size_t n = fuzz_u8(&w->in);

	n = n & 0x80 || n > c->n_rest ? c->n_rest : n;
	transmit(w, peer, c->rest, n);
	c->n_rest -= n;
	memmove(c->rest, c->rest + n, c->n_rest);
}

static void op_repeat(struct world *w)
{
	unsigned peer = some_peer(w), n = fuzz_u8(&w->in) % 96u;
	struct client *c = &w->client[peer];

	for (unsigned i = 0; i < n; i++)
		say(w, peer, c->last, c->n_last);
}

static void op_raw(struct world *w)
{
	unsigned peer = some_peer(w), n = fuzz_u8(&w->in) % 64u;
	uint8_t bytes[64];

	for (unsigned i = 0; i < n; i++)
		bytes[i] = fuzz_u8(&w->in);
	say(w, peer, bytes, n);
}

static void op_run(struct world *w)
{
	serve_rig_run(w->rig, fuzz_u8(&w->in) & 1);
}

static void op_hear(struct world *w)
{
	hear(w, some_peer(w));
}

static void op_hang_up(struct world *w)
{
	serve_rig_hang_up(w->rig, some_peer(w));
}

static struct pdmai_session *some_session(struct world *w)
{
	unsigned n = fuzz_u8(&w->in) % SERVE_PEERS;
	struct pdmai_session *c;

	TAILQ_FOREACH(c, &w->rig->serve->sessions, entry)
		if (!n--)
			return c;
	return NULL;
}

static void op_owner(struct world *w)
{
	uint8_t how = fuzz_u8(&w->in);
	unsigned e = how % SERVE_EXPORTS;
	struct pdmai_session *c;

	if (how & 0x80) {
		c = some_session(w);
		if (c && !LIST_EMPTY(&c->opens))
			pdma_mr_revoke(LIST_FIRST(&c->opens)->mr, NULL);
	} else if (how & 0x40) {
		pdma_serve_unexport(w->rig->serve, serve_names[e], NULL);
	} else if (how & 0x20) {
		w->rig->memory[e].check_err = -EIO;
	} else {
		pdma_region_revoke(w->rig->region[e], NULL);
	}
}

static void op_time(struct world *w)
{
	serve_now_ns += fuzz_u8(&w->in) * 1000000000ll;
}

static void op_nic(struct world *w)
{
	uint8_t how = fuzz_u8(&w->in);
	struct pdmai_session *c;

	serve_nic.pd_err = how & 1 ? ENOMEM : 0;
	serve_nic.qp_err = how & 2 ? ENOMEM : 0;
	serve_nic.modify_err = how & 4 ? EINVAL : 0;
	serve_nic.reg_err = how & 8 ? EOPNOTSUPP : 0;
	if (!(how & 0x10) || serve_nic_waiting() > 32)
		return;
	c = some_session(w);
	if (c && c->rc.qp)
		serve_nic_event(IBV_EVENT_QP_ACCESS_ERR, c->rc.qp);
}

static void op_cm(struct world *w)
{
	uint8_t how = fuzz_u8(&w->in);
	uint8_t data[PDMAI_COOKIE];
	struct pdmai_session *c;

	if (how & 0x80) {
		c = some_session(w);
		if (c && c->rc.id && c->state != PDMAI_SESSION_OVER)
			serve_cm_end(c->rc.id);
	} else if (w->rig->serve->cm_id) {
		memcpy(data, w->client[how % SERVE_PEERS].cookie, sizeof(data));
		data[0] ^= how >> 6 & 1;
		serve_cm_request(data, how & 0x20 ? how % 16 : sizeof(data));
	}
	serve_rig_run(w->rig, false);
}

static void (*const operations[])(struct world *w) = {
	op_connect, op_prove,	op_message, op_message, op_run,	   op_hear,
	op_message, op_spoiled, op_half,    op_rest,	op_repeat, op_raw,
	op_run,	    op_hang_up, op_owner,   op_time,	op_nic,	   op_cm,
};

static void look(struct world *w, size_t before)
{
	const char *broken;

	serve_rig_run(w->rig, false);
	broken = serve_rig_broken(w->rig);
	fuzz_promise(!broken, broken);
	if (__sanitizer_get_current_allocated_bytes)
		fuzz_promise(__sanitizer_get_current_allocated_bytes() < before + MEMORY,
			     "memory is bounded");
}

static bool nothing_left(unsigned ids)
{
	return LIST_EMPTY(&serve_nic.keys) && !serve_nic.pds && !serve_nic.qps && !serve_nic.cqs &&
	       serve_nic.ids == ids;
}

static void hear_all(struct world *w)
{
	for (unsigned i = 0; i < SERVE_PEERS; i++)
		hear(w, i);
}

/* A server of its own from beginning to end; what clients hear of the end is judged, too. */
static void end(struct world *w)
{
	serve_rig_run(w->rig, true);
	pdma_serve_destroy(w->rig->serve);
	w->rig->serve = NULL;
	hear_all(w);
	serve_rig_close(w->rig);
	fuzz_promise(nothing_left(0), "nothing of the device survives the server");
}

static void run(struct world *w, size_t before)
{
	while (w->in.left) {
		operations[fuzz_u8(&w->in) % (sizeof(operations) / sizeof(operations[0]))](w);
		look(w, before);
	}
}

static size_t allocated(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() :
							 0;
}

static void with_new_server(struct world *w)
{
	size_t before;

	if (w->rig->serve)
		serve_rig_close(w->rig);
	serve_rig_open(w->rig);
	before = allocated();
	run(w, before);
	end(w);
	fuzz_promise(allocated() <= before, "all memory is given back");
}

/* Most inputs share a server, which is fast; what is left of one would be seen at the next. */
static void with_old_server(struct world *w)
{
	size_t before;

	if (!w->rig->serve)
		serve_rig_open(w->rig);
	before = allocated();
	run(w, before);
	serve_rig_run(w->rig, true);
	hear_all(w);
	serve_rig_renew(w->rig);
	fuzz_promise(nothing_left(1), "nothing of the device survives its clients");
	fuzz_promise(allocated() <= before + 4096, "all memory is given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct serve_rig rig;
	struct world *w = &world;

	w->rig = &rig;
	for (unsigned i = 0; i < SERVE_PEERS; i++)
		forget(&w->client[i]);
	w->in = (struct fuzz_input){ data, size };
	if (fuzz_u8(&w->in) % 16)
		with_old_server(w);
	else
		with_new_server(w);
	return 0;
}
