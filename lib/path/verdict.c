// SPDX-License-Identifier: MIT
#include "lib/path/verdict.h"

#include <errno.h>
#include <string.h>

#include "lib/core/error.h"

/* Any of these, and the kernel takes a bridge for one that sends peer traffic up. */
#define ACS_REDIRECT (PDMA_ACS_REQUEST_REDIRECT | PDMA_ACS_COMPLETION_REDIRECT)
#define ACS_UP	     (ACS_REDIRECT | PDMA_ACS_EGRESS_CONTROL)

static bool egress_blocks(const struct pdmai_node *port, const struct pdmai_node *target)
{
	unsigned bit = target->ports.number;

	/* What the vector does not tell is no way to rely on. */
	if (bit >= port->ports.n_egress)
		return true;
	return port->ports.egress[bit / 8] & 1u << bit % 8;
}

bool pdmai_redirects(const struct pdma_topo *t, uint32_t port, uint32_t target)
{
	const struct pdmai_node *node = &t->nodes[port];
	unsigned control = node->f.acs == PDMA_ON ? node->f.acs_control : 0;

	if (!t->rules.acs_by_target)
		return control & ACS_UP;
	if (target != PDMAI_NONE && (control & PDMA_ACS_EGRESS_CONTROL) &&
	    egress_blocks(node, &t->nodes[target]))
		return true;
	/* A clear bit lets requests through, whatever request redirect says. */
	if (target != PDMAI_NONE && (control & PDMA_ACS_EGRESS_CONTROL))
		return control & PDMA_ACS_COMPLETION_REDIRECT;
	return control & ACS_REDIRECT;
}

static unsigned depth_of(const struct pdma_topo *t, uint32_t i)
{
	unsigned depth = 0;

	for (; i != PDMAI_NONE; i = t->hot[i].parent)
		depth++;
	return depth;
}

static uint32_t climb(const struct pdma_topo *t, uint32_t i, unsigned hops, uint32_t *top)
{
	for (; hops; hops--) {
		*top = i;
		i = t->hot[i].parent;
	}
	return i;
}

void pdmai_pair_find(const struct pdma_topo *t, uint32_t a, uint32_t b, struct pdmai_pair *ret)
{
	struct pdmai_pair p = { a, b, PDMAI_NONE, PDMAI_NONE, PDMAI_NONE, t->hot[b].top };
	unsigned da = depth_of(t, a), db = depth_of(t, b);

	if (da > db)
		a = climb(t, a, da - db, &p.a_top);
	else
		b = climb(t, b, db - da, &p.b_top);
	while (a != b) {
		a = climb(t, a, 1, &p.a_top);
		b = climb(t, b, 1, &p.b_top);
	}
	p.common = a;
	*ret = p;
}

/* How many functions of a way have what n counts, the common bridge included once. */
static unsigned on_way(unsigned n_a, unsigned n_b, unsigned n_common, bool common_has)
{
	return n_a - n_common + n_b - n_common + common_has;
}

static unsigned count_redirects(const struct pdma_topo *t, const struct pdmai_pair *p)
{
	const struct pdmai_hot *c = &t->hot[p->common];
	unsigned n = on_way(t->hot[p->a].n_redirect, t->hot[p->b].n_redirect, c->n_redirect,
			    c->redirects);

	if (!t->rules.acs_by_target || p->a_top == PDMAI_NONE || p->b_top == PDMAI_NONE)
		return n;
	/* The two ports where the ways part are judged by where the traffic leaves. */
	n -= t->hot[p->a_top].redirects + t->hot[p->b_top].redirects;
	return n + pdmai_redirects(t, p->a_top, p->b_top) + pdmai_redirects(t, p->b_top, p->a_top);
}

static unsigned count_unread(const struct pdma_topo *t, const struct pdmai_pair *p)
{
	const struct pdmai_hot *c = &t->hot[p->common];

	return on_way(t->hot[p->a].n_unread, t->hot[p->b].n_unread, c->n_unread, c->unread);
}

