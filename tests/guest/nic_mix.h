/* SPDX-License-Identifier: MIT */
/*
 * Two processes with 64 queue pairs of each transport between them, all at work at once. One asks
 * (the client), one is asked (the server). Every failure here ends the program with a sentence.
 */
#ifndef PEERDMA_TESTS_GUEST_NIC_MIX_H
#define PEERDMA_TESTS_GUEST_NIC_MIX_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum mix_kind { MIX_RC, MIX_UC, MIX_XRC, MIX_UD, MIX_KINDS };

#define MIX_QPS	  64u
#define MIX_ENDS  (MIX_KINDS * MIX_QPS)
#define MIX_SENDS 3u /* messages of an end in a round */
#define MIX_SRQS  8u /* XRC receive queues, each of several ends */

/* Memory: one registration, the same layout on both sides. */
#define MIX_HALF    (64u << 10)
#define MIX_BUF	    (12u << 10) /* a receive buffer */
#define MIX_SOURCE  0u		/* what is sent, written, and read from */
#define MIX_TARGET  MIX_HALF	/* where it goes */
#define MIX_RECV    (2 * MIX_HALF)
#define MIX_ATOMIC  (MIX_RECV + MIX_SENDS * MIX_BUF) /* 16 words: results, or the word of the end */
#define MIX_STRIDE  (MIX_ATOMIC + 128u)
#define MIX_COUNTER ((uint64_t)MIX_STRIDE * MIX_ENDS) /* the word all ends add to */
#define MIX_SIZE    (MIX_COUNTER + 4096)
#define MIX_GRH	    40u

struct mix_end {
	enum mix_kind kind;
	struct ibv_qp *qp;
	uint32_t peer_qpn, peer_srqn;
	uint8_t *mem; /* MIX_STRIDE bytes */
	uint64_t peer_mem;
	unsigned received; /* messages of this round */
};

struct mix {
	bool server;
	int sock;
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_xrcd *xrcd;
	struct ibv_srq *srq[MIX_SRQS];
	struct ibv_ah *ah;
	struct ibv_mr *mr;
	uint8_t *mem;
	uint16_t peer_lid;
	uint32_t peer_rkey;
	uint64_t peer_counter;
	struct mix_end end[MIX_ENDS];
};

_Noreturn void mix_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Listen on port, or connect to host, and connect all ends. */
void mix_open(struct mix *m, const char *port, const char *host);
void mix_close(struct mix *m);

/* Wait for the other side to come here too. */
void mix_meet(struct mix *m);

/* The next completion, which must be a success; ends the program if none comes in 30 s. */
void mix_next(struct mix *m, struct ibv_wc *ret_wc);

static inline bool mix_has_srq(const struct mix_end *e)
{
	return e->kind == MIX_XRC;
}

/* Reads, atomics; writes are all but UD's. */
static inline bool mix_reads(const struct mix_end *e)
{
	return e->kind == MIX_RC || e->kind == MIX_XRC;
}

#endif
