// SPDX-License-Identifier: MIT
#include "cli/commands.h"

#include <string.h>

static enum cli_status run(struct cli *cli)
{
	if (strcmp(cli->argv[0], "bash"))
		return cli_error(CLI_USAGE, "peerdma completion bash",
				 "there is no completion for it", "%s", cli->argv[0]);
	cli_completion_bash();
	return CLI_DONE;
}

const struct cli_command cli_cmd_completion = {
	.name = "completion",
	.args = "bash",
	.summary = "print the completion script of a shell",
	.help = "Packages install the script; by hand, put the output into a file the shell reads.",
	.examples = "source <(peerdma completion bash)",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
