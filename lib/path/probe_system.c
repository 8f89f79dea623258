// SPDX-License-Identifier: MIT
/* Causes that lie in kernel, limits and drivers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/path/doctor.h"

static const char *version_text(const struct pdma_topo *t)
{
	return t->system.kernel[0] ? t->system.kernel : "of unknown release";
}

static bool has_pair(const struct pdma_topo *t)
{
	return pdmai_first(t, pdmai_is_rdma) != PDMAI_NONE &&
	       pdmai_first(t, pdmai_is_exporter) != PDMAI_NONE;
}

/* ---- 12 ---- */

static const struct {
	enum pdmai_option option;
	enum pdma_severity severity;
	const char *without;
} needed[] = {
	{ PDMAI_OPT_P2PDMA, PDMA_BROKEN, "no driver can map memory of a peer" },
	{ PDMAI_OPT_DMABUF, PDMA_BROKEN, "device memory cannot be shared between drivers" },
	{ PDMAI_OPT_ODP, PDMA_SLOW, "buffers that move are pinned, or refused" },
	{ PDMAI_OPT_HMM_MIRROR, PDMA_NOTE, "page tables cannot be mirrored" },
	{ PDMAI_OPT_DEVICE_PRIVATE, PDMA_NOTE, "anonymous memory cannot live in a device" },
};

static void probe_config(struct pdmai_doctor *d)
{
	struct pdma_finding *f;

	if (!d->t->rules.has_p2pdma) {
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_KERNEL_CONFIG, PDMAI_NONE);
		PDMAI_SAY(f->what, "Linux %s is older than peer-to-peer DMA", version_text(d->t));
		PDMAI_SAY(f->evidence, "/proc/sys/kernel/osrelease; it came with 4.20");
		PDMAI_SAY(f->remedy, "use 7.2 or later");
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (d->t->options[needed[i].option] != PDMA_OFF)
			continue;
		f = pdmai_finding(d, needed[i].severity, PDMA_CAUSE_KERNEL_CONFIG, PDMAI_NONE);
		PDMAI_SAY(f->what, "the kernel is built without CONFIG_%s: %s",
			  pdmai_option_names[needed[i].option], needed[i].without);
		PDMAI_SAY(f->evidence, "configuration of Linux %s", version_text(d->t));
		PDMAI_SAY(f->remedy, "use a kernel that has it (Debian: linux-image-amd64 of "
				     "trixie-backports)");
	}
}

/* ---- 9 ---- */

/* First release in which a driver registers dma-bufs: pinned, and those that move. 0: none. */
static const struct importer {
	const char *driver;
	unsigned pinned, dynamic;
} importers[] = {
	{ "mlx5_core", PDMAI_VERSION(5, 12), PDMAI_VERSION(5, 12) },
	{ "efa", PDMAI_VERSION(5, 15), 0 },
	{ "ice", PDMAI_VERSION(6, 3), 0 },
	{ "i40e", PDMAI_VERSION(6, 3), 0 },
	{ "irdma", PDMAI_VERSION(6, 3), 0 },
	{ "bnxt_en", PDMAI_VERSION(6, 6), 0 },
	{ "mana", PDMAI_VERSION(6, 15), 0 },
	{ "mlx4_core", 0, 0 },
	{ "hns3", 0, 0 },
	{ "cxgb4", 0, 0 },
	{ "qede", 0, 0 },
};

static const struct importer *importer_of(const char *driver)
{
	for (size_t i = 0; i < sizeof(importers) / sizeof(*importers); i++)
		if (!strcmp(driver, importers[i].driver))
			return &importers[i];
	return NULL;
}

const char *pdma_import_name(const struct pdma_topo *t, uint32_t index)
{
	const struct pdma_function *f = index < t->n ? &t->nodes[index].f : NULL;
	const struct importer *importer = f ? importer_of(f->driver) : NULL;

	if (!f || !f->is_importer)
		return "none";
	if (pdmai_is_user_driver(f))
		return "vfio";
	if (f->role == PDMA_ROLE_ACCELERATOR && f->driver[0])
		return "driver";
	if (f->role == PDMA_ROLE_NVME && f->driver[0])
		return t->rules.has_p2pdma ? "p2pmem" : "none";
	if (!importer || !importer->pinned || t->rules.version < importer->pinned)
		return "none";
	if (importer->dynamic && t->rules.version >= importer->dynamic &&
	    t->options[PDMAI_OPT_ODP] != PDMA_OFF)
		return "dma-buf, moving";
	return "dma-buf, pinned";
}

