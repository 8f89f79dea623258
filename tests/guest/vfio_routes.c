// SPDX-License-Identifier: MIT
/* The ways to a peer's memory behind an IOMMU, and the addresses VFIO's container gives out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sysfs/attr.h"
#include "lib/sysfs/path.h"
#include "tests/guest/rig.h"

#define LEN (8u << 20)

static struct kit_bytes copy_by(struct rig *r, enum pdmai_route route, bool push, int i)
{
	struct rig_area own, far;
	struct kit_bytes before, after;
	struct pdmai_peer peer;
	uint64_t off;

	rig_area(r, i, RIG_OWN, LEN, 0, &own);
	rig_area(r, !i, RIG_OWN, LEN, 0, &far);
	/* The same memory, as the other device sees it. */
	off = far.mem.addr & ~4095ull;
	CHECK_EQ(pdmai_peer_map_by(route, r->pair.dev[i], r->pair.dev[!i], ACCEL_BAR_VRAM, off, LEN,
				   &peer),
		 0);
	far.mem.space = ACCEL_SPACE_BUS;
	far.mem.addr = peer.addr;
	rig_area_fill(push ? &own : &far, 42);
	rig_area_fill(push ? &far : &own, 43);
	before = rig_bytes(r, i);
	rig_copy(r, i, push ? &far : &own, push ? &own : &far);
	after = rig_bytes(r, i);
	RIG_CHECK_AREA(push ? &far : &own, 42);
	pdmai_peer_unmap(&peer);
	return kit_bytes_since(&before, &after);
}

static void expect_only(const struct kit_bytes *d, bool push, enum kit_target target)
{
	for (int t = 0; t < KIT_TARGETS; t++) {
		uint64_t peer = t == (int)target ? LEN : 0, own = t == KIT_OWN ? LEN : 0;

		CHECK_EQ(d->read[t], push ? own : peer);
		CHECK_EQ(d->write[t], push ? peer : own);
	}
}

/* Mapped by VFIO, an address goes up to the IOMMU and through the host bridge, switch or not. */
static void mapped_bar_goes_through_the_bridge(void)
{
	struct kit_bytes d;
	struct rig r;

	rig_open(&r, false);
	for (int i = 0; i < 2; i++) {
		for (int push = 0; push < 2; push++) {
			d = copy_by(&r, PDMAI_ROUTE_BRIDGE, push, i);
			expect_only(&d, push, KIT_PEER_BRIDGE);
		}
	}
	rig_close(&r);
}

static void bus_address_turns_in_the_switch(void)
{
	struct kit_bytes d;
	struct rig r;

	rig_open(&r, false);
	for (int i = 0; i < 2; i++) {
		for (int push = 0; push < 2; push++) {
			d = copy_by(&r, PDMAI_ROUTE_SWITCH, push, i);
			expect_only(&d, push, KIT_PEER_SWITCH);
		}
	}
	rig_close(&r);
}

/* Without a switch in between, a bare bus address meets the IOMMU, which knows no such IOVA. */
static void bus_address_is_refused_between_root_ports(void)
{
	struct pdmai_accel_mem src;
	struct rig_area own;
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_COPY,
				       .len = 4096,
				       .src = &src,
				       .dst = &own.mem,
				       .n_src = 1,
				       .n_dst = 1 };
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, 4096, 0, &own);
	rig_area_fill(&own, 1);
	src = (struct pdmai_accel_mem){ ACCEL_SPACE_BUS,
					r.pair.dev[1]->bars[ACCEL_BAR_VRAM].bus_addr, 4096 };
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(done.status, ACCEL_DMA_UNMAPPED);
	RIG_CHECK_AREA(&own, 1);
	rig_close(&r);
}

static void peer_is_out_of_reach_after_unmapping(void)
{
	struct pdmai_accel_mem dst = { ACCEL_SPACE_BUS, 0, 4096 };
	struct pdmai_accel_cmd cmd = {
		.op = ACCEL_OP_FILL, .param = 1, .len = 4096, .imm = 0x77, .dst = &dst, .n_dst = 1
	};
	struct pdmai_peer peer;
	struct rig r;

	rig_open(&r, false);
	CHECK_EQ(pdmai_peer_map_by(PDMAI_ROUTE_BRIDGE, r.pair.dev[0], r.pair.dev[1], ACCEL_BAR_VRAM,
				   LEN, LEN, &peer),
		 0);
	dst.addr = peer.addr;
	rig_do(&r, 0, &cmd);
	pdmai_peer_unmap(&peer);
	CHECK_EQ(rig_run(&r, 0, &cmd).status, ACCEL_DMA_UNMAPPED);
	rig_close(&r);
}

