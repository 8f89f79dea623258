// SPDX-License-Identifier: MIT
/* How commands reach the NIC: slots, mailboxes, and the delivery status of what is wrong there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "tests/proto/nic_client.h"

#define NOWHERE 0x7f000000u /* no memory there */

static int up(void **state)
{
	if (n_setup(state))
		return -1;
	n_bring_up(*state);
	return 0;
}

static void be32(uint8_t *p, uint32_t val)
{
	val = __builtin_bswap32(val);
	memcpy(p, &val, 4);
}

static void be64(uint8_t *p, uint64_t val)
{
	val = __builtin_bswap64(val);
	memcpy(p, &val, 8);
}

/* A MANAGE_PAGES that gives one page: it has an input mailbox, and would change something. */
static uint8_t *give_page(struct nicc *n, uint32_t in_len, uint32_t out_len)
{
	n_begin(n, 0x108, 0, 1);
	n_put32(n, 12, 1);
	n_put64(n, 16, 0x1000);
	return n_write(n, 0, in_len, out_len);
}

static uint32_t pages_wanted(struct nicc *n)
{
	n_begin(n, 0x107, 0, 2);
	assert_int_equal(n_cmd(n, 16, 16), 0);
	return n_got32(n, 12);
}

static void every_slot_works(void **state)
{
	struct nicc *n = *state;
	unsigned i;

	for (i = 0; i < 32; i++) {
		n_begin(n, 0x80d, 0, 0);
		n_write(n, i, 16, 16);
		assert_int_equal(n_ring(n, i), 0);
	}
}

static void several_slots_with_one_doorbell(void **state)
{
	struct nicc *n = *state;
	const uint8_t *s[3];
	unsigned i, tries;

	n_begin(n, 0x800, 0, 0);
	for (i = 0; i < 3; i++)
		s[i] = n_write(n, i * 7, 16, 16);
	n_set_reg(n, 0x18, 1u | 1u << 7 | 1u << 14);
	for (i = 0; i < 3; i++)
		for (tries = 0; tries < N_WAIT_MS && s[i][0x3f] & 1; tries++)
			poll(NULL, 0, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(s[i][0x3f], 0);
	assert_int_equal(n_count(n, "pd"), 3);
}

static void slot_that_is_not_the_devices_stays(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64], *s;

	n_begin(n, 0x800, 0, 0);
	s = n_write(n, 1, 16, 16);
	s[0x3f] = 0;
	memcpy(before, s, 64);
	n_set_reg(n, 0x18, 2);
	/* Commands run in order of slots: when this one is answered that one was looked at. */
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
	assert_memory_equal(s, before, 64);
	assert_int_equal(n_count(n, "pd"), 0);
}

static void bad_slots(void **state)
{
	struct nicc *n = *state;
	uint8_t *s;

	s = give_page(n, 24, 16);
	s[0] = 6;
	assert_int_equal(n_ring(n, 0), 0x10);
	s = give_page(n, 24, 16);
	be32(s + 4, 7);
	assert_int_equal(n_ring(n, 0), 0x7);
	s = give_page(n, 24, 16);
	be32(s + 4, (64u << 20) + 1);
	assert_int_equal(n_ring(n, 0), 0x7);
	s = give_page(n, 24, 16);
	be32(s + 0x38, 7);
	assert_int_equal(n_ring(n, 0), 0x8);
	s = give_page(n, 24, 16);
	be32(s + 0x38, 0xffffffff);
	assert_int_equal(n_ring(n, 0), 0x8);
	assert_int_equal(pages_wanted(n), 64);
}

