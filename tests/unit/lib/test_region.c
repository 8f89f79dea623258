// SPDX-License-Identifier: MIT
/* Regions: slices, joins, mappings, access, revoke, events; on the fake kind and host memory. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/module/module.h"
#include "peerdma/peerdma.h"
#include "tests/unit/lib/fake.h"

#define PAGE   4096ull
#define MAPPED (PDMA_REGION_MAP | PDMA_REGION_DMABUF | PDMA_REGION_DEVICE)

static struct pdma_ctx *ctx;

static int make_ctx(void **state)
{
	return pdma_ctx_create(NULL, &ctx);
}

static int drop_ctx(void **state)
{
	pdma_ctx_destroy(ctx);
	return 0;
}

static struct pdma_region_info info_of(const struct pdma_region *r)
{
	struct pdma_region_info info = { .size = sizeof(info) };

	assert_int_equal(pdma_region_get_info(r, &info), 0);
	return info;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void read_write_and_map(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, 4 * PAGE, MAPPED);
	char buf[100];
	void *vaddr, *again;

	for (unsigned off = 0; off < 20; off++) {
		char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";

		assert_int_equal(pdma_region_write(r, PAGE - 9 + off, text, 36), 0);
		assert_int_equal(pdma_region_read(r, PAGE - 9 + off, buf, 36), 0);
		assert_memory_equal(buf, text, 36);
		assert_memory_equal(fm.mem + PAGE - 9 + off, text, 36);
	}
	assert_int_equal(pdma_region_read(r, 4 * PAGE - 10, buf, 11), -ERANGE);
	assert_int_equal(pdma_region_read(r, UINT64_MAX, buf, 2), -ERANGE);
	assert_int_equal(pdma_region_read(r, 4 * PAGE, buf, 0), 0);
	assert_int_equal(pdma_region_map(r, &vaddr), 0);
	assert_int_equal(pdma_region_map(r, &again), 0);
	assert_ptr_equal(vaddr, again);
	assert_memory_equal(vaddr, fm.mem, 4 * PAGE);
	pdma_region_unmap(r);
	((char *)vaddr)[5] = 'X';
	assert_int_equal(fm.mem[5], 'X');
	pdma_region_unmap(r);
	pdma_region_close(r);
	assert_int_equal(fm.closed, 1);
	fake_memory_free(&fm);
}

static void slices_of_slices(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, 4 * PAGE, MAPPED), *a, *b, *c;
	char got;

	assert_int_equal(pdma_region_slice(r, 100, 2 * PAGE, NULL, &a), 0);
	assert_int_equal(pdma_region_slice(a, 7, 50, NULL, &b), 0);
	assert_int_equal(pdma_region_slice(b, 50, 1, NULL, &c), -ERANGE);
	assert_int_equal(pdma_region_slice(b, 49, 2, NULL, &c), -ERANGE);
	assert_int_equal(pdma_region_slice(b, UINT64_MAX, 2, NULL, &c), -ERANGE);
	assert_int_equal(pdma_region_slice(b, 0, 0, NULL, &c), -EINVAL);
	fm.mem[107] = 'p';
	/* The parents may go first. */
	pdma_region_close(r);
	pdma_region_close(a);
	assert_int_equal(fm.closed, 0);
	assert_int_equal(pdma_region_read(b, 0, &got, 1), 0);
	assert_int_equal(got, 'p');
	assert_int_equal(info_of(b).len, 50);
	pdma_region_close(b);
	assert_int_equal(fm.closed, 1);
	fake_memory_free(&fm);
}

