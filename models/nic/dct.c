// SPDX-License-Identifier: MIT
/*
 * The responder of dynamically connected transport. An initiator numbers its connections, and each
 * packet says which it belongs to and where its sequence numbers begin: a new one takes the place
 * of the last from the same initiator, packets of an older one are late and dropped. For as long as
 * a packet is worked on, its connection's state is the queue pair's.
 */
#include "models/nic/dct.h"

#include <errno.h>
#include <stdlib.h>

#include "models/nic/data.h"

#define BUCKETS NIC_DCT_CONNS
#define NONE	UINT32_MAX

struct conn {
	uint16_t slid;
	uint32_t sqpn;
	uint64_t serial; /* 0: not in use */
	uint64_t heard;	 /* when, by the target's count of runs */
	uint32_t next;	 /* of the same bucket */
	struct nic_rsp state;
};

struct nic_dct {
	uint64_t runs;
	uint32_t used;
	uint32_t bucket[BUCKETS];
	struct conn conn[NIC_DCT_CONNS];
};

uint64_t nic_dct_charge(void)
{
	return sizeof(struct nic_dct);
}

int nic_dct_init(struct nic_qp *qp)
{
	unsigned i;

	qp->dct = calloc(1, sizeof(*qp->dct));
	if (!qp->dct)
		return -ENOMEM;
	for (i = 0; i < BUCKETS; i++)
		qp->dct->bucket[i] = NONE;
	return 0;
}

void nic_dct_fini(struct nic_qp *qp)
{
	free(qp->dct);
	qp->dct = NULL;
}

/* ---- connections ---- */

/* All of a responder but its lock. */
static void copy_state(struct nic_rsp *to, const struct nic_rsp *from)
{
	size_t skip = offsetof(struct nic_rsp, epsn);

	memcpy((char *)to + skip, (const char *)from + skip, sizeof(*to) - skip);
}

static uint32_t *bucket_of(struct nic_dct *t, uint16_t slid, uint32_t sqpn)
{
	return &t->bucket[(sqpn ^ (uint32_t)slid * 61u) % BUCKETS];
}

static struct conn *find(struct nic_dct *t, uint16_t slid, uint32_t sqpn)
{
	uint32_t i;

	for (i = *bucket_of(t, slid, sqpn); i != NONE; i = t->conn[i].next)
		if (t->conn[i].slid == slid && t->conn[i].sqpn == sqpn)
			return &t->conn[i];
	return NULL;
}

static void unlink_conn(struct nic_dct *t, struct conn *c)
{
	uint32_t *at = bucket_of(t, c->slid, c->sqpn), idx = (uint32_t)(c - t->conn);

	while (*at != idx)
		at = &t->conn[*at].next;
	*at = c->next;
}

/* In the middle of a message, or of a page fault: not to be forgotten. */
static bool busy(const struct conn *c)
{
	return !c->state.dropping &&
	       (c->state.in_msg || c->state.have_rwqe || c->state.fault_token);
}

/* Room for one more initiator, or NULL: all are busy. */
static struct conn *make_room(struct nic_dct *t)
{
	struct conn *oldest = NULL;
	unsigned i;

	if (t->used < NIC_DCT_CONNS)
		return &t->conn[t->used++];
	for (i = 0; i < NIC_DCT_CONNS; i++)
		if (!busy(&t->conn[i]) && (!oldest || t->conn[i].heard < oldest->heard))
			oldest = &t->conn[i];
	if (oldest)
		unlink_conn(t, oldest);
	return oldest;
}

static struct conn *add(struct nic_dct *t, const struct nic_pkt *p)
{
	struct conn *c = make_room(t);
	uint32_t *head = bucket_of(t, p->slid, p->sqpn);

	if (!c)
		return NULL;
	*c = (struct conn){ .slid = p->slid, .sqpn = p->sqpn, .next = *head };
	*head = (uint32_t)(c - t->conn);
	return c;
}

/* A new connection of the same initiator: the last one is over, whatever it was about. */
static void connect(struct nic_qp *qp, struct conn *c, const struct nic_pkt *p)
{
	if (c->state.have_rwqe) {
		copy_state(&qp->rsp, &c->state);
		nic_rsp_complete_error(qp, NIC_S_FLUSH);
	}
	memset(&c->state, 0, sizeof(c->state));
	c->state.epsn = p->dc_start;
	c->serial = p->dc_conn;
}

/* ---- packets ---- */

static bool key_ok(struct nic_qp *qp, const struct nic_pkt *p)
{
	if (p->dc_key == qp->dc_key)
		return true;
	if (qp->dc_violations < UINT32_MAX)
		qp->dc_violations++;
	return false;
}

void nic_dct_packet(struct nic_qp *qp, const struct nic_pkt *p, struct nic_reply *ret)
{
	struct nic_dct *t = qp->dct;
	struct conn *c;

	if (!key_ok(qp, p))
		return;
	c = find(t, p->slid, p->sqpn);
	if (!c)
		c = add(t, p);
	if (!c) {
		*ret = (struct nic_reply){ .kind = NIC_A_LATER, .psn = p->psn };
		return;
	}
	if (c->serial < p->dc_conn)
		connect(qp, c, p);
	if (c->serial != p->dc_conn || c->state.dropping)
		return;
	c->heard = ++t->runs;
	copy_state(&qp->rsp, &c->state);
	nic_rsp_reliable(qp, p, ret);
	copy_state(&c->state, &qp->rsp);
}

void nic_dct_drain(struct nic_qp *qp)
{
	struct nic_dct *t = qp->dct;
	uint32_t i;

	pthread_mutex_lock(&qp->rsp.lock);
	atomic_store(&qp->state, NIC_QPS_RESET);
	for (i = 0; i < t->used; i++) {
		if (!t->conn[i].state.have_rwqe)
			continue;
		copy_state(&qp->rsp, &t->conn[i].state);
		nic_rsp_complete_error(qp, NIC_S_FLUSH);
		t->conn[i].state.have_rwqe = false;
	}
	pthread_mutex_unlock(&qp->rsp.lock);
}

void nic_dct_resume(struct nic_qp *qp, uint32_t token, bool error)
{
	struct nic_dct *t = qp->dct;
	struct nic_rsp *r;
	uint32_t i;

	pthread_mutex_lock(&qp->rsp.lock);
	for (i = 0; i < t->used; i++) {
		r = &t->conn[i].state;
		if (!r->fault_token || (token && r->fault_token != token))
			continue;
		r->fault_token = 0;
		r->fault_failed = error ? (uint8_t)(r->fault_failed + 1) : 0;
	}
	pthread_mutex_unlock(&qp->rsp.lock);
}
