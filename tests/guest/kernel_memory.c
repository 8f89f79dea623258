// SPDX-License-Identifier: MIT
/*
 * No memory for the modules: of each request the first allocation fails, then the second, until it
 * succeeds. Each time it says ENOMEM, nothing is left of it, and the next try is as good as ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/guest/kernel_rig.h"
#include "tests/guest/kernel_shown.h"
#include "tests/guest/kernel_test.h"
#include "uapi/peerdma/ioctl.h"

#define ALICE 4001u
#define GROUP "/sys/fs/cgroup/kernel_memory"

#define WHOLE(r)                                         \
	{                                                \
		KERNEL_CPU, (r)->size, getpid(), NULL, 0 \
	}

struct request {
	const char *module;
	/* Return: 0 or -errno; what it did is undone by undo(). */
	int (*fn)(void *arg);
	void (*undo)(void *arg);
	/* There is nothing of it. */
	void (*check)(void *arg);
	void *arg;
};

/* Return: how many allocations it makes. */
static unsigned each_fails(const struct request *q, int test)
{
	for (unsigned skip = 0;; skip++) {
		int ret;

		kernel_fail_begin(test, q->module, skip);
		ret = q->fn(q->arg);
		if (!kernel_fail_end(test)) {
			CHECK_EQ(ret, 0);
			q->undo(q->arg);
			q->check(q->arg);
			return skip;
		}
		CHECK_EQ(ret, -ENOMEM);
		q->check(q->arg);
	}
}

static void run(const struct request *q, unsigned at_least)
{
	int test = kernel_test_open();
	unsigned n = each_fails(q, test);

	printf("# %u allocations\n", n);
	CHECK(n >= at_least);
	close(test);
}

static int peerdma_do(unsigned long request, struct peerdma_limit l)
{
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC), ret;

	CHECK(fd >= 0);
	l.size = sizeof(l);
	ret = ioctl(fd, request, &l) ? -errno : 0;
	close(fd);
	return ret;
}

static struct peerdma_limit *limit_of(void *arg, uint64_t max)
{
	struct peerdma_limit *l = arg;

	l->max = max;
	return l;
}

static int set(void *arg)
{
	return peerdma_do(PEERDMA_IOC_LIMIT_SET, *limit_of(arg, MIB));
}

static void clear(void *arg)
{
	CHECK_EQ(peerdma_do(PEERDMA_IOC_LIMIT_CLEAR, *limit_of(arg, 0)), 0);
}

/* Neither a limit nor use of any user, or group. */
static void no_limits(void *arg)
{
	struct peerdma_limit *of = arg;
	struct peerdma_list l = { .size = sizeof(l), .row_size = 48, .scope = of->scope };
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC);

	CHECK_EQ(ioctl(fd, PEERDMA_IOC_LIMITS, &l), 0);
	CHECK_EQ(l.n_total, 0);
	close(fd);
}

static void limit_of_a_user(void)
{
	struct peerdma_limit l = { .scope = PEERDMA_SCOPE_USER, .id = ALICE };

	run(&(struct request){ "peerdma", set, clear, no_limits, &l }, 1);
}

/* An account for it and for each group above. */
static void limit_of_a_group(void)
{
	struct peerdma_limit l = { .scope = PEERDMA_SCOPE_CGROUP };
	struct stat s;

	if (access("/sys/fs/cgroup/cgroup.procs", F_OK))
		CHECK_EQ(mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL), 0);
	CHECK(!mkdir(GROUP, 0755) || errno == EEXIST);
	CHECK_EQ(stat(GROUP, &s), 0);
	l.id = s.st_ino;
	run(&(struct request){ "peerdma", set, clear, no_limits, &l }, 2);
	CHECK_EQ(rmdir(GROUP), 0);
}

static int listening;

static int listen(void *arg)
{
	struct peerdma_listen l = { .size = sizeof(l), .types = 2 };

	(void)arg;
	return ioctl(listening, PEERDMA_IOC_LISTEN, &l) ? -errno : 0;
}

