// SPDX-License-Identifier: MIT
/*
 * A client and a server that does not keep to the protocol. The clock is set by hand, so that a
 * time limit costs no time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/serve/client.h"
#include "peerdma/event.h"
#include "peerdma/serve.h"
#include "tests/unit/lib/serve_rig.h"

#define LIMIT_NS 16000000000ll /* of opening */

int __wrap_pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd);

/* What the server says, each when the client has nothing left to read. */
static struct {
	int fd, before; /* the latest connection, and the one before it */
	unsigned at, n;
	struct pdmai_sp_msg msg[24];
	size_t cut;  /* bytes of the last message that are sent; 0: all */
	bool repeat; /* the last one for ever */
	bool hold;   /* until the next connection */
} server;

static struct pdma_ctx *ctx;
static int64_t began_ns;

int __wrap_pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd)
{
	int fd[2];

	if (server.before >= 0)
		close(server.before);
	server.before = server.fd;
	server.hold = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
		return -EIO;
	server.fd = fd[0];
	*ret_fd = fd[1];
	return 0;
}

static bool more(void)
{
	uint8_t frame[PDMAI_SP_FRAME];
	size_t len;

	if (server.at == server.n || server.hold)
		return false;
	len = (size_t)pdmai_sp_encode(&server.msg[server.at++], frame);
	if (server.at == server.n && server.cut)
		len = server.cut;
	if (server.at == server.n && server.repeat)
		server.at--;
	return send(server.fd, frame, len, MSG_NOSIGNAL) > 0;
}

static int set_up(void **state)
{
	memset(&server, 0, sizeof(server));
	server.fd = server.before = -1;
	serve_nic_reset();
	serve_more = more;
	serve_look_ns = 1000000;
	began_ns = serve_now_ns;
	return pdma_ctx_create(NULL, &ctx);
}

static int tear_down(void **state)
{
	pdma_ctx_destroy(ctx);
	close(server.fd);
	if (server.before >= 0)
		close(server.before);
	assert_int_equal(serve_nic.pds + serve_nic.qps + serve_nic.cqs + serve_nic.ids, 0);
	return 0;
}

static struct pdmai_sp_msg *add(uint16_t type, uint16_t tag)
{
	struct pdmai_sp_msg *m = &server.msg[server.n++];

	assert_in_range(server.n, 1, 24);
	m->type = type;
	m->tag = tag;
	return m;
}

static void add_revoked(uint32_t handle, const char *why)
{
	struct pdmai_sp_msg *m = add(PDMAI_SP_REVOKED, 0);

	m->close.handle = handle;
	snprintf(m->close.text, sizeof(m->close.text), "%s", why);
}

static void add_welcome(void)
{
	add(PDMAI_SP_WELCOME, 1)->welcome.version = PDMAI_SP_VERSION;
}

static struct pdmai_sp_msg *add_export(uint16_t tag)
{
	struct pdmai_sp_msg *m = add(PDMAI_SP_EXPORT, tag);

	m->export.len = 8192;
	m->export.rights = PDMAI_SP_READ | PDMAI_SP_WRITE;
	strcpy(m->export.name, "ram");
	return m;
}

/* All a client needs to open len bytes. */
static void add_range(uint64_t len)
{
	struct pdmai_sp_msg *m;

	add_welcome();
	add_export(2);
	add(PDMAI_SP_LISTED, 2);
	m = add(PDMAI_SP_CONNECTED, 3);
	m->connect.way = PDMAI_SP_WAY_QP;
	m->connect.mtu = 5;
	m = add(PDMAI_SP_OPENED, 4);
	m->opened.handle = 5;
	m->opened.len = len;
}

static int open_region(struct pdma_region **ret)
{
	struct pdma_region_options opt = { .size = sizeof(opt), .token_file = serve_token_file() };

	return pdma_region_open(ctx, "rdma://h/ram", &opt, ret);
}

