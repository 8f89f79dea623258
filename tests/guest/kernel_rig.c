// SPDX-License-Identifier: MIT
#include "tests/guest/kernel_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "lib/vfio/private.h"
#include "util/clock.h"

#define DRIVER	    "peerdma_vfio"
#define PARAMETERS  PDMAI_SYSFS "/module/" DRIVER "/parameters/"
#define REGION_TYPE 0x70646d61u /* typed from the header, not taken from it */
#define WAIT_NS	    (20ll * 1000 * 1000 * 1000)

/* In the order in which they can go. */
static struct {
	const char *name;
	bool was_there;
} modules[] = { { "peerdma_test", false }, { DRIVER, false }, { "peerdma", false } };
#define N_MODULES (sizeof(modules) / sizeof(modules[0]))

static bool is_loaded(const char *module)
{
	char path[256];

	snprintf(path, sizeof(path), PDMAI_SYSFS "/module/%s", module);
	return !access(path, F_OK);
}

/* Tests that load them themselves share the guest. The tests of a program run in children of it. */
__attribute__((constructor)) static void note_modules(void)
{
	for (size_t i = 0; i < N_MODULES; i++)
		modules[i].was_there = is_loaded(modules[i].name);
}

__attribute__((destructor)) static void unload_modules(void)
{
	for (size_t i = 0; i < N_MODULES; i++)
		if (!modules[i].was_there && is_loaded(modules[i].name) &&
		    syscall(SYS_delete_module, modules[i].name, O_NONBLOCK))
			printf("# module %s stays: %s\n", modules[i].name, strerror(errno));
}

void kernel_load_one(const char *module)
{
	char path[256];
	int fd;

	if (is_loaded(module))
		return;
	snprintf(path, sizeof(path), "%s/kernel/%s.ko", getenv("PEERDMA_BUILD"), module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(syscall(SYS_finit_module, fd, "", 0), 0);
	close(fd);
}

void kernel_load(void)
{
	kernel_load_one("peerdma");
	kernel_load_one(DRIVER);
}

void kernel_revoke_ms(unsigned ms)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", ms);
	CHECK_EQ(pdmai_attr_put(text, "%s", PARAMETERS "revoke_ms"), 0);
}

bool kernel_has_iommu(void)
{
	const char *iommu = getenv("PEERDMA_IOMMU");

	return !iommu || strcmp(iommu, "0") != 0;
}

void kernel_allow_unsafe(bool allow)
{
	CHECK_EQ(pdmai_attr_put(allow ? "Y" : "N", "%s", PARAMETERS "unsafe_no_iommu"), 0);
}

void kernel_bind(struct kernel_rig *r, unsigned revoke_ms)
{
	memset(r, 0, sizeof(*r));
	kernel_load();
	kernel_revoke_ms(revoke_ms);
	kernel_allow_unsafe(!kernel_has_iommu());
	CHECK_EQ(kit_control_open(&r->control), 0);
	CHECK_EQ(pdmai_bdf_parse(getenv("PEERDMA_SLOT_ACC0"), &r->bdf), 0);
	CHECK_EQ(pdmai_bind(PDMAI_SYSFS, &r->bdf, DRIVER, &r->binding), 0);
}

/* The regions of pages are found as user space is told to: by their type. */
static void find_region(struct kernel_rig *r)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	union {
		struct vfio_region_info info;
		char space[256];
	} u;
	unsigned found = 0;
	int fd = pdmai_vfio_device_fd(r->dev);

	CHECK_EQ(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	for (unsigned i = VFIO_PCI_NUM_REGIONS; i < info.num_regions; i++) {
		const struct vfio_region_info_cap_type *cap;

		u.info = (struct vfio_region_info){ .argsz = sizeof(u), .index = i };
		CHECK_EQ(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &u.info), 0);
		CHECK(u.info.cap_offset >= sizeof(u.info));
		cap = (const void *)(u.space + u.info.cap_offset);
		CHECK_EQ(cap->header.id, VFIO_REGION_INFO_CAP_TYPE);
		CHECK_EQ(cap->type, REGION_TYPE);
		CHECK_EQ(cap->subtype, ACCEL_BAR_VRAM);
		CHECK_EQ(u.info.flags & 7, VFIO_REGION_INFO_FLAG_READ |
						   VFIO_REGION_INFO_FLAG_WRITE |
						   VFIO_REGION_INFO_FLAG_MMAP);
		r->region_off = u.info.offset;
		r->size = u.info.size;
		found++;
	}
	/* The other BARs are too small to have pages. */
	CHECK_EQ(found, 1);
	CHECK_EQ(r->size, r->dev->bars[ACCEL_BAR_VRAM].len);
}

