// SPDX-License-Identifier: MIT
/* Regions of each kind on the devices of a node. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/lib_rig.h"

static struct pdma_region_info info_of(const struct pdma_region *region)
{
	struct pdma_region_info info = { .size = sizeof(info) };

	LIB_OK(pdma_region_get_info(region, &info));
	return info;
}

/* By the library's own access and by a mapping, which must be the same memory. */
static void read_and_write(struct pdma_region *region)
{
	uint64_t len = info_of(region).len;
	char buf[64];
	void *vaddr;

	LIB_OK(pdma_region_fill(region, 0, len, 3));
	LIB_OK(pdma_region_verify(region, 0, len, 3, NULL));
	LIB_OK(pdma_region_write(region, 13, "peerdma says hello", 18));
	LIB_OK(pdma_region_read(region, 11, buf, 22));
	CHECK(!memcmp(buf + 2, "peerdma says hello", 18));
	LIB_FAILS(pdma_region_read(region, len - 1, buf, 2), ERANGE);
	if (!(info_of(region).flags & PDMA_REGION_MAP))
		return;
	LIB_OK(pdma_region_map(region, &vaddr));
	CHECK(((volatile char *)vaddr)[13] == 'p' && ((volatile char *)vaddr)[30] == 'o');
	((volatile char *)vaddr)[13] = 'P';
	LIB_OK(pdma_region_read(region, 13, buf, 1));
	CHECK_EQ(buf[0], 'P');
	pdma_region_unmap(region);
}

static void each_kind(void)
{
	static const struct {
		const char *uri;
		enum pdma_kind kind;
		uint64_t len;
		bool needs_iommu, device;
	} kinds[] = {
		{ "vfio:ACC0/bar2+4K:64K", PDMA_KIND_VFIO, 64 * KIB, true, true },
		{ "vfio:ACC0/bar2+4K:8K,64K:4K,0:4K", PDMA_KIND_VFIO, 16 * KIB, true, true },
		{ "accel:ACC1+100:5000", PDMA_KIND_ACCEL, 5000, false, true },
		{ "cmb:DISK0+0:16K", PDMA_KIND_CMB, 16 * KIB, false, true },
		{ "udmabuf:64K", PDMA_KIND_UDMABUF, 64 * KIB, false, false },
		{ "host:100001", PDMA_KIND_HOST, 100001, false, false },
	};
	struct lib_rig r;

	lib_open(&r);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct pdma_region_info info;
		struct pdma_region *region;

		if (kinds[i].needs_iommu && !r.iommu)
			continue;
		region = lib_region(&r, kinds[i].uri);
		info = info_of(region);
		CHECK_EQ(info.kind, kinds[i].kind);
		CHECK_EQ(info.len, kinds[i].len);
		CHECK_EQ(!!(info.flags & PDMA_REGION_DEVICE), kinds[i].device);
		CHECK_EQ(info.bdf[0] != 0, kinds[i].device);
		read_and_write(region);
		LIB_OK(pdma_region_check(region));
		pdma_region_close(region);
	}
	lib_no_event(&r);
	lib_close(&r);
}

/* Where the range lies in the BAR, and where the bus has it. */
static void ranges_say_where_they_are(void)
{
	struct pdma_region_range range[2];
	struct pdma_region *region;
	struct lib_rig r;

	lib_open(&r);
	region = lib_region(&r, "vfio:ACC0/bar2+1M:4K,64K:8K");
	LIB_OK(pdma_region_range(region, 0, &range[0]));
	LIB_OK(pdma_region_range(region, 1, &range[1]));
	LIB_FAILS(pdma_region_range(region, 2, &range[0]), ERANGE);
	CHECK_EQ(range[0].bar, 2);
	CHECK_EQ(range[0].dev_off, MIB);
	CHECK_EQ(range[1].dev_off, 64 * KIB);
	CHECK_EQ(range[0].bus_addr - range[1].bus_addr, MIB - 64 * KIB);
	CHECK(!strcmp(range[0].bdf, getenv("PEERDMA_SLOT_ACC0")));
	pdma_region_close(region);
	lib_close(&r);
}

