// SPDX-License-Identifier: MIT
/* DMA windows: the tree, what may be mapped and unmapped, and the files behind them. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/common/worker.h"

#define RW (MDL_PROT_READ | MDL_PROT_WRITE)
#define PG 4096u

struct fix {
	struct mdl_windows w;
	struct mdl_backings b;
	struct tram ram;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	mdl_windows_init(&f->w);
	TAILQ_INIT(&f->b.list);
	f->ram = tram_create(64 * PG);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	int leaks;

	mdl_windows_unmap_all(&f->w, &f->b);
	leaks = f->w.n || f->b.n || !TAILQ_EMPTY(&f->b.list);
	tram_destroy(&f->ram);
	free(f);
	return leaks;
}

static int map(struct fix *f, uint64_t addr, uint64_t size, unsigned prot, int fd, uint64_t off)
{
	return mdl_windows_map(&f->w, &f->b, addr, size, prot, fd, off, NULL);
}

static int unmap(struct fix *f, uint64_t addr, uint64_t size)
{
	return mdl_windows_unmap(&f->w, &f->b, addr, size);
}

static void finds_exactly_what_is_mapped(void **state)
{
	struct fix *f = *state;
	struct mdl_window *w;

	assert_null(mdl_windows_find(&f->w, 0));
	assert_int_equal(map(f, 0x10000, 2 * PG, RW, f->ram.fd, PG), 0);
	assert_null(mdl_windows_find(&f->w, 0xffff));
	assert_null(mdl_windows_find(&f->w, 0x12000));
	w = mdl_windows_find(&f->w, 0x11fff);
	assert_non_null(w);
	assert_ptr_equal(w, mdl_windows_find(&f->w, 0x10000));
	f->ram.mem[PG] = 0x5a;
	assert_int_equal(w->mem[0], 0x5a);
	w->mem[2 * PG - 1] = 0xa5;
	assert_int_equal(f->ram.mem[3 * PG - 1], 0xa5);
}

static void refuses_bad_ranges(void **state)
{
	struct fix *f = *state;
	uint64_t top = UINT64_MAX - PG + 1;

	assert_int_equal(map(f, 0, 0, RW, -1, 0), -EINVAL);
	assert_int_equal(map(f, top, 2 * PG, RW, -1, 0), -EINVAL);
	assert_int_equal(map(f, 1, UINT64_MAX, RW, -1, 0), 0);
	assert_int_equal(map(f, 0, 2, RW, -1, 0), -EEXIST);
	assert_int_equal(unmap(f, 1, UINT64_MAX), 0);
	assert_int_equal(map(f, top, PG, RW, -1, 0), 0);
	assert_non_null(mdl_windows_find(&f->w, UINT64_MAX));
	assert_int_equal(map(f, 0, 65 * PG, RW, f->ram.fd, 0), -EINVAL);
	assert_int_equal(map(f, 0, PG, RW, f->ram.fd, 64 * PG), -EINVAL);
	assert_int_equal(map(f, 0, PG, RW, f->ram.fd, UINT64_MAX - PG + 1), -EINVAL);
	assert_int_equal(map(f, 0, UINT64_MAX - PG, RW, f->ram.fd, 2 * PG), -EINVAL);
	assert_int_equal(f->w.n, 1);
	assert_int_equal(f->b.n, 0);
}

static void refuses_overlap(void **state)
{
	struct fix *f = *state;

	assert_int_equal(map(f, 10 * PG, 10 * PG, RW, -1, 0), 0);
	assert_int_equal(map(f, 10 * PG, 10 * PG, RW, -1, 0), -EEXIST);
	assert_int_equal(map(f, 19 * PG, PG, RW, -1, 0), -EEXIST);
	assert_int_equal(map(f, 9 * PG, 2 * PG, RW, -1, 0), -EEXIST);
	assert_int_equal(map(f, 0, 100 * PG, RW, -1, 0), -EEXIST);
	assert_int_equal(map(f, 9 * PG, PG, RW, -1, 0), 0);
	assert_int_equal(map(f, 20 * PG, PG, RW, -1, 0), 0);
	assert_int_equal(f->w.n, 3);
}

static void unmap_takes_whole_windows_only(void **state)
{
	struct fix *f = *state;

	assert_int_equal(map(f, 10 * PG, 2 * PG, RW, f->ram.fd, 0), 0);
	assert_int_equal(map(f, 12 * PG, 2 * PG, RW, f->ram.fd, 0), 0);
	assert_int_equal(map(f, 20 * PG, 2 * PG, RW, f->ram.fd, 0), 0);
	assert_int_equal(unmap(f, 11 * PG, PG), -EINVAL);
	assert_int_equal(unmap(f, 10 * PG, PG), -EINVAL);
	assert_int_equal(unmap(f, 9 * PG, 2 * PG), -EINVAL);
	assert_int_equal(unmap(f, 11 * PG, 20 * PG), -EINVAL);
	assert_int_equal(unmap(f, 0, 21 * PG), -EINVAL);
	assert_int_equal(unmap(f, 0, 0), -EINVAL);
	assert_int_equal(unmap(f, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(f->w.n, 3);
	assert_int_equal(unmap(f, 0, 5 * PG), 0);
	assert_int_equal(unmap(f, 14 * PG, 6 * PG), 0);
	assert_int_equal(f->w.n, 3);
	assert_int_equal(unmap(f, 5 * PG, 9 * PG), 0);
	assert_int_equal(f->w.n, 1);
	assert_non_null(mdl_windows_find(&f->w, 20 * PG));
	assert_int_equal(unmap(f, 0, UINT64_MAX), 0);
	assert_int_equal(f->w.n, 0);
	assert_int_equal(f->b.n, 0);
}

static void one_mapping_for_each_file(void **state)
{
	struct fix *f = *state;
	int other = dup(f->ram.fd);

	assert_int_equal(map(f, 0, PG, RW, f->ram.fd, 0), 0);
	assert_int_equal(map(f, PG, PG, MDL_PROT_READ, other, 3 * PG), 0);
	assert_int_equal(f->b.n, 1);
	close(other);
	assert_ptr_equal(mdl_windows_find(&f->w, PG)->mem,
			 mdl_windows_find(&f->w, 0)->mem + 3 * PG);
	assert_int_equal(unmap(f, 0, PG), 0);
	assert_int_equal(f->b.n, 1);
	assert_int_equal(unmap(f, PG, PG), 0);
	assert_int_equal(f->b.n, 0);
}

static int reopened(const struct fix *f, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->ram.fd);
	fd = open(path, flags | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void honours_the_fds_mode(void **state)
{
	struct fix *f = *state;
	int ro = reopened(f, O_RDONLY), wo = reopened(f, O_WRONLY), path = reopened(f, O_PATH);
	struct mdl_window *w;

	assert_int_equal(map(f, 0, PG, RW, ro, 0), -EINVAL);
	assert_int_equal(map(f, 0, PG, MDL_PROT_WRITE, ro, 0), -EINVAL);
	assert_int_equal(map(f, 0, PG, MDL_PROT_WRITE, wo, 0), -EINVAL);
	assert_int_equal(f->w.n, 0);
	assert_int_equal(map(f, 0, PG, MDL_PROT_READ, ro, 0), 0);
	/* A later writable fd of the same file must not ride on the read-only mapping. */
	assert_int_equal(map(f, PG, PG, RW, f->ram.fd, 0), 0);
	w = mdl_windows_find(&f->w, PG);
	assert_true(w->backing->writable);
	w->mem[0] = 1;
	assert_int_equal(f->b.n, 2);
	/* O_PATH says nothing about the file: never mapped. */
	if (!map(f, 2 * PG, PG, MDL_PROT_READ, path, 0))
		assert_null(mdl_windows_find(&f->w, 2 * PG)->backing);
	close(ro);
	close(wo);
	close(path);
}

