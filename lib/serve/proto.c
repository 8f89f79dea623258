// SPDX-License-Identifier: MIT
#include "lib/serve/proto.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Fields on the wire, big-endian, one behind the other. A string is a byte of length and that. */
enum kind { END, U8, U16, U32, U64, BYTES16, NAME, TEXT };

struct field {
	uint8_t kind;
	uint16_t at; /* in struct pdmai_sp_msg */
};

#define FIELDS_MAX 8
#define AT(k, m)                                    \
	{                                           \
		k, offsetof(struct pdmai_sp_msg, m) \
	}
#define CONNECT_FIELDS                                                                        \
	{                                                                                     \
		AT(U8, connect.way), AT(U8, connect.mtu), AT(U16, connect.lid),               \
			AT(U32, connect.qpn), AT(U32, connect.psn), AT(BYTES16, connect.gid), \
			AT(BYTES16, connect.cookie),                                          \
		{                                                                             \
			END, 0                                                                \
		}                                                                             \
	}

static const struct field layout[][FIELDS_MAX] = {
	[PDMAI_SP_HELLO] = { AT(U16, hello.min), AT(U16, hello.max) },
	[PDMAI_SP_WELCOME] = { AT(U16, welcome.version), AT(U16, welcome.max_opens),
			       AT(U16, welcome.cm_port) },
	[PDMAI_SP_LIST] = { { END, 0 } },
	[PDMAI_SP_EXPORT] = { AT(U64, export.len), AT(U8, export.rights), AT(NAME, export.name),
			      AT(NAME, export.kind) },
	[PDMAI_SP_LISTED] = { AT(U16, listed.count) },
	[PDMAI_SP_CONNECT] = CONNECT_FIELDS,
	[PDMAI_SP_CONNECTED] = CONNECT_FIELDS,
	[PDMAI_SP_OPEN] = { AT(U8, open.rights), AT(U64, open.off), AT(U64, open.len),
			    AT(NAME, open.name) },
	[PDMAI_SP_OPENED] = { AT(U32, opened.handle), AT(U32, opened.rkey), AT(U64, opened.addr),
			      AT(U64, opened.len), AT(U8, opened.rights) },
	[PDMAI_SP_CLOSE] = { AT(U32, close.handle) },
	[PDMAI_SP_CLOSED] = { AT(U32, close.handle) },
	[PDMAI_SP_PING] = { { END, 0 } },
	[PDMAI_SP_PONG] = { { END, 0 } },
	[PDMAI_SP_ERROR] = { AT(U16, error.code), AT(TEXT, error.text) },
	[PDMAI_SP_REVOKED] = { AT(U32, close.handle), AT(TEXT, close.text) },
	[PDMAI_SP_GOODBYE] = { AT(TEXT, goodbye.text) },
};
#define TYPES (sizeof(layout) / sizeof(layout[0]))

static const struct field *layout_of(unsigned type)
{
	return type && type < TYPES ? layout[type] : NULL;
}

/* Bytes of a number, or 0. */
static size_t width(unsigned kind)
{
	static const uint8_t widths[] = { [U8] = 1, [U16] = 2, [U32] = 4, [U64] = 8, [TEXT] = 0 };

	return widths[kind];
}

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void put(uint8_t *p, size_t n, uint64_t v)
{
	for (; n--; v >>= 8)
		p[n] = (uint8_t)v;
}

static void store(void *to, size_t n, uint64_t v)
{
	if (n == 1)
		*(uint8_t *)to = (uint8_t)v;
	else if (n == 2)
		*(uint16_t *)to = (uint16_t)v;
	else if (n == 4)
		*(uint32_t *)to = (uint32_t)v;
	else
		*(uint64_t *)to = v;
}

static uint64_t load(const void *from, size_t n)
{
	if (n == 1)
		return *(const uint8_t *)from;
	if (n == 2)
		return *(const uint16_t *)from;
	if (n == 4)
		return *(const uint32_t *)from;
	return *(const uint64_t *)from;
}

static bool is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

static size_t string_max(unsigned kind)
{
	return (kind == NAME ? PDMAI_SP_NAME : PDMAI_SP_TEXT) - 1;
}