static void joined_memory_is_one(void **state)
{
	struct fake_memory fm[2] = { { 0 }, { 0 } };
	struct pdma_region *parts[2], *joined, *odd[2], *bad;
	struct pdma_region_range range;
	char *vaddr, buf[8];
	void *p;

	parts[0] = fake_region(ctx, &fm[0], 2 * PAGE, MAPPED);
	parts[1] = fake_region(ctx, &fm[1], PAGE, MAPPED);
	assert_int_equal(pdma_region_join(parts, 2, NULL, &joined), 0);
	assert_int_equal(info_of(joined).len, 3 * PAGE);
	assert_int_equal(info_of(joined).n_ranges, 2);
	assert_int_equal(pdma_region_range(joined, 1, &range), 0);
	assert_int_equal(range.len, PAGE);
	assert_int_equal(pdma_region_range(joined, 2, &range), -ERANGE);
	assert_int_equal(pdma_region_map(joined, &p), 0);
	vaddr = p;
	memcpy(vaddr + 2 * PAGE - 4, "abcdefgh", 8);
	assert_memory_equal(fm[0].mem + 2 * PAGE - 4, "abcd", 4);
	assert_memory_equal(fm[1].mem, "efgh", 4);
	assert_int_equal(pdma_region_read(joined, 2 * PAGE - 4, buf, 8), 0);
	assert_memory_equal(buf, "abcdefgh", 8);
	pdma_region_unmap(joined);
	/* Two devices can't be one dma-buf, and no mapping starts inside a page. */
	assert_int_equal(pdma_region_dmabuf(joined, &(int){ 0 }), -EXDEV);
	assert_int_equal(pdma_region_slice(parts[0], 0, 100, NULL, &odd[0]), 0);
	odd[1] = parts[1];
	assert_int_equal(pdma_region_join(odd, 2, NULL, &bad), 0);
	assert_int_equal(pdma_region_map(bad, &p), -EOPNOTSUPP);
	assert_int_equal(pdma_region_write(bad, 98, "wxyz", 4), 0);
	assert_memory_equal(fm[0].mem + 98, "wx", 2);
	assert_memory_equal(fm[1].mem, "yz", 2);
	assert_int_equal(pdma_region_join(parts, 0, NULL, &bad), -EINVAL);
	pdma_region_close(bad);
	pdma_region_close(odd[0]);
	pdma_region_close(joined);
	pdma_region_close(parts[0]);
	pdma_region_close(parts[1]);
	fake_memory_free(&fm[0]);
	fake_memory_free(&fm[1]);
}

static void dmabufs_are_of_whole_pages(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, 8 * PAGE, MAPPED), *a, *b, *c;
	struct pdma_region *parts[2];
	int fd;

	assert_int_equal(pdma_region_slice(r, 4 * PAGE, 2 * PAGE, NULL, &a), 0);
	assert_int_equal(pdma_region_slice(r, PAGE, PAGE, NULL, &b), 0);
	parts[0] = a;
	parts[1] = b;
	assert_int_equal(pdma_region_join(parts, 2, NULL, &c), 0);
	assert_int_equal(pdma_region_dmabuf(c, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(fm.n_spans, 2);
	assert_int_equal(fm.spans[0].off, 4 * PAGE);
	assert_int_equal(fm.spans[0].len, 2 * PAGE);
	assert_int_equal(fm.spans[1].off, PAGE);
	pdma_region_close(c);
	assert_int_equal(pdma_region_slice(r, 10, PAGE, NULL, &c), 0);
	assert_int_equal(pdma_region_dmabuf(c, &fd), -EINVAL);
	fm.dmabuf_err = -EBUSY;
	assert_int_equal(pdma_region_dmabuf(a, &fd), -EBUSY);
	pdma_region_close(c);
	pdma_region_close(a);
	pdma_region_close(b);
	pdma_region_close(r);
	fake_memory_free(&fm);
}

static void revoke_reaches_all_that_came_of_it(void **state)
{
	struct fake_memory fm[2] = { { 0 }, { 0 } };
	struct pdma_region *r[2], *slice, *joined;
	struct pdma_event event;
	char buf[8];
	int n = 0;

	r[0] = fake_region(ctx, &fm[0], PAGE, MAPPED);
	r[1] = fake_region(ctx, &fm[1], PAGE, MAPPED);
	assert_int_equal(pdma_region_slice(r[0], 8, 8, &n, &slice), 0);
	assert_int_equal(pdma_region_join(r, 2, NULL, &joined), 0);
	assert_false(is_readable(pdma_event_fd(ctx)));
	assert_int_equal(pdma_region_revoke(r[0], "enough"), 0);
	assert_true(is_readable(pdma_event_fd(ctx)));
	assert_int_equal(pdma_region_read(r[0], 0, buf, 8), -ESTALE);
	assert_non_null(strstr(pdma_error(), "enough"));
	assert_int_equal(pdma_region_read(slice, 0, buf, 8), -ESTALE);
	assert_int_equal(pdma_region_write(joined, PAGE, buf, 8), -ESTALE);
	assert_int_equal(pdma_region_read(r[1], 0, buf, 8), 0);
	assert_int_equal(pdma_region_slice(r[0], 0, 8, NULL, &slice), -ESTALE);
	assert_true(info_of(joined).revoked);
	for (; pdma_event_next(ctx, &event); n++) {
		assert_int_equal(event.type, PDMA_EVENT_REGION_REVOKED);
		assert_int_equal(event.err, 0);
		assert_string_equal(event.text, "enough");
		assert_true(event.time_ns > 0);
	}
	assert_int_equal(n, 3);
	assert_false(is_readable(pdma_event_fd(ctx)));
	/* Once is enough. */
	assert_int_equal(pdma_region_revoke(r[0], NULL), 0);
	assert_int_equal(pdma_event_next(ctx, &event), 0);
	pdma_region_close(joined);
	pdma_region_close(slice);
	pdma_region_close(r[0]);
	pdma_region_close(r[1]);
	fake_memory_free(&fm[0]);
	fake_memory_free(&fm[1]);
}

/* A mapping that was pulled away is still there as address space, and faults. */
static void a_revoked_mapping_faults(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, PAGE, MAPPED);
	int fds[2];
	void *vaddr;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pdma_region_map(r, &vaddr), 0);
	assert_int_equal(write(fds[1], vaddr, 8), 8);
	assert_int_equal(pdma_region_revoke(r, NULL), 0);
	/* The kernel reads it on our behalf, and tells instead of raising a signal. */
	assert_int_equal(write(fds[1], vaddr, 8), -1);
	assert_int_equal(errno, EFAULT);
	pdma_region_unmap(r);
	pdma_region_close(r);
	close(fds[0]);
	close(fds[1]);
	fake_memory_free(&fm);
}

