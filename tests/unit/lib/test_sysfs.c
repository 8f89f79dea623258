// SPDX-License-Identifier: MIT
/* lib/sysfs on a tree made here: addresses, BARs, groups, windows, routes, binding. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"
#include "lib/sysfs/bind.h"
#include "lib/sysfs/path.h"

static char root[64];

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[PATH_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static void put(const char *name, const char *attr, const void *data, size_t len)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", root, name, attr);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void put_text(const char *name, const char *attr, const char *text)
{
	put(name, attr, text, strlen(text));
}

/* Config space of a port: an Express capability of a type, and ACS control. */
static void put_port(const char *name, unsigned type, unsigned acs)
{
	uint8_t config[4096] = { 0 };

	config[0x06] = 0x10;
	config[0x34] = 0x40;
	config[0x40] = 0x01;
	config[0x41] = 0x50;
	config[0x50] = 0x10;
	config[0x52] = (uint8_t)(type << 4 | 2);
	config[0x100] = 0x01;
	config[0x102] = 0x01;
	config[0x103] = 0x15;
	config[0x150] = 0x0d;
	config[0x156] = (uint8_t)acs;
	put(name, "config", config, sizeof(config));
}

static void device(const char *parent, const char *name, const char *resources)
{
	run("mkdir -p %s/devices/pci0000:00/%s/%s && ln -s ../../../devices/pci0000:00/%s/%s "
	    "%s/bus/pci/devices/%s",
	    root, parent, name, parent, name, root, name);
	put_text(name, "resource", resources);
	put_text(name, "vendor", "0x1234\n");
	put_text(name, "device", "0x7d0a\n");
	put_text(name, "driver_override", "\n");
}

#define BARS(a, b)                                             \
	"0x00000000" a " 0x00000000" b " 0x0000000000040200\n" \
	"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

#define SW   "0000:00:01.0/0000:01:00.0"
#define PORT "0000:00:02.0"

static int make_tree(void **state)
{
	strcpy(root, "/tmp/peerdma-sysfs-XXXXXX");
	assert_non_null(mkdtemp(root));
	run("mkdir -p %s/bus/pci/devices %s/bus/pci/drivers/old %s/bus/pci/drivers/new", root, root,
	    root);
	device(".", "0000:00:01.0", BARS("00000000", "00000000"));
	device(".", "0000:00:02.0", "");
	device("0000:00:01.0", "0000:01:00.0", "");
	device(SW, "0000:02:00.0", "");
	device(SW, "0000:02:01.0", "");
	device(SW "/0000:02:00.0", "0000:03:00.0", BARS("fe600000", "fe60ffff"));
	device(SW "/0000:02:01.0", "0000:04:00.0", BARS("fe400000", "fe40ffff"));
	device(PORT, "0000:05:00.0", BARS("fe200000", "fe20ffff"));
	put_port("0000:00:01.0", 4, 0);
	put_port("0000:00:02.0", 4, 0);
	put_port("0000:01:00.0", 5, 0);
	put_port("0000:02:00.0", 6, 0);
	put_port("0000:02:01.0", 6, 0);
	return 0;
}

static int remove_tree(void **state)
{
	run("rm -rf %s", root);
	return 0;
}

static struct pdmai_bdf bdf(const char *text)
{
	struct pdmai_bdf b;

	assert_int_equal(pdmai_bdf_parse(text, &b), 0);
	return b;
}

static void addresses_are_parsed(void **state)
{
	static const char *const bad[] = { "",		 "0000:00:00",	  "00:00.8",
					   "00:20.0",	 "0000:00:00.0x", "10000:00:00.0",
					   "../00:00.0", "zz:00.0" };
	struct pdmai_bdf b = { "kept" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pdmai_bdf_parse(bad[i], &b), -EINVAL);
	assert_string_equal(b.text, "kept");
	assert_string_equal(bdf("0A:1f.7").text, "0000:0a:1f.7");
	assert_string_equal(bdf("00ff:0a:1f.7").text, "00ff:0a:1f.7");
}

static void devices_are_listed_in_order(void **state)
{
	struct pdmai_bdf list[16];

	assert_int_equal(pdmai_pci_list(root, 0x1234, 0x7d0a, list, 16), 8);
	assert_string_equal(list[0].text, "0000:00:01.0");
	assert_string_equal(list[7].text, "0000:05:00.0");
	assert_int_equal(pdmai_pci_list(root, 0x1234, 0x7d0b, list, 16), 0);
	assert_int_equal(pdmai_pci_list("/nowhere", 1, 1, list, 16), -ENOENT);
}

static void bars_are_read(void **state)
{
	struct pdmai_bdf b = bdf("03:00.0"), none = bdf("03:00.1");
	struct pdmai_pci_bar bars[PDMAI_PCI_BARS];

	assert_int_equal(pdmai_pci_bars(root, &b, bars), 0);
	assert_int_equal(bars[0].bus_addr, 0xfe600000);
	assert_int_equal(bars[0].len, 0x10000);
	assert_true(bars[0].is_mem);
	assert_int_equal(bars[1].len, 0);
	assert_int_equal(pdmai_pci_bars(root, &none, bars), -ENODEV);
	put_text(b.text, "resource", "nonsense\n");
	assert_int_equal(pdmai_pci_bars(root, &b, bars), -EIO);
}

static void group_is_found_or_missing(void **state)
{
	struct pdmai_bdf b = bdf("03:00.0");
	unsigned group = 77;

	assert_int_equal(pdmai_pci_group(root, &b, &group), -ENOENT);
	assert_int_equal(group, 77);
	run("ln -s ../../kernel/iommu_groups/12 %s/bus/pci/devices/%s/iommu_group", root, b.text);
	assert_int_equal(pdmai_pci_group(root, &b, &group), 0);
	assert_int_equal(group, 12);
}

