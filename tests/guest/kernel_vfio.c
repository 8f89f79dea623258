// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio: device memory behind a plain pointer, given to files, and taken away.
 *
 * Data is checked by who did not write it: what the CPU wrote through the pointer the device sums
 * up, what the disk wrote the CPU reads. Counters of the models tell which way bytes went.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_rig.h"
#include "util/crc32c.h"

#define LONG_MS 5000 /* of the module, and of the header */
#define FROM	KERNEL_FROM
#define TO	KERNEL_TO

static void pool_attr(struct kernel_rig *r, const char *name, uint64_t want)
{
	char text[32];

	CHECK_EQ(pdmai_attr_get(text, sizeof(text), PDMAI_SYSFS "/bus/pci/devices/%s/p2pmem/%s",
				r->bdf.text, name),
		 0);
	CHECK_EQ(strtoull(text, NULL, 10), want);
}

/* The kernel offers the pool of pages in sysfs; there must be nothing in it for others. */
static void nobody_else_gets_the_pages(void)
{
	struct kernel_rig r;
	char path[128];
	int fd;

	kernel_open(&r, LONG_MS);
	pool_attr(&r, "size", r.size);
	pool_attr(&r, "available", 0);
	pool_attr(&r, "published", 0);
	snprintf(path, sizeof(path), PDMAI_SYSFS "/bus/pci/devices/%s/p2pmem/allocate", r.bdf.text);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENOMEM);
	close(fd);
	/* Also after pages were mapped and given back. */
	CHECK(kernel_touch(r.mem));
	kernel_ring_again(&r);
	pool_attr(&r, "available", 0);
	kernel_close(&r);
}

static void check_map(struct kernel_rig *r, uint64_t off, size_t len, int flags, int want)
{
	void *p = mmap(NULL, len, PROT_READ, flags, pdmai_vfio_device_fd(r->dev),
		       (off_t)(r->region_off + off));

	CHECK_EQ(p == MAP_FAILED ? errno : 0, want);
	if (p != MAP_FAILED)
		munmap(p, len);
}

static void bad_mappings_are_refused(void)
{
	struct kernel_rig r;

	kernel_open(&r, LONG_MS);
	check_map(&r, 0, r.size, MAP_SHARED, 0);
	check_map(&r, r.size - 4096, 4096, MAP_SHARED, 0);
	check_map(&r, 0, 4096, MAP_PRIVATE, EINVAL);
	check_map(&r, r.size, 4096, MAP_SHARED, EINVAL);
	check_map(&r, 4096, r.size, MAP_SHARED, EINVAL);
	check_map(&r, r.size - 4096, 8192, MAP_SHARED, EINVAL);
	check_map(&r, 1ull << 39, 4096, MAP_SHARED, EINVAL);
	kernel_close(&r);
}

/* What vfio-pci has works as before: BARs by mapping and by file, dma-buf. */
static void the_rest_is_stock(void)
{
	struct pdmai_bar_range range = { 0, MIB };
	struct kernel_rig r;
	uint64_t word = 0;
	char *bar;
	int fd;

	kernel_open(&r, LONG_MS);
	CHECK_EQ(pdmai_dev_dmabuf(r.dev, ACCEL_BAR_VRAM, &range, 1, &fd), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), MIB);
	close(fd);
	bar = pdmai_accel_vram(r.accel);
	kit_pattern_fill(r.mem + TO, MIB, 11, 0);
	CHECK_EQ(kit_pattern_check(bar + TO, MIB, 11, 0, NULL), 0);
	CHECK_EQ(pread(pdmai_vfio_device_fd(r.dev), &word, 8, (off_t)(r.region_off + TO)), 8);
	CHECK_EQ(word, kit_pattern_word(11, 0));
	word = ~word;
	CHECK_EQ(pwrite(pdmai_vfio_device_fd(r.dev), &word, 8, (off_t)(r.region_off + TO)), 8);
	CHECK_EQ(*(volatile uint64_t *)(bar + TO), word);
	CHECK_EQ(pread(pdmai_vfio_device_fd(r.dev), &word, 8, (off_t)(r.region_off + r.size)), -1);
	kernel_close(&r);
}

static void pointer_and_device_agree(void)
{
	struct kernel_rig r;
	uint64_t *copy = malloc(MIB);

	CHECK(copy != NULL);
	kernel_open(&r, LONG_MS);
	kit_pattern_fill(copy, MIB, 21, 0);
	memcpy(r.mem + TO, copy, MIB);
	CHECK_EQ(kernel_device_crc(&r, TO, MIB), util_crc32c(0, copy, MIB));
	kernel_device_copy(&r, TO + 2 * MIB, TO, MIB);
	CHECK_EQ(kit_pattern_check(r.mem + TO + 2 * MIB, MIB, 21, 0, NULL), 0);
	kernel_close(&r);
	free(copy);
}

