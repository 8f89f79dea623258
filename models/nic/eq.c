// SPDX-License-Identifier: MIT
/* Event queues on the working side: entries, arming, interrupts. */
#include "models/nic/eq.h"

#include "hw/mlx5_bits.h"
#include "models/nic/doorbell.h"
#include "models/nic/internal.h"
#include "models/nic/mmio.h"

#define EQE_SIZE 64u
#define EQE_DATA 0x20
#define EQE_LAST 0x3c
#define CI_MASK	 0xffffffu

static bool is_full(const struct nic_eq *eq)
{
	return ((eq->pi - eq->ci) & CI_MASK) >= 1u << eq->log_size;
}

static void fire_locked(struct nic_eq *eq)
{
	eq->armed = false;
	mdl_irq_raise_for(&eq->dma, eq->vector);
}

static void write_entry(struct nic_eq *eq, uint8_t *e)
{
	uint64_t off = (eq->pi & ((1u << eq->log_size) - 1)) * EQE_SIZE;
	uint32_t last;

	e[0x3f] = (eq->pi >> eq->log_size) & 1;
	memcpy(&last, e + EQE_LAST, 4);
	if (nic_buf_write(&eq->buf, &eq->dma, off, e, EQE_LAST))
		return;
	/* The owner bit last: whoever sees it sees the rest. */
	if (mdl_dma_store(&eq->dma, MDL_SPACE_BUS, nic_buf_addr(&eq->buf, off + EQE_LAST), 4, last))
		return;
	eq->pi = (eq->pi + 1) & CI_MASK;
	mdl_count(eq->nic->dev, NIC_C_EQES);
	if (eq->armed)
		fire_locked(eq);
}

void nic_eq_post(struct nic_eq *eq, uint8_t type, uint8_t subtype, const void *data)
{
	uint8_t e[EQE_SIZE] = { [1] = type, [3] = subtype };

	memcpy(e + EQE_DATA, data, 28);
	pthread_mutex_lock(&eq->lock);
	if (is_full(eq)) {
		eq->overrun = true;
		mdl_count(eq->nic->dev, NIC_C_EQ_OVERRUN);
	} else {
		write_entry(eq, e);
	}
	pthread_mutex_unlock(&eq->lock);
}

void nic_event(struct nic *nic, uint8_t type, uint8_t subtype, const void *data)
{
	struct nic_eq *eq = atomic_load(&nic->event_eq[type]);

	if (eq)
		nic_eq_post(eq, type, subtype, data);
}

#define QP_SRQ_TYPE 0x14 /* of the object: 0 queue pair */
#define QP_SRQ_NUM  0x18

void nic_event_qp(struct nic *nic, uint8_t type, uint32_t qpn)
{
	uint8_t data[28] = { 0 };

	mlx5_set32(data, QP_SRQ_NUM, qpn);
	nic_event(nic, type, 0, data);
}

void nic_event_srq(struct nic *nic, uint8_t type, uint32_t srqn)
{
	nic_event_qp(nic, type, srqn);
}

void nic_event_cq_error(struct nic *nic, uint32_t cqn, uint8_t syndrome)
{
	uint8_t data[28] = { [11] = syndrome };

	mlx5_set32(data, 0, cqn);
	nic_event(nic, NIC_EV_CQ_ERROR, 0, data);
}

void nic_event_port(struct nic *nic, enum nic_port_event ev)
{
	atomic_fetch_or(&nic->port_events, 1u << ev);
	mdl_worker_kick(nic->cmd_worker);
}

void nic_port_events_run(struct nic *nic)
{
	uint32_t bits = atomic_exchange(&nic->port_events, 0);
	uint8_t data[28] = { [8] = 1 << 4 }; /* port 1 */
	bool down_last =
		bits & 1u << NIC_PORT_DOWN && atomic_load(&nic->port.state) != NIC_PS_ACTIVE;

	/* Up and down again, or the other way round: the last event tells the state. */
	if (down_last)
		bits &= ~(1u << NIC_PORT_DOWN);
	for (; bits; bits &= bits - 1)
		nic_event(nic, NIC_EV_PORT_CHANGE, (uint8_t)__builtin_ctz(bits), data);
	if (down_last)
		nic_event(nic, NIC_EV_PORT_CHANGE, NIC_PORT_DOWN, data);
}

/* ---- doorbells ---- */

static void doorbell(struct nic_eq *eq, uint64_t db)
{
	pthread_mutex_lock(&eq->lock);
	eq->ci = (uint32_t)db & CI_MASK;
	eq->overrun = false;
	if (db & NIC_DB_ARM) {
		eq->armed = true;
		if (eq->pi != eq->ci)
			fire_locked(eq);
	}
	pthread_mutex_unlock(&eq->lock);
}

static void run_word(struct nic *nic, unsigned w)
{
	uint64_t bits = atomic_exchange(&nic->eq_pending[w], 0), db;
	struct nic_eq *eq;
	uint32_t eqn;

	for (; bits; bits &= bits - 1) {
		eqn = w * 64 + (uint32_t)__builtin_ctzll(bits);
		db = atomic_exchange(&nic->eq_db[eqn], 0);
		eq = (struct nic_eq *)nic_table_find(&nic->table[NIC_T_EQ], eqn);
		if (eq && db & NIC_DB_SET)
			doorbell(eq, db);
	}
}

void nic_eq_doorbells(struct nic *nic)
{
	unsigned w;

	for (w = 0; w < (1u << NIC_LOG_EQ) / 64; w++)
		if (atomic_load_explicit(&nic->eq_pending[w], memory_order_relaxed))
			run_word(nic, w);
}
