/* SPDX-License-Identifier: MIT */
/*
 * What tests of files and the pointer have in common: pieces of device memory with guards, checked
 * by the device itself, and file systems that write nothing of their own in the meantime.
 */
#ifndef PEERDMA_TESTS_GUEST_KERNEL_AREA_H
#define PEERDMA_TESTS_GUEST_KERNEL_AREA_H

#include "tests/guest/kernel_rig.h"

#define KERNEL_GUARD 4096ull

/* A piece of any length at any place in device memory that is a multiple of 8. */
struct kernel_area {
	struct kernel_rig *rig;
	uint64_t off, len, seed;
	char *mem; /* through the region of pages */
	uint32_t crc;
};

/* Its bytes are seed's pattern, a guard is on each side. */
void kernel_area_fill(struct kernel_area *a, struct kernel_rig *r, uint64_t off, uint64_t len,
		      uint64_t seed);
/* The device overwrites its bytes, and nothing else. */
void kernel_area_spoil(struct kernel_area *a);
/* Pattern and guards are as kernel_area_fill() left them, by the device, and by the stock BAR. */
#define KERNEL_CHECK_AREA(a) kernel_area_check(a, __FILE__, __LINE__)
void kernel_area_check(struct kernel_area *a, const char *file, int line);

/* A file (or disk), by direct and by buffered I/O. */
struct kernel_file {
	int direct, cached;
	uint64_t block; /* what direct I/O is a multiple of */
};
void kernel_file_open(struct kernel_file *f, const char *path);
void kernel_file_close(struct kernel_file *f);
/* What it has from off on is the pattern, read through the page cache into host memory. */
void kernel_file_check(struct kernel_file *f, uint64_t off, uint64_t len, uint64_t seed);

/*
 * ext4 on a namespace, with a file of len bytes whose blocks are all there and written, so that
 * overwriting it changes nothing else on the disk.
 */
#define KERNEL_FOLDER "/run/pages"
#define KERNEL_FILE   KERNEL_FOLDER "/file"
void kernel_mount(struct kernel_rig *r, unsigned nsid, uint64_t len);
void kernel_umount(void);

/*
 * Linux 7.2 takes bus addresses of peers for an IOVA that an earlier request with the same tag left
 * behind, and tells the drive the first piece of a list only. The drive refuses it: EIO. So it is
 * below a switch with an IOMMU (docs/kernel.md). Without lists, pieces must join at pages.
 */
bool kernel_lists_work(void);
void kernel_lists(bool on);

/* Bytes the disk moved, until kernel_only_peers() says that they went to peers and how many. */
struct kernel_moved {
	uint64_t host, peer;
};
void kernel_moved_start(struct kernel_rig *r, struct kernel_moved *m);
void kernel_only_peers(struct kernel_rig *r, const struct kernel_moved *m, uint64_t want);

#endif
