// SPDX-License-Identifier: MIT
/*
 * What a broken or hostile client sends. After each attack the server serves a fresh client and
 * holds no descriptor more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/proto/server.h"
#include "tests/proto/vfu_client.h"

#define PG   4096u
#define IOVA UINT64_C(0x700000000)

struct fix {
	struct server s;
	struct client c;
	unsigned fds;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	*state = f;
	if (server_start(&f->s) || c_connect(&f->c, f->s.path) || c_hello(&f->c))
		return -1;
	f->fds = server_fds(&f->s);
	return 0;
}

/* A fresh client is served only after the old one was cleaned up: no waiting needed. */
static void renew(struct fix *f)
{
	uint64_t old = 1;

	if (f->c.fd >= 0)
		c_close(&f->c);
	assert_int_equal(c_connect(&f->c, f->s.path), 0);
	assert_int_equal(c_hello(&f->c), 0);
	assert_int_equal(c_read(&f->c, 0, S_SCRATCH, &old, 8), 0);
	assert_int_equal(old, 0);
	assert_int_equal(c_write64(&f->c, 0, S_SCRATCH, 7), 0);
	assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), 7);
	assert_int_equal(server_windows(&f->s), 0);
	assert_int_equal(server_fds(&f->s), f->fds);
}

static int teardown(void **state)
{
	struct fix *f = *state;
	int err;

	c_close(&f->c);
	err = server_stop(&f->s);
	free(f);
	return err;
}

static void bad_headers_end_the_connection(void **state)
{
	static const struct c_header bad[] = {
		{ 1, C_GET_INFO, 15, 0, 0 },	     { 1, C_GET_INFO, 0, 0, 0 },
		{ 1, C_GET_INFO, UINT32_MAX, 0, 0 }, { 1, C_GET_INFO, C_MAX_MSG + 1, 0, 0 },
		{ 1, C_GET_INFO, 16, 2, 0 },	     { 1, C_GET_INFO, 16, 15, 0 },
	};
	struct fix *f = *state;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(c_send_bytes(&f->c, &bad[i], sizeof(bad[i]), NULL, 0), 0);
		assert_true(c_at_end(&f->c));
		renew(f);
	}
}

static void unknown_commands(void **state)
{
	struct fix *f = *state;
	static const uint16_t cmds[] = { 0, 6, 11, 12, 14, 16, 255, 65535 };
	unsigned i;

	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		assert_int_equal(c_call(&f->c, cmds[i], "x", 1, NULL, 0, NULL), EOPNOTSUPP);
	assert_int_equal(server_bad_messages(&f->s), i);
	renew(f);
}

/* Every command with every short payload, and with more than it wants. */
static void wrong_lengths(void **state)
{
	struct fix *f = *state;
	uint8_t zero[128] = { 0 };
	uint16_t cmd;
	size_t len;

	for (cmd = 2; cmd <= 16; cmd++) {
		if (cmd == C_RESET)
			continue;
		for (len = 0; len < sizeof(zero); len++)
			assert_true(c_call(&f->c, cmd, zero, len, NULL, 0, NULL) >= 0);
	}
	renew(f);
}

static void descriptors_with_everything(void **state)
{
	struct fix *f = *state;
	uint8_t zero[64] = { 0 };
	int fds[17];
	uint16_t cmd;
	unsigned i;

	for (i = 0; i < 17; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (cmd = 2; cmd <= 16; cmd++)
		for (i = 1; i <= 16; i++)
			assert_true(c_call(&f->c, cmd, zero, 32, fds, i, NULL) >= 0);
	/* The fds of a command are closed after its answer, but before the next command. */
	assert_int_equal(c_read(&f->c, 0, S_SCRATCH, zero, 8), 0);
	assert_int_equal(server_fds(&f->s), f->fds);
	renew(f);
	/* One too many. */
	assert_true(c_send(&f->c, C_GET_INFO, 0, zero, 16, fds, 17) >= 0);
	assert_true(c_at_end(&f->c));
	renew(f);
	/* In two pieces of one message. */
	assert_int_equal(c_send_bytes(&f->c, "\1\0\4\0\x20\0\0\0", 8, fds, 1), 0);
	assert_int_equal(c_send_bytes(&f->c, zero, 8, fds, 1), 0);
	assert_true(c_at_end(&f->c));
	renew(f);
	for (i = 0; i < 17; i++)
		close(fds[i]);
}

/* A reply's descriptors must not become those of the next command. */
static void unasked_replies(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(PG, true);
	uint64_t map[4] = { 32 | UINT64_C(3) << 32, 0, IOVA, 2 * PG };
	unsigned i;

	for (i = 0; i < 100; i++)
		assert_true(c_send(&f->c, C_DMA_READ, C_REPLY | (i % 2 ? C_ERROR : 0), map, i % 33,
				   &fd, i % 3 == 0) >= 0);
	/* With the file it would be too long; without one it is good. */
	assert_true(c_send(&f->c, C_DMA_READ, C_REPLY, map, 16, &fd, 1) >= 0);
	assert_int_equal(c_call(&f->c, C_DMA_MAP, map, sizeof(map), NULL, 0, NULL), 0);
	assert_int_equal(server_fds(&f->s), f->fds);
	close(fd);
	renew(f);
}

static void cut_off_anywhere(void **state)
{
	struct fix *f = *state;
	struct {
		struct c_header h;
		uint64_t map[4];
	} m = { { 1, C_DMA_MAP, 48, 0, 0 }, { 32 | UINT64_C(3) << 32, 0, IOVA, PG } };
	int fd = c_memfd(PG, true);
	size_t n;

	for (n = 1; n < sizeof(m); n++) {
		assert_int_equal(c_send_bytes(&f->c, &m, n, &fd, 1), 0);
		renew(f);
	}
	/* Sent byte by byte it is a message all the same. */
	for (n = 0; n < sizeof(m); n++)
		assert_int_equal(c_send_bytes(&f->c, (uint8_t *)&m + n, 1, &fd, n == 0), 0);
	assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), 0xdeaddeaddeaddead);
	assert_int_equal(server_windows(&f->s), 1);
	close(fd);
	renew(f);
}

