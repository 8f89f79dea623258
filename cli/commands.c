// SPDX-License-Identifier: MIT
#include "cli/commands.h"

#include <string.h>

/* In the order of --help. */
const struct cli_command *const cli_commands[] = {
	&cli_cmd_list,	&cli_cmd_topo,	&cli_cmd_check, &cli_cmd_doctor,     &cli_cmd_copy,
	&cli_cmd_serve, &cli_cmd_dump,	&cli_cmd_bench, &cli_cmd_watch,	     &cli_cmd_report,
	&cli_cmd_pins,	&cli_cmd_limit, &cli_cmd_help,	&cli_cmd_completion, NULL,
};

const struct cli_option cli_common_options[] = {
	{ "json", 0, NULL, "print one JSON object instead of text", CLI_COMPLETE_NONE },
	{ "color", 0, "auto|always|never", "colours; auto: on a terminal, unless NO_COLOR is set",
	  CLI_COMPLETE_NONE },
	{ "help", 'h', NULL, "explain this command", CLI_COMPLETE_NONE },
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command *cli_command_find(const char *name)
{
	for (int i = 0; cli_commands[i]; i++)
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	return NULL;
}
