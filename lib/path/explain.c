// SPDX-License-Identifier: MIT
/* A decision in words: the hop that decided, the reason, and what to change. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/path/verdict.h"

struct story {
	const struct pdma_topo *t;
	const struct pdmai_pair *pair;
	const struct pdma_function *a, *b;
	struct pdma_verdict *v;
};

static void reason(const struct story *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void remedy(const struct story *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void reason(const struct story *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->v->reason, sizeof(s->v->reason), format, ap);
	va_end(ap);
}

static void remedy(const struct story *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->v->remedy, sizeof(s->v->remedy), format, ap);
	va_end(ap);
}

/* First function on the way that has what is looked for: the initiator's side first. */
static uint32_t on_way(const struct story *s, bool (*has)(const struct story *, uint32_t))
{
	uint32_t common = s->pair->common;

	for (uint32_t i = s->pair->a; i != common; i = s->t->nodes[i].f.parent)
		if (has(s, i))
			return i;
	for (uint32_t i = s->pair->b; i != PDMAI_NONE; i = s->t->nodes[i].f.parent) {
		if (has(s, i))
			return i;
		if (i == common)
			break;
	}
	return PDMAI_NONE;
}

static bool hop_redirects(const struct story *s, uint32_t i)
{
	const struct pdmai_pair *p = s->pair;

	if (p->a_top != PDMAI_NONE && p->b_top != PDMAI_NONE) {
		if (i == p->a_top)
			return pdmai_redirects(s->t, i, p->b_top);
		if (i == p->b_top)
			return pdmai_redirects(s->t, i, p->a_top);
	}
	return s->t->hot[i].redirects;
}

static bool hop_unread(const struct story *s, uint32_t i)
{
	return s->t->hot[i].unread;
}

static const char *bdf(const struct story *s, uint32_t i)
{
	return i == PDMAI_NONE ? "none" : s->t->nodes[i].f.bdf;
}

/* "pci0000:00 (8086:29c0)" */
static const char *host_text(const struct story *s, uint32_t host, char buf[48])
{
	const struct pdma_host *h = &s->t->hosts[host].h;

	if (h->first == PDMAI_NONE)
		snprintf(buf, 48, "%s", h->name);
	else
		snprintf(buf, 48, "%s (%04x:%04x)", h->name, h->vendor, h->device);
	return buf;
}

static void tell_direct(struct story *s)
{
	const struct pdmai_pair *p = s->pair;

	s->v->hop = p->common;
	if (p->a == p->b)
		reason(s, "%s is one function, which reaches its own memory", s->a->bdf);
	else
		reason(s, "the ways of %s and %s meet at %s, and no port of them redirects",
		       s->a->bdf, s->b->bdf, bdf(s, p->common));
}

static void tell_through(struct story *s)
{
	char host[48];

	if (s->v->cause == PDMA_CAUSE_ACS_REDIRECT) {
		s->v->hop = on_way(s, hop_redirects);
		reason(s,
		       "ACS at %s sends requests up (control 0x%02x), and host bridge %s "
		       "forwards them",
		       bdf(s, s->v->hop), s->t->nodes[s->v->hop].f.acs_control,
		       host_text(s, s->a->host, host));
		remedy(s,
		       "for the shorter way turn ACS redirect off: kernel parameter "
		       "pci=disable_acs_redir=%s (devices then share an IOMMU group)",
		       bdf(s, s->v->hop));
		return;
	}
	s->v->hop = s->t->hosts[s->a->host].h.first;
	if (s->a->host == s->b->host)
		reason(s, "requests of %s cross host bridge %s, which forwards between its ports",
		       s->a->bdf, host_text(s, s->a->host, host));
	else
		reason(s, "requests of %s go through host bridges %s and %s, which both forward",
		       s->a->bdf, s->t->hosts[s->a->host].h.name, s->t->hosts[s->b->host].h.name);
	if (s->v->cause == PDMA_CAUSE_CROSS_SOCKET)
		remedy(s, "it is slower than under one socket: use devices of one NUMA node");
	if (s->v->cause == PDMA_CAUSE_IOMMU_TRANSLATES)
		remedy(s,
		       "nothing has to change; devices below one switch without ACS redirect, or "
		       "iommu=pt, save the translation");
}

static void no_host_bridge(struct story *s)
{
	/* The initiator's bridge, unless it is only the target's that is at fault. */
	uint32_t other = s->t->hosts[s->a->host].listed == PDMAI_LISTED ? s->b->host : s->a->host;
	char host[48];

	s->v->hop = s->t->hosts[other].h.first;
	if (s->t->hosts[other].listed == PDMAI_LISTED_ALONE)
		reason(s, "host bridge %s is trusted to forward between its own ports only",
		       host_text(s, other, host));
	else if (s->v->hop == PDMAI_NONE)
		reason(s, "host bridge %s has no function by which Linux could know it",
		       s->t->hosts[other].h.name);
	else
		reason(s,
		       "host bridge %s is not on the list of those that Linux %u.%u trusts to "
		       "forward",
		       host_text(s, other, host), s->t->rules.version >> 16,
		       s->t->rules.version & 0xffff);
	remedy(s, "put both devices below one PCIe switch; forcing the list gives silent data loss "
		  "where the hardware does not forward");
}

static void no_acs(struct story *s)
{
	char host[48];

	s->v->hop = on_way(s, hop_redirects);
	reason(s,
	       "ACS at %s sends requests up (control 0x%02x) to host bridge %s, which is not on "
	       "the "
	       "kernel's list",
	       bdf(s, s->v->hop), s->t->nodes[s->v->hop].f.acs_control,
	       host_text(s, s->a->host, host));
	remedy(s,
	       "turn ACS redirect off there: kernel parameter pci=disable_acs_redir=%s (devices "
	       "then share an IOMMU group)",
	       bdf(s, s->v->hop));
}

