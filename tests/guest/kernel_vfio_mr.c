// SPDX-License-Identifier: MIT
/*
 * The pointer of peerdma_vfio as a memory region of the lab's NIC: on-demand paging works, pinning
 * is refused, and a reset takes the memory away from both sides of a connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/kernel_rig.h"
#include "tests/guest/rdma_pair.h"

#define LEN  MIB
#define AREA (32 * MIB)

struct both {
	struct kernel_rig pages;
	struct rdma_pair nic;
	struct ibv_mr *mr;
};

static void open_both(struct both *b)
{
	kernel_open(&b->pages, 5000);
	rdma_pair_open(&b->nic, "mlx5", LEN);
	b->mr = ibv_reg_mr(b->nic.pd, b->pages.mem + AREA, LEN,
			   RDMA_PAIR_RW | IBV_ACCESS_ON_DEMAND);
	if (!b->mr)
		tap_fail(__FILE__, __LINE__, "no on-demand region: errno %d", errno);
}

static void close_both(struct both *b)
{
	CHECK_EQ(ibv_dereg_mr(b->mr), 0);
	rdma_pair_close(&b->nic);
	kernel_close(&b->pages);
}

/* The device's memory is the remote side. */
static enum ibv_wc_status rdma(struct both *b, enum ibv_wr_opcode op)
{
	struct rdma_op whole = {
		.op = op, .remote = (uintptr_t)b->pages.mem + AREA, .rkey = b->mr->rkey, .len = LEN
	};

	return rdma_pair_do(&b->nic, &whole);
}

static void write_and_read(struct both *b, uint64_t seed)
{
	kit_pattern_fill(b->nic.host, LEN, seed, 0);
	kit_pattern_fill(b->pages.mem + AREA, LEN, ~seed, 0);
	CHECK_EQ(rdma(b, IBV_WR_RDMA_WRITE), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(b->pages.mem + AREA, LEN, seed, 0, NULL), 0);
	kit_pattern_fill(b->nic.host, LEN, ~seed, 0);
	CHECK_EQ(rdma(b, IBV_WR_RDMA_READ), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(b->nic.host, LEN, seed, 0, NULL), 0);
}

static void on_demand_region_works(void)
{
	struct kit_bytes before, after, d;
	struct both b;

	open_both(&b);
	CHECK_EQ(kit_control_bytes(b.pages.control, "nic0", &before), 0);
	write_and_read(&b, 1);
	CHECK_EQ(kit_control_bytes(b.pages.control, "nic0", &after), 0);
	d = kit_bytes_since(&before, &after);
	/* Host memory is one side of each transfer, the device's the other, and nothing more. */
	CHECK_EQ(d.read[KIT_HOST] + d.write[KIT_HOST], 2 * LEN);
	CHECK_EQ(d.read[KIT_PEER_SWITCH] + d.read[KIT_PEER_BRIDGE], LEN);
	CHECK_EQ(d.write[KIT_PEER_SWITCH] + d.write[KIT_PEER_BRIDGE], LEN);
	close_both(&b);
}

static void pinned_region_is_refused(void)
{
	struct both b;

	open_both(&b);
	CHECK(!ibv_reg_mr(b.nic.pd, b.pages.mem + AREA, LEN, RDMA_PAIR_RW));
	CHECK_EQ(errno, EREMOTEIO);
	/* Nothing of the attempt is left that a reset would have to wait for. */
	CHECK_EQ(kernel_reset(&b.pages), 0);
	close_both(&b);
}

/* An on-demand region holds no page: reset need not wait, and it works again after. */
static void region_survives_resets(void)
{
	struct both b;

	open_both(&b);
	for (int i = 0; i < 10; i++) {
		write_and_read(&b, 10 + (uint64_t)i);
		CHECK_EQ(kernel_reset(&b.pages), 0);
	}
	write_and_read(&b, 30);
	close_both(&b);
}

/* Memory that is off: the transfer fails, and no byte of it arrives later. */
static void region_without_memory_fails(void)
{
	struct both b;

	open_both(&b);
	write_and_read(&b, 41);
	CHECK_EQ(kernel_command(&b.pages, false), 0);
	kit_pattern_fill(b.nic.host, LEN, 42, 0);
	CHECK(rdma(&b, IBV_WR_RDMA_WRITE) != IBV_WC_SUCCESS);
	CHECK_EQ(kernel_command(&b.pages, true), 0);
	CHECK_EQ(kit_pattern_check(b.pages.mem + AREA, LEN, 41, 0, NULL), 0);
	close_both(&b);
}

static const struct tap_test tests[] = {
	{ "on_demand_region_works", on_demand_region_works, TAP_WITH_IOMMU },
	{ "pinned_region_is_refused", pinned_region_is_refused, TAP_WITH_IOMMU },
	{ "region_survives_resets", region_survives_resets, TAP_WITH_IOMMU },
	{ "region_without_memory_fails", region_without_memory_fails, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
