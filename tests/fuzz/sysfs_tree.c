// SPDX-License-Identifier: MIT
/*
 * Captured trees from anyone: attributes that are nonsense, config space that lies or is cut short,
 * links in circles and out of the tree, files that are none. The input is a list of records, see
 * struct record; the tree they make is loaded, judged, examined and captured again. Matrix and
 * pairs have to agree whatever the tree says.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/path/doctor.h"
#include "lib/path/save.h"

#define FUNCTIONS   8
#define RECORDS_MAX 40
#define PATH_LEN    400

/* One byte each, then len bytes of data. */
struct record {
	uint8_t op, function, what, len;
	const uint8_t *data;
};

enum op { OP_ATTR, OP_CONFIG, OP_PLACE, OP_LINK, OP_GROUP, OP_HOST, OP_NODE, OPS };

static const char *const names[FUNCTIONS] = {
	"0000:00:00.0", "0000:00:01.0", "0000:01:00.0",	 "0000:02:00.0",
	"0000:02:01.0", "0000:03:00.0", "10000:e0:1f.7", "0000:04:00.0",
};
static const char *const attrs[] = {
	"vendor",
	"device",
	"class",
	"resource",
	"numa_node",
	"dma_mask_bits",
	"p2pmem/size",
	"p2pmem/available",
	"current_link_speed",
	"max_link_speed",
	"current_link_width",
	"max_link_width",
	"power_state",
	"nvme/nvme0",
	"infiniband/mlx5_0",
	"mem_info_vis_vram_total",
	"mem_info_vis_vram_used",
	"iommu/intel-iommu/cap",
};
static const char *const host_files[] = {
	"proc/sys/kernel/osrelease",
	"proc/cpuinfo",
	"boot/config-7.2.0",
	"proc/config.gz",
	"proc/self/limits",
	"proc/self/status",
	"proc/cmdline",
	"proc/driver/nvidia/version",
	"proc/driver/nvidia/params",
	"etc/cufile.json",
	"sys/kernel/mm/transparent_hugepage/enabled",
	"proc/sys/vm/nr_hugepages",
	"proc/driver/nvidia/gpus/0000:03:00.0/information",
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static char place[FUNCTIONS][PATH_LEN];
static int root;

static void make_above(const char *path)
{
	char part[PATH_LEN];

	for (size_t i = 1; i < strlen(path) && i < sizeof(part); i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		mkdirat(root, part, 0755);
	}
}

static void put(const char *path, const void *data, size_t len)
{
	int fd;

	make_above(path);
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	if (write(fd, data, len) < 0)
		unlinkat(root, path, 0);
	close(fd);
}

static void put_link(const char *path, const struct record *r)
{
	char target[257];

	memcpy(target, r->data, r->len);
	target[r->len] = 0;
	make_above(path);
	unlinkat(root, path, 0);
	if (symlinkat(target, root, path))
		return;
}

/* Below functions whose numbers the data gives. */
static void put_place(const struct record *r)
{
	unsigned self = r->function % FUNCTIONS;
	char link[PATH_LEN], path[64];
	size_t len;

	snprintf(place[self], PATH_LEN, "sys/devices/pci0000:%02x", r->what & 3);
	for (unsigned i = 0; i < r->len && i < 10; i++) {
		len = strlen(place[self]);
		snprintf(place[self] + len, PATH_LEN - len, "/%s", names[r->data[i] % FUNCTIONS]);
	}
	len = strlen(place[self]);
	snprintf(place[self] + len, PATH_LEN - len, "/%s", names[self]);
	snprintf(link, sizeof(link), "../../../%.380s", place[self] + strlen("sys/"));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", names[self]);
	make_above(path);
	make_above(place[self]);
	mkdirat(root, place[self], 0755);
	unlinkat(root, path, 0);
	if (symlinkat(link, root, path))
		return;
}

/* Every 32 bytes of config space are a byte of offset and 31 of content. */
static void put_config(const char *path, const struct record *r)
{
	uint8_t config[4096] = { 0 };
	static const unsigned lengths[] = { 4096, 256, 64, 63, 4095, 300, 1, 0 };

	for (unsigned i = 0; i + 2 < r->len; i += 4) {
		unsigned off = (r->data[i] | (unsigned)r->data[i + 1] << 8) & 0xfff;

		config[off] = r->data[i + 2];
		if (i + 3 < r->len && off + 1 < sizeof(config))
			config[off + 1] = r->data[i + 3];
	}
	put(path, config, lengths[r->what % COUNT(lengths)]);
}

/* What stands where a file should: a directory, a FIFO, a link to itself. */
static void put_node(const char *path, const struct record *r)
{
	make_above(path);
	unlinkat(root, path, 0);
	if (r->len % 3 == 0)
		mkdirat(root, path, 0755);
	else if (r->len % 3 == 1)
		mkfifoat(root, path, 0600);
	else if (symlinkat(pdmai_last_part(path), root, path))
		return;
}

static void apply(const struct record *r)
{
	unsigned self = r->function % FUNCTIONS;
	char path[PATH_LEN + 64];

	snprintf(path, sizeof(path), "%s/%s", place[self], attrs[r->what % COUNT(attrs)]);
	switch (r->op % OPS) {
	case OP_ATTR:
		put(path, r->data, r->len);
		break;
	case OP_CONFIG:
		snprintf(path, sizeof(path), "%s/config", place[self]);
		put_config(path, r);
		break;
	case OP_PLACE:
		put_place(r);
		break;
	case OP_LINK:
		snprintf(path, sizeof(path), "%s/%s", place[self],
			 r->what & 1 ? "driver" : "iommu_group");
		if (r->what & 2)
			snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", names[self]);
		put_link(path, r);
		break;
	case OP_GROUP:
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/%s", self,
			 r->what & 1 ? "type" : "reserved_regions");
		put(path, r->data, r->len);
		break;
	case OP_HOST:
		put(host_files[r->what % COUNT(host_files)], r->data, r->len);
		break;
	case OP_NODE:
		put_node(path, r);
		break;
	}
}