static void open_listener(void *arg)
{
	(void)arg;
	if (listening)
		close(listening);
	listening = open("/dev/peerdma", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	CHECK(listening >= 0);
}

static void does_not_listen(void *arg)
{
	struct peerdma_event e;

	(void)arg;
	CHECK_EQ(read(listening, &e, sizeof(e)), -1);
	CHECK_EQ(errno, ENOTCONN);
}

static void listener(void)
{
	kernel_load_one("peerdma");
	open_listener(NULL);
	run(&(struct request){ "peerdma", listen, open_listener, does_not_listen, NULL }, 1);
	close(listening);
}

struct memory {
	struct kernel_rig rig;
	int dmabuf, import, made;
	uint32_t handle;
	char *p;
};

static void only_the_device(void *arg)
{
	struct memory *m = arg;

	KERNEL_SHOWN(WHOLE(&m->rig));
}

static int map_region(void *arg)
{
	struct memory *m = arg;

	m->p = mmap(NULL, MIB, PROT_READ, MAP_SHARED, pdmai_vfio_device_fd(m->rig.dev),
		    (off_t)m->rig.region_off);
	return m->p == MAP_FAILED ? -errno : 0;
}

static void unmap_region(void *arg)
{
	struct memory *m = arg;

	CHECK_EQ(munmap(m->p, MIB), 0);
}

static void in_both(struct memory *m, int (*fn)(void *arg), void (*undo)(void *arg),
		    void (*check)(void *arg), unsigned at_least_vfio)
{
	run(&(struct request){ "peerdma", fn, undo, check, m }, 1);
	run(&(struct request){ "peerdma_vfio", fn, undo, check, m }, at_least_vfio);
}

static void mapping_of_pages(void)
{
	struct memory m;

	kernel_open(&m.rig, 5000);
	in_both(&m, map_region, unmap_region, only_the_device, 1);
	kernel_close(&m.rig);
}

static int make_export(void *arg)
{
	const struct pdmai_bar_range ranges[] = { { 16 * MIB, MIB }, { 32 * MIB, 4096 } };
	struct memory *m = arg;

	return pdmai_dev_dmabuf(m->rig.dev, ACCEL_BAR_VRAM, ranges, 2, &m->made);
}

static void close_export(void *arg)
{
	struct memory *m = arg;

	close(m->made);
}

static void export_of_memory(void)
{
	struct memory m;

	kernel_open(&m.rig, 5000);
	in_both(&m, make_export, close_export, only_the_device, 2);
	kernel_close(&m.rig);
}

static void only_the_export(void *arg)
{
	struct memory *m = arg;

	KERNEL_SHOWN(WHOLE(&m->rig), { KERNEL_EXPORT, MIB + 4096, getpid(), NULL, 0 });
}

static int map_export(void *arg)
{
	struct memory *m = arg;

	m->p = mmap(NULL, MIB, PROT_READ, MAP_SHARED, m->made, 0);
	return m->p == MAP_FAILED ? -errno : 0;
}

static int attach(void *arg)
{
	struct memory *m = arg;

	return kernel_import_attach(m->import, m->made, KERNEL_PEERS | KERNEL_HEARS, &m->handle);
}

static void detach(void *arg)
{
	struct memory *m = arg;

	CHECK_EQ(kernel_import_do(m->import, KERNEL_IMPORT_DETACH, m->handle), 0);
}

static int import_map(void *arg)
{
	struct memory *m = arg;

	return kernel_import_do(m->import, KERNEL_IMPORT_MAP, m->handle);
}

static void import_unmap(void *arg)
{
	struct memory *m = arg;

	CHECK_EQ(kernel_import_do(m->import, KERNEL_IMPORT_UNMAP, m->handle), 0);
}

static void export_attached(void *arg)
{
	struct memory *m = arg;

	KERNEL_SHOWN(WHOLE(&m->rig), { KERNEL_EXPORT, MIB + 4096, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, MIB + 4096, getpid(), getenv("PEERDMA_SLOT_NIC0"), 0 });
}

static void use_of_an_export(void)
{
	struct memory m;

	kernel_open(&m.rig, 5000);
	m.import = kernel_import_open();
	CHECK_EQ(make_export(&m), 0);
	run(&(struct request){ "peerdma", map_export, unmap_region, only_the_export, &m }, 1);
	in_both(&m, attach, detach, only_the_export, 1);
	CHECK_EQ(attach(&m), 0);
	run(&(struct request){ "peerdma", import_map, import_unmap, export_attached, &m }, 1);
	detach(&m);
	close(m.made);
	close(m.import);
	kernel_close(&m.rig);
}

static const struct tap_test tests[] = {
	{ "limit_of_a_user", limit_of_a_user, TAP_ANYWHERE },
	{ "limit_of_a_group", limit_of_a_group, TAP_ANYWHERE },
	{ "listener", listener, TAP_ANYWHERE },
	{ "mapping_of_pages", mapping_of_pages, TAP_ANYWHERE },
	{ "export_of_memory", export_of_memory, TAP_ANYWHERE },
	{ "use_of_an_export", use_of_an_export, TAP_ANYWHERE },
};

TAP_MAIN(tests)
