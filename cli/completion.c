// SPDX-License-Identifier: MIT
/* The completion script for bash, made from the tables of commands and options. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define REGION_WORDS "compgen -W 'vfio: cmb: accel: dm: udmabuf: host: file: rdma://' -- \"$cur\""

/* How bash finds the words for a kind of argument; "$cur" is what was typed. */
static const char *const offers[] = {
	[CLI_COMPLETE_NONE] = "",
	[CLI_COMPLETE_FILE] = "compgen -f -- \"$cur\"",
	[CLI_COMPLETE_DIR] = "compgen -d -- \"$cur\"",
	[CLI_COMPLETE_BDF] = "compgen -W \"$(ls /sys/bus/pci/devices 2>/dev/null)\" -- \"$cur\"",
	[CLI_COMPLETE_REGION] = REGION_WORDS,
	[CLI_COMPLETE_COMMAND] = "compgen -W \"$commands\" -- \"$cur\"",
	[CLI_COMPLETE_USER] = "compgen -u -- \"$cur\"",
	[CLI_COMPLETE_CGROUP] = "compgen -d -- \"${cur:-/sys/fs/cgroup/}\"",
	[CLI_COMPLETE_LIMIT] = "compgen -W 'show set clear' -- \"$cur\"",
};

static void print_commands(void)
{
	printf("\tlocal commands='");
	for (int i = 0; cli_commands[i]; i++)
		printf("%s%s", i ? " " : "", cli_commands[i]->name);
	puts("'");
}

static void print_option_names(const struct cli_option *o)
{
	for (; o && o->name; o++)
		printf(" --%s", o->name);
}

/* "a|b|c" becomes words to choose from. */
static void print_choices(const char *arg)
{
	printf("compgen -W '");
	for (; *arg; arg++)
		putchar(*arg == '|' ? ' ' : *arg);
	printf("' -- \"$cur\"");
}

static void print_values(const char *command, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		if (!o->arg)
			continue;
		printf("\t%s:--%s", command, o->name);
		if (o->letter)
			printf(" | %s:-%c", command, o->letter);
		printf(") mapfile -t COMPREPLY < <(");
		if (strchr(o->arg, '|'))
			print_choices(o->arg);
		else
			printf("%s", offers[o->complete]);
		puts("); return ;;");
	}
}

static void print_arguments(const struct cli_command *c)
{
	printf("\t%s)\n\t\tif [[ $cur == -* ]]; then\n\t\t\tmapfile -t COMPREPLY < <(compgen -W '",
	       c->name);
	print_option_names(c->options);
	print_option_names(cli_common_options);
	printf("' -- \"$cur\")\n\t\telse\n\t\t\tmapfile -t COMPREPLY < <(%s)\n\t\tfi ;;\n",
	       offers[c->complete]);
}

static void print_words(void)
{
	/* A BDF and a URI hold colons, at which bash breaks words: put them together again. */
	puts("\tlocal cur prev words cword\n"
	     "\tif declare -F _init_completion >/dev/null; then\n"
	     "\t\t_init_completion -n := || return\n"
	     "\telse\n"
	     "\t\tcur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	     "\t\twords=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD\n"
	     "\tfi\n"
	     "\tlocal command=${words[1]}\n"
	     "\tif [ \"$cword\" -le 1 ]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$commands --help --version\" -- \"$cur\")\n"
	     "\t\treturn\n"
	     "\tfi");
}

void cli_completion_bash(void)
{
	puts("# bash completion of peerdma, made by `peerdma completion bash`\n"
	     "# shellcheck shell=bash\n_peerdma() {");
	print_commands();
	print_words();
	puts("\tcase $command:$prev in");
	for (int i = 0; cli_commands[i]; i++)
		print_values(cli_commands[i]->name, cli_commands[i]->options);
	print_values("*", cli_common_options);
	puts("\tesac\n\tcase $command in");
	for (int i = 0; cli_commands[i]; i++)
		print_arguments(cli_commands[i]);
	puts("\tesac\n\tdeclare -F __ltrim_colon_completions >/dev/null && "
	     "__ltrim_colon_completions \"$cur\"\n}\ncomplete -F _peerdma peerdma");
}
