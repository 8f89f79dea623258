// SPDX-License-Identifier: MIT
/*
 * The pointer of peerdma_vfio and io_uring: many requests under way, in pieces, polled; what can't
 * be had is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_area.h"

#define AREA  (2 * MIB)
#define LEN   (16 * MIB)
#define BLOCK 512ull
#define PAGE  4096ull
#define DEPTH 16
#define PLACE (3 * BLOCK) /* in the file */
#define MS    20000

/* All of an area in requests of at most step bytes, DEPTH of them under way. */
struct job {
	struct io_uring *ring;
	struct kernel_area *a;
	int fd;
	bool out, pieces;
	uint64_t step;
	struct iovec v[DEPTH][2];
};

static uint64_t len_of(const struct job *j, uint64_t n)
{
	uint64_t left = j->a->len - n * j->step;

	return left < j->step ? left : j->step;
}

static void prepare(struct job *j, uint64_t n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(j->ring);
	struct iovec *v = j->v[n % DEPTH];
	uint64_t len = len_of(j, n), half = len / 2 & ~(PAGE - 1), off = PLACE + n * j->step;
	char *mem = j->a->mem + n * j->step;

	CHECK(sqe != NULL);
	v[0] = (struct iovec){ mem, half };
	v[1] = (struct iovec){ mem + half, len - half };
	if (j->pieces && j->out)
		io_uring_prep_writev(sqe, j->fd, v, 2, off);
	else if (j->pieces)
		io_uring_prep_readv(sqe, j->fd, v, 2, off);
	else if (j->out)
		io_uring_prep_write(sqe, j->fd, mem, (unsigned)len, off);
	else
		io_uring_prep_read(sqe, j->fd, mem, (unsigned)len, off);
	io_uring_sqe_set_data(sqe, (void *)(uintptr_t)n);
}

static void reap(struct job *j)
{
	struct io_uring_cqe *cqe;
	uint64_t n;

	CHECK_EQ(io_uring_wait_cqe(j->ring, &cqe), 0);
	n = (uintptr_t)io_uring_cqe_get_data(cqe);
	if (cqe->res != (int)len_of(j, n))
		tap_fail(__FILE__, __LINE__, "request %" PRIu64 " of %" PRIu64 " bytes: %d", n,
			 len_of(j, n), cqe->res);
	io_uring_cqe_seen(j->ring, cqe);
}

/* Requests end in any order; a slot is used again when as many as there are slots have ended. */
static void run(struct job *j)
{
	uint64_t total = (j->a->len + j->step - 1) / j->step, sent = 0;

	while (sent < total) {
		uint64_t first = sent;

		while (sent < total && sent - first < DEPTH)
			prepare(j, sent++);
		CHECK_EQ(io_uring_submit(j->ring), sent - first);
		for (uint64_t i = first; i < sent; i++)
			reap(j);
	}
}

static void there_and_back(struct kernel_rig *r, struct io_uring *ring, const char *path,
			   uint64_t step, bool pieces)
{
	static uint64_t seed = 300;
	struct kernel_area a;
	struct kernel_moved m;
	struct kernel_file f;
	struct job j = { .ring = ring, .a = &a, .step = step, .pieces = pieces };

	kernel_file_open(&f, path);
	kernel_area_fill(&a, r, AREA - BLOCK, LEN + BLOCK, seed++);
	j.fd = f.direct;
	j.out = true;
	kernel_moved_start(r, &m);
	run(&j);
	kernel_area_spoil(&a);
	j.out = false;
	run(&j);
	kernel_only_peers(r, &m, 2 * a.len);
	KERNEL_CHECK_AREA(&a);
	kernel_file_check(&f, PLACE, a.len, a.seed);
	CHECK_EQ(posix_fadvise(f.cached, 0, 0, POSIX_FADV_DONTNEED), 0);
	kernel_file_close(&f);
}

static void all_sizes(struct kernel_rig *r, const char *path, unsigned flags)
{
	struct io_uring ring;

	CHECK_EQ(io_uring_queue_init(DEPTH, &ring, flags), 0);
	there_and_back(r, &ring, path, 64 * KIB, false);
	there_and_back(r, &ring, path, MIB + BLOCK, false);
	there_and_back(r, &ring, path, 64 * KIB, true);
	io_uring_queue_exit(&ring);
}

static void on_the_raw_disk(void)
{
	struct kernel_rig r;

	kernel_open(&r, MS);
	kernel_lists(kernel_lists_work());
	all_sizes(&r, kernel_disk(1), 0);
	kernel_lists(true);
	kernel_close(&r);
}

static void on_ext4(void)
{
	struct kernel_rig r;

	kernel_open(&r, MS);
	kernel_lists(kernel_lists_work());
	kernel_mount(&r, 1, 32 * MIB);
	all_sizes(&r, KERNEL_FILE, 0);
	kernel_umount();
	kernel_lists(true);
	kernel_close(&r);
}