static void a_file_that_may_shrink_is_not_mapped(void **state)
{
	struct fix *f = *state;
	int fd = memfd_create("soft", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 4 * PG), 0);
	assert_int_equal(map(f, 0, 4 * PG, RW, fd, 0), 0);
	assert_null(mdl_windows_find(&f->w, 0)->mem);
	assert_int_equal(f->b.n, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(map(f, 4 * PG, PG, RW, fd, 0), -EINVAL);
	close(fd);
}

static void a_sealed_file_keeps_its_memory_for_good(void **state)
{
	struct fix *f = *state;
	int fd = reopened(f, O_RDWR);

	assert_int_equal(map(f, 0, 64 * PG, RW, fd, 0), 0);
	assert_int_equal(ftruncate(fd, PG), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 * PG), 0);
	assert_int_equal(mdl_windows_find(&f->w, 0)->mem[63 * PG], 0);
	/* It may grow: the mapping made before does not hold the new part, a new one does. */
	assert_int_equal(ftruncate(fd, 128 * PG), 0);
	assert_int_equal(map(f, 64 * PG, PG, RW, fd, 127 * PG), 0);
	mdl_windows_find(&f->w, 64 * PG)->mem[PG - 1] = 1;
	close(fd);
}

/* A file sealed against writing can serve a device that only reads. */
static void write_sealed_file_is_good_for_reading(void **state)
{
	struct fix *f = *state;
	int fd = memfd_create("ro", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, PG), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	assert_int_equal(map(f, 0, PG, RW, fd, 0), -EINVAL);
	assert_int_equal(map(f, 0, PG, MDL_PROT_READ, fd, 0), 0);
	assert_non_null(mdl_windows_find(&f->w, 0)->mem);
	close(fd);
}

