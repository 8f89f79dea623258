// SPDX-License-Identifier: MIT
/*
 * A bounded random caller of /dev/peerdma: requests that are nearly right, from threads that share
 * their descriptors, while providers come and go. Every answer must be one its header has. The seed
 * is printed; PEERDMA_SEED sets another, and PEERDMA_CALLS how many each thread makes.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/tap.h"
#include "uapi/peerdma/ioctl.h"

#define N_THREADS 4
#define N_FDS	  8
#define AREA	  65536u
#define NOBODY	  65534

/* Of kernel/peerdma_test. */
struct test_request {
	uint32_t op, handle, provider, parent, kind, flags;
	int32_t result;
	uint32_t reserved;
	uint64_t bytes;
	struct peerdma_pci function;
	char importer[32];
};
#define TEST_IOC _IOWR(0xb6, 0, struct test_request)
#define TEST_OPS 8

struct caller {
	pthread_t thread;
	uint64_t random;
	char *area; /* followed by pages that are not there */
	unsigned calls;
};

static int fds[N_FDS], test_fd;
static struct peerdma_pci functions[3];
static void *bar; /* of the second */

static uint32_t next(struct caller *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 16);
}

static uint32_t below(struct caller *c, uint32_t n)
{
	return next(c) % n;
}

static uint32_t odd_value(struct caller *c)
{
	static const uint32_t values[] = { 0,	1,    2,	  3,	       8,
					   127, 4096, 0x7fffffff, 0x80000000u, 0xffffffffu };

	if (!below(c, 4))
		return next(c);
	return values[below(c, sizeof(values) / sizeof(values[0]))];
}

/* Memory that is there, or ends, or is not, or is the kernel's. */
static uint64_t odd_address(struct caller *c)
{
	switch (below(c, 12)) {
	case 0:
		return 0;
	case 1:
		return 0xffff888000000000ull + below(c, 4096);
	case 2:
		return (uintptr_t)c->area + AREA - below(c, 256);
	case 3:
		return UINT64_MAX - below(c, 256);
	default:
		return (uintptr_t)c->area;
	}
}

struct request {
	unsigned long number;
	uint32_t size;
	int errnos[12]; /* the documented ones, ended by 0 */
	void (*fill)(struct caller *c, uint32_t *words);
};

static void fill_path(struct caller *c, uint32_t *words)
{
	struct peerdma_path path = { .size = sizeof(path),
				     .initiator = functions[below(c, 3)],
				     .target = functions[below(c, 3)],
				     .bar = below(c, 2) * 2,
				     .len = 4096 };

	memcpy(words, &path, sizeof(path));
}

static void fill_list(struct caller *c, uint32_t *words)
{
	static const uint32_t row_sizes[] = { 48, 56, 128, 200, 4096 };
	struct peerdma_list list = { .size = sizeof(list),
				     .rows = (uintptr_t)c->area,
				     .row_size = row_sizes[below(c, 5)],
				     .n_rows = below(c, 20),
				     .cursor = below(c, 3) ? 0 : next(c),
				     .scope = below(c, 3) };

	if (!below(c, 4))
		list.cursor |= 1ull << 63;
	memcpy(words, &list, sizeof(list));
}

static void fill_limit(struct caller *c, uint32_t *words)
{
	struct peerdma_limit limit = { .size = sizeof(limit),
				       .scope = below(c, 3),
				       .id = below(c, 2) ? 1 : NOBODY };

	if (!below(c, 2))
		limit.max = (uint64_t)below(c, 64) << 20;
	memcpy(words, &limit, sizeof(limit));
}

static void fill_listen(struct caller *c, uint32_t *words)
{
	struct peerdma_listen listen = { .size = sizeof(listen), .types = next(c) & 0x7e };

	memcpy(words, &listen, sizeof(listen));
}

/* A BAR that the process has mapped, or something else. */
static void fill_where(struct caller *c, uint32_t *words)
{
	struct peerdma_where where = { .size = sizeof(where),
				       .function = functions[below(c, 2)],
				       .address = (uintptr_t)bar + below(c, 2 * AREA),
				       .len = below(c, AREA) };

	if (!below(c, 4))
		where.address = odd_address(c);
	memcpy(words, &where, sizeof(where));
}

static void fill_any(struct caller *c, uint32_t *words)
{
	for (int i = 0; i < 40; i++)
		words[i] = odd_value(c);
}

