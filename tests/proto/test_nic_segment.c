// SPDX-License-Identifier: MIT
/* The NIC's function and initialization segment, before and after a driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "tests/proto/nic_client.h"

static void identity(void **state)
{
	struct nicc *n = *state;
	struct client *c = &n->c;

	assert_int_equal(c_read32(c, C_CONFIG, 0x00), 0x101915b3);
	assert_int_equal(c_read32(c, C_CONFIG, 0x08) >> 8, 0x020700);
	/* 32 MiB, 64-bit, prefetchable */
	assert_int_equal(c_write(c, C_CONFIG, 0x10, "\xff\xff\xff\xff", 4), 0);
	assert_int_equal(c_read32(c, C_CONFIG, 0x10), 0xfe00000c);
	/* 64 vectors; their table at 0x2000 of BAR0, pending bits at 0x3000 */
	assert_int_equal(c_read32(c, C_CONFIG, 0x90) & 0x07ff00ff, 0x003f0011);
	assert_int_equal(c_read32(c, C_CONFIG, 0x94), 0x2000);
	assert_int_equal(c_read32(c, C_CONFIG, 0x98), 0x3000);
}

static void constants_of_the_segment(void **state)
{
	static const uint32_t zero[] = {
		0x08, 0x0c, 0x18, 0x1c, 0x100, 0x1fc, 0xffc, 0x1008, 0x1ffc
	};
	struct nicc *n = *state;
	unsigned i;

	assert_int_equal(n_reg(n, 0x04) >> 16, 5);
	assert_int_equal(n_reg(n, 0x10), 0);
	assert_int_equal(n_reg(n, 0x14), 0x56);
	assert_int_not_equal(n_reg(n, 0x230), 0);
	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		assert_int_equal(n_reg(n, zero[i]), 0);
}

static void queue_address(void **state)
{
	struct nicc *n = *state;

	n_set_reg(n, 0x10, 0x12345678);
	n_set_reg(n, 0x14, 0x9abcdfff);
	assert_int_equal(n_reg(n, 0x10), 0x12345678);
	assert_int_equal(n_reg(n, 0x14), 0x9abcd056);
	n_flr(n);
	assert_int_equal(n_reg(n, 0x10), 0);
	/* Bits 9:8 read 1: there was a queue. Until an address is written. */
	assert_int_equal(n_reg(n, 0x14), 0x156);
	n_set_reg(n, 0x14, (uint32_t)N_RAM);
	assert_int_equal(n_reg(n, 0x14), (uint32_t)N_RAM | 0x56);
	n_flr(n);
	assert_int_equal(n_reg(n, 0x14), 0x156);
	/* A bus reset is the machine's beginning. */
	n_set_reg(n, 0x14, (uint32_t)N_RAM);
	assert_int_equal(c_call(&n->c, C_RESET, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	n_ready(n);
	assert_int_equal(n_reg(n, 0x14), 0x56);
}

/* Without a queue address a doorbell finds nothing at address 0 and harms nothing. */
static void command_doorbell_without_a_queue(void **state)
{
	struct nicc *n = *state;

	n_set_reg(n, 0x18, 0xffffffff);
	n_bring_up(n);
	assert_int_equal(n_simple(n, 0x800, 0), 0);
}

static void timer_and_health_go_on(void **state)
{
	struct nicc *n = *state;
	uint32_t beat = n_reg(n, 0x1010), low = n_reg(n, 0x1004), i;

	for (i = 0; i < N_WAIT_MS && n_reg(n, 0x1010) == beat; i++)
		poll(NULL, 0, 1);
	assert_in_range((n_reg(n, 0x1010) - beat) & 0xffffff, 1, N_WAIT_MS / 10);
	assert_int_not_equal(n_reg(n, 0x1004), low);
	assert_int_equal(n_reg(n, 0x1010) >> 24, 0);
}

static void writes_elsewhere_are_counted_and_ignored(void **state)
{
	struct nicc *n = *state;
	uint64_t before = n_counter(n, "bad_mmio");
	static const uint8_t odd[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	n_set_reg(n, 0x00, 0xffffffff);
	n_set_reg(n, 0x1010, 0);
	assert_int_equal(c_write(&n->c, 0, 0x13, odd, 1), 0);
	assert_int_equal(c_write(&n->c, 0, 0x16, odd, 2), 0);
	assert_int_equal(c_write(&n->c, 0, 0x1a, odd, 4), 0);
	assert_int_equal(n_counter(n, "bad_mmio") - before, 5);
	assert_int_equal(n_reg(n, 0x04) >> 16, 5);
	assert_int_equal(n_reg(n, 0x14), 0x56);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, n_setup, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identity),
		T(constants_of_the_segment),
		T(queue_address),
		T(command_doorbell_without_a_queue),
		T(timer_and_health_go_on),
		T(writes_elsewhere_are_counted_and_ignored),
	};

	return cmocka_run_group_tests_name("nic_segment", tests, NULL, NULL);
}
