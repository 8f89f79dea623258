// SPDX-License-Identifier: MIT
/* Causes that lie in the stacks of accelerator vendors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/path/doctor.h"

static bool has_module(const struct pdmai_doctor *d, const char *name)
{
	return pdmai_tree_has(d->tree, "sys/module/%s", name);
}

/* ---- 8 ---- */

static void say_peermem(struct pdmai_doctor *d, uint32_t gpu, const char *what,
			const char *evidence)
{
	struct pdma_finding *f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_PEERMEM, gpu);

	PDMAI_SAY(f->what, "%s", what);
	PDMAI_SAY(f->evidence, "%s", evidence);
	PDMAI_SAY(f->remedy, "modprobe nvidia-peermem of the same driver, or use the open kernel "
			     "modules, whose dma-buf needs no such module");
}

static void probe_peermem(struct pdmai_doctor *d)
{
	uint32_t gpu = pdmai_driven_by(d->t, "nvidia");
	char text[256], driver[64], peermem[64], evidence[200];

	if (gpu == PDMAI_NONE || pdmai_first(d->t, pdmai_is_rdma) == PDMAI_NONE)
		return;
	pdmai_tree_text(d->tree, text, sizeof(text), "proc/driver/nvidia/version");
	if (strstr(text, "Open Kernel Module"))
		return;
	if (!has_module(d, "nvidia_peermem")) {
		say_peermem(d, gpu, "nvidia-peermem is not loaded: NICs cannot register GPU memory",
			    "no /sys/module/nvidia_peermem, and the driver is not the open one");
		return;
	}
	if (pdmai_tree_text(d->tree, driver, sizeof(driver), "sys/module/nvidia/version") ||
	    pdmai_tree_text(d->tree, peermem, sizeof(peermem),
			    "sys/module/nvidia_peermem/version") ||
	    !strcmp(driver, peermem))
		return;
	PDMAI_SAY(evidence, "/sys/module: nvidia %s, nvidia_peermem %s", driver, peermem);
	say_peermem(d, gpu, "nvidia-peermem does not belong to the driver that runs", evidence);
}

/* ---- 4 ---- */

static bool is_forced(const struct pdmai_doctor *d, char evidence[200])
{
	char text[4096];

	pdmai_tree_text(d->tree, text, sizeof(text), "proc/driver/nvidia/params");
	if (strstr(text, "ForceP2P")) {
		snprintf(evidence, 200, "ForceP2P in /proc/driver/nvidia/params");
		return true;
	}
	pdmai_tree_text(d->tree, text, sizeof(text), "proc/cmdline");
	if (strstr(text, "pcie_acs_override=")) {
		snprintf(evidence, 200, "pcie_acs_override in /proc/cmdline");
		return true;
	}
	return false;
}

static void probe_forced(struct pdmai_doctor *d)
{
	char evidence[200];
	struct pdma_finding *f;

	for (uint32_t h = 0; h < d->t->n_hosts; h++) {
		uint32_t first = d->t->hosts[h].h.first;

		if (d->t->hosts[h].listed != PDMAI_NOT_LISTED || !is_forced(d, evidence))
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_SILENT_CORRUPTION, first);
		PDMAI_SAY(f->what,
			  "peer-to-peer is forced on a host bridge that nobody vouches for: "
			  "data can get lost silently");
		PDMAI_SAY(f->evidence, "%s", evidence);
		PDMAI_SAY(f->remedy,
			  "take it back, or prove every pair with peerdma check --measure");
		return;
	}
}

/* ---- 18 ---- */

static void probe_storage(struct pdmai_doctor *d)
{
	uint32_t gpu = pdmai_driven_by(d->t, "nvidia"), disk = pdmai_first(d->t, pdmai_is_nvme);
	char text[8192];
	struct pdma_finding *f;
	const char *key;

	if (gpu == PDMAI_NONE || disk == PDMAI_NONE)
		return;
	if (!has_module(d, "nvidia_fs")) {
		f = pdmai_finding(d, PDMA_SLOW, PDMA_CAUSE_STORAGE_COMPAT, disk);
		PDMAI_SAY(f->what, "nvidia-fs is not loaded: cuFile copies through host memory");
		PDMAI_SAY(f->evidence, "no /sys/module/nvidia_fs");
		PDMAI_SAY(f->remedy,
			  "load nvidia-fs, or use a kernel and driver with p2pdma support "
			  "in cuFile; check with gdscheck -p");
		return;
	}
	pdmai_tree_text(d->tree, text, sizeof(text), "etc/cufile.json");
	key = strstr(text, "\"allow_compat_mode\"");
	if (!key || !(key = strchr(key, ':')) ||
	    strncmp(key + 1 + strspn(key + 1, " \t"), "true", 4))
		return;
	f = pdmai_finding(d, PDMA_NOTE, PDMA_CAUSE_STORAGE_COMPAT, disk);
	PDMAI_SAY(f->what, "cuFile may fall back to copies through host memory without a word");
	PDMAI_SAY(f->evidence, "allow_compat_mode is true in /etc/cufile.json");
	PDMAI_SAY(f->remedy, "set it to false, so that a fallback is an error");
}

