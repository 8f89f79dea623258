// SPDX-License-Identifier: MIT
/*
 * Resets of the NIC while it works: what was under way leaves no trace, and the device is as new.
 * The fault point "cmd" holds commands back, so that there is something under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "tests/proto/nic_client.h"

static int up(void **state)
{
	if (n_setup(state))
		return -1;
	n_bring_up(*state);
	return 0;
}

/* Hold a command back; return a copy of what the guest's memory holds then. */
static void hold_alloc_pd(struct nicc *n, uint8_t before[64])
{
	n_fault(n, "stall");
	n_begin(n, 0x800, 0, 0);
	memcpy(before, n_write(n, 3, 16, 16), 64);
	n_set_reg(n, 0x18, 1u << 3);
}

/* From a device without driver to a working one, and the slot of before is as it was. */
static void works_again(struct nicc *n, const uint8_t before[64])
{
	assert_int_equal(n_count(n, "pd"), 0);
	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x800, 0), 0x04);
	n_bring_up(n);
	assert_int_equal(n_simple(n, 0x800, 0), 0);
	assert_memory_equal(n->ram + N_QUEUE + 3 * 64, before, 64);
	assert_int_equal(n_count(n, "pd"), 1);
}

static void flr_in_the_middle_of_a_command(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];

	hold_alloc_pd(n, before);
	n_flr(n);
	n_fault(n, "none");
	works_again(n, before);
}

static void flr_that_meets_a_delayed_command(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];
	unsigned i;

	for (i = 0; i < 10; i++) {
		hold_alloc_pd(n, before);
		n_fault(n, "none"); /* it may run now, or a moment later */
		n_flr(n);
		/* However far it came: from here on nothing changes. */
		memcpy(before, n->ram + N_QUEUE + 3 * 64, 64);
		works_again(n, before);
		n_flr(n);
		n_bring_up(n);
	}
}

static void bus_reset_in_the_middle_of_a_command(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];

	hold_alloc_pd(n, before);
	assert_int_equal(c_call(&n->c, C_RESET, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	n_ready(n);
	n_fault(n, "none");
	works_again(n, before);
}

static void client_that_goes_in_the_middle_of_a_command(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];

	hold_alloc_pd(n, before);
	n_disconnect(n);
	assert_int_equal(n_connect(n), 0);
	n_ready(n);
	n_fault(n, "none");
	works_again(n, before);
	assert_int_equal(n_reg(n, 0x14) & 0x300, 0);
}

static void power_state_resets(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];

	hold_alloc_pd(n, before);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 0x44, 3), 0); /* D3hot, and back */
	assert_int_equal(c_write16(&n->c, C_CONFIG, 0x44, 0), 0);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	n_ready(n);
	n_fault(n, "none");
	works_again(n, before);
}

static void everything_goes_at_once(void **state)
{
	struct nicc *n = *state;
	uint32_t i, uar = n_make(n, 0x802);

	for (i = 0; i < 50; i++) {
		n_make(n, 0x800);
		n_make(n, 0x80e);
		n_make(n, 0xa04);
	}
	n_begin(n, 0x301, 0, 0);
	n_put32(n, 0x1c, 6u << 24 | uar);
	n_put64(n, 0x58, 1u << 9);
	n_put64(n, 0x110, N_RAM + N_FREE);
	assert_int_equal(n_cmd(n, 0x118, 16), 0);
	assert_int_equal(n_count(n, "pd") + n_count(n, "xrcd") + n_count(n, "uctx"), 150);
	memset(n->ram + N_FREE, 0xee, 0x1000);
	n_flr(n);
	assert_int_equal(n_count(n, "pd") + n_count(n, "xrcd") + n_count(n, "uctx"), 0);
	assert_int_equal(n_count(n, "uar") + n_count(n, "eq"), 0);
	/* The port comes up again and nobody is told in the old event queue. */
	n_bring_up(n);
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
	for (i = 0; i < 0x1000; i++)
		assert_int_equal(n->ram[N_FREE + i], 0xee);
}

/* Commands rung for while the device is resetting wait or vanish; none is answered twice. */
static void resets_in_a_row(void **state)
{
	struct nicc *n = *state;
	unsigned i;

	for (i = 0; i < 50; i++) {
		n_set_queue(n);
		n_begin(n, 0x80d, 0, 0);
		n_write(n, i % 32, 16, 16);
		n_set_reg(n, 0x18, 1u << i % 32);
		assert_int_equal(c_write16(&n->c, C_CONFIG, 0x58, 0x8000), 0);
		assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	}
	n_ready(n);
	n_bring_up(n);
	assert_int_equal(n_simple(n, 0x800, 0), 0);
	assert_int_equal(n_counter(n, "resets") >= 50, 1);
}

static void commands_without_bus_mastering(void **state)
{
	struct nicc *n = *state;
	uint8_t before[64];

	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 2), 0);
	n_begin(n, 0x800, 0, 0);
	memcpy(before, n_write(n, 3, 16, 16), 64);
	n_set_reg(n, 0x18, 1u << 3);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
	assert_int_equal(n_simple(n, 0x80d, 0), 0);
	assert_true(n_count(n, "pd") == 0 || !(n->ram[N_QUEUE + 3 * 64 + 0x3f] & 1));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, up, n_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(flr_in_the_middle_of_a_command),
		T(flr_that_meets_a_delayed_command),
		T(bus_reset_in_the_middle_of_a_command),
		T(client_that_goes_in_the_middle_of_a_command),
		T(power_state_resets),
		T(everything_goes_at_once),
		T(resets_in_a_row),
		T(commands_without_bus_mastering),
	};

	return cmocka_run_group_tests_name("nic_reset", tests, NULL, NULL);
}
