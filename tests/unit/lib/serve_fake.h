/* SPDX-License-Identifier: MIT */
/*
 * What the serve code stands on, for tests of its sessions in one process: GnuTLS as a plain pipe,
 * an RDMA device with its connection manager that only keeps books, memory that knows what of it
 * was given away, and a clock that is set by hand. They take the places of the libraries when the
 * program is linked: the code under test is the one that is shipped.
 */
#ifndef PEERDMA_TESTS_UNIT_LIB_SERVE_FAKE_H
#define PEERDMA_TESTS_UNIT_LIB_SERVE_FAKE_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/region/region.h"

/*
 * serve_tls.c. The first byte a client sends stands for its proof: SERVE_PROOF makes the handshake,
 * any other fails it. What follows are the bytes inside TLS.
 */
#define SERVE_PROOF 0x50

/*
 * Where the other end is the test itself: asked when nothing is there to read. Return: true if
 * something was sent.
 */
extern bool (*serve_more)(void);

/* ---- serve_memory.c ---- */

/* A region of its own memory. Pages are never touched, so any length will do. */
struct serve_memory {
	char *base; /* by pointer; NULL: by dma-buf only */
	uint64_t len;
	int check_err; /* negative errno: it went away */
};

/* by_pointer: host memory, at most 1 MiB; else device memory with a dma-buf. */
struct pdma_region *serve_region(struct pdma_ctx *ctx, struct serve_memory *m, uint64_t len,
				 bool by_pointer);
void serve_memory_free(struct serve_memory *m);
/* What the latest dma-buf is of. */
extern const struct serve_memory *serve_dmabuf_memory;
extern uint64_t serve_dmabuf_off;

/* ---- serve_nic.c ---- */

struct serve_key {
	struct ibv_mr mr; /* first */
	LIST_ENTRY(serve_key) entry;
	const struct serve_memory *memory; /* NULL: by pointer */
	const char *addr;		   /* by pointer */
	uint64_t off, len;		   /* in memory */
	int access;
};

struct serve_nic {
	/* what to do: positive errno, or 0 */
	int pd_err, qp_err, modify_err, reg_err;
	bool no_cm, no_port;
	int cm_port;
	/* what there is */
	unsigned pds, cqs, qps, ids, events;
	LIST_HEAD(, serve_key) keys;
	/* what a client's work requests ask for */
	uint64_t asked_addr, asked_len;
	uint32_t asked_rkey;
	enum ibv_wc_status answer;
};

extern struct serve_nic serve_nic;
/* Nothing there, nothing fails. Also puts it into libibverbs' place for registrations. */
void serve_nic_reset(void);
/* The device reports an error of a queue pair (NULL: of itself). */
void serve_nic_event(enum ibv_event_type type, struct ibv_qp *qp);
/* A connection manager's request with that private data; and the end of a connection. */
void serve_cm_request(const void *data, uint8_t len);
void serve_cm_end(struct rdma_cm_id *id);
/* Events that wait to be taken. */
unsigned serve_nic_waiting(void);

/* ---- serve_clock.c ---- */

/*
 * CLOCK_MONOTONIC of the code under test. Each look at it takes serve_look_ns. Who waits next waits
 * serve_late_ns until serve_more() is asked, if that is set and in time.
 */
extern int64_t serve_now_ns, serve_look_ns, serve_late_ns;

#endif
