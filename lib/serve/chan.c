// SPDX-License-Identifier: MIT
#include "lib/serve/chan.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "util/clock.h"

/*
 * TLS 1.3, key exchange by elliptic curves bound to the pre-shared key: who has the key later
 * cannot read what was said before. No certificates, so nothing but the key makes a handshake.
 */
#define PRIORITY                                                                     \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:-GROUP-ALL:+GROUP-X25519:" \
	"+GROUP-SECP256R1:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM"

static int tls_fail(int ret, const char *what)
{
	return pdmai_fail(ret == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EIO, "%s: %s", what,
			  gnutls_strerror(ret));
}

/*
 * A name that is not known gets a key that nobody has: it fails as a wrong key does, so that nobody
 * learns which names exist.
 */
static int find_key(gnutls_session_t tls, const char *name, gnutls_datum_t *ret_key)
{
	const struct pdmai_chan *chan = gnutls_session_get_ptr(tls);
	const struct pdmai_token *token = pdmai_tokens_find(chan->keys->tokens, name);
	size_t len = token ? token->len : 32;

	ret_key->data = gnutls_malloc(len);
	if (!ret_key->data)
		return -1;
	ret_key->size = (unsigned)len;
	if (token)
		memcpy(ret_key->data, token->key, len);
	else if (gnutls_rnd(GNUTLS_RND_KEY, ret_key->data, len))
		return -1;
	return 0;
}

static int client_keys(struct pdmai_chan_keys *keys)
{
	const struct pdmai_token *t = keys->tokens->token;
	gnutls_datum_t key = { .data = (unsigned char *)t->key, .size = (unsigned)t->len };
	int ret = gnutls_psk_allocate_client_credentials(&keys->client_cred);

	return ret ? ret :
		     gnutls_psk_set_client_credentials(keys->client_cred, t->name, &key,
						       GNUTLS_PSK_KEY_RAW);
}

static int server_keys(struct pdmai_chan_keys *keys)
{
	int ret = gnutls_psk_allocate_server_credentials(&keys->server_cred);

	if (!ret)
		gnutls_psk_set_server_credentials_function(keys->server_cred, find_key);
	return ret;
}

int pdmai_chan_keys_init(struct pdmai_chan_keys *keys, const struct pdmai_tokens *tokens,
			 bool server)
{
	int ret;

	*keys = (struct pdmai_chan_keys){ .server = server, .tokens = tokens };
	ret = server ? server_keys(keys) : client_keys(keys);
	if (!ret)
		ret = gnutls_priority_init(&keys->priority, PRIORITY, NULL);
	if (!ret)
		return 0;
	pdmai_chan_keys_clear(keys);
	return tls_fail(ret, "cannot set up TLS");
}

void pdmai_chan_keys_clear(struct pdmai_chan_keys *keys)
{
	if (keys->server_cred)
		gnutls_psk_free_server_credentials(keys->server_cred);
	if (keys->client_cred)
		gnutls_psk_free_client_credentials(keys->client_cred);
	if (keys->priority)
		gnutls_priority_deinit(keys->priority);
	memset(keys, 0, sizeof(*keys));
}

static int start_tls(struct pdmai_chan *c)
{
	const struct pdmai_chan_keys *k = c->keys;
	/* No tickets: every connection proves the token itself. */
	unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
	int ret = gnutls_init(&c->tls, flags | (k->server ? GNUTLS_SERVER : GNUTLS_CLIENT));

	if (!ret)
		ret = gnutls_priority_set(c->tls, k->priority);
	if (!ret)
		ret = gnutls_credentials_set(c->tls, GNUTLS_CRD_PSK,
					     k->server ? (void *)k->server_cred :
							 (void *)k->client_cred);
	if (ret)
		return tls_fail(ret, "cannot set up TLS");
	gnutls_session_set_ptr(c->tls, c);
	gnutls_transport_set_int(c->tls, c->fd);
	gnutls_handshake_set_timeout(c->tls, GNUTLS_INDEFINITE_TIMEOUT);
	return 0;
}

int pdmai_chan_create(const struct pdmai_chan_keys *keys, int fd, struct pdmai_chan **ret_chan)
{
	struct pdmai_chan *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		close(fd);
		return pdmai_fail(ENOMEM, "no memory for a connection");
	}
	c->fd = fd;
	c->keys = keys;
	err = start_tls(c);
	if (err)
		pdmai_chan_destroy(c);
	else
		*ret_chan = c;
	return err;
}

void pdmai_chan_destroy(struct pdmai_chan *c)
{
	if (!c)
		return;
	if (c->tls && c->ready)
		gnutls_bye(c->tls, GNUTLS_SHUT_WR);
	if (c->tls)
		gnutls_deinit(c->tls);
	close(c->fd);
	free(c);
}

static bool is_later(int ret)
{
	return ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED ||
	       ret == GNUTLS_E_WARNING_ALERT_RECEIVED;
}