static void events_of_closed_regions_are_dropped(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, PAGE, MAPPED);
	struct pdma_event event;

	assert_int_equal(pdma_region_revoke(r, NULL), 0);
	pdma_region_close(r);
	assert_false(is_readable(pdma_event_fd(ctx)));
	assert_int_equal(pdma_event_next(ctx, &event), 0);
	assert_int_equal(pdma_event_wait(ctx, 0, &event), 0);
	fake_memory_free(&fm);
}

static void check_revokes_what_went_away(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, PAGE, MAPPED);
	struct pdma_event event;

	assert_int_equal(pdma_region_check(r), 0);
	fm.check_err = -ENODEV;
	assert_int_equal(pdma_region_check(r), -ESTALE);
	assert_int_equal(pdma_event_next(ctx, &event), 1);
	assert_ptr_equal(event.region, r);
	assert_ptr_equal(event.cookie, &fm);
	assert_string_equal(event.text, "the fake went away");
	pdma_region_close(r);
	fake_memory_free(&fm);
}

static void *revoke_it(void *arg)
{
	pdma_region_revoke(arg, "by the other thread");
	return NULL;
}

/* Reading goes on in one thread until the other takes the memory away; nothing crashes. */
static void revoke_against_readers(void **state)
{
	struct fake_memory fm = { 0 };
	struct pdma_region *r = fake_region(ctx, &fm, 64 * PAGE, MAPPED);
	char *buf = malloc(64 * PAGE);
	pthread_t thread;
	int ret;

	assert_non_null(buf);
	assert_int_equal(pdma_region_read(r, 0, buf, 64 * PAGE), 0);
	assert_int_equal(pthread_create(&thread, NULL, revoke_it, r), 0);
	do {
		ret = pdma_region_read(r, 0, buf, 64 * PAGE);
	} while (!ret);
	assert_int_equal(ret, -ESTALE);
	pthread_join(thread, NULL);
	pdma_region_close(r);
	free(buf);
	fake_memory_free(&fm);
}

