// SPDX-License-Identifier: MIT
/* Where a bus address leads, for each shape of a node, seen through reads and their counters. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#define B_REGS UINT64_C(0xfe001000)
#define B_VRAM UINT64_C(0x4800000000)
#define IOVA   UINT64_C(0x10000000)
#define PG     4096u
#define RAM    (256u * 1024u)
#define RW     (MDL_PROT_READ | MDL_PROT_WRITE)

struct fix {
	struct mdl_node *node;
	struct tdev *a, *b;
	struct tram ram;
	unsigned asked; /* for the IOMMU's root */
	bool known;
};

static int root(void *arg, const char *name, struct mdl_iommu_root *ret)
{
	struct fix *f = arg;

	f->asked++;
	*ret = (struct mdl_iommu_root){ .enabled = true, .root = 0x6000, .bus = 1 };
	assert_string_equal(name, "a0");
	return f->known ? 0 : -EIO;
}

static int setup(void **state, bool bridge, bool iommu, bool one_switch)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->node = tnode_create("n", bridge, iommu);
	f->node->cfg.iommu_root = root;
	f->node->cfg.arg = f;
	f->a = tdev_create(f->node, "a0");
	f->b = tdev_create(f->node, "b0");
	tdev_enable(f->a, 0xfe000000, 0x4700000000);
	tdev_enable(f->b, (uint32_t)B_REGS, B_VRAM);
	if (one_switch) {
		mdl_device_place(f->a->dev, 0, false);
		mdl_device_place(f->b->dev, 0, false);
	}
	f->ram = tram_create(RAM);
	*state = f;
	return 0;
}

static int on_a_switch(void **state)
{
	return setup(state, false, false, true);
}

static int on_ports(void **state)
{
	return setup(state, true, false, false);
}

static int no_bridge(void **state)
{
	return setup(state, false, false, false);
}

static int ports_iommu(void **state)
{
	return setup(state, true, true, false);
}

static int switch_iommu(void **state)
{
	return setup(state, true, true, true);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	tdev_destroy(f->a);
	tdev_destroy(f->b);
	mdl_node_destroy(f->node);
	tram_destroy(&f->ram);
	free(f);
	return 0;
}

static int rd(struct fix *f, uint64_t addr, void *buf, size_t len)
{
	struct mdl_dma d;

	mdl_dma_begin(&d, f->a->dev);
	return mdl_dma_read(&d, MDL_SPACE_BUS, addr, buf, len, MDL_DATA);
}

static int wr(struct fix *f, uint64_t addr, const void *buf, size_t len)
{
	struct mdl_dma d;

	mdl_dma_begin(&d, f->a->dev);
	return mdl_dma_write(&d, MDL_SPACE_BUS, addr, buf, len, MDL_DATA);
}

static void reaches(struct fix *f, uint64_t addr, enum mdl_target target)
{
	uint64_t before = tcount_bytes(f->a, MDL_DATA, target, false), all = tcount_all(f->a);
	uint8_t buf[64];

	memset(f->b->vram + 4096, 0x42, sizeof(buf));
	memset(f->ram.mem + 4096, 0x17, sizeof(buf));
	assert_int_equal(rd(f, addr, buf, sizeof(buf)), 0);
	assert_int_equal(buf[63], target == MDL_T_HOST ? 0x17 : 0x42);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, target, false), before + sizeof(buf));
	assert_int_equal(tcount_all(f->a), all + sizeof(buf));
}

static void fails(struct fix *f, uint64_t addr, int err)
{
	uint64_t all = tcount_all(f->a);
	uint8_t buf[8];

	assert_int_equal(rd(f, addr, buf, sizeof(buf)), err);
	assert_int_equal(tcount_all(f->a), all);
}

static void switch_turns_round(void **state)
{
	struct fix *f = *state;
	uint8_t buf[16];

	reaches(f, B_VRAM + 4096, MDL_T_PEER_SWITCH);
	/* Past the end of the BAR there is nothing. */
	assert_int_equal(rd(f, B_VRAM + TDEV_VRAM - 8, buf, 16), -EFAULT);
	assert_int_equal(rd(f, B_VRAM + TDEV_VRAM - 8, buf, 8), 0);
	fails(f, B_VRAM - 8, -EFAULT);
	/* Redirected upwards, where the host bridge does not forward. */
	mdl_device_place(f->a->dev, 0, true);
	fails(f, B_VRAM, -EREMOTEIO);
	mdl_device_place(f->a->dev, 1, false);
	fails(f, B_VRAM, -EREMOTEIO);
}

static void own_bar_is_refused(void **state)
{
	struct fix *f = *state;

	fails(f, UINT64_C(0x4700000000), -EREMOTEIO);
}

