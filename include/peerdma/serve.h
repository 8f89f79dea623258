/* SPDX-License-Identifier: MIT */
/*
 * Serving regions to other machines over RDMA. A client that proves a token gets keys for the named
 * ranges with the granted rights, and from then on its NIC reads and writes them without the
 * server's processor. docs/serve-protocol.md says what travels; the other end is a region
 * "rdma://HOST[:PORT]/NAME" (peerdma/region.h).
 *
 * The server starts no thread: it works inside pdma_serve_run(), whenever its descriptor polls
 * readable. What clients do with keys they have needs no run.
 *
 * Threads: one at a time for each server. Regions may be revoked by any thread at any time; keys
 * die at once, clients are told by the next run.
 */
#ifndef PEERDMA_SERVE_H
#define PEERDMA_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peerdma/context.h>
#include <peerdma/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_serve;

#define PDMA_SERVE_PORT	    19500
#define PDMA_SERVE_NAME_MAX 63 /* bytes of the name of an export or a token */

struct pdma_serve_options {
	size_t size;	     /* sizeof(struct pdma_serve_options) */
	const char *address; /* numeric address to listen on; NULL: every one */
	uint16_t port;	     /* 0: PDMA_SERVE_PORT */
	uint16_t flags;	     /* PDMA_SERVE_... */
	/*
	 * File with the tokens, a line "NAME:HEX" each, readable by its owner alone. Needed: there
	 * is no serving without proof.
	 */
	const char *token_file;
	/* Networks that may connect, "10.0.0.0/8" or "fd00::/8" each, ended by NULL; NULL: all. */
	const char *const *allow;
	const char *nic;       /* RDMA device, "mlx5_0"; NULL: the first with an active port */
	unsigned max_clients;  /* that proved a token; 0: 256 */
	unsigned max_pending;  /* that have not yet; beyond, the oldest is dropped; 0: 512 */
	unsigned max_opens;    /* ranges a client has open at once; 0: 64 */
	unsigned handshake_ms; /* until the token is proven; 0: 10,000 */
	unsigned idle_ms;      /* without an open range and without a message; 0: 60,000 */
};

#define PDMA_SERVE_NO_CM    (1u << 0) /* exchange QP numbers by message only */
#define PDMA_SERVE_ANY_PORT (1u << 1) /* port 0 is a free one: pdma_serve_get_stats() */

/*
 * Start to listen. ctx must outlive the server. opt: in, read during the call only.
 * ret_serve: out, the caller's until pdma_serve_destroy().
 * Return: 0; -EACCES: no token file, or others may read it; -EINVAL: options, a network or token
 * file that cannot be understood; -ENOENT: there is no such file; -ENODEV: no RDMA device with an
 * active port; -EADDRINUSE; -ENOMEM; or of the kernel.
 */
PDMA_API int pdma_serve_create(struct pdma_ctx *ctx, const struct pdma_serve_options *opt,
			       struct pdma_serve **ret_serve);

/*
 * End every export, tell every client, close. Keys are dead and the regions free when it returns.
 * Waits shortly, never for a client. NULL is allowed.
 */
PDMA_API void pdma_serve_destroy(struct pdma_serve *serve);

#define PDMA_EXPORT_READONLY (1u << 0)

/*
 * Publish a region under a name. The region stays the caller's, must not be closed before the
 * export has ended, and may be revoked at any time, which ends the export.
 * name: 1 to PDMA_SERVE_NAME_MAX of letters, digits, ".", "_" and "-".
 * It is registered once, to find out whether the NIC reaches it.
 * Return: 0; -EEXIST: the name is taken; -EINVAL; -ENOSPC: 64 exports; or as pdma_reg_mr().
 */
PDMA_API int pdma_serve_export(struct pdma_serve *serve, struct pdma_region *region,
			       const char *name, unsigned flags);

/*
 * End an export: its keys are dead when it returns, then its clients are told.
 * why: a sentence for them; NULL: "no longer served".
 * Return: 0; -ENOENT.
 */
