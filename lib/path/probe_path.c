// SPDX-License-Identifier: MIT
/* Causes that topology and config space show. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/path/doctor.h"

/* Pairs beyond this many devices say nothing new. */
#define DEVICES_MAX 512

/* Pairs of importers and exporters that have a cause, and the first of them. */
struct tally {
	unsigned pairs;
	struct pdmai_pair first;
	struct pdmai_decision decision;
};

struct tallies {
	struct tally of[2][PDMA_CAUSES]; /* [0] refused or not known, [1] slow or noteworthy */
	unsigned pairs;
};

static void count_pair(const struct pdma_topo *t, uint32_t a, uint32_t b, struct tallies *s)
{
	struct pdmai_decision d;
	struct pdmai_pair pair;
	struct tally *tally;

	pdmai_pair_find(t, a, b, &pair);
	pdmai_decide(t, &pair, &d);
	s->pairs++;
	tally = &s->of[d.answer == PDMA_YES][d.cause];
	if (!tally->pairs++) {
		tally->first = pair;
		tally->decision = d;
	}
}

static enum pdma_severity weigh(const struct pdma_topo *t, const struct tally *tally)
{
	const struct pdma_function *target = &t->nodes[tally->first.b].f;

	switch (tally->decision.cause) {
	case PDMA_CAUSE_IOMMU_TRANSLATES:
	case PDMA_CAUSE_NOT_READABLE:
		return PDMA_NOTE;
	case PDMA_CAUSE_DECODE_OFF:
		/* A device without a driver is not broken, it is not in use. */
		return target->driver[0] ? PDMA_BROKEN : PDMA_NOTE;
	default:
		return tally->decision.answer == PDMA_NO ? PDMA_BROKEN : PDMA_SLOW;
	}
}

static void report_tally(struct pdmai_doctor *d, const struct tally *tally, unsigned pairs)
{
	const struct pdma_topo *t = d->t;
	struct pdma_verdict v = { .size = sizeof(v) };
	struct pdma_finding *f;

	pdmai_explain(t, &tally->first, &tally->decision, &v);
	f = pdmai_finding(d, weigh(t, tally), tally->decision.cause,
			  v.hop == PDMAI_NONE ? tally->first.b : v.hop);
	PDMAI_SAY(f->what, "%s between %u of %u pairs of devices, such as %s to %s",
		  pdma_cause_title(tally->decision.cause), tally->pairs, pairs,
		  t->nodes[tally->first.a].f.bdf, t->nodes[tally->first.b].f.bdf);
	PDMAI_SAY(f->evidence, "%.199s", v.reason);
	PDMAI_SAY(f->remedy, "%s", v.remedy);
}

static void count_pairs(const struct pdma_topo *t, struct tallies *s)
{
	unsigned n_a = 0, n_b;

	for (uint32_t a = 0; a < t->n && n_a < DEVICES_MAX; a++) {
		if (!t->nodes[a].f.is_importer)
			continue;
		n_a++;
		n_b = 0;
		for (uint32_t b = 0; b < t->n && n_b < DEVICES_MAX; b++)
			if (a != b && pdmai_is_exporter(&t->nodes[b].f)) {
				n_b++;
				count_pair(t, a, b, s);
			}
	}
}

/* Causes of one place that another probe names. */
static bool has_own_probe(unsigned cause)
{
	return cause == PDMA_CAUSE_KERNEL_CONFIG || cause == PDMA_CAUSE_ABOVE_4G ||
	       cause == PDMA_CAUSE_NOT_READABLE;
}

static void probe_pairs(struct pdmai_doctor *d)
{
	struct tallies *s = calloc(1, sizeof(*s));

	if (!s) {
		d->failed = true;
		return;
	}
	count_pairs(d->t, s);
	for (int yes = 0; yes < 2; yes++)
		for (unsigned c = 1; c < PDMA_CAUSES; c++)
			if (s->of[yes][c].pairs && !has_own_probe(c))
				report_tally(d, &s->of[yes][c], s->pairs);
	if (!s->pairs) {
		struct pdma_finding *f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_NONE, PDMAI_NONE);

		PDMAI_SAY(f->what, "there is no pair of devices that peer-to-peer would help");
		PDMAI_SAY(f->evidence,
			  "%u PCI functions, none is an accelerator, offers memory to "
			  "peers or belongs to a user-space driver",
			  d->t->n);
	}
	free(s);
}

