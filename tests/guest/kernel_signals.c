// SPDX-License-Identifier: MIT
/*
 * A signal while a request of /dev/peerdma or of peerdma_vfio waits: EINTR, told by the kernel of
 * the caller that is gone, and nothing was done. Each is known to wait before the signal is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/guest/kernel_rig.h"
#include "tests/guest/kernel_shown.h"
#include "tests/guest/kernel_test.h"
#include "uapi/peerdma/ioctl.h"

#define LONG_MS 40000

static int peerdma(void)
{
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static struct peerdma_pci function(const char *slot)
{
	struct peerdma_pci f;

	kernel_function(slot, (void *)&f);
	return f;
}

/* ---- requests that any signal ends ---- */

static void ask_path(void *arg)
{
	struct peerdma_path path = { .size = sizeof(path),
				     .initiator = function("PEERDMA_SLOT_NIC0"),
				     .target = function("PEERDMA_SLOT_ACC0"),
				     .bar = 2,
				     .len = 4096 };
	int fd = peerdma();

	(void)arg;
	CHECK_EQ(ioctl(fd, PEERDMA_IOC_PATH, &path), -1);
	CHECK_EQ(errno, EINTR);
}

static void reset_by_sysfs(void *arg)
{
	CHECK_EQ(kernel_sysfs_reset(arg), 0);
}

/* A reset by sysfs has the target's lock, and waits for somebody who does not let go. */
static void path_while_the_target_is_busy(void)
{
	pid_t reset, asking;
	struct kernel_rig r;
	uint32_t holder;
	int import;

	kernel_open(&r, LONG_MS);
	import = kernel_import_open();
	holder = kernel_import_hold(&r, import);
	reset = kernel_child(reset_by_sysfs, &r);
	kernel_wait_asleep(reset, "[peerdma_vfio]");
	asking = kernel_child(ask_path, NULL);
	kernel_wait_asleep(asking, "[peerdma]");
	kernel_interrupt(asking);
	CHECK_EQ(kernel_import_do(import, KERNEL_IMPORT_DETACH, holder), 0);
	kernel_interrupt(reset);
	close(import);
	kernel_close(&r);
}

static void read_event(void *arg)
{
	struct peerdma_event e;

	CHECK_EQ(read(*(int *)arg, &e, sizeof(e)), -1);
	CHECK_EQ(errno, EINTR);
}

static void reader_of_events(void)
{
	struct peerdma_listen l = { .size = sizeof(l), .types = 1 << PEERDMA_EVENT_LIMIT };
	pid_t child;
	int fd;

	kernel_load_one("peerdma");
	fd = peerdma();
	CHECK_EQ(ioctl(fd, PEERDMA_IOC_LISTEN, &l), 0);
	child = kernel_child(read_event, &fd);
	kernel_wait_asleep(child, "pdk_events_read");
	kernel_interrupt(child);
	close(fd);
}

/* ---- requests that end when the caller is killed ---- */

static void list_pins(void *arg)
{
	struct peerdma_list list = { .size = sizeof(list), .row_size = PEERDMA_PIN_ROW_SIZE_V1 };

	(void)arg;
	ioctl(peerdma(), PEERDMA_IOC_PINS, &list);
}

/* While it asks a provider what is held. */
static void list_of_one_who_is_killed(void)
{
	int test = kernel_test_open();
	pid_t child;

	kernel_test_provide(test);
	kernel_gate_close(test);
	child = kernel_child(list_pins, NULL);
	kernel_gate_wait(test);
	kernel_wait_asleep(child, "[peerdma]");
	CHECK_EQ(kernel_kill_at_gate(child, test), -EINTR);
	close(test);
}

static void *map_slowly(void *arg)
{
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, *(int *)arg, 0);
	return NULL;
}

static void ask_where(void *arg)
{
	struct peerdma_where where = { .size = sizeof(where),
				       .function = function("PEERDMA_SLOT_NIC0"),
				       .address = (uintptr_t)&where,
				       .len = 1 };
	int test = *(int *)arg, fd = peerdma();
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, map_slowly, arg), 0);
	kernel_gate_wait(test);
	ioctl(fd, PEERDMA_IOC_WHERE, &where);
}

