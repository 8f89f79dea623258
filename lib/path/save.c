// SPDX-License-Identifier: MIT
/* A machine as a directory: what is read elsewhere in this folder, listed once more. */
#include "lib/path/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/path/doctor.h"

/* The largest file kept; more is cut off. */
#define FILE_MAX 8192

#define DEVICES "sys/bus/pci/devices"

/* Of a function. */
static const char *const function_files[] = {
	"vendor",
	"device",
	"class",
	"resource",
	"numa_node",
	"dma_mask_bits",
	"current_link_speed",
	"current_link_width",
	"max_link_speed",
	"max_link_width",
	"power_state",
	"p2pmem/size",
	"p2pmem/available",
	"p2pmem/published",
	"mem_info_vis_vram_total",
	"mem_info_vis_vram_used",
	"iommu/intel-iommu/cap",
};
static const char *const function_links[] = { "driver", "iommu_group" };
/* Directories whose entries are names. */
static const char *const function_names[] = { "infiniband", "nvme", "drm", "net" };

static const char *const group_files[] = { "name", "type", "reserved_regions" };

static const char *const host_files[] = {
	"proc/sys/kernel/osrelease",
	"proc/cmdline",
	"proc/self/limits",
	"proc/sys/vm/nr_hugepages",
	"proc/driver/nvidia/version",
	"proc/driver/nvidia/params",
	"sys/kernel/mm/transparent_hugepage/enabled",
	"sys/module/nvidia/version",
	"sys/module/nvidia_peermem/version",
	"etc/cufile.json",
};

/* That these are there, or not, is what counts. */
static const char *const host_marks[] = {
	"sys/module/nvidia",
	"sys/module/nvidia_peermem",
	"sys/module/nvidia_fs",
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct saver {
	const struct pdmai_tree *tree;
	int dir;
	int ret; /* the first failure; nothing is done after it */
};

static void fail(struct saver *s, const char *what, const char *path)
{
	if (!s->ret)
		s->ret = pdmai_fail_errno(errno, "cannot %s %s in the copy", what, path);
}

/* A path of the tree is one that stays below it. */
static bool is_tame(const char *path)
{
	const char *part = path;

	for (; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/'))
			return false;
	}
	return path[0] && path[0] != '/';
}

/* Make path, and all above it. */
static void make_dirs(struct saver *s, const char *path)
{
	char part[PDMAI_TREE_PATH];

	for (size_t i = 1; !s->ret && i <= strlen(path) && i < sizeof(part); i++) {
		if (path[i] != '/' && path[i])
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		if (mkdirat(s->dir, part, 0755) && errno != EEXIST)
			fail(s, "make", part);
	}
}

static void make_above(struct saver *s, const char *path)
{
	char above[PDMAI_TREE_PATH];

	snprintf(above, sizeof(above), "%.*s", (int)(pdmai_last_part(path) - path), path);
	if (above[0])
		above[strlen(above) - 1] = 0;
	make_dirs(s, above);
}

static void put_bytes(struct saver *s, const char *path, const void *data, size_t len)
{
	int fd;

	make_above(s, path);
	if (s->ret)
		return;
	fd = openat(s->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return;
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		fail(s, "write", path);
	if (fd >= 0)
		close(fd);
}

static void put_link(struct saver *s, const char *path, const char *target)
{
	make_above(s, path);
	if (!s->ret && symlinkat(target, s->dir, path) && errno != EEXIST)
		fail(s, "link", path);
}

/* from is read, to is written; what cannot be read is left out. */
static void copy_file(struct saver *s, const char *from, const char *to)
{
	char data[FILE_MAX];
	ssize_t n = pdmai_tree_bytes(s->tree, data, sizeof(data), "%s", from);

	if (n >= 0)
		put_bytes(s, to, data, (size_t)n);
}

static void copy_mark(struct saver *s, const char *path)
{
	if (pdmai_tree_has(s->tree, "%s", path))
		make_dirs(s, path);
}

static void copy_marks(struct saver *s)
{
	char path[PDMAI_TREE_PATH];

	for (size_t i = 0; i < COUNT(host_marks); i++)
		copy_mark(s, host_marks[i]);
	for (size_t p = 0; pdmai_ucx_places[p]; p++) {
		copy_mark(s, pdmai_ucx_places[p]);
		for (size_t m = 0; pdmai_ucx_modules[m].name; m++) {
			snprintf(path, sizeof(path), "%s/%s", pdmai_ucx_places[p],
				 pdmai_ucx_modules[m].name);
			copy_mark(s, path);
			snprintf(path, sizeof(path), "%s/%s.0", pdmai_ucx_places[p],
				 pdmai_ucx_modules[m].name);
			copy_mark(s, path);
		}
	}
}

/* Device Serial Number: it is nobody's business in a bug report. */
#define EXT_CAP_SERIAL 0x0003

static void copy_config(struct saver *s, const char *from, const char *to)
{
	uint8_t config[PDMAI_CONFIG_SIZE];
	ssize_t n = pdmai_tree_bytes(s->tree, config, sizeof(config), "%s/config", from);
	char path[PDMAI_TREE_PATH + 16];
	unsigned off;

	if (n < 0)
		return;
	off = pdmai_config_ext_cap(config, (unsigned)n, EXT_CAP_SERIAL);
	if (off && off + 12 <= (unsigned)n)
		memset(config + off + 4, 0, 8);
	snprintf(path, sizeof(path), "%s/config", to);
	put_bytes(s, path, config, (size_t)n);
}

static void copy_names(struct saver *s, const char *from, const char *to, const char *what)
{
	char path[PDMAI_TREE_PATH + 300];
	DIR *dir = pdmai_tree_dir(s->tree, "%s/%s", from, what);
	struct dirent *e;

	while (dir && !s->ret && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", to, what, e->d_name);
		if (strlen(path) < PDMAI_TREE_PATH)
			make_dirs(s, path);
	}
	if (dir)
		closedir(dir);
}

static void copy_group(struct saver *s, const char *link)
{
	char path[PDMAI_TREE_PATH];
	unsigned group;

	if (sscanf(pdmai_last_part(link), "%9u", &group) != 1)
		return;
	for (size_t i = 0; i < COUNT(group_files); i++) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/%s", group,
			 group_files[i]);
		copy_file(s, path, path);
	}
}

