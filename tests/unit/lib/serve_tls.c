// SPDX-License-Identifier: MIT
/* GnuTLS as a plain pipe: proof is one byte, records are what one read() gives. */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/lib/serve_fake.h"

#define RECORD 4096

struct gnutls_session_int {
	int fd;
	bool server, wants_write;
	size_t at, have; /* bytes of a record that were not taken yet */
	char record[RECORD];
};

int gnutls_init(gnutls_session_t *ret, unsigned flags)
{
	struct gnutls_session_int *s = calloc(1, sizeof(*s));

	if (!s)
		return GNUTLS_E_MEMORY_ERROR;
	s->server = flags & GNUTLS_SERVER;
	*ret = s;
	return 0;
}

void gnutls_deinit(gnutls_session_t s)
{
	free(s);
}

void gnutls_transport_set_int2(gnutls_session_t s, int in, int out)
{
	s->fd = in;
}

/* ---- the handshake ---- */

int gnutls_handshake(gnutls_session_t s)
{
	char proof = SERVE_PROOF;
	ssize_t n;

	if (!s->server)
		return send(s->fd, &proof, 1, MSG_NOSIGNAL) == 1 ? 0 : GNUTLS_E_PUSH_ERROR;
	n = read(s->fd, &proof, 1);
	if (n < 0 && errno == EAGAIN)
		return GNUTLS_E_AGAIN;
	if (n <= 0)
		return GNUTLS_E_PREMATURE_TERMINATION;
	return proof == SERVE_PROOF ? 0 : GNUTLS_E_FATAL_ALERT_RECEIVED;
}

gnutls_credentials_type_t gnutls_auth_get_type(gnutls_session_t s)
{
	return GNUTLS_CRD_PSK;
}

gnutls_protocol_t gnutls_protocol_get_version(gnutls_session_t s)
{
	return GNUTLS_TLS1_3;
}

const char *gnutls_psk_server_get_username(gnutls_session_t s)
{
	return "me";
}

int gnutls_alert_send_appropriate(gnutls_session_t s, int err)
{
	return 0;
}

int gnutls_bye(gnutls_session_t s, gnutls_close_request_t how)
{
	return 0;
}

/* ---- records ---- */

bool (*serve_more)(void);

static ssize_t refill(gnutls_session_t s)
{
	ssize_t n = read(s->fd, s->record, sizeof(s->record));

	if (n < 0 && errno == EAGAIN && serve_more && serve_more())
		n = read(s->fd, s->record, sizeof(s->record));

	s->at = 0;
	s->have = n > 0 ? (size_t)n : 0;
	if (n < 0)
		return errno == EAGAIN ? GNUTLS_E_AGAIN : GNUTLS_E_PULL_ERROR;
	return n ? n : GNUTLS_E_PREMATURE_TERMINATION;
}

ssize_t gnutls_record_recv(gnutls_session_t s, void *data, size_t size)
{
	ssize_t n;

	if (!size)
		return GNUTLS_E_INVALID_REQUEST;
	if (!s->have) {
		n = refill(s);
		if (n < 0)
			return n;
	}
	size = size < s->have ? size : s->have;
	memcpy(data, s->record + s->at, size);
	s->at += size;
	s->have -= size;
	return (ssize_t)size;
}

size_t gnutls_record_check_pending(gnutls_session_t s)
{
	return s->have;
}

ssize_t gnutls_record_send(gnutls_session_t s, const void *data, size_t size)
{
	ssize_t n = send(s->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	s->wants_write = n < 0;
	if (n < 0)
		return errno == EAGAIN ? GNUTLS_E_AGAIN : GNUTLS_E_PUSH_ERROR;
	return n;
}

int gnutls_record_get_direction(gnutls_session_t s)
{
	return s->wants_write;
}

/* ---- what has no meaning without keys ---- */

int gnutls_priority_init(gnutls_priority_t *ret, const char *text, const char **pos)
{
	*ret = (gnutls_priority_t)ret;
	return 0;
}

void gnutls_priority_deinit(gnutls_priority_t p)
{
}

int gnutls_priority_set(gnutls_session_t s, gnutls_priority_t p)
{
	return 0;
}

int gnutls_credentials_set(gnutls_session_t s, gnutls_credentials_type_t type, void *cred)
{
	return 0;
}

void gnutls_session_set_ptr(gnutls_session_t s, void *ptr)
{
}

void gnutls_handshake_set_timeout(gnutls_session_t s, unsigned ms)
{
}
