// SPDX-License-Identifier: MIT
/* peerdma check: one pair, both directions; predicted, asked and measured. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/topo.h"
#include "cli/trial.h"

struct result {
	struct cli_path path;
	struct pdma_verdict predicted, final;
	struct cli_kernel kernel;
	struct cli_measurement measured;
	bool is_measured, differs;
};

static const char *const trials[] = {
	[PDMA_TRIAL_NOT_RUN] = "not run",	[PDMA_TRIAL_GOOD] = "good",
	[PDMA_TRIAL_WRONG_DATA] = "wrong data", [PDMA_TRIAL_ALL_ONES] = "all ones",
	[PDMA_TRIAL_REFUSED] = "refused",
};

static bool is_wrong(enum pdma_trial trial)
{
	return trial == PDMA_TRIAL_WRONG_DATA || trial == PDMA_TRIAL_ALL_ONES;
}

static bool has_bad_byte(const struct cli_measurement *m)
{
	return is_wrong(m->m.write) || is_wrong(m->m.read);
}

static enum cli_status predict(struct result *r)
{
	r->predicted.size = sizeof(r->predicted);
	if (pdma_path_verdict(r->path.machine->topo, r->path.initiator, &r->path.target,
			      &r->predicted))
		return cli_error(CLI_USAGE, NULL, pdma_error(), "cannot judge the path");
	r->final = r->predicted;
	return CLI_DONE;
}

static enum cli_status examine(struct cli *cli, struct result *r)
{
	enum cli_status status = predict(r);

	if (status)
		return status;
	cli_ask_kernel(&r->path, &r->kernel);
	if (!cli_option(cli, "measure") || cli_interrupted())
		return CLI_DONE;
	cli_measure(&r->path, &r->measured);
	r->is_measured = r->measured.m.write || r->measured.m.read;
	if (r->is_measured)
		r->differs = pdma_path_judge(r->path.machine->topo, &r->path.target, &r->measured.m,
					     &r->final) == 1;
	return CLI_DONE;
}

/* ---- text ---- */

static void print_name(const struct cli_machine *m, uint32_t index)
{
	struct pdma_function f = cli_function(m, index);

	printf("%s (%s%s%s)", f.bdf, f.name[0] ? f.name : "", f.name[0] ? ", " : "",
	       pdma_role_name(&f));
}

static void print_target(const struct result *r)
{
	const struct pdma_target *t = &r->path.target;
	struct pdma_function f = cli_function(r->path.machine, t->function);
	int bar = t->bar < 0 ? pdma_function_largest_bar(&f) : t->bar;
	char size[16];

	print_name(r->path.machine, t->function);
	if (bar >= 0 && f.bar[bar].addr)
		printf(" BAR %d, %s at 0x%llx", bar, cli_size_text(f.bar[bar].len, size),
		       (unsigned long long)f.bar[bar].addr);
	else if (bar >= 0)
		printf(" BAR %d, %s, not placed", bar, cli_size_text(f.bar[bar].len, size));
	puts("");
}

static void print_answer(const struct cli *cli, const struct pdma_verdict *v)
{
	enum cli_style style = v->answer == PDMA_YES ? CLI_GOOD :
			       v->answer == PDMA_NO  ? CLI_BAD :
						       CLI_WARN;

	printf("%s%s%s", cli_style(cli, style), pdma_answer_name(v->answer),
	       cli_style(cli, CLI_PLAIN));
	if (v->mapping != PDMA_MAP_NONE)
		printf(v->answer == PDMA_YES ? ", %s" : " (the way would be: %s)",
		       pdma_mapping_name(v->mapping));
	if (v->cause)
		printf(" [%d %s]", v->cause, pdma_cause_name(v->cause));
	puts("");
}

static void print_hop(const struct result *r)
{
	if (r->predicted.hop == PDMA_NO_FUNCTION)
		return;
	printf("  decided at  ");
	print_name(r->path.machine, r->predicted.hop);
	printf(", %u hops apart\n", r->predicted.distance);
}

