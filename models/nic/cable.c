// SPDX-License-Identifier: MIT
/*
 * What a bad cable does: packets that arrive late wait here, with a copy of their payload, for the
 * receiver's first data worker. Without an armed fault point nothing comes this way.
 */
#include "models/nic/cable.h"

#include <errno.h>
#include <stdlib.h>

#include "models/nic/data.h"

#define SLOTS	   64u
#define ROOM	   4096u
#define REORDER_NS 200000u

enum kind { EMPTY, PACKET, DGRAM, REPLY };

struct late {
	uint8_t kind;
	uint64_t due_ns, len;
	union {
		struct nic_pkt pkt;
		struct nic_dgram dgram;
		struct {
			uint32_t qpn;
			struct nic_reply rep;
		} reply;
	};
	uint8_t data[ROOM];
};

struct queue {
	pthread_mutex_t lock; /* leaf */
	_Atomic uint32_t n;
	struct late now; /* the one being delivered; first data worker only */
	struct late slot[SLOTS];
};

int nic_cable_init(struct nic *nic)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	nic->cable.priv = q;
	return 0;
}

void nic_cable_fini(struct nic *nic)
{
	struct queue *q = nic->cable.priv;

	if (!q)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q);
	nic->cable.priv = NULL;
}

void nic_cable_flush(struct nic *nic)
{
	struct queue *q = nic->cable.priv;
	unsigned i;

	pthread_mutex_lock(&q->lock);
	for (i = 0; i < SLOTS; i++)
		q->slot[i].kind = EMPTY;
	q->n = 0;
	pthread_mutex_unlock(&q->lock);
}

uint32_t nic_cable_clean(struct nic *nic, unsigned point, uint32_t n, struct mdl_fault_hit *hit)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (mdl_fault(nic->dev, point, hit))
			break;
	return i;
}

uint64_t nic_cable_due(struct nic *from, struct nic *to, const struct mdl_fault_hit *hit)
{
	switch (hit->action) {
	case MDL_FAULT_DELAY:
		return mdl_now_ns() + hit->arg * 1000;
	case MDL_FAULT_REORDER:
		return mdl_now_ns() + REORDER_NS;
	case MDL_FAULT_CORRUPT:
	case MDL_FAULT_ERROR:
		/* The receiver's checksum finds it. */
		if (to) {
			nic_port_count_add(&to->port, NIC_PC_SYMBOL_ERR, 1);
			nic_port_count_add(&to->port, NIC_PC_RCV_ERR, 1);
		}
		return 0;
	case MDL_FAULT_DUP:
		return 0;
	default:
		nic_port_count_add(&from->port, NIC_PC_XMIT_DISCARD, 1);
		return 0;
	}
}

static bool copy_payload(struct late *l, struct nic_iov *data)
{
	struct nic_iov to;

	if (data->len > ROOM)
		return false;
	l->len = data->len;
	nic_iov_init(&to, &data->dma);
	nic_iov_host(&to, l->data, data->len);
	return !nic_iov_copy(&to, data);
}

/* A free slot, with the lock held; NULL with the lock let go when there is none. */
static struct late *get_slot(struct queue *q)
{
	unsigned i;

	pthread_mutex_lock(&q->lock);
	for (i = 0; i < SLOTS; i++)
		if (q->slot[i].kind == EMPTY)
			return &q->slot[i];
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static void put_slot(struct nic *to, struct queue *q, struct late *l, enum kind kind, uint64_t due)
{
	l->kind = (uint8_t)kind;
	l->due_ns = due;
	q->n++;
	pthread_mutex_unlock(&q->lock);
	mdl_worker_kick(to->dw[0].worker);
}

void nic_cable_queue_pkt(struct nic *to, const struct nic_pkt *p, uint64_t due)
{
	struct queue *q = to->cable.priv;
	struct late *l = get_slot(q);

	if (!l)
		return;
	l->pkt = *p;
	if (copy_payload(l, p->iov))
		put_slot(to, q, l, PACKET, due);
	else
		pthread_mutex_unlock(&q->lock);
}

void nic_cable_queue_dgram(struct nic *to, const struct nic_dgram *g, struct nic_iov *data,
			   uint64_t due)
{
	struct queue *q = to->cable.priv;
	struct late *l = get_slot(q);

	if (!l)
		return;
	l->dgram = *g;
	if (copy_payload(l, data))
		put_slot(to, q, l, DGRAM, due);
	else
		pthread_mutex_unlock(&q->lock);
}

void nic_cable_queue_reply(struct nic *to, uint32_t qpn, const struct nic_reply *rep, uint64_t due)
{
	struct queue *q = to->cable.priv;
	struct late *l = get_slot(q);

	if (!l)
		return;
	l->reply.qpn = qpn;
	l->reply.rep = *rep;
	put_slot(to, q, l, REPLY, due);
}

static void arrive_packet(struct nic *nic, struct late *l)
{
	struct nic_qp *qp = nic_find_qp(nic, l->pkt.dqpn), *src;
	struct nic *back;
	struct nic_reply rep;
	struct nic_iov v;

	if (!qp)
		return;
	nic_iov_init(&v, &qp->dma);
	nic_iov_host(&v, l->data, l->len);
	l->pkt.iov = &v;
	nic_rsp_packet(qp, &l->pkt, &rep);
	back = nic_net_find_lid(nic, l->pkt.slid);
	src = back ? nic_find_qp(back, l->pkt.sqpn) : NULL;
	if (src && rep.kind != NIC_A_LOST)
		nic_req_reply(src, &rep);
}

static void arrive(struct nic *nic, struct late *l)
{
	struct nic_qp *qp;
	struct nic_iov v;

	switch (l->kind) {
	case PACKET:
		arrive_packet(nic, l);
		return;
	case DGRAM:
		qp = l->dgram.dqpn < 2 ? nic_find_special(nic, l->dgram.dqpn) :
					 nic_find_qp(nic, l->dgram.dqpn);
		if (!qp)
			return;
		nic_iov_init(&v, &qp->dma);
		nic_iov_host(&v, l->data, l->len);
		nic_ud_deliver(nic, qp, &l->dgram, &v);
		return;
	default:
		qp = nic_find_qp(nic, l->reply.qpn);
		if (qp)
			nic_req_reply(qp, &l->reply.rep);
	}
}

/* Move the earliest that is due to q->now. */
static bool take_due(struct queue *q, uint64_t *ret_next)
{
	struct late *first = NULL;
	unsigned i;

	pthread_mutex_lock(&q->lock);
	for (i = 0; i < SLOTS; i++)
		if (q->slot[i].kind && (!first || q->slot[i].due_ns < first->due_ns))
			first = &q->slot[i];
	*ret_next = first ? first->due_ns : 0;
	if (first && first->due_ns <= mdl_now_ns()) {
		q->now = *first;
		first->kind = EMPTY;
		q->n--;
	} else {
		first = NULL;
	}
	pthread_mutex_unlock(&q->lock);
	return first;
}

bool nic_cable_run(struct nic_dw *dw)
{
	struct queue *q = dw->nic->cable.priv;
	uint64_t next = 0, now;

	if (dw->idx || !atomic_load_explicit(&q->n, memory_order_relaxed))
		return false;
	if (take_due(q, &next)) {
		arrive(dw->nic, &q->now);
		return true;
	}
	now = mdl_now_ns();
	if (next)
		mdl_worker_after(dw->worker, next > now ? next - now : 0);
	return false;
}
