// SPDX-License-Identifier: MIT
/*
 * Translation. Source: KH (mkc), PRM (memory keys): a direct key's list has one entry a page, the
 * first for the page its start address lies in; an indirect key's entries are ranges of other
 * keys, which must grant the local right that goes with the access.
 */
#include "models/nic/xlt.h"

#include "models/nic/internal.h"
#include "models/nic/memic.h"
#include "models/nic/sig.h"

#define MAX_DEPTH 4
#define MAX_STEPS (1u << 20) /* entries of lists looked at for one translation, at all depths */
#define ANY_QP	  0xffffffu

static bool holds(const struct nic_iov *v, const struct nic_mkey *mk)
{
	unsigned i;

	for (i = v->n_held; i--;)
		if (v->held[i] == mk)
			return true;
	return false;
}

/*
 * Who holds a key for writing must not wait for another: two of them could wait for each other.
 * *ret_full: the list can hold no more keys. Return: OK or BUSY.
 */
static enum nic_xlt hold(struct nic_iov *v, struct nic_mkey *mk, bool *ret_full)
{
	if (holds(v, mk))
		return NIC_XLT_OK;
	*ret_full = v->n_held == NIC_IOV_KEYS;
	if (*ret_full)
		return NIC_XLT_OK;
	if (!v->writing)
		pthread_rwlock_rdlock(&mk->lock);
	else if (pthread_rwlock_tryrdlock(&mk->lock))
		return NIC_XLT_BUSY;
	v->held[v->n_held++] = mk;
	return NIC_XLT_OK;
}

static enum nic_xlt check_key(const struct nic_mkey *mk, const struct nic_access_ctx *c,
			      uint32_t key)
{
	if (mk->free || mk->variant != (key & 0xff))
		return NIC_XLT_KEY;
	if ((mk->qpn & ANY_QP) != ANY_QP && mk->qpn != c->qpn)
		return NIC_XLT_KEY;
	if (mk->pd != c->pd && !c->any_pd)
		return NIC_XLT_PD;
	return (mk->access & c->access) == c->access ? NIC_XLT_OK : NIC_XLT_ACCESS;
}

static bool range_ok(const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	/* Device memory is addressed from 0; start says where in the device it is. */
	uint64_t off = mk->mode == NIC_MKEY_MEMIC ? va : va - mk->start;

	if (mk->length64)
		return len <= UINT64_MAX - va;
	return (mk->mode == NIC_MKEY_MEMIC || va >= mk->start) && off <= mk->len &&
	       len <= mk->len - off;
}

/* Everything one level of a translation needs. */
struct walk {
	struct nic_iov *v;
	struct nic_access_ctx c;
	struct nic_fault *f;
	unsigned depth;
	uint32_t steps;
	bool full;
	bool in_sig; /* below a key that has signatures */
};

static enum nic_xlt walk_key(struct walk *w, uint32_t key, uint64_t va, uint64_t len);

static bool mtt_present(const struct nic_mkey *mk, uint64_t e, bool write)
{
	if (e & (write ? NIC_MTT_WRITE : NIC_MTT_READ))
		return true;
	/* Lists made before access bits existed: an address is enough. */
	return !mk->odp && !(e & (NIC_MTT_READ | NIC_MTT_WRITE)) && e;
}

static enum nic_xlt fault_at(struct walk *w, const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	*w->f = (struct nic_fault){ .key = mk->obj.id << 8 | mk->variant, .va = va, .len = len };
	return NIC_XLT_FAULT;
}

/* n bytes of entry i, and what lies behind them in memory as in the list; at most len in all. */
static uint64_t in_one_piece(const struct nic_mkey *mk, uint64_t i, uint64_t n, uint64_t len)
{
	uint64_t page = 1ull << mk->log_page, e = mk->mtt[i];

	/* An entry with other rights differs in its low bits. */
	while (n < len && ++i < mk->n_xlt && mk->mtt[i] == (e += page))
		n += page;
	return n < len ? n : len;
}

