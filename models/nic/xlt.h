/* SPDX-License-Identifier: MIT */
/*
 * From keys and virtual addresses to scatter lists for the DMA door. Owner: data (xlt.c, iov.c).
 *
 * A list (nic_iov) holds the keys it was made from for reading until nic_iov_done: whoever
 * invalidates one of them then knows that no transfer through it goes on.
 */
#ifndef PEERDMA_MODELS_NIC_XLT_H
#define PEERDMA_MODELS_NIC_XLT_H

#include <stdbool.h>
#include <stdint.h>
#include "models/common/dma.h"
#include "models/nic/mkey.h"
#include "models/nic/wqe.h"

#define NIC_IOV_SEGS 160u
#define NIC_IOV_KEYS 48u
#define NIC_IOV_SIGS 4u /* different keys with signatures */

/* Values of mdl_seg.space beside the door's own. */
#define NIC_SPACE_HOST 16 /* addr is a pointer into the model's memory */
#define NIC_SPACE_NULL 17 /* reads as zero, swallows writes */
#define NIC_SPACE_SIG  18 /* and NIC_IOV_SIGS - 1 more: addr is an offset on the wire of sig[i] */

/* On whose behalf, and for what. */
struct nic_access_ctx {
	struct nic *nic;
	uint32_t pd, qpn;
	bool rlky;	/* may use the reserved key */
	bool any_pd;	/* keys of all protection domains */
	bool sender;	/* the requester's own memory */
	uint8_t access; /* enum nic_access bits, all of them needed */
};

struct nic_iov {
	struct mdl_dma dma;
	uint64_t len;
	unsigned n, n_held, n_sig;
	bool special; /* has pieces that are not the door's */
	struct mdl_seg seg[NIC_IOV_SEGS];
	struct nic_mkey *held[NIC_IOV_KEYS];
	enum mdl_class cls;		/* of what is read from it; MDL_DATA unless set */
	const struct nic_mkey *writing; /* the caller holds this one for writing; or NULL */
	struct nic_mkey *sig[NIC_IOV_SIGS];
	struct nic_access_ctx sig_ctx; /* valid with n_sig: who accesses those */
};

/* Start an empty list for transfers through the door dma (copied). */
void nic_iov_init(struct nic_iov *v, const struct mdl_dma *dma);
/* Let the keys go. The list is empty then. */
void nic_iov_done(struct nic_iov *v);

/* Append a piece, or make the last one longer. Return: false when the list is full. */
static inline bool nic_iov_add(struct nic_iov *v, int space, uint64_t addr, uint64_t len)
{
	struct mdl_seg *last = v->n ? &v->seg[v->n - 1] : NULL;

	if (last && (int)last->space == space &&
	    (space == NIC_SPACE_NULL || last->addr + last->len == addr)) {
		last->len += len;
	} else {
		if (v->n == NIC_IOV_SEGS)
			return false;
		v->seg[v->n++] = (struct mdl_seg){ .addr = addr,
						   .len = len,
						   .space = (enum mdl_space)space };
	}
	v->special |= space >= NIC_SPACE_HOST;
	v->len += len;
	return true;
}

/* May the range be used as c says? Does not look at pages. */
enum nic_xlt nic_xlt_check(const struct nic_access_ctx *c, uint32_t key, uint64_t va, uint64_t len);

/*
 * Append the memory of [va, va + len) through key. v->len grows by what fitted: less than len
 * when the list is full. On anything but NIC_XLT_OK the list is of no use but for nic_iov_done,
 * and with NIC_XLT_FAULT *f tells the first absent page and how much was wanted from there.
 */
enum nic_xlt nic_xlt_range(struct nic_iov *v, const struct nic_access_ctx *c, uint32_t key,
			   uint64_t va, uint64_t len, struct nic_fault *f);

/* For sig.c: bytes [off, off + len) of the memory of a key that has signatures. */
enum nic_xlt nic_xlt_raw(struct nic_iov *v, const struct nic_access_ctx *c,
			 const struct nic_mkey *mk, uint64_t off, uint64_t len);

/* The same for bytes [off, off + len) of a scatter list, which must be that long. */
enum nic_xlt nic_xlt_sges(struct nic_iov *v, const struct nic_access_ctx *c,
			  const struct nic_sge *sge, unsigned n, uint64_t off, uint64_t len,
			  struct nic_fault *f);

/* One piece of the model's memory as a list; mem must outlive it. */
void nic_iov_host(struct nic_iov *v, void *mem, uint64_t len);
/* Keep the first len bytes. */
void nic_iov_trim(struct nic_iov *v, uint64_t len);
/* Bytes [off, off + len) of v as a list of its own, which holds no keys: v must outlive it. */
void nic_iov_part(const struct nic_iov *v, uint64_t off, uint64_t len, struct nic_iov *out);

enum nic_copy { NIC_COPY_OK, NIC_COPY_SRC, NIC_COPY_DST, NIC_COPY_GONE };
/* Copy all of src over dst, equally long. Return: which side failed; GONE after a reset. */
enum nic_copy nic_iov_copy(struct nic_iov *dst, struct nic_iov *src);

#endif