/* Half a message and silence: only this connection waits, control goes on. */
static void half_a_message(void **state)
{
	struct fix *f = *state;
	struct c_header h = { 1, C_REGION_WRITE, C_MAX_MSG, 0, 0 };

	assert_int_equal(c_send_bytes(&f->c, &h, sizeof(h), NULL, 0), 0);
	assert_int_equal(c_send_bytes(&f->c, "1234567", 7, NULL, 0), 0);
	server_reset(&f->s);
	assert_int_equal(server_fds(&f->s), f->fds);
	shutdown(f->c.fd, SHUT_WR);
	assert_true(c_at_end(&f->c));
	renew(f);
}

static void no_room_for_descriptors(void **state)
{
	struct fix *f = *state;
	int fds[16], fd = c_memfd(PG, true);
	uint64_t map[4] = { 32 | UINT64_C(3) << 32, 0, IOVA, PG };
	unsigned i;

	for (i = 0; i < 16; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	server_limit_fds(&f->s, 0);
	assert_true(c_send(&f->c, C_DMA_MAP, 0, map, sizeof(map), &fd, 1) >= 0);
	assert_true(c_at_end(&f->c));
	server_limit_fds(&f->s, S_ANY_FDS);
	renew(f);
	server_limit_fds(&f->s, 5);
	assert_true(c_send(&f->c, C_SET_IRQS, 0, map, 20, fds, 16) >= 0);
	assert_true(c_at_end(&f->c));
	server_limit_fds(&f->s, S_ANY_FDS);
	renew(f);
	/* No room to accept: the client waits in the queue until there is. */
	c_close(&f->c);
	server_limit_fds(&f->s, 0);
	assert_int_equal(c_connect(&f->c, f->s.path), 0);
	server_limit_fds(&f->s, S_ANY_FDS);
	assert_int_equal(c_hello(&f->c), 0);
	renew(f);
	for (i = 0; i < 16; i++)
		close(fds[i]);
	close(fd);
}

static void floods(void **state)
{
	struct fix *f = *state;
	uint8_t junk[40] = { 0 };
	uint64_t i;

	for (i = 0; i < 50000; i++)
		assert_int_equal(c_post(&f->c, 0, S_SCRATCH, &i, 8), 0);
	assert_int_equal(c_read64(&f->c, 0, S_WRITES), 50000);
	for (i = 0; i < 20000; i++)
		assert_true(c_send(&f->c, (uint16_t)(i % 20 + 2), C_NO_REPLY, junk, i % 40, NULL,
				   0) >= 0);
	assert_int_equal(c_get_info(&f->c), 0);
	renew(f);
}

/* Requests without end, replies never read: the server's thread is stuck until the client goes. */
static void replies_never_read(void **state)
{
	struct fix *f = *state;
	struct {
		uint64_t off;
		uint32_t region, count;
	} a = { 0, 2, PG };
	unsigned i;
	int fl;

	assert_int_equal(c_map(&f->c, IOVA, PG, 3, -1, 0), 0);
	assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
	assert_int_equal(c_write64(&f->c, 0, S_ADDR, IOVA), 0);
	assert_int_equal(c_write64(&f->c, 0, S_LEN, 8), 0);
	fl = fcntl(f->c.fd, F_GETFL);
	assert_int_equal(fcntl(f->c.fd, F_SETFL, fl | O_NONBLOCK), 0);
	for (i = 0; i < 100000; i++)
		if (c_send(&f->c, C_REGION_READ, 0, &a, sizeof(a), NULL, 0) < 0)
			break;
	assert_true(i < 100000);
	/* Neither control nor a reset depends on that client. */
	server_reset(&f->s);
	renew(f);
}

/* The same while a worker waits for an answer, and then wants to ask again. */
static void deaf_while_a_worker_waits(void **state)
{
	struct fix *f = *state;
	uint64_t go = 2;
	unsigned i;

	for (i = 0; i < 10; i++) {
		assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, -1, 0), 0);
		assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
		assert_int_equal(c_write64(&f->c, 0, S_ADDR, IOVA), 0);
		assert_int_equal(c_write64(&f->c, 0, S_LEN, 64 * PG), 0);
		assert_int_equal(c_post(&f->c, 0, S_GO, &go, 8), 0);
		server_reset(&f->s);
		renew(f);
	}
}

static void connects_and_goes(void **state)
{
	struct fix *f = *state;
	unsigned i;

	c_close(&f->c);
	for (i = 0; i < 300; i++) {
		assert_int_equal(c_connect(&f->c, f->s.path), 0);
		if (i % 3 == 1)
			assert_true(c_send(&f->c, C_VERSION, 0, "\0\0\0\0", 4, NULL, 0) >= 0);
		if (i % 3 == 2)
			assert_int_equal(c_hello(&f->c), 0);
		c_close(&f->c);
	}
	renew(f);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bad_headers_end_the_connection),
		T(unknown_commands),
		T(wrong_lengths),
		T(descriptors_with_everything),
		T(unasked_replies),
		T(cut_off_anywhere),
		T(half_a_message),
		T(no_room_for_descriptors),
		T(floods),
		T(replies_never_read),
		T(deaf_while_a_worker_waits),
		T(connects_and_goes),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
