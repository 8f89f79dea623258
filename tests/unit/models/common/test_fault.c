// SPDX-License-Identifier: MIT
/* Fault points: names, counting, chance, disarming. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>

static int setup(void **state)
{
	*state = tdev_create(tnode_create("a", true, false), "dev0");
	return 0;
}

static int teardown(void **state)
{
	struct tdev *t = *state;
	struct mdl_node *node = t->node;

	tdev_destroy(t);
	mdl_node_destroy(node);
	return 0;
}

static unsigned fires(struct tdev *t, unsigned passes)
{
	struct mdl_fault_hit hit;
	unsigned i, n = 0;

	for (i = 0; i < passes; i++)
		n += mdl_fault(t->dev, 0, &hit);
	return n;
}

static void names(void **state)
{
	unsigned a;

	for (a = 0; a <= MDL_FAULT_STALL; a++)
		assert_int_equal(
			mdl_fault_action_parse(mdl_fault_action_name((enum mdl_fault_action)a)), a);
	assert_int_equal(mdl_fault_action_parse("?"), -EINVAL);
	assert_int_equal(mdl_fault_action_parse(""), -EINVAL);
	assert_string_equal(mdl_fault_action_name((enum mdl_fault_action)99), "?");
}

static void arms_by_name(void **state)
{
	static const char *const points[] = { "dma.host.read",	"dma.host.write", "dma.peer.read",
					      "dma.peer.write", "dma.link",	  "irq",
					      "model.point" };
	struct tdev *t = *state;
	unsigned i;

	for (i = 0; i < 7; i++)
		assert_int_equal(mdl_fault_arm(t->dev, points[i], MDL_FAULT_DROP, 0, 0, 0, 0), 0);
	assert_int_equal(t->dev->faults_armed, 7);
	assert_int_equal(mdl_fault_arm(t->dev, "nothing", MDL_FAULT_DROP, 0, 0, 0, 0), -ENOENT);
	for (i = 0; i < 7; i++)
		assert_int_equal(mdl_fault_arm(t->dev, points[i], MDL_FAULT_NONE, 0, 0, 0, 0), 0);
	assert_int_equal(t->dev->faults_armed, 0);
	assert_int_equal(fires(t, 10), 0);
}

static void counts_after_and_count(void **state)
{
	struct tdev *t = *state;
	struct mdl_fault_hit hit;

	assert_int_equal(mdl_fault_arm(t->dev, "model.point", MDL_FAULT_DELAY, 77, 3, 2, 0), 0);
	assert_int_equal(fires(t, 3), 0);
	assert_true(mdl_fault(t->dev, 0, &hit));
	assert_int_equal(hit.action, MDL_FAULT_DELAY);
	assert_int_equal(hit.arg, 77);
	assert_int_equal(fires(t, 10), 1);
	assert_int_equal(t->dev->faults_armed, 0);
	/* Armed twice is armed once. */
	mdl_fault_arm(t->dev, "model.point", MDL_FAULT_DROP, 0, 0, 0, 0);
	mdl_fault_arm(t->dev, "model.point", MDL_FAULT_ERROR, 0, 0, 0, 0);
	assert_int_equal(t->dev->faults_armed, 1);
	assert_int_equal(fires(t, 10), 10);
	mdl_fault_arm(t->dev, "model.point", MDL_FAULT_NONE, 0, 0, 0, 0);
	assert_int_equal(t->dev->faults_armed, 0);
}

static void chance(void **state)
{
	struct tdev *t = *state;
	unsigned n;

	mdl_fault_arm(t->dev, "model.point", MDL_FAULT_DROP, 0, 0, 0, 250);
	n = fires(t, 10000);
	assert_in_range(n, 2200, 2800);
	mdl_fault_arm(t->dev, "model.point", MDL_FAULT_DROP, 0, 0, 0, 1000);
	assert_int_equal(fires(t, 1000), 1000);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		T(arms_by_name),
		T(counts_after_and_count),
		T(chance),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
