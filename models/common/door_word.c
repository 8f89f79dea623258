// SPDX-License-Identifier: MIT
/* The DMA door: words touched atomically, and memory visited in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/door.h"

#define BOUNCE (64u * 1024u)

enum word_op { WORD_LOAD, WORD_STORE, WORD_CAS, WORD_ADD };

struct word {
	enum word_op op;
	size_t size;
	uint64_t a, b; /* operand or compare, and swap */
	uint64_t old;
};

#define DO_WORD(type, mem, w)                                                            \
	do {                                                                             \
		type *p_ = (type *)(void *)(mem);                                        \
		type cmp_ = (type)(w)->a;                                                \
		switch ((w)->op) {                                                       \
		case WORD_LOAD:                                                          \
			(w)->old = __atomic_load_n(p_, __ATOMIC_ACQUIRE);                \
			break;                                                           \
		case WORD_STORE:                                                         \
			__atomic_store_n(p_, cmp_, __ATOMIC_RELEASE);                    \
			break;                                                           \
		case WORD_CAS:                                                           \
			__atomic_compare_exchange_n(p_, &cmp_, (type)(w)->b, false,      \
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
			(w)->old = cmp_;                                                 \
			break;                                                           \
		case WORD_ADD:                                                           \
			(w)->old = __atomic_fetch_add(p_, cmp_, __ATOMIC_SEQ_CST);       \
			break;                                                           \
		}                                                                        \
	} while (0)

static void word_in_place(uint8_t *mem, struct word *w)
{
	if (w->size == 8)
		DO_WORD(uint64_t, mem, w);
	else
		DO_WORD(uint32_t, mem, w);
}

static bool writes(const struct word *w)
{
	return w->op != WORD_LOAD;
}

/* Memory only the client reaches: read, change, write back. Plain loads and stores take one. */
static int word_by_piece(struct mdl_dma *d, enum mdl_space space, uint64_t addr, struct word *w)
{
	struct mdl_tally rd = { .dev = d->dev, .cls = MDL_CTRL };
	struct mdl_tally wr = { .dev = d->dev, .cls = MDL_CTRL, .write = true };
	uint64_t val = 0;
	int64_t n = (int64_t)w->size;

	if (w->op != WORD_STORE)
		n = mdl_door_piece(&rd, d, space, addr, &val, w->size);
	if (n == (int64_t)w->size && writes(w)) {
		if (w->op != WORD_STORE)
			d->dev->atomics_by_message++;
		word_in_place((uint8_t *)&val, w);
		n = mdl_door_piece(&wr, d, space, addr, &val, w->size);
	} else if (n > 0) {
		w->old = val;
	}
	mdl_tally_flush(&rd);
	mdl_tally_flush(&wr);
	return n < 0 ? (int)n : 0;
}

static int word(struct mdl_dma *d, enum mdl_space space, uint64_t addr, struct word *w)
{
	struct mdl_node *node = d->dev->node;
	struct mdl_span s = { 0 };
	int err;

	if ((w->size != 4 && w->size != 8) || addr & (w->size - 1))
		return -EINVAL;
	pthread_rwlock_rdlock(&node->lock);
	err = mdl_door_gate_locked(d, space);
	if (!err)
		err = mdl_resolve_locked(d->dev, space, addr, w->size, writes(w), &s);
	/* An atomic writes, but it must also be allowed to read. */
	if (!err && w->op > WORD_STORE)
		err = mdl_resolve_locked(d->dev, space, addr, w->size, false, &s);
	if (!err && s.mem) {
		word_in_place(s.mem, w);
		pthread_rwlock_unlock(&node->lock);
		struct mdl_tally t = { .dev = d->dev, .cls = MDL_CTRL, .write = writes(w) };

		mdl_tally_add(&t, s.target, w->size);
		mdl_tally_flush(&t);
		return 0;
	}
	pthread_rwlock_unlock(&node->lock);
	if (err && !s.want_iommu) {
		d->fault_addr = addr;
		return err;
	}
	return word_by_piece(d, space, addr, w);
}

int mdl_dma_cmp_swap(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		     uint64_t compare, uint64_t swap, uint64_t *ret_old)
{
	struct word w = { .op = WORD_CAS, .size = size, .a = compare, .b = swap };
	int err = word(d, space, addr, &w);

	if (!err)
		*ret_old = w.old;
	return err;
}

int mdl_dma_fetch_add(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		      uint64_t add, uint64_t *ret_old)
{
	struct word w = { .op = WORD_ADD, .size = size, .a = add };
	int err = word(d, space, addr, &w);

	if (!err)
		*ret_old = w.old;
	return err;
}

int mdl_dma_load(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		 uint64_t *ret_val)
{
	struct word w = { .op = WORD_LOAD, .size = size };
	int err = word(d, space, addr, &w);

	if (!err)
		*ret_val = w.old;
	return err;
}

int mdl_dma_store(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size, uint64_t val)
{
	struct word w = { .op = WORD_STORE, .size = size, .a = val };

	return word(d, space, addr, &w);
}

struct visit {
	struct mdl_dma *d;
	enum mdl_space space;
	bool write;
	mdl_visit_fn fn;
	void *arg;
	struct mdl_tally rd, wr;
};

static int visit_by_piece(struct visit *v, uint64_t addr, uint64_t len, int64_t *ret_n)
{
	uint8_t *buf = malloc(BOUNCE);
	int64_t n, m = 0, done = 0;
	int err;

	if (!buf)
		return -ENOMEM;
	n = mdl_door_piece(&v->rd, v->d, v->space, addr, buf, len < BOUNCE ? len : BOUNCE);
	err = n < 0 ? (int)n : v->fn(v->arg, buf, (size_t)n);
	while (!err && v->write && done < n) {
		m = mdl_door_piece(&v->wr, v->d, v->space, addr + (uint64_t)done, buf + done,
				   (size_t)(n - done));
		err = m < 0 ? (int)m : 0;
		done += m;
	}
	free(buf);
	*ret_n = n;
	return err;
}

/* A reader sees what the bus would have delivered, a lost write goes nowhere: a copy is visited. */
static int visit_copy(struct visit *v, const struct mdl_span *s, const struct mdl_fault_hit *hit)
{
	uint8_t *copy = malloc(s->len);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, s->mem, s->len);
	if (hit->action == MDL_FAULT_CORRUPT)
		copy[hit->arg % s->len] ^= 1;
	else if (!v->write)
		memset(copy, 0xff, s->len);
	err = v->fn(v->arg, copy, s->len);
	free(copy);
	return err;
}

