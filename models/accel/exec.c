// SPDX-License-Identifier: MIT
/* Doing a command, a slice at a time: SPEC.rst 6.2. */
#include <errno.h>
#include <string.h>

#include "models/accel/internal.h"
#include "util/crc32c.h"

uint16_t accel_dma_status(int err, enum mdl_space space)
{
	switch (err) {
	case -EFAULT:
		return ACCEL_DMA_UNMAPPED;
	case -EACCES:
		return ACCEL_DMA_DENIED;
	case -EREMOTEIO:
		return space == MDL_SPACE_LINK ? ACCEL_LINK_DOWN : ACCEL_DMA_PEER;
	default:
		return ACCEL_DMA_ERROR;
	}
}

void accel_dma_failed(struct accel_job *job, int err, enum mdl_space space, uint8_t where,
		      uint64_t addr)
{
	if (err == -ECANCELED) {
		job->phase = ACCEL_DROPPED;
		return;
	}
	accel_cmd_finish(job, (struct accel_outcome){ .status = accel_dma_status(err, space),
						      .where = where,
						      .result = addr,
						      .info = job->done });
}

/* Bytes of the lists that are certainly done. */
static void advance(struct accel_job *job, uint64_t n)
{
	accel_list_advance(&job->src, n);
	accel_list_advance(&job->dst, n);
	job->done += n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Pieces of both sides that have the same length. */
struct pair {
	struct mdl_seg *src, *dst;
	unsigned n_src, n_dst;
	uint64_t len;
};

static struct pair peek_pair(struct accel *a, const struct accel_job *job, uint64_t max_len)
{
	struct pair p = { .src = a->piece[ACCEL_SRC], .dst = a->piece[ACCEL_DST] };
	uint64_t s, d;

	p.n_src = accel_list_peek(&job->src, max_len, p.src, &s);
	p.n_dst = accel_list_peek(&job->dst, s, p.dst, &d);
	/* The destination's pieces may have come to their limit first. */
	p.n_src = accel_list_peek(&job->src, d, p.src, &p.len);
	return p;
}

/* Tells an address that failed from none; no memory ends there. */
#define NO_FAULT UINT64_MAX

static void copy(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct accel_job *job = &r->job;
	struct pair p = peek_pair(a, job, len);
	uint64_t done;
	int err;

	r->src_dma.fault_addr = r->dst_dma.fault_addr = NO_FAULT;
	err = mdl_dma_copyv(&r->dst_dma, p.dst, p.n_dst, &r->src_dma, p.src, p.n_src, MDL_DATA,
			    &done);
	advance(job, done);
	if (!err)
		return;
	if (r->src_dma.fault_addr != NO_FAULT && r->dst_dma.fault_addr == NO_FAULT)
		accel_dma_failed(job, err, accel_list_space(&job->src), ACCEL_WHERE_SRC,
				 r->src_dma.fault_addr);
	else
		accel_dma_failed(job, err, accel_list_space(&job->dst), ACCEL_WHERE_DST,
				 r->dst_dma.fault_addr);
}

/* Run fn over one side's next pieces, up to len bytes. */
static int visit_side(struct accel *a, struct accel_ring *r, enum accel_side side, uint64_t len,
		      bool write, mdl_visit_fn fn, void *arg)
{
	struct accel_job *job = &r->job;
	struct mdl_dma *dma = side == ACCEL_SRC ? &r->src_dma : &r->dst_dma;
	struct mdl_seg *seg = a->piece[side];
	unsigned n, i;
	uint64_t sum;
	int err = 0;

	n = accel_list_peek(side == ACCEL_SRC ? &job->src : &job->dst, len, seg, &sum);
	for (i = 0; i < n && !err; i++) {
		err = mdl_dma_visit(dma, &seg[i], write, MDL_DATA, fn, arg);
		if (!err)
			advance(job, seg[i].len);
	}
	if (err < 0)
		accel_dma_failed(job, err, seg[i - 1].space,
				 side == ACCEL_SRC ? ACCEL_WHERE_SRC : ACCEL_WHERE_DST,
				 dma->fault_addr);
	return err;
}

/* Eight bytes of the pattern, such that the first of them is the pattern's byte off % size. */
static uint64_t pattern_at(uint64_t imm, unsigned size, uint64_t off)
{
	unsigned rot = 8 * (unsigned)(off % size);

	if (size == 1)
		imm *= 0x0101010101010101ull;
	else if (size == 2)
		imm *= 0x0001000100010001ull;
	else if (size == 4)
		imm |= imm << 32;
	return rot ? imm >> rot | imm << (64 - rot) : imm;
}

struct fill {
	uint64_t imm, off;
	unsigned size;
};

static int fill_piece(void *arg, void *mem, size_t len)
{
	struct fill *f = arg;
	uint64_t word = pattern_at(f->imm, f->size, f->off);
	uint8_t *p = mem;

	f->off += len;
	for (; len >= 8; len -= 8, p += 8)
		memcpy(p, &word, 8);
	memcpy(p, &word, len);
	return 0;
}

static void fill(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct fill f = { .imm = r->job.sqe.imm, .off = r->job.done, .size = r->job.sqe.param };

	visit_side(a, r, ACCEL_DST, len, true, fill_piece, &f);
}

static int crc_piece(void *arg, void *mem, size_t len)
{
	uint32_t *crc = arg;

	*crc = util_crc32c(*crc, mem, len);
	return 0;
}

static void crc32c(struct accel *a, struct accel_ring *r, uint64_t len)
{
	visit_side(a, r, ACCEL_SRC, len, false, crc_piece, &r->job.crc);
}

/*
 * Commands with two operands: the source's slice goes into the bounce buffer, the destination is
 * visited in place. Return: bytes in the bounce buffer, 0 when the command is over.
 */
static uint64_t bounce_source(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct pair p = peek_pair(a, &r->job, len);
	uint64_t at = 0;
	unsigned i;
	int err;

	for (i = 0; i < p.n_src; i++) {
		err = mdl_dma_read(&r->src_dma, p.src[i].space, p.src[i].addr, a->bounce + at,
				   p.src[i].len, MDL_DATA);
		if (err) {
			accel_dma_failed(&r->job, err, p.src[i].space, ACCEL_WHERE_SRC,
					 r->src_dma.fault_addr);
			return 0;
		}
		at += p.src[i].len;
	}
	return p.len;
}

struct operand {
	const uint8_t *src;
	uint16_t type;	    /* of ADD */
	uint64_t same;	    /* COMPARE: bytes that are equal so far */
	uint8_t differs[2]; /* source's and destination's first different byte */
};

#define DIFFERENT 1

static int compare_piece(void *arg, void *mem, size_t len)
{
	struct operand *o = arg;
	const volatile uint8_t *dst = mem;
	size_t i;

	if (memcmp(o->src, mem, len) != 0) {
		/* Others may be changing the memory: what is noted is what was seen here. */
		for (i = 0; i < len; i++) {
			o->differs[0] = o->src[i];
			o->differs[1] = dst[i];
			if (o->differs[0] != o->differs[1]) {
				o->same += i;
				return DIFFERENT;
			}
		}
	}
	o->src += len;
	o->same += len;
	return 0;
}

static void compare(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct operand o = { .src = a->bounce };
	struct accel_job *job = &r->job;
	uint64_t from = job->done;

	len = bounce_source(a, r, len);
	if (!len || visit_side(a, r, ACCEL_DST, len, false, compare_piece, &o) != DIFFERENT)
		return;
	accel_cmd_finish(job, (struct accel_outcome){ .status = ACCEL_MISCOMPARE,
						      .result = from + o.same,
						      .info = o.differs[0] | o.differs[1] << 8 });
}

/* Four elements at once. Memory of a guest has any alignment, hence the copies. */
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

#define DEFINE_ADD(name, type, vector)                                 \
	static void name(uint8_t *dst, const uint8_t *src, size_t len) \
	{                                                              \
		vector vx, vy;                                         \
		type x, y;                                             \
                                                                       \
		for (; len >= sizeof(vx); len -= sizeof(vx)) {         \
			memcpy(&vx, dst, sizeof(vx));                  \
			memcpy(&vy, src, sizeof(vy));                  \
			vx += vy;                                      \
			memcpy(dst, &vx, sizeof(vx));                  \
			dst += sizeof(vx);                             \
			src += sizeof(vy);                             \
		}                                                      \
		for (; len; len -= sizeof(x)) {                        \
			memcpy(&x, dst, sizeof(x));                    \
			memcpy(&y, src, sizeof(y));                    \
			x += y;                                        \
			memcpy(dst, &x, sizeof(x));                    \
			dst += sizeof(x);                              \
			src += sizeof(y);                              \
		}                                                      \
	}

DEFINE_ADD(add_u32, uint32_t, u32x4)
DEFINE_ADD(add_f32, float, f32x4)

static int add_piece(void *arg, void *mem, size_t len)
{
	struct operand *o = arg;

	/* The door splits memory at pages, which elements do not cross. */
	if (len % 4)
		return -EIO;
	if (o->type == ACCEL_ADD_F32)
		add_f32(mem, o->src, len);
	else
		add_u32(mem, o->src, len);
	o->src += len;
	return 0;
}

static void add(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct operand o = { .src = a->bounce, .type = r->job.sqe.param };

	/* What an earlier command left of the turn may be no multiple of an element. */
	len = bounce_source(a, r, len < 4 ? 4 : len & ~3ull);
	if (len)
		visit_side(a, r, ACCEL_DST, len, true, add_piece, &o);
}

static void write_word(struct accel *a, struct accel_ring *r, uint64_t len)
{
	struct accel_job *job = &r->job;
	const struct mdl_seg *s = &job->dst.seg[0];
	int err = mdl_dma_store(&r->dst_dma, s->space, s->addr, s->len, job->sqe.imm);

	if (err)
		accel_dma_failed(job, err, s->space, ACCEL_WHERE_DST, r->dst_dma.fault_addr);
	else
		advance(job, s->len);
}

typedef void (*exec_fn)(struct accel *a, struct accel_ring *r, uint64_t len);

/* NOP and FENCE move no data. */
static const exec_fn exec[] = {
	[ACCEL_OP_NOP] = NULL,	    [ACCEL_OP_COPY] = copy,	   [ACCEL_OP_FILL] = fill,
	[ACCEL_OP_CRC32C] = crc32c, [ACCEL_OP_COMPARE] = compare,  [ACCEL_OP_ADD] = add,
	[ACCEL_OP_FENCE] = NULL,    [ACCEL_OP_WRITE] = write_word,
};

static void finish_success(struct accel *a, struct accel_job *job)
{
	struct accel_outcome out = accel_cmd_success(job);
	struct mdl_fault_hit hit;

	if (job->sqe.opcode == ACCEL_OP_CRC32C) {
		hit = accel_fault(a, ACCEL_F_CRC_CORRUPT);
		if (hit.action == MDL_FAULT_CORRUPT)
			out.result ^= 1ull << (hit.arg % 32);
	}
	accel_cmd_finish(job, out);
}

void accel_exec(struct accel *a, struct accel_ring *r, uint64_t len, uint64_t *ret_n)
{
	struct accel_job *job = &r->job;
	uint64_t before = job->done;
	unsigned op = job->sqe.opcode;

	if (exec[op])
		exec[op](a, r, least(least(len, ACCEL_SLICE), job->sqe.len - job->done));
	*ret_n = job->done - before;
	mdl_count_add(a->dev, ACCEL_C_BYTES_NOP + op, *ret_n);
	if (job->phase == ACCEL_EXEC && job->done == job->sqe.len)
		finish_success(a, job);
}
