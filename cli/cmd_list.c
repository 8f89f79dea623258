// SPDX-License-Identifier: MIT
/* peerdma list: which memory there is for peers, and who could use it. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"

#define URI_MAX 64

/* The URIs under which a function's memory is opened. Return: how many. */
static int regions_of(const struct pdma_function *f, char uri[PDMA_BARS + 2][URI_MAX],
		      uint64_t len[PDMA_BARS + 2])
{
	int n = 0;

	if (f->kind != PDMA_FUNCTION_ENDPOINT)
		return 0;
	for (int i = 0; f->is_vfio && i < PDMA_BARS; i++) {
		if (!f->bar[i].is_mem || f->bar[i].len < 4096 || !f->bar[i].addr)
			continue;
		snprintf(uri[n], URI_MAX, "vfio:%s/bar%d", f->bdf, i);
		len[n++] = f->bar[i].len;
	}
	if (f->p2pmem) {
		snprintf(uri[n], URI_MAX, "cmb:%s", f->bdf);
		len[n++] = f->p2pmem;
	}
	return n;
}

static bool is_shown(const struct cli *cli, const struct pdma_function *f)
{
	return cli_option(cli, "all") || f->is_importer || f->is_exporter;
}

static void group_cell(struct cli_table *t, const struct pdma_function *f)
{
	static const char *const types[] = {
		[PDMA_IOMMU_IDENTITY] = "identity",
		[PDMA_IOMMU_DMA] = "DMA",
		[PDMA_IOMMU_BLOCKED] = "blocked",
		[PDMA_IOMMU_UNKNOWN] = "unknown",
	};

	if (f->iommu_group < 0)
		cli_table_cell(t, CLI_DIM, "-");
	else
		cli_table_cell(t, CLI_PLAIN, "%d %s", f->iommu_group, types[f->iommu] ?: "");
}

static const char *state_of(const struct pdma_function *f)
{
	/* What a driver in user space has is switched on when a program opens it. */
	if (f->is_vfio && (f->decode == PDMA_OFF || !strncmp(f->power, "D3", 2)))
		return "not open";
	if (!strncmp(f->power, "D3", 2))
		return "asleep";
	if (f->decode == PDMA_OFF)
		return "decode off";
	if (f->master == PDMA_OFF)
		return "master off";
	return f->decode == PDMA_NOT_READ ? "?" : "on";
}

static void add_row(struct cli_table *t, const struct cli_machine *m, uint32_t index,
		    const struct pdma_function *f)
{
	int bar = pdma_function_largest_bar(f);
	const char *state = state_of(f);
	char size[16], link[64];

	cli_table_row(t);
	cli_table_cell(t, CLI_PLAIN, "%s", f->bdf);
	cli_table_cell(t, CLI_PLAIN, "%s", pdma_role_name(f));
	cli_table_cell(t, CLI_PLAIN, "%s", f->name[0] ? f->name : "-");
	cli_table_cell(t, CLI_PLAIN, "%s", f->driver[0] ? f->driver : "-");
	cli_table_cell(t, CLI_PLAIN, "%s", bar < 0 ? "-" : cli_size_text(f->bar[bar].len, size));
	cli_table_cell(t, CLI_PLAIN, "%s", pdma_import_name(m->topo, index));
	group_cell(t, f);
	if (f->numa_node < 0)
		cli_table_cell(t, CLI_DIM, "-");
	else
		cli_table_cell(t, CLI_PLAIN, "%d", f->numa_node);
	cli_table_cell(t, CLI_PLAIN, "%s", cli_link_text(f, link));
	cli_table_cell(t, strcmp(state, "on") ? CLI_WARN : CLI_PLAIN, "%s", state);
}

static enum cli_status print_devices(struct cli *cli, const struct cli_machine *m)
{
	struct cli_table *t = cli_table_new(cli);