static void options_and_sizes(void **state)
{
	struct pdma_region_options short_one = { .size = 4 }, flags = { .size = sizeof(flags) };
	struct {
		struct pdma_region_options known;
		uint64_t unknown;
	} later = { .known = { .size = sizeof(later) } };
	struct pdma_region_info info = { .size = 0 };
	struct pdma_region *r;

	assert_int_equal(pdma_region_open(ctx, "host:4K", &short_one, &r), -EINVAL);
	flags.flags = 1u << 30;
	assert_int_equal(pdma_region_open(ctx, "host:4K", &flags, &r), -EINVAL);
	later.unknown = 1;
	assert_int_equal(pdma_region_open(ctx, "host:4K", &later.known, &r), -EINVAL);
	later.unknown = 0;
	assert_int_equal(pdma_region_open(ctx, "host:4K", &later.known, &r), 0);
	assert_int_equal(pdma_region_get_info(r, &info), -EINVAL);
	pdma_region_close(r);
	assert_int_equal(pdma_region_open(ctx, "host:1000T", NULL, &r), -ENOMEM);
	assert_int_equal(pdma_region_open(ctx, "host:nothing", NULL, &r), -EINVAL);
	assert_non_null(strstr(pdma_error(), "column 6"));
	assert_int_equal(pdma_region_open(ctx, "vfio:ffff:ff:1f.7/bar0", NULL, &r), -ENODEV);
	assert_int_equal(pdma_region_open(ctx, "dm:nosuch:4K", NULL, &r), -ENODEV);
}

static void captured_trees_open_nothing(void **state)
{
	struct pdma_ctx_options opt = { .size = sizeof(opt), .sysroot = "/tmp///" };
	struct pdma_ctx *other;
	struct pdma_region *r;

	assert_int_equal(pdma_ctx_create(&opt, &other), 0);
	assert_string_equal(pdma_ctx_sysroot(other), "/tmp");
	assert_int_equal(pdma_region_open(other, "host:4K", NULL, &r), -EOPNOTSUPP);
	pdma_ctx_destroy(other);
	opt.sysroot = "";
	assert_int_equal(pdma_ctx_create(&opt, &other), -EINVAL);
}

