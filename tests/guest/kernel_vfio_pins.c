// SPDX-License-Identifier: MIT
/*
 * What peerdma_vfio reports to peerdma: after each step of a life exactly the pins that exist are
 * shown, by the kernel and by the command; and limits.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/rdma_pair.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/kernel_shown.h"

#define ALICE 4001
#define BOB   4002
#define NIC   getenv("PEERDMA_SLOT_NIC0")

/* The rig's own mapping, which is there as long as the device is open. */
#define WHOLE(r)                                         \
	{                                                \
		KERNEL_CPU, (r)->size, getpid(), NULL, 0 \
	}

static char *try_map(struct kernel_rig *r, uint64_t off, uint64_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, pdmai_vfio_device_fd(r->dev),
		    (off_t)(r->region_off + off));
}

static char *map(struct kernel_rig *r, uint64_t off, uint64_t len)
{
	char *p = try_map(r, off, len);

	CHECK(p != MAP_FAILED);
	return p;
}

static int try_export(struct kernel_rig *r, uint64_t len, int *ret_fd)
{
	struct pdmai_bar_range range = { 16 * MIB, len };

	return pdmai_dev_dmabuf(r->dev, ACCEL_BAR_VRAM, &range, 1, ret_fd);
}

static int export(struct kernel_rig *r, uint64_t len)
{
	return kernel_dmabuf(r, 16 * MIB, len);
}

/* A process that does something, and then nothing until it is killed. */
struct helper {
	pid_t pid;
	int ready;
};

static void helper_start(struct helper *h, struct kernel_rig *r, void (*fn)(struct kernel_rig *r))
{
	int pipe_fd[2];
	char byte;

	CHECK_EQ(pipe(pipe_fd), 0);
	h->pid = fork();
	CHECK(h->pid >= 0);
	if (!h->pid) {
		fn(r);
		CHECK_EQ(write(pipe_fd[1], "", 1), 1);
		for (;;)
			pause();
	}
	close(pipe_fd[1]);
	CHECK_EQ(read(pipe_fd[0], &byte, 1), 1);
	close(pipe_fd[0]);
}

static void helper_kill(struct helper *h)
{
	int status;

	CHECK_EQ(kill(h->pid, SIGKILL), 0);
	CHECK_EQ(waitpid(h->pid, &status, 0), h->pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void nothing_is_there_but_the_provider(void)
{
	struct kernel_rig r;

	kernel_bind(&r, 5000);
	kernel_nothing_shown();
	CHECK_EQ(kernel_open_device(&r), 0);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_provider(r.size, r.size);
	kernel_close_device(&r);
	kernel_nothing_shown();
	kernel_provider(r.size, 0);
	CHECK_EQ(pdmai_unbind(&r.binding), 0);
	kernel_provider(0, 0);
	kit_control_close(r.control);
}

static void parts_of_a_mapping(void)
{
	struct kernel_rig r;
	char *p, *moved;

	kernel_open(&r, 5000);
	p = map(&r, 2 * MIB, 4 * MIB);
	memset(p, 1, 4 * MIB);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 4 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(munmap(p + MIB, MIB), 0);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 4 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(munmap(p, MIB), 0);
	moved = mremap(p + 2 * MIB, 2 * MIB, 2 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	CHECK(moved == p && *moved == 1);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 4 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(munmap(moved, 2 * MIB), 0);
	KERNEL_SHOWN(WHOLE(&r));
	/* What is refused is not shown. */
	CHECK(try_map(&r, r.size, 4096) == MAP_FAILED && errno == EINVAL);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_close(&r);
	kernel_nothing_shown();
}

static char *inherited;

static void keep_half(struct kernel_rig *r)
{
	(void)r;
	CHECK_EQ(munmap(inherited, MIB), 0);
	inherited[MIB] = 2;
}

static void a_child_keeps_a_mapping(void)
{
	struct kernel_rig r;
	struct helper h;

	kernel_open(&r, 5000);
	inherited = map(&r, 4 * MIB, 2 * MIB);
	memset(inherited, 1, 2 * MIB);
	helper_start(&h, &r, keep_half);
	CHECK_EQ(inherited[MIB], 2);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 2 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(munmap(inherited, 2 * MIB), 0);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 2 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(kernel_reset(&r), 0);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_CPU, 2 * MIB, getpid(), NULL, 0 });
	helper_kill(&h);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_close(&r);
}

static void map_and_export(struct kernel_rig *r)
{
	int fd = export(r, MIB);

	*map(r, 0, 3 * MIB) = 1;
	CHECK(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
}

static void one_who_is_killed(void)
{
	struct kernel_rig r;
	struct helper h;

	kernel_open(&r, 5000);
	helper_start(&h, &r, map_and_export);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, MIB, h.pid, NULL, 0 },
		     { KERNEL_CPU, 3 * MIB, h.pid, NULL, 0 }, { KERNEL_CPU, 8192, h.pid, NULL, 0 });
	kernel_provider(r.size, r.size + 4 * MIB + 8192);
	helper_kill(&h);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_close(&r);
}

