// SPDX-License-Identifier: MIT
#include "tests/guest/kernel_area.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "util/crc32c.h"

#define WAIT_NS	   (20ll * 1000 * 1000 * 1000)
#define GUARD_BYTE 0xa5
/* Bytes that the processor compares one by one; beyond that the device's sum has to do. */
#define CLOSE_LOOK (4 * MIB)

static void device_fill(struct kernel_rig *r, uint64_t off, uint64_t len, uint64_t pattern)
{
	struct pdmai_accel_mem dst = { ACCEL_SPACE_LOCAL, off, len };
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_FILL, .param = 8, .len = len, .imm = pattern, .dst = &dst, .n_dst = 1
	};
	struct pdmai_accel_done done;

	CHECK_EQ(pdmai_accel_run(r->ring, &cmd, WAIT_NS, &done), 0);
	CHECK_EQ(done.err, 0);
}

static void fill_guard(struct kernel_rig *r, uint64_t off)
{
	device_fill(r, off, KERNEL_GUARD, 0x0101010101010101ull * GUARD_BYTE);
}

void kernel_area_fill(struct kernel_area *a, struct kernel_rig *r, uint64_t off, uint64_t len,
		      uint64_t seed)
{
	uint64_t words = (len + 7) & ~7ull;

	CHECK(off >= KERNEL_GUARD && off % 8 == 0);
	CHECK(off <= r->size && words + KERNEL_GUARD <= r->size - off);
	*a = (struct kernel_area){ .rig = r, .off = off, .len = len, .seed = seed };
	a->mem = r->mem + off;
	kit_pattern_fill(a->mem, words, seed, 0);
	fill_guard(r, off - KERNEL_GUARD);
	fill_guard(r, off + len);
	a->crc = kernel_device_crc(r, off, len);
}

void kernel_area_spoil(struct kernel_area *a)
{
	device_fill(a->rig, a->off, a->len, ~kit_pattern_word(a->seed, 0));
	CHECK(kernel_device_crc(a->rig, a->off, a->len) != a->crc);
}

static void check_guard(struct kernel_area *a, uint64_t off, const char *file, int line)
{
	char want[KERNEL_GUARD];

	memset(want, GUARD_BYTE, sizeof(want));
	if (kernel_device_crc(a->rig, off, KERNEL_GUARD) != util_crc32c(0, want, KERNEL_GUARD))
		tap_fail(file, line, "guard at 0x%" PRIx64 " of %" PRIu64 " bytes at 0x%" PRIx64,
			 off, a->len, a->off);
}

void kernel_area_check(struct kernel_area *a, const char *file, int line)
{
	const char *bar = pdmai_accel_vram(a->rig->accel);
	uint64_t words = (a->len < CLOSE_LOOK ? a->len : CLOSE_LOOK) & ~7ull;
	struct kit_mismatch m = { 0 };

	if (kit_pattern_check(bar + a->off, words, a->seed, 0, &m))
		tap_fail(file, line,
			 "%" PRIu64 " bytes at 0x%" PRIx64 ": %" PRIu64 " wrong words, 0x%" PRIx64
			 " to 0x%" PRIx64,
			 a->len, a->off, m.bad_words, m.first_off, m.last_off);
	if (kernel_device_crc(a->rig, a->off, a->len) != a->crc)
		tap_fail(file, line, "%" PRIu64 " bytes at 0x%" PRIx64 " have another sum", a->len,
			 a->off);
	check_guard(a, a->off - KERNEL_GUARD, file, line);
	check_guard(a, a->off + a->len, file, line);
}

void kernel_file_open(struct kernel_file *f, const char *path)
{
	struct statx st;

	f->direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	f->cached = open(path, O_RDWR | O_CLOEXEC);
	CHECK(f->direct >= 0 && f->cached >= 0);
	/* What would be read ahead might come in later, beside what is counted. */
	CHECK_EQ(posix_fadvise(f->cached, 0, 0, POSIX_FADV_RANDOM), 0);
	CHECK_EQ(statx(f->direct, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st), 0);
	CHECK(st.stx_mask & STATX_DIOALIGN && st.stx_dio_offset_align);
	f->block = st.stx_dio_offset_align;
}

void kernel_file_close(struct kernel_file *f)
{
	close(f->direct);
	close(f->cached);
}

void kernel_file_check(struct kernel_file *f, uint64_t off, uint64_t len, uint64_t seed)
{
	uint64_t n = len < CLOSE_LOOK ? len : CLOSE_LOOK, words = (n + 7) & ~7ull;
	char *got = calloc(1, words), *want = calloc(1, words);

	CHECK(got && want);
	kit_pattern_fill(want, words, seed, 0);
	CHECK_EQ(pread(f->cached, got, n, (off_t)off), n);
	if (memcmp(got, want, n))
		tap_fail(__FILE__, __LINE__, "%" PRIu64 " bytes at %" PRIu64 " of the file", n,
			 off);
	free(got);
	free(want);
}

static void write_all(struct kernel_rig *r, uint64_t len)
{
	int fd = open(KERNEL_FILE, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	for (uint64_t at = 0; at < len; at += 32 * MIB)
		CHECK_EQ(pwrite(fd, r->mem, 32 * MIB, (off_t)at), 32 * MIB);
	CHECK_EQ(fsync(fd), 0);
	close(fd);
	sync();
}

/* The kernel writes back what is dirty after a while; in hundredths of a second, 0: it does not. */
#define WRITEBACK "/proc/sys/vm/dirty_writeback_centisecs"

static char writeback[16];

void kernel_mount(struct kernel_rig *r, unsigned nsid, uint64_t len)
{
	char text[192];

	/* Nothing is left to be initialized in the background. */
	snprintf(text, sizeof(text),
		 "modprobe ext4 && mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 %s",
		 kernel_disk(nsid));
	CHECK_EQ(system(text), 0);
	mkdir(KERNEL_FOLDER, 0700);
	CHECK_EQ(mount(kernel_disk(nsid), KERNEL_FOLDER, "ext4", MS_NOATIME | MS_LAZYTIME,
		       "commit=600"),
		 0);
	write_all(r, len);
	CHECK_EQ(pdmai_attr_get(writeback, sizeof(writeback), WRITEBACK), 0);
	CHECK_EQ(pdmai_attr_put("0", WRITEBACK), 0);
}

void kernel_umount(void)
{
	CHECK_EQ(pdmai_attr_put(writeback, WRITEBACK), 0);
	CHECK_EQ(umount(KERNEL_FOLDER), 0);
}

bool kernel_lists_work(void)
{
	return strncmp(getenv("PEERDMA_TOPOLOGY"), "switch", 6) != 0;
}

void kernel_lists(bool on)
{
	/* Mean size of a piece from which the driver prefers lists; and what it has by default. */
	CHECK_EQ(pdmai_attr_put(on ? "32768" : "0",
				PDMAI_SYSFS "/module/nvme/parameters/sgl_threshold"),
		 0);
}

void kernel_moved_start(struct kernel_rig *r, struct kernel_moved *m)
{
	kernel_disk_bytes(r, &m->host, &m->peer);
}

void kernel_only_peers(struct kernel_rig *r, const struct kernel_moved *m, uint64_t want)
{
	uint64_t host, peer;

	kernel_disk_bytes(r, &host, &peer);
	CHECK_EQ(host - m->host, 0);
	CHECK_EQ(peer - m->peer, want);
}
