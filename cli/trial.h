/* SPDX-License-Identifier: MIT */
/* What a path does beside what is predicted: asked from the kernel, and tried with data. */
#ifndef PEERDMA_CLI_TRIAL_H
#define PEERDMA_CLI_TRIAL_H

#include "cli/machine.h"

/* One direction of a pair. */
struct cli_path {
	const struct cli_machine *machine;
	uint32_t initiator;
	struct pdma_target target;
};

/* The kernel's word, by trying to map the target's memory for the initiator. */
struct cli_kernel {
	enum pdma_answer answer; /* PDMA_UNKNOWN: it cannot be asked for this pair */
	char how[256];		 /* what was tried and what came of it, or why nothing was */
};
void cli_ask_kernel(const struct cli_path *path, struct cli_kernel *ret_kernel);

struct cli_measurement {
	struct pdma_measured m; /* PDMA_TRIAL_NOT_RUN: could not be tried */
	uint64_t len;		/* bytes each way */
	uint64_t first_bad;	/* offset, where a trial went wrong */
	double write_mib_s, read_mib_s;
	/*
	 * How the target's first byte was reached, and by which address, where this program made
	 * the mapping; NONE: the kernel did.
	 */
	enum pdma_mapping mapping;
	uint64_t addr;
	char detour[PDMA_DETOUR_LEN]; /* why not by bus address where a switch would turn it */
	char how[256];
};
/*
 * Move a pattern by the initiator to the target's memory and back, each checked by another way.
 * What was in the memory is put back.
 */
void cli_measure(const struct cli_path *path, struct cli_measurement *ret_measurement);

#endif
