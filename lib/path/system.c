// SPDX-License-Identifier: MIT
/* IOMMU groups, and what is true of the whole machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/core/error.h"
#include "lib/path/topo.h"

#define RESERVED_MAX 64

/* VT-d, Capability Register: bits 21:16, largest guest address width less one. */
#define VTD_MGAW(cap) ((unsigned)((cap) >> 16 & 0x3f) + 1)

static enum pdma_iommu type_of(const char *text)
{
	if (!strcmp(text, "identity"))
		return PDMA_IOMMU_IDENTITY;
	if (!strncmp(text, "DMA", 3))
		return PDMA_IOMMU_DMA;
	if (!strcmp(text, "blocked"))
		return PDMA_IOMMU_BLOCKED;
	return PDMA_IOMMU_UNKNOWN;
}

static int load_reserved(const struct pdmai_tree *tree, const char *sys, struct pdmai_group *g)
{
	char text[4096], *line, *save = NULL;
	struct pdma_window w[RESERVED_MAX];
	unsigned n = 0;

	pdmai_tree_text(tree, text, sizeof(text), "%skernel/iommu_groups/%d/reserved_regions", sys,
			g->id);
	for (line = strtok_r(text, "\n", &save); line && n < RESERVED_MAX;
	     line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%" SCNx64 " %" SCNx64, &w[n].first, &w[n].last) == 2 &&
		    w[n].last >= w[n].first)
			n++;
	if (!n)
		return 0;
	g->reserved = calloc(n, sizeof(*g->reserved));
	if (!g->reserved)
		return pdmai_fail(ENOMEM, "no memory for an IOMMU group");
	memcpy(g->reserved, w, n * sizeof(*w));
	g->n_reserved = n;
	return 0;
}

static uint64_t last_address(const struct pdmai_tree *tree, const char *sys, const char *bdf)
{
	unsigned long long cap;
	char text[64];
	unsigned bits;

	if (pdmai_tree_text(tree, text, sizeof(text), "%sbus/pci/devices/%s/iommu/intel-iommu/cap",
			    sys, bdf) ||
	    sscanf(text, "%llx", &cap) != 1)
		return UINT64_MAX;
	bits = VTD_MGAW(cap);
	return bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
}

static int add_group(const struct pdmai_tree *tree, const char *sys, struct pdma_topo *t,
		     const struct pdma_function *f)
{
	struct pdmai_group *groups = reallocarray(t->groups, t->n_groups + 1, sizeof(*groups)), *g;
	char text[32];

	if (!groups)
		return pdmai_fail(ENOMEM, "no memory for an IOMMU group");
	t->groups = groups;
	g = &groups[t->n_groups++];
	*g = (struct pdmai_group){ .id = f->iommu_group };
	pdmai_tree_text(tree, text, sizeof(text), "%skernel/iommu_groups/%d/type", sys, g->id);
	g->type = type_of(text);
	g->last = last_address(tree, sys, f->bdf);
	return load_reserved(tree, sys, g);
}

static int find_group(const struct pdma_topo *t, int id)
{
	for (uint32_t i = t->n_groups; i-- > 0;)
		if (t->groups[i].id == id)
			return (int)i;
	return -1;
}

/* VFIO makes groups of its own for functions that no IOMMU guards. */
static bool is_guarded(const struct pdmai_tree *tree, const char *sys, int group)
{
	char text[32];

	return pdmai_tree_text(tree, text, sizeof(text), "%skernel/iommu_groups/%d/name", sys,
			       group) ||
	       strcmp(text, "vfio-noiommu") != 0;
}

int pdmai_load_groups(const struct pdmai_tree *tree, const char *sys, struct pdma_topo *t)
{
	int ret;

	for (uint32_t i = 0; i < t->n; i++) {
		struct pdmai_node *node = &t->nodes[i];

		node->group = -1;
		if (node->f.iommu_group >= 0 && !is_guarded(tree, sys, node->f.iommu_group))
			node->f.iommu_group = -1;
		if (node->f.iommu_group < 0)
			continue;
		node->group = find_group(t, node->f.iommu_group);
		if (node->group < 0) {
			ret = add_group(tree, sys, t, &node->f);
			if (ret)
				return ret;
			node->group = (int)t->n_groups - 1;
		}
		node->f.iommu = t->groups[node->group].type;
	}
	return 0;
}