static void o_direct_on_the_raw_disk(void)
{
	struct kernel_rig r;

	kernel_open(&r, LONG_MS);
	kernel_direct(&r, kernel_disk(1), 0);
	kernel_close(&r);
}

static void mount_ext4(void)
{
	char text[128];

	snprintf(text, sizeof(text), "modprobe ext4 && mkfs.ext4 -q -F %s", kernel_disk(2));
	CHECK_EQ(system(text), 0);
	mkdir("/run/pages", 0700);
	CHECK_EQ(mount(kernel_disk(2), "/run/pages", "ext4", 0, NULL), 0);
}

/* The file's own blocks (inode, bitmaps, journal) are the only ones that host memory sees. */
static void o_direct_on_ext4(void)
{
	struct kernel_rig r;

	mount_ext4();
	kernel_open(&r, LONG_MS);
	kernel_direct(&r, "/run/pages/file", MIB);
	kernel_close(&r);
	CHECK_EQ(umount("/run/pages"), 0);
}

/* Through the page cache, with any length and place. */
static void buffered(void)
{
	static const struct {
		uint64_t len, skew;
	} cases[] = { { 4095, 0 }, { 1, 4095 }, { 4097, 1 }, { MIB - 1, 3 }, { 64 * MIB, 0 } };
	struct kernel_rig r;
	int fd;

	mount_ext4();
	kernel_open(&r, LONG_MS);
	fd = open("/run/pages/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	kit_pattern_fill(r.mem + FROM, 65 * MIB, 41, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *from = r.mem + FROM + cases[i].skew;
		char *to = r.mem + TO + cases[i].skew;
		uint64_t len = cases[i].len;

		memset(to - cases[i].skew, 0x5a, len + 8192);
		CHECK_EQ(pwrite(fd, from, len, 0), len);
		CHECK_EQ(fsync(fd), 0);
		CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		CHECK_EQ(pread(fd, to, len, 0), len);
		CHECK(!memcmp(to, from, len));
		CHECK_EQ(to[len], 0x5a);
		if (cases[i].skew)
			CHECK_EQ(to[-1], 0x5a);
	}
	close(fd);
	kernel_close(&r);
	CHECK_EQ(umount("/run/pages"), 0);
}

static void memory_comes_and_goes(void)
{
	struct kernel_rig r;
	int fd;

	kernel_open(&r, LONG_MS);
	fd = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(fd >= 0);
	kit_pattern_fill(r.mem + TO, MIB, 51, 0);
	CHECK_EQ(kernel_reset(&r), 0);
	/* Reset leaves the content and memory decode as they were. */
	CHECK_EQ(kit_pattern_check(r.mem + TO, MIB, 51, 0, NULL), 0);
	CHECK_EQ(kernel_command(&r, false), 0);
	CHECK(!kernel_touch(r.mem + TO));
	CHECK_EQ(pread(fd, r.mem + TO, MIB, 0), -1);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(pwrite(fd, r.mem + TO, MIB, 0), -1);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(kernel_command(&r, true), 0);
	CHECK_EQ(kit_pattern_check(r.mem + TO, MIB, 51, 0, NULL), 0);
	kernel_ring_again(&r);
	kernel_there_and_back(&r, fd, MIB, 52);
	close(fd);
	kernel_close(&r);
}

static void *reset_main(void *arg)
{
	return (void *)(intptr_t)kernel_reset(arg);
}

/* The reset comes back only when the transfer has ended, so nothing is written behind its back. */
static void reset_waits_for_a_transfer(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	pthread_t thread;
	void *result;
	int fd;

	kernel_open(&r, 20000);
	fd = kernel_hold_pages(&r, &io, 61);
	CHECK_EQ(pthread_create(&thread, NULL, reset_main, &r), 0);
	/* The reset is at work as soon as the mapping is gone. */
	while (kernel_touch(r.mem))
		;
	CHECK_EQ(pthread_tryjoin_np(thread, &result), EBUSY);
	kernel_disk_stall(&r, false);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((intptr_t)result, 0);
	CHECK_EQ(kit_pattern_check(r.mem + TO, MIB, 61, 0, NULL), 0);
	CHECK_EQ(kernel_io_end(&io), MIB);
	close(fd);
	kernel_close(&r);
}