static enum nic_xlt walk_mtt(struct walk *w, const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	uint64_t page = 1ull << mk->log_page, off = va - (mk->start & ~(page - 1)), n, e;
	bool write = w->c.access & ~(NIC_ACC_LOCAL_READ | NIC_ACC_REMOTE_READ);

	for (; len && !w->full; len -= n, off += n, va += n) {
		if (off >> mk->log_page >= mk->n_xlt || !mk->mtt)
			return NIC_XLT_RANGE;
		e = mk->mtt[off >> mk->log_page];
		if (!mtt_present(mk, e, write))
			return fault_at(w, mk, va, len);
		n = in_one_piece(mk, off >> mk->log_page, page - (off & (page - 1)), len);
		w->full = !nic_iov_add(w->v, MDL_SPACE_BUS, (e & NIC_MTT_ADDR) + (off & (page - 1)),
				       n);
	}
	return NIC_XLT_OK;
}

/* Rights an inner key must give for the outer access. An atomic reads and writes. */
static uint8_t local_right(uint8_t access)
{
	const uint8_t both = NIC_ACC_LOCAL_READ | NIC_ACC_LOCAL_WRITE;

	if (access == NIC_ACC_REMOTE_ATOMIC || access == both)
		return both;
	return access & (NIC_ACC_LOCAL_READ | NIC_ACC_REMOTE_READ) ? NIC_ACC_LOCAL_READ :
								     NIC_ACC_LOCAL_WRITE;
}

static enum nic_xlt walk_inner(struct walk *w, uint32_t key, uint64_t va, uint64_t len)
{
	uint8_t access = w->c.access;
	enum nic_xlt r;

	if (w->depth == MAX_DEPTH)
		return NIC_XLT_DEPTH;
	w->depth++;
	w->c.access = local_right(access);
	r = walk_key(w, key, va, len);
	w->c.access = access;
	w->depth--;
	return r;
}

/* Lists of lists of empty entries would keep a worker for hours: count, and give up in time. */
static bool spent(struct walk *w)
{
	return ++w->steps > MAX_STEPS;
}

static enum nic_xlt walk_ksm(struct walk *w, const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	uint64_t page = 1ull << mk->log_page, off = va - (mk->start & ~(page - 1)), n;
	enum nic_xlt r = NIC_XLT_OK;

	for (; !r && len && !w->full; len -= n, off += n) {
		const struct nic_klm *k;

		if (spent(w))
			return NIC_XLT_DEPTH;
		if (off >> mk->log_page >= mk->n_xlt || !mk->klm)
			return NIC_XLT_RANGE;
		k = &mk->klm[off >> mk->log_page];
		n = page - (off & (page - 1));
		n = n < len ? n : len;
		r = walk_inner(w, k->key, k->va + (off & (page - 1)), n);
	}
	return r;
}

/*
 * A repeat block (KH mlx5_wqe_umr_repeat_block_seg, as the list's entry shows it): the pieces after
 * it, each a stride further on in every round.
 */
struct repeat {
	const struct nic_klm *piece;
	uint32_t n, rounds;
	uint64_t round; /* bytes of one */
};

static uint32_t piece_len(const struct nic_klm *k)
{
	return k->len & 0xffff;
}

static uint32_t piece_stride(const struct nic_klm *k)
{
	return k->len >> 16;
}

/*
 * Is entry i of the list one? Return: false if not; the pieces lie within the list. A block with an
 * empty piece covers nothing: each step of a walk must get on.
 */
static bool is_repeat(const struct nic_mkey *mk, uint32_t i, struct repeat *rp)
{
	const struct nic_klm *k = &mk->klm[i];
	uint32_t j, left = mk->n_xlt - i - 1;
	bool empty = false;

	if (k->key != NIC_KLM_REPEAT)
		return false;
	*rp = (struct repeat){ .piece = k + 1, .n = k->va & 0xffff, .rounds = k->va >> 32 };
	if (rp->n > left)
		rp->n = left;
	for (j = 0; j < rp->n; j++) {
		rp->round += piece_len(&rp->piece[j]);
		empty |= !piece_len(&rp->piece[j]);
	}
	if (empty)
		rp->round = 0;
	return true;
}

