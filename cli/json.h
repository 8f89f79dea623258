/* SPDX-License-Identifier: MIT */
/* Objects of --json, so that all commands call a thing by one name. */
#ifndef PEERDMA_CLI_JSON_H
#define PEERDMA_CLI_JSON_H

#include <json-c/json.h>

#include "cli/machine.h"

void cli_json_text(struct json_object *object, const char *key, const char *text);
void cli_json_number(struct json_object *object, const char *key, uint64_t number);
/* "0x..." */
void cli_json_hex(struct json_object *object, const char *key, uint64_t number);
void cli_json_known(struct json_object *object, const char *key, enum pdma_known known);

struct json_object *cli_json_system(const struct cli_machine *machine);
struct json_object *cli_json_function(const struct cli_machine *machine,
				      const struct pdma_function *f);
struct json_object *cli_json_verdict(const struct cli_machine *machine,
				     const struct pdma_verdict *verdict);

#endif