/* Return: bytes taken; -EBADMSG. */
static int take_string(unsigned kind, const uint8_t *p, size_t left, char *to)
{
	size_t n;

	if (!left)
		return -EBADMSG;
	n = *p++;
	if (n > left - 1 || n > string_max(kind))
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (!is_printable(p[i]))
			return -EBADMSG;
	memcpy(to, p, n);
	to[n] = 0;
	return (int)n + 1;
}

static int take(unsigned kind, const uint8_t *p, size_t left, void *to)
{
	size_t n = width(kind);

	if (kind == NAME || kind == TEXT)
		return take_string(kind, p, left, to);
	if (kind == BYTES16) {
		if (left < 16)
			return -EBADMSG;
		memcpy(to, p, 16);
		return 16;
	}
	if (left < n)
		return -EBADMSG;
	store(to, n, get(p, n));
	return (int)n;
}

static size_t give(unsigned kind, const void *from, uint8_t *p)
{
	size_t n = width(kind);

	if (kind == NAME || kind == TEXT) {
		n = strnlen(from, string_max(kind));
		*p++ = (uint8_t)n;
		for (size_t i = 0; i < n; i++)
			p[i] = is_printable(((const uint8_t *)from)[i]) ?
				       ((const uint8_t *)from)[i] :
				       '?';
		return n + 1;
	}
	if (kind == BYTES16) {
		memcpy(p, from, 16);
		return 16;
	}
	put(p, n, load(from, n));
	return n;
}

int pdmai_sp_frame_len(const uint8_t *buf, size_t len)
{
	uint64_t body;

	if (len < PDMAI_SP_HEAD)
		return 0;
	body = get(buf, 4);
	return body > PDMAI_SP_BODY ? -EBADMSG : (int)body + PDMAI_SP_HEAD;
}

int pdmai_sp_decode(const uint8_t *frame, size_t len, struct pdmai_sp_msg *msg)
{
	const struct field *f;
	size_t at = PDMAI_SP_HEAD;
	int n;

	if (len < PDMAI_SP_HEAD || pdmai_sp_frame_len(frame, len) != (int)len)
		return -EBADMSG;
	memset(msg, 0, sizeof(*msg));
	msg->type = (uint16_t)get(frame + 4, 2);
	msg->tag = (uint16_t)get(frame + 6, 2);
	f = layout_of(msg->type);
	if (!f)
		return -EBADMSG;
	for (; f->kind != END; f++, at += (size_t)n) {
		n = take(f->kind, frame + at, len - at, (uint8_t *)msg + f->at);
		if (n < 0)
			return n;
	}
	return at == len ? 0 : -EBADMSG;
}

int pdmai_sp_encode(const struct pdmai_sp_msg *msg, uint8_t *buf)
{
	const struct field *f = layout_of(msg->type);
	size_t at = PDMAI_SP_HEAD;

	if (!f)
		return -EINVAL;
	/* The longest message is far below PDMAI_SP_BODY: the unit test walks them all. */
	for (; f->kind != END; f++)
		at += give(f->kind, (const uint8_t *)msg + f->at, buf + at);
	put(buf, 4, at - PDMAI_SP_HEAD);
	put(buf + 4, 2, msg->type);
	put(buf + 6, 2, msg->tag);
	return (int)at;
}

int pdmai_sp_code_errno(unsigned code)
{
	static const uint8_t errnos[PDMAI_SP_E_CODES] = {
		[PDMAI_SP_E_VERSION] = EPROTONOSUPPORT,
		[PDMAI_SP_E_NAME] = ENOENT,
		[PDMAI_SP_E_RANGE] = ERANGE,
		[PDMAI_SP_E_RIGHTS] = EACCES,
		[PDMAI_SP_E_LIMIT] = EUSERS,
		[PDMAI_SP_E_STATE] = EPROTO,
		[PDMAI_SP_E_MESSAGE] = EPROTO,
		[PDMAI_SP_E_SERVER] = EREMOTEIO,
		[PDMAI_SP_E_GONE] = ESTALE,
	};

	return code < PDMAI_SP_E_CODES && errnos[code] ? errnos[code] : EREMOTEIO;
}

int pdmai_sp_name_check(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strnlen(name, PDMAI_SP_NAME);

	return n && n < PDMAI_SP_NAME && strspn(name, good) == n ? 0 : -EINVAL;
}
