// SPDX-License-Identifier: MIT
/* Config space: BAR sizing, decode, function level and power management reset. */
#include "tests/unit/models/common/testdev.h"

#include <linux/pci_regs.h>
#include <string.h>

#define PM   0x40
#define PCIE 0x50
#define MSIX 0x90
#define FLR  0x8000
#define BAR0 0xfe000000u
#define BAR2 UINT64_C(0x4800000000)

static int setup(void **state)
{
	*state = tdev_create(tnode_create("a", true, false), "dev0");
	return 0;
}

static int teardown(void **state)
{
	struct tdev *t = *state;
	struct mdl_node *node = t->node;

	tdev_destroy(t);
	mdl_node_destroy(node);
	return 0;
}

static unsigned routes(const struct tdev *t)
{
	return t->node->n_routes;
}

static void shows_its_identity(void **state)
{
	struct tdev *t = *state;

	assert_int_equal(tdev_read32(t, PCI_VENDOR_ID), 0x56781234);
	assert_int_equal(tdev_read32(t, PCI_CLASS_REVISION), 0x12000003);
	assert_int_equal(tdev_read32(t, PCI_SUBSYSTEM_VENDOR_ID), 0xdef09abc);
	assert_int_equal(tdev_read16(t, PM) & 0xff, PCI_CAP_ID_PM);
	assert_int_equal(tdev_read16(t, PM) >> 8, PCIE);
	assert_int_equal(tdev_read16(t, PCIE) >> 8, MSIX);
	assert_true(tdev_read32(t, PCIE + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
	assert_int_equal(tdev_read16(t, MSIX + PCI_MSIX_FLAGS), TDEV_VECTORS - 1);
	assert_int_equal(tdev_read32(t, MSIX + PCI_MSIX_PBA), 0x800 | 4);
}

static void sizes_bars_as_software_does(void **state)
{
	struct tdev *t = *state;
	unsigned i;

	for (i = 0; i < 6; i++)
		tdev_write32(t, PCI_BASE_ADDRESS_0 + 4 * i, UINT32_MAX);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_0), 0xfffff000);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_1), 0);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_2), 0xfff0000c);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_3), 0xffffffff);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_4), 0xfffff000);
	assert_int_equal(tdev_read32(t, PCI_BASE_ADDRESS_5), 0);
	assert_int_equal(routes(t), 0);
}

static void read_only_registers_stay(void **state)
{
	struct tdev *t = *state;
	uint8_t before[256], after[256], ones[256];

	mdl_config_read(t->dev, 0, before, sizeof(before));
	memset(ones, 0xff, sizeof(ones));
	mdl_config_write(t->dev, 0, ones, PCI_COMMAND);
	mdl_config_write(t->dev, PCI_STATUS, ones, 6);
	mdl_config_write(t->dev, PCI_CAPABILITY_LIST, ones, 8);
	mdl_config_write(t->dev, PM, ones, 4);
	mdl_config_write(t->dev, PCIE, ones, 8);
	mdl_config_write(t->dev, 0xf0, ones, 16);
	before[PCI_CACHE_LINE_SIZE] = 0;
	mdl_config_read(t->dev, 0, after, sizeof(after));
	after[PCI_CACHE_LINE_SIZE] = 0;
	assert_memory_equal(before, after, sizeof(after));
}

static void routes_follow_decode(void **state)
{
	struct tdev *t = *state;
	uint16_t both = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	const struct mdl_route *r;

	tdev_enable(t, BAR0, BAR2);
	assert_int_equal(routes(t), 2);
	r = mdl_route_find_locked(t->node, BAR2 + TDEV_VRAM - 1);
	assert_non_null(r);
	assert_int_equal(r->bar, 2);
	assert_null(mdl_route_find_locked(t->node, BAR2 + TDEV_VRAM));
	assert_null(mdl_route_find_locked(t->node, BAR0 - 1));
	assert_true(t->dev->bus_master);
	tdev_write16(t, PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(routes(t), 0);
	tdev_write16(t, PCI_COMMAND, both);
	tdev_write16(t, PM + PCI_PM_CTRL, 3);
	assert_int_equal(routes(t), 0);
	assert_false(t->dev->bus_master);
	assert_int_equal(t->resets, 0);
}

/* QEMU keeps showing the guest its BARs after these resets, so nobody writes them again. */
static void bars_survive(struct tdev *t, enum mdl_reset kind)
{
	assert_int_equal(t->last_reset, kind);
	assert_int_equal(tdev_read16(t, PCI_COMMAND), 0);
	assert_int_equal(routes(t), 0);
	assert_int_equal(mdl_config_bar_addr(t->dev, 0), BAR0);
	assert_int_equal(mdl_config_bar_addr(t->dev, 2), BAR2);
	tdev_write16(t, PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(routes(t), 2);
}

static void flr(void **state)
{
	struct tdev *t = *state;
	uint64_t gen = t->dev->gen;
	uint8_t hi = FLR >> 8;

	tdev_enable(t, BAR0, BAR2);
	tdev_write16(t, PCIE + PCI_EXP_DEVCTL, FLR | 0x10);
	assert_int_equal(t->resets, 1);
	assert_int_equal(t->dev->gen, gen + 1);
	assert_false(tdev_read16(t, PCIE + PCI_EXP_DEVCTL) & FLR);
	bars_survive(t, MDL_RESET_FLR);
	mdl_config_write(t->dev, PCIE + PCI_EXP_DEVCTL + 1, &hi, 1);
	assert_int_equal(t->resets, 2);
	tdev_write16(t, PCIE + PCI_EXP_DEVCTL, 0x7fff);
	tdev_write16(t, PCIE + PCI_EXP_DEVCTL - 2, FLR);
	tdev_write16(t, PCIE + PCI_EXP_DEVCTL + 2, FLR);
	assert_int_equal(t->resets, 2);
}

static void pm_reset(void **state)
{
	struct tdev *t = *state;

	tdev_enable(t, BAR0, BAR2);
	tdev_write16(t, PM + PCI_PM_CTRL, 0);
	tdev_write16(t, PM + PCI_PM_CTRL, 3);
	assert_int_equal(t->resets, 0);
	tdev_write16(t, PM + PCI_PM_CTRL, 0);
	assert_int_equal(t->resets, 1);
	bars_survive(t, MDL_RESET_PM);
}

static void bus_reset_clears_bars(void **state)
{
	struct tdev *t = *state;

	tdev_enable(t, BAR0, BAR2);
	mdl_device_reset(t->dev, MDL_RESET_CONTROL);
	bars_survive(t, MDL_RESET_CONTROL);
	mdl_device_reset(t->dev, MDL_RESET_BUS);
	assert_int_equal(mdl_config_bar_addr(t->dev, 2), 0);
	assert_int_equal(routes(t), 0);
}

static void empty_write_does_nothing(void **state)
{
	struct tdev *t = *state;

	mdl_config_write(t->dev, MDL_CONFIG_SIZE, "", 0);
	mdl_config_write(t->dev, PCIE + PCI_EXP_DEVCTL + 1, "\xff", 0);
	assert_int_equal(t->resets, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shows_its_identity),
		T(sizes_bars_as_software_does),
		T(read_only_registers_stay),
		T(routes_follow_decode),
		T(flr),
		T(pm_reset),
		T(bus_reset_clears_bars),
		T(empty_write_does_nothing),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
