// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio on machines without an IOMMU: only when the administrator allows it, and for those
 * who may write to all memory anyway. Then files and the NIC reach the memory by its bus address.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/rdma_pair.h"

#define LEN	   MIB
#define AREA	   (32 * MIB)
#define TAINT_USER (1ul << 6)

static unsigned long tainted(void)
{
	char text[32];

	CHECK_EQ(pdmai_attr_get(text, sizeof(text), "/proc/sys/kernel/tainted"), 0);
	return strtoul(text, NULL, 10);
}

static void refused_unless_allowed(void)
{
	unsigned long before = tainted();
	struct pdmai_binding binding;
	struct pdmai_bdf bdf;
	struct kernel_rig r;

	kernel_load();
	kernel_allow_unsafe(false);
	CHECK_EQ(pdmai_bdf_parse(getenv("PEERDMA_SLOT_ACC0"), &bdf), 0);
	CHECK_EQ(pdmai_bind(PDMAI_SYSFS, &bdf, "peerdma_vfio", &binding), -EPERM);
	/* A test before may have done it. */
	CHECK_EQ(tainted() & TAINT_USER, before & TAINT_USER);
	kernel_open(&r, 5000);
	CHECK(tainted() & TAINT_USER);
	kernel_close(&r);
}

static void drop_rawio(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	CHECK_EQ(syscall(SYS_capget, &head, data), 0);
	data[0].effective &= ~(1u << CAP_SYS_RAWIO);
	CHECK_EQ(syscall(SYS_capset, &head, data), 0);
}

static void opening_needs_a_capability(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kernel_close_device(&r);
	drop_rawio();
	CHECK_EQ(kernel_open_device(&r), -EPERM);
	CHECK_EQ(pdmai_unbind(&r.binding), 0);
	kit_control_close(r.control);
}

/* VFIO would take it, and the device would write to whatever has that address on the bus. */
static void the_library_maps_nothing(void)
{
	void *mem = aligned_alloc(4096, 4096);
	struct kernel_rig r;
	uint64_t iova;

	kernel_open(&r, 5000);
	CHECK_EQ(pdmai_dev_dma_map(r.dev, mem, 4096, PDMAI_DMA_BOTH, &iova), -EOPNOTSUPP);
	kernel_close(&r);
	free(mem);
}

static void o_direct(void)
{
	struct kernel_rig r;

	kernel_open(&r, 5000);
	kernel_direct(&r, kernel_disk(1), 0);
	kernel_close(&r);
}

static enum ibv_wc_status rdma(struct rdma_pair *nic, struct ibv_mr *mr, enum ibv_wr_opcode op)
{
	struct rdma_op whole = { .op = op, .rkey = mr->rkey, .len = LEN };

	return rdma_pair_do(nic, &whole);
}

static void nic_by_bus_address(void)
{
	struct kit_bytes before, after, d;
	struct rdma_pair n;
	struct kernel_rig r;
	struct ibv_mr *mr;

	kernel_open(&r, 5000);
	rdma_pair_open(&n, "mlx5", LEN);
	mr = rdma_pair_dmabuf(&n, kernel_dmabuf(&r, AREA, LEN), LEN);
	kit_pattern_fill(n.host, LEN, 1, 0);
	kit_pattern_fill(r.mem + AREA, LEN, 2, 0);
	CHECK_EQ(kit_control_bytes(r.control, "nic0", &before), 0);
	CHECK_EQ(rdma(&n, mr, IBV_WR_RDMA_WRITE), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(r.mem + AREA, LEN, 1, 0, NULL), 0);
	kit_pattern_fill(n.host, LEN, 3, 0);
	CHECK_EQ(rdma(&n, mr, IBV_WR_RDMA_READ), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(n.host, LEN, 1, 0, NULL), 0);
	CHECK_EQ(kit_control_bytes(r.control, "nic0", &after), 0);
	d = kit_bytes_since(&before, &after);
	CHECK_EQ(d.read[KIT_PEER_SWITCH] + d.read[KIT_PEER_BRIDGE], LEN);
	CHECK_EQ(d.write[KIT_PEER_SWITCH] + d.write[KIT_PEER_BRIDGE], LEN);
	/* The memory region comes back after a reset, and fails while the memory is off. */
	CHECK_EQ(kernel_reset(&r), 0);
	kit_pattern_fill(n.host, LEN, 4, 0);
	CHECK_EQ(rdma(&n, mr, IBV_WR_RDMA_WRITE), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(r.mem + AREA, LEN, 4, 0, NULL), 0);
	CHECK_EQ(kernel_command(&r, false), 0);
	kit_pattern_fill(n.host, LEN, 5, 0);
	CHECK(rdma(&n, mr, IBV_WR_RDMA_WRITE) != IBV_WC_SUCCESS);
	CHECK_EQ(kernel_command(&r, true), 0);
	CHECK_EQ(kit_pattern_check(r.mem + AREA, LEN, 4, 0, NULL), 0);
	CHECK_EQ(ibv_dereg_mr(mr), 0);
	rdma_pair_close(&n);
	kernel_close(&r);
}

static int decode_off(struct kernel_rig *r)
{
	return kernel_command(r, false);
}

static void taken_away_as_with_an_iommu(void)
{
	struct kernel_rig r;
	struct kernel_io io;
	int fd;

	kernel_open(&r, 300);
	fd = kernel_hold_pages(&r, &io, 71);
	kernel_refused(kernel_reset, &r, 300);
	kernel_refused(decode_off, &r, 300);
	kernel_let_go(&r, &io, fd);
	CHECK_EQ(kit_pattern_check(r.mem + KERNEL_TO, MIB, 71, 0, NULL), 0);
	CHECK_EQ(kernel_reset(&r), 0);
	CHECK_EQ(decode_off(&r), 0);
	CHECK(!kernel_touch(r.mem));
	CHECK_EQ(kernel_command(&r, true), 0);
	CHECK(kernel_touch(r.mem));
	kernel_close(&r);
}

static const struct tap_test tests[] = {
	{ "refused_unless_allowed", refused_unless_allowed, TAP_WITHOUT_IOMMU },
	{ "opening_needs_a_capability", opening_needs_a_capability, TAP_WITHOUT_IOMMU },
	{ "the_library_maps_nothing", the_library_maps_nothing, TAP_WITHOUT_IOMMU },
	{ "o_direct", o_direct, TAP_WITHOUT_IOMMU },
	{ "nic_by_bus_address", nic_by_bus_address, TAP_WITHOUT_IOMMU },
	{ "taken_away_as_with_an_iommu", taken_away_as_with_an_iommu, TAP_WITHOUT_IOMMU },
};

TAP_MAIN(tests)
