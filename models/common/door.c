// SPDX-License-Identifier: MIT
/*
 * Copies through the DMA door.
 *
 * The node's lock is held for reading around each slice: that is what lets an unmap, a reset or a
 * decode-off (which take it for writing) promise that no byte moves after they return, at the
 * price of two atomic operations a slice. Two nodes are locked in the order of their addresses,
 * so that two copies in opposite directions can't wait for each other through a queued writer.
 */
#include "models/common/door.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/common/proto.h"

#define BOUNCE (64u * 1024u)

const char *mdl_target_name(enum mdl_target t)
{
	static const char *const names[MDL_T_COUNT] = {
		[MDL_T_HOST] = "host",
		[MDL_T_OWN] = "own",
		[MDL_T_PEER_SWITCH] = "peer_switch",
		[MDL_T_PEER_BRIDGE] = "peer_bridge",
		[MDL_T_PEER_QEMU] = "peer_qemu",
		[MDL_T_LINK] = "link",
	};

	return (unsigned)t < MDL_T_COUNT ? names[t] : "?";
}

void mdl_tally_flush(struct mdl_tally *t)
{
	struct mdl_dma_count *c = &t->dev->dma[t->cls][t->target][t->write];

	if (!t->ops)
		return;
	atomic_fetch_add_explicit(&c->bytes, t->bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->ops, t->ops, memory_order_relaxed);
	t->bytes = t->ops = 0;
}

void mdl_tally_add(struct mdl_tally *t, enum mdl_target target, uint64_t bytes)
{
	if (target != t->target)
		mdl_tally_flush(t);
	t->target = target;
	t->bytes += bytes;
	t->ops++;
}

void mdl_dma_begin(struct mdl_dma *d, struct mdl_device *dev)
{
	d->dev = dev;
	d->gen = atomic_load(&dev->gen);
	d->fault_addr = 0;
}

bool mdl_dma_valid(const struct mdl_dma *d)
{
	return d->dev && d->gen == atomic_load(&d->dev->gen);
}

int mdl_door_gate_locked(const struct mdl_dma *d, enum mdl_space space)
{
	if (!mdl_dma_valid(d))
		return -ECANCELED;
	return space == MDL_SPACE_BUS && !d->dev->bus_master ? -EACCES : 0;
}

bool mdl_door_fault(struct mdl_device *dev, enum mdl_class cls, enum mdl_target target, bool write,
		    struct mdl_fault_hit *hit)
{
	if (!atomic_load_explicit(&dev->faults_armed, memory_order_relaxed) || cls != MDL_DATA)
		return false;
	switch (target) {
	case MDL_T_HOST:
		return mdl_fault_point(dev, write ? MDL_F_HOST_WRITE : MDL_F_HOST_READ, hit);
	case MDL_T_PEER_SWITCH:
	case MDL_T_PEER_BRIDGE:
	case MDL_T_PEER_QEMU:
		return mdl_fault_point(dev, write ? MDL_F_PEER_WRITE : MDL_F_PEER_READ, hit);
	case MDL_T_LINK:
		return mdl_fault_point(dev, MDL_F_LINK, hit);
	default:
		return false;
	}
}

void mdl_door_delay(uint64_t us)
{
	struct timespec ts = { .tv_sec = (time_t)(us / 1000000),
			       .tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&ts, NULL);
}

/*
 * Copy n bytes with what fault points do to them on each side. A read that a real bus loses comes
 * back as all-ones, a lost write is silent: what users meet in the field.
 */
static int copy_with_faults(struct mdl_device *ddev, enum mdl_target dt, uint8_t *dst,
			    struct mdl_device *sdev, enum mdl_target st, const uint8_t *src,
			    size_t n, enum mdl_class cls, uint64_t *delay)
{
	struct mdl_fault_hit r = { 0 }, w = { 0 };
	bool rd = mdl_door_fault(sdev, cls, st, false, &r);
	bool wr = mdl_door_fault(ddev, cls, dt, true, &w);

	if ((rd && r.action == MDL_FAULT_ERROR) || (wr && w.action == MDL_FAULT_ERROR))
		return -EIO;
	if (wr && w.action == MDL_FAULT_DROP)
		return 0;
	if (rd && r.action == MDL_FAULT_DROP)
		memset(dst, 0xff, n);
	else
		memmove(dst, src, n);
	if (rd && r.action == MDL_FAULT_CORRUPT)
		dst[r.arg % n] ^= 1;
	if (wr && w.action == MDL_FAULT_CORRUPT)
		dst[w.arg % n] ^= 1;
	if (rd && r.action == MDL_FAULT_DELAY)
		*delay += r.arg;
	if (wr && w.action == MDL_FAULT_DELAY)
		*delay += w.arg;
	return 0;
}