static void probe_importers(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		const struct importer *importer = importer_of(fn->driver);
		struct pdma_finding *f;

		if (!importer || fn->kind != PDMA_FUNCTION_ENDPOINT ||
		    (importer->pinned && d->t->rules.version >= importer->pinned))
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_NO_DMABUF, i);
		PDMAI_SAY(f->what, "driver %s of %s cannot register a dma-buf in Linux %s",
			  fn->driver, fn->bdf, version_text(d->t));
		PDMAI_SAY(f->evidence, "ibv_reg_dmabuf_mr with fd -1 gives EOPNOTSUPP, not EBADF");
		if (importer->pinned)
			PDMAI_SAY(f->remedy, "use Linux %u.%u or later", importer->pinned >> 16,
				  importer->pinned & 0xffff);
		else
			PDMAI_SAY(f->remedy,
				  "use a NIC whose driver does (mlx5, irdma, bnxt_re, efa)");
	}
}

static bool is_vfio(const struct pdma_function *f)
{
	return f->is_vfio;
}

static void probe_vfio_export(struct pdmai_doctor *d)
{
	uint32_t i = pdmai_first(d->t, is_vfio);
	struct pdma_finding *f;

	if (i == PDMAI_NONE || (d->t->options[PDMAI_OPT_VFIO_DMABUF] != PDMA_OFF &&
				d->t->rules.version >= PDMAI_VERSION(6, 19)))
		return;
	f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_NO_DMABUF, i);
	PDMAI_SAY(f->what, "%s of Linux %s cannot export BARs as dma-buf", d->t->nodes[i].f.driver,
		  version_text(d->t));
	PDMAI_SAY(f->evidence, "%s",
		  d->t->rules.version >= PDMAI_VERSION(6, 19) ?
			  "CONFIG_VFIO_PCI_DMABUF is not set" :
			  "it came with 6.19");
	PDMAI_SAY(f->remedy, "use 7.2 or later with CONFIG_VFIO_PCI_DMABUF=y");
}

/* ---- 10 ---- */

static bool is_in_user_space(const struct pdma_function *f)
{
	return f->kind == PDMA_FUNCTION_ENDPOINT && pdmai_is_user_driver(f);
}

static void probe_mapped_bar(struct pdmai_doctor *d)
{
	uint32_t i = pdmai_first(d->t, is_in_user_space);
	struct pdma_finding *f;

	if (i == PDMAI_NONE || pdmai_first(d->t, pdmai_is_rdma) == PDMAI_NONE)
		return;
	f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_MAPPED_BAR, i);
	PDMAI_SAY(f->what, "a pointer to a mapped BAR of %s cannot be registered with ibv_reg_mr",
		  d->t->nodes[i].f.bdf);
	PDMAI_SAY(f->evidence, "%s maps BARs without pages: the kernel answers EFAULT",
		  d->t->nodes[i].f.driver);
	PDMAI_SAY(f->remedy, "register the region by its dma-buf: vfio:%s/barN",
		  d->t->nodes[i].f.bdf);
}

/* ---- 11 ---- */

/* Their buffers move between device and host memory; a static attach moves them to the host. */
static bool is_mover(const struct pdma_function *f)
{
	static const char *const drivers[] = { "amdgpu", "xe", "i915", "nouveau", "radeon" };

	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(f->driver, drivers[i]))
			return true;
	return false;
}

/* 7.2 has no such option; which release dropped it was not looked up. */
#define MOVE_NOTIFY_ALWAYS PDMAI_VERSION(7, 0)

static const char *static_because(const struct pdma_topo *t, const struct pdma_function *nic)
{
	const struct importer *importer = importer_of(nic->driver);

	if (t->options[PDMAI_OPT_MOVE_NOTIFY] == PDMA_OFF && t->rules.version < MOVE_NOTIFY_ALWAYS)
		return "CONFIG_DMABUF_MOVE_NOTIFY is not set";
	if (t->options[PDMAI_OPT_ODP] == PDMA_OFF)
		return "CONFIG_INFINIBAND_ON_DEMAND_PAGING is not set";
	if (importer && !importer->dynamic)
		return "its driver has no dynamic dma-buf attach";
	return NULL;
}