/* While another thread has its address space locked. */
static void where_of_one_who_is_killed(void)
{
	int test = kernel_test_open();
	pid_t child;

	kernel_gate_close(test);
	child = kernel_child(ask_where, &test);
	kernel_wait_asleep(child, "[peerdma]");
	CHECK_EQ(kernel_kill(child), -EINTR);
	kernel_gate_open(test);
	close(test);
}

struct request {
	int (*fn)(struct kernel_rig *r);
	struct kernel_rig *r;
};

static void request(void *arg)
{
	struct request *q = arg;

	q->fn(q->r);
}

static void killed_in(int (*fn)(struct kernel_rig *r))
{
	struct kernel_rig r;
	struct request q = { fn, &r };
	int import, events;
	uint32_t holder;
	pid_t child;

	kernel_open(&r, LONG_MS);
	events = kernel_listen();
	import = kernel_import_open();
	holder = kernel_import_hold(&r, import);
	child = kernel_child(request, &q);
	kernel_wait_asleep(child, "[peerdma_vfio]");
	CHECK_EQ(kernel_kill(child), -EINTR);
	kernel_revoked(events, EINTR);
	/* Nothing was done, and all goes on. */
	CHECK(kernel_touch(r.mem));
	CHECK_EQ(kernel_import_ask(import, KERNEL_IMPORT_TOLD, holder).n_mapped, 1);
	CHECK_EQ(kernel_import_do(import, KERNEL_IMPORT_DETACH, holder), 0);
	CHECK_EQ(kernel_reset(&r), 0);
	close(import);
	close(events);
	kernel_close(&r);
}

static void reset_of_one_who_is_killed(void)
{
	killed_in(kernel_reset);
}

static void hot_reset_of_one_who_is_killed(void)
{
	killed_in(kernel_hot_reset);
}

static void low_power_of_one_who_is_killed(void)
{
	killed_in(kernel_low_power);
}

static int decode_off(struct kernel_rig *r)
{
	return kernel_command(r, false);
}

static void write_of_one_who_is_killed(void)
{
	killed_in(decode_off);
}

static void open_of_one_who_is_killed(void)
{
	struct kernel_rig r;
	struct request q = { kernel_open_device, &r };
	uint32_t holder;
	pid_t child;
	int import;

	kernel_open(&r, 300);
	import = kernel_import_open();
	holder = kernel_import_hold(&r, import);
	kernel_close_device(&r);
	kernel_revoke_ms(LONG_MS);
	child = kernel_child(request, &q);
	kernel_wait_asleep(child, "[peerdma_vfio]");
	CHECK_EQ(kernel_kill(child), -EINTR);
	CHECK_EQ(kernel_import_do(import, KERNEL_IMPORT_DETACH, holder), 0);
	CHECK_EQ(kernel_open_device(&r), 0);
	CHECK(kernel_touch(r.mem));
	close(import);
	kernel_close(&r);
}

static const struct tap_test tests[] = {
	{ "path_while_the_target_is_busy", path_while_the_target_is_busy, TAP_ANYWHERE },
	{ "reader_of_events", reader_of_events, TAP_ANYWHERE },
	{ "list_of_one_who_is_killed", list_of_one_who_is_killed, TAP_ANYWHERE },
	{ "where_of_one_who_is_killed", where_of_one_who_is_killed, TAP_ANYWHERE },
	{ "reset_of_one_who_is_killed", reset_of_one_who_is_killed, TAP_ANYWHERE },
	{ "hot_reset_of_one_who_is_killed", hot_reset_of_one_who_is_killed, TAP_SWITCH_WITH_IOMMU },
	{ "low_power_of_one_who_is_killed", low_power_of_one_who_is_killed, TAP_ANYWHERE },
	{ "write_of_one_who_is_killed", write_of_one_who_is_killed, TAP_ANYWHERE },
	{ "open_of_one_who_is_killed", open_of_one_who_is_killed, TAP_ANYWHERE },
};

TAP_MAIN(tests)
