/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_JOB_H
#define PEERDMA_LAB_JOB_H

#include "frame.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* Commands that may run at the same time in one guest. */
#define JOBS_MAX  32
#define JOB_POLLS 3

struct job {
	bool used;
	bool kill_group;
	bool stdin_ended;
	uint16_t id;
	pid_t pid;
	/* With a pty all three are its master, and err is -1. A closed one is -1. */
	int in, out, err;
	size_t queued, taken;
	uint8_t queue[FRAME_STDIN_WINDOW];
};

struct jobs {
	int port;
	struct job job[JOBS_MAX];
};

/*
 * Starts what a FRAME_EXEC asks for; a failure is reported to the launcher as the end of the job.
 */
void jobs_exec(struct jobs *js, uint16_t id, uint8_t *payload, size_t len);

void jobs_stdin(struct jobs *js, uint16_t id, const void *data, size_t len);
void jobs_signal(struct jobs *js, uint16_t id, int signal);
void jobs_winsize(struct jobs *js, uint16_t id, uint16_t rows, uint16_t cols);

/* Fills at most JOBS_MAX * JOB_POLLS entries. Return: how many. */
size_t jobs_polls(struct jobs *js, struct pollfd *polls);

/* Moves bytes of every job that has some, without blocking on a job. */
void jobs_move(struct jobs *js);

/* The job whose leader is @pid, or NULL. */
struct job *jobs_by_pid(struct jobs *js, pid_t pid);

/* Sends the rest of the output and the status as waitpid() gave it, and forgets the job. */
void jobs_end(struct jobs *js, struct job *j, int wait_status);

#endif
