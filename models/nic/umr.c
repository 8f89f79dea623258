// SPDX-License-Identifier: MIT
/*
 * Requests that change a memory key: registration of the driver, fast registration, binding of
 * windows, invalidation. Source: KH (mlx5_wqe_umr_ctrl_seg, mkc, device.h masks), RC (windows).
 */
#include <errno.h>
#include <string.h>

#include "hw/mlx5_bits.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/data.h"
#include "models/nic/sig.h"

#define CTRL_LEN    48u
#define MKC_LEN	    64u
#define F_INLINE    0x80
#define F_NOT_FREE  0x40 /* fail when the key is free */
#define F_FREE	    0x20 /* fail when it is not */
#define F_OFFSET    0x10
#define F_CHECK_QPN 0x08
#define OCTO	    16u
#define UNIT	    4u /* octowords a list grows by */
#define CHUNK	    4096u
#define ANY_QP	    0xffffffu

enum {
	M_LEN = 1 << 0,
	M_PAGE = 1 << 1,
	M_START = 1 << 6,
	M_PD = 1 << 7,
	M_RINVAL = 1 << 8,
	M_SIG_COUNT = 1 << 9,
	M_BSF = 1 << 12,
	M_KEY = 1 << 13,
	M_QPN = 1 << 14,
	M_LR = 1 << 17,
	M_LW = 1 << 18,
	M_RR = 1 << 19,
	M_RW = 1 << 20,
	M_A = 1 << 21,
	M_RO_WRITE = 1 << 25,
	M_FREE = 1 << 29,
};

struct umr {
	struct nic_qp *qp;
	const uint8_t *mkc, *rest; /* rest: inline list or data segment */
	uint32_t rest_len;
	uint8_t flags;
	uint64_t mask, offset; /* offset in octowords */
	uint32_t octo, key, bsf_octo;
};

static bool parse(struct nic_qp *qp, const struct nic_swqe *w, struct umr *u)
{
	const uint8_t *p = w->umr;

	if (w->umr_len < CTRL_LEN + MKC_LEN)
		return false;
	*u = (struct umr){ .qp = qp,
			   .flags = p[0],
			   .octo = mlx5_get32(p, 4) >> 16,
			   .mask = mlx5_get64(p, 8),
			   .mkc = p + CTRL_LEN,
			   .rest = p + CTRL_LEN + MKC_LEN,
			   .rest_len = w->umr_len - CTRL_LEN - MKC_LEN,
			   .key = w->imm };
	if (!(u->flags & F_OFFSET))
		u->bsf_octo = mlx5_get32(p, 4) & 0xffff;
	else
		u->offset = (uint64_t)mlx5_get32(p, 16) << 16 | (mlx5_get32(p, 4) & 0xffff);
	return true;
}

static bool privileged(const struct nic_qp *qp)
{
	return qp->type == NIC_QP_REG_UMR;
}

static bool page_ok(const struct nic_mkey *mk, unsigned shift)
{
	return shift <= 63 && (mk->mode != NIC_MKEY_MTT || shift >= 12);
}

/* May this QP do this to this key in its present state? */
static bool allowed(const struct umr *u, const struct nic_mkey *mk)
{
	const struct nic_qp *qp = u->qp;

	if (!mk->umr_en || (!privileged(qp) && mk->pd != qp->pd))
		return false;
	/* Bus addresses are for the driver's own queues: a user could name any memory. */
	if (!privileged(qp) && !qp->rlky && mk->mode != NIC_MKEY_KLM && mk->mode != NIC_MKEY_KSM)
		return false;
	if ((u->flags & F_FREE && !mk->free) || (u->flags & F_NOT_FREE && mk->free))
		return false;
	if (u->flags & F_CHECK_QPN && (mk->qpn & ANY_QP) != ANY_QP && mk->qpn != qp->obj.id)
		return false;
	if (!(u->mask & M_KEY) && !privileged(qp) && mk->variant != (u->key & 0xff))
		return false;
	if (u->mask & M_PD && !privileged(qp) && mlx5_get(u->mkc, MLX5_MKC_PD) != qp->pd)
		return false;
	return !(u->mask & M_PAGE) ||
	       page_ok(mk, (unsigned)mlx5_get(u->mkc, MLX5_MKC_LOG_PAGE_SIZE));
}

static void set_right(const struct umr *u, struct nic_mkey *mk, uint64_t mask, mlx5_field f,
		      uint8_t right)
{
	if (!(u->mask & mask))
		return;
	mk->access &= (uint8_t)~right;
	if (mlx5_get(u->mkc, f))
		mk->access |= right;
}

