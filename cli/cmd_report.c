// SPDX-License-Identifier: MIT
/* peerdma report: everything about this machine on one page, for a ticket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/report.h"

#define DEFAULT_PATH "peerdma-report.html"

static enum cli_status write_page(const struct cli *cli, const struct cli_machine *m, FILE *file)
{
	enum cli_status status;
	const char *path;

	cli_report_begin(file, m);
	cli_report_devices(file, m);
	status = cli_report_verdicts(file, m);
	status = status ? status : cli_report_findings(file, m);
	for (int i = 0; !status && (path = cli_option_at(cli, "attach", i)); i++)
		status = cli_report_attach(file, path);
	cli_report_end(file);
	return status;
}

/* A page that is there stays whole until the new one is. */
static enum cli_status write_file(const struct cli *cli, const struct cli_machine *m,
				  const char *path)
{
	enum cli_status status;
	char *temp;
	FILE *file;

	if (asprintf(&temp, "%s.new", path) < 0)
		return cli_error(CLI_FAILED, NULL, strerror(ENOMEM), "%s", path);
	file = fopen(temp, "wxe");
	if (!file) {
		status = cli_error(CLI_FAILED,
				   errno == EEXIST ? "remove it if no report runs" : NULL,
				   strerror(errno), "%s", temp);
		free(temp);
		return status;
	}
	status = write_page(cli, m, file);
	if ((ferror(file) | fclose(file)) && !status)
		status = cli_error(CLI_FAILED, NULL, "cannot write", "%s", temp);
	if (!status && rename(temp, path))
		status = cli_error(CLI_FAILED, NULL, strerror(errno), "%s", path);
	if (status)
		unlink(temp);
	else
		fprintf(stderr, "%s: open it in a browser, or attach it to a ticket\n", path);
	free(temp);
	return status;
}

static enum cli_status report(struct cli *cli, const struct cli_machine *m)
{
	const char *path = cli_option(cli, "output");

	if (path && !strcmp(path, "-"))
		return write_page(cli, m, stdout);
	return write_file(cli, m, path ? path : DEFAULT_PATH);
}

static enum cli_status run(struct cli *cli)
{
	return cli_machine_run(cli, report);
}

static const struct cli_option options[] = {
	{ "output", 'o', "FILE",
	  "where to write it; - for standard output\n(default: " DEFAULT_PATH ")",
	  CLI_COMPLETE_FILE },
	{ "attach", 'a', "FILE",
	  "add a picture (SVG, PNG) or text, such as what bench and\n"
	  "check --measure printed (repeatable)",
	  CLI_COMPLETE_FILE },
	CLI_OPTION_SYSROOT,
	CLI_OPTION_END,
};

const struct cli_command cli_cmd_report = {
	.name = "report",
	.args = "",
	.summary = "one self-contained HTML page to attach to a ticket",
	.help = "The topology as a drawing, the devices, who reaches whose memory and why not,\n"
		"what doctor finds, and files with measured figures. The page needs no network\n"
		"and runs no scripts. It tells PCI addresses, drivers and the kernel's release,\n"
		"no host name.",
	.examples = "peerdma report\n"
		    "peerdma bench --plot rates.svg host:64M accel:0000:04:00.0 > rates.txt\n"
		    "peerdma report -o machine.html --attach rates.svg --attach rates.txt\n"
		    "peerdma report --sysroot captured-machine -o captured.html",
	.options = options,
	.run = run,
};
