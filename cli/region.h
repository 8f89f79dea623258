/* SPDX-License-Identifier: MIT */
/* What commands that open regions share. */
#ifndef PEERDMA_CLI_REGION_H
#define PEERDMA_CLI_REGION_H

#include "cli/cli.h"
#include "peerdma/peerdma.h"

/* For tables of options. */
#define CLI_OPTION_TOKEN                                                                     \
	{                                                                                    \
		"token-file", 0, "FILE", "token for rdma:// (default: $PEERDMA_TOKEN_FILE)", \
			CLI_COMPLETE_FILE                                                    \
	}
#define CLI_OPTION_NIC                                                             \
	{                                                                          \
		"nic", 0, "DEVICE", "RDMA device, as mlx5_0 (default: the first)", \
			CLI_COMPLETE_NONE                                          \
	}

/* The exit status for a -errno of the library, and a line about it. */
enum cli_status cli_library_error(int err, const char *what);

/* Return: CLI_DONE with a context; or after telling. */
enum cli_status cli_ctx_open(struct pdma_ctx **ret_ctx);

/* "file:" is put before what is a path and no URI. The caller frees it; NULL: no memory. */
char *cli_region_uri(const char *text);

/* Open with the options --token-file and --nic. Return: CLI_DONE, or after telling. */
enum cli_status cli_region_open(const struct cli *cli, struct pdma_ctx *ctx, const char *text,
				unsigned flags, struct pdma_region **ret_region);

/* Value of --token-file or of the environment; NULL: neither. */
const char *cli_token_file(const struct cli *cli);

/* A size option. Return: false after telling; *ret_size is left alone when it was not given. */
bool cli_size_option(const struct cli *cli, const char *name, uint64_t *ret_size);

/* Names of engines, "nic,accel", as bits. Return: false after telling. */
bool cli_engines_option(const struct cli *cli, unsigned *ret_engines);

uint64_t cli_region_len(const struct pdma_region *region);

#endif