static int decode_off(struct kernel_rig *r)
{
	return kernel_command(r, false);
}

/* A page held for ever: the documented error in the documented time, and nothing was done. */
static void reset_gives_up(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd;

	kernel_open(&r, LONG_MS);
	fd = kernel_hold_pages(&r, &io, 71);
	kernel_refused(kernel_reset, &r, LONG_MS);
	kernel_revoke_ms(300);
	kernel_refused(kernel_reset, &r, 300);
	kernel_refused(decode_off, &r, 300);
	/* It goes on working, the transfer too. */
	CHECK_EQ(kit_pattern_check(r.mem + FROM, MIB, 71, 0, NULL), 0);
	kernel_let_go(&r, &io, fd);
	CHECK_EQ(kit_pattern_check(r.mem + TO, MIB, 71, 0, NULL), 0);
	CHECK_EQ(kernel_reset(&r), 0);
	kernel_close(&r);
}

/* Nobody gets a device into whose memory a transfer of the last user still writes. */
static void close_with_a_transfer_under_way(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd;

	kernel_open(&r, 300);
	fd = kernel_hold_pages(&r, &io, 81);
	kernel_close_device(&r);
	CHECK_EQ(kernel_open_device(&r), -ETIMEDOUT);
	kernel_disk_stall(&r, false);
	/* A closed device does not answer. */
	CHECK_EQ(kernel_io_end(&io), -EIO);
	close(fd);
	CHECK_EQ(kernel_open_device(&r), 0);
	CHECK(kernel_touch(r.mem));
	kernel_close(&r);
}

struct load {
	struct kernel_rig *r;
	pthread_t thread;
	int fd;
	bool stop;
	uint64_t good, refused;
};

static void *load_main(void *arg)
{
	struct load *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		ssize_t n = pread(l->fd, l->r->mem + TO, 4 * MIB, 0);

		/* Taken away before anything was read, or after a part. */
		if (n == (ssize_t)(4 * MIB))
			__atomic_add_fetch(&l->good, 1, __ATOMIC_RELAXED);
		else if ((n < 0 && errno == EFAULT) || n > 0)
			__atomic_add_fetch(&l->refused, 1, __ATOMIC_RELAXED);
		else
			return (void *)1;
	}
	return NULL;
}

static void start_load(struct load *l, struct kernel_rig *r)
{
	*l = (struct load){ .r = r, .fd = open(kernel_disk(1), O_RDWR | O_DIRECT | O_CLOEXEC) };
	CHECK(l->fd >= 0);
	kit_pattern_fill(r->mem + FROM, 4 * MIB, 91, 0);
	CHECK_EQ(pwrite(l->fd, r->mem + FROM, 4 * MIB, 0), 4 * MIB);
	CHECK_EQ(pthread_create(&l->thread, NULL, load_main, l), 0);
}

static void end_load(struct load *l)
{
	void *bad;

	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(l->thread, &bad), 0);
	CHECK(!bad);
	printf("# %" PRIu64 " transfers done, %" PRIu64 " refused\n", l->good, l->refused);
}

/* Resets and decode off and on while the disk writes: each returns, nothing is lost for good. */
static void resets_under_load(void)
{
	struct kernel_rig r;
	struct load l;

	kernel_open(&r, 20000);
	start_load(&l, &r);
	for (int i = 0; i < 50; i++) {
		uint64_t good = __atomic_load_n(&l.good, __ATOMIC_RELAXED);

		while (__atomic_load_n(&l.good, __ATOMIC_RELAXED) == good)
			usleep(500);
		if (i % 2) {
			CHECK_EQ(kernel_reset(&r), 0);
			continue;
		}
		CHECK_EQ(kernel_command(&r, false), 0);
		CHECK(!kernel_touch(r.mem));
		CHECK_EQ(kernel_command(&r, true), 0);
	}
	end_load(&l);
	kernel_ring_again(&r);
	kernel_there_and_back(&r, l.fd, 4 * MIB, 92);
	close(l.fd);
	kernel_close(&r);
}

/* A process that has nothing of ours and unbinds the device when it is told to. */
static pid_t start_unbinder(int *ret_fd)
{
	struct pdmai_bdf bdf;
	int pipes[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(pdmai_bdf_parse(getenv("PEERDMA_SLOT_ACC0"), &bdf), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 1)
			_exit(1);
		_exit(pdmai_attr_put(bdf.text, PDMAI_SYSFS "/bus/pci/drivers/%s/unbind",
				     "peerdma_vfio") != 0);
	}
	close(pipes[0]);
	*ret_fd = pipes[1];
	return pid;
}

