/* SPDX-License-Identifier: MIT */
/* What trials with data by different initiators share. */
#ifndef PEERDMA_CLI_TRIAL_BENCH_H
#define PEERDMA_CLI_TRIAL_BENCH_H

#include <peerdma/region.h>
#include <peerdma/transfer.h>

#include "cli/trial.h"

/* The memory under trial, and what moves data to it and from it. */
struct cli_trial_bench {
	const struct cli_path *path;
	struct pdma_function initiator, owner; /* owner: of the target */
	struct pdma_region *target;
	struct pdma_region *own; /* memory of the initiator's side, if an engine of ours is used */
	struct pdma_copy_options options;
	uint64_t len;
	struct cli_measurement *out;
};

/* No driver at all has it, and there is no IOMMU for VFIO: then it is opened through sysfs. */
static inline bool cli_trial_is_bare(const struct pdma_function *f)
{
	return !f->driver[0] && f->iommu_group < 0;
}

/* Somebody gave it to user space: this program may drive it. */
static inline bool cli_trial_is_ours(const struct pdma_function *f)
{
	return f->is_vfio || cli_trial_is_bare(f);
}

/* Both trials into out, by a drive: reads of the drive, and Compare. Its data stays as it is. */
void cli_trial_by_disk(struct cli_trial_bench *bench);

/* "cannot be measured: " and why. */
void cli_trial_cannot(struct cli_trial_bench *bench, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