static void dmabufs_have_the_length_of_the_region(void)
{
	static const char *const uris[] = { "udmabuf:64K", "vfio:ACC0/bar2+64K:64K",
					    "vfio:ACC0/bar2+1M:4K,0:60K", "accel:ACC1+4K:64K" };
	struct pdma_region *region, *foreign;
	struct lib_rig r;
	int fd;

	lib_open(&r);
	for (size_t i = 0; i < (r.iommu ? 4 : 1); i++) {
		region = lib_region(&r, uris[i]);
		LIB_OK(pdma_region_dmabuf(region, &fd));
		CHECK_EQ(lseek(fd, 0, SEEK_END), 64 * KIB);
		LIB_OK(pdma_region_from_dmabuf(r.ctx, fd, 100, 0, NULL, &foreign));
		CHECK_EQ(info_of(foreign).len, 64 * KIB - 100);
		CHECK_EQ(close(fd), 0);
		pdma_region_close(foreign);
		pdma_region_close(region);
	}
	region = lib_region(&r, "host:64K");
	LIB_FAILS(pdma_region_dmabuf(region, &fd), EOPNOTSUPP);
	pdma_region_close(region);
	if (!r.iommu) {
		region = lib_region(&r, "accel:ACC0+0:64K");
		LIB_FAILS(pdma_region_dmabuf(region, &fd), EOPNOTSUPP);
		pdma_region_close(region);
	}
	lib_close(&r);
}

static void what_is_not_there(void)
{
	static const struct {
		const char *uri;
		int with_iommu, without; /* errno; 0: not tried */
	} bad[] = {
		{ "vfio:0000:ff:1f.7/bar0", ENODEV, ENODEV },
		{ "vfio:NIC0/bar0", ENODEV, ENODEV }, /* mlx5 has it */
		{ "vfio:ACC0/bar1", ENOENT, ENODEV },
		{ "vfio:ACC0/bar2+1T", ERANGE, ENODEV },
		{ "vfio:ACC0/bar2+0:1T", ERANGE, ENODEV },
		{ "accel:ACC0+255M:2M", ERANGE, ERANGE },
		{ "accel:NIC0", ENODEV, EBUSY },
		{ "cmb:ACC0", EOPNOTSUPP, EOPNOTSUPP },
		{ "cmb:NIC0", EOPNOTSUPP, EOPNOTSUPP },
		{ "cmb:DISK0+4K:4K", ERANGE, ERANGE },
		{ "cmb:DISK0+0:1G", ENOSPC, ENOSPC },
		{ "dm:nosuch:4K", ENODEV, ENODEV },
		{ "host:16T", ENOMEM, ENOMEM },
		{ "file:/nonexistent", ENOENT, ENOENT },
		{ "file:/proc/self/mem", ERANGE, ERANGE },
	};
	struct pdma_region *region = NULL;
	struct lib_rig r;

	lib_open(&r);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int want = r.iommu ? bad[i].with_iommu : bad[i].without;
		int got = lib_try_region(&r, bad[i].uri, &region);

		if (got != -want || !pdma_error()[0] || region)
			tap_fail(__FILE__, __LINE__, "%s: %d instead of %d: %s", bad[i].uri, got,
				 -want, pdma_error());
		printf("# %s: %s\n", bad[i].uri, pdma_error());
	}
	lib_close(&r);
}

/* VFIO gives a group to one process; another context is another user. */
static void a_device_has_one_user(void)
{
	struct pdma_region *region, *again, *other = NULL;
	struct pdma_ctx *ctx;
	struct lib_rig r;
	char uri[64];

	lib_open(&r);
	region = lib_region(&r, "vfio:ACC0/bar2+0:4K");
	again = lib_region(&r, "accel:ACC0+0:4K");
	LIB_OK(pdma_region_write(region, 0, "same", 5));
	LIB_OK(pdma_region_read(again, 0, uri, 5));
	CHECK(!strcmp(uri, "same"));
	LIB_OK(pdma_ctx_create(NULL, &ctx));
	snprintf(uri, sizeof(uri), "vfio:%s/bar2", getenv("PEERDMA_SLOT_ACC0"));
	LIB_FAILS(pdma_region_open(ctx, uri, NULL, &other), EBUSY);
	pdma_ctx_destroy(ctx);
	pdma_region_close(region);
	pdma_region_close(again);
	lib_close(&r);
}

