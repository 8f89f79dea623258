// SPDX-License-Identifier: MIT
/* Completion queues on the working side: entries, arming, events, moderation. */
#include "models/nic/cq.h"

#include <endian.h>
#include <errno.h>

#include "hw/mlx5_bits.h"
#include "models/nic/doorbell.h"
#include "models/nic/internal.h"
#include "models/nic/mmio.h"
#include "models/nic/sig.h"

#define CI_MASK	       0xffffffu
#define CQ_SYN_OVERRUN 1
#define CQ_SYN_ACCESS  2
#define INLINE_32      0x04 /* op_own: data scattered into the first 32 bytes of the entry */
#define INLINE_64      0x08

/* Bytes of a 64-byte entry */
enum {
	CQE_ML_PATH = 17,
	CQE_RQPN = 24, /* GRH, SL and source QP of UD */
	CQE_SLID = 22,
	CQE_USER = 32,
	CQE_IMM = 36,
	CQE_APP = 40,
	CQE_COUNT = 44,
	CQE_STAMP = 48,
	CQE_VENDOR = 54,
	CQE_SYNDROME = 55,
	CQE_QPN = 56,
	CQE_WQE = 60,
	CQE_OWN = 63,
	/* of a signature error: halves lie apart */
	CQE_SIG_UPPER = 16,
	CQE_SIG_LOWER = 24,
	CQE_SIG_SYNDROME = 32,
	CQE_SIG_DOMAIN = 35,
	CQE_SIG_KEY = 36,
	CQE_SIG_OFFSET = 40,
};

static bool is_error(const struct nic_cqe *e)
{
	return e->opcode == NIC_CQE_REQ_ERR || e->opcode == NIC_CQE_RESP_ERR;
}

static void fill_ud(uint8_t *p, const struct nic_cqe *e)
{
	mlx5_set32(p, CQE_RQPN, (uint32_t)(e->sl & 15) << 24 | (e->src_qp & 0xffffff));
	p[CQE_RQPN] |= e->grh ? 0x10 : 0; /* two bits of GRH presence above the SL */
	p[CQE_SLID] = (uint8_t)(e->slid >> 8);
	p[CQE_SLID + 1] = (uint8_t)e->slid;
	p[CQE_ML_PATH] = e->mlpath;
}

static void fill_sig(uint8_t *p, const struct nic_sig_err *e)
{
	memset(p, 0, 64);
	mlx5_set32(p, CQE_SIG_UPPER, (uint32_t)(e->expected >> 32));
	mlx5_set32(p, CQE_SIG_UPPER + 4, (uint32_t)(e->actual >> 32));
	mlx5_set32(p, CQE_SIG_LOWER, (uint32_t)e->expected);
	mlx5_set32(p, CQE_SIG_LOWER + 4, (uint32_t)e->actual);
	p[CQE_SIG_SYNDROME] = (uint8_t)(e->syndrome >> 8);
	p[CQE_SIG_DOMAIN] = e->domain;
	mlx5_set32(p, CQE_SIG_KEY, e->key);
	mlx5_set64(p, CQE_SIG_OFFSET, e->offset);
	p[CQE_OWN] = NIC_CQE_SIG_ERR << 4;
}

static void fill_app(uint8_t *p, const struct nic_cqe *e)
{
	memcpy(p, e->head, sizeof(e->head));
	mlx5_set32(p, CQE_APP, (uint32_t)e->app << 24 | (uint32_t)e->app_op << 16 | e->app_info);
}

/* The 64 bytes but the owner bit. */
static void fill(const struct nic *nic, uint8_t *p, const struct nic_cqe *e)
{
	memset(p, 0, 64);
	fill_ud(p, e);
	mlx5_set32(p, CQE_USER, e->user_index & 0xffffff);
	mlx5_set32(p, CQE_IMM, e->imm_inval);
	if (e->app)
		fill_app(p, e);
	if (is_error(e)) {
		/* The syndrome lies where the time stamp would. */
		p[CQE_VENDOR] = e->vendor;
		p[CQE_SYNDROME] = e->syndrome;
	} else {
		mlx5_set32(p, CQE_COUNT, e->byte_cnt);
		mlx5_set64(p, CQE_STAMP, nic_clock(nic));
	}
	mlx5_set32(p, CQE_QPN, (uint32_t)e->wqe_opcode << 24 | (e->qpn & 0xffffff));
	p[CQE_WQE] = (uint8_t)(e->wqe_counter >> 8);
	p[CQE_WQE + 1] = (uint8_t)e->wqe_counter;
	p[CQE_OWN] = (uint8_t)(e->opcode << 4 | (e->solicited ? 2 : 0));
}

