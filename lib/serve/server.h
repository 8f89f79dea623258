/* SPDX-License-Identifier: MIT */
/* The server's parts, and what they ask of each other. One thread at a time. */
#ifndef PEERDMA_LIB_SERVE_SERVER_H
#define PEERDMA_LIB_SERVE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/serve/chan.h"
#include "lib/serve/net.h"
#include "lib/serve/rc.h"
#include "peerdma/registration.h"
#include "peerdma/serve.h"

#define PDMAI_SERVE_EXPORTS 64
#define PDMAI_SERVE_ALLOW   64
#define PDMAI_SERVE_EVENTS  1024
#define PDMAI_COOKIE	    16

struct pdmai_session;

/* A descriptor the server's epoll watches, and what is done when it is ready. */
struct pdmai_serve_source {
	void (*ready)(struct pdmai_serve_source *source, struct pdma_serve *serve);
	int fd;
};

struct pdmai_export {
	LIST_ENTRY(pdmai_export) entry;
	char name[PDMAI_SP_NAME];
	struct pdma_region *region;
	uint64_t len;
	bool readonly;
};

/* A range a client has keys for. */
struct pdmai_open {
	LIST_ENTRY(pdmai_open) entry;
	struct pdmai_session *session;
	struct pdmai_export *export;
	struct pdma_region *slice;
	struct pdma_mr *mr;
	uint32_t handle;
	uint64_t off, len;
	bool write;
};

enum pdmai_session_state {
	PDMAI_SESSION_SHAKES, /* TLS */
	PDMAI_SESSION_GREETS, /* no hello yet */
	PDMAI_SESSION_UP,
	PDMAI_SESSION_OVER, /* to be freed at the end of the run */
};

struct pdmai_session {
	struct pdmai_serve_source source; /* first */
	TAILQ_ENTRY(pdmai_session) entry;
	struct pdma_serve *serve;
	struct pdmai_chan *chan;
	enum pdmai_session_state state;
	uint64_t id;
	char peer[64], token[PDMAI_SP_NAME];
	int64_t began_ns, heard_ns;
	short watched; /* what epoll watches now */
	uint8_t cookie[PDMAI_COOKIE];
	bool cookie_valid; /* the connection manager may still connect */
	bool connected;
	bool bereft; /* a key of it was revoked: requests under way may still have met it */
	struct pdmai_rc rc;
	LIST_HEAD(, pdmai_open) opens;
	unsigned n_opens;
	uint32_t next_handle;
};

struct pdma_serve {
	struct pdma_ctx *ctx;
	struct pdma_serve_options opt; /* numbers only; pointers are NULL */
	struct pdmai_cidr allow[PDMAI_SERVE_ALLOW];
	unsigned n_allow;
	struct pdmai_tokens tokens;
	struct pdmai_chan_keys keys;
	struct pdmai_rc_device device;
	int epoll;
	struct pdmai_serve_source listener, timer, wake, async, cm;
	struct rdma_event_channel *cm_channel;
	struct rdma_cm_id *cm_id;
	uint16_t port, cm_port;
	bool device_gone;
	bool full; /* no descriptor is left for another connection: not before the next tick */
	LIST_HEAD(, pdmai_export) exports;
	TAILQ_HEAD(pdmai_sessions, pdmai_session) sessions; /* the oldest first */
	uint64_t next_id;
	struct pdma_serve_stats stats;
	struct pdma_serve_event *events; /* ring */
	unsigned first_event, n_events;
};

/* ---- server.c ---- */

int pdmai_serve_watch(struct pdma_serve *s, struct pdmai_serve_source *source, short events);
void pdmai_serve_unwatch(struct pdma_serve *s, struct pdmai_serve_source *source);
/* A session, export and open may each be NULL. */
void pdmai_serve_tell(struct pdma_serve *s, enum pdma_serve_event_type type,
		      const struct pdmai_session *session, const struct pdmai_open *open,
		      const char *format, ...) __attribute__((format(printf, 5, 6)));
struct pdmai_export *pdmai_serve_find(struct pdma_serve *s, const char *name);
/* Run again soon, though no descriptor says so. Any thread. */
void pdmai_serve_wake(struct pdma_serve *s);

/* ---- session.c ---- */

/* Take a connected socket. It is the session's, or closed. */
void pdmai_session_begin(struct pdma_serve *s, int fd, const struct sockaddr *addr);
/* End it: keys die, the client is told why (NULL: it has gone). Freed by pdmai_session_reap(). */
void pdmai_session_end(struct pdmai_session *session, const char *why);
void pdmai_session_reap(struct pdma_serve *s);
/* Time limits, keys that died, channels with more to say. */
void pdmai_session_tick(struct pdmai_session *session, int64_t now_ns);
/* Queue a message; a client that does not read is dropped. */
void pdmai_session_send(struct pdmai_session *session, const struct pdmai_sp_msg *msg);

/* ---- open.c ---- */

/* Answer an OPEN. */
void pdmai_open_make(struct pdmai_session *session, const struct pdmai_sp_msg *ask);
/* The key is dead and the memory free when it returns. */
void pdmai_open_end(struct pdmai_open *open);
struct pdmai_open *pdmai_open_find(struct pdmai_session *session, uint32_t handle);
/* Tell its client that it was taken away. */
void pdmai_open_tell(struct pdmai_open *open, const char *why);
/* Was a key of the session revoked, whether or not it was told yet? */
bool pdmai_open_bereft(const struct pdmai_session *session);
/* End all of an export: all keys first, then clients are told. */
void pdmai_open_end_export(struct pdma_serve *s, struct pdmai_export *export, const char *why);
/* Answer a request with an error. */
void pdmai_session_refuse(struct pdmai_session *session, uint16_t tag, enum pdmai_sp_code code,
			  const char *text);

/* ---- cm.c ---- */

/* Listen for the connection manager. Return: 0; -errno: there is none here. */
int pdmai_serve_cm_start(struct pdma_serve *s);
void pdmai_serve_cm_stop(struct pdma_serve *s);

#endif
