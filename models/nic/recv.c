// SPDX-License-Identifier: MIT
/*
 * Receive entries: a QP's own ring, or a shared queue, whose entries are a list linked by the
 * driver. The link to the entry after the last one taken is read only when that is taken: the
 * driver sets it late.
 */
#include <endian.h>
#include <errno.h>

#include "hw/mlx5_bits.h"
#include "models/nic/data.h"

#define SRQ_NEXT_SEG 16u
#define SRQ_NEXT_OFF 2u

static int load_counter(struct mdl_dma *d, uint64_t addr, uint16_t *ret)
{
	uint64_t v;
	int err = mdl_dma_load(d, MDL_SPACE_BUS, addr, 4, &v);

	if (!err)
		*ret = (uint16_t)be32toh((uint32_t)v);
	return err;
}

static int read_own(struct nic_qp *qp, uint16_t counter, struct nic_rwqe *w)
{
	uint32_t stride = 1u << qp->rq.log_stride, i = counter & ((1u << qp->rq.log_size) - 1);
	uint8_t buf[NIC_MAX_STRIDE];
	struct mdl_dma d = qp->dma;
	int err;

	if (stride > sizeof(buf))
		return -EINVAL;
	err = nic_buf_read(&qp->buf, &d, qp->rq.off + (uint64_t)i * stride, buf, stride);
	if (err)
		return err;
	w->srq = NULL;
	w->counter = counter;
	w->pd = qp->pd;
	w->n = nic_wqe_parse_recv(buf, stride, w->sge, &w->total);
	return 0;
}

static int take_own(struct nic_qp *qp, struct nic_rwqe *w)
{
	struct nic_rsp *r = &qp->rsp;
	struct mdl_dma d = qp->dma;
	int err;

	if (qp->rq_kind != NIC_RQ_OWN)
		return -EAGAIN;
	if (r->rq_ci == r->rq_pi) {
		err = load_counter(&d, qp->db_addr, &r->rq_pi);
		if (err)
			return err;
		/* More than the ring holds: a record gone wrong. Take none of it. */
		if ((uint16_t)(r->rq_pi - r->rq_ci) > 1u << qp->rq.log_size) {
			r->rq_pi = r->rq_ci;
			return -EINVAL;
		}
	}
	if (r->rq_ci == r->rq_pi)
		return -EAGAIN;
	err = read_own(qp, r->rq_ci, w);
	if (!err)
		r->rq_ci++;
	return err;
}

static int read_shared(struct nic_srq *srq, uint16_t idx, struct nic_rwqe *w)
{
	uint32_t stride = 1u << srq->log_stride, i = idx & ((1u << srq->log_size) - 1);
	uint8_t buf[NIC_MAX_STRIDE];
	struct mdl_dma d = srq->dma;
	int err;

	if (stride > sizeof(buf) || stride < SRQ_NEXT_SEG)
		return -EINVAL;
	err = nic_buf_read(&srq->buf, &d, (uint64_t)i * stride, buf, stride);
	if (err)
		return err;
	w->srq = srq;
	w->counter = (uint16_t)i;
	w->pd = srq->pd;
	w->n = nic_wqe_parse_recv(buf + SRQ_NEXT_SEG, stride - SRQ_NEXT_SEG, w->sge, &w->total);
	return 0;
}

/* The entry after the last one taken. */
static int follow(struct nic_srq *srq, uint16_t *ret_idx)
{
	uint32_t mask = (1u << srq->log_size) - 1;
	uint8_t next[2];
	int err;

	*ret_idx = srq->head;
	if (!srq->head_used)
		return 0;
	if (srq->cyclic) {
		*ret_idx = (uint16_t)((srq->head + 1) & mask);
		return 0;
	}
	err = nic_buf_read(&srq->buf, &srq->dma,
			   ((uint64_t)(srq->head & mask) << srq->log_stride) + SRQ_NEXT_OFF, next,
			   sizeof(next));
	*ret_idx = (uint16_t)((next[0] << 8 | next[1]) & mask);
	return err;
}

int nic_recv_take_locked(struct nic_srq *srq, struct nic_rwqe *w, bool *ret_limit)
{
	uint16_t posted, left, idx;
	int err;

	if (srq->state != NIC_SRQ_OK)
		return -EAGAIN;
	err = load_counter(&srq->dma, srq->db_addr, &posted);
	if (err)
		return err;
	left = (uint16_t)(posted - srq->taken);
	if (!left)
		return -EAGAIN;
	err = follow(srq, &idx);
	if (!err)
		err = read_shared(srq, idx, w);
	if (err)
		return err;
	srq->head = idx;
	srq->head_used = true;
	srq->taken++;
	*ret_limit = srq->lwm && left - 1 < srq->lwm;
	if (*ret_limit)
		srq->lwm = 0;
	return 0;
}

static int take_shared(struct nic_srq *srq, struct nic_rwqe *w)
{
	bool limit = false;
	int err;

	pthread_mutex_lock(&srq->lock);
	err = nic_recv_take_locked(srq, w, &limit);
	pthread_mutex_unlock(&srq->lock);
	if (limit)
		nic_event_srq(srq->nic, NIC_EV_SRQ_LIMIT, srq->obj.id);
	return err;
}

int nic_recv_take(struct nic_qp *qp, struct nic_srq *srq, struct nic_rwqe *w)
{
	return srq ? take_shared(srq, w) : take_own(qp, w);
}

int nic_recv_again(struct nic_qp *qp, struct nic_srq *srq, uint16_t counter, struct nic_rwqe *w)
{
	return srq ? read_shared(srq, counter, w) : read_own(qp, counter, w);
}