/* ---- notification ---- */

static void fire_locked(struct nic_cq *cq)
{
	uint8_t data[28] = { 0 };

	cq->armed = false;
	cq->since_event = 0;
	cq->event_due_ns = 0;
	mlx5_set32(data, 24, cq->obj.id);
	if (cq->eq)
		nic_eq_post(cq->eq, NIC_EV_COMP, 0, data);
}

/* Moderation: not before max_count completions or period_us after the first of them. */
static void maybe_fire_locked(struct nic_cq *cq)
{
	struct nic_dw *dw = &cq->nic->dw[0];

	if (cq->max_count <= 1 || !cq->period_us || cq->since_event >= cq->max_count) {
		fire_locked(cq);
		return;
	}
	if (cq->event_due_ns)
		return;
	cq->event_due_ns = mdl_now_ns() + cq->period_us * 1000ull;
	nic_dbset_add(&dw->moderated, cq->obj.id - cq->nic->table[NIC_T_CQ].base);
	mdl_worker_kick(dw->worker);
}

static bool wanted_locked(const struct nic_cq *cq)
{
	uint32_t last = cq->armed_solicited ? cq->solicit_pi : cq->pi;

	return cq->armed && last != cq->arm_ci && ((last - cq->arm_ci) & CI_MASK) < CI_MASK / 2;
}

static void arm_locked(struct nic_cq *cq, uint32_t word)
{
	cq->arm_sn = word >> 28 & 3;
	cq->arm_ci = word & CI_MASK;
	cq->armed = true;
	cq->armed_solicited = word >> 24 & 1;
	if (wanted_locked(cq))
		fire_locked(cq);
}

/* ---- entries ---- */

static void refresh_ci_locked(struct nic_cq *cq)
{
	uint64_t val;

	if (!mdl_dma_load(&cq->dma, MDL_SPACE_BUS, cq->db_addr, 4, &val))
		cq->ci = be32toh((uint32_t)val) & CI_MASK;
}

static uint32_t room_locked(struct nic_cq *cq, uint32_t want)
{
	uint32_t n = 1u << cq->log_size, used = (cq->pi - cq->ci) & CI_MASK;

	if (used + want > n) {
		refresh_ci_locked(cq);
		used = (cq->pi - cq->ci) & CI_MASK;
	}
	return used > n ? 0 : n - used;
}

static int fail_locked(struct nic_cq *cq, uint8_t state, int err)
{
	cq->state = state;
	mdl_count(cq->nic->dev, NIC_C_CQ_OVERRUN);
	if (err != -ECANCELED)
		nic_event_cq_error(cq->nic, cq->obj.id,
				   state == NIC_CQ_OVERRUN ? CQ_SYN_OVERRUN : CQ_SYN_ACCESS);
	return err;
}

/* Inline data goes to the entry's head: 32 bytes of the 64, or all 64 below a 128-byte entry. */
static void scatter(struct nic_cq *cq, const struct nic_cqe *e, uint8_t *whole, uint8_t *p)
{
	if (!e->inline_len)
		return;
	if (cq->log_cqe == 7) {
		memcpy(whole, e->inline_data, e->inline_len > 64 ? 64 : e->inline_len);
		p[CQE_OWN] |= INLINE_64;
	} else {
		memcpy(p, e->inline_data, e->inline_len > 32 ? 32 : e->inline_len);
		p[CQE_OWN] |= INLINE_32;
	}
}

static int write_locked(struct nic_cq *cq, uint8_t *whole, uint8_t *p)
{
	uint32_t size = 1u << cq->log_cqe, last;
	uint64_t off = (uint64_t)(cq->pi & ((1u << cq->log_size) - 1)) << cq->log_cqe;
	int r;

	p[CQE_OWN] |= (cq->pi >> cq->log_size) & 1;
	memcpy(&last, p + CQE_WQE, 4);
	r = nic_buf_write(&cq->buf, &cq->dma, off, whole, size - 4);
	if (!r)
		r = mdl_dma_store(&cq->dma, MDL_SPACE_BUS, nic_buf_addr(&cq->buf, off + size - 4),
				  4, last);
	if (r)
		return r;
	cq->pi = (cq->pi + 1) & CI_MASK;
	mdl_count(cq->nic->dev, NIC_C_CQES);
	return 0;
}

