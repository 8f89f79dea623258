// SPDX-License-Identifier: MIT
/* peerdma limit: how much device memory users and control groups may use. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cgroup.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/region.h"

/* What the command line names. */
struct target {
	struct pdma_ctx *ctx;
	struct cli_cgroups groups;
	bool given;
	enum pdma_scope scope;
	uint64_t id;
	char name[PATH_MAX + 16];
};

static const char *name_of(const struct target *t, const struct pdma_limit *limit, char *buf)
{
	if (limit->scope == PDMA_SCOPE_USER)
		return cli_user_name((uint32_t)limit->id, buf);
	return cli_cgroup_name(&t->groups, limit->id, 0, buf);
}

static const char *scope_name(const struct pdma_limit *limit)
{
	return limit->scope == PDMA_SCOPE_USER ? "user" : "cgroup";
}

static void add_row(const struct target *target, struct cli_table *t,
		    const struct pdma_limit *limit)
{
	char name[PATH_MAX], used[16], max[16];
	bool full = limit->used >= limit->max;

	cli_table_row(t);
	cli_table_cell(t, CLI_PLAIN, "%s", scope_name(limit));
	cli_table_cell(t, CLI_PLAIN, "%s", name_of(target, limit, name));
	cli_table_cell(t, full ? CLI_WARN : CLI_PLAIN, "%s", cli_size_text(limit->used, used));
	if (limit->max == PDMA_NO_LIMIT)
		cli_table_cell(t, CLI_DIM, "none");
	else
		cli_table_cell(t, CLI_PLAIN, "%s", cli_size_text(limit->max, max));
	cli_table_cell(t, limit->refused ? CLI_WARN : CLI_PLAIN, "%" PRIu64, limit->refused);
}

static struct json_object *json_of(const struct target *target, const struct pdma_limit *limit)
{
	struct json_object *o = json_object_new_object();
	char name[PATH_MAX];

	cli_json_text(o, "scope", scope_name(limit));
	cli_json_number(o, "id", limit->id);
	cli_json_text(o, "name", name_of(target, limit, name));
	cli_json_number(o, "used", limit->used);
	json_object_object_add(o, "limit",
			       limit->max == PDMA_NO_LIMIT ? NULL :
							     json_object_new_uint64(limit->max));
	cli_json_number(o, "refused", limit->refused);
	return o;
}

/* limits: one, or all of the list if NULL. */
static enum cli_status print(struct cli *cli, const struct target *target,
			     const struct pdma_limits *list, const struct pdma_limit *one)
{
	struct json_object *o, *array;
	struct cli_table *t;

	if (cli->json) {
		o = json_object_new_object();
		array = json_object_new_array();
		for (size_t i = 0; one; one = list ? pdma_limits_get(list, ++i) : NULL)
			json_object_array_add(array, json_of(target, one));
		json_object_object_add(o, "limits", array);
		return cli_json_print(o);
	}
	if (!one) {
		puts("Nobody uses device memory, and no limit is set.");
		return CLI_DONE;
	}
	t = cli_table_new(cli);
	cli_table_column(t, "OF", CLI_LEFT);
	cli_table_column(t, "NAME", CLI_LEFT);
	cli_table_column(t, "USED", CLI_RIGHT);
	cli_table_column(t, "LIMIT", CLI_RIGHT);
	cli_table_column(t, "REFUSED", CLI_RIGHT);
	for (size_t i = 0; one; one = list ? pdma_limits_get(list, ++i) : NULL)
		add_row(target, t, one);
	return cli_table_print(t);
}

static enum cli_status show(struct cli *cli, struct target *t)
{
	struct pdma_limits *limits;
	struct pdma_limit limit;
	enum cli_status status;
	int err;

	if (t->given) {
		err = pdma_limit_get(t->ctx, t->scope, t->id, &limit);
		return err ? cli_module_error(err, t->name) : print(cli, t, NULL, &limit);
	}
	err = pdma_limits_read(t->ctx, &limits);
	if (err)
		return cli_module_error(err, "cannot list limits");
	status = print(cli, t, limits, pdma_limits_get(limits, 0));
	pdma_limits_destroy(limits);
	return status;
}

static enum cli_status need_target(const struct target *t, const char *action)
{
	if (t->given)
		return CLI_DONE;
	return cli_error(CLI_USAGE, "peerdma limit --help", "needs --user or --cgroup", "limit %s",
			 action);
}

static enum cli_status set(struct cli *cli, struct target *t)
{
	enum cli_status status = need_target(t, "set");
	uint64_t max;
	int err;

