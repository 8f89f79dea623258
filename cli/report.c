// SPDX-License-Identifier: MIT
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/topo.h"

/* Readable without colours too: every cell and finding says in words what its colour says. */
static const char style[] =
	"body{font:14px/1.45 system-ui,sans-serif;color:#222;max-width:75em;margin:2em auto;"
	"padding:0 1em}\n"
	"h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccc}\n"
	"table{border-collapse:collapse;margin:.7em 0}\n"
	"th,td{border:1px solid #ddd;padding:.25em .6em;text-align:left;vertical-align:top}\n"
	"th{background:#f3f3f3}td.n{text-align:right}\n"
	".yes{background:#e3f4e3}.way{background:#eef3fb}.no{background:#fbe3e3}"
	".unknown{background:#fdf3d7}.self{background:#f6f6f6;color:#888}\n"
	".broken{background:#fbe3e3}.slow{background:#fdf3d7}\n"
	"code,pre{font-family:ui-monospace,monospace;font-size:.92em}\n"
	"pre{background:#f8f8f8;padding:.8em;overflow-x:auto}.wide{overflow-x:auto}\n"
	"dt{font-weight:600;margin-top:.7em}dd{margin-left:1.5em}img,svg{max-width:100%}\n"
	"@media print{body{max-width:none}}\n";

void cli_html_textn(FILE *file, const char *text, size_t len)
{
	for (; len; len--, text++) {
		unsigned char c = (unsigned char)*text;

		switch (c) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		case '\'':
			fputs("&#39;", file);
			break;
		default:
			fputc(c >= ' ' || c == '\n' || c == '\t' ? c : '?', file);
		}
	}
}

void cli_html_text(FILE *file, const char *text)
{
	cli_html_textn(file, text, strlen(text));
}

static void cell(FILE *file, const char *class, const char *text)
{
	fprintf(file, "<td class=\"%s\">", class);
	cli_html_text(file, text);
	fputs("</td>", file);
}

void cli_report_begin(FILE *file, const struct cli_machine *m)
{
	char when[64] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	fprintf(file,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>peerdma report</title>\n<style>\n%s</style>\n</head>\n<body>\n"
		"<h1>Peer-to-peer DMA on this machine</h1>\n<p>",
		style);
	cli_html_text(file, m->system.kernel[0] ? m->system.kernel : "kernel not known");
	fputs(", ", file);
	cli_html_text(file, m->system.cpu_model[0] ? m->system.cpu_model : "CPU not known");
	fprintf(file, "%s; %u PCI functions. Made %s by peerdma %s.</p>\n",
		m->system.is_virtual ? ", in a virtual machine" : "", m->system.functions, when,
		PEERDMA_VERSION);
	fputs("<h2>Topology</h2>\n<p>Green: memory that peers may want. Blue: devices that can "
	      "read and write others' memory. Orange: ports that redirect requests up to the "
	      "host bridge (ACS).</p>\n<div class=\"wide\">\n",
	      file);
	cli_topo_svg(m, file);
	fputs("</div>\n", file);
}

static void device_row(FILE *file, const struct cli_machine *m, uint32_t index)
{
	struct pdma_function f = cli_function(m, index);
	int bar = pdma_function_largest_bar(&f);
	char size[16], link[64], group[16] = "-";

	if (f.iommu_group >= 0)
		snprintf(group, sizeof(group), "%d", f.iommu_group);
	fputs("<tr>", file);
	cell(file, "", f.bdf);
	cell(file, "", pdma_role_name(&f));
	cell(file, "", f.name[0] ? f.name : "-");
	cell(file, "", f.driver[0] ? f.driver : "none");
	cell(file, "n", bar < 0 ? "-" : cli_size_text(f.bar[bar].len, size));
	cell(file, "n", group);
	cell(file, "", cli_link_text(&f, link));
	fputs("</tr>\n", file);
}

void cli_report_devices(FILE *file, const struct cli_machine *m)
{
	uint32_t list[CLI_DEVICES_MAX];
	size_t n = cli_devices(m, list, CLI_DEVICES_MAX);

	fputs("<h2>Devices</h2>\n<div class=\"wide\"><table>\n<tr><th>Address<th>Role<th>Name"
	      "<th>Driver<th>Memory<th>IOMMU group<th>Link</tr>\n",
	      file);
	for (size_t i = 0; i < n; i++)
		device_row(file, m, list[i]);
	fputs("</table></div>\n", file);
}

