// SPDX-License-Identifier: MIT
/* Which functions there are, and which is above which. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/path/topo.h"

/* More than any machine has; a tree that claims more is not one. */
#define FUNCTIONS_MAX 65536

bool pdmai_is_bdf(const char *text)
{
	unsigned domain, bus, dev, fn;
	int n = 0;

	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &n) != 4 || text[n])
		return false;
	return dev < 32 && fn < 8 && strlen(text) < PDMA_BDF_LEN;
}

/* Where the host bridge stands in what a device's link says: the last one, for there are nested. */
static const char *host_in(const char *link)
{
	const char *host = NULL, *part = link;

	for (; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!strncmp(part, "pci", 3) && part[3] && strchr(part, ':'))
			host = part;
	}
	return host;
}

/* The host bridge and the addresses of a link, without what else may stand between them. */
static bool clean_path(char *link, char path[PDMAI_TREE_PATH])
{
	char *part, *save = NULL;
	const char *host = host_in(link);

	if (!host)
		return false;
	part = strtok_r(link + (host - link), "/", &save);
	strcpy(path, part);
	while ((part = strtok_r(NULL, "/", &save)))
		if (pdmai_is_bdf(part))
			strcat(strcat(path, "/"), part);
	return true;
}

/*
 * The path from the host bridge: "pci0000:00/0000:00:01.0/0000:01:00.0". A directory that is no
 * link stands on the root bus of its domain.
 */
static char *path_of(const struct pdmai_tree *tree, const char *dir, const char *bdf)
{
	char link[PDMAI_TREE_PATH], path[PDMAI_TREE_PATH], *made;

	if (!pdmai_tree_link(tree, link, sizeof(link), "%s", dir) && clean_path(link, path) &&
	    !strcmp(pdmai_last_part(path), bdf))
		return strdup(path);
	if (asprintf(&made, "pci%.*s/%s", (int)(strrchr(bdf, ':') - bdf), bdf, bdf) < 0)
		return NULL;
	return made;
}

/* Room for one more function. */
static int reserve_node(struct pdma_topo *t, uint32_t *cap)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	struct pdmai_node *nodes;

	if (t->n == FUNCTIONS_MAX)
		return pdmai_fail(EINVAL, "more than %d PCI functions", FUNCTIONS_MAX);
	if (t->n < *cap)
		return 0;
	nodes = reallocarray(t->nodes, more, sizeof(*nodes));
	if (!nodes)
		return pdmai_fail(ENOMEM, "no memory for %u PCI functions", more);
	t->nodes = nodes;
	*cap = more;
	return 0;
}

struct loader {
	const struct pdmai_tree *tree;
	const char *sys;
	struct pdma_topo *t;
	uint32_t cap;
	bool ports_only; /* config space is all that is asked for */
};

static int load_one(struct loader *l, const char *bdf)
{
	struct pdma_topo *t = l->t;
	struct pdmai_node *node;
	char dir[128];
	int ret;

	ret = reserve_node(t, &l->cap);
	if (ret)
		return ret;
	node = &t->nodes[t->n];
	memset(node, 0, sizeof(*node));
	snprintf(dir, sizeof(dir), "%sbus/pci/devices/%.15s", l->sys, bdf);
	snprintf(node->f.bdf, sizeof(node->f.bdf), "%.15s", bdf);
	node->path = path_of(l->tree, dir, bdf);
	if (!node->path)
		return pdmai_fail(ENOMEM, "no memory for a PCI function");
	t->n++;
	if (l->ports_only)
		pdmai_load_ports(l->tree, dir, node);
	else
		pdmai_load_function(l->tree, dir, node);
	return 0;
}

static int load_nodes(struct loader *l)
{
	DIR *dir = pdmai_tree_dir(l->tree, "%sbus/pci/devices", l->sys);
	struct dirent *e;
	int ret = 0;

	if (!dir)
		return pdmai_fail_errno(errno, "cannot list the PCI devices");
	while (!ret && (e = readdir(dir)))
		if (pdmai_is_bdf(e->d_name))
			ret = load_one(l, e->d_name);
	closedir(dir);
	return ret;
}

static bool is_loaded(const struct pdma_topo *t, const char *bdf)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!strcmp(t->nodes[i].f.bdf, bdf))
			return true;
	return false;
}

