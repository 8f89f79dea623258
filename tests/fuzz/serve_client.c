// SPDX-License-Identifier: MIT
/*
 * A hostile server: whatever it answers to a client that lists it, opens a region of it, reads,
 * writes and waits for events. GnuTLS, libibverbs and the clock are replaced at their own
 * interface; the rest is the library.
 *
 * The input is a program: a byte that says what the client does, then what the server does each
 * time the client has nothing left to read: an operation byte and its arguments. A short one ends
 * with a silent server or a closed connection. Promised: every call returns in time by the clock,
 * with 0 or a negative errno and a sentence; a region is as long as was asked for, and no request
 * to the server's NIC leaves what the server granted; nothing is left at the end.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/serve/client.h"
#include "peerdma/event.h"
#include "peerdma/serve.h"
#include "tests/unit/lib/serve_rig.h"

#define OPEN_NS	  15000000000ll
#define IO_NS	  (30000000000ll + 2 * OPEN_NS)
#define SLACK_NS  2000000000ll /* looks at the clock take time, too */
#define GRANTS	  64
#define CALLS_MAX 64

/* Only there under a sanitizer. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

int __wrap_pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd);

struct world {
	struct fuzz_input in;
	int fd; /* the server's end, -1: closed */
	bool flood;
	uint16_t tag;
	uint8_t last[PDMAI_SP_FRAME];
	size_t n_last;
	struct pdmai_sp_msg grant[GRANTS];
	unsigned n_grants;
};

static struct world world;

/* ---- what the server does ---- */

static void hang_up(struct world *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->flood = false;
}

int __wrap_pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd)
{
	struct world *w = &world;
	int fd[2], err;

	hang_up(w);
	w->tag = 0;
	err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd);
	fuzz_promise(!err, "there are descriptors");
	w->fd = fd[0];
	*ret_fd = fd[1];
	return 0;
}

static uint64_t number(struct world *w)
{
	static const uint64_t edges[] = { 0,
					  1,
					  4095,
					  4096,
					  10000,
					  10001,
					  INT64_MAX,
					  1ull << 63,
					  UINT64_MAX,
					  UINT64_MAX - 1,
					  0x7ffffffffffff000,
					  0 - 4096ull };
	uint8_t how = fuzz_u8(&w->in);

	return how & 0x80 ? fuzz_u64(&w->in) : edges[how % (sizeof(edges) / sizeof(edges[0]))];
}

static void fill(struct world *w, struct pdmai_sp_msg *m, uint8_t how)
{
	if (m->type == PDMAI_SP_WELCOME) {
		m->welcome.version = how & 0x40 ? fuzz_u8(&w->in) : PDMAI_SP_VERSION;
		m->welcome.cm_port = how & 0x20 ? fuzz_u16(&w->in) : 0;
	} else if (m->type == PDMAI_SP_EXPORT) {
		m->export.len = number(w);
		m->export.rights = fuzz_u8(&w->in);
		snprintf(m->export.name, sizeof(m->export.name), how & 0x40 ? "other" : "ram");
		memset(m->export.kind, 'k', how & 0x20 ? sizeof(m->export.kind) - 1 : 4);
	} else if (m->type == PDMAI_SP_CONNECTED) {
		m->connect.way = how & 0x40 ? fuzz_u8(&w->in) : 1;
		m->connect.mtu = how & 0x20 ? fuzz_u8(&w->in) : 5;
		m->connect.qpn = how & 0x10 ? fuzz_u32(&w->in) : 77;
	} else if (m->type == PDMAI_SP_OPENED) {
		m->opened.handle = fuzz_u8(&w->in) & 3;
		m->opened.rkey = 9000 + fuzz_u8(&w->in);
		m->opened.addr = number(w);
		m->opened.len = number(w);
		m->opened.rights = how & 0x40 ? fuzz_u8(&w->in) : 3;
	} else if (m->type == PDMAI_SP_REVOKED || m->type == PDMAI_SP_CLOSED) {
		m->close.handle = fuzz_u8(&w->in) & 3;
	} else if (m->type == PDMAI_SP_ERROR) {
		m->error.code = how & 0x40 ? fuzz_u16(&w->in) : how >> 3 & 7;
	}
}

