/* SPDX-License-Identifier: MIT */
/* Every command, one line each; each is defined in cmd_NAME.c. */
#ifndef PEERDMA_CLI_COMMANDS_H
#define PEERDMA_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_command cli_cmd_bench;
extern const struct cli_command cli_cmd_check;
extern const struct cli_command cli_cmd_completion;
extern const struct cli_command cli_cmd_copy;
extern const struct cli_command cli_cmd_doctor;
extern const struct cli_command cli_cmd_dump;
extern const struct cli_command cli_cmd_help;
extern const struct cli_command cli_cmd_limit;
extern const struct cli_command cli_cmd_list;
extern const struct cli_command cli_cmd_pins;
extern const struct cli_command cli_cmd_report;
extern const struct cli_command cli_cmd_serve;
extern const struct cli_command cli_cmd_topo;
extern const struct cli_command cli_cmd_watch;

#endif