PDMA_API int pdma_serve_unexport(struct pdma_serve *serve, const char *name, const char *why);

/* Polls readable while pdma_serve_run() has something to do. The server's: never close it. */
PDMA_API int pdma_serve_fd(const struct pdma_serve *serve);

/*
 * Do what there is to do, without waiting: take clients, answer them, drop those that misbehave,
 * look after exports. Only what the server itself cannot go on without fails.
 * Return: 0; -ENODEV: the RDMA device has gone.
 */
PDMA_API int pdma_serve_run(struct pdma_serve *serve);

enum pdma_serve_event_type {
	PDMA_SERVE_JOINED = 1,	   /* a client proved its token */
	PDMA_SERVE_LEFT = 2,	   /* it has gone, or was dropped: text tells */
	PDMA_SERVE_REFUSED = 3,	   /* somebody was turned away before proving a token */
	PDMA_SERVE_OPENED = 4,	   /* a client was given a range */
	PDMA_SERVE_CLOSED = 5,	   /* and gave it back */
	PDMA_SERVE_DENIED = 6,	   /* a client asked for what it may not have */
	PDMA_SERVE_VIOLATION = 7,  /* its NIC was stopped at memory or rights it was not given */
	PDMA_SERVE_EXPORT_END = 8, /* an export ended: revoked, device reset, unexport */
};

struct pdma_serve_event {
	enum pdma_serve_event_type type;
	uint64_t client; /* number of the client, from 1; 0: none */
	int64_t time_ns; /* CLOCK_MONOTONIC */
	char peer[64];	 /* "10.0.0.7:41234" */
	char token[PDMA_SERVE_NAME_MAX + 1];
	char name[PDMA_SERVE_NAME_MAX + 1]; /* of the export, "" */
	uint64_t off, len;		    /* opened, closed: what of it */
	bool write;			    /* opened: with the right to write */
	char text[160];			    /* one sentence */
};

/*
 * Take the oldest event. The latest 1,024 are kept; stats.events_lost counts the others.
 * Return: 1 with *ret_event; 0: there is none.
 */
PDMA_API int pdma_serve_event_next(struct pdma_serve *serve, struct pdma_serve_event *ret_event);

/* "joined", "left", ...; "unknown" for others. Static. */
PDMA_API const char *pdma_serve_event_name(enum pdma_serve_event_type type);

struct pdma_serve_stats {
	size_t size;   /* in: sizeof(struct pdma_serve_stats) */
	uint16_t port; /* it listens on */
	bool cm;       /* clients may connect by the connection manager */
	char nic[64];
	unsigned exports, clients, pending, opens; /* now */
	uint64_t joined, refused, denied, violations, dropped, events_lost;
};

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_serve_get_stats(const struct pdma_serve *serve,
				  struct pdma_serve_stats *ret_stats);

/*
 * Write a new token file with one token: 32 random bytes, readable by its owner alone.
 * Return: 0; -EEXIST: path is there already; -EINVAL: name; or of the kernel.
 */
PDMA_API int pdma_token_create(const char *path, const char *name);

/* ---- the other end ---- */

struct pdma_export {
	char name[PDMA_SERVE_NAME_MAX + 1];
	uint64_t len;
	bool readonly;
	char kind[16]; /* "accel" */
};

/*
 * What a server has: connects, proves the token, asks, leaves.
 * host, port: as in URIs; port NULL: PDMA_SERVE_PORT.
 * ret_exports: out, at most max are written. ret_n: how many there are.
 * Return: 0; -EACCES: no token, or it was not accepted; -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT;
 * -EPROTO: it is no server of ours; -ENOMEM.
 */
PDMA_API int pdma_serve_query(struct pdma_ctx *ctx, const char *host, const char *port,
			      const char *token_file, struct pdma_export *ret_exports, unsigned max,
			      unsigned *ret_n);

#ifdef __cplusplus
}
#endif

#endif