static void expect_unbound(struct kernel_rig *r, pid_t unbinder)
{
	char driver[64];
	int status;

	CHECK_EQ(waitpid(unbinder, &status, 0), unbinder);
	CHECK_EQ(status, 0);
	CHECK_EQ(pdmai_pci_driver(PDMAI_SYSFS, &r->bdf, driver, sizeof(driver)), 0);
	CHECK_EQ(driver[0], 0);
	CHECK_EQ(pdmai_unbind(&r->binding), 0);
	kit_control_close(r->control);
}

/* Unbinding waits for the device to be closed, as of vfio-pci; until then all goes on. */
static void unbind_while_mapped(void)
{
	struct kernel_rig r;
	struct load l;
	int fd, status;
	pid_t pid = start_unbinder(&fd);

	kernel_open(&r, 20000);
	start_load(&l, &r);
	CHECK_EQ(write(fd, "x", 1), 1);
	/* Long enough for the unbinding to have come to where it waits, if it does not it ends. */
	for (uint64_t good = l.good; __atomic_load_n(&l.good, __ATOMIC_RELAXED) < good + 5;)
		usleep(500);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	end_load(&l);
	kernel_close_device(&r);
	expect_unbound(&r, pid);
	close(l.fd);
}

/* The device is closed, but the disk still has pages of it: they must not cease to be. */
static void unbind_with_a_transfer_under_way(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd, disk, status;
	pid_t pid = start_unbinder(&fd);

	kernel_open(&r, 100);
	disk = kernel_hold_pages(&r, &io, 93);
	kernel_close_device(&r);
	CHECK_EQ(write(fd, "x", 1), 1);
	nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	kernel_disk_stall(&r, false);
	/* Whether a device without a driver answers is not for us to say. */
	kernel_io_end(&io);
	close(disk);
	expect_unbound(&r, pid);
}

/* The user is killed with all of it open; the next one finds everything in order. */
static void killed_at_work(void)
{
	struct kernel_rig r;
	int pipes[2], status;
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		struct load l;

		kernel_open(&r, 20000);
		start_load(&l, &r);
		while (!__atomic_load_n(&l.good, __ATOMIC_RELAXED))
			usleep(500);
		CHECK_EQ(write(pipes[1], "x", 1), 1);
		pause();
	}
	CHECK(pid > 0);
	close(pipes[1]);
	CHECK_EQ(read(pipes[0], &byte, 1), 1);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	kernel_open(&r, LONG_MS);
	kit_pattern_fill(r.mem + TO, MIB, 95, 0);
	CHECK_EQ(kit_pattern_check(r.mem + TO, MIB, 95, 0, NULL), 0);
	kernel_close_device(&r);
	/* It was bound already, so binding has not seen who had it before. */
	r.binding.changed = true;
	strcpy(r.binding.old_driver, "vfio-pci");
	strcpy(r.binding.old_override, "vfio-pci");
	CHECK_EQ(pdmai_unbind(&r.binding), 0);
	kit_control_close(r.control);
}

static const struct tap_test tests[] = {
	{ "nobody_else_gets_the_pages", nobody_else_gets_the_pages, TAP_WITH_IOMMU },
	{ "bad_mappings_are_refused", bad_mappings_are_refused, TAP_WITH_IOMMU },
	{ "the_rest_is_stock", the_rest_is_stock, TAP_WITH_IOMMU },
	{ "pointer_and_device_agree", pointer_and_device_agree, TAP_WITH_IOMMU },
	{ "o_direct_on_the_raw_disk", o_direct_on_the_raw_disk, TAP_WITH_IOMMU },
	{ "o_direct_on_ext4", o_direct_on_ext4, TAP_WITH_IOMMU },
	{ "buffered", buffered, TAP_WITH_IOMMU },
	{ "memory_comes_and_goes", memory_comes_and_goes, TAP_WITH_IOMMU },
	{ "reset_waits_for_a_transfer", reset_waits_for_a_transfer, TAP_WITH_IOMMU },
	{ "reset_gives_up", reset_gives_up, TAP_WITH_IOMMU },
	{ "close_with_a_transfer_under_way", close_with_a_transfer_under_way, TAP_WITH_IOMMU },
	{ "resets_under_load", resets_under_load, TAP_WITH_IOMMU },
	{ "unbind_while_mapped", unbind_while_mapped, TAP_WITH_IOMMU },
	{ "unbind_with_a_transfer_under_way", unbind_with_a_transfer_under_way, TAP_WITH_IOMMU },
	{ "killed_at_work", killed_at_work, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
