// SPDX-License-Identifier: MIT
/* MSI-X: delivery, pending bits, and fds that are no eventfds. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* The device takes one fd over; the other reads the same counter. */
static int arm(struct tdev *t, unsigned vec)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), give = dup(fd);

	assert_int_equal(mdl_irq_set(t->dev, vec, 1, &give, 1), 0);
	return fd;
}

static uint64_t count(int fd)
{
	uint64_t val = 0;

	if (read(fd, &val, sizeof(val)) < 0)
		assert_int_equal(errno, EAGAIN);
	return val;
}

static bool pba(struct tdev *t, unsigned vec)
{
	uint8_t byte;

	mdl_irq_read_pba(t->dev, vec / 8, &byte, 1);
	return byte >> vec % 8 & 1;
}

static void armed_vector_fires(void **state)
{
	struct tdev *t = *state;
	int fd = arm(t, 69);

	mdl_irq_raise(t->dev, 69);
	mdl_irq_raise(t->dev, 69);
	assert_int_equal(count(fd), 2);
	assert_false(pba(t, 69));
	assert_int_equal(t->dev->irq.raised, 2);
	assert_int_equal(t->dev->irq.delivered, 2);
	close(fd);
}

static void unarmed_vector_is_latched_once(void **state)
{
	struct tdev *t = *state;
	int fd;

	mdl_irq_raise(t->dev, 65);
	mdl_irq_raise(t->dev, 65);
	assert_true(pba(t, 65));
	assert_false(pba(t, 64));
	fd = arm(t, 65);
	assert_int_equal(count(fd), 1);
	assert_false(pba(t, 65));
	assert_int_equal(mdl_irq_set(t->dev, 65, 1, NULL, 0), 0);
	mdl_irq_raise(t->dev, 65);
	assert_int_equal(count(fd), 0);
	assert_true(pba(t, 65));
	close(fd);
}

static void reset_forgets_pending_and_keeps_armed(void **state)
{
	struct tdev *t = *state;
	int fd = arm(t, 0);

	mdl_irq_raise(t->dev, 1);
	mdl_device_reset(t->dev, MDL_RESET_FLR);
	assert_false(pba(t, 1));
	mdl_irq_raise(t->dev, 0);
	assert_int_equal(count(fd), 1);
	mdl_irq_raise(t->dev, 1);
	tdev_detach(t);
	assert_false(pba(t, 1));
	mdl_irq_raise(t->dev, 0);
	assert_int_equal(count(fd), 0);
	close(fd);
}

static void nothing_for_work_of_before_a_reset(void **state)
{
	struct tdev *t = *state;
	int fd = arm(t, 2);
	struct mdl_dma d;

	mdl_dma_begin(&d, t->dev);
	mdl_irq_raise_for(&d, 2);
	assert_int_equal(count(fd), 1);
	mdl_device_reset(t->dev, MDL_RESET_FLR);
	mdl_irq_raise_for(&d, 2);
	mdl_irq_raise_for(&d, 1);
	assert_int_equal(count(fd), 0);
	assert_false(pba(t, 1));
	mdl_dma_begin(&d, t->dev);
	mdl_irq_raise_for(&d, 2);
	mdl_irq_raise_for(&d, 1);
	assert_int_equal(count(fd), 1);
	assert_true(pba(t, 1));
	mdl_irq_raise_for(&d, TDEV_VECTORS);
	assert_int_equal(t->dev->irq.bad_vector, 1);
	close(fd);
}

struct raiser {
	struct mdl_dma d;
	_Atomic unsigned rounds;
	atomic_bool stop;
};

static void *raise_on(void *arg)
{
	struct raiser *r = arg;

	while (!r->stop) {
		mdl_irq_raise_for(&r->d, 0);
		mdl_irq_raise_for(&r->d, 1);
		r->rounds++;
	}
	return NULL;
}

static void wait_rounds(struct raiser *r, unsigned n)
{
	unsigned from = r->rounds;

	while (r->rounds - from < n)
		sched_yield();
}

