/* SPDX-License-Identifier: MIT */
/*
 * A server with four exports and a few clients, in one thread: what a client says goes in by its
 * socket, what the server may do with it is looked up in its own books and in the fake device's.
 */
#ifndef PEERDMA_TESTS_UNIT_LIB_SERVE_RIG_H
#define PEERDMA_TESTS_UNIT_LIB_SERVE_RIG_H

#include "lib/serve/server.h"
#include "tests/unit/lib/serve_fake.h"

#define SERVE_EXPORTS 4
#define SERVE_PEERS   6
#define SERVE_OPENS   5 /* max_opens */
#define SERVE_CLIENTS 3 /* max_clients */
#define SERVE_PENDING 2 /* max_pending */

/* Host memory, read-only, the largest there can be, and a slice that begins inside a page. */
enum serve_export { SERVE_RAM, SERVE_ROM, SERVE_VAST, SERVE_ODD };
extern const char *const serve_names[SERVE_EXPORTS];

struct serve_peer {
	int fd;	   /* -1: not connected */
	bool shut; /* the server closed it, and all it said was read */
	size_t n_in;
	uint8_t in[PDMAI_SP_FRAME];
};

struct serve_rig {
	struct pdma_ctx *ctx;
	struct pdma_serve *serve;
	struct serve_memory memory[SERVE_EXPORTS];
	struct pdma_region *region[SERVE_EXPORTS], *parent;
	uint64_t len[SERVE_EXPORTS], start[SERVE_EXPORTS]; /* in its memory */
	struct serve_peer peer[SERVE_PEERS];
};

/* A file with one token. */
const char *serve_token_file(void);

void serve_rig_open(struct serve_rig *rig);
void serve_rig_close(struct serve_rig *rig);
/* As after opening, but with the same server: it may only differ in what it has counted. */
void serve_rig_renew(struct serve_rig *rig);

/* A client connects; nothing is sent. And it leaves without a word. */
void serve_rig_connect(struct serve_rig *rig, unsigned peer);
void serve_rig_hang_up(struct serve_rig *rig, unsigned peer);
void serve_rig_send(struct serve_rig *rig, unsigned peer, const void *bytes, size_t len);
/* Return: the whole frame, or 0: none is there; -EBADMSG: it is no message. */
int serve_rig_recv(struct serve_rig *rig, unsigned peer, struct pdmai_sp_msg *ret_msg);

/* Run until the server has nothing to do. tick: the timer has expired. */
void serve_rig_run(struct serve_rig *rig, bool tick);

/*
 * What must hold between two runs, whatever clients said: every key is of an open range, inside of
 * its export, with no more rights, of a session that proved its token; nothing else is held for a
 * client. Return: NULL, or what is broken.
 */
const char *serve_rig_broken(const struct serve_rig *rig);

#endif