/* The value behind "name\t: " in the first block of cpuinfo. */
static void cpu_value(const char *text, const char *name, char *buf, size_t size)
{
	size_t len = strlen(name), n;
	const char *line = text;

	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) || (line[len] != '\t' && line[len] != ':'))
			continue;
		line += len;
		line += strspn(line, "\t: ");
		n = strcspn(line, "\n");
		snprintf(buf, size, "%.*s", (int)(n < size ? n : size - 1), line);
		return;
	}
}

static void load_cpu(const struct pdmai_tree *tree, struct pdma_system *s)
{
	char text[8192], value[64] = "", flags[4096] = "";

	if (pdmai_tree_text(tree, text, sizeof(text), "proc/cpuinfo"))
		return;
	cpu_value(text, "vendor_id", s->cpu_vendor, sizeof(s->cpu_vendor));
	cpu_value(text, "model name", s->cpu_model, sizeof(s->cpu_model));
	cpu_value(text, "cpu family", value, sizeof(value));
	s->cpu_family = (unsigned)strtoul(value, NULL, 10);
	value[0] = 0;
	cpu_value(text, "address sizes", value, sizeof(value));
	s->address_bits = (unsigned)strtoul(value, NULL, 10);
	cpu_value(text, "flags", flags, sizeof(flags));
	s->is_virtual = strstr(flags, " hypervisor");
}

const char *const pdmai_option_names[PDMAI_OPTIONS] = {
	[PDMAI_OPT_P2PDMA] = "PCI_P2PDMA",
	[PDMAI_OPT_DMABUF] = "DMA_SHARED_BUFFER",
	[PDMAI_OPT_MOVE_NOTIFY] = "DMABUF_MOVE_NOTIFY",
	[PDMAI_OPT_VFIO_DMABUF] = "VFIO_PCI_DMABUF",
	[PDMAI_OPT_DEVICE_PRIVATE] = "DEVICE_PRIVATE",
	[PDMAI_OPT_HMM_MIRROR] = "HMM_MIRROR",
	[PDMAI_OPT_INFINIBAND] = "INFINIBAND",
	[PDMAI_OPT_ODP] = "INFINIBAND_ON_DEMAND_PAGING",
	[PDMAI_OPT_ZONE_DEVICE] = "ZONE_DEVICE",
};

static void take_option(const char *line, enum pdma_known options[PDMAI_OPTIONS])
{
	for (int i = 0; i < PDMAI_OPTIONS; i++) {
		size_t len = strlen(pdmai_option_names[i]);

		if (!strncmp(line, "CONFIG_", 7) &&
		    !strncmp(line + 7, pdmai_option_names[i], len) && line[7 + len] == '=')
			options[i] = PDMA_ON;
	}
}

/* zlib reads plain files as well. */
static void parse_options(int fd, enum pdma_known options[PDMAI_OPTIONS])
{
	gzFile file = gzdopen(fd, "r");
	char line[256];

	if (!file) {
		close(fd);
		return;
	}
	/* The file is the whole truth: what it does not set is off. */
	for (int i = 0; i < PDMAI_OPTIONS; i++)
		options[i] = PDMA_OFF;
	for (int n = 0; n < 100000 && gzgets(file, line, sizeof(line)); n++)
		take_option(line, options);
	gzclose(file);
}

static void load_options(const struct pdmai_tree *tree, const char *release,
			 enum pdma_known options[PDMAI_OPTIONS])
{
	static const char *const places[] = { "boot/config-", "lib/modules/", "proc/config.gz" };
	static const char *const ends[] = { "", "/config", "" };
	char path[PDMAI_TREE_PATH];
	int fd = -1;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && fd < 0; i++) {
		snprintf(path, sizeof(path), "%s%s%s", places[i], i < 2 ? release : "", ends[i]);
		fd = pdmai_tree_file(tree, path);
	}
	if (fd >= 0)
		parse_options(fd, options);
}

void pdmai_load_system(const struct pdmai_tree *tree, struct pdma_topo *t)
{
	struct pdma_system *s = &t->system;

	pdmai_tree_text(tree, s->kernel, sizeof(s->kernel), "proc/sys/kernel/osrelease");
	/* It becomes part of a path. */
	if (strchr(s->kernel, '/'))
		s->kernel[0] = 0;
	load_cpu(tree, s);
	load_options(tree, s->kernel, t->options);
}
