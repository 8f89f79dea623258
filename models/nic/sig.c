// SPDX-License-Identifier: MIT
/*
 * Block signatures. Sources: RC (mlx5_bsf, mlx5_sigerr_cqe, man mlx5dv_wr_set_mkey_sig_block), KD
 * (mlx5_set_bsf); T10 SBC-3 for protection information.
 */
#include "models/nic/sig.h"

#include <errno.h>
#include <string.h>

#include "hw/mlx5_bits.h"
#include "util/crc32.h"
#include "util/crc32c.h"
#include "util/t10dif.h"

/* Bytes of a BSF */
enum {
	BSF_SIZE = 0, /* bits 7:6 size, 4 same structure on both sides, 0 encryption */
	BSF_CHECK = 1,
	BSF_WIRE = 2, /* block size; with the same structure: bytes to copy */
	BSF_MEM = 3,
	BSF_W_FORMAT = 8, /* format selector in the top byte */
	BSF_M_FORMAT = 12,
	BSF_W_INLINE = 32,
	BSF_M_INLINE = 48,
};
/* Bytes of its inline sections */
enum {
	INL_VALID = 0,
	INL_APP = 2,
	INL_REF = 4,
	INL_TYPE = 8,
	INL_SEED = 9,
	INL_REF_MODE = 13,
	INL_APP_MASK = 14,
};
#define SIZE_WITH_INLINE 2
#define SAME_STRUCTURE	 0x10
#define ENCRYPTION	 0x01
#define FORMAT_REPEAT	 0x02
#define FORMAT_SEED_0	 0x01
#define FORMAT_CRC32	 0x20
#define FORMAT_CRC32C	 0x40
#define VALID		 0x80
#define REPEAT		 0x80
#define SEED_1		 0x08
#define INC_REF		 0x40
#define APP_ESCAPE	 0x01
#define APPREF_ESCAPE	 0x02

#define SYN_REFTAG  (1u << 11)
#define SYN_APPTAG  (1u << 12)
#define SYN_GUARD   (1u << 13)
#define DOMAIN_WIRE 0
#define DOMAIN_MEM  1

/* ---- what the guest asks for ---- */

static uint32_t block_of(uint8_t selector)
{
	static const uint16_t bytes[] = { 0, 512, 520, 4096, 4160, 0, 4048 };

	return selector < sizeof(bytes) / sizeof(bytes[0]) ? bytes[selector] : 0;
}

static bool load_t10(struct nic_sig_domain *d, const uint8_t *p)
{
	if (!(p[INL_SEED] & REPEAT) || p[INL_TYPE] < 1 || p[INL_TYPE] > 2)
		return false;
	*d = (struct nic_sig_domain){
		.type = p[INL_TYPE] == 1 ? NIC_SIG_T10_CRC : NIC_SIG_T10_CSUM,
		.ones = p[INL_SEED] & SEED_1,
		.count = p[INL_REF_MODE] & INC_REF,
		.app_escape = p[INL_REF_MODE] & APP_ESCAPE,
		.appref_escape = p[INL_REF_MODE] & APPREF_ESCAPE,
		.app = (uint16_t)(p[INL_APP] << 8 | p[INL_APP + 1]),
		.app_mask = (uint16_t)(p[INL_APP_MASK] << 8 | p[INL_APP_MASK + 1]),
		.ref = mlx5_get32(p, INL_REF),
	};
	return true;
}

static bool load_domain(struct nic_sig_domain *d, uint8_t format, const uint8_t *inl)
{
	*d = (struct nic_sig_domain){ .type = NIC_SIG_NONE };
	if (!format)
		return !(inl[INL_VALID] & VALID) || load_t10(d, inl);
	d->ones = !(format & FORMAT_SEED_0);
	switch (format & ~(FORMAT_SEED_0 | FORMAT_REPEAT)) {
	case FORMAT_CRC32:
		d->type = NIC_SIG_CRC32;
		break;
	case FORMAT_CRC32C:
		d->type = NIC_SIG_CRC32C;
		break;
	default:
		return false;
	}
	return format & FORMAT_REPEAT;
}