static enum ibv_wc_status rdma(struct rdma_pair *q, struct ibv_mr *mr)
{
	struct rdma_op op = { .op = IBV_WR_RDMA_WRITE, .rkey = mr->rkey, .len = 4096 };

	return rdma_pair_do(q, &op);
}

static struct ibv_mr *try_register(struct rdma_pair *q, int fd, uint64_t len)
{
	return ibv_reg_dmabuf_mr(q->pd, 0, len, 0, fd,
				 IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
}

/* The descriptor, the importer and the mapping go one after the other. */
static void an_importer(void)
{
	struct rdma_pair q;
	struct kernel_rig r;
	struct ibv_mr *mr;
	char *p;
	int fd;

	kernel_open(&r, 5000);
	rdma_pair_open(&q, "mlx5", 4096);
	fd = export(&r, 3 * MIB);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, 3 * MIB, getpid(), NULL, 0 });
	p = mmap(NULL, 2 * MIB, PROT_READ, MAP_SHARED, fd, MIB);
	CHECK(p != MAP_FAILED);
	mr = try_register(&q, fd, 3 * MIB);
	CHECK(mr != NULL);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, 3 * MIB, getpid(), NULL, 0 },
		     { KERNEL_CPU, 2 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 3 * MIB, getpid(), NIC, 0 },
		     { KERNEL_IMPORT, 3 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(munmap(p, 2 * MIB), 0);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, 3 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 3 * MIB, getpid(), NIC, 0 },
		     { KERNEL_IMPORT, 3 * MIB, getpid(), NIC, 0 });
	/* It lets go, and maps again when it is used. */
	CHECK_EQ(kernel_reset(&r), 0);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, 3 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 3 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(rdma(&q, mr), IBV_WC_SUCCESS);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, 3 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 3 * MIB, getpid(), NIC, 0 },
		     { KERNEL_IMPORT, 3 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(ibv_dereg_mr(mr), 0);
	KERNEL_SHOWN(WHOLE(&r));
	rdma_pair_close(&q);
	kernel_close(&r);
}

/* A read that the disk holds back; who asked is known by the mapping of the pages. */
static void pages_that_are_held(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd, events;

	kernel_open(&r, 300);
	memset(r.mem, 1, 16 * MIB);
	events = kernel_listen();
	fd = kernel_hold_pages(&r, &io, 51);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_HELD, MIB, getpid(), NULL, 0 });
	kernel_refused(kernel_reset, &r, 300);
	kernel_revoked(events, ETIMEDOUT);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_HELD, MIB, getpid(), NULL, 0 });
	/* The latest mapping of the page, not of others; after it the one before. */
	CHECK_EQ(munmap(map(&r, 0, MIB), MIB), 0);
	CHECK_EQ(munmap(r.mem, r.size), 0);
	KERNEL_SHOWN({ KERNEL_HELD, MIB, 0, NULL, 0 });
	kernel_let_go(&r, &io, fd);
	kernel_nothing_shown();
	CHECK_EQ(kernel_reset(&r), 0);
	kernel_revoked(events, 0);
	kernel_no_event(events);
	r.mem = map(&r, 0, r.size);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_close(&r);
	kernel_revoked(events, 0);
	close(events);
}

static void an_export_outlives_the_driver(void)
{
	struct kernel_rig r;
	int fd;

	kernel_open(&r, 5000);
	fd = export(&r, MIB);
	kernel_close_device(&r);
	KERNEL_SHOWN({ KERNEL_EXPORT, MIB, getpid(), NULL, 0 });
	CHECK_EQ(pdmai_unbind(&r.binding), 0);
	KERNEL_SHOWN({ KERNEL_EXPORT, MIB, getpid(), NULL, KERNEL_PROVIDER_GONE });
	CHECK(mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENODEV);
	kernel_provider(0, 0);
	CHECK_EQ(close(fd), 0);
	kernel_nothing_shown();
	kit_control_close(r.control);
}

