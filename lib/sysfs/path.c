// SPDX-License-Identifier: MIT
#include "lib/sysfs/path.h"

#include <errno.h>

#include "lib/core/error.h"
#include "lib/path/verdict.h"

/* What ordinary users get of config space. */
#define UNPRIVILEGED_LEN 64

static int find(const struct pdma_topo *t, const struct pdmai_bdf *bdf, uint32_t *ret_index)
{
	return pdma_topo_find(t, bdf->text, ret_index);
}

static int check_read(const struct pdma_topo *t, uint32_t i)
{
	if (i == PDMAI_NONE || t->nodes[i].f.config_len > UNPRIVILEGED_LEN)
		return 0;
	return pdmai_fail(EIO, "cannot read all of config space of %s", t->nodes[i].f.bdf);
}

static int route_in(const struct pdma_topo *t, const struct pdmai_bdf *from,
		    const struct pdmai_bdf *to, enum pdmai_route *ret_route)
{
	struct pdmai_decision d;
	struct pdmai_pair pair;
	uint32_t a, b;
	int ret;

	ret = find(t, from, &a);
	ret = ret ? ret : find(t, to, &b);
	if (ret)
		return ret;
	if (a == b)
		return pdmai_fail(EINVAL, "%s is one device, not two", from->text);
	pdmai_pair_find(t, a, b, &pair);
	if (pair.common != PDMAI_NONE) {
		ret = check_read(t, pair.common);
		ret = ret ? ret : check_read(t, pair.a_top);
		if (ret)
			return ret;
	}
	pdmai_decide(t, &pair, &d);
	*ret_route = d.in_switch ? PDMAI_ROUTE_SWITCH : PDMAI_ROUTE_BRIDGE;
	return 0;
}

int pdmai_pci_route(const char *root, const struct pdmai_bdf *from, const struct pdmai_bdf *to,
		    enum pdmai_route *ret_route)
{
	struct pdmai_tree tree;
	struct pdma_topo *t;
	int ret;

	ret = pdmai_tree_open(&tree, root);
	if (ret)
		return ret;
	ret = pdmai_topo_load_pair(&tree, "", from->text, to->text, &t);
	pdmai_tree_close(&tree);
	if (ret)
		return ret;
	ret = route_in(t, from, to, ret_route);
	pdma_topo_destroy(t);
	return ret;
}