/* In hardware it is request redirect at the port of entry alone that counts. */
static bool turns_in_switch(const struct pdma_topo *t, const struct pdmai_pair *p)
{
	const struct pdma_function *port;

	if (p->common == PDMAI_NONE || p->a_top == PDMAI_NONE ||
	    t->nodes[p->common].f.kind != PDMA_FUNCTION_UPSTREAM)
		return false;
	port = &t->nodes[p->a_top].f;
	if (port->kind != PDMA_FUNCTION_DOWNSTREAM || port->acs == PDMA_NOT_READ)
		return false;
	return port->acs == PDMA_OFF || !(port->acs_control & PDMA_ACS_REQUEST_REDIRECT);
}

static bool host_forwards(const struct pdma_topo *t, uint32_t host_a, uint32_t host_b)
{
	const struct pdmai_host *a = &t->hosts[host_a], *b = &t->hosts[host_b];

	if (host_a == host_b)
		return a->listed != PDMAI_NOT_LISTED;
	return a->listed == PDMAI_LISTED && b->listed == PDMAI_LISTED;
}

static bool other_socket(const struct pdma_topo *t, const struct pdmai_hot *a,
			 const struct pdmai_hot *b)
{
	int node_a = t->hosts[a->host].h.numa_node, node_b = t->hosts[b->host].h.numa_node;

	return a->host != b->host && node_a >= 0 && node_b >= 0 && node_a != node_b;
}

static void decide_through_host(const struct pdma_topo *t, const struct pdmai_pair *p,
				bool redirected, struct pdmai_decision *d)
{
	const struct pdmai_hot *a = &t->hot[p->a], *b = &t->hot[p->b];
	bool iova = a->translated;

	d->mapping = iova ? PDMA_MAP_IOVA : PDMA_MAP_HOST_BRIDGE;
	if (!host_forwards(t, a->host, b->host)) {
		bool alone = t->hosts[a->host].listed == PDMAI_LISTED_ALONE ||
			     t->hosts[b->host].listed == PDMAI_LISTED_ALONE;

		d->answer = PDMA_NO;
		d->cause = redirected			  ? PDMA_CAUSE_ACS_REDIRECT :
			   alone && other_socket(t, a, b) ? PDMA_CAUSE_CROSS_SOCKET :
							    PDMA_CAUSE_HOST_BRIDGE;
		return;
	}
	d->answer = PDMA_YES;
	d->cause = redirected		 ? PDMA_CAUSE_ACS_REDIRECT :
		   iova			 ? PDMA_CAUSE_IOMMU_TRANSLATES :
		   other_socket(t, a, b) ? PDMA_CAUSE_CROSS_SOCKET :
					   PDMA_CAUSE_NONE;
}

static bool in_hole(const struct pdmai_group *g, const struct pdmai_node *target, uint64_t top)
{
	if (top > g->last)
		return true;
	for (unsigned r = 0; g->meets_bar && r < g->n_reserved; r++)
		for (int i = 0; i < PDMA_BARS; i++) {
			const struct pdma_bar *bar = &target->f.bar[i];

			if (bar->is_mem && bar->addr && bar->addr <= g->reserved[r].last &&
			    bar->addr + (bar->len - 1) >= g->reserved[r].first)
				return true;
		}
	return false;
}

static void forbid(struct pdmai_decision *d, enum pdma_cause cause)
{
	d->answer = PDMA_NO;
	d->cause = (uint8_t)cause;
}

/* The way may be open and the address still not one that works. */
static void check_address(const struct pdma_topo *t, const struct pdmai_pair *p,
			  struct pdmai_decision *d)
{
	const struct pdmai_hot *a = &t->hot[p->a];

	if (d->mapping == PDMA_MAP_IOVA)
		return;
	if (p->top > a->reach)
		forbid(d, PDMA_CAUSE_DMA_MASK);
	else if (d->mapping == PDMA_MAP_HOST_BRIDGE && a->group >= 0 &&
		 in_hole(&t->groups[a->group], &t->nodes[p->b], p->top))
		forbid(d, PDMA_CAUSE_IOMMU_HOLE);
}