/* Somebody switches memory decode off behind our back: no SIGBUS, an error, a revoke. */
static void decode_off_is_noticed(void)
{
	struct pdma_region *region;
	char path[128], byte;
	struct lib_rig r;
	uint16_t command;
	int fd;

	lib_open(&r);
	region = lib_region(&r, "accel:ACC0+0:64K");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", getenv("PEERDMA_SLOT_ACC0"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &command, 2, 4), 2);
	command &= (uint16_t)~2u;
	CHECK_EQ(pwrite(fd, &command, 2, 4), 2);
	LIB_FAILS(pdma_region_read(region, 0, &byte, 1), EFAULT);
	LIB_FAILS(pdma_region_check(region), ESTALE);
	lib_event(&r, PDMA_EVENT_REGION_REVOKED);
	LIB_FAILS(pdma_region_read(region, 0, &byte, 1), ESTALE);
	close(fd);
	pdma_region_close(region);
	/* The next user switches it on again. */
	region = lib_region(&r, "accel:ACC0+0:64K");
	LIB_OK(pdma_region_read(region, 0, &byte, 1));
	pdma_region_close(region);
	lib_close(&r);
}

/* In a program of its own: a copy of this one would hold our devices open. */
static pid_t write_in_child(const char *path, const char *text)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/bin/sh", "sh", "-c", "printf '%s' \"$1\" >\"$2\"", "sh", text, path, NULL);
		_exit(127);
	}
	CHECK(pid > 0);
	return pid;
}

static void write_file(const char *path, const char *text)
{
	int status;

	CHECK(waitpid(write_in_child(path, text), &status, 0) > 0);
	CHECK_EQ(status, 0);
}

/* Unbinding waits for us; the event tells, and closing lets it go on. */
static void the_kernel_wants_its_device_back(void)
{
	const char *bdf = getenv("PEERDMA_SLOT_ACC0");
	struct pdma_region *region;
	struct pdma_event event;
	struct lib_rig r;
	int status;
	pid_t pid;

	lib_open(&r);
	region = lib_region(&r, "vfio:ACC0/bar2+0:4K");
	pid = write_in_child("/sys/bus/pci/drivers/vfio-pci/unbind", bdf);
	event = lib_event(&r, PDMA_EVENT_DEVICE_WANTED);
	CHECK(event.region == region && strstr(event.text, bdf));
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	pdma_region_close(region);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	LIB_FAILS(lib_try_region(&r, "vfio:ACC0/bar2", &region), ENODEV);
	write_file("/sys/bus/pci/drivers/vfio-pci/bind", bdf);
	region = lib_region(&r, "vfio:ACC0/bar2+0:4K");
	pdma_region_close(region);
	lib_close(&r);
}

/* All regions of the function, whatever their kind, and none of the other's. */
static void reset_revokes_all_of_the_function(void)
{
	struct pdma_region *a, *b, *other;
	struct lib_rig r;
	char byte;

	lib_open(&r);
	a = lib_region(&r, "accel:ACC0+0:64K");
	b = lib_region(&r, r.iommu ? "vfio:ACC0/bar2+1M:4K" : "accel:ACC0+1M:4K");
	other = lib_region(&r, "accel:ACC1+0:64K");
	LIB_OK(pdma_region_fill(a, 0, 64 * KIB, 9));
	LIB_OK(pdma_region_reset(b));
	lib_event(&r, PDMA_EVENT_REGION_REVOKED);
	lib_event(&r, PDMA_EVENT_REGION_REVOKED);
	lib_no_event(&r);
	LIB_FAILS(pdma_region_read(a, 0, &byte, 1), ESTALE);
	LIB_FAILS(pdma_region_read(b, 0, &byte, 1), ESTALE);
	LIB_OK(pdma_region_read(other, 0, &byte, 1));
	pdma_region_close(a);
	pdma_region_close(b);
	/* VRAM of this device survives its reset. */
	a = lib_region(&r, "accel:ACC0+0:64K");
	LIB_OK(pdma_region_verify(a, 0, 64 * KIB, 9, NULL));
	LIB_FAILS(pdma_region_reset(lib_region(&r, "host:4K")), EOPNOTSUPP);
	_exit(EXIT_SUCCESS);
}

