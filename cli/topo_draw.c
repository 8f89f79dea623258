// SPDX-License-Identifier: MIT
/* The tree as SVG and for Graphviz. Names come from sysfs and maybe from a stranger's capture. */
#include "cli/topo.h"

#include <stdlib.h>
#include <string.h>

#define BOX_WIDTH  200
#define BOX_HEIGHT 40
#define STEP_X	   (BOX_WIDTH + 40)
#define STEP_Y	   (BOX_HEIGHT + 12)
#define MARGIN	   16

/* Text that means nothing to XML or to Graphviz. */
static void put_text(FILE *file, const char *text)
{
	for (; *text; text++)
		if (*text >= ' ' && *text < 127 && !strchr("<>&\"'\\", *text))
			fputc(*text, file);
		else
			fputc('?', file);
}

static const char *color_of(const struct pdma_function *f)
{
	if (f->acs == PDMA_ON &&
	    (f->acs_control &
	     (PDMA_ACS_REQUEST_REDIRECT | PDMA_ACS_COMPLETION_REDIRECT | PDMA_ACS_EGRESS_CONTROL)))
		return "#ffe0b3";
	if (f->kind != PDMA_FUNCTION_ENDPOINT)
		return "#eeeeee";
	if (f->is_exporter)
		return "#cfe8cf";
	return f->is_importer ? "#cfe0f5" : "#ffffff";
}

struct place {
	unsigned depth, row;
};

/* A parent stands in the row of its first child: children come next in the order of the tree. */
static struct place *place_all(const struct cli_machine *m, unsigned *ret_rows, unsigned *ret_depth)
{
	struct place *p = calloc(m->system.functions + 1, sizeof(*p));
	unsigned row = 0;

	*ret_depth = 0;
	for (uint32_t i = 0; p && i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);
		bool is_first = f.parent != PDMA_NO_FUNCTION && f.parent + 1 == i;

		p[i].depth = f.parent == PDMA_NO_FUNCTION ? 1 : p[f.parent].depth + 1;
		p[i].row = is_first ? p[f.parent].row : row++;
		if (p[i].depth > *ret_depth)
			*ret_depth = p[i].depth;
	}
	*ret_rows = row;
	return p;
}

static void draw_box(FILE *file, unsigned x, unsigned y, const char *fill)
{
	fprintf(file,
		"<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"%s\" "
		"stroke=\"#555\"/>\n",
		x, y, BOX_WIDTH, BOX_HEIGHT, fill);
}

static void draw_line(FILE *file, unsigned x, unsigned y, const char *text)
{
	fprintf(file, "<text x=\"%u\" y=\"%u\">", x + 8, y);
	put_text(file, text);
	fputs("</text>\n", file);
}

static void draw_edge(FILE *file, unsigned from_x, unsigned from_y, unsigned x, unsigned y)
{
	fprintf(file, "<path d=\"M%u %u H%u V%u H%u\" fill=\"none\" stroke=\"#999\"/>\n",
		from_x + BOX_WIDTH, from_y + BOX_HEIGHT / 2, x - 20, y + BOX_HEIGHT / 2, x);
}

static void draw_function(FILE *file, const struct pdma_function *f, unsigned x, unsigned y)
{
	char text[96], acs[32];

	draw_box(file, x, y, color_of(f));
	snprintf(text, sizeof(text), "%s %s", f->bdf, f->name[0] ? f->name : f->driver);
	draw_line(file, x, y + 16, text);
	snprintf(text, sizeof(text), "%s%s%s", pdma_role_name(f), f->acs == PDMA_ON ? ", ACS " : "",
		 f->acs == PDMA_ON ? cli_acs_text(f, acs) : "");
	draw_line(file, x, y + 32, text);
}

static void draw_functions(const struct cli_machine *m, const struct place *p, FILE *file)
{
	uint32_t host = UINT32_MAX;
	unsigned host_y = 0;

	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);
		unsigned x = MARGIN + p[i].depth * STEP_X, y = MARGIN + p[i].row * STEP_Y;

		if (f.host != host) {
			host = f.host;
			host_y = y;
			draw_box(file, MARGIN, y, "#dddddd");
			draw_line(file, MARGIN, y + 16, cli_host(m, host).name);
			draw_line(file, MARGIN, y + 32, "host bridge");
		}
		if (f.parent == PDMA_NO_FUNCTION)
			draw_edge(file, MARGIN, host_y, x, y);
		else
			draw_edge(file, MARGIN + p[f.parent].depth * STEP_X,
				  MARGIN + p[f.parent].row * STEP_Y, x, y);
		draw_function(file, &f, x, y);
	}
}

void cli_topo_svg(const struct cli_machine *m, FILE *file)
{
	unsigned rows, depth;
	struct place *p = place_all(m, &rows, &depth);

	if (!p)
		return;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<title>PCI Express topology</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		2 * MARGIN + (depth + 1) * STEP_X, 2 * MARGIN + rows * STEP_Y);
	draw_functions(m, p, file);
	fputs("</svg>\n", file);
	free(p);
}

void cli_topo_dot(const struct cli_machine *m, FILE *file)
{
	uint32_t host = UINT32_MAX;

	fputs("digraph topology {\n\trankdir=LR;\n\tnode [shape=box, style=\"rounded,filled\", "
	      "fontname=\"sans-serif\", fillcolor=white];\n\tedge [arrowhead=none];\n",
	      file);
	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);

		if (f.host != host) {
			host = f.host;
			fprintf(file, "\thost%u [label=\"", host);
			put_text(file, cli_host(m, host).name);
			fputs("\\nhost bridge\", fillcolor=\"#dddddd\"];\n", file);
		}
		fprintf(file, "\tf%u [label=\"%s ", i, f.bdf);
		put_text(file, f.name[0] ? f.name : f.driver);
		fprintf(file, "\\n%s\", fillcolor=\"%s\"];\n", pdma_role_name(&f), color_of(&f));
		if (f.parent == PDMA_NO_FUNCTION)
			fprintf(file, "\thost%u -> f%u;\n", host, i);
		else
			fprintf(file, "\tf%u -> f%u;\n", f.parent, i);
	}
	fputs("}\n", file);
}