bool nic_sig_load(struct nic_sig *s, const uint8_t *bsf)
{
	bool same = bsf[BSF_SIZE] & SAME_STRUCTURE;
	uint32_t m = block_of(bsf[BSF_MEM]), w = same ? m : block_of(bsf[BSF_WIRE]);
	struct nic_sig_domain mem, wire;

	if (bsf[BSF_SIZE] >> 6 != SIZE_WITH_INLINE || bsf[BSF_SIZE] & ENCRYPTION)
		return false;
	if (!load_domain(&mem, bsf[BSF_M_FORMAT], bsf + BSF_M_INLINE) ||
	    !load_domain(&wire, bsf[BSF_W_FORMAT], bsf + BSF_W_INLINE))
		return false;
	if ((mem.type && !m) || (wire.type && !w) || (mem.type && wire.type && m != w))
		return false;
	s->block = mem.type ? m : w;
	s->mem = mem;
	s->wire = wire;
	s->check = bsf[BSF_CHECK];
	s->copy = same && mem.type && wire.type ? bsf[BSF_WIRE] : 0;
	return true;
}

bool nic_sig_active(const struct nic_sig *s)
{
	return s->mem.type || s->wire.type;
}

void nic_sig_set_psv(struct nic_qp *qp, const struct nic_swqe *w, struct nic_outcome *ret)
{
	*ret = (struct nic_outcome){ .result = NIC_L_ERROR, .syndrome = NIC_S_LOCAL_QP_OP };
	/* The BSF tells the seeds and tags: nothing depends on what this one says. */
	if (w->umr_len >= 16 &&
	    nic_table_find(&qp->nic->table[NIC_T_PSV], mlx5_get32(w->umr, 0) & 0xffffff))
		ret->result = NIC_L_OK;
}

/* ---- geometry ---- */

static bool is_t10(const struct nic_sig_domain *d)
{
	return d->type == NIC_SIG_T10_CRC || d->type == NIC_SIG_T10_CSUM;
}

static uint32_t sig_len(const struct nic_sig_domain *d)
{
	if (!d->type)
		return 0;
	return is_t10(d) ? 8 : 4;
}

static uint64_t stride(const struct nic_sig *s, const struct nic_sig_domain *d)
{
	return s->block + sig_len(d);
}

/* A block that is there in part only, at the end, has no signature. */
static uint64_t data_of(const struct nic_mkey *mk, uint64_t b, bool *ret_whole)
{
	uint64_t size = stride(mk->sig, &mk->sig->mem), left = mk->len - b * size;

	*ret_whole = left >= size;
	return left < mk->sig->block ? left : mk->sig->block;
}

bool nic_sig_range_ok(const struct nic_mkey *mk, uint64_t va, uint64_t len)
{
	const struct nic_sig *s = mk->sig;
	uint64_t mem = stride(s, &s->mem), wire = stride(s, &s->wire), size, tail;

	if (mk->length64 || mk->len > UINT32_MAX)
		return false;
	tail = mk->len % mem;
	size = mk->len / mem * wire + (tail < s->block ? tail : s->block);
	return va >= mk->start && va - mk->start <= size && len <= size - (va - mk->start);
}

uint64_t nic_sig_block(const struct nic_mkey *mk, uint64_t off, uint64_t *ret_mem,
		       uint64_t *ret_mem_len)
{
	uint64_t wire = stride(mk->sig, &mk->sig->wire), mem = stride(mk->sig, &mk->sig->mem), n;
	bool whole;

	n = data_of(mk, off / wire, &whole);
	*ret_mem = off / wire * mem;
	*ret_mem_len = whole ? mem : n;
	return (whole ? wire : n) - off % wire;
}

/* ---- signatures ---- */

static void put_be(uint8_t *p, uint64_t v, unsigned n)
{
	for (; n--; v >>= 8)
		p[n] = (uint8_t)v;
}

/* What follows block b. CRCs are stored as iSCSI does, the least significant byte first. */
static void make(const struct nic_sig *s, const struct nic_sig_domain *d, const uint8_t *data,
		 uint64_t b, uint8_t out[NIC_SIG_LEN])
{
	uint16_t seed = d->ones ? 0xffff : 0, guard;
	uint32_t before = d->ones ? 0 : ~0u, crc;

	if (is_t10(d)) {
		guard = d->type == NIC_SIG_T10_CRC ? util_t10_crc(seed, data, s->block) :
						     util_t10_checksum(seed, data, s->block);
		put_be(out, guard, 2);
		put_be(out + 2, d->app, 2);
		put_be(out + 4, d->ref + (d->count ? (uint32_t)b : 0), 4);
	} else if (d->type) {
		crc = d->type == NIC_SIG_CRC32 ? util_crc32(before, data, s->block) :
						 util_crc32c(before, data, s->block);
		put_be(out, __builtin_bswap32(crc), 4);
	}
}

