/* SPDX-License-Identifier: MIT */
/*
 * A process with one small device behind a socket, for tests with a raw client. Its own process,
 * so that its descriptors, its memory and its death can be watched. See server.c for registers.
 */
#ifndef PEERDMA_TESTS_PROTO_SERVER_H
#define PEERDMA_TESTS_PROTO_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#define S_VECTORS 9u
#define S_VRAM	  (1024u * 1024u)
#define S_ANY_FDS 64u

/* Registers of BAR0, 8 bytes each. */
enum {
	S_SCRATCH = 0x00,
	S_WRITES = 0x08, /* accesses by write so far */
	S_ADDR = 0x10,	 /* bus address */
	S_LEN = 0x18,
	S_LOCAL = 0x20,	 /* offset in VRAM */
	S_GO = 0x28,	 /* 1: bus to VRAM, 2: VRAM to bus, 3: fetch-and-add 1 at the address */
	S_DONE = 0x30,	 /* works finished so far */
	S_RESULT = 0x38, /* of the last: -errno, or 0 */
	S_RAISE = 0x40,	 /* raise this vector */
	S_RESETS = 0x48,
	S_KIND = 0x50, /* of the last reset */
	S_OLD = 0x58,  /* what fetch-and-add found */
};

struct server {
	pid_t pid;
	int ctl;
	char dir[64], path[96];
};

int server_start(struct server *s);
/* Return: exit status, or 128 + signal. 0 means clean, sanitizers and leaks included. */
int server_stop(struct server *s);

/* Asked through a channel beside the socket. */
unsigned server_fds(struct server *s);
/* Leave room for n more; S_ANY_FDS takes the limit away. */
void server_limit_fds(struct server *s, unsigned n);
void server_reset(struct server *s);
unsigned server_windows(struct server *s);
/* Bytes of payload by target number (SPEC.rst, 8, in that order) and direction. */
uint64_t server_bytes(struct server *s, unsigned target, int write);
uint64_t server_bad_messages(struct server *s);

#endif
