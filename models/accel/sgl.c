// SPDX-License-Identifier: MIT
/*
 * Scatter lists: read once into a private copy, checked there, walked there. What the guest does
 * to its list afterwards changes nothing.
 */
#include <errno.h>
#include <stddef.h>

#include "models/accel/internal.h"

/* One side of a submission entry. */
struct place {
	uint64_t addr;
	uint32_t count;
	uint8_t space;
	bool is_sgl;
	uint16_t at; /* offset of the address field */
	uint8_t where_list;
	struct accel_list *list;
};

static struct place place_of(struct accel_job *job, enum accel_side side)
{
	const struct accel_sqe *s = &job->sqe;

	if (side == ACCEL_SRC)
		return (struct place){ .addr = s->src_addr,
				       .count = s->src_count,
				       .space = s->src_space,
				       .is_sgl = s->flags & ACCEL_SQE_SRC_SGL,
				       .at = offsetof(struct accel_sqe, src_addr),
				       .where_list = ACCEL_WHERE_SRC_SGL,
				       .list = &job->src };
	return (struct place){ .addr = s->dst_addr,
			       .count = s->dst_count,
			       .space = s->dst_space,
			       .is_sgl = s->flags & ACCEL_SQE_DST_SGL,
			       .at = offsetof(struct accel_sqe, dst_addr),
			       .where_list = ACCEL_WHERE_DST_SGL,
			       .list = &job->dst };
}

bool accel_range_ok(const struct accel *a, uint32_t space, uint64_t addr, uint64_t len,
		    uint16_t *ret_status)
{
	uint64_t size = a->vram_size;

	*ret_status = ACCEL_BAD_RANGE;
	if (space == ACCEL_SPACE_BUS)
		return !len || len - 1 <= UINT64_MAX - addr;
	if (space == ACCEL_SPACE_LINK) {
		size = accel_link_size(a);
		if (!size)
			*ret_status = ACCEL_LINK_DOWN;
	}
	return addr <= size && len <= size - addr;
}

static bool fail(struct accel_job *job, uint16_t status, uint8_t where, uint64_t info)
{
	accel_cmd_finish(job,
			 (struct accel_outcome){ .status = status, .where = where, .info = info });
	return false;
}

/* The range a submission entry names itself: the data, or the array of elements. */
static bool check_place(struct accel *a, struct accel_job *job, const struct place *p, uint64_t len,
			uint64_t align)
{
	uint16_t status;

	if (p->addr % align)
		return fail(job, ACCEL_BAD_ALIGN, ACCEL_WHERE_DESC, p->at);
	if (!accel_range_ok(a, p->space, p->addr, len, &status))
		return fail(job, status, ACCEL_WHERE_DESC, p->at);
	return true;
}

/* ACCEL_OK, or what is wrong with an element; left is what the command's length leaves for it. */
static uint16_t check_element(const struct accel *a, const struct accel_sge *e, uint64_t left,
			      uint64_t align)
{
	uint16_t status;

	if (e->rsvd)
		return ACCEL_BAD_FIELD;
	if (e->space > ACCEL_SPACE_LINK)
		return ACCEL_BAD_SPACE;
	if (!e->len || e->len > left)
		return ACCEL_SGL_LENGTH;
	if (e->addr % align || e->len % align)
		return ACCEL_BAD_ALIGN;
	return accel_range_ok(a, e->space, e->addr, e->len, &status) ? ACCEL_OK : status;
}

static bool take_elements(struct accel *a, struct accel_job *job, const struct place *p,
			  uint64_t align)
{
	const struct accel_sge *e = (const struct accel_sge *)(const void *)a->bounce;
	uint64_t left = job->sqe.len;
	uint16_t status;
	uint32_t i;

	for (i = 0; i < p->count; i++, e++) {
		status = check_element(a, e, left, align);
		if (status)
			return fail(job, status, p->where_list, i);
		p->list->seg[i] = (struct mdl_seg){ .addr = e->addr,
						    .len = e->len,
						    .space = (enum mdl_space)e->space };
		left -= e->len;
	}
	if (left)
		return fail(job, ACCEL_SGL_LENGTH, p->where_list, p->count);
	p->list->n = p->count;
	return true;
}

_Static_assert(ACCEL_SGL_MAX_ENTRIES * sizeof(struct accel_sge) <= ACCEL_SLICE,
	       "a list fits into the bounce buffer");

static bool load_sgl(struct accel *a, struct accel_ring *r, const struct place *p, uint64_t align)
{
	struct accel_job *job = &r->job;
	uint64_t len = p->count * sizeof(struct accel_sge);
	enum mdl_space space = (enum mdl_space)p->space;
	int err;

	if (!check_place(a, job, p, len, 8))
		return false;
	err = mdl_dma_read(&r->src_dma, space, p->addr, a->bounce, len, MDL_CTRL);
	if (err) {
		accel_dma_failed(job, err, space, p->where_list, r->src_dma.fault_addr);
		return false;
	}
	return take_elements(a, job, p, align);
}

bool accel_list_load(struct accel *a, struct accel_ring *r, enum accel_side side, uint64_t align)
{
	struct place p = place_of(&r->job, side);

	if (p.is_sgl)
		return load_sgl(a, r, &p, align);
	if (!check_place(a, &r->job, &p, r->job.sqe.len, align))
		return false;
	p.list->seg[0] = (struct mdl_seg){ .addr = p.addr,
					   .len = r->job.sqe.len,
					   .space = (enum mdl_space)p.space };
	p.list->n = 1;
	return true;
}

unsigned accel_list_peek(const struct accel_list *l, uint64_t max_len, struct mdl_seg *seg,
			 uint64_t *ret_len)
{
	uint64_t off = l->off, sum = 0, len;
	unsigned n = 0, i;

	for (i = l->cur; i < l->n && n < ACCEL_MAX_PIECES && sum < max_len; i++, off = 0) {
		len = l->seg[i].len - off;
		if (len > max_len - sum)
			len = max_len - sum;
		seg[n++] = (struct mdl_seg){ .addr = l->seg[i].addr + off,
					     .len = len,
					     .space = l->seg[i].space };
		sum += len;
	}
	*ret_len = sum;
	return n;
}

void accel_list_advance(struct accel_list *l, uint64_t len)
{
	uint64_t left;

	while (len && l->cur < l->n) {
		left = l->seg[l->cur].len - l->off;
		if (len < left) {
			l->off += len;
			return;
		}
		len -= left;
		l->cur++;
		l->off = 0;
	}
}

enum mdl_space accel_list_space(const struct accel_list *l)
{
	return l->cur < l->n ? l->seg[l->cur].space : MDL_SPACE_BUS;
}
