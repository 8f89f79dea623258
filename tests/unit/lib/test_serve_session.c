// SPDX-License-Identifier: MIT
/*
 * Sessions of a server, message by message, over fakes of the TLS layer and the RDMA device: what a
 * client is given, what it is refused, and that nothing of it stays.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/lib/serve_rig.h"

static struct serve_rig rig;

static int open_rig(void **state)
{
	serve_rig_open(&rig);
	return 0;
}

static int close_rig(void **state)
{
	serve_rig_close(&rig);
	assert_true(LIST_EMPTY(&serve_nic.keys));
	assert_int_equal(serve_nic.pds + serve_nic.qps + serve_nic.cqs + serve_nic.ids, 0);
	return 0;
}

static void run(void)
{
	serve_rig_run(&rig, false);
	assert_null(serve_rig_broken(&rig));
}

static void say(unsigned peer, struct pdmai_sp_msg *m)
{
	uint8_t frame[PDMAI_SP_FRAME];
	int len = pdmai_sp_encode(m, frame);

	assert_true(len > 0);
	serve_rig_send(&rig, peer, frame, (size_t)len);
}

/* Say it, and take the answer, which must be of that type. */
static struct pdmai_sp_msg ask(struct pdmai_sp_msg *m, unsigned type)
{
	struct pdmai_sp_msg got = { .type = 0 };

	m->tag++;
	say(0, m);
	run();
	assert_true(serve_rig_recv(&rig, 0, &got) > 0);
	assert_int_equal(got.type, type);
	assert_int_equal(got.tag, m->tag);
	return got;
}

static void prove(unsigned peer)
{
	static const uint8_t proof = SERVE_PROOF;

	serve_rig_connect(&rig, peer);
	serve_rig_send(&rig, peer, &proof, 1);
}

static void greet(void)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_HELLO };

	m.hello.min = m.hello.max = PDMAI_SP_VERSION;
	prove(0);
	ask(&m, PDMAI_SP_WELCOME);
}

static struct pdmai_sp_msg connect_by(uint8_t way)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_CONNECT };

	m.connect.way = way;
	m.connect.mtu = 5;
	m.connect.lid = 3;
	return ask(&m, PDMAI_SP_CONNECTED);
}

static struct pdmai_sp_msg open_msg(enum serve_export e, uint64_t off, uint64_t len, uint8_t rights)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_OPEN };

	m.open.off = off;
	m.open.len = len;
	m.open.rights = rights;
	snprintf(m.open.name, sizeof(m.open.name), "%s", serve_names[e]);
	return m;
}

static void expect_refused(struct pdmai_sp_msg m, enum pdmai_sp_code code)
{
	assert_int_equal(ask(&m, PDMAI_SP_ERROR).error.code, code);
	assert_true(LIST_EMPTY(&serve_nic.keys));
}

static void ranges_at_the_edges(void **state)
{
	const uint64_t len = rig.len[SERVE_VAST];

	greet();
	connect_by(PDMAI_SP_WAY_QP);
	expect_refused(open_msg(SERVE_VAST, len, 0, 1), PDMAI_SP_E_RANGE);
	expect_refused(open_msg(SERVE_VAST, len - 1, 2, 1), PDMAI_SP_E_RANGE);
	expect_refused(open_msg(SERVE_VAST, 1, UINT64_MAX, 1), PDMAI_SP_E_RANGE);
	expect_refused(open_msg(SERVE_VAST, UINT64_MAX, 2, 1), PDMAI_SP_E_RANGE);
	expect_refused(open_msg(SERVE_VAST, 0 - 4096ull, 4097, 1), PDMAI_SP_E_RANGE);
	expect_refused(open_msg(SERVE_ROM, 0, 1, 3), PDMAI_SP_E_RIGHTS);
	expect_refused(open_msg(SERVE_RAM, 0, 1, 0), PDMAI_SP_E_MESSAGE);
	expect_refused(open_msg(SERVE_RAM, 0, 1, 4), PDMAI_SP_E_MESSAGE);
}

static void a_key_ends_with_its_range(void **state)
{
	struct pdmai_sp_msg m = open_msg(SERVE_ODD, 1, 0, 3), got;
	struct pdmai_sp_msg end = { .type = PDMAI_SP_CLOSE };

	greet();
	connect_by(PDMAI_SP_WAY_QP);
	got = ask(&m, PDMAI_SP_OPENED);
	assert_int_equal(got.opened.len, rig.len[SERVE_ODD] - 1);
	assert_false(LIST_EMPTY(&serve_nic.keys));
	end.close.handle = got.opened.handle;
	ask(&end, PDMAI_SP_CLOSED);
	assert_true(LIST_EMPTY(&serve_nic.keys));
	assert_int_equal(ask(&end, PDMAI_SP_ERROR).error.code, PDMAI_SP_E_NAME);
}

/* Bytes before the proof are no messages, whatever they look like. */
static void nothing_before_the_proof(void **state)
{
	struct pdmai_sp_msg m = { .type = PDMAI_SP_HELLO }, got;

	serve_rig_connect(&rig, 0);
	m.hello.min = m.hello.max = PDMAI_SP_VERSION;
	say(0, &m);
	run();
	assert_int_equal(serve_rig_recv(&rig, 0, &got), 0);
	assert_true(rig.peer[0].shut);
}

/* A cookie is of no use once its client is connected: that would be a second queue pair. */
static void cookie_after_numbers(void **state)
{
	struct pdmai_sp_msg cookie, m = open_msg(SERVE_RAM, 0, 0, 3);
	struct pdma_serve_stats stats = { .size = sizeof(stats) };

	greet();
	cookie = connect_by(PDMAI_SP_WAY_CM);
	connect_by(PDMAI_SP_WAY_QP);
	ask(&m, PDMAI_SP_OPENED);
	serve_cm_request(cookie.connect.cookie, sizeof(cookie.connect.cookie));
	run();
	assert_int_equal(serve_nic.qps, 1);
	pdma_serve_get_stats(rig.serve, &stats);
	assert_int_equal(stats.denied, 1);
}

static void cookie_works_once(void **state)
{
	struct pdmai_sp_msg cookie, m = open_msg(SERVE_RAM, 0, 0, 3);

	greet();
	cookie = connect_by(PDMAI_SP_WAY_CM);
	serve_cm_request(cookie.connect.cookie, 15);
	run();
	assert_int_equal(serve_nic.qps, 0);
	for (int i = 0; i < 2; i++) {
		serve_cm_request(cookie.connect.cookie, sizeof(cookie.connect.cookie));
		run();
		assert_int_equal(serve_nic.qps, 1);
	}
	ask(&m, PDMAI_SP_OPENED);
}

static void a_client_that_leaves(void **state)
{
	struct pdmai_sp_msg m = open_msg(SERVE_RAM, 0, 0, 3);

	greet();
	connect_by(PDMAI_SP_WAY_QP);
	ask(&m, PDMAI_SP_OPENED);
	serve_rig_hang_up(&rig, 0);
	run();
	assert_true(LIST_EMPTY(&serve_nic.keys));
	assert_int_equal(serve_nic.pds, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_at_the_edges),  TEST(a_key_ends_with_its_range),
		TEST(cookie_after_numbers), TEST(nothing_before_the_proof),
		TEST(cookie_works_once),    TEST(a_client_that_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