static const char *class_of(const struct pdma_cell *c)
{
	if (c->answer == PDMA_NO)
		return "no";
	if (c->answer == PDMA_UNKNOWN)
		return "unknown";
	return c->mapping == PDMA_MAP_BUS_ADDR ? "yes" : "way";
}

static void matrix(FILE *file, const struct cli_machine *m, const uint32_t *list,
		   const struct pdma_cell *cells, size_t n)
{
	char text[24];

	fputs("<div class=\"wide\"><table>\n<tr><th>", file);
	for (size_t k = 0; k < n; k++)
		fprintf(file, "<th>%s", cli_bdf(m, list[k]));
	fputs("</tr>\n", file);
	for (size_t i = 0; i < n; i++) {
		fprintf(file, "<tr><th>%s", cli_bdf(m, list[i]));
		for (size_t k = 0; k < n; k++)
			if (i == k)
				cell(file, "self", "self");
			else
				cell(file, class_of(&cells[i * n + k]),
				     cli_cell_text(&cells[i * n + k], text));
		fputs("</tr>\n", file);
	}
	fputs("</table></div>\n", file);
}

/* One entry for each pair that is not the plain good case. */
static void reason(FILE *file, const struct cli_machine *m, uint32_t from, uint32_t to)
{
	struct pdma_verdict v = { .size = sizeof(v) };
	struct pdma_target target = { .function = to, .bar = -1 };

	if (pdma_path_verdict(m->topo, from, &target, &v) ||
	    (v.answer == PDMA_YES && v.cause == PDMA_CAUSE_NONE))
		return;
	fprintf(file, "<dt><code>%s &rarr; %s</code>: %s</dt><dd>", cli_bdf(m, from),
		cli_bdf(m, to), pdma_answer_name(v.answer));
	cli_html_text(file, v.reason);
	if (v.remedy[0]) {
		fputs("<br>To change it: ", file);
		cli_html_text(file, v.remedy);
	}
	fputs("</dd>\n", file);
}

enum cli_status cli_report_verdicts(FILE *file, const struct cli_machine *m)
{
	enum cli_status status;
	struct pdma_cell *cells;
	uint32_t *list;
	size_t n;

	status = cli_matrix(m, &list, &cells, &n);
	if (status)
		return status;
	fputs("<h2>Who reaches whose memory</h2>\n<p>Rows start transfers, columns hold the "
	      "memory. bus: by bus address, below the host bridge. host: through the host "
	      "bridge. iova: there, translated by the IOMMU. no and ?: the number of the cause, "
	      "explained below. Predicted by the rules of this kernel.</p>\n",
	      file);
	matrix(file, m, list, cells, n);
	fputs("<dl>\n", file);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (i != k)
				reason(file, m, list[i], list[k]);
	fputs("</dl>\n", file);
	free(list);
	free(cells);
	return CLI_DONE;
}

static void finding(FILE *file, const struct pdma_finding *f)
{
	static const char *const words[] = {
		[PDMA_BROKEN] = "broken", [PDMA_SLOW] = "slow", [PDMA_NOTE] = "note"
	};

	fputs("<tr>", file);
	cell(file, words[f->severity], words[f->severity]);
	fprintf(file, "<td class=\"n\">%d</td>", (int)f->cause);
	cell(file, "", f->what);
	cell(file, "", f->evidence);
	cell(file, "", f->remedy);
	fputs("</tr>\n", file);
}

enum cli_status cli_report_findings(FILE *file, const struct cli_machine *m)
{
	struct pdma_findings *findings;
	size_t n;

	if (pdma_doctor_run(m->ctx, m->topo, &findings))
		return cli_error(CLI_FAILED, NULL, pdma_error(), "cannot look at the system");
	n = pdma_findings_count(findings);
	fputs("<h2>Findings</h2>\n", file);
	if (n)
		fputs("<div class=\"wide\"><table>\n"
		      "<tr><th><th>Cause<th>What<th>Seen<th>Try</tr>\n",
		      file);
	else
		fputs("<p>Nothing stands in the way.</p>\n", file);
	for (size_t i = 0; i < n; i++)
		finding(file, pdma_findings_get(findings, i));
	if (n)
		fputs("</table></div>\n", file);
	pdma_findings_destroy(findings);
	return CLI_DONE;
}

void cli_report_end(FILE *file)
{
	fputs("</body>\n</html>\n", file);
}