	cli_table_column(t, "ADDRESS", CLI_LEFT);
	cli_table_column(t, "ROLE", CLI_LEFT);
	cli_table_column(t, "NAME", CLI_LEFT);
	cli_table_column(t, "DRIVER", CLI_LEFT);
	cli_table_column(t, "MEMORY", CLI_RIGHT);
	cli_table_column(t, "IMPORTS", CLI_LEFT);
	cli_table_column(t, "GROUP", CLI_LEFT);
	cli_table_column(t, "NUMA", CLI_RIGHT);
	cli_table_column(t, "LINK", CLI_LEFT);
	cli_table_column(t, "STATE", CLI_LEFT);
	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);

		if (is_shown(cli, &f))
			add_row(t, m, i, &f);
	}
	return cli_table_print(t);
}

static enum cli_status print_regions(struct cli *cli, const struct cli_machine *m)
{
	char uri[PDMA_BARS + 2][URI_MAX], size[16];
	struct cli_table *t = cli_table_new(cli);
	uint64_t len[PDMA_BARS + 2];
	bool any = false;

	cli_table_column(t, "REGION", CLI_LEFT);
	cli_table_column(t, "SIZE", CLI_RIGHT);
	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);
		int n = regions_of(&f, uri, len);

		for (int r = 0; r < n; r++) {
			cli_table_row(t);
			cli_table_cell(t, CLI_PLAIN, "%s", uri[r]);
			cli_table_cell(t, CLI_PLAIN, "%s", cli_size_text(len[r], size));
			any = true;
		}
	}
	puts("");
	if (any)
		return cli_table_print(t);
	cli_table_free(t);
	puts("No device memory can be opened as a region: none is bound to vfio-pci, and no\n"
	     "driver offers memory to peers. (To give a device to vfio-pci: echo vfio-pci >\n"
	     "/sys/bus/pci/devices/ADDRESS/driver_override, unbind it, write its address to\n"
	     "/sys/bus/pci/drivers_probe.)");
	return CLI_DONE;
}

static enum cli_status print_json(struct cli *cli, const struct cli_machine *m)
{
	struct json_object *o = json_object_new_object(), *devices = json_object_new_array();
	struct json_object *regions = json_object_new_array(), *r;
	char uri[PDMA_BARS + 2][URI_MAX];
	uint64_t len[PDMA_BARS + 2];

	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);
		int n = regions_of(&f, uri, len);

		if (is_shown(cli, &f)) {
			r = cli_json_function(m, &f);
			cli_json_text(r, "imports", pdma_import_name(m->topo, i));
			json_object_array_add(devices, r);
		}
		for (int k = 0; k < n; k++) {
			r = json_object_new_object();
			cli_json_text(r, "uri", uri[k]);
			cli_json_number(r, "length", len[k]);
			json_object_array_add(regions, r);
		}
	}
	json_object_object_add(o, "system", cli_json_system(m));
	json_object_object_add(o, "devices", devices);
	json_object_object_add(o, "regions", regions);
	return cli_json_print(o);
}

static enum cli_status list(struct cli *cli, const struct cli_machine *m)
{
	enum cli_status status;

	if (cli->json)
		return print_json(cli, m);
	status = print_devices(cli, m);
	return status ? status : print_regions(cli, m);
}

static enum cli_status run(struct cli *cli)
{
	return cli_machine_run(cli, list);
}

static const struct cli_option options[] = {
	{ "all", 'a', NULL, "every PCI function, ports and bridges too", CLI_COMPLETE_NONE },
	CLI_OPTION_SYSROOT,
	CLI_OPTION_END,
};

const struct cli_command cli_cmd_list = {
	.name = "list",
	.args = "",
	.summary = "devices that can use peer-to-peer, and memory that can be opened",
	.help = "The first table has the devices: accelerators, NICs, NVMe drives and what\n"
		"belongs to user-space drivers. MEMORY is the largest memory BAR, IMPORTS how\n"
		"the driver takes memory of others, GROUP the IOMMU group and how it treats\n"
		"addresses, STATE whether the device answers.\n"
		"The second table has regions, by the names that copy, serve and the library take.",
	.examples = "peerdma list\n"
		    "peerdma list --json | jq -r '.regions[].uri'",
	.options = options,
	.run = run,
};
