/* SPDX-License-Identifier: MIT */
/* How far a transfer is, on one line of the terminal. */
#ifndef PEERDMA_CLI_PROGRESS_H
#define PEERDMA_CLI_PROGRESS_H

#include "cli/cli.h"
#include "peerdma/transfer.h"

struct cli_progress {
	bool shown; /* stderr is a terminal, and nobody wants JSON */
	bool drawn;
	int64_t last_ns;
};

void cli_progress_init(struct cli_progress *p, const struct cli *cli);
/* For struct pdma_copy_options; arg: struct cli_progress. Ends the transfer at Ctrl-C. */
int cli_progress_fn(void *arg, const struct pdma_transfer_status *status);
/* Take the line away. */
void cli_progress_clear(struct cli_progress *p);

/* "1.2G/s"; buf of 24 bytes at least, and returned. */
const char *cli_rate_text(uint64_t bytes, int64_t time_ns, char *buf);

#endif