/* Bit of a mask for byte i of a signature: bit 7 is the most significant byte. */
static uint8_t bit_of(const struct nic_sig_domain *d, unsigned i)
{
	return (uint8_t)(is_t10(d) ? 0x80 >> i : 0x10 << i);
}

static void copy_some(const struct nic_sig *s, const struct nic_sig_domain *d, uint8_t *to,
		      const uint8_t *from)
{
	unsigned i;

	for (i = 0; i < sig_len(d); i++)
		if (s->copy & bit_of(d, i))
			to[i] = from[i];
}

static bool escaped(const struct nic_sig_domain *d, const uint8_t *sig)
{
	bool app = sig[2] == 0xff && sig[3] == 0xff;

	return is_t10(d) && app &&
	       (d->app_escape || (d->appref_escape && mlx5_get32(sig, 4) == UINT32_MAX));
}

/* Which part is wrong; of several the guard, then the application tag. */
static uint16_t compare(const struct nic_sig *s, const struct nic_sig_domain *d,
			const uint8_t *want, const uint8_t *have)
{
	uint8_t diff[NIC_SIG_LEN] = { 0 };
	unsigned i;

	for (i = 0; i < sig_len(d); i++)
		if (s->check & bit_of(d, i))
			diff[i] = want[i] ^ have[i];
	if (!is_t10(d))
		return mlx5_get32(diff, 0) ? SYN_GUARD : 0;
	if (diff[0] | diff[1])
		return SYN_GUARD;
	if ((diff[2] & d->app_mask >> 8) | (diff[3] & d->app_mask & 0xff))
		return SYN_APPTAG;
	return mlx5_get32(diff, 4) ? SYN_REFTAG : 0;
}

/* As the completion shows it: guard and tags, or the CRC in the upper half. */
static uint64_t value_of(const struct nic_sig_domain *d, const uint8_t *sig)
{
	return is_t10(d) ? mlx5_get64(sig, 0) :
			   (uint64_t)__builtin_bswap32(mlx5_get32(sig, 0)) << 32;
}

/* Requests behind the one in error must not overtake the guest's look at it, if it wants so. */
static void drain(struct nic_qp *qp)
{
	uint8_t old = NIC_QPS_RTS;

	if (atomic_compare_exchange_strong(&qp->state, &old, NIC_QPS_SQD))
		qp->req.drain_event = true;
}

static void report(const struct nic_iov *v, const struct nic_mkey *mk, const struct nic_sig_err *e)
{
	struct nic_cqe cqe = { .opcode = NIC_CQE_SIG_ERR, .sig = e };
	struct nic_qp *qp = nic_find_qp(v->sig_ctx.nic, v->sig_ctx.qpn);
	struct nic_cq *cq;

	if (!qp || atomic_exchange(&mk->sig->reported, true))
		return;
	cq = v->sig_ctx.sender ? qp->scq : qp->rcq;
	if (cq && nic_cq_post(cq, &cqe) == -ENOSPC)
		nic_qp_error(qp, 0);
	else if (v->sig_ctx.sender && qp->drain_sigerr)
		drain(qp);
}

static void check(const struct nic_iov *v, const struct nic_mkey *mk,
		  const struct nic_sig_domain *d, uint64_t b, const uint8_t *want,
		  const uint8_t *have)
{
	struct nic_sig_err e = { .key = mk->obj.id << 8 | mk->variant };

	if (escaped(d, have))
		return;
	e.syndrome = compare(mk->sig, d, want, have);
	if (!e.syndrome)
		return;
	e.expected = value_of(d, want);
	e.actual = value_of(d, have);
	e.offset = b * stride(mk->sig, d);
	e.domain = d == &mk->sig->mem ? DOMAIN_MEM : DOMAIN_WIRE;
	report(v, mk, &e);
}

/* ---- data ---- */

/* Bytes [off, off + len) of the key's memory, without a look at signatures. */
static bool mem_io(const struct nic_iov *v, const struct nic_mkey *mk, bool write, uint64_t off,
		   uint8_t *buf, uint64_t len)
{
	struct nic_access_ctx c = v->sig_ctx;
	struct nic_iov mem, host;
	bool ok;

	c.access = write ? NIC_ACC_LOCAL_WRITE : NIC_ACC_LOCAL_READ;
	nic_iov_init(&mem, &v->dma);
	nic_iov_init(&host, &v->dma);
	nic_iov_host(&host, buf, len);
	ok = !nic_xlt_raw(&mem, &c, mk, off, len) && mem.len == len &&
	     !(write ? nic_iov_copy(&mem, &host) : nic_iov_copy(&host, &mem));
	nic_iov_done(&mem);
	return ok;
}

