// SPDX-License-Identifier: MIT
/* One function, from its directory in sysfs. What is missing or nonsense is not known. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/path/topo.h"

/* Bits of the third column of "resource", as in the kernel's ioport.h. */
#define RESOURCE_MEM	  0x00000200u
#define RESOURCE_PREFETCH 0x00002000u
#define RESOURCE_64	  0x00100000u
#define RESOURCE_UNSET	  0x20000000u
/* BARs, ROM; then SR-IOV BARs and bridge windows as the kernel was built. */
#define RESOURCES_MAX 24
#define RESOURCE_ROM  6

struct resource {
	uint64_t first, last, flags;
};

static uint64_t number(const struct pdmai_tree *tree, const char *dir, const char *attr, int base,
		       uint64_t max, uint64_t otherwise)
{
	char text[64], *end;
	uint64_t value;

	if (pdmai_tree_text(tree, text, sizeof(text), "%s/%s", dir, attr))
		return otherwise;
	errno = 0;
	value = strtoull(text, &end, base);
	return errno || end == text || *end || text[0] == '-' || value > max ? otherwise : value;
}

static int read_resources(const struct pdmai_tree *tree, const char *dir,
			  struct resource res[RESOURCES_MAX])
{
	char text[RESOURCES_MAX * 64], *line, *save = NULL;
	int n = 0;

	if (pdmai_tree_text(tree, text, sizeof(text), "%s/resource", dir))
		return 0;
	for (line = strtok_r(text, "\n", &save); line && n < RESOURCES_MAX;
	     line = strtok_r(NULL, "\n", &save), n++)
		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &res[n].first, &res[n].last,
			   &res[n].flags) != 3)
			return n;
	return n;
}

static void set_bar(struct pdma_bar *bar, const struct resource *r)
{
	if (!r->flags || r->last < r->first || (!r->first && !r->last))
		return;
	/* A BAR that found no place keeps its length, counted from 0. */
	bar->addr = r->flags & RESOURCE_UNSET ? 0 : r->first;
	bar->len = r->last - r->first + 1;
	bar->is_mem = r->flags & RESOURCE_MEM;
	bar->is_64 = r->flags & RESOURCE_64;
	bar->prefetch = r->flags & RESOURCE_PREFETCH;
	if (bar->max_len < bar->len)
		bar->max_len = bar->len;
}

static void load_resources(const struct pdmai_tree *tree, const char *dir, struct pdmai_node *node)
{
	struct resource res[RESOURCES_MAX];
	int n = read_resources(tree, dir, res), w = 0;

	for (int i = 0; i < n && i < PDMA_BARS; i++)
		set_bar(&node->f.bar[i], &res[i]);
	for (int i = 0; i < PDMA_BARS; i++)
		if (!node->f.bar[i].len)
			node->f.bar[i].max_len = 0;
	if (!pdmai_is_bridge(node))
		return;
	for (int i = RESOURCE_ROM + 1; i < n && w < PDMA_WINDOWS; i++)
		if ((res[i].flags & RESOURCE_MEM) && res[i].first && res[i].last >= res[i].first)
			node->f.window[w++] = (struct pdma_window){ res[i].first, res[i].last };
}

void pdmai_load_ports(const struct pdmai_tree *tree, const char *dir, struct pdmai_node *node)
{
	uint8_t config[PDMAI_CONFIG_SIZE];
	ssize_t n = pdmai_tree_bytes(tree, config, sizeof(config), "%s/config", dir);

	node->f.size = sizeof(node->f);
	node->f.iommu_group = -1;
	node->group = -1;
	pdmai_config_parse(config, n > 0 ? (unsigned)n : 0, &node->f, &node->ports);
	/* Without config space, its class still tells a bridge. */
	if (node->f.kind == PDMA_FUNCTION_ENDPOINT && node->f.class_code >> 8 == 0x0604)
		node->f.kind = PDMA_FUNCTION_BRIDGE;
}

static void load_link(const struct pdmai_tree *tree, const char *dir, struct pdma_function *f)
{
	char text[64];
	double speed;

	if (!pdmai_tree_text(tree, text, sizeof(text), "%s/current_link_speed", dir) &&
	    sscanf(text, "%lf GT/s", &speed) == 1 && speed > 0 && speed < 1000)
		f->speed_mts = (unsigned)(speed * 1000);
	if (!pdmai_tree_text(tree, text, sizeof(text), "%s/max_link_speed", dir) &&
	    sscanf(text, "%lf GT/s", &speed) == 1 && speed > 0 && speed < 1000)
		f->max_speed_mts = (unsigned)(speed * 1000);
	f->width = (unsigned)number(tree, dir, "current_link_width", 10, 64, 0);
	f->max_width = (unsigned)number(tree, dir, "max_link_width", 10, 64, 0);
}

static void copy_word(char *to, size_t size, const char *from)
{
	size_t n = strcspn(from, " \t\n");

	if (n >= size)
		n = size - 1;
	memcpy(to, from, n);
	to[n] = 0;
}

/* What the driver made of the function, as its users call it. */
static void load_name(const struct pdmai_tree *tree, const char *dir, struct pdma_function *f)
{
	static const char *const classes[] = { "infiniband", "nvme", "drm", "net" };
	struct dirent *e;
	DIR *d;

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes) && !f->name[0]; i++) {
		d = pdmai_tree_dir(tree, "%s/%s", dir, classes[i]);
		/* Of several, the first in the alphabet: the order of a directory is no order. */
		while (d && (e = readdir(d)))
			if (e->d_name[0] != '.' && (!f->name[0] || strcmp(e->d_name, f->name) < 0))
				copy_word(f->name, sizeof(f->name), e->d_name);
		if (d)
			closedir(d);
	}
}

static void load_power(const struct pdmai_tree *tree, const char *dir, struct pdma_function *f)
{
	char text[32];

	pdmai_tree_text(tree, text, sizeof(text), "%s/power_state", dir);
	copy_word(f->power, sizeof(f->power), text);
	if (!strcmp(f->power, "unknown"))
		f->power[0] = 0;
}

void pdmai_load_function(const struct pdmai_tree *tree, const char *dir, struct pdmai_node *node)
{
	struct pdma_function *f = &node->f;
	char link[PDMAI_TREE_PATH];

	f->vendor = (uint16_t)number(tree, dir, "vendor", 16, 0xffff, 0);
	f->device = (uint16_t)number(tree, dir, "device", 16, 0xffff, 0);
	f->class_code = (uint32_t)number(tree, dir, "class", 16, 0xffffff, 0);
	f->numa_node = (int)number(tree, dir, "numa_node", 10, 4095, (uint64_t)-1);
	f->dma_mask_bits = (unsigned)number(tree, dir, "dma_mask_bits", 10, 64, 0);
	f->p2pmem = number(tree, dir, "p2pmem/size", 10, INT64_MAX, 0);
	f->p2pmem_free = number(tree, dir, "p2pmem/available", 10, INT64_MAX, 0);
	pdmai_load_ports(tree, dir, node);
	load_resources(tree, dir, node);
	load_link(tree, dir, f);
	load_power(tree, dir, f);
	load_name(tree, dir, f);
	pdmai_tree_link(tree, link, sizeof(link), "%s/driver", dir);
	copy_word(f->driver, sizeof(f->driver), pdmai_last_part(link));
	if (!pdmai_tree_link(tree, link, sizeof(link), "%s/iommu_group", dir) &&
	    sscanf(pdmai_last_part(link), "%9d", &f->iommu_group) != 1)
		f->iommu_group = -1;
}
