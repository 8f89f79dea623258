// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio: many resets of every kind while a disk writes by O_DIRECT and the NIC by an
 * on-demand-paging region and by a dma-buf. Each comes back, all goes on afterwards, no byte of a
 * transfer that had ended appears, and nothing is lost for good. PEERDMA_RESETS says how many.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "lib/vfio/private.h"
#include "tests/guest/rdma_pair.h"
#include "tests/guest/kernel_rig.h"
#include "util/clock.h"

#define LEN	  (256 * KIB)
#define SLOTS	  8 /* generations that the disk has; those near each other are different */
#define WAIT_MS	  30000
#define USUAL	  40
#define LEAK_KIB  16384 /* what the kernel may keep for itself, whatever the number */
#define WARM_UP	  5
#define N_WORKERS 3

struct worker {
	struct load *l;
	pthread_t thread;
	uint64_t area; /* in device memory */
	uint64_t good, failed;
	bool (*once)(struct worker *w);
	struct rdma_pair q;
	struct ibv_mr *mr;
	uint64_t remote; /* address of the area for the NIC */
};

struct load {
	struct kernel_rig r;
	struct worker w[N_WORKERS];
	pthread_barrier_t begin, end;
	uint64_t round;
	bool stop, quit;
	int disk;
};

/* Data of a round, and what is put there before it. */
static uint64_t data_seed(uint64_t round)
{
	return 1000 + round % SLOTS;
}

static uint64_t empty_seed(uint64_t round)
{
	return 2000 + round % SLOTS;
}

/* What is taken away in the middle ends early or with EFAULT, and never otherwise. */
static bool disk_once(struct worker *w)
{
	uint64_t slot = w->l->round % SLOTS;
	ssize_t n = pread(w->l->disk, w->l->r.mem + w->area, LEN, (off_t)(slot * LEN));

	if (n < 0 && errno != EFAULT)
		tap_fail(__FILE__, __LINE__, "the disk: errno %d", errno);
	/* While the memory is away asking again at once would only keep the reset from its work. */
	if (n < 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return n == (ssize_t)LEN;
}

static bool rdma_once(struct worker *w)
{
	struct rdma_op op = {
		.op = IBV_WR_RDMA_WRITE, .remote = w->remote, .rkey = w->mr->rkey, .len = LEN
	};

	if (rdma_pair_do(&w->q, &op) == IBV_WC_SUCCESS)
		return true;
	rdma_pair_connect(&w->q);
	return false;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct load *l = w->l;

	for (;;) {
		pthread_barrier_wait(&l->begin);
		if (l->quit)
			return NULL;
		if (w->q.host)
			kit_pattern_fill(w->q.host, LEN, data_seed(l->round), 0);
		while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE))
			__atomic_add_fetch(w->once(w) ? &w->good : &w->failed, 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&l->end);
	}
}

static void fill_disk(struct load *l)
{
	l->disk = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(l->disk >= 0);
	for (uint64_t i = 0; i < SLOTS; i++) {
		kit_pattern_fill(l->r.mem, LEN, data_seed(i), 0);
		CHECK_EQ(pwrite(l->disk, l->r.mem, LEN, (off_t)(i * LEN)), LEN);
	}
}

static void register_areas(struct load *l)
{
	struct worker *odp = &l->w[1], *dmabuf = &l->w[2];

	rdma_pair_open(&odp->q, "mlx5", LEN);
	rdma_pair_open(&dmabuf->q, "mlx5", LEN);
	odp->remote = (uintptr_t)l->r.mem + odp->area;
	odp->mr = ibv_reg_mr(odp->q.pd, l->r.mem + odp->area, LEN,
			     RDMA_PAIR_ACCESS | IBV_ACCESS_ON_DEMAND);
	CHECK(odp->mr != NULL);
	dmabuf->mr = rdma_pair_dmabuf(&dmabuf->q, kernel_dmabuf(&l->r, dmabuf->area, LEN), LEN);
}

static void start(struct load *l)
{
	memset(l, 0, sizeof(*l));
	kernel_open(&l->r, 20000);
	fill_disk(l);
	for (unsigned i = 0; i < N_WORKERS; i++)
		l->w[i] = (struct worker){ .l = l,
					   .area = 32 * MIB + i * MIB,
					   .once = i ? rdma_once : disk_once };
	register_areas(l);
	CHECK_EQ(pthread_barrier_init(&l->begin, NULL, N_WORKERS + 1), 0);
	CHECK_EQ(pthread_barrier_init(&l->end, NULL, N_WORKERS + 1), 0);
	for (unsigned i = 0; i < N_WORKERS; i++)
		CHECK_EQ(pthread_create(&l->w[i].thread, NULL, worker_main, &l->w[i]), 0);
}

static void finish(struct load *l)
{
	l->quit = true;
	pthread_barrier_wait(&l->begin);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		CHECK_EQ(pthread_join(l->w[i].thread, NULL), 0);
		printf("# worker %u: %" PRIu64 " transfers, %" PRIu64 " cut off\n", i, l->w[i].good,
		       l->w[i].failed);
	}
	for (unsigned i = 1; i < N_WORKERS; i++) {
		CHECK_EQ(ibv_dereg_mr(l->w[i].mr), 0);
		rdma_pair_close(&l->w[i].q);
	}
	close(l->disk);
	/* No page is held: there is nothing to wait for, so no time for it is needed. */
	kernel_revoke_ms(0);
	CHECK_EQ(kernel_reset(&l->r), 0);
	kernel_close(&l->r);
}

