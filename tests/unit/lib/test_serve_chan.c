// SPDX-License-Identifier: MIT
/* Control channels over a socket pair: tokens, messages, peers that misbehave. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/serve/chan.h"

#define KEY   "00112233445566778899aabbccddeeff"
#define OTHER "00112233445566778899aabbccddeefe"

struct pair {
	struct pdmai_tokens tokens[2];
	struct pdmai_chan_keys keys[2];
	struct pdmai_chan *chan[2]; /* client, server */
	int fd[2];		    /* the same; not to be closed */
};

static void load(struct pair *p, int i, const char *text)
{
	char *copy = strdup(text);

	assert_int_equal(pdmai_tokens_parse(copy, "file", &p->tokens[i]), 0);
	assert_int_equal(pdmai_chan_keys_init(&p->keys[i], &p->tokens[i], i == 1), 0);
	free(copy);
}

static void set_up(struct pair *p, const char *client, const char *server)
{
	load(p, 0, client);
	load(p, 1, server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fd),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pdmai_chan_create(&p->keys[i], p->fd[i], &p->chan[i]), 0);
}

static void drop(struct pair *p, int i)
{
	pdmai_chan_destroy(p->chan[i]);
	p->chan[i] = NULL;
}

static void tear_down(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		pdmai_chan_destroy(p->chan[i]);
		pdmai_chan_keys_clear(&p->keys[i]);
		pdmai_tokens_clear(&p->tokens[i]);
	}
}

/* Both in turn until neither goes on. Return: what came of each in ret. */
static void shake(struct pair *p, int ret[2])
{
	ret[0] = ret[1] = 0;
	for (int turn = 0; turn < 20; turn++)
		for (int i = 0; i < 2; i++)
			if (!ret[i])
				ret[i] = pdmai_chan_shake(p->chan[i]);
}

static void ready(struct pair *p)
{
	int ret[2];

	set_up(p, "me:" KEY, "you:" OTHER "\nme:" KEY);
	shake(p, ret);
	assert_int_equal(ret[0], 1);
	assert_int_equal(ret[1], 1);
}

static void token_is_proven(void **state)
{
	struct pair p;

	ready(&p);
	assert_string_equal(pdmai_chan_token(p.chan[1]), "me");
	tear_down(&p);
}

static void expect_refused(const char *client, const char *server)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_PING };
	struct pair p;
	int ret[2];

	set_up(&p, client, server);
	shake(&p, ret);
	assert_int_equal(ret[1], -EACCES);
	assert_string_equal(pdmai_chan_token(p.chan[1]), "");
	drop(&p, 1);
	/* The client knows at the latest when it wants to hear something. */
	if (ret[0] >= 0)
		ret[0] = pdmai_chan_shake(p.chan[0]);
	if (ret[0] > 0)
		ret[0] = pdmai_chan_recv(p.chan[0], &m);
	assert_true(ret[0] < 0);
	tear_down(&p);
}

static void wrong_key(void **state)
{
	expect_refused("me:" KEY, "me:" OTHER);
}

static void unknown_name(void **state)
{
	expect_refused("you:" KEY, "me:" KEY);
}

static void messages_both_ways(void **state)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_CLOSE }, got;
	struct pair p;

	ready(&p);
	for (unsigned i = 0; i < 200; i++) {
		m.tag = (uint16_t)i;
		m.close.handle = i * 77;
		assert_int_equal(pdmai_chan_send(p.chan[i % 2], &m), 0);
		assert_int_equal(pdmai_chan_recv(p.chan[!(i % 2)], &got), 1);
		assert_int_equal(got.tag, i);
		assert_int_equal(got.close.handle, i * 77);
		assert_int_equal(pdmai_chan_recv(p.chan[!(i % 2)], &got), 0);
	}
	drop(&p, 0);
	assert_int_equal(pdmai_chan_recv(p.chan[1], &got), -ECONNRESET);
	tear_down(&p);
}