/* Ask the client to move the bytes: the address is one only it can reach. */
static int64_t by_message(struct mdl_device *dev, uint64_t addr, void *buf, size_t len, bool write)
{
	struct vfu_dma_access a = { .addr = addr, .count = len };
	int err;

	if (write)
		err = mdl_conn_request(dev->conn, VFU_DMA_WRITE, &a, sizeof(a), buf, len, sizeof(a),
				       NULL, 0);
	else
		err = mdl_conn_request(dev->conn, VFU_DMA_READ, &a, sizeof(a), NULL, 0, sizeof(a),
				       buf, len);
	if (err)
		return err == -ENOTCONN ? -ECANCELED : -EIO;
	return (int64_t)len;
}

/* A peer's registers, in accesses of at most 8 bytes. */
static void by_mmio(const struct mdl_span *s, void *buf, size_t len, bool write)
{
	if (write)
		mdl_mmio_write(s->peer, s->peer_bar, s->peer_off, buf, len);
	else
		mdl_mmio_read(s->peer, s->peer_bar, s->peer_off, buf, len);
}

/* The node's lock is held for registers, none for a message. */
static int64_t slow_move(struct mdl_dma *d, const struct mdl_span *s, uint64_t addr, uint8_t *buf,
			 size_t n, bool write)
{
	if (!s->peer)
		return by_message(d->dev, addr, buf, n, write);
	by_mmio(s, buf, n, write);
	return (int64_t)n;
}

/* The caller's buffer is not ours to spoil. */
static int64_t corrupt_write(struct mdl_dma *d, const struct mdl_span *s, uint64_t addr,
			     const uint8_t *buf, size_t n, uint64_t arg)
{
	uint8_t *copy = malloc(n);
	int64_t moved;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, buf, n);
	copy[arg % n] ^= 1;
	moved = slow_move(d, s, addr, copy, n, true);
	free(copy);
	return moved;
}

static int64_t slow_with_faults(struct mdl_tally *t, struct mdl_dma *d, const struct mdl_span *s,
				uint64_t addr, uint8_t *buf, size_t n, uint64_t *delay)
{
	struct mdl_fault_hit hit = { .action = MDL_FAULT_NONE };
	int64_t moved;

	if (!mdl_door_fault(d->dev, t->cls, s->target, t->write, &hit))
		return slow_move(d, s, addr, buf, n, t->write);
	if (hit.action == MDL_FAULT_ERROR)
		return -EIO;
	if (hit.action == MDL_FAULT_DELAY)
		*delay += hit.arg;
	if (hit.action == MDL_FAULT_DROP) {
		if (!t->write)
			memset(buf, 0xff, n);
		return (int64_t)n;
	}
	if (hit.action == MDL_FAULT_CORRUPT && t->write)
		return corrupt_write(d, s, addr, buf, n, hit.arg);
	moved = slow_move(d, s, addr, buf, n, t->write);
	if (hit.action == MDL_FAULT_CORRUPT && moved > 0)
		buf[hit.arg % (uint64_t)moved] ^= 1;
	return moved;
}

static int piece_locked(struct mdl_tally *t, struct mdl_dma *d, struct mdl_span *s, uint64_t addr,
			uint8_t *buf, size_t n, uint64_t *delay)
{
	if (!s->mem) {
		int64_t moved = slow_with_faults(t, d, s, addr, buf, n, delay);

		return moved < 0 ? (int)moved : 0;
	}
	/* The other side of the copy is the model's own buffer: no target, no fault. */
	if (t->write)
		return copy_with_faults(d->dev, s->target, s->mem, d->dev, MDL_T_OWN, buf, n,
					t->cls, delay);
	return copy_with_faults(d->dev, MDL_T_OWN, buf, d->dev, s->target, s->mem, n, t->cls,
				delay);
}

