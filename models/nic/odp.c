// SPDX-License-Identifier: MIT
/*
 * Page faults, in the memory scheme: the event names a key and a range, and a token by which the
 * guest resumes (KH eqe_page_fault.memory, PAGE_FAULT_RESUME). Our token is the QP's number, which
 * side of it waits, and a sequence number so that a late answer resumes nothing else.
 */
#include "hw/mlx5_bits.h"
#include "models/nic/data.h"
#include "models/nic/dct.h"

#define SUBTYPE_MEMORY 2
#define FLAG_LAST      0x80 /* no further event of this fault: resume it */
#define PAGE	       4096ull
#define MAX_BYTES      (4ull << 20)
#define TOKEN_REQ      (1u << 24)

static uint32_t new_token(struct nic_qp *qp, bool requester)
{
	static _Atomic uint32_t seq;
	uint32_t s = atomic_fetch_add(&seq, 1) % 127 + 1;

	return s << 25 | (requester ? TOKEN_REQ : 0) | qp->obj.id;
}

uint32_t nic_odp_raise(struct nic_qp *qp, bool requester, const struct nic_fault *f)
{
	uint64_t va = f->va & ~(PAGE - 1), len = f->len < MAX_BYTES ? f->len : MAX_BYTES;
	uint32_t pages = (uint32_t)((f->va - va + len + PAGE - 1) / PAGE), token;
	uint8_t ev[28] = { FLAG_LAST };

	if (!atomic_load(&qp->nic->event_eq[NIC_EV_PAGE_FAULT]))
		return 0;
	token = new_token(qp, requester);
	mlx5_set32(ev, 8, token);
	mlx5_set32(ev, 12, pages << 12);
	mlx5_set32(ev, 16, f->key);
	mlx5_set64(ev, 20, va);
	mdl_count(qp->nic->dev, NIC_C_PAGE_FAULT);
	if (requester)
		qp->req.fault_token = token;
	else
		qp->rsp.fault_token = token;
	nic_event(qp->nic, NIC_EV_PAGE_FAULT, SUBTYPE_MEMORY, ev);
	return token;
}

static void resume_req(struct nic_qp *qp, uint32_t token, bool error)
{
	pthread_mutex_lock(&qp->req.lock);
	if (qp->req.fault_token && (!token || qp->req.fault_token == token)) {
		qp->req.fault_token = 0;
		qp->req.fault_failed = error ? (uint8_t)(qp->req.fault_failed + 1) : 0;
		if (error)
			qp->req.hold_ns = mdl_now_ns() + NIC_FAULT_WAIT_NS;
	}
	pthread_mutex_unlock(&qp->req.lock);
	nic_qp_kick(qp);
}

static void resume_rsp(struct nic_qp *qp, uint32_t token, bool error)
{
	if (qp->type == NIC_QP_DCT) {
		nic_dct_resume(qp, token, error);
		return;
	}
	pthread_mutex_lock(&qp->rsp.lock);
	if (qp->rsp.fault_token && (!token || qp->rsp.fault_token == token)) {
		qp->rsp.fault_token = 0;
		qp->rsp.fault_failed = error ? (uint8_t)(qp->rsp.fault_failed + 1) : 0;
	}
	pthread_mutex_unlock(&qp->rsp.lock);
}

void nic_fault_resume(struct nic_qp *qp, bool requester, bool error)
{
	if (requester)
		resume_req(qp, 0, error);
	else
		resume_rsp(qp, 0, error);
}

void nic_fault_resume_mkey(struct nic *nic, uint32_t token, bool error)
{
	struct nic_qp *qp = nic_find_qp(nic, token & 0xffffff);

	if (!qp)
		return;
	if (token & TOKEN_REQ)
		resume_req(qp, token, error);
	else
		resume_rsp(qp, token, error);
}
