/* SPDX-License-Identifier: MIT */
/* A client of a server: connects, asks, waits for answers. One thread at a time. */
#ifndef PEERDMA_LIB_SERVE_CLIENT_H
#define PEERDMA_LIB_SERVE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/serve/chan.h"
#include "lib/serve/rc.h"

struct pdmai_client {
	struct pdmai_tokens tokens;
	struct pdmai_chan_keys keys;
	struct pdmai_chan *chan;
	struct pdmai_rc_device device;
	struct pdmai_rc rc;
	struct rdma_event_channel *cm;
	uint16_t cm_port, last_tag;
	uint32_t handle;
	bool over;
	char why[PDMAI_SP_TEXT];
};

/*
 * Connect and prove the first token of the file. Everything is over at CLOCK_MONOTONIC end_ns.
 * Return: 0, for pdmai_client_destroy(); see pdma_serve_query().
 */
int pdmai_client_connect(const char *host, const char *port, const char *token_file, int64_t end_ns,
			 struct pdmai_client **ret_client);
/* Tells the server, if it listens. NULL is allowed. */
void pdmai_client_destroy(struct pdmai_client *client);

/*
 * Send ask and wait for its answer of that type. Return: 0; the server's error as -errno with its
 * sentence; -ETIMEDOUT; -EINTR; -ECONNRESET; -EPROTO.
 */
int pdmai_client_ask(struct pdmai_client *client, struct pdmai_sp_msg *ask, unsigned type,
		     struct pdmai_sp_msg *ret_answer, int64_t end_ns);
/* Ask what is served; each is given to fn until it returns non-zero. */
int pdmai_client_list(struct pdmai_client *client, int64_t end_ns,
		      void (*fn)(const struct pdmai_sp_msg *export, void *arg), void *arg);

/*
 * Make the RDMA connection: by the connection manager where that leads to the server, else by an
 * exchange of numbers. nic: NULL: whichever. Return: 0; -ENODEV; -ETIMEDOUT; -EREMOTEIO ...
 */
int pdmai_client_attach(struct pdmai_client *client, const char *nic, int64_t end_ns);

/* Read what the server said unasked. Return: 0; -ESTALE: it took the range away, or has gone. */
int pdmai_client_poll(struct pdmai_client *client);

/* cm_client.c: try it by the connection manager. Return: 0; -errno: exchange numbers instead. */
int pdmai_client_attach_cm(struct pdmai_client *client, const char *nic, int64_t end_ns);

#endif
