/* SPDX-License-Identifier: MIT */
/* The fabric's control socket: one JSON object a line each way, docs/fabric.md. */
#ifndef PEERDMA_MODELS_FABRIC_CONTROL_H
#define PEERDMA_MODELS_FABRIC_CONTROL_H

struct fab_lab;

/* Listen at path. Return: the listening fd, or -errno. */
int fab_control_listen(const char *path);

/*
 * Serve listen_fd on the calling thread until stop_fd becomes readable. A client that sends
 * nonsense gets an error line; one that sends too long a line or does not read is dropped.
 * Return: 0 or -errno.
 */
int fab_control_serve(struct fab_lab *lab, int listen_fd, int stop_fd);

/* Answer one request line (NUL-terminated). The caller frees the answer, which ends with \n. */
char *fab_control_answer(struct fab_lab *lab, const char *line);

#endif
