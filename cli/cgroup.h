/* SPDX-License-Identifier: MIT */
/* Users and control groups: numbers of the kernel's and names for people. */
#ifndef PEERDMA_CLI_CGROUP_H
#define PEERDMA_CLI_CGROUP_H

#include <limits.h>

#include "cli/cli.h"

struct cli_cgroups {
	int root; /* descriptor of where cgroup2 is mounted, -1: it is not */
	char mount[PATH_MAX];
};

void cli_cgroups_open(struct cli_cgroups *groups);
void cli_cgroups_close(struct cli_cgroups *groups);
/*
 * "/system.slice/x", or "(id 123)" where the group is gone or its name cannot be found out. pid:
 * a process that may be in it, or 0. Return: buf of PATH_MAX bytes.
 */
const char *cli_cgroup_name(const struct cli_cgroups *groups, uint64_t id, int pid, char *buf);
/*
 * The number of a group, given as "/system.slice/x", as a directory, or as "id:123" for one that
 * is gone. Return: CLI_DONE, or after telling.
 */
enum cli_status cli_cgroup_find(const struct cli_cgroups *groups, const char *text,
				uint64_t *ret_id);

/* "alice", or "4001" where there is no such name. Return: buf of 64 bytes. */
const char *cli_user_name(uint32_t uid, char *buf);
/* By name or number. Return: CLI_DONE, or after telling. */
enum cli_status cli_user_find(const char *text, uint64_t *ret_uid);

/* For a failure of what asks the module peerdma: what to do about it. */
enum cli_status cli_module_error(int err, const char *what);

#endif