static void not_a_file_is_refused_or_not_mapped(void **state)
{
	struct fix *f = *state;
	int p[2], dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(pipe(p), 0);
	assert_int_equal(map(f, 0, PG, MDL_PROT_READ, p[0], 0), -EINVAL);
	if (!map(f, 0, PG, MDL_PROT_READ, dir, 0))
		assert_null(mdl_windows_find(&f->w, 0)->mem);
	close(p[0]);
	close(p[1]);
	close(dir);
}

static void limits_files_and_windows(void **state)
{
	struct fix *f = *state;
	struct tram r[MDL_MAX_BACKINGS + 1];
	unsigned i;

	for (i = 0; i <= MDL_MAX_BACKINGS; i++) {
		r[i] = tram_create(PG);
		assert_int_equal(map(f, i * PG, PG, RW, r[i].fd, 0),
				 i < MDL_MAX_BACKINGS ? 0 : -ENOSPC);
	}
	mdl_windows_unmap_all(&f->w, &f->b);
	for (i = 0; i <= MDL_MAX_BACKINGS; i++)
		tram_destroy(&r[i]);
	for (i = 0; i < MDL_MAX_WINDOWS; i++)
		assert_int_equal(map(f, (uint64_t)i * PG, PG, RW, -1, 0), 0);
	assert_int_equal(map(f, (uint64_t)i * PG, PG, RW, -1, 0), -ENOSPC);
	assert_int_equal(unmap(f, 0, PG), 0);
	assert_int_equal(map(f, (uint64_t)i * PG, PG, RW, -1, 0), 0);
}

/* Like the IOTLB of a busy guest. Growth is printed, not judged: the machine may be loaded. */
static void sixty_thousand_windows(void **state)
{
	struct fix *f = *state;
	const unsigned sizes[] = { 1000, 10000, 60000 };
	unsigned k, i;

	for (k = 0; k < 3; k++) {
		uint64_t t0 = mdl_now_ns(), t1, t2;
		unsigned n = sizes[k];

		for (i = 0; i < n; i++)
			assert_int_equal(map(f, (uint64_t)(i * 7919u % n) * 2 * PG, PG, RW,
					     f->ram.fd, i % 64 * PG),
					 0);
		t1 = mdl_now_ns();
		for (i = 0; i < n; i++) {
			uint64_t at = (uint64_t)(i * 104729u % n) * 2 * PG;

			assert_non_null(mdl_windows_find(&f->w, at + 17));
			assert_null(mdl_windows_find(&f->w, at + PG));
		}
		t2 = mdl_now_ns();
		assert_int_equal(f->b.n, 1);
		for (i = 0; i < n; i++)
			assert_int_equal(unmap(f, (uint64_t)i * 2 * PG, PG), 0);
		print_message("# %u windows: map %u ns, two finds %u ns, unmap %u ns\n", n,
			      (unsigned)((t1 - t0) / n), (unsigned)((t2 - t1) / n),
			      (unsigned)((mdl_now_ns() - t2) / n));
		assert_int_equal(f->w.n, 0);
	}
}

#define WINDOW_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(finds_exactly_what_is_mapped),
		WINDOW_TEST(refuses_bad_ranges),
		WINDOW_TEST(refuses_overlap),
		WINDOW_TEST(unmap_takes_whole_windows_only),
		WINDOW_TEST(one_mapping_for_each_file),
		WINDOW_TEST(honours_the_fds_mode),
		WINDOW_TEST(a_file_that_may_shrink_is_not_mapped),
		WINDOW_TEST(a_sealed_file_keeps_its_memory_for_good),
		WINDOW_TEST(write_sealed_file_is_good_for_reading),
		WINDOW_TEST(not_a_file_is_refused_or_not_mapped),
		WINDOW_TEST(limits_files_and_windows),
		WINDOW_TEST(sixty_thousand_windows),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