/* Bytes [off, off + len) of the block, which has them. */
static enum nic_xlt walk_repeat(struct walk *w, const struct repeat *rp, uint64_t off, uint64_t len)
{
	uint64_t turn = off / rp->round, n;
	enum nic_xlt r = NIC_XLT_OK;
	uint32_t j;

	for (off %= rp->round; !r && len && !w->full; turn++) {
		for (j = 0; !r && len && !w->full && j < rp->n; j++) {
			const struct nic_klm *k = &rp->piece[j];

			if (spent(w))
				return NIC_XLT_DEPTH;
			if (off >= piece_len(k)) {
				off -= piece_len(k);
				continue;
			}
			n = piece_len(k) - off;
			n = n < len ? n : len;
			r = walk_inner(w, k->key, k->va + turn * piece_stride(k) + off, n);
			off = 0;
			len -= n;
		}
	}
	return r;
}

static enum nic_xlt walk_klm(struct walk *w, const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	uint64_t off = va - mk->start, n;
	enum nic_xlt r = NIC_XLT_OK;
	struct repeat rp;
	uint32_t i;

	for (i = 0; !r && len && !w->full && i < mk->n_xlt && mk->klm; i++) {
		const struct nic_klm *k = &mk->klm[i];
		bool repeat = is_repeat(mk, i, &rp);
		uint64_t size = repeat ? rp.round * rp.rounds : k->len;

		if (spent(w))
			return NIC_XLT_DEPTH;
		i += repeat ? rp.n : 0;
		if (off >= size) {
			off -= size;
			continue;
		}
		n = size - off < len ? size - off : len;
		r = repeat ? walk_repeat(w, &rp, off, n) : walk_inner(w, k->key, k->va + off, n);
		off = 0;
		len -= n;
	}
	return !r && len && !w->full ? NIC_XLT_RANGE : r;
}

/* Index of the key in the list's own list; NIC_IOV_SIGS when that is full. */
static unsigned sig_slot(struct nic_iov *v, struct nic_mkey *mk)
{
	unsigned i;

	for (i = 0; i < v->n_sig; i++)
		if (v->sig[i] == mk)
			return i;
	if (i < NIC_IOV_SIGS)
		v->sig[v->n_sig++] = mk;
	return i;
}

/* Have the memory's keys held and its pages present. The pieces themselves sig.c finds again. */
static enum nic_xlt touch(struct walk *w, const struct nic_mkey *mk, uint64_t off, uint64_t len)
{
	struct nic_iov *v = w->v;
	uint64_t total = v->len;
	unsigned n = v->n;
	bool special = v->special;
	struct mdl_seg last = { 0 };
	enum nic_xlt r;

	if (n)
		last = v->seg[n - 1];
	w->in_sig = true;
	r = walk_klm(w, mk, mk->start + off, len);
	w->in_sig = false;
	if (n)
		v->seg[n - 1] = last;
	v->n = n;
	v->len = total;
	v->special = special;
	return r;
}

/* Blocks with signatures: one piece, whose bytes are made when it is copied. */
static enum nic_xlt walk_sig(struct walk *w, struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	uint64_t off = va - mk->start, mem, mem_len, n;
	enum nic_xlt r = NIC_XLT_OK;
	unsigned slot;

	if (!nic_sig_range_ok(mk, va, len))
		return NIC_XLT_RANGE;
	if (w->in_sig || w->v->writing)
		return NIC_XLT_DEPTH;
	slot = sig_slot(w->v, mk);
	w->full = slot == NIC_IOV_SIGS;
	w->v->sig_ctx = w->c;
	for (; !r && len && !w->full; off += n, len -= n) {
		n = nic_sig_block(mk, off, &mem, &mem_len);
		n = n < len ? n : len;
		r = touch(w, mk, mem, mem_len);
		if (!r && !w->full)
			w->full = !nic_iov_add(w->v, NIC_SPACE_SIG + (int)slot, off, n);
	}
	return r;
}

