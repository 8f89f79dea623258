/* SPDX-License-Identifier: MIT */
/* Parts of the HTML page of peerdma report. Errors of writing show in file. */
#ifndef PEERDMA_CLI_REPORT_H
#define PEERDMA_CLI_REPORT_H

#include <stdio.h>

#include "cli/machine.h"

/* Text as text: nothing in it can become a tag, an attribute or a script. */
void cli_html_text(FILE *file, const char *text);
void cli_html_textn(FILE *file, const char *text, size_t len);

void cli_report_begin(FILE *file, const struct cli_machine *machine);
void cli_report_devices(FILE *file, const struct cli_machine *machine);
/* Return: CLI_DONE, or after telling. */
enum cli_status cli_report_verdicts(FILE *file, const struct cli_machine *machine);
enum cli_status cli_report_findings(FILE *file, const struct cli_machine *machine);
/* A picture (SVG, PNG) or text (all else), as a section. Return: CLI_DONE, or after telling. */
enum cli_status cli_report_attach(FILE *file, const char *path);
void cli_report_end(FILE *file);

#endif
