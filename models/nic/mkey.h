/* SPDX-License-Identifier: MIT */
/*
 * Memory keys. The object and its commands: lead (mkey_cmd.c). Translation, access checks, UMR,
 * windows, on-demand paging: data (xlt.c, umr.c, odp.c).
 */
#ifndef PEERDMA_MODELS_NIC_MKEY_H
#define PEERDMA_MODELS_NIC_MKEY_H

#include <pthread.h>
#include "models/common/dma.h"
#include "models/nic/object.h"

struct nic;
struct nic_qp;
struct nic_sig;

enum nic_mkey_mode { /* as in the context's access mode, five bits */
		     NIC_MKEY_PA = 0,
		     NIC_MKEY_MTT = 1,
		     NIC_MKEY_KLM = 2,
		     NIC_MKEY_KSM = 3,
		     NIC_MKEY_SW_ICM = 4, /* absent */
		     NIC_MKEY_MEMIC = 5,
};

enum nic_access {
	NIC_ACC_LOCAL_READ = 1 << 0,
	NIC_ACC_LOCAL_WRITE = 1 << 1,
	NIC_ACC_REMOTE_READ = 1 << 2,
	NIC_ACC_REMOTE_WRITE = 1 << 3,
	NIC_ACC_REMOTE_ATOMIC = 1 << 4,
};

/* One indirect entry (KLM, or KSM where len is the mkey's page size). */
struct nic_klm {
	uint64_t va;
	uint32_t len;
	uint32_t key;
};

/*
 * lock protects everything below it. The data path holds it for reading from look-up until the
 * copy is over, so that who invalidates (writer) knows no transfer goes on; a data worker takes
 * it for writing only by trying (and comes back later), the command worker may wait. Readers may
 * hold several keys; the default kind of rwlock (readers first) makes that safe.
 */
struct nic_mkey {
	struct nic_obj obj; /* id is the index: the key without its low byte */
	struct nic *nic;
	struct mdl_dma dma; /* copy before use: one thread at a time */
	uint64_t inflight_faults;
	pthread_rwlock_t lock;
	uint8_t variant; /* low byte of the key */
	uint8_t mode;	 /* enum nic_mkey_mode */
	uint8_t access;	 /* enum nic_access bits */
	bool free;	 /* not usable for access until UMR or a bind */
	bool umr_en, rinval_en, length64;
	bool odp; /* MTT entries may be absent: a fault, not an error */
	bool relaxed_write, relaxed_read;
	uint8_t log_page; /* of MTT and KSM entries */
	uint32_t pd;
	uint32_t qpn;	     /* 0xffffff = any; else only this QP (window type 2, QP bound) */
	uint64_t start, len; /* length64: len is ignored, whole address space */
	uint32_t n_xlt;	     /* entries of the list in use (MTT: pages; KLM/KSM: entries) */
	uint32_t cap_octo;   /* translations_octword_size: 16-byte units reserved */
	union {
		uint64_t *mtt; /* address | NIC_MTT_READ | NIC_MTT_WRITE */
		struct nic_klm *klm;
		void *xlt;
	};
	bool sig_on;	     /* blocks have signatures: all access goes by sig.c */
	struct nic_sig *sig; /* or NULL: the key can't have them */
};

/* Key of an entry that is no range but tells of those after it: a repeat block. */
#define NIC_KLM_REPEAT 0x400u

#define NIC_MTT_READ  1ull
#define NIC_MTT_WRITE 2ull
#define NIC_MTT_ADDR  (~7ull)

/* What the reserved keys of QUERY_SPECIAL_CONTEXTS are. */
#define NIC_KEY_RESERVED_LKEY 0x00000a00u /* PA, all of memory, kernel QPs only (rlky) */
#define NIC_KEY_NULL	      0x00000b00u
#define NIC_KEY_TERMINATE     0x00000c00u
#define NIC_KEY_DUMP_FILL     0x00000d00u

/* Allocation shared by CREATE_MKEY and a UMR that makes a list longer: never beyond cap_octo. */
int nic_mkey_alloc_xlt(struct nic_mkey *mk, uint8_t mode, uint32_t octo);

/* ---- data ---- */

/* Why a translation failed; the requester and responder turn it into a status or a NAK. */
enum nic_xlt {
	NIC_XLT_OK = 0,
	NIC_XLT_KEY, /* no such key, free, wrong variant or QP */
	NIC_XLT_PD,
	NIC_XLT_ACCESS,
	NIC_XLT_RANGE,
	NIC_XLT_DEPTH, /* indirect keys nested too deep, or too many pieces */
	NIC_XLT_FAULT, /* on-demand page absent: f says which */
	NIC_XLT_BUSY,  /* a key is being changed: come back later. Only with nic_iov.writing */
};

struct nic_fault {
	uint32_t key;
	uint64_t va;
	uint64_t len;
};

#endif
