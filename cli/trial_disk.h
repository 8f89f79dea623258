/* SPDX-License-Identifier: MIT */
/* What trials by an NVMe drive share, whoever drives it. */
#ifndef PEERDMA_CLI_TRIAL_DISK_H
#define PEERDMA_CLI_TRIAL_DISK_H

#include "cli/trial_bench.h"

#define CLI_DISK_PAGE 4096u

struct cli_disk;

/* Whoever drives it. Those that return -errno leave a few words in disk->why. */
struct cli_disk_ops {
	/*
	 * Open the drive and what it takes to reach the target; disk->want gets what it has in its
	 * first blocks. Return: false: it can't be tried, and cli_trial_cannot() has said why.
	 */
	bool (*open)(struct cli_disk *disk);
	void (*close)(struct cli_disk *disk);
	/* Its first blocks, bench->len bytes, into host memory, whatever the way; at a page. */
	int (*peek)(struct cli_disk *disk, uint8_t *mem);
	/* The same blocks into the target, by itself. */
	int (*read)(struct cli_disk *disk);
	/*
	 * Compare whole blocks with the target, at the same offset of both. Return: 0: they are
	 * equal; 1: they differ; -EOPNOTSUPP: it has no such command; -errno.
	 */
	int (*compare)(struct cli_disk *disk, uint64_t off, uint64_t len);
};

struct cli_disk {
	const struct cli_disk_ops *ops;
	struct cli_trial_bench *bench;
	void *priv;
	char name[48];	     /* for a person */
	char driver[48];     /* "", or who drives it, the same */
	unsigned block;	     /* bytes */
	uint8_t *want, *got; /* what the drive has, what the target has */
	char why[160];
};

/* Under the kernel's nvme driver. */
extern const struct cli_disk_ops cli_disk_kernel;
/* By this program: a VFIO driver has it, or no driver at all where there is no IOMMU. */
extern const struct cli_disk_ops cli_disk_own;

#endif