static int visit_in_place(struct visit *v, struct mdl_span *s, uint64_t *delay)
{
	struct mdl_tally *t = v->write ? &v->wr : &v->rd;
	struct mdl_fault_hit hit = { .action = MDL_FAULT_NONE };
	int err;

	if (!mdl_door_fault(v->d->dev, t->cls, s->target, v->write, &hit))
		return v->fn(v->arg, s->mem, s->len);
	if (hit.action == MDL_FAULT_ERROR)
		return -EIO;
	if (hit.action == MDL_FAULT_DELAY)
		*delay = hit.arg;
	if (hit.action == MDL_FAULT_DROP || (hit.action == MDL_FAULT_CORRUPT && !v->write))
		return visit_copy(v, s, &hit);
	err = v->fn(v->arg, s->mem, s->len);
	if (hit.action == MDL_FAULT_CORRUPT)
		s->mem[hit.arg % s->len] ^= 1;
	return err;
}

static int visit_once(struct visit *v, uint64_t addr, uint64_t len, int64_t *ret_n)
{
	struct mdl_node *node = v->d->dev->node;
	struct mdl_span s = { 0 };
	uint64_t delay = 0;
	bool learnt = false;
	int err;

again:
	pthread_rwlock_rdlock(&node->lock);
	err = mdl_door_gate_locked(v->d, v->space);
	if (!err)
		err = mdl_resolve_locked(v->d->dev, v->space, addr, len, v->write, &s);
	/* By piece what is written is read first, and the guest may allow writing alone. */
	if (s.want_iommu && !learnt) {
		pthread_rwlock_unlock(&node->lock);
		learnt = true;
		mdl_iommu_learn(v->d->dev);
		goto again;
	}
	if (!err && s.mem) {
		err = visit_in_place(v, &s, &delay);
		pthread_rwlock_unlock(&node->lock);
		if (delay)
			mdl_door_delay(delay);
		if (!err)
			mdl_tally_add(v->write ? &v->wr : &v->rd, s.target, s.len);
		*ret_n = (int64_t)s.len;
		return err;
	}
	pthread_rwlock_unlock(&node->lock);
	return err && !s.want_iommu ? err : visit_by_piece(v, addr, len, ret_n);
}

int mdl_dma_visit(struct mdl_dma *d, const struct mdl_seg *seg, bool write, enum mdl_class cls,
		  mdl_visit_fn fn, void *arg)
{
	struct visit v = { .d = d,
			   .space = seg->space,
			   .write = write,
			   .fn = fn,
			   .arg = arg,
			   .rd = { .dev = d->dev, .cls = cls },
			   .wr = { .dev = d->dev, .cls = cls, .write = true } };
	uint64_t addr = seg->addr, left = seg->len, n;
	int64_t done = 0;
	int err = 0;

	if (left && left - 1 > UINT64_MAX - addr)
		return -EFAULT;
	for (; !err && left; left -= (uint64_t)done, addr += (uint64_t)done) {
		n = MDL_SLICE - (addr & 7);
		err = visit_once(&v, addr, left < n ? left : n, &done);
		if (err)
			d->fault_addr = addr;
	}
	mdl_tally_flush(&v.rd);
	mdl_tally_flush(&v.wr);
	return err;
}
