/* SPDX-License-Identifier: MIT */
/*
 * Work requests in guest memory, and what they say in host form. Owner: data (wqe.c).
 * Sources: KH, RC (SPEC.rst).
 */
#ifndef PEERDMA_MODELS_NIC_WQE_H
#define PEERDMA_MODELS_NIC_WQE_H

#include <stdbool.h>
#include <stdint.h>

struct nic_qp;

#define NIC_BB	       64u /* bytes of a send queue's block */
#define NIC_WQE_MAX_BB 16u /* blocks of the largest request */
#define NIC_MAX_SGE    64u
#define NIC_MAX_STRIDE 2048u /* bytes of the largest receive entry */
#define NIC_MAX_RSGE   (NIC_MAX_STRIDE / 16)

enum nic_opcode {
	NIC_OP_NOP = 0x00,
	NIC_OP_SEND_INVAL = 0x01,
	NIC_OP_WRITE = 0x08,
	NIC_OP_WRITE_IMM = 0x09,
	NIC_OP_SEND = 0x0a,
	NIC_OP_SEND_IMM = 0x0b,
	NIC_OP_READ = 0x10,
	NIC_OP_CAS = 0x11,
	NIC_OP_FADD = 0x12,
	NIC_OP_SET_PSV = 0x20,
	NIC_OP_UMR = 0x25,
	NIC_OP_TAG_MATCHING = 0x28,
};

/* A piece of a scatter or gather list; host is set for inline data. */
struct nic_sge {
	uint64_t addr;
	const uint8_t *host;
	uint32_t len;
	uint32_t key;
};

/* Address vector of a datagram. */
struct nic_av {
	uint32_t qkey, dqpn, flow_label;
	uint64_t dc_key; /* where qkey is, of a DCI */
	uint16_t rlid;
	uint8_t sl, mlpath, tclass, hop_limit, sgid_index;
	bool grh;
	uint8_t rgid[16];
};

/* A send request. Points into the block buffer it was parsed from. */
struct nic_swqe {
	uint16_t idx; /* first block */
	uint8_t nbb;
	uint8_t opcode;
	bool signalled, solicited;
	uint32_t imm; /* control segment's last word: immediate, key to invalidate, UMR's key */
	uint32_t srqn;
	uint32_t rkey;
	uint64_t raddr;
	uint64_t swap_add, compare;
	struct nic_av av;
	const uint8_t *umr; /* UMR, SET_PSV: what follows the control segment ... */
	uint32_t umr_len;
	uint64_t len; /* of all pieces */
	unsigned n_sge;
	struct nic_sge sge[NIC_MAX_SGE];
};

/*
 * Read n blocks from block idx on, going round at the end of the ring. Return: 0 or an error of
 * the door.
 */
int nic_wqe_fetch(const struct nic_qp *qp, uint16_t idx, unsigned n, uint8_t *buf);

/* Blocks of the request whose control segment is at p: 1 to 16. A wrong size counts as 1. */
unsigned nic_wqe_blocks(const uint8_t *p);

/* Opcode in the control segment. */
static inline uint8_t nic_wqe_opcode(const uint8_t *p)
{
	return p[3];
}

/*
 * Parse the request at p, of which n blocks are there. Return: 0; -EAGAIN when it has more blocks
 * (w->nbb is set); -EINVAL when it makes no sense (idx, nbb, opcode and signalled are set).
 */
int nic_wqe_parse(const struct nic_qp *qp, const uint8_t *p, unsigned n, uint16_t idx,
		  struct nic_swqe *w);

/* Data segments of a receive entry of len bytes; ends at the terminator. Return: pieces. */
unsigned nic_wqe_parse_recv(const uint8_t *p, unsigned len, struct nic_sge *sge,
			    uint64_t *ret_total);

#endif
