// SPDX-License-Identifier: MIT
/* peerdma topo: how the devices hang together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/capture.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/topo.h"

static struct json_object *json_matrix(const struct cli_machine *m, const uint32_t *list,
				       const struct pdma_cell *cells, size_t n)
{
	struct json_object *rows = json_object_new_array(), *o;

	for (size_t i = 0; i < n * n; i++) {
		if (i / n == i % n)
			continue;
		o = json_object_new_object();
		cli_json_text(o, "initiator", cli_bdf(m, list[i / n]));
		cli_json_text(o, "target", cli_bdf(m, list[i % n]));
		cli_json_text(o, "answer", pdma_answer_name((enum pdma_answer)cells[i].answer));
		cli_json_text(o, "mapping", pdma_mapping_name((enum pdma_mapping)cells[i].mapping));
		cli_json_text(o, "cause", pdma_cause_name((enum pdma_cause)cells[i].cause));
		json_object_array_add(rows, o);
	}
	return rows;
}

static enum cli_status print_json(const struct cli_machine *m)
{
	struct json_object *o, *functions = json_object_new_array();
	enum cli_status status;
	struct pdma_cell *cells;
	uint32_t *list;
	size_t n;

	status = cli_matrix(m, &list, &cells, &n);
	if (status)
		return status;
	o = json_object_new_object();
	for (uint32_t i = 0; i < m->system.functions; i++) {
		struct pdma_function f = cli_function(m, i);

		json_object_array_add(functions, cli_json_function(m, &f));
	}
	json_object_object_add(o, "system", cli_json_system(m));
	json_object_object_add(o, "functions", functions);
	json_object_object_add(o, "matrix", json_matrix(m, list, cells, n));
	free(list);
	free(cells);
	return cli_json_print(o);
}

static enum cli_status draw(const struct cli_machine *m, const char *path,
			    void (*fn)(const struct cli_machine *, FILE *))
{
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	bool failed;

	if (!file)
		return cli_error(CLI_FAILED, NULL, strerror(errno), "%s", path);
	fn(m, file);
	failed = ferror(file);
	if (file != stdout && fclose(file))
		failed = true;
	return failed ? cli_error(CLI_FAILED, NULL, "cannot write", "%s", path) : CLI_DONE;
}

static enum cli_status save_file(const struct cli_machine *m, const char *file)
{
	char dir[CLI_CAPTURE_PATH], tree[CLI_CAPTURE_PATH + 16];
	enum cli_status status = cli_capture_begin(dir);

	if (status)
		return status;
	snprintf(tree, sizeof(tree), "%s/machine", dir);
	if (pdma_topo_save(m->ctx, tree))
		status = cli_error(CLI_FAILED, NULL, pdma_error(), "%s", file);
	else
		status = cli_capture_create(file, tree);
	cli_capture_end(dir);
	return status;
}

static enum cli_status save(const struct cli_machine *m, const char *dir)
{
	enum cli_status status;

	if (cli_capture_is_file_name(dir)) {
		status = save_file(m, dir);
		if (status)
			return status;
	} else if (pdma_topo_save(m->ctx, dir)) {
		return cli_error(CLI_FAILED, NULL, pdma_error(), "%s", dir);
	}
	printf("%s: %u PCI functions. Look at it with --sysroot %s, here or on another machine.\n",
	       dir, m->system.functions, dir);
	return CLI_DONE;
}

static enum cli_status show(struct cli *cli, const struct cli_machine *m)
{
	const char *svg = cli_option(cli, "svg"), *dot = cli_option(cli, "dot");
	const char *dir = cli_option(cli, "save");
	enum cli_status status = CLI_DONE;

	if (dir)
		status = save(m, dir);
	if (!status && svg)
		status = draw(m, svg, cli_topo_svg);
	if (!status && dot)
		status = draw(m, dot, cli_topo_dot);
	if (status || ((dir || svg || dot) && !cli_option(cli, "matrix") && !cli->json))
		return status;
	if (cli->json)
		return print_json(m);
	return cli_option(cli, "matrix") ? cli_topo_matrix(cli, m) : cli_topo_tree(cli, m);
}

static enum cli_status run(struct cli *cli)
{
	return cli_machine_run(cli, show);
}

static const struct cli_option options[] = {
	{ "matrix", 'm', NULL, "who reaches whose memory, and by which way", CLI_COMPLETE_NONE },
	{ "svg", 0, "FILE", "draw the tree as SVG; - for standard output", CLI_COMPLETE_FILE },
	{ "dot", 0, "FILE", "write the tree for Graphviz; - for standard output",
	  CLI_COMPLETE_FILE },
	{ "save", 0, "DIR",
	  "capture this machine into a new directory, or a file\n"
	  "(.tar.gz, .tar.zst, .tar), for --sysroot\n"
	  "(run it as root: config space is not for everyone)",
	  CLI_COMPLETE_FILE },
	CLI_OPTION_SYSROOT,
	CLI_OPTION_END,
};

const struct cli_command cli_cmd_topo = {
	.name = "topo",
	.args = "",
	.summary = "the tree of PCI functions, and a matrix of who reaches whom",
	.help = "ACS shows what a port does with requests from one device to another: RR and CR\n"
		"redirect requests and completions up to the host bridge, EC lets a table decide.\n"
		"Two devices below one switch whose ports do not redirect reach each other\n"
		"directly; everything else depends on what the host bridge forwards.",
	.examples = "peerdma topo\n"
		    "peerdma topo --matrix\n"
		    "peerdma topo --svg topology.svg\n"
		    "peerdma topo --save machine.tar.gz && peerdma topo --sysroot machine.tar.gz",
	.options = options,
	.run = run,
};