/* The address that was used, of which only those who make the mapping can tell. */
static void print_used(const struct result *r)
{
	const struct cli_measurement *m = &r->measured;

	if (m->mapping == PDMA_MAP_NONE)
		return;
	printf("  used        %s 0x%llx", pdma_mapping_name(m->mapping),
	       (unsigned long long)m->addr);
	if (m->mapping != r->predicted.mapping)
		printf(", not %s: %s", pdma_mapping_name(r->predicted.mapping),
		       m->detour[0] ? m->detour : "the prediction is wrong");
	puts("");
}

static void print_measured(const struct cli *cli, const struct result *r)
{
	const struct cli_measurement *m = &r->measured;

	if (!cli_option(cli, "measure"))
		return;
	if (!r->is_measured) {
		printf("  measured    not: %s\n", m->how);
		return;
	}
	printf("  measured    write %s", trials[m->m.write]);
	if (m->m.write == PDMA_TRIAL_GOOD)
		printf(" %.0f MiB/s", m->write_mib_s);
	printf(", read %s", trials[m->m.read]);
	if (m->m.read == PDMA_TRIAL_GOOD)
		printf(" %.0f MiB/s", m->read_mib_s);
	printf("; %s\n", m->how);
	print_used(r);
	if (r->final.cause != r->predicted.cause || r->final.answer != r->predicted.answer) {
		printf("  in truth    ");
		print_answer(cli, &r->final);
		if (has_bad_byte(m))
			printf("              first bad byte at offset %llu\n",
			       (unsigned long long)m->first_bad);
	}
}

static void print_also(const struct pdma_verdict *v)
{
	for (int c = 1; c < PDMA_CAUSES; c++)
		if (v->also & 1u << c)
			printf("  also        %s [%d %s]\n", pdma_cause_title((enum pdma_cause)c),
			       c, pdma_cause_name((enum pdma_cause)c));
}

static void print_result(const struct cli *cli, const struct result *r)
{
	printf("%s", cli_style(cli, CLI_BOLD));
	print_name(r->path.machine, r->path.initiator);
	printf("%s -> ", cli_style(cli, CLI_PLAIN));
	print_target(r);
	printf("  predicted   ");
	print_answer(cli, &r->predicted);
	print_hop(r);
	printf("  the kernel  %s%s%s\n",
	       r->kernel.answer == PDMA_UNKNOWN ? "" : pdma_answer_name(r->kernel.answer),
	       r->kernel.answer == PDMA_UNKNOWN ? "" : ": ", r->kernel.how);
	print_measured(cli, r);
	printf("  because     %s\n", r->final.reason);
	if (r->final.remedy[0])
		printf("  change      %s\n", r->final.remedy);
	print_also(&r->final);
}

/* ---- JSON ---- */

static struct json_object *json_measured(const struct result *r)
{
	struct json_object *o = json_object_new_object();
	const struct cli_measurement *m = &r->measured;

	cli_json_text(o, "write", trials[m->m.write]);
	cli_json_text(o, "read", trials[m->m.read]);
	cli_json_number(o, "length", m->len);
	if (m->mapping != PDMA_MAP_NONE) {
		cli_json_text(o, "mapping", pdma_mapping_name(m->mapping));
		cli_json_hex(o, "address", m->addr);
	}
	if (m->detour[0])
		cli_json_text(o, "detour", m->detour);
	if (has_bad_byte(m))
		cli_json_number(o, "first_bad", m->first_bad);
	json_object_object_add(o, "write_mib_s", json_object_new_double(m->write_mib_s));
	json_object_object_add(o, "read_mib_s", json_object_new_double(m->read_mib_s));
	cli_json_text(o, "how", m->how);
	return o;
}

static struct json_object *json_result(const struct cli *cli, const struct result *r)
{
	struct json_object *o = json_object_new_object(), *kernel = json_object_new_object();

