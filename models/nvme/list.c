// SPDX-License-Identifier: MIT
/*
 * Where the data of a command is: PRP entries and lists, SGL descriptors and segments. Everything
 * the host wrote is copied before it is looked at; every loop ends by a count of its own.
 */
#include <errno.h>
#include <string.h>

#include "models/nvme/internal.h"

#define PRPS_AT_ONCE 512u
#define SGLS_AT_ONCE 256u

uint16_t nvme_dma_status(int err)
{
	if (err == -ECANCELED)
		return NVME_GONE;
	/* What a fault on the way destroyed may go well the next time; an address will not. */
	return err == -EIO ? NVME_SC_DATA_TRANSFER : NVME_BAD(NVME_SC_DATA_TRANSFER);
}

/* Add a piece, joined with the one before where they touch. */
static uint16_t add(struct nvme *c, uint64_t addr, uint64_t len)
{
	struct nvme_list *l = &c->list;
	struct mdl_seg seg, *last = l->n ? &l->seg[l->n - 1] : NULL;
	uint16_t status = nvme_locate(c, addr, len, &seg);

	if (status || !len)
		return status;
	if (last && last->space == seg.space && last->addr + last->len == seg.addr) {
		last->len += len;
		return 0;
	}
	if (l->n == NVME_MAX_SEGS)
		return NVME_BAD(NVME_SC_SGL_COUNT);
	l->seg[l->n++] = seg;
	return 0;
}