/* Queues of that kind are there from the moment on when the driver is bound. */
static void poll_queues(const char *n)
{
	const char *driver = PDMAI_SYSFS "/bus/pci/drivers/nvme",
		   *bdf = getenv("PEERDMA_SLOT_DISK0");

	CHECK_EQ(pdmai_attr_put(n, PDMAI_SYSFS "/module/nvme/parameters/poll_queues"), 0);
	CHECK_EQ(pdmai_attr_put(bdf, "%s/unbind", driver), 0);
	CHECK_EQ(pdmai_attr_put(bdf, "%s/bind", driver), 0);
}

/* Such queues have no interrupt: only polling finds what has ended. */
static void polled(void)
{
	struct kernel_rig r;
	char text[16];

	kernel_open(&r, MS);
	poll_queues("2");
	kernel_lists(kernel_lists_work());
	CHECK_EQ(pdmai_attr_get(text, sizeof(text), PDMAI_SYSFS "/block/%s/queue/io_poll",
				kernel_disk(1) + 5),
		 0);
	CHECK_EQ(text[0], '1');
	all_sizes(&r, kernel_disk(1), IORING_SETUP_IOPOLL);
	kernel_lists(true);
	poll_queues("0");
	kernel_close(&r);
}

/* They are pinned for as long as they are registered; the kernel does not do that here. */
static void fixed_buffers_are_refused(void)
{
	struct kernel_rig r;
	struct io_uring ring;
	struct iovec host = { aligned_alloc(PAGE, PAGE), PAGE }, pages;

	kernel_open(&r, 300);
	pages = (struct iovec){ r.mem + AREA, MIB };
	CHECK(kernel_touch(pages.iov_base));
	CHECK_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	CHECK_EQ(io_uring_register_buffers(&ring, &pages, 1), -EREMOTEIO);
	CHECK_EQ(io_uring_register_buffers(&ring, &host, 1), 0);
	CHECK_EQ(io_uring_unregister_buffers(&ring), 0);
	/* Nothing of the attempt is left that a reset would have to wait for. */
	CHECK_EQ(kernel_reset(&r), 0);
	io_uring_queue_exit(&ring);
	kernel_close(&r);
	free(host.iov_base);
}

static struct io_uring_cqe *wait_one(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 20 };
	struct io_uring_cqe *cqe = NULL;

	CHECK_EQ(io_uring_wait_cqe_timeout(ring, &cqe, &limit), 0);
	return cqe;
}

/* Memory that is away: the request ends with EFAULT; one under way is waited for. */
static void memory_goes_away(void)
{
	struct kernel_rig r;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct kernel_area a;
	struct kernel_file f;
	struct job j = { .ring = &ring, .a = &a, .step = MIB };

	kernel_open(&r, 300);
	kernel_file_open(&f, kernel_disk(1));
	j.fd = f.direct;
	kernel_area_fill(&a, &r, AREA, MIB, 7);
	CHECK_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	j.out = true;
	run(&j);
	j.out = false;
	kernel_disk_stall(&r, true);
	prepare(&j, 0);
	CHECK_EQ(io_uring_submit(&ring), 1);
	kernel_wait_in_flight(kernel_disk(1)); /* a worker of the kernel may submit it, later */
	kernel_refused(kernel_reset, &r, 300);
	kernel_area_spoil(&a);
	CHECK_EQ(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	kernel_disk_stall(&r, false);
	cqe = wait_one(&ring);
	CHECK_EQ(cqe->res, MIB);
	io_uring_cqe_seen(&ring, cqe);
	KERNEL_CHECK_AREA(&a);
	CHECK_EQ(kernel_command(&r, false), 0);
	prepare(&j, 0);
	CHECK_EQ(io_uring_submit(&ring), 1);
	cqe = wait_one(&ring);
	CHECK_EQ(cqe->res, -EFAULT);
	io_uring_cqe_seen(&ring, cqe);
	CHECK_EQ(kernel_command(&r, true), 0);
	run(&j);
	KERNEL_CHECK_AREA(&a);
	io_uring_queue_exit(&ring);
	kernel_file_close(&f);
	kernel_close(&r);
}

static const struct tap_test tests[] = {
	{ "on_the_raw_disk", on_the_raw_disk, TAP_WITH_IOMMU },
	{ "on_ext4", on_ext4, TAP_WITH_IOMMU },
	{ "polled", polled, TAP_WITH_IOMMU },
	{ "fixed_buffers_are_refused", fixed_buffers_are_refused, TAP_WITH_IOMMU },
	{ "memory_goes_away", memory_goes_away, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