static void no_cross_socket(struct story *s)
{
	s->v->hop = s->t->hosts[s->b->host].h.first;
	reason(s,
	       "%s is on NUMA node %d and %s on node %d, and the processors' link does not carry "
	       "peer requests",
	       s->a->bdf, s->t->hosts[s->a->host].h.numa_node, s->b->bdf,
	       s->t->hosts[s->b->host].h.numa_node);
	remedy(s, "use two devices of one socket");
}

static void no_kernel(struct story *s)
{
	s->v->hop = PDMAI_NONE;
	if (s->t->rules.has_p2pdma)
		reason(s, "the kernel is built without CONFIG_PCI_P2PDMA");
	else
		reason(s, "Linux %u.%u knows no peer-to-peer DMA", s->t->rules.version >> 16,
		       s->t->rules.version & 0xffff);
	remedy(s, "use a kernel of 7.2 or later with CONFIG_PCI_P2PDMA=y (Debian: backports)");
}

static void no_mask(struct story *s)
{
	s->v->hop = s->pair->a;
	reason(s, "%s can address %u bits, and memory of %s ends at 0x%llx", s->a->bdf,
	       s->a->dma_mask_bits, s->b->bdf, (unsigned long long)s->pair->top);
	remedy(s,
	       "turn the IOMMU on, which gives lower addresses, or have firmware place BARs lower");
}

static void no_hole(struct story *s)
{
	s->v->hop = s->pair->b;
	reason(s, "memory of %s, up to 0x%llx, lies outside what the IOMMU of %s passes on",
	       s->b->bdf, (unsigned long long)s->pair->top, s->a->bdf);
	remedy(s, "let firmware place BARs lower (MMIO high base), or use a translating domain");
}

static void no_place(struct story *s)
{
	s->v->hop = s->pair->b;
	reason(s, "the memory BARs of %s have no address: firmware and kernel found no room",
	       s->b->bdf);
	remedy(s, "switch on \"above 4G decoding\" in the firmware set-up");
}

static void no_decode(struct story *s)
{
	uint32_t hop = s->t->nodes[s->pair->b].asleep;
	const struct pdma_function *f = &s->t->nodes[hop].f;

	s->v->hop = hop;
	if (f->decode == PDMA_OFF)
		reason(s, "memory decode of %s is off, so %s answers to no address", f->bdf,
		       s->b->bdf);
	else
		reason(s, "%s sleeps in %s", f->bdf, f->power);
	if (!f->driver[0])
		remedy(s,
		       "bind a driver, which switches it on; after a reset or unbind export anew");
	else
		remedy(s, "have driver %s open the device (or write \"on\" to its power/control)",
		       f->driver);
}

static void no_memory(struct story *s)
{
	s->v->hop = s->pair->b;
	reason(s, "%s has no memory BAR that a peer could reach", s->b->bdf);
}

static void not_readable(struct story *s)
{
	s->v->hop = on_way(s, hop_unread);
	reason(s, "config space of %s cannot be read, so whether ACS redirects is not known",
	       bdf(s, s->v->hop));
	remedy(s, "run as root, or capture the machine as root with peerdma topo --save");
}

/* Only the path's own causes: what else may be in the way is the doctor's to say. */
static void (*const refusals[PDMA_CAUSES])(struct story *) = {
	[PDMA_CAUSE_ACS_REDIRECT] = no_acs,
	[PDMA_CAUSE_HOST_BRIDGE] = no_host_bridge,
	[PDMA_CAUSE_CROSS_SOCKET] = no_cross_socket,
	[PDMA_CAUSE_KERNEL_CONFIG] = no_kernel,
	[PDMA_CAUSE_DMA_MASK] = no_mask,
	[PDMA_CAUSE_IOMMU_HOLE] = no_hole,
	[PDMA_CAUSE_ABOVE_4G] = no_place,
	[PDMA_CAUSE_DECODE_OFF] = no_decode,
	[PDMA_CAUSE_NO_MEMORY] = no_memory,
	[PDMA_CAUSE_NOT_READABLE] = not_readable,
};

static unsigned hops_between(const struct story *s)
{
	unsigned n = 0;

	for (uint32_t i = s->pair->a; i != s->pair->common; i = s->t->nodes[i].f.parent)
		n++;
	for (uint32_t i = s->pair->b; i != s->pair->common; i = s->t->nodes[i].f.parent)
		n++;
	return n;
}

void pdmai_explain(const struct pdma_topo *t, const struct pdmai_pair *pair,
		   const struct pdmai_decision *d, struct pdma_verdict *ret)
{
	struct pdma_verdict v = {
		.size = ret->size,
		.answer = d->answer,
		.mapping = d->mapping,
		.cause = d->cause,
		.hop = PDMAI_NONE,
		.common = pair->common,
		.in_switch = d->in_switch,
	};
	struct story s = { t, pair, &t->nodes[pair->a].f, &t->nodes[pair->b].f, &v };

	v.also = pdmai_also(t, pair, d);
	v.distance = hops_between(&s);
	if (d->answer != PDMA_YES && refusals[d->cause])
		refusals[d->cause](&s);
	else if (d->mapping == PDMA_MAP_BUS_ADDR)
		tell_direct(&s);
	else
		tell_through(&s);
	memcpy(ret, &v, sizeof(v));
}