/* Work that goes on while the reset comes: with the lock it can't slip in behind the check. */
static void a_reset_is_an_end_for_racing_work(void **state)
{
	struct tdev *t = *state;
	int fd = arm(t, 0), i;
	struct raiser r = { 0 };
	pthread_t thread;

	for (i = 0; i < 200; i++) {
		r.stop = false;
		mdl_dma_begin(&r.d, t->dev);
		assert_int_equal(pthread_create(&thread, NULL, raise_on, &r), 0);
		wait_rounds(&r, 3);
		mdl_device_reset(t->dev, MDL_RESET_FLR);
		assert_true(count(fd) > 0);
		wait_rounds(&r, 3);
		r.stop = true;
		pthread_join(thread, NULL);
		assert_int_equal(count(fd), 0);
		assert_false(pba(t, 1));
	}
	close(fd);
}

static void vectors_out_of_range(void **state)
{
	struct tdev *t = *state;
	int fd = eventfd(0, EFD_CLOEXEC);
	uint8_t buf[64];

	mdl_irq_raise(t->dev, TDEV_VECTORS);
	mdl_irq_raise(t->dev, UINT32_MAX);
	assert_int_equal(t->dev->irq.bad_vector, 2);
	assert_int_equal(mdl_irq_set(t->dev, TDEV_VECTORS, 1, &fd, 1), -EINVAL);
	assert_int_equal(mdl_irq_set(t->dev, 1, UINT32_MAX, &fd, 1), -EINVAL);
	assert_int_equal(mdl_irq_set(t->dev, 0, 2, &fd, 1), -EINVAL);
	assert_int_equal(mdl_irq_trigger(t->dev, 1, UINT32_MAX), -EINVAL);
	assert_int_equal(mdl_irq_set(t->dev, TDEV_VECTORS, 0, NULL, 0), 0);
	memset(buf, 0xee, sizeof(buf));
	mdl_irq_read_pba(t->dev, 24, buf, sizeof(buf));
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[63], 0);
	close(fd);
}

/* A full counter would make a write wait for ever, with the lock held. */
static void full_eventfd_does_not_block(void **state)
{
	struct tdev *t = *state;
	int fd = eventfd(0, EFD_CLOEXEC), give = dup(fd);
	uint64_t full = UINT64_MAX - 1;

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(mdl_irq_set(t->dev, 0, 1, &give, 1), 0);
	mdl_irq_raise(t->dev, 0);
	assert_int_equal(t->dev->irq.delivered, 1);
	assert_int_equal(count(fd), full);
	close(fd);
}

/* A pipe nobody reads would raise SIGPIPE and end the process. */
static void only_eventfds_are_taken(void **state)
{
	struct tdev *t = *state;
	int p[2], s[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(p[0]);
	close(s[0]);
	assert_int_equal(mdl_irq_set(t->dev, 0, 1, &p[1], 1), -EINVAL);
	assert_int_equal(mdl_irq_set(t->dev, 0, 1, &s[1], 1), -EINVAL);
	assert_int_equal(mdl_irq_set(t->dev, 0, 1, &file, 1), -EINVAL);
	mdl_irq_raise(t->dev, 0);
	assert_true(pba(t, 0));
	close(p[1]);
	close(s[1]);
	close(file);
}

static void dropped_by_fault(void **state)
{
	struct tdev *t = *state;
	int fd = arm(t, 3);

	assert_int_equal(mdl_fault_arm(t->dev, "irq", MDL_FAULT_DROP, 0, 1, 1, 0), 0);
	mdl_irq_raise(t->dev, 3);
	mdl_irq_raise(t->dev, 3);
	mdl_irq_raise(t->dev, 3);
	assert_int_equal(count(fd), 2);
	close(fd);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(armed_vector_fires),
		T(unarmed_vector_is_latched_once),
		T(reset_forgets_pending_and_keeps_armed),
		T(nothing_for_work_of_before_a_reset),
		T(a_reset_is_an_end_for_racing_work),
		T(vectors_out_of_range),
		T(full_eventfd_does_not_block),
		T(only_eventfds_are_taken),
		T(dropped_by_fault),
	};

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
