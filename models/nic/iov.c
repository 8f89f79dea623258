// SPDX-License-Identifier: MIT
/* Scatter lists once they are made: parts of them, and copying one over another. */
#include <string.h>

#include "models/nic/internal.h"
#include "models/nic/sig.h"
#include "models/nic/xlt.h"

void nic_iov_init(struct nic_iov *v, const struct mdl_dma *dma)
{
	v->dma = *dma;
	v->len = 0;
	v->n = v->n_held = v->n_sig = 0;
	v->special = false;
	v->cls = MDL_DATA;
	v->writing = NULL;
}

void nic_iov_done(struct nic_iov *v)
{
	while (v->n_held)
		pthread_rwlock_unlock(&v->held[--v->n_held]->lock);
	v->n = 0;
	v->len = 0;
}

void nic_iov_host(struct nic_iov *v, void *mem, uint64_t len)
{
	v->n = 0;
	v->len = 0;
	if (len)
		nic_iov_add(v, NIC_SPACE_HOST, (uintptr_t)mem, len);
}

void nic_iov_trim(struct nic_iov *v, uint64_t len)
{
	while (v->n && v->len - v->seg[v->n - 1].len >= len) {
		v->len -= v->seg[v->n - 1].len;
		v->n--;
	}
	if (v->len > len) {
		v->seg[v->n - 1].len -= v->len - len;
		v->len = len;
	}
}

void nic_iov_part(const struct nic_iov *v, uint64_t off, uint64_t len, struct nic_iov *out)
{
	unsigned i;

	nic_iov_init(out, &v->dma);
	if (v->n_sig) {
		out->n_sig = v->n_sig;
		out->sig_ctx = v->sig_ctx;
		memcpy(out->sig, v->sig, sizeof(out->sig));
	}
	for (i = 0; i < v->n && len; i++) {
		struct mdl_seg s = v->seg[i];

		if (off >= s.len) {
			off -= s.len;
			continue;
		}
		if ((int)s.space != NIC_SPACE_NULL)
			s.addr += off;
		s.len = s.len - off < len ? s.len - off : len;
		off = 0;
		len -= s.len;
		nic_iov_add(out, (int)s.space, s.addr, s.len);
	}
}

/* One piece where at least one side is not the door's. Return: 0 or an error of that side. */
static enum nic_copy copy_piece(struct nic_iov *dst, const struct mdl_seg *d, struct nic_iov *src,
				const struct mdl_seg *s, uint64_t len)
{
	static const uint8_t zero[4096];
	void *to = (void *)(uintptr_t)d->addr, *from = (void *)(uintptr_t)s->addr;
	uint64_t done, n;
	bool d_host = (int)d->space == NIC_SPACE_HOST, s_host = (int)s->space == NIC_SPACE_HOST;

	if ((int)d->space == NIC_SPACE_NULL)
		return NIC_COPY_OK;
	if (d_host && s_host)
		memcpy(to, from, len);
	else if (d_host && (int)s->space == NIC_SPACE_NULL)
		memset(to, 0, len);
	else if (d_host)
		return mdl_dma_read(&src->dma, s->space, s->addr, to, len, src->cls) ?
			       NIC_COPY_SRC :
			       NIC_COPY_OK;
	else if (s_host)
		return mdl_dma_write(&dst->dma, d->space, d->addr, from, len, MDL_DATA) ?
			       NIC_COPY_DST :
			       NIC_COPY_OK;
	else if ((int)s->space == NIC_SPACE_NULL)
		for (done = 0; done < len; done += n) {
			n = len - done < sizeof(zero) ? len - done : sizeof(zero);
			if (mdl_dma_write(&dst->dma, d->space, d->addr + done, zero, n, MDL_DATA))
				return NIC_COPY_DST;
		}
	else
		return (enum nic_copy) - 1;
	return NIC_COPY_OK;
}

static enum nic_copy side_of(struct nic_iov *dst, struct nic_iov *src)
{
	if (!mdl_dma_valid(&dst->dma) || !mdl_dma_valid(&src->dma))
		return NIC_COPY_GONE;
	return src->dma.fault_addr != UINT64_MAX ? NIC_COPY_SRC : NIC_COPY_DST;
}

static enum nic_copy copy_door(struct nic_iov *dst, const struct mdl_seg *d, unsigned nd,
			       struct nic_iov *src, const struct mdl_seg *s, unsigned ns)
{
	dst->dma.fault_addr = src->dma.fault_addr = UINT64_MAX;
	if (!mdl_dma_copyv(&dst->dma, d, nd, &src->dma, s, ns, MDL_DATA, NULL))
		return NIC_COPY_OK;
	return side_of(dst, src);
}

static bool is_sig(const struct mdl_seg *s)
{
	return (int)s->space >= NIC_SPACE_SIG;
}

/* Not beyond the block the piece begins in. */
static uint64_t within_block(const struct nic_iov *v, const struct mdl_seg *s, uint64_t n)
{
	uint64_t mem, mem_len, left;

	if (!is_sig(s))
		return n;
	left = nic_sig_block(v->sig[(int)s->space - NIC_SPACE_SIG], s->addr, &mem, &mem_len);
	return left < n ? left : n;
}

/* A piece with signatures on a side, at most *n long, by way of a buffer. *n: what was copied. */
static enum nic_copy copy_sig(struct nic_iov *dst, const struct mdl_seg *d, struct nic_iov *src,
			      const struct mdl_seg *s, uint64_t *n)
{
	uint8_t buf[NIC_SIG_BLOCK + NIC_SIG_LEN];
	struct mdl_seg host = { .addr = (uintptr_t)buf, .space = (enum mdl_space)NIC_SPACE_HOST };
	enum nic_copy r;

	*n = within_block(dst, d, within_block(src, s, *n));
	host.len = *n;
	if (is_sig(s))
		r = nic_sig_read(src, (unsigned)s->space - NIC_SPACE_SIG, s->addr, *n, buf);
	else
		r = copy_piece(dst, &host, src, s, *n);
	if (r)
		return r;
	if (is_sig(d))
		return nic_sig_write(dst, (unsigned)d->space - NIC_SPACE_SIG, d->addr, *n, buf);
	return copy_piece(dst, d, src, &host, *n);
}

static enum nic_copy copy_special(struct nic_iov *dst, struct nic_iov *src)
{
	struct mdl_seg d = { 0 }, s = { 0 };
	unsigned i = 0, j = 0;
	enum nic_copy r = NIC_COPY_OK;
	uint64_t n;

	while (!r) {
		if (!d.len && i < dst->n)
			d = dst->seg[i++];
		if (!s.len && j < src->n)
			s = src->seg[j++];
		n = d.len < s.len ? d.len : s.len;
		if (!n)
			break;
		if (is_sig(&d) || is_sig(&s))
			r = copy_sig(dst, &d, src, &s, &n);
		else
			r = copy_piece(dst, &d, src, &s, n);
		d.len -= n;
		s.len -= n;
		if ((int)r < 0)
			r = copy_door(dst, &(struct mdl_seg){ d.addr, n, d.space }, 1, src,
				      &(struct mdl_seg){ s.addr, n, s.space }, 1);
		d.addr += n;
		s.addr += n;
	}
	if (r && (!mdl_dma_valid(&dst->dma) || !mdl_dma_valid(&src->dma)))
		return NIC_COPY_GONE;
	return r;
}

enum nic_copy nic_iov_copy(struct nic_iov *dst, struct nic_iov *src)
{
	if (dst->special || src->special)
		return copy_special(dst, src);
	return copy_door(dst, dst->seg, dst->n, src, src->seg, src->n);
}