static const struct request requests[] = {
	{ PEERDMA_IOC_PATH, 80, { EPERM, ENODEV, ENXIO }, fill_path },
	{ PEERDMA_IOC_PROVIDERS, 48, { 0 }, fill_list },
	{ PEERDMA_IOC_PINS, 48, { 0 }, fill_list },
	{ PEERDMA_IOC_LIMITS, 48, { 0 }, fill_list },
	{ PEERDMA_IOC_LIMIT_SET, 48, { EPERM, ENOENT }, fill_limit },
	{ PEERDMA_IOC_LIMIT_GET, 48, { EPERM, ENOENT }, fill_limit },
	{ PEERDMA_IOC_LIMIT_CLEAR, 48, { EPERM, ENOENT }, fill_limit },
	{ PEERDMA_IOC_LISTEN, 16, { EBUSY, EUSERS }, fill_listen },
	{ PEERDMA_IOC_WHERE, 56, { EPERM, ENODEV, ENXIO }, fill_where },
	{ _IOWR(PEERDMA_IOCTL_TYPE, 99, uint32_t), 16, { ENOTTY }, fill_any },
};
#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static bool is_documented(const struct request *r, int err)
{
	if (err == EFAULT || err == EINVAL || err == E2BIG)
		return true;
	for (int i = 0; r->errnos[i]; i++)
		if (r->errnos[i] == err)
			return true;
	return false;
}

/* What is wrong with it, if anything. rows never leads into other memory of ours. */
static void spoil(struct caller *c, const struct request *r, uint32_t *words)
{
	bool is_list = r->fill == fill_list;
	uint64_t rows;

	for (uint32_t n = below(c, 3) ? 0 : 1 + below(c, 3); n; n--)
		words[below(c, 1 + r->size / 4)] = odd_value(c);
	if (!below(c, 16))
		fill_any(c, words);
	if (is_list) {
		rows = odd_address(c);
		memcpy(words + 2, &rows, sizeof(rows));
	}
}

static void call(struct caller *c)
{
	const struct request *r = &requests[below(c, N_REQUESTS)];
	uint32_t words[1024] = { 0 }, before[1024];
	uint64_t address;

	r->fill(c, words);
	spoil(c, r, words);
	memcpy(before, words, sizeof(words));
	address = below(c, 32) ? (uintptr_t)words : odd_address(c);
	if (address == (uintptr_t)c->area)
		memcpy(c->area, words, sizeof(words));
	/* No structure is as long as to lead beyond the array. */
	if (!ioctl(fds[below(c, N_FDS)], r->number, address))
		return;
	if (!is_documented(r, errno))
		tap_fail(__FILE__, __LINE__, "request %lu gives errno %d", r->number & 0xff, errno);
	if (memcmp(before, words, sizeof(words)))
		tap_fail(__FILE__, __LINE__, "request %lu changed its argument", r->number & 0xff);
}

static void read_events(struct caller *c)
{
	struct pollfd p = { .fd = fds[below(c, N_FDS)], .events = POLLIN };
	ssize_t n;

	poll(&p, 1, 0);
	n = read(p.fd, (void *)(uintptr_t)odd_address(c), below(c, 400));
	if (n >= 0)
		CHECK_EQ(n % (ssize_t)sizeof(struct peerdma_event), 0);
	else
		CHECK(errno == ENOTCONN || errno == EINVAL || errno == EAGAIN || errno == EFAULT);
}