static void decode_off_hides_a_peer(void **state)
{
	struct fix *f = *state;

	tdev_write16(f->b, PCI_COMMAND, 0);
	fails(f, B_VRAM, -EFAULT);
	tdev_write16(f->b, PCI_COMMAND, PCI_COMMAND_MEMORY);
	reaches(f, B_VRAM + 4096, MDL_T_PEER_SWITCH);
	mdl_device_reset(f->b->dev, MDL_RESET_FLR);
	fails(f, B_VRAM, -EFAULT);
	tdev_write16(f->a, PCI_COMMAND, PCI_COMMAND_MEMORY);
	fails(f, B_VRAM, -EACCES);
}

static void registers_of_a_peer(void **state)
{
	struct fix *f = *state;
	uint8_t buf[20] = "nineteen characters";
	uint64_t word;
	struct mdl_dma d;

	assert_int_equal(wr(f, B_REGS + 4, buf, sizeof(buf)), 0);
	assert_memory_equal(f->b->regs + 4, buf, sizeof(buf));
	assert_int_equal(f->b->writes, 3);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rd(f, B_REGS + 4, buf, 19), 0);
	assert_string_equal((const char *)buf, "nineteen characters");
	mdl_dma_begin(&d, f->a->dev);
	assert_int_equal(mdl_dma_store(&d, MDL_SPACE_BUS, B_REGS + 64, 4, 0x12345678), 0);
	assert_int_equal(mdl_dma_load(&d, MDL_SPACE_BUS, B_REGS + 64, 4, &word), 0);
	assert_int_equal(word, 0x12345678);
	assert_int_equal(wr(f, B_REGS + 4090, buf, 8), -EFAULT);
}

static void bridge_forwards(void **state)
{
	struct fix *f = *state;

	reaches(f, B_VRAM + 4096, MDL_T_PEER_BRIDGE);
	tdev_map(f->a, &f->ram, 0, 0, RAM, RW);
	tdev_window_is_ram(f->a, 0, 0, RAM, 0);
	reaches(f, 4096, MDL_T_HOST);
}

static void bridge_refuses(void **state)
{
	struct fix *f = *state;

	fails(f, B_VRAM, -EREMOTEIO);
	fails(f, 0, -EFAULT);
}

static void put(struct fix *f, uint64_t gpa, uint64_t val)
{
	memcpy(f->ram.mem + gpa, &val, sizeof(val));
}

/* RAM at 0, and one table of three levels for device 1:00.0; iova page n is described at 0x5000. */
static void make_tables(struct fix *f)
{
	tdev_map(f->a, &f->ram, 0, 0, RAM, RW);
	tdev_window_is_ram(f->a, 0, 0, RAM, 0);
	tdev_unmap(f->a, 0, RAM);
	put(f, 0x6010, 0x2001);
	put(f, 0x2000, 0x3001);
	put(f, 0x2008, 1);
	put(f, 0x3000, 0x4003);
	put(f, 0x4000 + 8 * (IOVA >> 21), 0x5003);
	f->known = true;
}

static void iommu_windows(void **state)
{
	struct fix *f = *state;
	uint8_t buf[16] = { 0 };

	make_tables(f);
	/* A bus address of a peer means nothing before the IOMMU has seen it. */
	fails(f, B_VRAM, -EFAULT);
	tdev_map(f->a, &f->ram, IOVA, 4096, PG, MDL_PROT_READ);
	reaches(f, IOVA, MDL_T_HOST);
	assert_int_equal(wr(f, IOVA, buf, 8), -EACCES);
	/* A window without a file: a peer's memory, as the tables say. */
	put(f, 0x5000 + 8, (B_VRAM + 4096) | 3);
	tdev_map(f->a, NULL, IOVA + PG, 0, PG, RW);
	reaches(f, IOVA + PG, MDL_T_PEER_BRIDGE);
	assert_int_equal(f->asked, 1);
	/* Neither RAM nor a peer: only the client could know, and there is none. */
	put(f, 0x5000 + 16, UINT64_C(0xf0000000) | 3);
	tdev_map(f->a, NULL, IOVA + 2 * PG, 0, PG, RW);
	fails(f, IOVA + 2 * PG, -ECANCELED);
}

