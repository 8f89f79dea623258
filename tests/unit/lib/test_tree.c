// SPDX-License-Identifier: MIT
/* Captured trees come from strangers: nothing outside is read, and nothing but files. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "lib/path/doctor.h"
#include "lib/path/save.h"

static char dir[64];
static struct pdmai_tree tree;

static const char *in(const char *path)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s/%s", dir, path);
	return text;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(in(path), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	strcpy(dir, "/tmp/peerdma-tree-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mkdir(in("root"), 0755), 0);
	put("secret", "secret\n");
	put("root/plain", "wide\n\n");
	assert_int_equal(pdmai_tree_open(&tree, in("root")), 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	pdmai_tree_close(&tree);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void text_is_read(void **state)
{
	char text[8] = "old";

	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "plain"), 0);
	assert_string_equal(text, "wide\n");
	assert_int_equal(pdmai_tree_text(&tree, text, 3, "%s", "plain"), 0);
	assert_string_equal(text, "wi");
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "none"), -ENOENT);
	assert_string_equal(text, "");
}

static void links_do_not_lead_out(void **state)
{
	char text[16];

	assert_int_equal(symlink("../secret", in("root/up")), 0);
	assert_int_equal(symlink("/etc/passwd", in("root/etc-passwd")), 0);
	assert_int_equal(symlink("plain", in("root/inside")), 0);
	assert_int_equal(symlink("loop", in("root/loop")), 0);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "up"), -ENOENT);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "../secret"), -ENOENT);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "etc-passwd"), -ENOENT);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "loop"), -ELOOP);
	assert_false(pdmai_tree_has(&tree, "up"));
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "inside"), 0);
	assert_int_equal(pdmai_tree_link(&tree, text, sizeof(text), "up"), 0);
	assert_string_equal(text, "../secret");
	assert_int_equal(pdmai_tree_link(&tree, text, 4, "up"), -ENAMETOOLONG);
}

static void only_files_are_read(void **state)
{
	char text[16];

	assert_int_equal(mkfifo(in("root/fifo"), 0600), 0);
	assert_int_equal(mkdir(in("root/directory"), 0755), 0);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "fifo"), -EINVAL);
	assert_int_equal(pdmai_tree_text(&tree, text, sizeof(text), "directory"), -EINVAL);
	assert_null(pdmai_tree_dir(&tree, "plain"));
}

static void a_tree_without_devices_is_none(void **state)
{
	struct pdma_topo *t = NULL;

	assert_int_equal(pdmai_topo_load(&tree, "sys/", &t), -ENOENT);
	assert_null(t);
	assert_int_equal(pdmai_topo_save(&tree, in("root")), -EEXIST);
	assert_int_equal(pdmai_topo_save(&tree, in("copy")), -ENOENT);
}

static void make_dir(const char *path)
{
	char command[300];

	snprintf(command, sizeof(command), "mkdir -p %s", in(path));
	assert_int_equal(system(command), 0);
}

/* Of a machine without a file in /boot, the kernel tells by itself. */
static void options_come_from_the_running_kernel(void **state)
{
	struct pdma_topo *t;
	gzFile gz;

	make_dir("root/sys/bus/pci/devices");
	make_dir("root/proc/sys/kernel");
	assert_int_equal(pdmai_topo_load(&tree, "sys/", &t), 0);
	assert_int_equal(t->options[PDMAI_OPT_P2PDMA], PDMA_NOT_READ);
	pdma_topo_destroy(t);
	put("root/proc/sys/kernel/osrelease", "6.12.1\n");
	gz = gzopen(in("root/proc/config.gz"), "w");
	assert_non_null(gz);
	gzputs(gz, "# a comment\nCONFIG_PCI_P2PDMA=y\n# CONFIG_DMA_SHARED_BUFFER is not set\n"
		   "CONFIG_INFINIBAND_ON_DEMAND_PAGING=y\n");
	assert_int_equal(gzclose(gz), Z_OK);
	assert_int_equal(pdmai_topo_load(&tree, "sys/", &t), 0);
	assert_int_equal(t->rules.version, PDMAI_VERSION(6, 12));
	assert_int_equal(t->options[PDMAI_OPT_P2PDMA], PDMA_ON);
	assert_int_equal(t->options[PDMAI_OPT_DMABUF], PDMA_OFF);
	/* The longer name does not count for the shorter. */
	assert_int_equal(t->options[PDMAI_OPT_INFINIBAND], PDMA_OFF);
	assert_int_equal(t->options[PDMAI_OPT_ODP], PDMA_ON);
	pdma_topo_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_read),
		cmocka_unit_test(links_do_not_lead_out),
		cmocka_unit_test(only_files_are_read),
		cmocka_unit_test(a_tree_without_devices_is_none),
		cmocka_unit_test(options_come_from_the_running_kernel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
