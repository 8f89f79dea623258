/* SPDX-License-Identifier: MIT */
/*
 * A peerdma-fabric process in a directory of its own, and its control socket. All waiting has an
 * end: PROC_WAIT_MS, generous for a loaded machine.
 */
#ifndef PEERDMA_TESTS_PROTO_FABPROC_H
#define PEERDMA_TESTS_PROTO_FABPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_WAIT_MS 40000

struct proc {
	char dir[32];
	pid_t pid; /* 0: not running */
	int ready; /* what it was given as --ready-fd, our end */
};

/* Start it in a new directory, where the relative paths of the configuration lead. 0 or -errno. */
int proc_start(struct proc *p, const char *config);
/* True when it wrote exactly the line "ready"; false when it ended or the time is over. */
bool proc_ready(struct proc *p);
/* Send sig, unless 0, and wait for the end. Return: exit status, or -1 if killed or too slow. */
int proc_end(struct proc *p, int sig);
/* What it wrote to stderr, at most n - 1 bytes, as a string. Return: its length, or -errno. */
int proc_log(const struct proc *p, char *buf, size_t n);
/* Number of sockets in the directory, or -1. */
int proc_sockets(const struct proc *p);
void proc_path(const struct proc *p, const char *name, char *buf, size_t n);
/* Kill what is left and remove the directory. */
void proc_clean(struct proc *p);

/* A connection to "control" in the directory. Return: fd or -errno. */
int ctl_open(const struct proc *p);
int ctl_send(int fd, const void *buf, size_t len);
/* One line of at most n - 1 bytes without its newline. 0, -EPIPE at the end, -errno. */
int ctl_line(int fd, char *buf, size_t n);

struct json_object;
/* Send one request on a connection of its own; the answer, or NULL if it is not JSON. */
struct json_object *ctl_ask(const struct proc *p, const char *request);
/* True when the answer is ok. */
bool ctl_ok(const struct proc *p, const char *request);
/* The number at a JSON pointer of the answer, or UINT64_MAX. */
uint64_t ctl_num(const struct proc *p, const char *request, const char *pointer);

#endif