static enum nic_xlt walk_mkey(struct walk *w, struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	if (__builtin_expect(mk->sig_on, 0))
		return walk_sig(w, mk, va, len);
	if (!range_ok(mk, va, len))
		return NIC_XLT_RANGE;
	if (mk->log_page > 63)
		return NIC_XLT_RANGE;
	switch (mk->mode) {
	case NIC_MKEY_PA:
		w->full = !nic_iov_add(w->v, MDL_SPACE_BUS, va, len);
		return NIC_XLT_OK;
	case NIC_MKEY_MEMIC:
		w->full = !nic_iov_add(w->v, MDL_SPACE_LOCAL, mk->start - NIC_MEMIC_OFF + va, len);
		return NIC_XLT_OK;
	case NIC_MKEY_MTT:
		return walk_mtt(w, mk, va, len);
	case NIC_MKEY_KSM:
		return walk_ksm(w, mk, va, len);
	case NIC_MKEY_KLM:
		return walk_klm(w, mk, va, len);
	default:
		return NIC_XLT_KEY;
	}
}

static enum nic_xlt walk_key(struct walk *w, uint32_t key, uint64_t va, uint64_t len)
{
	struct nic_mkey *mk;
	enum nic_xlt r;

	if (!len)
		return NIC_XLT_OK;
	if (key == NIC_KEY_NULL || key == NIC_KEY_DUMP_FILL) {
		w->full = !nic_iov_add(w->v, NIC_SPACE_NULL, 0, len);
		return NIC_XLT_OK;
	}
	if (key == NIC_KEY_RESERVED_LKEY) {
		if (!w->c.rlky)
			return NIC_XLT_KEY;
		w->full = !nic_iov_add(w->v, MDL_SPACE_BUS, va, len);
		return NIC_XLT_OK;
	}
	mk = nic_find_mkey(w->c.nic, key);
	if (!mk)
		return NIC_XLT_KEY;
	if (mk == w->v->writing)
		return NIC_XLT_KEY;
	r = hold(w->v, mk, &w->full);
	if (r || w->full)
		return r;
	r = check_key(mk, &w->c, key);
	return r ? r : walk_mkey(w, mk, va, len);
}

enum nic_xlt nic_xlt_range(struct nic_iov *v, const struct nic_access_ctx *c, uint32_t key,
			   uint64_t va, uint64_t len, struct nic_fault *f)
{
	struct walk w = { .v = v, .c = *c, .f = f };

	return walk_key(&w, key, va, len);
}

enum nic_xlt nic_xlt_raw(struct nic_iov *v, const struct nic_access_ctx *c,
			 const struct nic_mkey *mk, uint64_t off, uint64_t len)
{
	struct nic_fault f;
	struct walk w = { .v = v, .c = *c, .f = &f, .in_sig = true };

	return walk_klm(&w, mk, mk->start + off, len);
}

enum nic_xlt nic_xlt_check(const struct nic_access_ctx *c, uint32_t key, uint64_t va, uint64_t len)
{
	struct nic_mkey *mk;
	enum nic_xlt r;

	if (key == NIC_KEY_NULL || (key == NIC_KEY_RESERVED_LKEY && c->rlky))
		return NIC_XLT_OK;
	mk = nic_find_mkey(c->nic, key);
	if (!mk)
		return NIC_XLT_KEY;
	pthread_rwlock_rdlock(&mk->lock);
	r = check_key(mk, c, key);
	if (!r && !(mk->sig_on ? nic_sig_range_ok(mk, va, len) : range_ok(mk, va, len)))
		r = NIC_XLT_RANGE;
	pthread_rwlock_unlock(&mk->lock);
	return r;
}

enum nic_xlt nic_xlt_sges(struct nic_iov *v, const struct nic_access_ctx *c,
			  const struct nic_sge *sge, unsigned n, uint64_t off, uint64_t len,
			  struct nic_fault *f)
{
	struct walk w = { .v = v, .c = *c, .f = f };
	enum nic_xlt r = NIC_XLT_OK;
	uint64_t part;

	for (; !r && n && len && !w.full; n--, sge++) {
		if (off >= sge->len) {
			off -= sge->len;
			continue;
		}
		part = sge->len - off;
		part = part < len ? part : len;
		if (sge->host)
			w.full =
				!nic_iov_add(v, NIC_SPACE_HOST, (uintptr_t)(sge->host + off), part);
		else
			r = walk_key(&w, sge->key, sge->addr + off, part);
		len -= part;
		off = 0;
	}
	return r;
}