int kernel_open_device(struct kernel_rig *r)
{
	struct pdmai_accel_ring_config config = {
		.size_log2 = 4,
		.place = kernel_has_iommu() ? PDMAI_ACCEL_IN_HOST : PDMAI_ACCEL_IN_VRAM,
	};
	uint64_t unused;
	int ret;

	CHECK_EQ(pdmai_vfio_create(PDMAI_SYSFS, &r->vfio), 0);
	ret = pdmai_vfio_open(r->vfio, &r->bdf, &r->dev);
	if (ret) {
		pdmai_vfio_destroy(r->vfio);
		return ret;
	}
	CHECK_EQ(pdmai_accel_open(r->dev, false, &r->accel), 0);
	/* A ring in its memory goes to the end, out of the tests' way. */
	if (config.place == PDMAI_ACCEL_IN_VRAM)
		CHECK_EQ(pdmai_accel_vram_alloc(r->accel, r->dev->bars[ACCEL_BAR_VRAM].len - MIB, 1,
						&unused),
			 0);
	CHECK_EQ(pdmai_accel_ring_create(r->accel, &config, &r->ring), 0);
	find_region(r);
	r->mem = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      pdmai_vfio_device_fd(r->dev), (off_t)r->region_off);
	CHECK(r->mem != MAP_FAILED);
	return 0;
}

void kernel_open(struct kernel_rig *r, unsigned revoke_ms)
{
	kernel_bind(r, revoke_ms);
	CHECK_EQ(kernel_open_device(r), 0);
}

void kernel_close_device(struct kernel_rig *r)
{
	CHECK_EQ(munmap(r->mem, r->size), 0);
	pdmai_accel_ring_destroy(r->ring);
	pdmai_accel_close(r->accel);
	pdmai_dev_close(r->dev);
	pdmai_vfio_destroy(r->vfio);
}

void kernel_close(struct kernel_rig *r)
{
	kernel_close_device(r);
	CHECK_EQ(pdmai_unbind(&r->binding), 0);
	kit_control_close(r->control);
}

static uint64_t run(struct kernel_rig *r, const struct pdmai_accel_cmd *cmd)
{
	struct pdmai_accel_done done;

	CHECK_EQ(pdmai_accel_run(r->ring, cmd, WAIT_NS, &done), 0);
	CHECK_EQ(done.err, 0);
	return done.result;
}

uint32_t kernel_device_crc(struct kernel_rig *r, uint64_t off, uint64_t len)
{
	struct pdmai_accel_mem src = { ACCEL_SPACE_LOCAL, off, len };
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_CRC32C, .len = len, .src = &src, .n_src = 1 };

	return (uint32_t)run(r, &cmd);
}

void kernel_device_copy(struct kernel_rig *r, uint64_t dst_off, uint64_t src_off, uint64_t len)
{
	struct pdmai_accel_mem src = { ACCEL_SPACE_LOCAL, src_off, len };
	struct pdmai_accel_mem dst = { ACCEL_SPACE_LOCAL, dst_off, len };
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_COPY,
		.len = len,
		.src = &src,
		.n_src = 1,
		.dst = &dst,
		.n_dst = 1,
	};

	run(r, &cmd);
}

void kernel_ring_again(struct kernel_rig *r)
{
	CHECK_EQ(pdmai_accel_reset(r->accel, PDMAI_ACCEL_RESET_FUNCTION), 0);
	CHECK_EQ(pdmai_accel_ring_reset(r->ring, NULL), 0);
}

int kernel_reset(struct kernel_rig *r)
{
	return ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_RESET) ? -errno : 0;
}

