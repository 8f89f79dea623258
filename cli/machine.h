/* SPDX-License-Identifier: MIT */
/* The machine a command looks at: this one, or a captured tree (--sysroot). */
#ifndef PEERDMA_CLI_MACHINE_H
#define PEERDMA_CLI_MACHINE_H

#include <peerdma/path.h>

#include "cli/cli.h"

#define CLI_OPTION_SYSROOT                                                         \
	{                                                                          \
		"sysroot", 0, "DIR", "look at a directory or file of topo --save", \
			CLI_COMPLETE_FILE                                          \
	}
#define CLI_OPTION_END                                 \
	{                                              \
		NULL, 0, NULL, NULL, CLI_COMPLETE_NONE \
	}

struct cli_machine {
	struct pdma_ctx *ctx;
	struct pdma_topo *topo;
	struct pdma_system system;
};

/* Take a snapshot, give it to fn, and free it. Return: what fn returned; or the failure, told. */
typedef enum cli_status (*cli_machine_fn)(struct cli *cli, const struct cli_machine *machine);
enum cli_status cli_machine_run(struct cli *cli, cli_machine_fn fn);

/* A function or host bridge that is known to be there. */
struct pdma_function cli_function(const struct cli_machine *machine, uint32_t index);
struct pdma_host cli_host(const struct cli_machine *machine, uint32_t index);
/* Its address, "-" for PDMA_NO_FUNCTION. Static buffers, taken in turns: four live at a time. */
const char *cli_bdf(const struct cli_machine *machine, uint32_t index);

/* "16.0 GT/s x8" and, if the link could do more, "of 32.0 GT/s x16"; buf of 64 bytes. */
const char *cli_link_text(const struct pdma_function *f, char *buf);

/*
 * What a person means by a device: an address, a name such as mlx5_0, or a region URI of one.
 * ret_target: the whole function, or the BAR and range of the URI. Return: CLI_DONE, or told.
 */
enum cli_status cli_device(const struct cli_machine *machine, const char *text,
			   struct pdma_target *ret_target);

/* Importers and exporters; of a machine without any, all endpoints. Return: how many. */
size_t cli_devices(const struct cli_machine *machine, uint32_t *list, size_t max);

#endif