/* A function and the bridges above it. */
static int load_way(struct loader *l, const char *bdf)
{
	char path[PDMAI_TREE_PATH], *part, *save = NULL;
	int ret = 0;

	if (!pdmai_tree_has(l->tree, "%sbus/pci/devices/%.15s", l->sys, bdf))
		return pdmai_fail(ENODEV, "there is no PCI device %.15s", bdf);
	if (!is_loaded(l->t, bdf))
		ret = load_one(l, bdf);
	for (uint32_t i = 0; !ret && i < l->t->n; i++)
		if (!strcmp(l->t->nodes[i].f.bdf, bdf))
			snprintf(path, sizeof(path), "%s", l->t->nodes[i].path);
	for (part = ret ? NULL : strtok_r(path, "/", &save); part && !ret;
	     part = strtok_r(NULL, "/", &save))
		if (pdmai_is_bdf(part) && !is_loaded(l->t, part))
			ret = load_one(l, part);
	return ret;
}

static int by_path(const void *a, const void *b)
{
	const struct pdmai_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static bool is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && path[len] == '/';
}

static bool same_host(const char *a, const char *b)
{
	size_t len = strcspn(a, "/");

	return !strncmp(a, b, len + 1);
}

static int add_host(struct pdma_topo *t, const char *path)
{
	struct pdmai_host *hosts = reallocarray(t->hosts, t->n_hosts + 1, sizeof(*hosts));

	if (!hosts)
		return pdmai_fail(ENOMEM, "no memory for a host bridge");
	t->hosts = hosts;
	memset(&hosts[t->n_hosts], 0, sizeof(*hosts));
	snprintf(hosts[t->n_hosts].h.name, sizeof(hosts->h.name), "%.*s", (int)strcspn(path, "/"),
		 path);
	t->n_hosts++;
	return 0;
}

/*
 * A path is sorted behind that of the bridge above it, with nothing but that bridge's other
 * children between the two. So the tree is one whatever the links say.
 */
static int link_nodes(struct pdma_topo *t)
{
	int ret;

	if (t->n)
		qsort(t->nodes, t->n, sizeof(*t->nodes), by_path);
	for (uint32_t i = 0; i < t->n; i++) {
		struct pdmai_node *node = &t->nodes[i];
		uint32_t above = i ? i - 1 : PDMAI_NONE;

		if (!i || !same_host(node->path, t->nodes[i - 1].path)) {
			ret = add_host(t, node->path);
			if (ret)
				return ret;
		}
		while (above != PDMAI_NONE && !is_below(node->path, t->nodes[above].path))
			above = t->nodes[above].f.parent;
		node->f.parent = above;
		node->f.host = t->n_hosts - 1;
	}
	return 0;
}

static void free_paths(struct pdma_topo *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		free(t->nodes[i].path);
		t->nodes[i].path = NULL;
	}
}

static struct pdma_topo *new_topo(void)
{
	struct pdma_topo *t = calloc(1, sizeof(*t));

	for (int i = 0; t && i < PDMAI_OPTIONS; i++)
		t->options[i] = PDMA_NOT_READ;
	return t;
}

int pdmai_topo_load(const struct pdmai_tree *tree, const char *sys, struct pdma_topo **ret_topo)
{
	struct pdma_topo *t = new_topo();
	struct loader l = { .tree = tree, .sys = sys, .t = t };
	int ret;

	if (!t)
		return pdmai_fail(ENOMEM, "no memory for a topology");
	ret = load_nodes(&l);
	ret = ret ? ret : link_nodes(t);
	free_paths(t);
	ret = ret ? ret : pdmai_load_groups(tree, sys, t);
	if (!ret && sys[0])
		pdmai_load_system(tree, t);
	ret = ret ? ret : pdmai_topo_finish(t);
	if (ret) {
		pdma_topo_destroy(t);
		return ret;
	}
	*ret_topo = t;
	return 0;
}

int pdmai_topo_load_pair(const struct pdmai_tree *tree, const char *sys, const char *a,
			 const char *b, struct pdma_topo **ret_topo)
{
	struct pdma_topo *t = new_topo();
	struct loader l = { .tree = tree, .sys = sys, .t = t, .ports_only = true };
	int ret;

	if (!t)
		return pdmai_fail(ENOMEM, "no memory for a topology");
	ret = load_way(&l, a);
	ret = ret ? ret : load_way(&l, b);
	ret = ret ? ret : link_nodes(t);
	free_paths(t);
	ret = ret ? ret : pdmai_topo_finish(t);
	if (ret) {
		pdma_topo_destroy(t);
		return ret;
	}
	*ret_topo = t;
	return 0;
}

void pdma_topo_destroy(struct pdma_topo *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n_groups; i++)
		free(t->groups[i].reserved);
	free(t->groups);
	free(t->hosts);
	free(t->hot);
	free(t->nodes);
	free(t);
}