/* No IOVA lies where a switch would take it for a peer's address. */
static void iovas_keep_off_the_windows_of_peers(void)
{
	const struct pdmai_pci_bar *bar;
	struct pdmai_dma_mem mem[64];
	struct rig r;

	rig_open(&r, false);
	for (int i = 0; i < 64; i++) {
		uint64_t len = (i % 8 + 1) * 4096;

		CHECK_EQ(pdmai_dma_alloc(r.pair.dev[i & 1], len, &mem[i]), 0);
		for (int k = 0; k < 2 * PDMAI_PCI_BARS; k++) {
			bar = &r.pair.dev[k & 1]->bars[k / 2];
			CHECK(!bar->len || mem[i].iova + len <= bar->bus_addr ||
			      mem[i].iova >= bar->bus_addr + bar->len);
		}
		for (int k = 0; k < i; k++)
			CHECK(mem[i].iova + len <= mem[k].iova ||
			      mem[i].iova >= mem[k].iova + mem[k].len);
	}
	for (int i = 0; i < 64; i++)
		pdmai_dma_free(&mem[i]);
	rig_close(&r);
}

/* The kernel's tree tells the way that the fabric's counters proved above. */
static void predicted_route_is_the_topology_s(void)
{
	const char *topology = getenv("PEERDMA_TOPOLOGY");
	enum pdmai_route route, want;
	struct kit_pair p;

	CHECK(topology != NULL);
	want = strncmp(topology, "switch", 6) ? PDMAI_ROUTE_BRIDGE : PDMAI_ROUTE_SWITCH;
	CHECK_EQ(kit_pair_find(&p), 0);
	CHECK_EQ(pdmai_pci_route(PDMAI_SYSFS, &p.bdf[0], &p.bdf[1], &route), 0);
	CHECK_EQ(route, want);
	CHECK_EQ(pdmai_pci_route(PDMAI_SYSFS, &p.bdf[1], &p.bdf[0], &route), 0);
	CHECK_EQ(route, want);
	CHECK_EQ(pdmai_pci_route(PDMAI_SYSFS, &p.bdf[1], &p.bdf[1], &route), -EINVAL);
}

static const struct tap_test switch_tests[] = {
	{ "mapped_bar_goes_through_the_bridge", mapped_bar_goes_through_the_bridge,
	  TAP_WITH_IOMMU },
	{ "bus_address_turns_in_the_switch", bus_address_turns_in_the_switch, TAP_WITH_IOMMU },
	{ "peer_is_out_of_reach_after_unmapping", peer_is_out_of_reach_after_unmapping,
	  TAP_WITH_IOMMU },
	{ "iovas_keep_off_the_windows_of_peers", iovas_keep_off_the_windows_of_peers,
	  TAP_WITH_IOMMU },
	{ "predicted_route_is_the_topology_s", predicted_route_is_the_topology_s, TAP_ANYWHERE },
};

static const struct tap_test root_port_tests[] = {
	{ "mapped_bar_goes_through_the_bridge", mapped_bar_goes_through_the_bridge,
	  TAP_WITH_IOMMU },
	{ "bus_address_is_refused_between_root_ports", bus_address_is_refused_between_root_ports,
	  TAP_WITH_IOMMU },
	{ "peer_is_out_of_reach_after_unmapping", peer_is_out_of_reach_after_unmapping,
	  TAP_WITH_IOMMU },
	{ "iovas_keep_off_the_windows_of_peers", iovas_keep_off_the_windows_of_peers,
	  TAP_WITH_IOMMU },
	{ "predicted_route_is_the_topology_s", predicted_route_is_the_topology_s, TAP_ANYWHERE },
};

int main(int argc, char **argv)
{
	const char *topology = getenv("PEERDMA_TOPOLOGY");

	if (topology && !strncmp(topology, "switch", 6))
		return tap_main(argc, argv, switch_tests,
				sizeof(switch_tests) / sizeof(switch_tests[0]));
	return tap_main(argc, argv, root_port_tests,
			sizeof(root_port_tests) / sizeof(root_port_tests[0]));
}