static uint16_t fetch(struct nvme *c, uint64_t addr, void *buf, uint64_t len)
{
	struct mdl_seg seg;
	uint16_t status = nvme_locate(c, addr, len, &seg);
	int err;

	if (status)
		return status;
	err = mdl_dma_read(&c->dma, seg.space, seg.addr, buf, len, MDL_CTRL);
	return err ? nvme_dma_status(err) : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * The list at addr, for len bytes of whole pages. The last entry of a page of entries leads to the
 * next one if more are needed. Only the first page of entries may begin in the middle, so every
 * further one holds at least two entries' worth of progress.
 */
static uint16_t prp_list(struct nvme *c, uint64_t addr, uint64_t len)
{
	uint64_t entry[PRPS_AT_ONCE], need, here, n, i;
	uint16_t status;

	if (addr & 7)
		return NVME_BAD(NVME_SC_PRP_OFFSET);
	while (len) {
		need = (len + c->page - 1) / c->page;
		here = (c->page - addr % c->page) / 8; /* to the end of this page of entries */
		n = least(least(need, here), PRPS_AT_ONCE);
		status = fetch(c, addr, entry, n * 8);
		for (i = 0; i < n && !status; i++) {
			if (entry[i] & (c->page - 1))
				return NVME_BAD(NVME_SC_PRP_OFFSET);
			if (i + 1 == here && need > here)
				break;
			status = add(c, entry[i], least(len, c->page));
			len -= least(len, c->page);
		}
		if (status)
			return status;
		addr = i < n ? entry[i] : addr + n * 8;
	}
	return 0;
}

static uint16_t map_prp(struct nvme *c, const struct nvme_sqe *sqe, uint64_t len)
{
	uint64_t first = least(len, c->page - sqe->prp1 % c->page);
	uint16_t status;

	mdl_count(c->dev, NVME_C_PRP);
	if (sqe->prp1 & 3)
		return NVME_BAD(NVME_SC_PRP_OFFSET);
	status = add(c, sqe->prp1, first);
	len -= first;
	if (status || !len)
		return status;
	if (len > c->page)
		return prp_list(c, sqe->prp2, len);
	if (sqe->prp2 % c->page)
		return NVME_BAD(NVME_SC_PRP_OFFSET);
	return add(c, sqe->prp2, len);
}

/* A descriptor of data, of which *left bytes are still to come. */
static uint16_t sgl_data(struct nvme *c, const struct nvme_sgl *d, uint64_t *left)
{
	if (d->len > *left)
		return NVME_BAD(NVME_SC_SGL_LENGTH);
	*left -= d->len;
	return add(c, d->addr, d->len);
}

static bool is_link(const struct nvme_sgl *d)
{
	return NVME_SGL_TYPE(d->id) == NVME_SGL_SEGMENT || NVME_SGL_TYPE(d->id) == NVME_SGL_LAST;
}

static uint16_t check_descriptor(const struct nvme_sgl *d)
{
	bool known = is_link(d) || NVME_SGL_TYPE(d->id) == NVME_SGL_DATA;

	if (!known || NVME_SGL_SUBTYPE(d->id))
		return NVME_BAD(NVME_SC_SGL_TYPE);
	if (is_link(d) && (!d->len || d->len % sizeof(*d) || d->addr & 7))
		return NVME_BAD(NVME_SC_SGL_SEGMENT);
	return 0;
}

/* Some descriptors of a segment, its last ones if at_end; *link gets the one to go on with. */
static uint16_t sgl_some(struct nvme *c, const struct nvme_sgl *d, unsigned n, bool at_end,
			 uint64_t *left, struct nvme_sgl *link)
{
	uint16_t status = 0;
	unsigned i;

	for (i = 0; i < n && !status; i++) {
		status = check_descriptor(&d[i]);
		if (!status && is_link(&d[i])) {
			if (!at_end || i + 1 < n)
				return NVME_BAD(NVME_SC_SGL_COUNT);
			*link = d[i];
			return 0;
		}
		if (!status)
			status = sgl_data(c, &d[i], left);
	}
	return status;
}

/* All of the segment that seg describes. link->len stays 0 if it leads nowhere. */
static uint16_t sgl_segment(struct nvme *c, struct nvme_sgl seg, uint64_t *left, unsigned *budget,
			    struct nvme_sgl *link)
{
	struct nvme_sgl d[SGLS_AT_ONCE];
	uint64_t total = seg.len / sizeof(*d), n;
	uint16_t status = 0;

	*link = (struct nvme_sgl){ 0 };
	if (total > *budget)
		return NVME_BAD(NVME_SC_SGL_COUNT);
	*budget -= (unsigned)total;
	for (; total && !status; total -= n, seg.addr += n * sizeof(*d)) {
		n = least(total, SGLS_AT_ONCE);
		status = fetch(c, seg.addr, d, n * sizeof(*d));
		if (!status)
			status = sgl_some(c, d, (unsigned)n, n == total, left, link);
	}
	if (!status && link->len && NVME_SGL_TYPE(seg.id) == NVME_SGL_LAST)
		return NVME_BAD(NVME_SC_SGL_SEGMENT);
	return status;
}

static uint16_t map_sgl(struct nvme *c, const struct nvme_sqe *sqe, uint64_t len)
{
	unsigned budget = NVME_MAX_SGL;
	struct nvme_sgl d;
	uint16_t status;

	mdl_count(c->dev, NVME_C_SGL);
	memcpy(&d, &sqe->prp1, sizeof(d));
	status = check_descriptor(&d);
	if (!status && !is_link(&d)) {
		status = sgl_data(c, &d, &len);
		d.len = 0;
	}
	while (!status && d.len)
		status = sgl_segment(c, d, &len, &budget, &d);
	return status || !len ? status : NVME_BAD(NVME_SC_SGL_LENGTH);
}

uint16_t nvme_map_data(struct nvme *c, const struct nvme_sqe *sqe, uint64_t len)
{
	c->list.n = 0;
	if (!len)
		return 0;
	switch (NVME_PSDT(sqe->flags)) {
	case 0:
		return map_prp(c, sqe, len);
	case 1:
	case 2:
		return map_sgl(c, sqe, len);
	default:
		return NVME_BAD(NVME_SC_BAD_FIELD);
	}
}

static uint16_t exchange(struct nvme *c, const struct nvme_sqe *sqe, uint8_t *buf, uint64_t len,
			 bool send)
{
	uint16_t status = nvme_map_data(c, sqe, len);
	const struct mdl_seg *s = c->list.seg, *end = s + c->list.n;
	int err;

	for (; !status && s < end; buf += s->len, s++) {
		err = send ? mdl_dma_write(&c->dma, s->space, s->addr, buf, s->len, MDL_CTRL) :
			     mdl_dma_read(&c->dma, s->space, s->addr, buf, s->len, MDL_CTRL);
		status = err ? nvme_dma_status(err) : 0;
	}
	return status;
}

uint16_t nvme_send(struct nvme *c, const struct nvme_sqe *sqe, const void *buf, uint64_t len)
{
	/* Not written through: the data goes out. */
	return exchange(c, sqe, (uint8_t *)(uintptr_t)buf, len, true);
}

uint16_t nvme_receive(struct nvme *c, const struct nvme_sqe *sqe, void *buf, uint64_t len)
{
	return exchange(c, sqe, buf, len, false);
}