static int post_locked(struct nic_cq *cq, const struct nic_cqe *e)
{
	uint8_t whole[128], *p = whole + (1u << cq->log_cqe) - 64;
	int r;

	if (cq->state != NIC_CQ_OK)
		return -ENOSPC;
	if (!cq->ignore_overrun && !room_locked(cq, 1))
		return fail_locked(cq, NIC_CQ_OVERRUN, -ENOSPC);
	memset(whole, 0, sizeof(whole));
	if (e->sig)
		fill_sig(p, e->sig);
	else
		fill(cq->nic, p, e);
	scatter(cq, e, whole, p);
	r = write_locked(cq, whole, p);
	if (r)
		return fail_locked(cq, NIC_CQ_WRITE_FAIL, r);
	if (e->solicited || is_error(e))
		cq->solicit_pi = cq->pi;
	cq->since_event++;
	if (wanted_locked(cq))
		maybe_fire_locked(cq);
	return 0;
}

int nic_cq_post(struct nic_cq *cq, const struct nic_cqe *e)
{
	int r;

	pthread_mutex_lock(&cq->lock);
	r = post_locked(cq, e);
	pthread_mutex_unlock(&cq->lock);
	return r;
}

bool nic_cq_has_room(struct nic_cq *cq, uint32_t n)
{
	bool ok;

	pthread_mutex_lock(&cq->lock);
	ok = cq->ignore_overrun || cq->state != NIC_CQ_OK || room_locked(cq, n) >= n;
	pthread_mutex_unlock(&cq->lock);
	return ok;
}

int nic_cq_mark_resize(struct nic_cq *cq)
{
	struct nic_cqe e = { .opcode = NIC_CQE_RESIZE };
	uint8_t whole[128], *p = whole + (1u << cq->log_cqe) - 64;

	memset(whole, 0, sizeof(whole));
	fill(cq->nic, p, &e);
	return write_locked(cq, whole, p);
}

uint32_t nic_cq_used(struct nic_cq *cq)
{
	refresh_ci_locked(cq);
	return (cq->pi - cq->ci) & CI_MASK;
}

/* ---- doorbells ---- */

static void cq_doorbell(struct nic *nic, uint32_t idx)
{
	uint64_t db = atomic_exchange(&nic->cq_arm[idx], 0);
	struct nic_cq *cq = nic_find_cq(nic, nic->table[NIC_T_CQ].base + idx);

	if (!cq || !(db & NIC_DB_SET))
		return;
	if (cq->uar != (db >> 32 & 0xffffff)) {
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
		return;
	}
	pthread_mutex_lock(&cq->lock);
	arm_locked(cq, (uint32_t)db);
	pthread_mutex_unlock(&cq->lock);
}

/* Fire what is due; return the deadline of this one, 0 when it waits no more. */
static uint64_t moderated(struct nic *nic, uint32_t idx, uint64_t now)
{
	struct nic_cq *cq = nic_find_cq(nic, nic->table[NIC_T_CQ].base + idx);
	uint64_t due;

	if (!cq)
		return 0;
	pthread_mutex_lock(&cq->lock);
	if (cq->event_due_ns && cq->event_due_ns <= now && cq->armed)
		fire_locked(cq);
	due = cq->event_due_ns;
	pthread_mutex_unlock(&cq->lock);
	return due;
}

#define MODERATED_A_SLICE 64

static void run_moderated(struct nic_dw *dw)
{
	uint32_t again[MODERATED_A_SLICE], idx, n = 0, i;
	uint64_t now = mdl_now_ns(), due;

	dw->moderated_due = 0;
	while (n < MODERATED_A_SLICE && nic_dbset_take(&dw->moderated, &idx)) {
		due = moderated(dw->nic, idx, now);
		if (!due)
			continue;
		again[n++] = idx;
		if (!dw->moderated_due || due < dw->moderated_due)
			dw->moderated_due = due;
	}
	for (i = 0; i < n; i++)
		nic_dbset_add(&dw->moderated, again[i]);
	if (dw->moderated_due)
		mdl_worker_after(dw->worker, dw->moderated_due > now ? dw->moderated_due - now : 0);
}

#define CQS_A_SLICE 64

bool nic_doorbells_run(struct nic_dw *dw)
{
	uint32_t idx;
	unsigned n;

	nic_eq_doorbells(dw->nic);
	for (n = 0; n < CQS_A_SLICE && nic_dbset_take(&dw->cqs, &idx); n++)
		cq_doorbell(dw->nic, idx);
	run_moderated(dw);
	return n > 0;
}