static void windows_are_excluded(void **state)
{
	struct pdmai_ranges set = { 0 };

	assert_int_equal(pdmai_ranges_add(&set, 0, UINT64_MAX), 0);
	assert_int_equal(pdmai_pci_exclude_windows(root, &set), 0);
	assert_false(pdmai_ranges_contain(&set, 0xfe600000, 0xfe600000));
	assert_false(pdmai_ranges_contain(&set, 0xfe40ffff, 0xfe40ffff));
	assert_true(pdmai_ranges_contain(&set, 0, 0xfe1fffff));
	assert_true(pdmai_ranges_contain(&set, 0xfe610000, UINT64_MAX));
	pdmai_ranges_clear(&set);
}

static enum pdmai_route route(const char *from, const char *to)
{
	struct pdmai_bdf a = bdf(from), b = bdf(to);
	enum pdmai_route r;

	assert_int_equal(pdmai_pci_route(root, &a, &b, &r), 0);
	return r;
}

static void route_follows_the_tree(void **state)
{
	struct pdmai_bdf a = bdf("03:00.0"), none = bdf("09:00.0");
	enum pdmai_route r;

	assert_int_equal(route("03:00.0", "04:00.0"), PDMAI_ROUTE_SWITCH);
	assert_int_equal(route("04:00.0", "03:00.0"), PDMAI_ROUTE_SWITCH);
	assert_int_equal(route("03:00.0", "05:00.0"), PDMAI_ROUTE_BRIDGE);
	assert_int_equal(pdmai_pci_route(root, &a, &a, &r), -EINVAL);
	assert_int_equal(pdmai_pci_route(root, &a, &none, &r), -ENODEV);
}

/* Only the port above the one that asks matters. */
static void redirect_sends_requests_up(void **state)
{
	put_port("0000:02:00.0", 6, 0x04);
	assert_int_equal(route("03:00.0", "04:00.0"), PDMAI_ROUTE_BRIDGE);
	assert_int_equal(route("04:00.0", "03:00.0"), PDMAI_ROUTE_SWITCH);
}

static void config_space_cut_short_is_an_error(void **state)
{
	struct pdmai_bdf a = bdf("03:00.0"), b = bdf("04:00.0");
	uint8_t config[64] = { 0 };
	enum pdmai_route r;

	put("0000:01:00.0", "config", config, sizeof(config));
	assert_int_equal(pdmai_pci_route(root, &a, &b, &r), -EIO);
}

/* Files stand for the kernel's: they take what is written and do nothing. */
static void driver_file(const char *driver, const char *name)
{
	run("touch %s/bus/pci/drivers/%s/%s", root, driver, name);
}

static void expect_attr(const char *want, const char *what)
{
	char text[64];

	assert_int_equal(pdmai_attr_get(text, sizeof(text), "%s/bus/pci/%s", root, what), 0);
	assert_string_equal(text, want);
}

static void binding_writes_override_then_bind(void **state)
{
	struct pdmai_bdf b = bdf("03:00.0");
	struct pdmai_binding binding;

	driver_file("new", "bind");
	assert_int_equal(pdmai_bind(root, &b, "new", &binding), 0);
	expect_attr("0000:03:00.0", "drivers/new/bind");
	expect_attr("new", "devices/0000:03:00.0/driver_override");
	assert_string_equal(binding.old_override, "");
	assert_true(binding.changed);
}

static void refusal_restores_the_old_driver(void **state)
{
	struct pdmai_bdf b = bdf("03:00.0");
	struct pdmai_binding binding;

	run("ln -s ../../../../bus/pci/drivers/old %s/bus/pci/devices/%s/driver", root, b.text);
	put_text(b.text, "driver_override", "mine\n");
	driver_file("old", "unbind");
	/* No "bind" in driver new: the kernel's refusal. */
	assert_int_equal(pdmai_bind(root, &b, "new", &binding), -ENOENT);
	assert_non_null(strstr(pdmai_error(), "does not bind 0000:03:00.0 to new"));
	expect_attr("0000:03:00.0", "drivers/old/unbind");
}

static void binding_needs_driver_and_device(void **state)
{
	struct pdmai_bdf b = bdf("03:00.0"), none = bdf("09:00.0");
	struct pdmai_binding binding;

	assert_int_equal(pdmai_bind(root, &b, "absent", &binding), -ENOENT);
	assert_non_null(strstr(pdmai_error(), "absent is not loaded"));
	assert_int_equal(pdmai_bind(root, &none, "new", &binding), -ENODEV);
	run("ln -s ../../../../bus/pci/drivers/new %s/bus/pci/devices/%s/driver", root, b.text);
	put_text(b.text, "driver_override", "(null)\n");
	assert_int_equal(pdmai_bind(root, &b, "new", &binding), 0);
	assert_false(binding.changed);
	assert_string_equal(binding.old_override, "");
	assert_int_equal(pdmai_unbind(&binding), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses_are_parsed),
		TEST(devices_are_listed_in_order),
		TEST(bars_are_read),
		TEST(group_is_found_or_missing),
		TEST(windows_are_excluded),
		TEST(route_follows_the_tree),
		TEST(redirect_sends_requests_up),
		TEST(config_space_cut_short_is_an_error),
		TEST(binding_writes_override_then_bind),
		TEST(refusal_restores_the_old_driver),
		TEST(binding_needs_driver_and_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
