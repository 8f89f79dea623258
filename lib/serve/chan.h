/* SPDX-License-Identifier: MIT */
/*
 * A control channel: messages over TLS 1.3 with a pre-shared key over TCP. Nothing here blocks
 * but pdmai_chan_wait(). One thread at a time.
 */
#ifndef PEERDMA_LIB_SERVE_CHAN_H
#define PEERDMA_LIB_SERVE_CHAN_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/serve/proto.h"
#include "lib/serve/token.h"

#define PDMAI_CHAN_OUT 16384 /* bytes that wait for a peer that does not read */

/* What all channels of one end share: the keys. */
struct pdmai_chan_keys {
	bool server;
	gnutls_psk_server_credentials_t server_cred;
	gnutls_psk_client_credentials_t client_cred;
	const struct pdmai_tokens *tokens;
	gnutls_priority_t priority;
};

struct pdmai_chan {
	int fd;
	gnutls_session_t tls;
	const struct pdmai_chan_keys *keys;
	bool ready; /* the token is proven, both ways */
	size_t in_len, out_len;
	uint8_t in[PDMAI_SP_FRAME], out[PDMAI_CHAN_OUT];
};

/*
 * tokens must outlive the keys. A server accepts each of them, a client proves the first.
 * Return: 0; -ENOMEM; -EIO: the TLS library.
 */
int pdmai_chan_keys_init(struct pdmai_chan_keys *keys, const struct pdmai_tokens *tokens,
			 bool server);
void pdmai_chan_keys_clear(struct pdmai_chan_keys *keys);

/* fd: connected, not blocking; the channel's from then on, also on failure. keys outlive it. */
int pdmai_chan_create(const struct pdmai_chan_keys *keys, int fd, struct pdmai_chan **ret_chan);
/* Says good-bye to TLS if the peer listens, and closes. NULL is allowed. */
void pdmai_chan_destroy(struct pdmai_chan *chan);

/*
 * Go on with the handshake. Return: 1: ready; 0: not yet; -EACCES: no common token; -EPROTO: no
 * TLS 1.3; -ECONNRESET: closed.
 */
int pdmai_chan_shake(struct pdmai_chan *chan);

/* Name of the token that was proven, "" before. Valid as long as the channel. */
const char *pdmai_chan_token(const struct pdmai_chan *chan);

/* Return: 1 with a message; 0: none yet; -EBADMSG: no message of ours; -ECONNRESET: closed. */
int pdmai_chan_recv(struct pdmai_chan *chan, struct pdmai_sp_msg *ret_msg);

/* Queue a message and send what can be. Return: 0; -ENOBUFS: the peer does not read; -ECONNRESET.*/
int pdmai_chan_send(struct pdmai_chan *chan, const struct pdmai_sp_msg *msg);
/* Send what is queued. Return: 0; -ECONNRESET. */
int pdmai_chan_flush(struct pdmai_chan *chan);

/* Bytes are here that poll() does not show. */
bool pdmai_chan_pending(const struct pdmai_chan *chan);
/* POLLIN and POLLOUT, as needed to go on. */
short pdmai_chan_events(const struct pdmai_chan *chan);
/* Wait until CLOCK_MONOTONIC is end_ns at most. Return: 0; -ETIMEDOUT; -EINTR. */
int pdmai_chan_wait(const struct pdmai_chan *chan, int64_t end_ns);

#endif
