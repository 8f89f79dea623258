/* SPDX-License-Identifier: MIT */
/*
 * One vfio-user socket: accepts a client, frames its messages, hands each to a handler on the
 * socket thread, and carries our own requests to the client from any other thread while the
 * socket thread goes on serving.
 */
#ifndef PEERDMA_MODELS_COMMON_CONN_H
#define PEERDMA_MODELS_COMMON_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MDL_MAX_FDS  16
#define MDL_MAX_XFER (1024u * 1024u)
/* A message that claims to be longer ends the connection: its framing can't be trusted. */
#define MDL_MAX_MSG (MDL_MAX_XFER + 4096u)

struct mdl_conn;

/* A message as received. payload and fds are the handler's until it returns. */
struct mdl_msg {
	uint16_t id, cmd;
	bool no_reply;
	const uint8_t *payload;
	size_t len;
	int *fds; /* set an entry to -1 to keep the fd; the others are closed afterwards */
	unsigned n_fds;
};

struct mdl_conn_ops {
	/*
	 * Handle a command: 0 to go on (the handler has answered with mdl_conn_reply or
	 * mdl_conn_error), or -errno to drop the client.
	 */
	int (*command)(void *arg, struct mdl_conn *conn, const struct mdl_msg *msg);
	void (*attached)(void *arg);
	/* After the last command; our own requests have already failed. */
	void (*detached)(void *arg);
};

int mdl_conn_create(const char *path, const char *thread_name, const struct mdl_conn_ops *ops,
		    void *arg, struct mdl_conn **ret_conn);
/* Drop the client, join the thread, remove the socket file. NULL is allowed. */
void mdl_conn_destroy(struct mdl_conn *conn);

/* Socket thread only. Nothing is sent for a message that wants no reply. */
int mdl_conn_reply(struct mdl_conn *conn, const struct mdl_msg *msg, const void *payload,
		   size_t len, int fd);
int mdl_conn_error(struct mdl_conn *conn, const struct mdl_msg *msg, int err);

/*
 * Any thread but the socket thread: send a request of head (and body, may be NULL) and wait for
 * the reply, whose payload after the first skip bytes must be exactly len bytes, copied to buf.
 * Return: 0, -EIO for an error reply or one of the wrong size, -ENOTCONN, -ETIMEDOUT (10 s).
 */
int mdl_conn_request(struct mdl_conn *conn, uint16_t cmd, const void *head, size_t head_len,
		     const void *body, size_t body_len, size_t skip, void *buf, size_t len);
/*
 * Count a request before it is made, while the lock is held under which it was decided: a reset
 * that takes that lock afterwards then sees it in flight. mdl_conn_destroy() waits for the release.
 * A device that never listened has no connection: NULL is allowed, and a request then fails.
 */
void mdl_conn_hold(struct mdl_conn *conn);
void mdl_conn_release(struct mdl_conn *conn);
/* Holds, and requests of ours the client has not answered. */
unsigned mdl_conn_in_flight(const struct mdl_conn *conn);

#endif
