// SPDX-License-Identifier: MIT
/* What the rules say of each function and host bridge, worked out once for all pairs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/path/topo.h"
#include "lib/path/verdict.h"

static bool is_device_zero(const struct pdma_function *f)
{
	size_t len = strlen(f->bdf);

	return len > 4 && !strcmp(f->bdf + len - 4, "00.0");
}

/* The function by which the kernel knows a host bridge: the first on its bus, of the right kind. */
static void finish_host(struct pdma_topo *t, uint32_t i)
{
	struct pdmai_host *host = &t->hosts[i];
	const struct pdmai_node *node;

	host->h.size = sizeof(host->h);
	host->h.first = PDMAI_NONE;
	host->h.numa_node = -1;
	host->listed = t->rules.cpu_forwards ? PDMAI_LISTED : PDMAI_NOT_LISTED;
	for (uint32_t n = 0; n < t->n; n++) {
		node = &t->nodes[n];
		if (node->f.host != i || node->f.parent != PDMAI_NONE)
			continue;
		host->h.numa_node = node->f.numa_node;
		if (!is_device_zero(&node->f) && !(t->rules.port_is_host && pdmai_is_bridge(node)))
			return;
		host->h.first = n;
		host->h.vendor = node->f.vendor;
		host->h.device = node->f.device;
		if (!t->rules.cpu_forwards)
			host->listed = pdmai_rules_host(&t->rules, node->f.vendor, node->f.device);
		return;
	}
}

static void finish_memory(const struct pdmai_node *node, struct pdmai_hot *hot)
{
	bool any = false, placed = false;

	for (int i = 0; i < PDMA_BARS; i++) {
		const struct pdma_bar *bar = &node->f.bar[i];

		if (!bar->len || !bar->is_mem)
			continue;
		any = true;
		if (!bar->addr)
			continue;
		placed = true;
		if (bar->addr + (bar->len - 1) > hot->top)
			hot->top = bar->addr + (bar->len - 1);
	}
	hot->broken = !any ? PDMA_CAUSE_NO_MEMORY : !placed ? PDMA_CAUSE_ABOVE_4G : PDMA_CAUSE_NONE;
}

/*
 * Does nobody see to it that the function answers to its addresses? Opening a device for a driver
 * in user space wakes it and switches decode on, here and in the bridges above; a kernel driver
 * wakes what it exports.
 */
static bool is_asleep(const struct pdma_function *f)
{
	if (f->kind == PDMA_FUNCTION_ENDPOINT && pdmai_is_user_driver(f))
		return false;
	return f->decode == PDMA_OFF || (!f->driver[0] && !strncmp(f->power, "D3", 2));
}

static uint64_t reach_of(const struct pdma_function *f)
{
	/* A mask is the driver's word to the kernel; in user space the program decides. */
	if (!f->driver[0] || pdmai_is_user_driver(f) || !f->dma_mask_bits || f->dma_mask_bits > 63)
		return UINT64_MAX;
	return (1ull << f->dma_mask_bits) - 1;
}

static bool kernel_lacks(const struct pdma_topo *t, const struct pdma_function *f)
{
	if (pdmai_is_user_driver(f))
		return false;
	return !t->rules.has_p2pdma || t->options[PDMAI_OPT_P2PDMA] == PDMA_OFF;
}

static void finish_node(struct pdma_topo *t, uint32_t i)
{
	struct pdmai_node *node = &t->nodes[i];
	uint32_t parent = node->f.parent;
	const struct pdmai_hot *up = parent == PDMAI_NONE ? NULL : &t->hot[parent];
	struct pdmai_hot *hot = &t->hot[i];

	*hot = (struct pdmai_hot){ .parent = parent, .host = node->f.host, .group = node->group };
	hot->unread = node->f.acs == PDMA_NOT_READ;
	hot->redirects = pdmai_redirects(t, i, PDMAI_NONE);
	hot->n_unread = (uint16_t)((up ? up->n_unread : 0) + hot->unread);
	hot->n_redirect = (uint16_t)((up ? up->n_redirect : 0) + hot->redirects);
	hot->reach = reach_of(&node->f);
	hot->translated = node->group >= 0 && node->f.iommu != PDMA_IOMMU_IDENTITY;
	hot->lacks = kernel_lacks(t, &node->f);
	node->asleep = is_asleep(&node->f) ? i : PDMAI_NONE;
	if (up && t->nodes[parent].asleep != PDMAI_NONE && !pdmai_is_user_driver(&node->f))
		node->asleep = t->nodes[parent].asleep;
	pdmai_role_find(&node->f);
	finish_memory(node, hot);
	if (!hot->broken && node->asleep != PDMAI_NONE)
		hot->broken = PDMA_CAUSE_DECODE_OFF;
}

static int by_first(const void *a, const void *b)
{
	const struct pdma_window *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* All placed memory BARs, sorted. Return: the list, NULL: no memory. */
static struct pdma_window *list_bars(const struct pdma_topo *t, size_t *ret_n)
{
	struct pdma_window *w = calloc((size_t)t->n * PDMA_BARS + 1, sizeof(*w));
	size_t n = 0;

	if (!w)
		return NULL;
	for (uint32_t i = 0; i < t->n; i++)
		for (int b = 0; b < PDMA_BARS; b++) {
			const struct pdma_bar *bar = &t->nodes[i].f.bar[b];

			if (bar->is_mem && bar->len && bar->addr)
				w[n++] = (struct pdma_window){ bar->addr,
							       bar->addr + (bar->len - 1) };
		}
	qsort(w, n, sizeof(*w), by_first);
	*ret_n = n;
	return w;
}

/* BARs do not overlap, so the last that begins in time is the only one to look at. */
static bool meets(const struct pdma_window *bars, size_t n, const struct pdma_window *w)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (bars[mid].first <= w->last)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && bars[lo - 1].last >= w->first;
}

static int finish_groups(struct pdma_topo *t)
{
	struct pdma_window *bars;
	size_t n;

	if (!t->n_groups)
		return 0;
	bars = list_bars(t, &n);
	if (!bars)
		return pdmai_fail(ENOMEM, "no memory for the list of BARs");
	for (uint32_t g = 0; g < t->n_groups; g++)
		for (unsigned r = 0; r < t->groups[g].n_reserved; r++)
			if (meets(bars, n, &t->groups[g].reserved[r]))
				t->groups[g].meets_bar = true;
	free(bars);
	return 0;
}

int pdmai_topo_finish(struct pdma_topo *t)
{
	struct pdma_system *s = &t->system;

	s->size = sizeof(*s);
	s->functions = t->n;
	s->hosts = t->n_hosts;
	free(t->hot);
	t->hot = calloc((size_t)t->n + 1, sizeof(*t->hot));
	if (!t->hot)
		return pdmai_fail(ENOMEM, "no memory for a topology");
	pdmai_rules_choose(s->kernel, s->cpu_vendor, s->cpu_family, &t->rules);
	for (uint32_t i = 0; i < t->n; i++)
		finish_node(t, i);
	for (uint32_t i = 0; i < t->n_hosts; i++)
		finish_host(t, i);
	return finish_groups(t);
}