static void bad_input_mailboxes(void **state)
{
	struct nicc *n = *state;
	uint8_t *s;

	s = give_page(n, 24, 16);
	be64(s + 8, 0);
	assert_int_equal(n_ring(n, 0), 0x5);
	s = give_page(n, 24, 16);
	be64(s + 8, N_RAM + N_IN(0) + 256);
	assert_int_equal(n_ring(n, 0), 0x5);
	s = give_page(n, 24, 16);
	be64(s + 8, NOWHERE);
	assert_int_equal(n_ring(n, 0), 0x6);
	give_page(n, 24, 16);
	n->ram[N_IN(0) + 0x23d]++;
	assert_int_equal(n_ring(n, 0), 0x2);
	give_page(n, 24, 16);
	n->ram[N_IN(0) + 0x23b] = 1;
	assert_int_equal(n_ring(n, 0), 0x3);
	/* The second of two. */
	give_page(n, 16 + 512 + 8, 16);
	be64(n->ram + N_IN(0) + 0x230, 0);
	assert_int_equal(n_ring(n, 0), 0x5);
	give_page(n, 16 + 512 + 8, 16);
	n->ram[N_IN(1) + 0x23b] = 0;
	assert_int_equal(n_ring(n, 0), 0x3);
	/* A chain that comes back to its first box. */
	give_page(n, 16 + 2 * 512, 16);
	be64(n->ram + N_IN(0) + 0x230, N_RAM + N_IN(0));
	assert_int_equal(n_ring(n, 0), 0x3);
	assert_int_equal(pages_wanted(n), 64);
}

/* Looked at before the command runs: nothing is done that could not be told. */
static void bad_output_mailboxes(void **state)
{
	struct nicc *n = *state;
	uint8_t *s;

	s = give_page(n, 24, 32);
	be64(s + 0x30, 0);
	assert_int_equal(n_ring(n, 0), 0x4);
	s = give_page(n, 24, 32);
	be64(s + 0x30, N_RAM + N_OUT(0) + 64);
	assert_int_equal(n_ring(n, 0), 0x4);
	s = give_page(n, 24, 32);
	be64(s + 0x30, NOWHERE);
	assert_int_equal(n_ring(n, 0), 0x6);
	give_page(n, 24, 32);
	n->ram[N_OUT(0) + 0x23d] ^= 0x80;
	assert_int_equal(n_ring(n, 0), 0x2);
	give_page(n, 24, 16 + 2 * 512);
	n->ram[N_OUT(1) + 0x23b] = 7;
	assert_int_equal(n_ring(n, 0), 0x3);
	assert_int_equal(pages_wanted(n), 64);
	/* The same command, right. */
	give_page(n, 24, 16 + 2 * 512);
	assert_int_equal(n_ring(n, 0), 0);
	assert_int_equal(pages_wanted(n), 63);
}

/* The answer fills its part of a mailbox and leaves what tells the next. */
static void long_answer(void **state)
{
	struct nicc *n = *state;
	uint8_t tail[64];

	n_begin(n, 0x762, 0, 0);
	n_write(n, 0, 16, 528);
	memcpy(tail, n->ram + N_OUT(0) + 512, 64);
	memset(n->ram + N_OUT(0) + 576, 0xee, 448);
	assert_int_equal(n_ring(n, 0), 0);
	assert_memory_equal(n->ram + N_OUT(0) + 512, tail, 64);
	assert_int_equal(n->ram[N_OUT(0) + 576], 0xee);
}

/* Neither inline nor in mailboxes does a failed command show more than status and syndrome. */
static void failed_answer_is_empty(void **state)
{
	static const uint8_t none[504];
	struct nicc *n = *state;

	n_begin(n, 0x50b, 0, 0);
	n_put32(n, 8, 0x777);
	n_write(n, 0, 16, 512);
	memset(n->ram + N_OUT(0), 0xee, 496);
	assert_int_equal(n_ring(n, 0), 0);
	memcpy(n->out, n->ram + N_QUEUE + 0x20, 16);
	memcpy(n->out + 16, n->ram + N_OUT(0), 496);
	assert_int_equal(n->out[0], 0x05);
	assert_memory_equal(n->out + 8, none, 504);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, up, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_slot_works),
		T(several_slots_with_one_doorbell),
		T(slot_that_is_not_the_devices_stays),
		T(bad_slots),
		T(bad_input_mailboxes),
		T(bad_output_mailboxes),
		T(long_answer),
		T(failed_answer_is_empty),
	};

	return cmocka_run_group_tests_name("nic_delivery", tests, NULL, NULL);
}