void pdmai_decide(const struct pdma_topo *t, const struct pdmai_pair *p, struct pdmai_decision *ret)
{
	struct pdmai_decision d = { PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE, false };
	bool below = p->common != PDMAI_NONE, redirected;

	d.in_switch = turns_in_switch(t, p);
	redirected = below && count_redirects(t, p);
	if (below && !redirected && count_unread(t, p)) {
		d.answer = PDMA_UNKNOWN;
		d.mapping = PDMA_MAP_NONE;
		d.cause = PDMA_CAUSE_NOT_READABLE;
	} else if (!below || redirected) {
		decide_through_host(t, p, redirected, &d);
	}
	if (d.answer == PDMA_YES)
		check_address(t, p, &d);
	if (t->hot[p->a].lacks)
		forbid(&d, PDMA_CAUSE_KERNEL_CONFIG);
	if (t->hot[p->b].broken)
		forbid(&d, t->hot[p->b].broken);
	*ret = d;
}

uint32_t pdmai_also(const struct pdma_topo *t, const struct pdmai_pair *p,
		    const struct pdmai_decision *d)
{
	const struct pdmai_node *a = &t->nodes[p->a], *b = &t->nodes[p->b];
	bool through = d->mapping == PDMA_MAP_HOST_BRIDGE || d->mapping == PDMA_MAP_IOVA;
	uint32_t also = 0;

	if (b->f.decode == PDMA_OFF || !strncmp(b->f.power, "D3", 2))
		also |= 1u << PDMA_CAUSE_DECODE_OFF;
	if (d->mapping == PDMA_MAP_IOVA)
		also |= 1u << PDMA_CAUSE_IOMMU_TRANSLATES;
	if (d->mapping == PDMA_MAP_IOVA && t->system.is_virtual)
		also |= 1u << PDMA_CAUSE_VIOMMU;
	if (through && other_socket(t, &t->hot[p->a], &t->hot[p->b]))
		also |= 1u << PDMA_CAUSE_CROSS_SOCKET;
	if (through && (a->f.relaxed_ordering == PDMA_OFF || a->f.ats == PDMA_ON))
		also |= 1u << PDMA_CAUSE_ORDERING_ATS;
	return also & ~(1u << d->cause);
}

/* ---- public ---- */

static int check_range(const struct pdma_bar *bar, const struct pdma_target *target)
{
	uint64_t len = target->len;

	if (!bar->len || !bar->is_mem)
		return pdmai_fail(EINVAL, "BAR %d is no memory", target->bar);
	if (target->off >= bar->len || len > bar->len - target->off)
		return pdmai_fail(EINVAL, "the range is not inside BAR %d", target->bar);
	return 0;
}

/* Last address of the range, checked. */
static int range_top(const struct pdma_topo *t, const struct pdma_target *target, uint64_t *ret_top)
{
	const struct pdma_bar *bar;
	int ret;

	*ret_top = t->hot[target->function].top;
	if (target->bar == -1)
		return target->off || target->len ?
			       pdmai_fail(EINVAL, "a range needs the number of a BAR") :
			       0;
	if (target->bar < 0 || target->bar >= PDMA_BARS)
		return pdmai_fail(EINVAL, "there is no BAR %d", target->bar);
	bar = &t->nodes[target->function].f.bar[target->bar];
	ret = check_range(bar, target);
	if (!ret)
		*ret_top = bar->addr + target->off +
			   ((target->len ? target->len : bar->len - target->off) - 1);
	return ret;
}

int pdma_path_verdict(const struct pdma_topo *t, uint32_t initiator,
		      const struct pdma_target *target, struct pdma_verdict *ret_verdict)
{
	struct pdmai_decision d;
	struct pdmai_pair pair;
	uint64_t top;
	int ret;

	if (ret_verdict->size < sizeof(*ret_verdict))
		return pdmai_fail(EINVAL, "a verdict needs %zu bytes", sizeof(*ret_verdict));
	if (initiator >= t->n || target->function >= t->n)
		return pdmai_fail(EINVAL, "there is no such function");
	ret = range_top(t, target, &top);
	if (ret)
		return ret;
	pdmai_pair_find(t, initiator, target->function, &pair);
	pair.top = top;
	pdmai_decide(t, &pair, &d);
	pdmai_explain(t, &pair, &d, ret_verdict);
	return 0;
}