int64_t mdl_door_piece(struct mdl_tally *t, struct mdl_dma *d, enum mdl_space space, uint64_t addr,
		       void *buf, size_t len)
{
	struct mdl_node *node = d->dev->node;
	struct mdl_span s = { 0 };
	bool learnt = false, ask;
	uint64_t delay = 0;
	int64_t n = 0;
	int err;

again:
	pthread_rwlock_rdlock(&node->lock);
	err = mdl_door_gate_locked(d, space);
	if (!err) {
		err = mdl_resolve_locked(d->dev, space, addr, len, t->write, &s);
		n = (int64_t)s.len;
		if (s.want_iommu && !learnt) {
			pthread_rwlock_unlock(&node->lock);
			learnt = true;
			mdl_iommu_learn(d->dev);
			goto again;
		}
	}
	ask = !err && !s.mem && !s.peer;
	if (ask)
		mdl_conn_hold(d->dev->conn);
	else if (!err)
		err = piece_locked(t, d, &s, addr, buf, (size_t)s.len, &delay);
	pthread_rwlock_unlock(&node->lock);
	if (ask) {
		n = slow_with_faults(t, d, &s, addr, buf, s.len > BOUNCE ? BOUNCE : (size_t)s.len,
				     &delay);
		mdl_conn_release(d->dev->conn);
		/* The client carried it out, but a reset may have come between. */
		if (n > 0 && !mdl_dma_valid(d))
			n = -ECANCELED;
		err = n < 0 ? (int)n : 0;
	}
	if (delay)
		mdl_door_delay(delay);
	if (err) {
		d->fault_addr = addr;
		return err;
	}
	mdl_tally_add(t, s.target, (uint64_t)n);
	return n;
}

static int move(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		enum mdl_class cls, bool write)
{
	struct mdl_tally t = { .dev = d->dev, .cls = cls, .write = write };
	uint8_t *p = buf;
	int64_t n = 0;

	if (len && len - 1 > UINT64_MAX - addr)
		return -EFAULT;
	for (; len; len -= (size_t)n, p += n, addr += (uint64_t)n) {
		n = mdl_door_piece(&t, d, space, addr, p, len < MDL_SLICE ? len : MDL_SLICE);
		if (n < 0)
			break;
	}
	mdl_tally_flush(&t);
	return n < 0 ? (int)n : 0;
}

int mdl_dma_read(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		 enum mdl_class cls)
{
	return move(d, space, addr, buf, len, cls, false);
}

int mdl_dma_write(struct mdl_dma *d, enum mdl_space space, uint64_t addr, const void *buf,
		  size_t len, enum mdl_class cls)
{
	/* Not written through: write is set. */
	return move(d, space, addr, (void *)(uintptr_t)buf, len, cls, true);
}

/* Where one side of a copy stands. The span is good only while the lock is held. */
struct cursor {
	struct mdl_dma *d;
	const struct mdl_seg *seg;
	unsigned left; /* segments, the current one included */
	uint64_t off;  /* into the current one */
	struct mdl_span span;
	struct mdl_tally tally;
};

static int total(const struct mdl_seg *seg, unsigned n, uint64_t *ret)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (seg[i].len > UINT64_MAX - sum ||
		    (seg[i].len && seg[i].len - 1 > UINT64_MAX - seg[i].addr))
			return -EINVAL;
		sum += seg[i].len;
	}
	*ret = sum;
	return 0;
}

static void skip_empty(struct cursor *c)
{
	while (c->left && c->off == c->seg->len) {
		c->seg++;
		c->left--;
		c->off = 0;
		c->span.len = 0;
	}
}

static void advance(struct cursor *c, uint64_t n)
{
	c->off += n;
	c->span.len -= n;
	if (c->span.mem)
		c->span.mem += n;
	skip_empty(c);
}

static uint64_t cursor_addr(const struct cursor *c)
{
	return c->seg->addr + c->off;
}

static int cursor_resolve_locked(struct cursor *c)
{
	int err;

	if (c->span.len)
		return 0;
	err = mdl_door_gate_locked(c->d, c->seg->space);
	if (!err)
		err = mdl_resolve_locked(c->d->dev, c->seg->space, cursor_addr(c),
					 c->seg->len - c->off, c->tally.write, &c->span);
	if (err) {
		c->span.len = 0;
		c->d->fault_addr = cursor_addr(c);
	}
	return err;
}

static void lock_both(struct mdl_node *a, struct mdl_node *b)
{
	if (a > b) {
		struct mdl_node *t = a;

		a = b;
		b = t;
	}
	pthread_rwlock_rdlock(&a->lock);
	if (a != b)
		pthread_rwlock_rdlock(&b->lock);
}