static void become(uid_t uid)
{
	CHECK_EQ(setgroups(0, NULL), 0);
	CHECK_EQ(setresgid(uid, uid, uid), 0);
	CHECK_EQ(setresuid(uid, uid, uid), 0);
}

static void as_alice(struct kernel_rig *r)
{
	char *p;
	int fd;

	become(ALICE);
	p = map(r, 0, 3 * MIB);
	*p = 1;
	CHECK(try_map(r, 0, 2 * MIB) == MAP_FAILED);
	CHECK_EQ(errno, EDQUOT);
	CHECK_EQ(try_export(r, 2 * MIB, &fd), -EDQUOT);
	fd = export(r, MIB);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, EDQUOT);
	CHECK_EQ(kernel_used(ALICE), 4 * MIB);
	CHECK_EQ(munmap(p, 3 * MIB), 0);
	CHECK_EQ(kernel_used(ALICE), MIB);
	p = map(r, MIB, 3 * MIB);
	*p = 1;
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(munmap(p, MIB), 0);
	/* A part of a mapping is as much as all of it. */
	CHECK(try_map(r, 0, 2 * MIB) == MAP_FAILED);
	map(r, 0, MIB);
}

static void as_bob(struct kernel_rig *r)
{
	become(BOB);
	*map(r, 0, 64 * MIB) = 1;
	export(r, 8 * MIB);
}

static void limits_of_users(void)
{
	struct helper alice, bob;
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kernel_limit(ALICE, 4 * MIB);
	helper_start(&alice, &r, as_alice);
	helper_start(&bob, &r, as_bob);
	CHECK_EQ(kernel_used(ALICE), 4 * MIB);
	CHECK_EQ(kernel_used(BOB), 72 * MIB);
	helper_kill(&alice);
	CHECK_EQ(kernel_used(ALICE), 0);
	helper_kill(&bob);
	CHECK_EQ(kernel_used(BOB), 0);
	kernel_limit(ALICE, ~0ull);
	KERNEL_SHOWN(WHOLE(&r));
	kernel_close(&r);
}

/* An importer is refused by the limit of who exported; root is no exception. */
static void limit_of_an_importer(void)
{
	struct rdma_pair q;
	struct kernel_rig r;
	struct ibv_mr *mr;
	int fd;

	kernel_open(&r, 5000);
	rdma_pair_open(&q, "mlx5", 4096);
	fd = export(&r, MIB);
	kernel_limit(0, kernel_used(0) + MIB - 1);
	CHECK(!try_register(&q, fd, MIB));
	CHECK_EQ(errno, EDQUOT);
	KERNEL_SHOWN(WHOLE(&r), { KERNEL_EXPORT, MIB, getpid(), NULL, 0 });
	kernel_limit(0, kernel_used(0) + MIB);
	mr = try_register(&q, fd, MIB);
	CHECK(mr != NULL);
	CHECK_EQ(rdma(&q, mr), IBV_WC_SUCCESS);
	CHECK_EQ(ibv_dereg_mr(mr), 0);
	kernel_limit(0, ~0ull);
	close(fd);
	rdma_pair_close(&q);
	kernel_close(&r);
	kernel_nothing_shown();
}

static const struct tap_test tests[] = {
	{ "nothing_is_there_but_the_provider", nothing_is_there_but_the_provider, TAP_ANYWHERE },
	{ "parts_of_a_mapping", parts_of_a_mapping, TAP_ANYWHERE },
	{ "a_child_keeps_a_mapping", a_child_keeps_a_mapping, TAP_ANYWHERE },
	{ "one_who_is_killed", one_who_is_killed, TAP_ANYWHERE },
	{ "an_importer", an_importer, TAP_ANYWHERE },
	{ "pages_that_are_held", pages_that_are_held, TAP_ANYWHERE },
	{ "an_export_outlives_the_driver", an_export_outlives_the_driver, TAP_ANYWHERE },
	{ "limits_of_users", limits_of_users, TAP_ANYWHERE },
	{ "limit_of_an_importer", limit_of_an_importer, TAP_ANYWHERE },
};

TAP_MAIN(tests)