static void send_all(struct world *w, const void *bytes, size_t len)
{
	/* What the client does not read is its own affair. */
	(void)!send(w->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer(struct world *w, bool keep_tag, size_t cut)
{
	static const uint8_t usual[] = { PDMAI_SP_WELCOME,   PDMAI_SP_EXPORT, PDMAI_SP_LISTED,
					 PDMAI_SP_CONNECTED, PDMAI_SP_OPENED, PDMAI_SP_REVOKED,
					 PDMAI_SP_ERROR,     PDMAI_SP_GOODBYE };
	uint8_t frame[PDMAI_SP_FRAME], how = fuzz_u8(&w->in);
	struct pdmai_sp_msg m;
	int len;

	memset(&m, 0, sizeof(m));
	m.type = how & 0x80 ? (how & 0x7f) % (PDMAI_SP_GOODBYE + 1u) : usual[how % sizeof(usual)];
	fill(w, &m, how);
	if (m.type != PDMAI_SP_REVOKED && m.type != PDMAI_SP_GOODBYE && !keep_tag)
		w->tag++;
	m.tag = w->tag;
	len = pdmai_sp_encode(&m, frame);
	if (len < 0)
		return;
	if (m.type == PDMAI_SP_OPENED)
		w->grant[w->n_grants++ % GRANTS] = m;
	memcpy(w->last, frame, (size_t)len);
	w->n_last = (size_t)len;
	send_all(w, frame, cut && cut < (size_t)len ? cut : (size_t)len);
}

static void raw(struct world *w)
{
	unsigned n = fuzz_u8(&w->in) % 64u;
	uint8_t bytes[64];

	for (unsigned i = 0; i < n; i++)
		bytes[i] = fuzz_u8(&w->in);
	send_all(w, bytes, n);
}

static void nic(struct world *w)
{
	uint8_t how = fuzz_u8(&w->in);

	serve_nic.qp_err = how & 1 ? ENOMEM : 0;
	serve_nic.modify_err = how & 2 ? EINVAL : 0;
	serve_nic.no_port = how & 4;
	serve_nic.no_cm = how & 8;
	serve_nic.answer = how & 16 ? IBV_WC_REM_ACCESS_ERR : IBV_WC_SUCCESS;
}

/* The next operation. Return: false: it said nothing. */
static bool act(struct world *w)
{
	switch (fuzz_u8(&w->in) % 12) {
	case 0 ... 4:
		answer(w, false, 0);
		return true;
	case 5: /* one that was not asked for */
		answer(w, true, 0);
		return true;
	case 6:
		answer(w, false, fuzz_u8(&w->in));
		return true;
	case 7:
		raw(w);
		return true;
	case 8:
		w->flood = w->n_last;
		return w->flood;
	case 9:
		nic(w);
		return false;
	case 10:
		hang_up(w);
		return true;
	default: /* it takes its time */
		serve_late_ns = fuzz_u8(&w->in) * 100000000ll;
		return false;
	}
}

static bool more(void)
{
	struct world *w = &world;

	if (w->fd < 0)
		return false;
	if (w->flood)
		send_all(w, w->last, w->n_last);
	return w->flood || (w->in.left && act(w));
}

/* ---- what the client does ---- */

static int64_t began_ns;

static void begin(void)
{
	began_ns = serve_now_ns;
}

static void returned(int ret, int64_t limit_ns)
{
	fuzz_promise(ret <= 0 && ret > -4096, "calls return 0 or -errno");
	fuzz_promise(!ret || pdma_error()[0], "every error has a sentence");
	fuzz_promise(serve_now_ns - began_ns < limit_ns + SLACK_NS,
		     "no call takes longer than it may");
}

static void query(struct pdma_ctx *ctx)
{
	struct pdma_export exports[3];
	unsigned n = 0;
	int ret;

	begin();
	ret = pdma_serve_query(ctx, "h", NULL, serve_token_file(), exports, 3, &n);
	returned(ret, OPEN_NS);
	for (unsigned i = 0; !ret && i < n && i < 3; i++)
		fuzz_promise(memchr(exports[i].name, 0, sizeof(exports[i].name)) &&
				     memchr(exports[i].kind, 0, sizeof(exports[i].kind)),
			     "names of exports end");
}

/* Was it granted? Some answer of the server must have given this key for these bytes. */
static bool is_granted(const struct world *w)
{
	for (unsigned i = 0; i < GRANTS && i < w->n_grants; i++) {
		const struct pdmai_sp_msg *g = &w->grant[i];
		uint64_t at = serve_nic.asked_addr - g->opened.addr;

		if (g->opened.rkey == serve_nic.asked_rkey && at < g->opened.len &&
		    serve_nic.asked_len <= g->opened.len - at)
			return true;
	}
	return false;
}

static void access_region(struct world *w, struct pdma_region *r, uint64_t len, uint8_t how)
{
	uint64_t off = how & 0x40 ? number(w) : how >> 4 & 3;
	char buf[64] = "";
	int ret;

	serve_nic.asked_len = 0;
	begin();
	if (how & 8)
		ret = pdma_region_write(r, off, buf, how & 7);
	else
		ret = pdma_region_read(r, off, buf, how & 7);
	returned(ret, IO_NS);
	fuzz_promise(!serve_nic.asked_len || is_granted(w), "no request leaves what was granted");
	fuzz_promise(ret || off <= len, "what lies beyond the end is refused");
}

static void use(struct world *w, struct pdma_ctx *ctx, struct pdma_region *r)
{
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdma_event event;
	uint8_t how;
	int ret;

	pdma_region_get_info(r, &info);
	for (unsigned i = 0; i < CALLS_MAX && (w->in.left || i < 4); i++) {
		how = fuzz_u8(&w->in);
		begin();
		if (how & 0x80)
			access_region(w, r, info.len, how);
		else if (how & 1)
			returned(pdma_region_check(r), SLACK_NS);
		else if (how & 2)
			more(); /* the server speaks unasked */
		else {
			ret = pdma_event_next(ctx, &event);
			returned(ret < 0 ? ret : 0, SLACK_NS);
		}
	}
}

static void open_and_use(struct world *w, struct pdma_ctx *ctx, uint8_t mode)
{
	static const char *const uris[] = { "rdma://h/ram", "rdma://h/ram+1:4096",
					    "rdma://h/ram+4096",
					    "rdma://h:1/ram+0x7fffffffffffffff:1" };
	static const uint64_t lens[] = { 0, 4096, 0, 1 };
	struct pdma_region_options opt = {
		.size = sizeof(opt),
		.token_file = serve_token_file(),
		.flags = mode & 4 ? PDMA_OPEN_READONLY : 0,
		.nic = mode & 8 ? "fake0" : NULL,
	};
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdma_region *r = NULL;
	int ret;

	begin();
	ret = pdma_region_open(ctx, uris[mode & 3], &opt, &r);
	returned(ret, OPEN_NS);
	if (ret)
		return;
	pdma_region_get_info(r, &info);
	fuzz_promise(info.len && (!lens[mode & 3] || info.len == lens[mode & 3]),
		     "a region is as long as was asked for");
	use(w, ctx, r);
	pdma_region_close(r);
}

static size_t allocated(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() :
							 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool warm;
	struct world *w = &world;
	struct pdma_ctx *ctx;
	size_t before = allocated();
	uint8_t mode;
	int ret;

	*w = (struct world){ .in = { data, size }, .fd = -1 };
	serve_nic_reset();
	serve_more = more;
	serve_look_ns = 1000000;
	serve_late_ns = 0;
	ret = pdma_ctx_create(NULL, &ctx);
	fuzz_promise(!ret, "there is a context");
	mode = fuzz_u8(&w->in);
	if (mode & 0x40)
		query(ctx);
	else
		open_and_use(w, ctx, mode);
	pdma_ctx_destroy(ctx);
	hang_up(w);
	fuzz_promise(!serve_nic.pds && !serve_nic.qps && !serve_nic.cqs && !serve_nic.ids &&
			     LIST_EMPTY(&serve_nic.keys),
		     "nothing of the device is left");
	fuzz_promise(!warm || allocated() <= before, "all memory is given back");
	warm = true;
	return 0;
}