static int query(void)
{
	struct pdma_export e[2];
	unsigned n;

	return pdma_serve_query(ctx, "h", NULL, serve_token_file(), e, 2, &n);
}

static void expect_in_time(int ret, int err)
{
	assert_int_equal(ret, err);
	assert_in_range(serve_now_ns - began_ns, 0, LIMIT_NS);
}

/* Part of a message is nothing to go on with. */
static void half_a_message(void **state)
{
	add_welcome();
	add_export(2);
	server.cut = 20;
	expect_in_time(query(), -ETIMEDOUT);
}

static void a_list_without_end(void **state)
{
	add_welcome();
	add_export(2);
	server.repeat = true;
	expect_in_time(query(), -ETIMEDOUT);
}

static void an_answer_to_nothing(void **state)
{
	add_welcome();
	add_export(3);
	expect_in_time(query(), -EPROTO);
}

static void revokes_of_what_nobody_has(void **state)
{
	add_welcome();
	add_revoked(7, "x");
	server.repeat = true;
	expect_in_time(query(), -ESTALE);
}

/* In pdma_event_next(), with the lock of the context: it must return, and say what came. */
static void expect_revoked(const char *why)
{
	struct pdma_region *r;
	struct pdma_event event;

	add_range(8192);
	assert_int_equal(open_region(&r), 0);
	add_revoked(why ? 5 : 9, why ? why : "of others");
	server.repeat = true;
	assert_true(more());
	assert_int_equal(pdma_event_next(ctx, &event), 1);
	assert_int_equal(event.type, PDMA_EVENT_REGION_REVOKED);
	assert_true(event.text[0]);
	if (why && why[0])
		assert_string_equal(event.text, why);
	assert_int_equal(pdma_region_check(r), -ESTALE);
	pdma_region_close(r);
}

static void a_revoke(void **state)
{
	expect_revoked("the device was reset");
}

static void a_revoke_without_a_reason(void **state)
{
	expect_revoked("");
}

static void nonsense_unasked(void **state)
{
	expect_revoked(NULL);
}

/* Requests keep to what the server granted to the connection they take. */
static void another_length_later(void **state)
{
	struct pdma_region *r;
	char byte;

	add_range(8192);
	assert_int_equal(open_region(&r), 0);
	add_range(4096);
	assert_int_equal(pdma_region_read(r, 8000, &byte, 1), -ESTALE);
	assert_int_equal(serve_nic.asked_len, 0);
	add_range(8192);
	assert_int_equal(pdma_region_read(r, 8000, &byte, 1), 0);
	assert_int_equal(serve_nic.asked_len, 1);
	pdma_region_close(r);
}

/* As a transfer that was cut short leaves it. */
static void a_broken_connection(void **state)
{
	struct pdmai_backing *b;
	struct pdmai_remote remote;
	struct pdma_region *r;

	add_range(8192);
	assert_int_equal(open_region(&r), 0);
	b = pdmai_region_backing(r);
	assert_int_equal(b->ops->connect(b), 0);
	assert_int_equal(b->ops->remote(b, &remote), 0);
	remote.qp->state = IBV_QPS_ERR;
	assert_int_equal(b->ops->remote(b, &remote), -ENOTCONN);
	add_range(8192);
	server.hold = true;
	assert_int_equal(b->ops->connect(b), 0);
	assert_int_equal(b->ops->remote(b, &remote), 0);
	assert_int_equal(remote.qp->state, IBV_QPS_RTS);
	assert_int_equal(serve_nic.qps, 1);
	pdma_region_close(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(half_a_message),
		TEST(a_list_without_end),
		TEST(an_answer_to_nothing),
		TEST(revokes_of_what_nobody_has),
		TEST(a_revoke),
		TEST(a_revoke_without_a_reason),
		TEST(nonsense_unasked),
		TEST(another_length_later),
		TEST(a_broken_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