static void unlock_both(struct mdl_node *a, struct mdl_node *b)
{
	pthread_rwlock_unlock(&a->lock);
	if (a != b)
		pthread_rwlock_unlock(&b->lock);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Copy while both sides are plain memory, up to a slice. *ret_slow is set when the next piece must
 * take another way; *ret_n counts what was copied.
 */
static int slice_locked(struct cursor *dst, struct cursor *src, bool faults, uint64_t *ret_n,
			bool *ret_slow, uint64_t *delay)
{
	uint64_t n;
	int err = 0;

	while (dst->left && *ret_n < MDL_SLICE) {
		err = cursor_resolve_locked(src);
		if (!err)
			err = cursor_resolve_locked(dst);
		*ret_slow = src->span.want_iommu || dst->span.want_iommu ||
			    (!err && (!src->span.mem || !dst->span.mem));
		if (err || *ret_slow)
			break;
		n = least(least(src->span.len, dst->span.len), MDL_SLICE - *ret_n);
		if (faults)
			err = copy_with_faults(dst->d->dev, dst->span.target, dst->span.mem,
					       src->d->dev, src->span.target, src->span.mem, n,
					       dst->tally.cls, delay);
		else
			memmove(dst->span.mem, src->span.mem, n);
		if (err) {
			dst->d->fault_addr = cursor_addr(dst);
			break;
		}
		mdl_tally_add(&src->tally, src->span.target, n);
		mdl_tally_add(&dst->tally, dst->span.target, n);
		*ret_n += n;
		advance(src, n);
		advance(dst, n);
	}
	return err;
}

/* One piece through a buffer, for addresses that only the client or a peer's registers answer. */
static int slow_piece(struct cursor *dst, struct cursor *src, uint64_t *ret_n)
{
	uint64_t want = least(least(dst->seg->len - dst->off, src->seg->len - src->off), BOUNCE);
	uint64_t done = 0;
	int64_t n, m = 0;
	uint8_t *buf;

	buf = malloc(BOUNCE);
	if (!buf)
		return -ENOMEM;
	n = mdl_door_piece(&src->tally, src->d, src->seg->space, cursor_addr(src), buf, want);
	while (n > 0 && done < (uint64_t)n) {
		m = mdl_door_piece(&dst->tally, dst->d, dst->seg->space, cursor_addr(dst) + done,
				   buf + done, (uint64_t)n - done);
		if (m < 0)
			break;
		done += (uint64_t)m;
	}
	free(buf);
	src->span.len = dst->span.len = done;
	src->span.mem = dst->span.mem = NULL;
	advance(src, done);
	advance(dst, done);
	*ret_n += done;
	return n < 0 ? (int)n : m < 0 ? (int)m : 0;
}

static int copy_all(struct cursor *dst, struct cursor *src, uint64_t *ret_done)
{
	struct mdl_node *dn = dst->d->dev->node, *sn = src->d->dev->node;
	int err = 0;

	while (!err && dst->left) {
		bool slow = false, faults;
		uint64_t n = 0, delay = 0;

		lock_both(dn, sn);
		dst->span.len = src->span.len = 0;
		dst->span.want_iommu = src->span.want_iommu = false;
		faults = dst->d->dev->faults_armed || src->d->dev->faults_armed;
		err = slice_locked(dst, src, faults, &n, &slow, &delay);
		unlock_both(dn, sn);
		if (delay)
			mdl_door_delay(delay);
		if (slow)
			err = slow_piece(dst, src, &n);
		*ret_done += n;
	}
	return err;
}

int mdl_dma_copyv(struct mdl_dma *ddst, const struct mdl_seg *dst, unsigned n_dst,
		  struct mdl_dma *dsrc, const struct mdl_seg *src, unsigned n_src,
		  enum mdl_class cls, uint64_t *ret_done)
{
	struct cursor d = { .d = ddst, .seg = dst, .left = n_dst };
	struct cursor s = { .d = dsrc, .seg = src, .left = n_src };
	uint64_t d_len, s_len, done = 0;
	int err;

	if (ret_done)
		*ret_done = 0;
	if (total(dst, n_dst, &d_len) || total(src, n_src, &s_len) || d_len != s_len)
		return -EINVAL;
	d.tally = (struct mdl_tally){ .dev = ddst->dev, .cls = cls, .write = true };
	s.tally = (struct mdl_tally){ .dev = dsrc->dev, .cls = cls, .write = false };
	skip_empty(&d);
	skip_empty(&s);
	err = copy_all(&d, &s, &done);
	mdl_tally_flush(&d.tally);
	mdl_tally_flush(&s.tally);
	if (ret_done)
		*ret_done = done;
	return err;
}
