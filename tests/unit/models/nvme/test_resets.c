// SPDX-License-Identifier: MIT
/* Resets in the middle of work, and what creation refuses: SPEC.rst 8. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "models/nvme/nvme.h"
#include "tests/unit/models/nvme/rig.h"

#define EN_GOOD (NVME_CC_EN | 6 << 16 | 4 << 20)

static struct rig *hooked;
static unsigned passes, at_pass;
static void (*deed)(struct rig *g);

static void hook(void *arg)
{
	if (++passes == at_pass)
		deed(hooked);
}

static void flr(struct rig *g)
{
	fake_reset(g->dev, MDL_RESET_FLR);
}

static void disable(struct rig *g)
{
	fake_w32(g->dev, NVME_CC, EN_GOOD & ~NVME_CC_EN);
}

/* Disabled and enabled again before the worker has seen the first. */
static void restart(struct rig *g)
{
	disable(g);
	fake_w32(g->dev, NVME_CC, EN_GOOD);
}

static void power_off(struct rig *g)
{
	fake_reset(g->dev, MDL_RESET_DISCONNECT);
}

static void unmap(struct rig *g)
{
	fake_unmap_all();
}

/* At every door access that four commands make, from the first to the last; 0 counts them. */
static void at_every_access(struct rig *g, void (*what)(struct rig *g))
{
	unsigned i, n = 1;

	for (at_pass = 0; at_pass <= n; at_pass++) {
		rig_write(g, 0, 64, 1);
		for (i = 0; i < 3; i++)
			rig_push(g, 1, sqe_rw(i ? NVME_READ : NVME_WRITE, i * 64, 32));
		rig_push(g, 1, FLUSH);
		hooked = g;
		passes = 0;
		deed = what;
		fake_hook = hook;
		rig_bell(g, 1);
		rig_run(g);
		fake_hook = NULL;
		n = passes > n ? passes : n;
		fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, 0);
		fake_w32(g->dev, NVME_CC, 0);
		rig_run(g);
		assert_int_equal(rig_csts(g), 0);
		fake_unmap_all();
		fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, 0);
		rig_cmb_on(g);
		rig_enable(g, 16);
		rig_pair(g, 1);
	}
	assert_true(n >= 10);
	rig_write(g, 0, 64, 2);
	rig_expect(g, 0, 64, 2);
}

static void function_reset(void **state)
{
	at_every_access(*state, flr);
}

static void controller_reset(void **state)
{
	at_every_access(*state, disable);
}

static void controller_restart(void **state)
{
	at_every_access(*state, restart);
}

static void switched_off(void **state)
{
	at_every_access(*state, power_off);
}

static void memory_goes(void **state)
{
	at_every_access(*state, unmap);
}

/* Once a reset has returned nothing is written, whatever was under way. */
static void nothing_is_written_after(void **state)
{
	struct rig *g = *state;
	uint8_t *before = malloc(RIG_HOST_SIZE);
	unsigned i;

	for (i = 0; i < 6; i++)
		rig_push(g, 1, sqe_rw(NVME_READ, i, 16));
	rig_push(g, 0, sqe_admin(NVME_IDENTIFY, 1));
	rig_bell(g, 1);
	rig_bell(g, 0);
	flr(g);
	memcpy(before, g->host, RIG_HOST_SIZE);
	rig_run(g);
	assert_memory_equal(before, g->host, RIG_HOST_SIZE);
	assert_int_equal(fake_irqs(g->dev, 1), 0);
	free(before);
}

static void doorbells_of_before_do_nothing(void **state)
{
	struct rig *g = *state;

	disable(g);
	rig_push(g, 1, FLUSH);
	rig_bell(g, 1);
	rig_run(g);
	rig_none(g, 1);
	assert_int_equal(fake_counter(g->dev, "db.bad"), 0);
	/* Queues of before are no queues. */
	rig_enable(g, 16);
	fake_w32(g->dev, NVME_DB_SQ(1), 1);
	assert_int_equal(fake_counter(g->dev, "db.bad"), 1);
}

/* CMBMSC stays over a function level reset, and goes with the others. */
static void memory_buffer_over_resets(void **state)
{
	struct rig *g = *state;

	flr(g);
	assert_int_equal(fake_r64(g->dev, NVME_CMBMSC), RIG_CMB_BASE | 3);
	disable(g);
	rig_run(g);
	assert_int_equal(fake_r64(g->dev, NVME_CMBMSC), RIG_CMB_BASE | 3);
	fake_reset(g->dev, MDL_RESET_BUS);
	assert_int_equal(fake_r64(g->dev, NVME_CMBMSC), 0);
}

/* ---- creation ---- */

static int try_create(const struct nvme_cfg *cfg)
{
	struct mdl_device *dev = NULL;
	int err = nvme_create(NULL, "disk1", cfg, &dev);

	if (!err)
		mdl_device_destroy(dev);
	return err;
}

static void creation(void **state)
{
	struct rig *g = *state;
	char dir[] = "/tmp/nvme-unit.XXXXXX", path[64], taken[64];
	struct nvme_cfg good = { .serial = "x", .cache = RIG_CACHE, .n_ns = 1 }, c;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	good.ns[0] = (struct nvme_ns_cfg){ .path = path, .size = 1 << 20, .block = 512 };
	assert_int_equal(try_create(&good), 0);
#define REFUSED(field, val, err)                       \
	do {                                           \
		c = good;                              \
		c.field = (val);                       \
		assert_int_equal(try_create(&c), err); \
	} while (0)
	REFUSED(serial, "", -EINVAL);
	REFUSED(serial, "123456789012345678901", -EINVAL);
	REFUSED(serial, "tab\t", -EINVAL);
	REFUSED(n_ns, 0, -EINVAL);
	REFUSED(n_ns, 9, -EINVAL);
	REFUSED(cache, 4096, -EINVAL);
	REFUSED(cmb_size, 3 << 20, -EINVAL);
	REFUSED(cmb_size, 1 << 20, -EINVAL);
	REFUSED(ns[0].block, 1024, -EINVAL);
	REFUSED(ns[0].size, NVME_NS_MAX * 2, -EINVAL);
	REFUSED(ns[0].path, "/nonexistent/file", -ENOENT);
	/* One file, two users. */
	c = good;
	c.n_ns = 2;
	c.ns[1] = c.ns[0];
	assert_int_equal(try_create(&c), -EBUSY);
	snprintf(taken, sizeof(taken), "/proc/self/fd/%d", g->file[0]);
	REFUSED(ns[0].path, taken, -EBUSY);
	/* As it is: 1 MiB. */
	REFUSED(ns[0].size, 0, 0);
	assert_int_equal(truncate(path, 100), 0);
	REFUSED(ns[0].size, 0, -EINVAL);
	unlink(path);
	REFUSED(ns[0].size, 0, -ENOENT);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(function_reset),
		rig_test(controller_reset),
		rig_test(controller_restart),
		rig_test(switched_off),
		rig_test(memory_goes),
		rig_test(nothing_is_written_after),
		rig_test(doorbells_of_before_do_nothing),
		rig_test(memory_buffer_over_resets),
		rig_test(creation),
	};

	return cmocka_run_group_tests_name("nvme_resets", tests, NULL, NULL);
}
