// SPDX-License-Identifier: MIT
/* peerdma doctor: everything that is known to stand in the way of peer-to-peer. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/topo.h"

static const struct {
	const char *word;
	enum cli_style style;
} severities[] = {
	[PDMA_BROKEN] = { "broken", CLI_BAD },
	[PDMA_SLOW] = { "slow", CLI_WARN },
	[PDMA_NOTE] = { "note", CLI_DIM },
};

static void print_finding(const struct cli *cli, const struct pdma_finding *f)
{
	printf("%s%-7s%s %2d  %s\n", cli_style(cli, severities[f->severity].style),
	       severities[f->severity].word, cli_style(cli, CLI_PLAIN), f->cause, f->what);
	if (f->evidence[0])
		printf("            seen: %s\n", f->evidence);
	if (f->remedy[0])
		printf("            try:  %s\n", f->remedy);
}

static void print_text(const struct cli *cli, const struct cli_machine *m,
		       const struct pdma_findings *findings)
{
	size_t n = pdma_findings_count(findings), broken = 0, slow = 0;

	cli_print_system(m);
	for (size_t i = 0; i < n; i++) {
		const struct pdma_finding *f = pdma_findings_get(findings, i);

		broken += f->severity == PDMA_BROKEN;
		slow += f->severity == PDMA_SLOW;
		print_finding(cli, f);
	}
	printf("%s%zu broken, %zu slow, %zu to note\n", n ? "\n" : "", broken, slow,
	       n - broken - slow);
}

static enum cli_status print_json(const struct cli_machine *m, const struct pdma_findings *findings)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array(), *one;

	for (size_t i = 0; i < pdma_findings_count(findings); i++) {
		const struct pdma_finding *f = pdma_findings_get(findings, i);

		one = json_object_new_object();
		cli_json_text(one, "severity", severities[f->severity].word);
		cli_json_text(one, "cause", pdma_cause_name(f->cause));
		cli_json_number(one, "cause_number", f->cause);
		cli_json_text(one, "function",
			      f->function == PDMA_NO_FUNCTION ? NULL : cli_bdf(m, f->function));
		cli_json_text(one, "what", f->what);
		cli_json_text(one, "evidence", f->evidence);
		cli_json_text(one, "remedy", f->remedy);
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "system", cli_json_system(m));
	json_object_object_add(o, "findings", list);
	return cli_json_print(o);
}

static enum cli_status report(struct cli *cli, const struct cli_machine *m)
{
	struct pdma_findings *findings;
	enum cli_status status = CLI_DONE;

	if (pdma_doctor_run(m->ctx, m->topo, &findings))
		return cli_error(CLI_FAILED, NULL, pdma_error(), "cannot look at the system");
	if (cli->json)
		status = print_json(m, findings);
	else
		print_text(cli, m, findings);
	/* The worst comes first. */
	if (!status && pdma_findings_count(findings) &&
	    pdma_findings_get(findings, 0)->severity == PDMA_BROKEN)
		status = CLI_FAILED;
	pdma_findings_destroy(findings);
	return status;
}

static enum cli_status run(struct cli *cli)
{
	return cli_machine_run(cli, report);
}

static const struct cli_option options[] = { CLI_OPTION_SYSROOT, CLI_OPTION_END };

const struct cli_command cli_cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "look for what stands in the way of peer-to-peer, the worst first",
	.help = "Each finding has its severity (broken, slow, note), the number of its cause (man\n"
		"peerdma-doctor lists them), what was seen, and what to try. The exit status is\n"
		"1 if something is broken, else 0.",
	.examples = "peerdma doctor\n"
		    "peerdma doctor --sysroot captured-machine\n"
		    "peerdma doctor --json | jq '.findings[] | select(.severity == \"broken\")'",
	.options = options,
	.run = run,
};