static void probe_moved(struct pdmai_doctor *d)
{
	uint32_t gpu = pdmai_first(d->t, is_mover);

	for (uint32_t i = 0; gpu != PDMAI_NONE && i < d->t->n; i++) {
		const struct pdma_function *nic = &d->t->nodes[i].f;
		const char *why = pdmai_is_rdma(nic) ? static_because(d->t, nic) : NULL;
		struct pdma_finding *f;

		if (!why)
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_MOVED_TO_RAM, i);
		PDMAI_SAY(f->what,
			  "%s attaches statically: %s moves buffers to host memory for it, "
			  "silently",
			  nic->bdf, d->t->nodes[gpu].f.driver);
		PDMAI_SAY(f->evidence, "%s", why);
		PDMAI_SAY(f->remedy, "use a kernel with the option and a NIC with dynamic attach "
				     "(mlx5); peerdma check --measure compares the addresses");
	}
}

/* ---- 13 ---- */

#define CAP_IPC_LOCK 14

static bool has_capability(const struct pdmai_tree *tree, unsigned bit)
{
	unsigned long long caps;
	char text[4096], *line;

	if (pdmai_tree_text(tree, text, sizeof(text), "proc/self/status"))
		return true;
	line = strstr(text, "CapEff:");
	return !line || sscanf(line, "CapEff: %llx", &caps) != 1 || (caps >> bit & 1);
}

/* Less than this, and the first real registration fails. */
#define MEMLOCK_SMALL (64ull << 20)

static void probe_memlock(struct pdmai_doctor *d)
{
	unsigned long long limit;
	char text[4096], *line;
	struct pdma_finding *f;

	if (pdmai_tree_text(d->tree, text, sizeof(text), "proc/self/limits"))
		return;
	line = strstr(text, "Max locked memory");
	if (!line || sscanf(line, "Max locked memory %llu", &limit) != 1 ||
	    limit >= MEMLOCK_SMALL || has_capability(d->tree, CAP_IPC_LOCK))
		return;
	f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_MEMLOCK, PDMAI_NONE);
	PDMAI_SAY(f->what,
		  "only %llu KiB can be locked, so registering more memory fails with ENOMEM",
		  limit >> 10);
	PDMAI_SAY(f->evidence, "/proc/self/limits, and no CAP_IPC_LOCK in /proc/self/status");
	PDMAI_SAY(f->remedy, "ulimit -l unlimited (limits.conf: memlock; containers: "
			     "--ulimit memlock=-1 --cap-add IPC_LOCK)");
}

/* ---- 20 ---- */

static void probe_huge_pages(struct pdmai_doctor *d)
{
	char thp[96], count[24];
	struct pdma_finding *f;

	if (pdmai_first(d->t, pdmai_is_rdma) == PDMAI_NONE ||
	    pdmai_tree_text(d->tree, thp, sizeof(thp),
			    "sys/kernel/mm/transparent_hugepage/enabled") ||
	    !strstr(thp, "[never]"))
		return;
	pdmai_tree_text(d->tree, count, sizeof(count), "proc/sys/vm/nr_hugepages");
	if (strtoull(count, NULL, 10))
		return;
	f = pdmai_finding(d, PDMA_SLOW, PDMA_CAUSE_SLOW_REGISTER, PDMAI_NONE);
	PDMAI_SAY(f->what,
		  "without huge pages, registering host memory takes up to 170 ms for a GB");
	PDMAI_SAY(f->evidence, "transparent_hugepage/enabled: %s; nr_hugepages: %s", thp,
		  count[0] ? count : "not known");
	PDMAI_SAY(f->remedy,
		  "allow them (echo madvise > /sys/kernel/mm/transparent_hugepage/enabled), "
		  "register once and keep it: device memory registers in under a ms");
}

/* ---- 5 ---- */

/* What is reported of root complexes of client processors; a measurement decides. */
static bool is_client(const struct pdma_topo *t)
{
	return !strcmp(t->system.cpu_vendor, "GenuineIntel") &&
	       strstr(t->system.cpu_model, "Core") && !t->system.is_virtual;
}

static void probe_writes_only(struct pdmai_doctor *d)
{
	struct pdma_finding *f;

	if (!is_client(d->t) || pdmai_first(d->t, pdmai_is_exporter) == PDMAI_NONE)
		return;
	f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_WRITES_ONLY, PDMAI_NONE);
	PDMAI_SAY(
		f->what,
		"root ports of client processors are known to pass peer writes at best, no reads");
	PDMAI_SAY(f->evidence, "%s", d->t->system.cpu_model);
	PDMAI_SAY(f->remedy,
		  "let the device that has the data push it; peerdma check --measure tries "
		  "both directions");
}