int kernel_command(struct kernel_rig *r, bool mem)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t cmd = mem ? 6 : 4;
	int fd = pdmai_vfio_device_fd(r->dev);

	CHECK_EQ(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return pwrite(fd, &cmd, sizeof(cmd), (off_t)info.offset + 4) == sizeof(cmd) ? 0 : -errno;
}

int kernel_hot_reset(struct kernel_rig *r)
{
	/* argsz, flags, count, and the group behind them */
	uint32_t arg[4] = { sizeof(arg), 0, 1, (uint32_t)r->vfio->groups[0].fd };

	return ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_PCI_HOT_RESET, arg) ? -errno : 0;
}

bool kernel_has_hot_reset(void)
{
	return !strncmp(getenv("PEERDMA_TOPOLOGY"), "switch", 6);
}

static int feature(struct kernel_rig *r, uint32_t number)
{
	struct vfio_device_feature f = { .argsz = sizeof(f),
					 .flags = VFIO_DEVICE_FEATURE_SET | number };

	return ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_FEATURE, &f) ? -errno : 0;
}

int kernel_low_power(struct kernel_rig *r)
{
	return feature(r, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

int kernel_low_power_wakeup(struct kernel_rig *r)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = eventfd(0, EFD_CLOEXEC),
	};
	union {
		struct vfio_device_feature feature;
		char space[sizeof(struct vfio_device_feature) + sizeof(entry)];
	} f = { .feature = { .argsz = sizeof(f),
			     .flags = VFIO_DEVICE_FEATURE_SET |
				      VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP } };
	int ret;

	CHECK(entry.wakeup_eventfd >= 0);
	memcpy(f.feature.data, &entry, sizeof(entry));
	ret = ioctl(pdmai_vfio_device_fd(r->dev), VFIO_DEVICE_FEATURE, &f) ? -errno : 0;
	close(entry.wakeup_eventfd);
	return ret;
}