/* Many in one record: those that poll() does not show are not forgotten. */
static void pending_is_seen(void **state)
{
	uint8_t bytes[40 * PDMAI_SP_HEAD];
	struct pdmai_sp_msg m = { .type = PDMAI_SP_PING };
	struct pair p;

	ready(&p);
	for (int i = 0; i < 40; i++)
		assert_int_equal(pdmai_sp_encode(&m, bytes + i * PDMAI_SP_HEAD), PDMAI_SP_HEAD);
	assert_int_equal(gnutls_record_send(p.chan[0]->tls, bytes, sizeof(bytes)), sizeof(bytes));
	for (int i = 0; i < 40; i++) {
		assert_int_equal(pdmai_chan_recv(p.chan[1], &m), 1);
		assert_int_equal(pdmai_chan_pending(p.chan[1]), i < 39);
	}
	assert_int_equal(pdmai_chan_recv(p.chan[1], &m), 0);
	tear_down(&p);
}

/* What is there of it does not help to go on: waiting waits, and comes to its end. */
static void half_a_message(void **state)
{
	static const uint8_t head[PDMAI_SP_HEAD + 1] = { 0, 0, 0, 4, 0, PDMAI_SP_CLOSE };
	struct pdmai_sp_msg m;
	struct pair p;

	ready(&p);
	assert_int_equal(gnutls_record_send(p.chan[0]->tls, head, sizeof(head)), sizeof(head));
	assert_int_equal(pdmai_chan_recv(p.chan[1], &m), 0);
	assert_false(pdmai_chan_pending(p.chan[1]));
	assert_int_equal(pdmai_chan_wait(p.chan[1], 0), -ETIMEDOUT);
	tear_down(&p);
}

static void nonsense_inside(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0 };
	struct pdmai_sp_msg m;
	struct pair p;

	ready(&p);
	assert_int_equal(gnutls_record_send(p.chan[0]->tls, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(pdmai_chan_recv(p.chan[1], &m), -EBADMSG);
	tear_down(&p);
}

/* No TLS at all, before and after the handshake. */
static void nonsense_outside(void **state)
{
	static const char bytes[] = "GET / HTTP/1.1\r\n\r\n";
	struct pdmai_sp_msg m;
	struct pair p;
	int ret;

	set_up(&p, "me:" KEY, "me:" KEY);
	assert_int_equal(write(p.fd[0], bytes, sizeof(bytes)), sizeof(bytes));
	ret = pdmai_chan_shake(p.chan[1]);
	assert_true(ret == -EPROTO || ret == -EACCES);
	tear_down(&p);

	ready(&p);
	assert_int_equal(write(p.fd[0], bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(pdmai_chan_recv(p.chan[1], &m), -ECONNRESET);
	tear_down(&p);
}

/* A peer that never reads costs a bounded buffer. */
static void peer_that_does_not_read(void **state)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_GOODBYE };
	struct pair p;
	int ret = 0, sent = 0;

	memset(m.goodbye.text, 'x', sizeof(m.goodbye.text) - 1);
	ready(&p);
	for (; !ret && sent < 100000; sent++)
		ret = pdmai_chan_send(p.chan[1], &m);
	assert_int_equal(ret, -ENOBUFS);
	assert_in_range(p.chan[1]->out_len, 1, PDMAI_CHAN_OUT);
	/* What was taken arrives whole and in order once it reads again. */
	for (int i = 0; i < sent - 1; i++) {
		while (!(ret = pdmai_chan_recv(p.chan[0], &m)))
			assert_int_equal(pdmai_chan_flush(p.chan[1]), 0);
		assert_int_equal(ret, 1);
		assert_int_equal(m.type, PDMAI_SP_GOODBYE);
	}
	tear_down(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_is_proven),  cmocka_unit_test(wrong_key),
		cmocka_unit_test(unknown_name),	    cmocka_unit_test(messages_both_ways),
		cmocka_unit_test(pending_is_seen),  cmocka_unit_test(nonsense_inside),
		cmocka_unit_test(nonsense_outside), cmocka_unit_test(peer_that_does_not_read),
		cmocka_unit_test(half_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