/* Announced for both, as QEMU does: the guest's tables decide. */
static void iommu_one_way_window_of_a_peer(void **state)
{
	struct fix *f = *state;

	make_tables(f);
	put(f, 0x5000, B_VRAM | 2);
	tdev_map(f->a, NULL, IOVA, 0, PG, MDL_PROT_READ | MDL_PROT_WRITE);
	assert_int_equal(wr(f, IOVA + 8, "peer", 4), 0);
	assert_memory_equal(f->b->vram + 8, "peer", 4);
	fails(f, IOVA, -EACCES);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_PEER_BRIDGE, true), 4);
	put(f, 0x5008, (B_VRAM + 4096) | 1);
	tdev_map(f->a, NULL, IOVA + PG, 0, PG, MDL_PROT_READ | MDL_PROT_WRITE);
	reaches(f, IOVA + PG, MDL_T_PEER_BRIDGE);
	assert_int_equal(wr(f, IOVA + PG, "none", 4), -EACCES);
	assert_int_equal(f->b->vram[4096], 0x42);
}

static int fill(void *arg, void *mem, size_t len)
{
	memset(mem, 0x5a, len);
	return 0;
}

/* The first access of all learns of the IOMMU; in place it needs no right to read even so. */
static void first_visit_of_a_one_way_window(void **state)
{
	struct fix *f = *state;
	struct mdl_seg seg = { IOVA, 64, MDL_SPACE_BUS };
	struct mdl_dma d;

	make_tables(f);
	put(f, 0x5000, B_VRAM | 2);
	tdev_map(f->a, NULL, IOVA, 0, PG, MDL_PROT_READ | MDL_PROT_WRITE);
	mdl_dma_begin(&d, f->a->dev);
	assert_int_equal(mdl_dma_visit(&d, &seg, true, MDL_DATA, fill, NULL), 0);
	assert_int_equal(f->b->vram[63], 0x5a);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_PEER_BRIDGE, true), 64);
	assert_int_equal(tcount_all(f->a), 64);
}

/* Register BARs are mapped but never announced: their pages are looked up each time. */
static void iommu_registers_of_a_peer(void **state)
{
	struct fix *f = *state;

	make_tables(f);
	put(f, 0x5000, B_REGS | 3);
	assert_int_equal(wr(f, IOVA + 16, "doorbell", 8), 0);
	assert_memory_equal(f->b->regs + 16, "doorbell", 8);
	put(f, 0x5000, B_REGS | 1);
	assert_int_equal(wr(f, IOVA + 16, "doorbell", 8), -EACCES);
	put(f, 0x5000, 0);
	assert_int_equal(wr(f, IOVA + 16, "doorbell", 8), -EFAULT);
	put(f, 0x5000, 0x3003);
	/* RAM that the client never opened a window on is not for the device. */
	assert_int_equal(wr(f, IOVA, "doorbell", 8), -EFAULT);
}

static void iommu_not_known(void **state)
{
	struct fix *f = *state;

	f->known = false;
	tdev_map(f->a, NULL, IOVA, 0, PG, RW);
	fails(f, IOVA, -ECANCELED);
	fails(f, IOVA + PG, -EFAULT);
	assert_true(f->asked >= 2);
}

static void switch_comes_before_the_iommu(void **state)
{
	struct fix *f = *state;

	reaches(f, B_VRAM + 4096, MDL_T_PEER_SWITCH);
	assert_int_equal(f->asked, 0);
	mdl_device_place(f->a->dev, 0, true);
	fails(f, B_VRAM, -EFAULT);
}

/* Overlapping and wrapping BARs are a guest's nonsense; no access may leave a BAR's memory. */
static void nonsense_addresses(void **state)
{
	struct fix *f = *state;
	uint64_t addr;
	uint8_t buf[32];

	tdev_enable(f->b, 0x10000000, 0x10000000);
	for (addr = 0x0fff0000; addr < 0x10200000; addr += 0x7ff8)
		rd(f, addr, buf, sizeof(buf));
	tdev_enable(f->b, 0, UINT64_C(0xfffffffffff00000));
	assert_int_equal(rd(f, UINT64_MAX - 31, buf, 32), 0);
	assert_int_equal(rd(f, UINT64_MAX - 30, buf, 32), -EFAULT);
	tdev_enable(f->b, 0, UINT64_MAX);
	rd(f, UINT64_MAX - 31, buf, 32);
}

#define T(fn, up) cmocka_unit_test_setup_teardown(fn, up, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(switch_turns_round, on_a_switch),
		T(own_bar_is_refused, on_a_switch),
		T(decode_off_hides_a_peer, on_a_switch),
		T(registers_of_a_peer, on_a_switch),
		T(bridge_forwards, on_ports),
		T(bridge_refuses, no_bridge),
		T(iommu_windows, ports_iommu),
		T(iommu_one_way_window_of_a_peer, ports_iommu),
		T(first_visit_of_a_one_way_window, ports_iommu),
		T(iommu_registers_of_a_peer, ports_iommu),
		T(iommu_not_known, ports_iommu),
		T(switch_comes_before_the_iommu, switch_iommu),
		T(nonsense_addresses, on_a_switch),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