static void probe_small_bar(struct pdmai_doctor *d)
{
	char now[24], most[24];

	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		struct pdma_finding *f;

		for (int b = 0; pdmai_is_accel(fn) && b < PDMA_BARS; b++) {
			if (fn->bar[b].max_len <= fn->bar[b].len)
				continue;
			snprintf(now, sizeof(now), "%" PRIu64 " MiB", fn->bar[b].len >> 20);
			snprintf(most, sizeof(most), "%" PRIu64 " MiB", fn->bar[b].max_len >> 20);
			f = pdmai_finding(d, PDMA_SLOW, PDMA_CAUSE_SMALL_BAR, i);
			PDMAI_SAY(f->what, "BAR %d of %s shows %s and could show %s", b, fn->bdf,
				  now, most);
			PDMAI_SAY(f->evidence, "resizable BAR capability of %s", fn->bdf);
			PDMAI_SAY(f->remedy,
				  "switch on \"resizable BAR\" and \"above 4G decoding\" "
				  "in the firmware set-up, or write resource%d_resize",
				  b);
		}
	}
}

static void probe_ordering(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		struct pdma_finding *f;

		if (!pdmai_is_rdma(fn) || (fn->relaxed_ordering != PDMA_OFF && fn->ats != PDMA_ON))
			continue;
		f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_ORDERING_ATS, i);
		if (fn->relaxed_ordering == PDMA_OFF) {
			PDMAI_SAY(f->what, "relaxed ordering of %s is off", fn->bdf);
			PDMAI_SAY(f->evidence, "Device Control of %s, bit 4", fn->bdf);
			PDMAI_SAY(f->remedy,
				  "transfers through a host bridge gain by it: register "
				  "with IBV_ACCESS_RELAXED_ORDERING, check PCI_WR_ORDERING");
		} else {
			PDMAI_SAY(f->what, "address translation services of %s are on", fn->bdf);
			PDMAI_SAY(f->evidence, "ATS control of %s, bit 15", fn->bdf);
			PDMAI_SAY(f->remedy, "peer traffic needs ACS direct translated P2P then; "
					     "without it turn ATS off (pci=noats)");
		}
	}
}

static void bar_beyond(struct pdmai_doctor *d, uint32_t i, const struct pdmai_group *g)
{
	const struct pdmai_node *node = &d->t->nodes[i];
	bool for_vmm = pdmai_is_user_driver(&node->f);
	struct pdma_finding *f;

	f = pdmai_finding(d, for_vmm ? PDMA_BROKEN : PDMA_SLOW,
			  for_vmm ? PDMA_CAUSE_VMM_BAR : PDMA_CAUSE_IOMMU_HOLE, i);
	PDMAI_SAY(f->what, "memory of %s ends at 0x%" PRIx64 ", above what its IOMMU can map",
		  node->f.bdf, d->t->hot[i].top);
	PDMAI_SAY(f->evidence, "the IOMMU of group %d maps up to 0x%" PRIx64, g->id, g->last);
	PDMAI_SAY(f->remedy, for_vmm ? "let the VMM place the BAR lower (QEMU: a smaller "
				       "phys-bits), or firmware lower its MMIO base" :
				       "lower the MMIO base in the firmware set-up");
}

/* What is wider than the IOMMU, for the kernel and for a VMM that gives the device to a guest. */
static void probe_width(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdmai_node *node = &d->t->nodes[i];

		if (node->group >= 0 && pdmai_is_exporter(&node->f) &&
		    d->t->hot[i].top > d->t->groups[node->group].last)
			bar_beyond(d, i, &d->t->groups[node->group]);
	}
}

static void probe_reserved(struct pdmai_doctor *d)
{
	for (uint32_t g = 0; g < d->t->n_groups; g++) {
		const struct pdmai_group *group = &d->t->groups[g];
		struct pdma_finding *f;

		if (!group->meets_bar)
			continue;
		f = pdmai_finding(d, PDMA_SLOW, PDMA_CAUSE_IOMMU_HOLE, PDMAI_NONE);
		PDMAI_SAY(f->what, "a reserved range of IOMMU group %d covers a BAR", group->id);
		PDMAI_SAY(f->evidence, "/sys/kernel/iommu_groups/%d/reserved_regions", group->id);
		PDMAI_SAY(f->remedy, "firmware reserves what it gave to a device: update it, or "
				     "keep the devices of this group away from that BAR");
	}
}

/* A guest's IOMMU-less VMM has to map BARs where the guest sees them. */
#define COMMON_IOMMU_BITS 39

