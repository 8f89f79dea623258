// SPDX-License-Identifier: MIT
#include "cli/topo.h"

#include <stdlib.h>
#include <string.h>

const char *cli_cell_text(const struct pdma_cell *cell, char *buf)
{
	static const char *const words[] = {
		[PDMA_MAP_NONE] = "?",
		[PDMA_MAP_BUS_ADDR] = "bus",
		[PDMA_MAP_HOST_BRIDGE] = "host",
		[PDMA_MAP_IOVA] = "iova",
	};

	if (cell->answer == PDMA_YES)
		snprintf(buf, 16, "%s", words[cell->mapping]);
	else
		snprintf(buf, 16, "%s %u", cell->answer == PDMA_NO ? "no" : "?", cell->cause);
	return buf;
}

enum cli_status cli_matrix(const struct cli_machine *m, uint32_t **ret_list,
			   struct pdma_cell **ret_cells, size_t *ret_n)
{
	uint32_t *list = calloc(CLI_DEVICES_MAX, sizeof(*list));
	size_t n = list ? cli_devices(m, list, CLI_DEVICES_MAX) : 0;
	struct pdma_cell *cells = calloc(n * n + 1, sizeof(*cells));

	if (!list || !cells || pdma_path_matrix(m->topo, list, n, cells)) {
		free(list);
		free(cells);
		return cli_error(CLI_FAILED, NULL, list && cells ? pdma_error() : "out of memory",
				 "cannot work out the matrix");
	}
	*ret_list = list;
	*ret_cells = cells;
	*ret_n = n;
	return CLI_DONE;
}

static enum cli_style style_of(const struct pdma_cell *cell)
{
	if (cell->answer == PDMA_NO)
		return CLI_BAD;
	if (cell->answer == PDMA_UNKNOWN)
		return CLI_WARN;
	return cell->mapping == PDMA_MAP_BUS_ADDR ? CLI_GOOD : CLI_PLAIN;
}

static void print_legend(const struct pdma_cell *cells, size_t n)
{
	bool seen[PDMA_CAUSES] = { false };

	puts("\nRows start transfers, columns hold the memory. bus: by bus address, below the\n"
	     "host bridge; host: through the host bridge; iova: there, through the IOMMU.");
	for (size_t i = 0; i < n * n; i++)
		if (cells[i].answer != PDMA_YES)
			seen[cells[i].cause] = true;
	for (int c = 0; c < PDMA_CAUSES; c++)
		if (seen[c])
			printf("%4d  %s\n", c, pdma_cause_title((enum pdma_cause)c));
}

static enum cli_status print_table(struct cli *cli, const struct cli_machine *m,
				   const uint32_t *list, const struct pdma_cell *cells, size_t n)
{
	struct cli_table *t = cli_table_new(cli);
	char text[24];

	cli_table_column(t, "NR", CLI_RIGHT);
	cli_table_column(t, "ADDRESS", CLI_LEFT);
	cli_table_column(t, "DEVICE", CLI_LEFT);
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%zu", i);
		cli_table_column(t, text, CLI_LEFT);
	}
	for (size_t i = 0; i < n; i++) {
		struct pdma_function f = cli_function(m, list[i]);

		cli_table_row(t);
		cli_table_cell(t, CLI_PLAIN, "%zu", i);
		cli_table_cell(t, CLI_PLAIN, "%s", f.bdf);
		cli_table_cell(t, CLI_PLAIN, "%s", f.name[0] ? f.name : pdma_role_name(&f));
		for (size_t k = 0; k < n; k++) {
			const struct pdma_cell *cell = &cells[i * n + k];

			cli_table_cell(t, i == k ? CLI_DIM : style_of(cell), "%s",
				       i == k ? "self" : cli_cell_text(cell, text));
		}
	}
	return cli_table_print(t);
}

enum cli_status cli_topo_matrix(struct cli *cli, const struct cli_machine *m)
{
	enum cli_status status;
	struct pdma_cell *cells;
	uint32_t *list;
	size_t n;

	status = cli_matrix(m, &list, &cells, &n);
	if (status)
		return status;
	cli_print_system(m);
	status = print_table(cli, m, list, cells, n);
	if (!status)
		print_legend(cells, n);
	free(list);
	free(cells);
	return status;
}