static enum nic_copy failed(const struct nic_iov *v, enum nic_copy side)
{
	return mdl_dma_valid(&v->dma) ? side : NIC_COPY_GONE;
}

enum nic_copy nic_sig_read(struct nic_iov *v, unsigned i, uint64_t off, uint64_t n, uint8_t *buf)
{
	const struct nic_mkey *mk = v->sig[i];
	const struct nic_sig *s = mk->sig;
	uint64_t b = off / stride(s, &s->wire), o = off % stride(s, &s->wire), len;
	uint8_t data[NIC_SIG_BLOCK + NIC_SIG_LEN], want[NIC_SIG_LEN];
	uint8_t *old = data + s->block;
	bool whole;

	len = data_of(mk, b, &whole);
	if (!mem_io(v, mk, false, b * stride(s, &s->mem), data, whole ? stride(s, &s->mem) : len))
		return failed(v, NIC_COPY_SRC);
	if (whole && s->mem.type && o < s->block && o + n >= s->block) {
		make(s, &s->mem, data, b, want);
		check(v, mk, &s->mem, b, want, old);
	}
	if (whole && s->wire.type && o + n > s->block) {
		make(s, &s->wire, data, b, want);
		copy_some(s, &s->wire, want, old);
		memcpy(old, want, sig_len(&s->wire));
	}
	memcpy(buf, data + o, n);
	return NIC_COPY_OK;
}

/* The part of a signature that came from the wire. Return: true when it is complete, in sig. */
static bool arrived(struct nic_sig *s, uint64_t from, const uint8_t *p, uint64_t n, uint8_t *sig)
{
	pthread_mutex_lock(&s->lock);
	memcpy(s->arriving + from, p, n);
	memcpy(sig, s->arriving, NIC_SIG_LEN);
	pthread_mutex_unlock(&s->lock);
	return from + n == sig_len(&s->wire);
}

/* All of the block's data is there: what follows it in memory, what should follow on the wire. */
static bool end_of_block(struct nic_iov *v, const struct nic_mkey *mk, uint64_t b,
			 const uint8_t *data, uint64_t o, const uint8_t *p, uint64_t n)
{
	struct nic_sig *s = mk->sig;
	uint64_t at = b * stride(s, &s->mem) + s->block, from = o > s->block ? o : s->block;
	uint8_t mem[NIC_SIG_LEN], want[NIC_SIG_LEN], sig[NIC_SIG_LEN];
	bool complete = false;

	make(s, &s->mem, data, b, mem);
	if (o + n > s->block)
		complete = arrived(s, from - s->block, p + (from - o), o + n - from, sig);
	if (complete) {
		make(s, &s->wire, data, b, want);
		check(v, mk, &s->wire, b, want, sig);
		copy_some(s, &s->mem, mem, sig);
	}
	return !s->mem.type || mem_io(v, mk, true, at, mem, sig_len(&s->mem));
}

enum nic_copy nic_sig_write(struct nic_iov *v, unsigned i, uint64_t off, uint64_t n,
			    const uint8_t *buf)
{
	const struct nic_mkey *mk = v->sig[i];
	const struct nic_sig *s = mk->sig;
	uint64_t b = off / stride(s, &s->wire), o = off % stride(s, &s->wire), len, part = 0;
	uint64_t at = b * stride(s, &s->mem);
	uint8_t data[NIC_SIG_BLOCK];
	bool whole;

	len = data_of(mk, b, &whole);
	if (o < len) {
		part = len - o < n ? len - o : n;
		memcpy(data + o, buf, part);
		if (!mem_io(v, mk, true, at + o, data + o, part))
			return failed(v, NIC_COPY_DST);
	}
	if (!whole || o + n < s->block)
		return NIC_COPY_OK;
	/* What came before is in memory. */
	if (part < s->block && !mem_io(v, mk, false, at, data, s->block))
		return failed(v, NIC_COPY_DST);
	if (!end_of_block(v, mk, b, data, o, buf, n))
		return failed(v, NIC_COPY_DST);
	return NIC_COPY_OK;
}
