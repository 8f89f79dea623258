/* SPDX-License-Identifier: MIT */
/*
 * Block signatures: a memory key whose data has a signature after every block, in memory, on the
 * wire, or both. Owner: data (sig.c).
 *
 * Addresses of such a key count bytes as they are on the wire. Whatever reads through it checks
 * the signatures memory has and makes those of the wire; whatever writes, the other way round.
 * Nothing is kept between two transfers but the bytes of a signature that is not yet complete, so
 * a transfer may begin anywhere, and again.
 */
#ifndef PEERDMA_MODELS_NIC_SIG_H
#define PEERDMA_MODELS_NIC_SIG_H

#include "models/nic/data.h"

#define NIC_SIG_BSF   64u   /* bytes of a block signature format (RC mlx5_bsf) */
#define NIC_SIG_BLOCK 4160u /* bytes of the largest block */
#define NIC_SIG_LEN   8u    /* bytes of the largest signature */

enum nic_sig_type {
	NIC_SIG_NONE,
	NIC_SIG_T10_CRC,
	NIC_SIG_T10_CSUM,
	NIC_SIG_CRC32,
	NIC_SIG_CRC32C,
};

/* How signatures of one side look. */
struct nic_sig_domain {
	uint8_t type; /* enum nic_sig_type */
	bool ones;    /* the guard begins with all ones, not with zero */
	/* T10-DIF */
	bool count; /* the reference tag grows by one a block */
	bool app_escape, appref_escape;
	uint16_t app, app_mask;
	uint32_t ref;
};

struct nic_sig {
	uint32_t block;
	uint8_t check, copy; /* bits of a signature's bytes, the most significant byte first */
	struct nic_sig_domain mem, wire;
	_Atomic bool reported; /* an error was; the next waits until the guest has seen it */
	pthread_mutex_t lock;  /* innermost, of the next */
	uint8_t arriving[NIC_SIG_LEN]; /* a signature from the wire, as far as it is there */
};

/* What an error completion tells (RC mlx5_sigerr_cqe). */
struct nic_sig_err {
	uint64_t expected, actual, offset;
	uint32_t key;
	uint16_t syndrome;
	uint8_t domain;
};

/* Take over what a BSF says. Return: false, and nothing changed, when it is not understood. */
bool nic_sig_load(struct nic_sig *s, const uint8_t *bsf);
/* Does it say anything at all? */
bool nic_sig_active(const struct nic_sig *s);

/* Does [va, va + len) lie in the key, as seen from the wire? */
bool nic_sig_range_ok(const struct nic_mkey *mk, uint64_t va, uint64_t len);
/* Bytes from off on the wire to the end of its block, and where that block is in memory. */
uint64_t nic_sig_block(const struct nic_mkey *mk, uint64_t off, uint64_t *ret_mem,
		       uint64_t *ret_mem_len);

/* Data from or to key v->sig[i], at off on the wire, within one block. */
enum nic_copy nic_sig_read(struct nic_iov *v, unsigned i, uint64_t off, uint64_t n, uint8_t *buf);
enum nic_copy nic_sig_write(struct nic_iov *v, unsigned i, uint64_t off, uint64_t n,
			    const uint8_t *buf);

/* The request that sets a signature's state. req.lock held. */
void nic_sig_set_psv(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret);

#endif