static void files(void **state)
{
	struct pdma_region_options create = { .size = sizeof(create), .flags = PDMA_OPEN_CREATE };
	struct pdma_region_options read_only = { .size = sizeof(read_only),
						 .flags = PDMA_OPEN_READONLY };
	char path[] = "/tmp/peerdma-test-XXXXXX", uri[64], buf[8];
	struct pdma_region *r;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	snprintf(uri, sizeof(uri), "file:%s", path);
	assert_int_equal(pdma_region_open(ctx, uri, NULL, &r), -ERANGE);
	snprintf(uri, sizeof(uri), "file:%s+4K:8K", path);
	assert_int_equal(pdma_region_open(ctx, uri, NULL, &r), -ERANGE);
	assert_int_equal(pdma_region_open(ctx, uri, &create, &r), 0);
	assert_int_equal(info_of(r).len, 8192);
	assert_int_equal(pdma_region_write(r, 8188, "tail", 4), 0);
	assert_int_equal(pread(fd, buf, 8, 4096 + 8188), 4);
	assert_memory_equal(buf, "tail", 4);
	assert_int_equal(pdma_region_check(r), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(pdma_region_read(r, 0, buf, 8), -EIO);
	assert_int_equal(pdma_region_check(r), -ESTALE);
	pdma_region_close(r);
	snprintf(uri, sizeof(uri), "file:%s", path);
	assert_int_equal(pdma_region_open(ctx, uri, &read_only, &r), 0);
	assert_int_equal(pdma_region_write(r, 0, "x", 1), -EACCES);
	pdma_region_close(r);
	assert_int_equal(pdma_region_open(ctx, "file:/dev/null", NULL, &r), -EINVAL);
	assert_int_equal(pdma_region_open(ctx, "file:/nonexistent/x", NULL, &r), -ENOENT);
	close(fd);
	unlink(path);
}

static void memory_of_the_caller(void **state)
{
	static char memory[3 * PAGE];
	struct pdma_region *r, *part;
	void *vaddr;
	int fd;

	assert_int_equal(
		pdma_region_from_pointer(ctx, memory + 5, 2 * PAGE, PDMA_REGION_RAM, NULL, &r), 0);
	assert_int_equal(pdma_region_slice(r, 10, 100, NULL, &part), 0);
	assert_int_equal(pdma_region_map(part, &vaddr), 0);
	assert_ptr_equal(vaddr, memory + 15);
	pdma_region_unmap(part);
	assert_int_equal(pdma_region_write(part, 1, "hi", 2), 0);
	assert_memory_equal(memory + 16, "hi", 2);
	pdma_region_close(part);
	pdma_region_close(r);
	assert_int_equal(pdma_region_from_pointer(ctx, NULL, 1, 0, NULL, &r), -EINVAL);
	assert_int_equal(pdma_region_from_pointer(ctx, memory, 0, 0, NULL, &r), -EINVAL);
	assert_int_equal(pdma_region_from_pointer(ctx, memory, UINT64_MAX, 0, NULL, &r), -EINVAL);
	assert_int_equal(pdma_region_from_dmabuf(ctx, -1, 0, 0, NULL, &r), -EBADF);
	fd = memfd_create("x", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(pdma_region_from_dmabuf(ctx, fd, PAGE, 0, NULL, &r), -ERANGE);
	assert_int_equal(pdma_region_from_dmabuf(ctx, fd, 1, PAGE, NULL, &r), -ERANGE);
	assert_int_equal(pdma_region_from_dmabuf(ctx, fd, 1000, 0, NULL, &r), 0);
	close(fd);
	assert_int_equal(info_of(r).len, PAGE - 1000);
	assert_int_equal(pdma_region_write(r, 0, "hi", 2), 0);
	pdma_region_close(r);
}

/* What a kernel module tells of an address is held against what sysfs shows. */
static void addresses_in_bars(void **state)
{
	const struct pdmai_pci_bar bars[PDMAI_PCI_BARS] = {
		[0] = { .bus_addr = 0x10000, .len = 0x4000, .is_mem = true },
		[1] = { .bus_addr = 0xc000, .len = 0x100 },
		[2] = { .bus_addr = UINT64_MAX - 0xfff, .len = 0x1000, .is_mem = true },
	};

	assert_int_equal(pdmai_bar_has(bars, 0, 0, 0x10000, 0x4000), 0);
	assert_int_equal(pdmai_bar_has(bars, 0, 0x3fff, 0x13fff, 1), 0);
	assert_int_equal(pdmai_bar_has(bars, 2, 0xfff, UINT64_MAX, 1), 0);
	/* Another offset than the address says, beyond the end, ports, no BAR. */
	assert_int_equal(pdmai_bar_has(bars, 0, 0x1000, 0x10000, 1), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 0, 0, 0x10000, 0x4001), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 0, 0x4000, 0x14000, 1), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 0, UINT64_MAX, 0xffff, 2), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 2, 0xfff, UINT64_MAX, 2), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 1, 0, 0xc000, 4), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, 3, 0, 0, 1), -EPROTO);
	assert_int_equal(pdmai_bar_has(bars, PDMAI_PCI_BARS, 0, 0, 1), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_write_and_map),
		cmocka_unit_test(slices_of_slices),
		cmocka_unit_test(joined_memory_is_one),
		cmocka_unit_test(dmabufs_are_of_whole_pages),
		cmocka_unit_test(revoke_reaches_all_that_came_of_it),
		cmocka_unit_test(a_revoked_mapping_faults),
		cmocka_unit_test(events_of_closed_regions_are_dropped),
		cmocka_unit_test(check_revokes_what_went_away),
		cmocka_unit_test(revoke_against_readers),
		cmocka_unit_test(options_and_sizes),
		cmocka_unit_test(captured_trees_open_nothing),
		cmocka_unit_test(files),
		cmocka_unit_test(memory_of_the_caller),
		cmocka_unit_test(addresses_in_bars),
	};

	return cmocka_run_group_tests(tests, make_ctx, drop_ctx);
}