static void apply_context(const struct umr *u, struct nic_mkey *mk)
{
	const uint8_t *c = u->mkc;

	if (u->mask & M_LEN) {
		mk->len = mlx5_get(c, MLX5_MKC_LEN);
		mk->length64 = mlx5_get(c, MLX5_MKC_LENGTH64);
	}
	if (u->mask & M_START)
		mk->start = mlx5_get(c, MLX5_MKC_START_ADDR);
	if (u->mask & M_PAGE)
		mk->log_page = (uint8_t)mlx5_get(c, MLX5_MKC_LOG_PAGE_SIZE);
	if (u->mask & M_PD)
		mk->pd = (uint32_t)mlx5_get(c, MLX5_MKC_PD);
	if (u->mask & M_RINVAL)
		mk->rinval_en = mlx5_get(c, MLX5_MKC_EN_RINVAL);
	if (u->mask & M_KEY)
		mk->variant = (uint8_t)mlx5_get(c, MLX5_MKC_MKEY_7_0);
	if (u->mask & M_QPN)
		mk->qpn = (uint32_t)mlx5_get(c, MLX5_MKC_QPN);
	if (u->mask & M_RO_WRITE)
		mk->relaxed_write = mlx5_get(c, MLX5_MKC_RELAXED_ORDERING_WRITE);
	set_right(u, mk, M_LR, MLX5_MKC_LR, NIC_ACC_LOCAL_READ);
	set_right(u, mk, M_LW, MLX5_MKC_LW, NIC_ACC_LOCAL_WRITE);
	set_right(u, mk, M_RR, MLX5_MKC_RR, NIC_ACC_REMOTE_READ);
	set_right(u, mk, M_RW, MLX5_MKC_RW, NIC_ACC_REMOTE_WRITE);
	set_right(u, mk, M_A, MLX5_MKC_A, NIC_ACC_REMOTE_ATOMIC);
	if (u->mask & M_FREE)
		mk->free = mlx5_get(c, MLX5_MKC_FREE);
}

/*
 * Entries from big-endian bytes; octo is where they begin in the list. Requests come in units of 64
 * bytes: what lies beyond the list's end is padding.
 */
static void put_list(struct nic_mkey *mk, uint64_t octo, const uint8_t *p, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && octo + i < mk->cap_octo; i++, p += OCTO) {
		if (mk->mode == NIC_MKEY_MTT) {
			mk->mtt[2 * (octo + i)] = mlx5_get64(p, 0);
			mk->mtt[2 * (octo + i) + 1] = mlx5_get64(p, 8);
		} else {
			mk->klm[octo + i] = (struct nic_klm){ .len = mlx5_get32(p, 0),
							      .key = mlx5_get32(p, 4),
							      .va = mlx5_get64(p, 8) };
		}
	}
}

/* The list lies in guest memory. Return: 0 or a syndrome; or the fault. */
static enum nic_xlt fetch_list(const struct umr *u, struct nic_mkey *mk, struct nic_fault *f)
{
	struct nic_sge sge = { .key = mlx5_get32(u->rest, 4), .addr = mlx5_get64(u->rest, 8) };
	uint64_t off, n, want = (uint64_t)u->octo * OCTO;
	uint8_t buf[CHUNK];
	struct nic_access_ctx c;
	struct nic_iov v, to;
	enum nic_xlt x;

	sge.len = mlx5_get32(u->rest, 0);
	if (sge.len < want)
		return NIC_XLT_RANGE;
	nic_qp_ctx(u->qp, NIC_ACC_LOCAL_READ, &c);
	c.any_pd = privileged(u->qp); /* the driver's registration queue has no domain */
	for (off = 0; off < want; off += n) {
		n = want - off < CHUNK ? want - off : CHUNK;
		nic_iov_init(&v, &u->qp->dma);
		v.writing = mk;
		v.cls = MDL_CTRL;
		x = nic_xlt_sges(&v, &c, &sge, 1, off, n, f);
		nic_iov_init(&to, &u->qp->dma);
		nic_iov_host(&to, buf, n);
		if (!x && (v.len != n || nic_iov_copy(&to, &v)))
			x = NIC_XLT_ACCESS;
		nic_iov_done(&v);
		if (x)
			return x;
		put_list(mk, u->offset + off / OCTO, buf, (uint32_t)(n / OCTO));
	}
	return NIC_XLT_OK;
}

/* Return: how the list's part of the request went. */
static enum nic_xlt apply_list(const struct umr *u, struct nic_mkey *mk, struct nic_fault *f)
{
	uint64_t end = u->offset + u->octo, cap = (mk->cap_octo + UNIT - 1ull) / UNIT * UNIT;
	enum nic_xlt x = NIC_XLT_OK;
	uint32_t per = mk->mode == NIC_MKEY_MTT ? 2 : 1, need = u->octo * OCTO, have;