static int hot_reset(struct kernel_rig *r)
{
	/* argsz, flags, count, and the group behind them */
	uint32_t arg[4] = { sizeof(arg), 0, 1, (uint32_t)r->vfio->groups[0].fd };

	return ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_PCI_HOT_RESET, arg) ? -errno : 0;
}

static int sysfs_reset(struct kernel_rig *r)
{
	return pdmai_attr_put("1", PDMAI_SYSFS "/bus/pci/devices/%s/reset", r->bdf.text);
}

/* Behind a root port of QEMU the kernel has no hot reset for the function. */
static void reset(struct load *l)
{
	bool has_hot = !strncmp(getenv("PEERDMA_TOPOLOGY"), "switch", 6);

	switch (l->round % 4) {
	case 1:
		CHECK_EQ(sysfs_reset(&l->r), 0);
		break;
	case 2:
		CHECK_EQ(has_hot ? hot_reset(&l->r) : kernel_reset(&l->r), 0);
		break;
	default:
		CHECK_EQ(kernel_reset(&l->r), 0);
	}
}

/* Every worker gets something done: it has recovered from the reset before, and is at work. */
static void wait_progress(struct load *l, const uint64_t *before)
{
	int64_t end = util_now_ms() + WAIT_MS;

	for (unsigned i = 0; i < N_WORKERS; i++)
		while (__atomic_load_n(&l->w[i].good, __ATOMIC_RELAXED) == before[i]) {
			if (util_now_ms() > end)
				tap_fail(__FILE__, __LINE__,
					 "worker %u stands still in round %" PRIu64, i, l->round);
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
		}
}

/* Only what this round put there: a word of an earlier one was written by who had ended. */
static void check_area(struct load *l, unsigned i)
{
	const volatile uint64_t *word = (void *)(l->r.mem + l->w[i].area);

	for (uint64_t n = 0; n < LEN / 8; n++) {
		uint64_t got = word[n];

		if (got != kit_pattern_word(data_seed(l->round), n) &&
		    got != kit_pattern_word(empty_seed(l->round), n))
			tap_fail(__FILE__, __LINE__,
				 "round %" PRIu64 ", worker %u: 0x%" PRIx64 " at word %" PRIu64,
				 l->round, i, got, n);
	}
}

static void one_round(struct load *l)
{
	uint64_t before[N_WORKERS];

	for (unsigned i = 0; i < N_WORKERS; i++) {
		before[i] = l->w[i].good;
		kit_pattern_fill(l->r.mem + l->w[i].area, LEN, empty_seed(l->round), 0);
	}
	if (l->round % 100 == 0) {
		printf("# round %" PRIu64 " after %" PRId64 " ms\n", l->round, util_now_ms());
		fflush(stdout);
	}
	l->stop = false;
	pthread_barrier_wait(&l->begin);
	wait_progress(l, before);
	reset(l);
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&l->end);
	for (unsigned i = 0; i < N_WORKERS; i++)
		check_area(l, i);
	l->round++;
}

/* A number behind a word of a file of the kernel's; all of it is looked through. */
static long number(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[256];
	long n = -1;

	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, word);

		if (at)
			n = strtol(at + strlen(word), NULL, 10);
	}
	fclose(file);
	CHECK(n >= 0);
	return n;
}

struct stock {
	long dmabufs, module, free_kib;
};

static struct stock take_stock(void)
{
	struct stock s;

	sync();
	CHECK_EQ(pdmai_attr_put("3", "/proc/sys/vm/drop_caches"), 0);
	s.free_kib = number("/proc/meminfo", "MemFree:");
	s.dmabufs = number("/sys/kernel/debug/dma_buf/bufinfo", "Total ");
	s.module = number(PDMAI_SYSFS "/module/peerdma_vfio/refcnt", "");
	return s;
}

static void resets_under_load(void)
{
	const char *text = getenv("PEERDMA_RESETS");
	uint64_t count = text ? strtoull(text, NULL, 10) : USUAL;
	int64_t start_ms = util_now_ms();
	struct stock outside, warm, now;
	struct kernel_rig r;
	static struct load l;

	alarm(60 + 4 * (unsigned)count);
	kernel_open(&r, 5000);
	kernel_close(&r);
	outside = take_stock();
	start(&l);
	CHECK(count > WARM_UP);
	while (l.round < WARM_UP)
		one_round(&l);
	warm = take_stock();
	while (l.round < count)
		one_round(&l);
	now = take_stock();
	printf("# %" PRIu64 " resets in %" PRId64
	       " ms, memory free before %ld KiB, after %ld KiB\n",
	       l.round, util_now_ms() - start_ms, warm.free_kib, now.free_kib);
	CHECK_EQ(now.dmabufs, warm.dmabufs);
	CHECK_EQ(now.module, warm.module);
	CHECK(warm.free_kib - now.free_kib < LEAK_KIB);
	finish(&l);
	now = take_stock();
	CHECK_EQ(now.dmabufs, outside.dmabufs);
	CHECK_EQ(now.module, outside.module);
}

static const struct tap_test tests[] = {
	{ "resets_under_load", resets_under_load, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
