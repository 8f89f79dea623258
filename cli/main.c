// SPDX-License-Identifier: MIT
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* A command may have been cut short by a full disk or a closed pipe: that is no success. */
static enum cli_status flush(enum cli_status status)
{
	if ((fflush(stdout) || ferror(stdout)) && status == CLI_DONE)
		return cli_error(CLI_FAILED, NULL, "cannot write", "standard output");
	return status;
}

/* The shell must see that a signal ended us. */
static void die_by(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

static enum cli_status run_command(const struct cli_command *command, int argc, char **argv)
{
	struct cli cli = { .command = command };
	enum cli_status status;
	bool help = false;

	if (!cli_parse(&cli, argc, argv, &help))
		return CLI_USAGE;
	if (help) {
		cli_help_command(command);
		return CLI_DONE;
	}
	status = command->run(&cli);
	if (cli_interrupt_signal()) {
		fflush(stdout);
		die_by(cli_interrupt_signal());
	}
	return status;
}

static enum cli_status dispatch(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2) {
		cli_help_all();
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		cli_help_all();
		return CLI_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("peerdma " PEERDMA_VERSION);
		return CLI_DONE;
	}
	command = cli_command_find(argv[1]);
	if (!command)
		return cli_error(CLI_USAGE, "peerdma --help", "there is no such command", "%s",
				 argv[1]);
	return run_command(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	/* For line drawing; numbers stay as everybody reads them. */
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	return flush(dispatch(argc, argv));
}
