/* SPDX-License-Identifier: MIT */
/* The guest of the fuzzer nic_wqe: what nic_wqe_setup.c makes for it. */
#ifndef PEERDMA_TESTS_FUZZ_NIC_WQE_H
#define PEERDMA_TESTS_FUZZ_NIC_WQE_H

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "tests/fuzz/nic_guest.h"

/* Blocks of memory */
enum {
	SYSTEM,
	RING_A,
	RING_B,
	RING_U,
	ALL,
	READABLE,
	FOREIGN,
	WRITABLE,
	DEMAND,
	PAGES,
	NOBODY,
	LIST
};

#define EQ_AT	   0x0000u /* in SYSTEM */
#define CQ_AT(i)   (0x1000u + (i)*0x1000u)
#define DB_AT(i)   (0x3000u + (i)*0x40u)
#define LOG_CQ	   6
#define LOG_SRQ	   4
#define SRQ_AT	   0x2000u /* in RING_U */
#define XSRQ_AT	   0x3000u
#define RQ_ENTRIES 8u
#define VA(block)  (0x100000u * (block)) /* where a key shows its block */
#define EDGE	   0x123u		 /* the key of ALL begins and ends inside a page */
#define ALL_LEN	   0x3c00u

#define DC_KEY 0x1234u

/* Keys, in the order they are made */
enum key {
	K_ALL,
	K_READ,
	K_FOREIGN,
	K_WRITE,
	K_DEMAND,
	K_PAGES,
	K_LIST,
	K_RANGES,
	K_BLOCKS,
	K_NESTED,
	K_CYCLE,
	K_WINDOW,
	K_BOUND,
	K_DEVICE,
	KEYS
};

enum { A, B, U, QPS };

struct guest {
	struct fuzz_input in;
	uint32_t pd, other_pd, uar, eqn, cqn[2], srqn, xsrqn, xrcd;
	uint32_t key[KEYS], qpn[QPS];
	uint16_t sq_pi[QPS], rq_pi[QPS], srq_posted[2], srq_at[2];
	uint32_t cq_ci[2], eq_ci;
	uint8_t type, log_stride, log_sq, mtu, qp_how;
	bool shared;
	uint8_t cmd[1024], out[1024];
};

/* The next byte of the input. */
uint8_t wqe_u8(struct guest *g);
/* Begin a command. Return: its input. */
uint8_t *wqe_begin(struct guest *g, uint16_t opcode, uint32_t id);
/* Run it, of len bytes. Return: its status. */
uint8_t wqe_run(struct guest *g, uint32_t len);
/* A transition of a queue pair, and those from reset to sending. */
void wqe_transition(struct guest *g, uint16_t opcode, unsigned i, uint32_t peer);
void wqe_up(struct guest *g, unsigned i, uint32_t peer);
/* Everything, by the first bytes of the input. */
void wqe_set_up(struct guest *g);

#endif