static void build(const uint8_t *data, size_t size)
{
	for (int i = 0; i < FUNCTIONS; i++)
		snprintf(place[i], PATH_LEN, "sys/bus/pci/devices/%s", names[i]);
	for (int n = 0; n < RECORDS_MAX && size >= 4; n++) {
		struct record r = { data[0], data[1], data[2], data[3], data + 4 };

		size -= 4;
		if (r.len > size)
			r.len = (uint8_t)size;
		apply(&r);
		data += 4 + r.len;
		size -= r.len;
	}
}

static void check_pair(const struct pdma_topo *t, uint32_t a, uint32_t b,
		       const struct pdma_cell *cell)
{
	struct pdma_measured m = { .size = sizeof(m),
				   .write = PDMA_TRIAL_GOOD,
				   .read = PDMA_TRIAL_ALL_ONES };
	struct pdma_target target = { .function = b, .bar = -1 };
	struct pdma_verdict v = { .size = sizeof(v) };

	if (pdma_path_verdict(t, a, &target, &v) || v.answer != cell->answer ||
	    v.mapping != cell->mapping || v.cause != cell->cause || !v.reason[0])
		abort();
	if (pdma_path_judge(t, &target, &m, &v) != 1 || v.cause != PDMA_CAUSE_WRITES_ONLY)
		abort();
	target = (struct pdma_target){ .function = b, .bar = 0, .off = 4096, .len = 4096 };
	v.size = sizeof(v);
	pdma_path_verdict(t, a, &target, &v);
}

static void judge(const struct pdma_topo *t)
{
	struct pdma_cell cells[FUNCTIONS * FUNCTIONS];
	uint32_t list[FUNCTIONS];

	for (uint32_t i = 0; i < t->n; i++)
		list[i] = i;
	if (pdma_path_matrix(t, list, t->n, cells))
		abort();
	for (uint32_t a = 0; a < t->n; a++)
		for (uint32_t b = 0; b < t->n; b++)
			check_pair(t, a, b, &cells[a * t->n + b]);
}

/* A capture of a tree says what the tree says. */
static void check_capture(const struct pdmai_tree *tree, const struct pdma_topo *t, const char *dir)
{
	struct pdmai_tree copy;
	struct pdma_topo *again;

	if (pdmai_topo_save(tree, dir) || pdmai_tree_open(&copy, dir))
		return;
	if (!pdmai_topo_load(&copy, "sys/", &again)) {
		if (again->n != t->n)
			abort();
		pdma_topo_destroy(again);
	}
	pdmai_tree_close(&copy);
}

static void examine(const char *dir)
{
	struct pdma_findings *findings;
	struct pdmai_tree tree;
	char copy[96];
	struct pdma_topo *t;

	if (pdmai_tree_open(&tree, dir))
		return;
	if (!pdmai_topo_load(&tree, "sys/", &t)) {
		judge(t);
		if (!pdmai_doctor_run(&tree, t, &findings))
			pdma_findings_destroy(findings);
		snprintf(copy, sizeof(copy), "%s/copy", dir);
		check_capture(&tree, t, copy);
		pdma_topo_destroy(t);
	}
	pdmai_tree_close(&tree);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/dev/shm/peerdma-fuzz-XXXXXX";

	if (!mkdtemp(dir))
		abort();
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		abort();
	build(data, size);
	examine(dir);
	close(root);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