/* Whoever uses the descriptor meanwhile has the old file or the new one. */
static void reopen(struct caller *c)
{
	int fd = open("/dev/peerdma", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(dup3(fd, fds[below(c, N_FDS)], O_CLOEXEC) >= 0);
	close(fd);
}

static void provide(struct caller *c)
{
	struct test_request r = { .op = 1 + below(c, TEST_OPS),
				  .handle = 1 + below(c, 48),
				  .provider = 1 + below(c, 48),
				  .parent = below(c, 2) ? 0 : 1 + below(c, 48),
				  .kind = below(c, 7),
				  .flags = below(c, 5),
				  .result = -(int32_t)below(c, 200),
				  .bytes = (uint64_t)below(c, 1000) << 12,
				  .function = functions[below(c, 3)],
				  .importer = "0000:00:00.0" };

	if (ioctl(test_fd, TEST_IOC, &r))
		CHECK(errno == ENOENT || errno == EINVAL || errno == EDQUOT);
}

static void *work(void *arg)
{
	struct caller *c = arg;

	for (unsigned i = 0; i < c->calls; i++) {
		switch (below(c, 8)) {
		case 0:
			read_events(c);
			break;
		case 1:
		case 2:
			provide(c);
			break;
		case 3:
			if (!below(c, 8))
				reopen(c);
			break;
		default:
			call(c);
		}
	}
	return NULL;
}

static void start(struct caller *c, uint64_t seed, unsigned calls)
{
	c->random = seed * 0x9e3779b97f4a7c15ull | 1;
	c->calls = calls;
	c->area = mmap(NULL, 2 * AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(c->area != MAP_FAILED);
	CHECK_EQ(mprotect(c->area + AREA, AREA, PROT_NONE), 0);
	CHECK_EQ(pthread_create(&c->thread, NULL, work, c), 0);
}

static _Noreturn void call_as(unsigned uid, uint64_t seed, unsigned calls)
{
	struct caller callers[N_THREADS];

	if (uid) {
		CHECK_EQ(setgroups(0, NULL), 0);
		CHECK_EQ(setresuid(uid, uid, uid), 0);
	}
	for (int i = 0; i < N_FDS; i++) {
		fds[i] = open("/dev/peerdma", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		CHECK(fds[i] >= 0);
	}
	for (int i = 0; i < N_THREADS; i++)
		start(&callers[i], seed + (uint64_t)i, calls);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	_exit(0);
}

static unsigned long from_environment(const char *name, unsigned long other)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : other;
}

static void find_function(const char *slot, struct peerdma_pci *ret)
{
	const char *text = getenv(slot);
	unsigned domain, bus, device, function;

	CHECK(text && sscanf(text, "%x:%x:%x.%x", &domain, &bus, &device, &function) == 4);
	*ret = (struct peerdma_pci){ .domain = domain,
				     .bus = (uint8_t)bus,
				     .devfn = (uint8_t)(device << 3 | function) };
}

/* No driver has the function, so the kernel lets its BAR be mapped. */
static void map_bar(const char *slot)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", getenv(slot) ?: "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	bar = mmap(NULL, 2 * AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(bar != MAP_FAILED);
	close(fd);
}

static void load(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/kernel/%s.ko", getenv("PEERDMA_BUILD") ?: "", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(syscall(SYS_finit_module, fd, "", 0), 0);
	close(fd);
}

/* Nothing is left of it, whatever was done. */
static void check_empty(void)
{
	struct peerdma_list list = { .size = sizeof(list), .row_size = 128 };
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC);

	CHECK_EQ(ioctl(fd, PEERDMA_IOC_PINS, &list), 0);
	CHECK_EQ(list.n_total, 0);
	list.cursor = 0;
	CHECK_EQ(ioctl(fd, PEERDMA_IOC_PROVIDERS, &list), 0);
	CHECK_EQ(list.n_total, 0);
	close(fd);
}

static void every_answer_is_a_documented_one(void)
{
	unsigned long seed = from_environment("PEERDMA_SEED", 20261121);
	unsigned calls = (unsigned)from_environment("PEERDMA_CALLS", 4000);
	pid_t children[2];
	int status;

	printf("# seed %lu, %u calls of each of %d threads, twice\n", seed, calls, N_THREADS);
	fflush(stdout);
	find_function("PEERDMA_SLOT_NIC0", &functions[0]);
	find_function("PEERDMA_SLOT_ACC0", &functions[1]);
	find_function("PEERDMA_SLOT_DISK0", &functions[2]);
	map_bar("PEERDMA_SLOT_ACC0");
	load("peerdma");
	load("peerdma_test");
	test_fd = open("/dev/peerdma_test", O_RDWR | O_CLOEXEC);
	CHECK(test_fd >= 0);
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i])
			call_as(i ? NOBODY : 0, seed + 1000 * (uint64_t)i, calls);
	}
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
		CHECK_EQ(status, 0);
	}
	close(test_fd);
	munmap(bar, 2 * AREA);
	check_empty();
	CHECK_EQ(syscall(SYS_delete_module, "peerdma_test", 0), 0);
	CHECK_EQ(syscall(SYS_delete_module, "peerdma", 0), 0);
}

static const struct tap_test tests[] = {
	{ "every_answer_is_a_documented_one", every_answer_is_a_documented_one, TAP_ANYWHERE },
};
TAP_MAIN(tests)