/* A handshake that failed: of what kind is it? */
static int shake_error(const struct pdmai_chan *c, int ret)
{
	switch (ret) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
	case GNUTLS_E_NO_CIPHER_SUITES:
		return c->keys->server ?
			       pdmai_fail(EACCES, "the token was not proven") :
			       pdmai_fail(EACCES, "the server does not accept the token '%s'",
					  c->keys->tokens->token->name);
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return pdmai_fail(ECONNRESET, "the connection was closed during the handshake");
	case GNUTLS_E_MEMORY_ERROR:
		return pdmai_fail(ENOMEM, "no memory for a handshake");
	default:
		return pdmai_fail(EPROTO, "no TLS 1.3 handshake: %s", gnutls_strerror(ret));
	}
}

int pdmai_chan_shake(struct pdmai_chan *c)
{
	int ret;

	if (c->ready)
		return 1;
	ret = gnutls_handshake(c->tls);
	if (is_later(ret))
		return 0;
	if (ret < 0) {
		gnutls_alert_send_appropriate(c->tls, ret);
		return shake_error(c, ret);
	}
	/* The priority string allows nothing else; this is the place where all hangs on it. */
	if (gnutls_auth_get_type(c->tls) != GNUTLS_CRD_PSK ||
	    gnutls_protocol_get_version(c->tls) != GNUTLS_TLS1_3)
		return pdmai_fail(EACCES, "the token was not proven");
	c->ready = true;
	return 1;
}

const char *pdmai_chan_token(const struct pdmai_chan *c)
{
	const char *name = NULL;

	if (c->ready && c->keys->server)
		name = gnutls_psk_server_get_username(c->tls);
	else if (c->ready)
		name = c->keys->tokens->token->name;
	return name ? name : "";
}

static int closed(void)
{
	return pdmai_fail(ECONNRESET, "the other end closed the connection");
}

/* Return: bytes got; 0: none now; -ECONNRESET. */
static int fill(struct pdmai_chan *c)
{
	ssize_t n = gnutls_record_recv(c->tls, c->in + c->in_len, sizeof(c->in) - c->in_len);

	if (n > 0) {
		c->in_len += (size_t)n;
		return (int)n;
	}
	return n && is_later((int)n) ? 0 : closed();
}

/* Return: bytes of the message that is there; 0: not all of it is; -EBADMSG. */
static int whole(const struct pdmai_chan *c)
{
	int len = pdmai_sp_frame_len(c->in, c->in_len);

	return len > 0 && (size_t)len > c->in_len ? 0 : len;
}

int pdmai_chan_recv(struct pdmai_chan *c, struct pdmai_sp_msg *ret_msg)
{
	int len, err;

	while (!(len = whole(c))) {
		err = fill(c);
		if (err <= 0)
			return err;
	}
	if (len < 0 || pdmai_sp_decode(c->in, (size_t)len, ret_msg))
		return pdmai_fail(EBADMSG, "the other end does not speak this protocol");
	c->in_len -= (size_t)len;
	memmove(c->in, c->in + len, c->in_len);
	return 1;
}

int pdmai_chan_flush(struct pdmai_chan *c)
{
	ssize_t n;

	while (c->out_len) {
		n = gnutls_record_send(c->tls, c->out, c->out_len);
		if (n < 0)
			return is_later((int)n) ? 0 : closed();
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	return 0;
}

int pdmai_chan_send(struct pdmai_chan *c, const struct pdmai_sp_msg *msg)
{
	uint8_t frame[PDMAI_SP_FRAME];
	int len = pdmai_sp_encode(msg, frame);

	if (len < 0)
		return pdmai_fail(EINVAL, "no such message: %u", msg->type);
	if ((size_t)len > sizeof(c->out) - c->out_len)
		return pdmai_fail(ENOBUFS, "the other end does not read what it is sent");
	memcpy(c->out + c->out_len, frame, (size_t)len);
	c->out_len += (size_t)len;
	return pdmai_chan_flush(c);
}

bool pdmai_chan_pending(const struct pdmai_chan *c)
{
	return c->ready && (gnutls_record_check_pending(c->tls) || whole(c));
}

short pdmai_chan_events(const struct pdmai_chan *c)
{
	if (!c->ready)
		return gnutls_record_get_direction(c->tls) ? POLLOUT : POLLIN;
	return (short)(POLLIN | (c->out_len ? POLLOUT : 0));
}

static int64_t left_ms(int64_t end_ns)
{
	return (end_ns - util_now_ns() + 999999) / 1000000;
}

int pdmai_chan_wait(const struct pdmai_chan *c, int64_t end_ns)
{
	struct pollfd p = { .fd = c->fd, .events = pdmai_chan_events(c) };
	int64_t left = left_ms(end_ns);
	int n;

	if (pdmai_chan_pending(c))
		return 0;
	/* Also where something is there to read: it could go on like that for ever. */
	n = left > 0 ? poll(&p, 1, (int)left) : 0;
	if (n > 0)
		return 0;
	return n ? pdmai_fail_errno(errno, "waiting for the server") :
		   pdmai_fail(ETIMEDOUT, "the server does not answer");
}
