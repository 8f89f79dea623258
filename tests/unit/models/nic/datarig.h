/* SPDX-License-Identifier: MIT */
/*
 * Two NICs' data paths over plain memory: the door is memcpy, the clock is the test's, completions
 * and events are logged. What the data path calls outside itself (queues' commands, completion and
 * event queues, the subnet) is stood in for by datarig.c.
 */
#ifndef PEERDMA_TESTS_UNIT_MODELS_NIC_DATARIG_H
#define PEERDMA_TESTS_UNIT_MODELS_NIC_DATARIG_H

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"

#define RIG_MEM	 (24u << 20)
#define RIG_PD	 7u
#define RIG_KEY	 0x4200u /* identity over all memory, all rights */
#define RIG_A	 0x400000u
#define RIG_B	 0xc00000u
#define RIG_MTU	 1024u
#define RIG_RING 64u

extern uint8_t rig_mem[RIG_MEM];
extern struct nic rig_nic[2];
extern uint64_t rig_now;

struct rig_done {
	struct nic_cq *cq;
	struct nic_cqe e;
};
extern struct rig_done rig_log[4096];
extern unsigned rig_logged;

struct rig_event {
	uint8_t type, subtype;
	uint32_t num;
	uint8_t data[28];
};
extern struct rig_event rig_events[256];
extern unsigned rig_n_events;

int rig_setup(void **state);
int rig_teardown(void **state);

/* A QP ready to send, talking to dqpn of the NIC `peer`. */
struct nic_qp *rig_qp(unsigned nic, uint32_t qpn, uint8_t type, unsigned peer, uint32_t dqpn);
/* RC 0x40 on NIC 0 and 0x41 on NIC 1. */
void rig_pair(uint8_t type, struct nic_qp **a, struct nic_qp **b);
struct nic_mkey *rig_mkey(unsigned nic, uint32_t key, uint32_t pd, uint8_t access, uint64_t start,
			  uint64_t len);
struct nic_srq *rig_srq(unsigned nic, uint32_t id, uint8_t kind);

/* A request under construction; segments are appended. */
struct rig_wqe {
	uint8_t b[1024];
	unsigned len;
};
void rig_begin(struct rig_wqe *w, struct nic_qp *qp, uint8_t opcode, uint32_t imm);
void rig_remote(struct rig_wqe *w, uint64_t addr, uint32_t key);
void rig_atomic(struct rig_wqe *w, uint64_t swap_add, uint64_t compare);
void rig_sge(struct rig_wqe *w, uint64_t addr, uint32_t len, uint32_t key);
void rig_inline(struct rig_wqe *w, const void *p, uint32_t len);
void rig_raw(struct rig_wqe *w, const void *p, unsigned len);
/* Write it to the ring, ring the bell. */
void rig_post(struct nic_qp *qp, struct rig_wqe *w);
void rig_recv(struct nic_qp *qp, uint64_t addr, uint32_t len, uint32_t key);
void rig_srq_post(struct nic_srq *srq, uint16_t idx, uint16_t next, uint64_t addr, uint32_t len);

/* One call: a whole request of one piece. */
void rig_send(struct nic_qp *qp, uint8_t op, uint64_t addr, uint32_t len, uint64_t raddr,
	      uint32_t rkey);

/* Until nothing is left to do; time jumps to the next deadline. Return: steps. */
unsigned rig_run(void);
/* Without letting time pass. */
void rig_run_now(void);

/* The i-th completion on the send or receive side of qp, or NULL. */
const struct nic_cqe *rig_cqe(const struct nic_qp *qp, bool recv, unsigned i);
unsigned rig_cqes(const struct nic_qp *qp, bool recv);

void rig_fault(unsigned nic, unsigned point, enum mdl_fault_action action, uint64_t arg,
	       unsigned after, unsigned count, unsigned permille);
void rig_fill(uint64_t addr, uint64_t len, unsigned seed);
bool rig_is_filled(uint64_t addr, uint64_t len, unsigned seed);
uint64_t rig_count(unsigned nic, unsigned counter);
/* Bus addresses at which the door fails. */
void rig_bad(uint64_t addr, uint64_t len);
void rig_link(bool up);

#endif