/* ---- 19 ---- */

const struct pdmai_ucx_module pdmai_ucx_modules[] = {
	{ "nvidia", "libuct_cuda.so" },
	{ "amdgpu", "libuct_rocm.so" },
	{ "xe", "libuct_ze.so" },
	{ NULL, NULL },
};

const char *const pdmai_ucx_places[] = {
	"usr/lib/x86_64-linux-gnu/ucx",
	"usr/lib/aarch64-linux-gnu/ucx",
	"usr/lib64/ucx",
	"usr/lib/ucx",
	"usr/local/lib/ucx",
	NULL,
};

static void check_module(struct pdmai_doctor *d, const char *place,
			 const struct pdmai_ucx_module *module)
{
	uint32_t gpu = pdmai_driven_by(d->t, module->driver);
	struct pdma_finding *f;

	if (gpu == PDMAI_NONE || pdmai_tree_has(d->tree, "%s/%s", place, module->name) ||
	    pdmai_tree_has(d->tree, "%s/%s.0", place, module->name))
		return;
	f = pdmai_finding(d, PDMA_SLOW, PDMA_CAUSE_LIBRARY, gpu);
	PDMAI_SAY(f->what, "UCX is built without support for driver %s", module->driver);
	PDMAI_SAY(f->evidence, "no %s in /%s", module->name, place);
	PDMAI_SAY(f->remedy, "install the vendor's build; ucx_info -d lists what it knows");
}

static void probe_library(struct pdmai_doctor *d)
{
	for (size_t p = 0; pdmai_ucx_places[p]; p++)
		for (size_t i = 0; pdmai_ucx_modules[i].name; i++)
			if (pdmai_tree_has(d->tree, "%s", pdmai_ucx_places[p]))
				check_module(d, pdmai_ucx_places[p], &pdmai_ucx_modules[i]);
}

/* ---- 21 ---- */

static uint64_t amd_memory(const struct pdmai_doctor *d, const char *bdf, const char *attr)
{
	char text[64];

	if (pdmai_tree_text(d->tree, text, sizeof(text), "sys/bus/pci/devices/%s/%s", bdf, attr))
		return 0;
	return strtoull(text, NULL, 10);
}

static void probe_visible(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		uint64_t total, used;
		struct pdma_finding *f;

		if (strcmp(fn->driver, "amdgpu"))
			continue;
		total = amd_memory(d, fn->bdf, "mem_info_vis_vram_total");
		used = amd_memory(d, fn->bdf, "mem_info_vis_vram_used");
		if (!total || used < total - total / 20)
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_BAR_EXHAUSTED, i);
		PDMAI_SAY(f->what, "the memory that peers can see of %s is used up", fn->bdf);
		PDMAI_SAY(f->evidence, "mem_info_vis_vram_used is %llu MiB of %llu MiB",
			  (unsigned long long)used >> 20, (unsigned long long)total >> 20);
		PDMAI_SAY(f->remedy,
			  "make the BAR larger (resizable BAR), or end programs that use it");
	}
}

/* ---- 22 ---- */

static void probe_policy(struct pdmai_doctor *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct pdma_function *fn = &d->t->nodes[i].f;
		char text[1024];
		struct pdma_finding *f;

		if (strcmp(fn->driver, "nvidia"))
			continue;
		pdmai_tree_text(d->tree, text, sizeof(text),
				"proc/driver/nvidia/gpus/%s/information", fn->bdf);
		if (!strstr(text, "GeForce"))
			continue;
		f = pdmai_finding(d, PDMA_BROKEN, PDMA_CAUSE_VENDOR_POLICY, i);
		PDMAI_SAY(f->what, "the vendor's driver allows no peer access to %s, a GeForce",
			  fn->bdf);
		PDMAI_SAY(f->evidence, "/proc/driver/nvidia/gpus/%s/information", fn->bdf);
		PDMAI_SAY(f->remedy,
			  "use a data-centre or workstation model, or give it to vfio-pci");
	}
}

const struct pdmai_probe pdmai_vendor_probes[] = {
	{ PDMA_CAUSE_PEERMEM, probe_peermem },
	{ PDMA_CAUSE_SILENT_CORRUPTION, probe_forced },
	{ PDMA_CAUSE_STORAGE_COMPAT, probe_storage },
	{ PDMA_CAUSE_LIBRARY, probe_library },
	{ PDMA_CAUSE_BAR_EXHAUSTED, probe_visible },
	{ PDMA_CAUSE_VENDOR_POLICY, probe_policy },
	{ PDMA_CAUSE_NONE, NULL },
};