	if (!u->octo)
		return NIC_XLT_OK;
	if (mk->mode != NIC_MKEY_MTT && mk->mode != NIC_MKEY_KLM && mk->mode != NIC_MKEY_KSM)
		return NIC_XLT_RANGE;
	if (u->offset > cap || u->octo > cap - u->offset ||
	    (!mk->xlt && nic_mkey_alloc_xlt(mk, mk->mode, mk->cap_octo)))
		return NIC_XLT_RANGE;
	if (u->flags & F_INLINE) {
		have = u->rest_len < need ? u->rest_len / OCTO : u->octo;
		if (have < u->octo)
			return NIC_XLT_RANGE;
		put_list(mk, u->offset, u->rest, u->octo);
	} else if (u->rest_len < OCTO) {
		return NIC_XLT_RANGE;
	} else {
		x = fetch_list(u, mk, f);
	}
	end = end < mk->cap_octo ? end : mk->cap_octo;
	if (!x && end * per > mk->n_xlt)
		mk->n_xlt = (uint32_t)(end * per);
	return x;
}

/*
 * The signatures' part, which follows an inline list. Return: false if it can't be, and then
 * nothing changed.
 */
static bool apply_sig(const struct umr *u, struct nic_mkey *mk)
{
	uint64_t at = (uint64_t)u->octo * OCTO;
	bool on = mlx5_get(u->mkc, MLX5_MKC_BSF_EN);

	if (!u->bsf_octo && (!(u->mask & M_BSF) || (!on && !mk->sig)))
		return true;
	if (!mk->sig ||
	    (u->bsf_octo && (!(u->flags & F_INLINE) || u->bsf_octo * OCTO != NIC_SIG_BSF ||
			     at > u->rest_len || u->rest_len - at < NIC_SIG_BSF)))
		return false;
	if (u->bsf_octo && !nic_sig_load(mk->sig, u->rest + at))
		return false;
	mk->sig_on = (u->mask & M_BSF ? on : mk->sig_on) && nic_sig_active(mk->sig);
	if (u->bsf_octo || u->mask & M_SIG_COUNT)
		atomic_store(&mk->sig->reported, false);
	return true;
}

static void run_locked(const struct umr *u, struct nic_mkey *mk, struct nic_outcome *ret)
{
	enum nic_xlt x;

	if (!allowed(u, mk))
		return;
	x = apply_list(u, mk, &ret->fault);
	if (x == NIC_XLT_BUSY) {
		ret->result = NIC_L_BUSY;
		return;
	}
	if (x) {
		ret->syndrome = x == NIC_XLT_RANGE ? NIC_S_MW_BIND : NIC_S_LOCAL_PROT;
		return;
	}
	if (!apply_sig(u, mk)) {
		ret->syndrome = NIC_S_MW_BIND;
		return;
	}
	apply_context(u, mk);
	ret->result = NIC_L_OK;
}

void nic_umr_run(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret)
{
	struct nic_mkey *mk;
	struct umr u;

	*ret = (struct nic_outcome){ .result = NIC_L_ERROR, .syndrome = NIC_S_LOCAL_QP_OP };
	if (!parse(qp, w, &u))
		return;
	ret->syndrome = NIC_S_MW_BIND;
	mk = nic_find_mkey(qp->nic, u.key);
	if (!mk)
		return;
	/* The list must not come through the key it is for: the lock is held for writing. */
	if (!(u.flags & F_INLINE) && u.octo && u.rest_len >= OCTO &&
	    mlx5_get32(u.rest, 4) >> 8 == mk->obj.id)
		return;
	if (pthread_rwlock_trywrlock(&mk->lock)) {
		ret->result = NIC_L_BUSY;
		return;
	}
	run_locked(&u, mk, ret);
	pthread_rwlock_unlock(&mk->lock);
}

enum nic_local nic_umr_remote_inval(struct nic_qp *qp, uint32_t rkey)
{
	struct nic_mkey *mk = nic_find_mkey(qp->nic, rkey);
	enum nic_local r = NIC_L_ERROR;

	if (!mk)
		return NIC_L_ERROR;
	if (pthread_rwlock_trywrlock(&mk->lock))
		return NIC_L_BUSY;
	if (!mk->free && mk->variant == (rkey & 0xff) && mk->pd == qp->pd && mk->rinval_en &&
	    ((mk->qpn & 0xffffff) == 0xffffff || mk->qpn == qp->obj.id)) {
		mk->free = true;
		r = NIC_L_OK;
	}
	pthread_rwlock_unlock(&mk->lock);
	return r;
}