	if (status)
		return status;
	if (cli->argc < 2)
		return cli_error(CLI_USAGE, "peerdma limit --help", "needs a size, such as 4G",
				 "limit set");
	if (pdma_size_parse(cli->argv[1], &max))
		return cli_error(CLI_USAGE, "a number with K, M, G or T behind", pdma_error(), "%s",
				 cli->argv[1]);
	err = pdma_limit_set(t->ctx, t->scope, t->id, max);
	return err ? cli_module_error(err, t->name) : CLI_DONE;
}

static enum cli_status clear(struct cli *cli, struct target *t)
{
	enum cli_status status = need_target(t, "clear");
	int err;

	if (status)
		return status;
	err = pdma_limit_clear(t->ctx, t->scope, t->id);
	return err ? cli_module_error(err, t->name) : CLI_DONE;
}

static const struct {
	const char *name;
	int max_args; /* with its name */
	enum cli_status (*run)(struct cli *cli, struct target *t);
} actions[] = {
	{ "show", 1, show },
	{ "set", 2, set },
	{ "clear", 1, clear },
};
#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static enum cli_status find_target(const struct cli *cli, struct target *t)
{
	const char *user = cli_option(cli, "user"), *group = cli_option(cli, "cgroup");

	if (user && group)
		return cli_error(CLI_USAGE, "peerdma limit --help", "one of them, not both",
				 "--user and --cgroup");
	t->given = user || group;
	t->scope = user ? PDMA_SCOPE_USER : PDMA_SCOPE_CGROUP;
	if (t->given)
		snprintf(t->name, sizeof(t->name), "%s %s", user ? "user" : "cgroup",
			 user ? user : group);
	if (user)
		return cli_user_find(user, &t->id);
	return group ? cli_cgroup_find(&t->groups, group, &t->id) : CLI_DONE;
}

static enum cli_status act(struct cli *cli, size_t action)
{
	struct target t = { .given = false };
	enum cli_status status;

	if (cli->argc > actions[action].max_args)
		return cli_error(CLI_USAGE, "peerdma limit --help", "one argument too many", "%s",
				 cli->argv[actions[action].max_args]);
	status = cli_ctx_open(&t.ctx);
	if (status)
		return status;
	cli_cgroups_open(&t.groups);
	status = find_target(cli, &t);
	if (!status)
		status = actions[action].run(cli, &t);
	cli_cgroups_close(&t.groups);
	pdma_ctx_destroy(t.ctx);
	return status;
}

static enum cli_status run(struct cli *cli)
{
	const char *name = cli->argc ? cli->argv[0] : "show";

	for (size_t i = 0; i < N_ACTIONS; i++)
		if (!strcmp(actions[i].name, name))
			return act(cli, i);
	return cli_error(CLI_USAGE, "peerdma limit --help", "is show, set or clear", "%s", name);
}

static const struct cli_option options[] = {
	{ "user", 'u', "USER", "a user, by name or number", CLI_COMPLETE_USER },
	{ "cgroup", 'g', "GROUP",
	  "a control group with all below it: its directory, its\n"
	  "path as in /proc/PID/cgroup, or id:NUMBER if it is gone",
	  CLI_COMPLETE_CGROUP },
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_limit = {
	.name = "limit",
	.args = "[show|set|clear] [SIZE]",
	.summary = "how much device memory users and control groups may use",
	.help = "What counts is the sum of the sizes that `peerdma pins` shows, attachments and\n"
		"held pages aside: memory counts once for each mapping by a process, once for\n"
		"being exported, and once for each device that has it mapped. Whoever would\n"
		"exceed a limit gets the error EDQUOT (\"Disk quota exceeded\"); nobody else\n"
		"notices. A control group's limit counts for all groups below it together, and a\n"
		"process is bound by its user's limit and by those of all groups it is in. root\n"
		"too. A limit below what is used takes nothing away: nothing more is given until\n"
		"enough is freed. Limits last until they are cleared or the module peerdma is\n"
		"unloaded.\n"
		"REFUSED is how often somebody ran into it. set and clear need root.",
	.examples = "sudo peerdma limit set --user alice 4G\n"
		    "sudo peerdma limit set --cgroup /system.slice/train.service 16G\n"
		    "peerdma limit\n"
		    "sudo peerdma limit clear --user alice",
	.options = options,
	.max_args = 2,
	.complete = CLI_COMPLETE_LIMIT,
	.run = run,
};