int kernel_full_power(struct kernel_rig *r)
{
	return feature(r, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

int kernel_sysfs_reset(struct kernel_rig *r)
{
	return pdmai_attr_put("1", PDMAI_SYSFS "/bus/pci/devices/%s/reset", r->bdf.text);
}

static bool is_namespace(const char *name, unsigned nsid)
{
	char text[32];

	return pdmai_attr_get(text, sizeof(text), PDMAI_SYSFS "/block/%s/nsid", name) == 0 &&
	       strtoul(text, NULL, 10) == nsid;
}

int kernel_dmabuf(struct kernel_rig *r, uint64_t off, uint64_t len)
{
	struct pdmai_bar_range range = { off, len };
	int fd;

	CHECK_EQ(pdmai_dev_dmabuf(r->dev, ACCEL_BAR_VRAM, &range, 1, &fd), 0);
	return fd;
}

const char *kernel_disk(unsigned nsid)
{
	static char path[32];

	for (int64_t end = util_now_ms() + 20000; util_now_ms() < end;) {
		for (unsigned i = 1; i < 4; i++) {
			snprintf(path, sizeof(path), "/dev/nvme0n%u", i);
			if (is_namespace(path + 5, nsid) && !access(path, F_OK))
				return path;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	tap_fail(__FILE__, __LINE__, "namespace %u is not there", nsid);
}

void kernel_disk_bytes(struct kernel_rig *r, uint64_t *ret_host, uint64_t *ret_peer)
{
	struct kit_bytes b;

	CHECK_EQ(kit_control_bytes(r->control, "disk0", &b), 0);
	*ret_host = b.read[KIT_HOST] + b.write[KIT_HOST];
	*ret_peer = b.read[KIT_PEER_SWITCH] + b.write[KIT_PEER_SWITCH] + b.read[KIT_PEER_BRIDGE] +
		    b.write[KIT_PEER_BRIDGE];
}

void kernel_disk_stall(struct kernel_rig *r, bool stall)
{
	CHECK_EQ(kit_control_fault(r->control, "disk0", "nvme.stall", stall ? "stall" : "none", 0,
				   0, 0),
		 0);
}

static const uint64_t lens[] = { 4096, 8192, 64 * KIB, 1 * MIB + 4096, 64 * MIB };
#define N_LENS (sizeof(lens) / sizeof(lens[0]))

void kernel_there_and_back(struct kernel_rig *r, int fd, uint64_t len, uint64_t seed)
{
	kit_pattern_fill(r->mem + KERNEL_FROM, len, seed, 0);
	kit_pattern_fill(r->mem + KERNEL_TO, len, ~seed, 0);
	CHECK_EQ(pwrite(fd, r->mem + KERNEL_FROM, len, 0), len);
	CHECK_EQ(pread(fd, r->mem + KERNEL_TO, len, 0), len);
	if (kit_pattern_check(r->mem + KERNEL_TO, len, seed, 0, NULL))
		tap_fail(__FILE__, __LINE__, "%" PRIu64 " bytes came back wrong", len);
	CHECK_EQ(kernel_device_crc(r, KERNEL_TO, len), kernel_device_crc(r, KERNEL_FROM, len));
}

void kernel_direct(struct kernel_rig *r, const char *path, uint64_t host_allowed)
{
	uint64_t host[2], peer[2];
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	for (size_t i = 0; i < N_LENS; i++) {
		kernel_disk_bytes(r, &host[0], &peer[0]);
		kernel_there_and_back(r, fd, lens[i], 31 + i);
		kernel_disk_bytes(r, &host[1], &peer[1]);
		CHECK_EQ(peer[1] - peer[0], 2 * lens[i]);
		CHECK(host[1] - host[0] <= host_allowed);
	}
	close(fd);
}

static sigjmp_buf on_sigbus;

static void sigbus(int sig)
{
	(void)sig;
	siglongjmp(on_sigbus, 1);
}

bool kernel_touch(const volatile char *p)
{
	struct sigaction action = { .sa_handler = sigbus }, old;
	volatile bool alive = false;

	CHECK_EQ(sigaction(SIGBUS, &action, &old), 0);
	if (!sigsetjmp(on_sigbus, 1)) {
		(void)*p;
		alive = true;
	}
	CHECK_EQ(sigaction(SIGBUS, &old, NULL), 0);
	return alive;
}

static void *io_main(void *arg)
{
	struct kernel_io *io = arg;

	io->result = pread(io->fd, io->buf, io->len, io->off);
	if (io->result < 0)
		io->result = -errno;
	return NULL;
}

void kernel_io_start(struct kernel_io *io, int fd, void *buf, size_t len, int64_t off)
{
	*io = (struct kernel_io){ .fd = fd, .buf = buf, .len = len, .off = off };
	CHECK_EQ(pthread_create(&io->thread, NULL, io_main, io), 0);
}

int64_t kernel_io_end(struct kernel_io *io)
{
	CHECK_EQ(pthread_join(io->thread, NULL), 0);
	return io->result;
}

/* The ninth number of a disk's statistics: requests that it has not answered. */
void kernel_wait_in_flight(const char *disk)
{
	unsigned long n = 0;
	char text[256];

	while (!n) {
		CHECK_EQ(pdmai_attr_get(text, sizeof(text), PDMAI_SYSFS "/block/%s/stat", disk + 5),
			 0);
		CHECK_EQ(sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %lu", &n), 1);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

int kernel_hold_pages(struct kernel_rig *r, struct kernel_io *io, uint64_t seed)
{
	const char *disk = kernel_disk(1);
	int fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);

	CHECK(fd >= 0);
	kit_pattern_fill(r->mem, MIB, seed, 0);
	kit_pattern_fill(r->mem + KERNEL_TO, MIB, ~seed, 0);
	CHECK_EQ(pwrite(fd, r->mem, MIB, 0), MIB);
	kernel_disk_stall(r, true);
	kernel_io_start(io, fd, r->mem + KERNEL_TO, MIB, 0);
	kernel_wait_in_flight(disk);
	return fd;
}

void kernel_let_go(struct kernel_rig *r, struct kernel_io *io, int fd)
{
	kernel_disk_stall(r, false);
	CHECK_EQ(kernel_io_end(io), MIB);
	close(fd);
}

void kernel_refused(int (*request)(struct kernel_rig *), struct kernel_rig *r, unsigned ms)
{
	int64_t start = util_now_ms(), took;

	CHECK_EQ(request(r), -ETIMEDOUT);
	took = util_now_ms() - start;
	printf("# refused after %" PRId64 " ms of %u\n", took, ms);
	CHECK(took >= ms && took < ms + 3000);
}
