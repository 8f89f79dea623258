// SPDX-License-Identifier: MIT
#include "cli/commands.h"

static enum cli_status run(struct cli *cli)
{
	const struct cli_command *c;

	if (!cli->argc) {
		cli_help_all();
		return CLI_DONE;
	}
	c = cli_command_find(cli->argv[0]);
	if (!c)
		return cli_error(CLI_USAGE, "peerdma help", "there is no such command", "%s",
				 cli->argv[0]);
	cli_help_command(c);
	return CLI_DONE;
}

const struct cli_command cli_cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "explain a command",
	.max_args = 1,
	.complete = CLI_COMPLETE_COMMAND,
	.run = run,
};