static void copy_links(struct saver *s, const char *from, const char *to)
{
	char link[PDMAI_TREE_PATH], path[PDMAI_TREE_PATH + 32];

	for (size_t i = 0; i < COUNT(function_links); i++) {
		if (pdmai_tree_link(s->tree, link, sizeof(link), "%s/%s", from, function_links[i]))
			continue;
		snprintf(path, sizeof(path), "%s/%s", to, function_links[i]);
		put_link(s, path, link);
		if (!strcmp(function_links[i], "iommu_group"))
			copy_group(s, link);
	}
}

/* Where a function's own directory is: "sys/devices/..." by its link, else its name. */
static void place_of(struct saver *s, const char *bdf, char place[PDMAI_TREE_PATH])
{
	static const char up[] = "../../../devices/";
	char link[PDMAI_TREE_PATH], name[64];

	snprintf(name, sizeof(name), DEVICES "/%.15s", bdf);
	snprintf(place, PDMAI_TREE_PATH, "%s", name);
	if (pdmai_tree_link(s->tree, link, sizeof(link), "%s", name) ||
	    strncmp(link, up, sizeof(up) - 1) || !is_tame(link + sizeof(up) - 1) ||
	    strlen(link) > PDMAI_TREE_PATH - 64)
		return;
	snprintf(place, PDMAI_TREE_PATH, "sys/devices/%s", link + sizeof(up) - 1);
	put_link(s, name, link);
}

static void copy_function(struct saver *s, const char *bdf)
{
	char from[64], to[PDMAI_TREE_PATH], source[128], target[PDMAI_TREE_PATH + 64];

	snprintf(from, sizeof(from), DEVICES "/%.15s", bdf);
	place_of(s, bdf, to);
	make_dirs(s, to);
	for (size_t i = 0; i < COUNT(function_files) && !s->ret; i++) {
		snprintf(source, sizeof(source), "%s/%s", from, function_files[i]);
		snprintf(target, sizeof(target), "%s/%s", to, function_files[i]);
		copy_file(s, source, target);
	}
	copy_config(s, from, to);
	copy_links(s, from, to);
	for (size_t i = 0; i < COUNT(function_names); i++)
		copy_names(s, from, to, function_names[i]);
	snprintf(source, sizeof(source), "proc/driver/nvidia/gpus/%.15s/information", bdf);
	copy_file(s, source, source);
}

static void copy_functions(struct saver *s)
{
	DIR *dir = pdmai_tree_dir(s->tree, DEVICES);
	struct dirent *e;

	if (!dir) {
		s->ret = pdmai_fail_errno(errno, "cannot list the PCI devices");
		return;
	}
	make_dirs(s, DEVICES);
	while (!s->ret && (e = readdir(dir)))
		if (pdmai_is_bdf(e->d_name))
			copy_function(s, e->d_name);
	closedir(dir);
}

/* One processor speaks for all. */
static void copy_cpu(struct saver *s)
{
	char text[FILE_MAX], *end;

	if (pdmai_tree_text(s->tree, text, sizeof(text), "proc/cpuinfo"))
		return;
	end = strstr(text, "\n\n");
	if (end)
		end[1] = 0;
	put_bytes(s, "proc/cpuinfo", text, strlen(text));
}

/* Of what the kernel says of this process, what it may do. */
static void copy_capabilities(struct saver *s)
{
	char text[FILE_MAX + 1], *line;

	if (pdmai_tree_text(s->tree, text, FILE_MAX, "proc/self/status"))
		return;
	line = strstr(text, "CapEff:");
	if (!line)
		return;
	line[strcspn(line, "\n")] = 0;
	strcat(line, "\n");
	put_bytes(s, "proc/self/status", line, strlen(line));
}

/* The options that are looked at, in the form of the file they came from. */
static void copy_options(struct saver *s)
{
	char text[PDMAI_OPTIONS * 48] = "", path[128];
	struct pdma_topo t = { 0 };
	size_t len = 0;

	for (int i = 0; i < PDMAI_OPTIONS; i++)
		t.options[i] = PDMA_NOT_READ;
	pdmai_load_system(s->tree, &t);
	for (int i = 0; i < PDMAI_OPTIONS; i++) {
		if (t.options[i] == PDMA_NOT_READ)
			return;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					t.options[i] == PDMA_ON ? "CONFIG_%s=y\n" :
								  "# CONFIG_%s is not set\n",
					pdmai_option_names[i]);
	}
	snprintf(path, sizeof(path), "boot/config-%s", t.system.kernel);
	put_bytes(s, path, text, len);
}

int pdmai_topo_save(const struct pdmai_tree *tree, const char *dir)
{
	struct saver s = { .tree = tree };

	if (mkdir(dir, 0755))
		return pdmai_fail_errno(errno, "cannot make the directory %s", dir);
	s.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.dir < 0)
		return pdmai_fail_errno(errno, "cannot open %s", dir);
	copy_functions(&s);
	for (size_t i = 0; i < COUNT(host_files); i++)
		copy_file(&s, host_files[i], host_files[i]);
	copy_marks(&s);
	copy_cpu(&s);
	copy_capabilities(&s);
	copy_options(&s);
	close(s.dir);
	return s.ret;
}
