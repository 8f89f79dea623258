/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_SPAWN_H
#define PEERDMA_LAB_SPAWN_H

#include "frame.h"

#include <sys/types.h>

struct spawn_request {
	struct frame_exec exec;
	char *cwd;
	/* NULL-terminated; argv and env are one allocation, freed by spawn_request_free(). */
	char **argv;
	char **env;
};

struct spawn_result {
	pid_t pid;
	int in, out, err;
};

/* Takes a FRAME_EXEC payload apart; strings stay inside @payload. Return: 0, -EPROTO or -ENOMEM. */
int spawn_request_parse(struct spawn_request *req, uint8_t *payload, size_t len);
void spawn_request_free(struct spawn_request *req);

/*
 * Starts the command in a session of its own. Return: 0, or -errno, also when exec() itself failed
 * (so that "not found" is told apart from a command that exits 127).
 */
int spawn(const struct spawn_request *req, struct spawn_result *res);

#endif
