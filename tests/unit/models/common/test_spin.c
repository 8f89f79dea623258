// SPDX-License-Identifier: MIT
/* Spinning before a sleep: bounded, rarer when in vain, and not at all on a busy machine. */
#include "tests/unit/models/common/testdev.h"

#include <pthread.h>
#include <sched.h>

#include "models/common/spin.h"

#define LIMIT_NS 200000u
#define STEP_NS	 1000u

/* Length of one spin that finds nothing, by a clock of our own. */
static uint64_t spin_in_vain(struct mdl_spin *s, uint64_t *now)
{
	uint64_t start = *now;

	while (mdl_spin_again(s, *now)) {
		*now += STEP_NS;
		assert_true(*now - start <= LIMIT_NS);
	}
	return *now - start;
}

static void spins_in_vain_get_shorter(void **state)
{
	uint64_t now = 1000000000, last;
	struct mdl_spin s;
	unsigned i;

	mdl_spin_init(&s);
	for (i = 0; i < 20; i++)
		last = spin_in_vain(&s, &now);
	assert_true(last <= 2 * STEP_NS);
}

static void *burn(void *arg)
{
	atomic_int *stop = arg;

	atomic_fetch_add(stop, 2);
	while (!(atomic_load(stop) & 1))
		;
	return NULL;
}

static void busy_machine_does_not_spin(void **state)
{
	pthread_t thread[CPU_SETSIZE];
	atomic_int stop = 0;
	struct mdl_spin s;
	cpu_set_t set;
	int i, n;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	n = CPU_COUNT(&set);
	for (i = 0; i < n; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, burn, &stop), 0);
	while (atomic_load(&stop) < 2 * n)
		sched_yield();
	mdl_spin_init(&s);
	assert_false(mdl_spin_again(&s, 1000000000));
	atomic_fetch_or(&stop, 1);
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spins_in_vain_get_shorter),
		cmocka_unit_test(busy_machine_does_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