static void probe_guest_bar(struct pdmai_doctor *d)
{
	const struct pdma_system *s = &d->t->system;

	for (uint32_t i = 0; s->is_virtual && i < d->t->n; i++) {
		const struct pdmai_node *node = &d->t->nodes[i];
		struct pdma_finding *f;

		if (!pdmai_is_accel(&node->f) || d->t->hot[i].top >> COMMON_IOMMU_BITS == 0)
			continue;
		f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_VMM_BAR, i);
		PDMAI_SAY(f->what,
			  "in this guest, memory of %s ends at 0x%" PRIx64 ", beyond %d bits",
			  node->f.bdf, d->t->hot[i].top, COMMON_IOMMU_BITS);
		PDMAI_SAY(f->evidence, "resource of %s; the processor has the flag hypervisor",
			  node->f.bdf);
		PDMAI_SAY(f->remedy,
			  "if the host's IOMMU is narrower, its VMM cannot map the BAR for "
			  "peers (look for VFIO_MAP_DMA in its log); lower phys-bits");
	}
}

static void probe_viommu(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; d->t->system.is_virtual && i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		struct pdma_finding *f;

		if (fn->iommu != PDMA_IOMMU_DMA || !fn->is_importer)
			continue;
		f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_VIOMMU, i);
		PDMAI_SAY(f->what, "a virtual IOMMU translates for %s in this guest", fn->bdf);
		PDMAI_SAY(f->evidence,
			  "/sys/kernel/iommu_groups/%d/type, processor flag hypervisor",
			  fn->iommu_group);
		PDMAI_SAY(f->remedy,
			  "device servers outside the VMM (vfio-user, vhost) must know its "
			  "tables; if their DMA fails, start the guest with iommu=pt");
		return;
	}
}

static void probe_unplaced(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;

		for (int b = 0; b < PDMA_BARS; b++) {
			struct pdma_finding *f;

			if (!fn->bar[b].len || !fn->bar[b].is_mem || fn->bar[b].addr)
				continue;
			f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_ABOVE_4G, i);
			PDMAI_SAY(f->what, "BAR %d of %s, %" PRIu64 " MiB, has no address", b,
				  fn->bdf, fn->bar[b].len >> 20);
			PDMAI_SAY(f->evidence, "line %d of resource of %s", b + 1, fn->bdf);
			PDMAI_SAY(f->remedy,
				  "switch on \"above 4G decoding\" in the firmware set-up; "
				  "else boot with pci=realloc");
		}
	}
}

static void probe_exhausted(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		struct pdma_finding *f;

		if (!fn->p2pmem || fn->p2pmem_free)
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_BAR_EXHAUSTED, i);
		PDMAI_SAY(f->what, "all %" PRIu64 " KiB that %s offers to peers are in use",
			  fn->p2pmem >> 10, fn->bdf);
		PDMAI_SAY(f->evidence, "p2pmem/available of %s is 0", fn->bdf);
		PDMAI_SAY(f->remedy, "close programs that hold it, or use a device with more");
	}
}

static void probe_unreadable(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		struct pdma_finding *f;

		if (!d->t->hot[i].unread)
			continue;
		f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_NOT_READABLE, i);
		PDMAI_SAY(f->what, "ACS and other registers cannot be read as this user");
		PDMAI_SAY(f->evidence, "%u bytes of config space of %s",
			  d->t->nodes[i].f.config_len, d->t->nodes[i].f.bdf);
		PDMAI_SAY(f->remedy, "run as root for the whole answer");
		return;
	}
}

const struct pdmai_probe pdmai_path_probes[] = {
	/* 1, 2, 3, 6, 12, 16, 17, 24, by verdicts */
	{ PDMA_CAUSE_ACS_REDIRECT, probe_pairs },
	{ PDMA_CAUSE_SMALL_BAR, probe_small_bar },
	{ PDMA_CAUSE_ORDERING_ATS, probe_ordering },
	{ PDMA_CAUSE_VMM_BAR, probe_width },
	{ PDMA_CAUSE_VMM_BAR, probe_guest_bar },
	{ PDMA_CAUSE_IOMMU_HOLE, probe_reserved },
	{ PDMA_CAUSE_VIOMMU, probe_viommu },
	{ PDMA_CAUSE_ABOVE_4G, probe_unplaced },
	{ PDMA_CAUSE_BAR_EXHAUSTED, probe_exhausted },
	{ PDMA_CAUSE_NOT_READABLE, probe_unreadable },
	{ PDMA_CAUSE_NONE, NULL },
};