static void probe_pair_note(struct pdmai_doctor *d)
{
	struct pdma_finding *f;

	if (has_pair(d->t) || pdmai_first(d->t, pdmai_is_exporter) == PDMAI_NONE)
		return;
	f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_NO_DMABUF, PDMAI_NONE);
	PDMAI_SAY(f->what, "no RDMA device here can register device memory");
	PDMAI_SAY(f->evidence, "no function has a driver of an RDMA device");
	PDMAI_SAY(f->remedy,
		  "software RDMA (rxe, siw) has no dma-buf registration: a NIC is needed");
}

/* ---- 28 ---- */

/* Seen in 7.2.12 and 7.3.4; later ones were not looked at. */
#define GAPS_FIRST PDMAI_VERSION(7, 2)
#define GAPS_LAST  PDMAI_VERSION(7, 3)

/* Its memory has pages, so that a pointer to it can be given to read() and write(). */
static bool has_pages(const struct pdma_function *f)
{
	return f->p2pmem || !strcmp(f->driver, "peerdma_vfio");
}

/* Return: memory that the drive reaches by bus address, one with pages if there is; PDMAI_NONE. */
static uint32_t find_below_switch(const struct pdma_topo *t, uint32_t drive)
{
	uint32_t found = PDMAI_NONE;
	struct pdmai_decision d;
	struct pdmai_pair pair;

	for (uint32_t i = 0; i < t->n; i++) {
		if (i == drive || !pdmai_is_exporter(&t->nodes[i].f))
			continue;
		pdmai_pair_find(t, drive, i, &pair);
		pdmai_decide(t, &pair, &d);
		if (d.answer != PDMA_YES || d.mapping != PDMA_MAP_BUS_ADDR)
			continue;
		if (has_pages(&t->nodes[i].f))
			return i;
		if (found == PDMAI_NONE)
			found = i;
	}
	return found;
}

static void report_gaps(struct pdmai_doctor *d, uint32_t drive, uint32_t target)
{
	const struct pdma_function *from = &d->t->nodes[drive].f, *to = &d->t->nodes[target].f;
	struct pdma_finding *f = pdmai_finding(d, has_pages(to) ? PDMA_BROKEN : PDMA_NOTE,
					       PDMA_CAUSE_KERNEL_FAULT, drive);

	PDMAI_SAY(f->what, "requests of %s with several pieces of memory of %s may fail with EIO",
		  from->bdf, to->bdf);
	PDMAI_SAY(f->evidence,
		  "blk_dma_map_iter_start() of Linux %s; a switch joins them, and the IOMMU "
		  "translates for %s",
		  version_text(d->t), from->bdf);
	PDMAI_SAY(f->remedy, "give memory in one piece; where pieces join at page borders, echo 0 "
			     "> /sys/module/nvme/parameters/sgl_threshold; or iommu=pt");
}

static void probe_gaps(struct pdmai_doctor *d)
{
	if (d->t->rules.version < GAPS_FIRST || d->t->rules.version > GAPS_LAST)
		return;
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		uint32_t target;

		if (!pdmai_is_nvme(fn) || strcmp(fn->driver, "nvme") != 0 ||
		    fn->iommu != PDMA_IOMMU_DMA)
			continue;
		target = find_below_switch(d->t, i);
		if (target != PDMAI_NONE)
			report_gaps(d, i, target);
	}
}

const struct pdmai_probe pdmai_system_probes[] = {
	{ PDMA_CAUSE_KERNEL_CONFIG, probe_config },
	{ PDMA_CAUSE_NO_DMABUF, probe_importers },
	{ PDMA_CAUSE_NO_DMABUF, probe_vfio_export },
	{ PDMA_CAUSE_NO_DMABUF, probe_pair_note },
	{ PDMA_CAUSE_MAPPED_BAR, probe_mapped_bar },
	{ PDMA_CAUSE_MOVED_TO_RAM, probe_moved },
	{ PDMA_CAUSE_MEMLOCK, probe_memlock },
	{ PDMA_CAUSE_SLOW_REGISTER, probe_huge_pages },
	{ PDMA_CAUSE_WRITES_ONLY, probe_writes_only },
	{ PDMA_CAUSE_KERNEL_FAULT, probe_gaps },
	{ PDMA_CAUSE_NONE, NULL },
};
