/* SPDX-License-Identifier: MIT */
/*
 * What tests of peerdma_vfio stand on: accelerator 0 bound to it, its memory mapped through the
 * region of pages, and the disk. Every failure here fails the test.
 */
#ifndef PEERDMA_TESTS_GUEST_KERNEL_RIG_H
#define PEERDMA_TESTS_GUEST_KERNEL_RIG_H

#include <pthread.h>
#include <stdbool.h>

#include "bench/kit/control.h"
#include "bench/kit/pattern.h"
#include "lib/accel/accel.h"
#include "lib/sysfs/bind.h"
#include "lib/vfio/vfio.h"
#include "tests/guest/tap.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)

struct kernel_rig {
	struct kit_control *control;
	struct pdmai_bdf bdf;
	struct pdmai_binding binding;
	struct pdmai_vfio *vfio;
	struct pdmai_dev *dev;
	struct pdmai_accel *accel;
	struct pdmai_accel_ring *ring;
	uint64_t region_off, size; /* of the region of pages */
	char *mem;
};

/* The modules are loaded when they are not, and the limit of waiting set. */
void kernel_open(struct kernel_rig *r, unsigned revoke_ms);
void kernel_close(struct kernel_rig *r);
/* The parts of both, for tests that do it otherwise. */
void kernel_bind(struct kernel_rig *r, unsigned revoke_ms);
int kernel_open_device(struct kernel_rig *r);
void kernel_close_device(struct kernel_rig *r);
void kernel_load(void);
/* A module of ours that needs what is loaded, when it is not there. */
void kernel_load_one(const char *module);
void kernel_revoke_ms(unsigned ms);
/* kernel_bind() allows it on machines without an IOMMU. */
void kernel_allow_unsafe(bool allow);
bool kernel_has_iommu(void);

/* By the device itself. */
uint32_t kernel_device_crc(struct kernel_rig *r, uint64_t off, uint64_t len);
void kernel_device_copy(struct kernel_rig *r, uint64_t dst, uint64_t src, uint64_t len);
/* After a reset of the function. */
void kernel_ring_again(struct kernel_rig *r);

/* VFIO_DEVICE_RESET. Return: 0 or -errno. */
int kernel_reset(struct kernel_rig *r);
/* A write to the command register. Return: 0 or -errno. */
int kernel_command(struct kernel_rig *r, bool mem);
/* VFIO_DEVICE_PCI_HOT_RESET. Return: 0 or -errno. */
int kernel_hot_reset(struct kernel_rig *r);
/* Below a switch: behind a root port of QEMU the kernel has none for the function. */
bool kernel_has_hot_reset(void);
/* VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, _ENTRY_WITH_WAKEUP, _EXIT. Return: 0 or -errno. */
int kernel_low_power(struct kernel_rig *r);
int kernel_low_power_wakeup(struct kernel_rig *r);
int kernel_full_power(struct kernel_rig *r);
/* By sysfs: can't be refused. Return: 0 or -errno. */
int kernel_sysfs_reset(struct kernel_rig *r);

/* len bytes of its memory at off as a dma-buf. Return: the descriptor. */
int kernel_dmabuf(struct kernel_rig *r, uint64_t off, uint64_t len);

/* "/dev/nvme0nX" of a namespace once it is there. */
const char *kernel_disk(unsigned nsid);
/* Bytes of data that the disk moved from and to host memory, and from and to peers. */
void kernel_disk_bytes(struct kernel_rig *r, uint64_t *ret_host, uint64_t *ret_peer);

/* Memory -> file -> other memory, and the processor reads what the disk wrote. */
#define KERNEL_FROM 0
void kernel_there_and_back(struct kernel_rig *r, int fd, uint64_t len, uint64_t seed);
/*
 * Each of many lengths by O_DIRECT: the disk moves all of it from peer to peer, and at most
 * host_allowed bytes from and to host memory.
 */
void kernel_direct(struct kernel_rig *r, const char *path, uint64_t host_allowed);

/* Hold the disk back, or let it go on. */
void kernel_disk_stall(struct kernel_rig *r, bool stall);

/* Until the disk has a request: what was asked for has its pages pinned by then. */
void kernel_wait_in_flight(const char *disk);

/* The word at p, or false when touching it raises SIGBUS. */
bool kernel_touch(const volatile char *p);

/* pread() of another thread. */
struct kernel_io {
	pthread_t thread;
	int fd;
	void *buf;
	size_t len;
	int64_t off;
	int64_t result; /* of it, or -errno */
};
void kernel_io_start(struct kernel_io *io, int fd, void *buf, size_t len, int64_t off);
int64_t kernel_io_end(struct kernel_io *io);

/*
 * A read of a MiB at KERNEL_TO, which gets seed's pattern, has reached the disk, and the disk
 * stands still: the pages are held. Return: the disk.
 */
#define KERNEL_TO (96 * MIB)
int kernel_hold_pages(struct kernel_rig *r, struct kernel_io *io, uint64_t seed);
/* The transfer ends well; closes the disk. */
void kernel_let_go(struct kernel_rig *r, struct kernel_io *io, int fd);
/* The request fails with -ETIMEDOUT after ms milliseconds. */
void kernel_refused(int (*request)(struct kernel_rig *), struct kernel_rig *r, unsigned ms);

#endif
