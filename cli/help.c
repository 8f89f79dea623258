// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define OPTION_WIDTH 24

static void print_option(const struct cli_option *o)
{
	const char *what = o->what;
	char left[64];
	int n;

	snprintf(left, sizeof(left), "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	printf("  %-*s", OPTION_WIDTH, left);
	if (strlen(left) >= OPTION_WIDTH)
		printf("\n  %*s", OPTION_WIDTH, "");
	for (;;) {
		n = (int)strcspn(what, "\n");
		printf("  %.*s\n", n, what);
		if (!what[n])
			return;
		what += n + 1;
		printf("  %*s", OPTION_WIDTH, "");
	}
}

static void print_options(const struct cli_option *o)
{
	for (; o && o->name; o++)
		print_option(o);
}

static void print_indented(const char *text)
{
	int n;

	for (; *text; text += n + (text[n] == '\n')) {
		n = (int)strcspn(text, "\n");
		printf("%s%.*s\n", n ? "  " : "", n, text);
	}
}

void cli_help_command(const struct cli_command *c)
{
	printf("peerdma %s: %s\n\n", c->name, c->summary);
	printf("Usage: peerdma %s [options]%s%s\n\n", c->name, c->args[0] ? " " : "", c->args);
	if (c->help)
		printf("%s\n\n", c->help);
	puts("Options:");
	print_options(c->options);
	print_options(cli_common_options);
	if (c->examples) {
		puts("\nExamples:");
		print_indented(c->examples);
	}
	puts("\nExit status: 0 done, 1 failed, 2 wrong usage, 10 data mismatch,\n"
	     "20 not possible on this system.");
	printf("More: man peerdma-%s\n", c->name);
}

void cli_help_all(void)
{
	puts("peerdma: let PCIe devices reach each other's memory directly, and learn why not\n\n"
	     "Usage: peerdma COMMAND [options] [arguments]\n\nCommands:");
	for (int i = 0; cli_commands[i]; i++)
		printf("  %-12s%s\n", cli_commands[i]->name, cli_commands[i]->summary);
	puts("\n`peerdma COMMAND --help` explains a command, `peerdma --version` tells the version."
	     "\n"
	     "New here? `peerdma doctor` looks for what is wrong, `peerdma list` shows what there\n"
	     "is, `peerdma check A B` answers for one pair of devices.\n\n"
	     "More: man peerdma");
}
