/* SPDX-License-Identifier: MIT */
/*
 * Dynamically connected transport: the target (DCT), a queue pair that serves any number of
 * initiators (DCI) out of one shared receive queue. It has a number, a state and a responder's lock
 * like any queue pair; what a responder must remember of its peer is kept here for each initiator.
 */
#ifndef PEERDMA_MODELS_NIC_DCT_H
#define PEERDMA_MODELS_NIC_DCT_H

#include <stdbool.h>
#include <stdint.h>

struct nic_pkt;
struct nic_qp;
struct nic_reply;

/* Initiators a target remembers; the one heard of least recently makes room. */
#define NIC_DCT_CONNS 1024u

/* At creation. Return: 0 or -ENOMEM. */
int nic_dct_init(struct nic_qp *qp);
void nic_dct_fini(struct nic_qp *qp);

/* Bytes of the host a target takes beside struct nic_qp. */
uint64_t nic_dct_charge(void);

/* A run of packets of an initiator. rsp.lock held, ret says "lost" until something is done. */
void nic_dct_packet(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret);

/* Let nothing in any more; what has an entry and is not complete completes as flushed. Takes the
 * lock. */
void nic_dct_drain(struct nic_qp *qp);

/* The page fault with this token (0: all) was answered. Takes the lock. */
void nic_dct_resume(struct nic_qp *qp, uint32_t token, bool error);

#endif
