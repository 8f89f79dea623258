// SPDX-License-Identifier: MIT
#include "cli/topo.h"

#include <stdlib.h>
#include <string.h>

void cli_print_system(const struct cli_machine *m)
{
	const struct pdma_system *s = &m->system;

	printf("Linux %s", s->kernel[0] ? s->kernel : "of unknown release");
	if (s->cpu_vendor[0])
		printf(", %s (%s, family 0x%x)", s->cpu_model, s->cpu_vendor, s->cpu_family);
	printf("%s\n\n", s->is_virtual ? ", in a virtual machine" : "");
}

const char *cli_acs_text(const struct pdma_function *f, char *buf)
{
	static const char names[7][3] = { "SV", "TB", "RR", "CR", "UF", "EC", "DT" };

	buf[0] = 0;
	if (f->acs == PDMA_NOT_READ)
		return strcpy(buf, "?");
	if (f->acs == PDMA_OFF)
		return strcpy(buf, "-");
	for (int i = 0; i < 7; i++)
		if (f->acs_control & 1 << i)
			strcat(strcat(buf, buf[0] ? " " : ""), names[i]);
	return buf[0] ? buf : strcpy(buf, "off");
}

static void add_host(struct cli_table *t, const struct cli_machine *m, uint32_t host, void **row)
{
	struct pdma_host h = cli_host(m, host);

	*row = cli_table_row_below(t, NULL);
	cli_table_cell(t, CLI_BOLD, "%s", h.name);
	cli_table_cell(t, CLI_PLAIN, "host bridge");
	if (h.first == PDMA_NO_FUNCTION)
		cli_table_cell(t, CLI_PLAIN, "-");
	else
		cli_table_cell(t, CLI_PLAIN, "%04x:%04x", h.vendor, h.device);
	if (h.numa_node < 0)
		cli_table_cell(t, CLI_PLAIN, "-");
	else
		cli_table_cell(t, CLI_PLAIN, "node %d", h.numa_node);
	for (int i = 0; i < 4; i++)
		cli_table_cell(t, CLI_PLAIN, "-");
}

static void add_function(struct cli_table *t, const struct pdma_function *f)
{
	bool redirects = f->acs == PDMA_ON && (f->acs_control & (PDMA_ACS_REQUEST_REDIRECT |
								 PDMA_ACS_COMPLETION_REDIRECT |
								 PDMA_ACS_EGRESS_CONTROL));
	int bar = pdma_function_largest_bar(f);
	char text[64];

	cli_table_cell(t, CLI_PLAIN, "%s", f->bdf);
	cli_table_cell(t, CLI_PLAIN, "%s", pdma_role_name(f));
	cli_table_cell(t, CLI_PLAIN, "%04x:%04x", f->vendor, f->device);
	cli_table_cell(t, CLI_PLAIN, "%s", f->name[0] ? f->name : f->driver[0] ? f->driver : "-");
	cli_table_cell(t, redirects ? CLI_WARN : CLI_PLAIN, "%s", cli_acs_text(f, text));
	if (f->iommu_group < 0)
		cli_table_cell(t, CLI_PLAIN, "-");
	else
		cli_table_cell(t, CLI_PLAIN, "%d", f->iommu_group);
	cli_table_cell(t, CLI_PLAIN, "%s", bar < 0 ? "-" : cli_size_text(f->bar[bar].len, text));
	cli_table_cell(t, CLI_PLAIN, "%s", cli_link_text(f, text));
}

enum cli_status cli_topo_tree(struct cli *cli, const struct cli_machine *m)
{
	struct cli_table *t = cli_table_new(cli);
	void **rows = calloc(m->system.functions + 1, sizeof(*rows)), *host_row = NULL;
	uint32_t host = UINT32_MAX;

	if (!rows) {
		cli_table_free(t);
		return cli_error(CLI_FAILED, NULL, "out of memory", "cannot print the tree");
	}
	cli_print_system(m);
	cli_table_column_tree(t, "FUNCTION");
	cli_table_column(t, "ROLE", CLI_LEFT);
	cli_table_column(t, "ID", CLI_LEFT);
	cli_table_column(t, "NAME", CLI_LEFT);
	cli_table_column(t, "ACS", CLI_LEFT);
	cli_table_column(t, "GROUP", CLI_RIGHT);
	cli_table_column(t, "MEMORY", CLI_RIGHT);
	cli_table_column(t, "LINK", CLI_LEFT);
	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);

		if (f.host != host)
			add_host(t, m, f.host, &host_row);
		host = f.host;
		rows[i] = cli_table_row_below(t, f.parent == PDMA_NO_FUNCTION ? host_row :
										rows[f.parent]);
		add_function(t, &f);
	}
	free(rows);
	return cli_table_print(t);
}