	cli_json_text(o, "initiator", cli_bdf(r->path.machine, r->path.initiator));
	cli_json_text(o, "target", cli_bdf(r->path.machine, r->path.target.function));
	json_object_object_add(o, "predicted", cli_json_verdict(r->path.machine, &r->predicted));
	cli_json_text(kernel, "answer", pdma_answer_name(r->kernel.answer));
	cli_json_text(kernel, "how", r->kernel.how);
	json_object_object_add(o, "kernel", kernel);
	if (cli_option(cli, "measure")) {
		json_object_object_add(o, "measured", json_measured(r));
		json_object_object_add(o, "final", cli_json_verdict(r->path.machine, &r->final));
		json_object_object_add(o, "agrees", json_object_new_boolean(!r->differs));
	}
	return o;
}

static enum cli_status print_json(const struct cli *cli, const struct result r[2])
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (int i = 0; i < 2; i++)
		json_object_array_add(list, json_result(cli, &r[i]));
	json_object_object_add(o, "system", cli_json_system(r[0].path.machine));
	json_object_object_add(o, "directions", list);
	return cli_json_print(o);
}

/* ---- the whole ---- */

static bool is_corrupt(const struct result *r)
{
	return r->final.cause == PDMA_CAUSE_SILENT_CORRUPTION ||
	       r->final.cause == PDMA_CAUSE_WRITES_ONLY;
}

/* The direction that was asked for, from A to B, decides; wrong data in any does before it. */
static enum cli_status status_of(const struct result r[2])
{
	if ((r[0].is_measured && is_corrupt(&r[0])) || (r[1].is_measured && is_corrupt(&r[1])))
		return CLI_MISMATCH;
	return r[0].final.answer == PDMA_NO ? CLI_IMPOSSIBLE : CLI_DONE;
}

static enum cli_status check(struct cli *cli, const struct cli_machine *m)
{
	struct result r[2] = { { .path.machine = m }, { .path.machine = m } };
	struct pdma_target a, b;
	enum cli_status status;

	status = cli_device(m, cli->argv[0], &a);
	if (!status)
		status = cli_device(m, cli->argv[1], &b);
	if (status)
		return status;
	r[0].path.initiator = a.function;
	r[0].path.target = b;
	r[1].path.initiator = b.function;
	r[1].path.target = a;
	for (int i = 0; i < 2 && !status; i++)
		status = examine(cli, &r[i]);
	if (status)
		return status;
	if (cli->json) {
		status = print_json(cli, r);
	} else {
		print_result(cli, &r[0]);
		puts("");
		print_result(cli, &r[1]);
	}
	return status ? status : status_of(r);
}

static enum cli_status run(struct cli *cli)
{
	return cli_machine_run(cli, check);
}

static const struct cli_option options[] = {
	{ "measure", 0, NULL,
	  "move a pattern each way and check every byte; needs root, and devices\n"
	  "that no other program uses; their memory is put back afterwards",
	  CLI_COMPLETE_NONE },
	CLI_OPTION_SYSROOT,
	CLI_OPTION_END,
};

const struct cli_command cli_cmd_check = {
	.name = "check",
	.args = "A B",
	.summary = "can A reach memory of B directly, and B memory of A?",
	.help = "A and B are PCI addresses, names (mlx5_0, nvme0), or regions (vfio:BDF/bar2).\n"
		"For each direction it says what is predicted from topology and kernel rules,\n"
		"what the kernel itself answers where it can be asked, and with --measure what\n"
		"happened to real data: the worst failures are silent. The exit status is about A\n"
		"reaching B: 0 yes or not known, 20 no; 10 if data got lost in either direction.",
	.examples = "peerdma check mlx5_0 0000:04:00.0\n"
		    "peerdma check 04:00.0 05:00.0 --measure\n"
		    "peerdma check mlx5_0 vfio:0000:04:00.0/bar2+1M:64K --json\n"
		    "peerdma check --sysroot captured-machine 3b:00.0 86:00.0",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.complete = CLI_COMPLETE_BDF,
	.run = run,
};