/* With the drive in vfio-pci's hands the registers tell where its buffer is. */
static void a_cmb_through_vfio(void)
{
	const char *bdf = getenv("PEERDMA_SLOT_DISK0");
	struct pdma_region *kernel, *region;
	char path[128], uri[64];
	struct lib_rig r;
	uint64_t len;

	lib_open(&r);
	kernel = lib_region(&r, "cmb:DISK0+0:64K");
	CHECK_EQ(info_of(kernel).bar, -1);
	CHECK(info_of(kernel).flags & PDMA_REGION_PAGES);
	pdma_region_close(kernel);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	write_file(path, "vfio-pci");
	write_file("/sys/bus/pci/drivers/nvme/unbind", bdf);
	write_file("/sys/bus/pci/drivers_probe", bdf);
	region = lib_region(&r, "cmb:DISK0");
	len = info_of(region).len;
	printf("# %" PRIu64 " bytes in BAR %d\n", len, info_of(region).bar);
	CHECK(len >= MIB && info_of(region).bar >= 0);
	CHECK(info_of(region).flags & PDMA_REGION_DMABUF);
	pdma_region_close(region);
	snprintf(uri, sizeof(uri), "cmb:%s+64K:16K", bdf);
	LIB_OK(pdma_region_open(r.ctx, uri, NULL, &region));
	read_and_write(region);
	pdma_region_close(region);
	lib_close(&r);
	write_file("/sys/bus/pci/drivers/vfio-pci/unbind", bdf);
	write_file(path, "\n");
	write_file("/sys/bus/pci/drivers_probe", bdf);
}

/* The NIC's own memory, where the NIC says it has some; else it says that it has none. */
static void memory_of_the_nic(void)
{
	struct ibv_device_attr_ex attr;
	struct pdma_region *region = NULL;
	struct pdma_mr_info info;
	struct pdma_mr *mr;
	struct ibv_pd *pd;
	struct lib_rig r;
	char uri[64];

	lib_open(&r);
	lib_nic_open(&r);
	CHECK_EQ(ibv_query_device_ex(r.nic.context, NULL, &attr), 0);
	printf("# the NIC offers %" PRIu64 " bytes\n", (uint64_t)attr.max_dm_size);
	snprintf(uri, sizeof(uri), "dm:%s:8K", ibv_get_device_name(r.nic.context->device));
	if (!attr.max_dm_size) {
		LIB_FAILS(pdma_region_open(r.ctx, uri, NULL, &region), EOPNOTSUPP);
		lib_close(&r);
		return;
	}
	LIB_OK(pdma_region_open(r.ctx, uri, NULL, &region));
	read_and_write(region);
	/* A PD of another context can't have it, one of its own can. */
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, IBV_ACCESS_LOCAL_WRITE, NULL, &mr), EOPNOTSUPP);
	pd = ibv_alloc_pd(pdma_region_verbs(region));
	CHECK(pd != NULL);
	LIB_OK(pdma_reg_mr(region, pd, IBV_ACCESS_LOCAL_WRITE, NULL, &mr));
	info = lib_mr_info(mr);
	CHECK_EQ(info.way, PDMA_WAY_NATIVE);
	LIB_OK(pdma_dereg_mr(mr));
	CHECK_EQ(ibv_dealloc_pd(pd), 0);
	pdma_region_close(region);
	lib_close(&r);
}

static const struct tap_test tests[] = {
	{ "each_kind", each_kind, TAP_ANYWHERE },
	{ "ranges_say_where_they_are", ranges_say_where_they_are, TAP_WITH_IOMMU },
	{ "dmabufs_have_the_length_of_the_region", dmabufs_have_the_length_of_the_region,
	  TAP_ANYWHERE },
	{ "what_is_not_there", what_is_not_there, TAP_ANYWHERE },
	{ "a_device_has_one_user", a_device_has_one_user, TAP_WITH_IOMMU },
	{ "decode_off_is_noticed", decode_off_is_noticed, TAP_ANYWHERE },
	{ "reset_revokes_all_of_the_function", reset_revokes_all_of_the_function, TAP_ANYWHERE },
	{ "memory_of_the_nic", memory_of_the_nic, TAP_ANYWHERE },
	{ "the_kernel_wants_its_device_back", the_kernel_wants_its_device_back, TAP_WITH_IOMMU },
	{ "a_cmb_through_vfio", a_cmb_through_vfio, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
