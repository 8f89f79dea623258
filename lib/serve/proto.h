/* SPDX-License-Identifier: MIT */
/*
 * Messages of the serve protocol (docs/serve-protocol.md): bytes to values and back. No sockets, no
 * state, nothing allocated; every length is bounded before it is used.
 */
#ifndef PEERDMA_LIB_SERVE_PROTO_H
#define PEERDMA_LIB_SERVE_PROTO_H

#include <stddef.h>
#include <stdint.h>

#define PDMAI_SP_VERSION 1
#define PDMAI_SP_HEAD	 8 /* u32 length of the body, u16 type, u16 tag */
#define PDMAI_SP_BODY	 512
#define PDMAI_SP_FRAME	 (PDMAI_SP_HEAD + PDMAI_SP_BODY)
#define PDMAI_SP_NAME	 64  /* with the NUL */
#define PDMAI_SP_TEXT	 160 /* with the NUL */

enum pdmai_sp_type {
	PDMAI_SP_HELLO = 1,
	PDMAI_SP_WELCOME = 2,
	PDMAI_SP_LIST = 3,
	PDMAI_SP_EXPORT = 4,
	PDMAI_SP_LISTED = 5,
	PDMAI_SP_CONNECT = 6,
	PDMAI_SP_CONNECTED = 7,
	PDMAI_SP_OPEN = 8,
	PDMAI_SP_OPENED = 9,
	PDMAI_SP_CLOSE = 10,
	PDMAI_SP_CLOSED = 11,
	PDMAI_SP_PING = 12,
	PDMAI_SP_PONG = 13,
	PDMAI_SP_ERROR = 14,
	PDMAI_SP_REVOKED = 15,
	PDMAI_SP_GOODBYE = 16,
};

/* How the RDMA connection is made. */
enum pdmai_sp_way { PDMAI_SP_WAY_QP = 1, PDMAI_SP_WAY_CM = 2 };

#define PDMAI_SP_READ  1 /* rights */
#define PDMAI_SP_WRITE 2

enum pdmai_sp_code {
	PDMAI_SP_E_VERSION = 1,
	PDMAI_SP_E_NAME = 2,	/* no such export */
	PDMAI_SP_E_RANGE = 3,	/* not inside it */
	PDMAI_SP_E_RIGHTS = 4,	/* not granted */
	PDMAI_SP_E_LIMIT = 5,	/* too many clients or open ranges */
	PDMAI_SP_E_STATE = 6,	/* not now */
	PDMAI_SP_E_MESSAGE = 7, /* cannot be understood */
	PDMAI_SP_E_SERVER = 8,	/* it failed */
	PDMAI_SP_E_GONE = 9,	/* revoked */
	PDMAI_SP_E_CODES
};

struct pdmai_sp_msg {
	uint16_t type, tag;
	union {
		struct {
			uint16_t min, max;
		} hello;
		struct {
			uint16_t version, max_opens, cm_port;
		} welcome;
		struct {
			uint64_t len;
			uint8_t rights;
			char name[PDMAI_SP_NAME], kind[PDMAI_SP_NAME];
		} export;
		struct {
			uint16_t count;
		} listed;
		struct {
			uint8_t way, mtu;
			uint16_t lid;
			uint32_t qpn, psn;
			uint8_t gid[16], cookie[16];
		} connect; /* and connected */
		struct {
			uint8_t rights;
			uint64_t off, len;
			char name[PDMAI_SP_NAME];
		} open;
		struct {
			uint32_t handle, rkey;
			uint64_t addr, len;
			uint8_t rights;
		} opened;
		struct {
			uint32_t handle;
			char text[PDMAI_SP_TEXT];
		} close; /* closed, revoked: with text */
		struct {
			uint16_t code;
			char text[PDMAI_SP_TEXT];
		} error;
		struct {
			char text[PDMAI_SP_TEXT];
		} goodbye;
	};
};

/*
 * How long is the frame that begins here?
 * Return: bytes of the whole frame; 0: more of the head is needed; -EBADMSG: the length is beyond
 * PDMAI_SP_BODY.
 */
int pdmai_sp_frame_len(const uint8_t *buf, size_t len);

/*
 * Take one whole frame of len bytes apart. Strings of the message are ended by NUL and printable.
 * Return: 0; -EBADMSG: unknown type, too short, bytes left over, a string that is not printable.
 */
int pdmai_sp_decode(const uint8_t *frame, size_t len, struct pdmai_sp_msg *ret_msg);

/*
 * The frame of a message; buf has PDMAI_SP_FRAME bytes. What is not printable in strings becomes
 * "?". Return: bytes; -EINVAL: unknown type.
 */
int pdmai_sp_encode(const struct pdmai_sp_msg *msg, uint8_t *buf);

/* What a code means to a caller, as a positive errno. */
int pdmai_sp_code_errno(unsigned code);

/* Letters, digits, ".", "_", "-", 1 to 63 of them? Return: 0; -EINVAL. */
int pdmai_sp_name_check(const char *name);

#endif
