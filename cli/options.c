// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_MAX 40
/* Values of getopt_long() for long options: an index above every letter. */
#define LONG_BASE 256

/* getopt's tables made of ours, with the way back. */
struct table {
	struct option longs[TABLE_MAX + 1];
	char shorts[2 * TABLE_MAX + 3];
	const struct cli_option *option[TABLE_MAX];
	int n;
};

static void add_options(struct table *t, const struct cli_option *o)
{
	size_t len = strlen(t->shorts);

	for (; o && o->name && t->n < TABLE_MAX; o++, t->n++) {
		t->option[t->n] = o;
		t->longs[t->n] = (struct option){
			.name = o->name,
			.has_arg = o->arg ? required_argument : no_argument,
			.val = LONG_BASE + t->n,
		};
		if (!o->letter)
			continue;
		t->shorts[len++] = o->letter;
		if (o->arg)
			t->shorts[len++] = ':';
	}
}

static const struct cli_option *find_option(const struct table *t, int c)
{
	if (c >= LONG_BASE)
		return t->option[c - LONG_BASE];
	for (int i = 0; i < t->n; i++)
		if (t->option[i]->letter == c)
			return t->option[i];
	return NULL;
}

static void try_help(const struct cli *cli, char buf[80])
{
	const char *name = cli->command->name;
	const char *parts[] = { "peerdma ", name, " --help" };

	buf[0] = 0;
	for (size_t i = 0; i < 3; i++)
		strncat(buf, parts[i], 79 - strlen(buf));
}

static bool wrong(const struct cli *cli, const char *why, const char *what)
{
	char try[80];

	try_help(cli, try);
	cli_error(CLI_USAGE, try, why, "%s", what);
	return false;
}

static bool set_color(struct cli *cli, const char *when)
{
	if (!strcmp(when, "always"))
		cli->color = true;
	else if (!strcmp(when, "never"))
		cli->color = false;
	else if (strcmp(when, "auto"))
		return wrong(cli, "is auto, always or never", "--color");
	return true;
}

/* Options of all commands are acted on here, the others are kept. */
static bool take(struct cli *cli, const struct cli_option *o, const char *value, bool *help)
{
	if (!strcmp(o->name, "help")) {
		*help = true;
	} else if (!strcmp(o->name, "json")) {
		cli->json = true;
	} else if (!strcmp(o->name, "color")) {
		return set_color(cli, value);
	} else {
		if (cli->n_given == CLI_OPTIONS_MAX)
			return wrong(cli, "too many options", o->name);
		cli->given[cli->n_given].name = o->name;
		cli->given[cli->n_given++].value = value ? value : "";
	}
	return true;
}

static bool check_count(const struct cli *cli)
{
	const struct cli_command *c = cli->command;

	if (cli->argc > c->max_args)
		return wrong(cli, c->max_args ? "one argument too many" : "takes no arguments",
			     cli->argv[c->max_args]);
	if (cli->argc < c->min_args)
		return wrong(cli, "arguments are missing", c->args);
	return true;
}

static bool is_color_wanted(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(none && none[0]) && !(term && !strcmp(term, "dumb"));
}

bool cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help)
{
	struct table t = { .shorts = ":" };
	const struct cli_option *o;
	int c;

	cli->color = is_color_wanted();
	add_options(&t, cli->command->options);
	add_options(&t, cli_common_options);
	optind = 1;
	while ((c = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		if (c == '?')
			return wrong(cli, "there is no such option", argv[optind - 1]);
		if (c == ':')
			return wrong(cli, "needs a value", argv[optind - 1]);
		o = find_option(&t, c);
		if (!o || !take(cli, o, optarg, ret_help))
			return false;
	}
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	return *ret_help || check_count(cli);
}

const char *cli_option_at(const struct cli *cli, const char *name, int i)
{
	for (int j = 0; j < cli->n_given; j++)
		if (!strcmp(cli->given[j].name, name) && i-- == 0)
			return cli->given[j].value;
	return NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	for (int j = cli->n_given; j-- > 0;)
		if (!strcmp(cli->given[j].name, name))
			return cli->given[j].value;
	return NULL;
}
