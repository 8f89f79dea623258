// SPDX-License-Identifier: MIT
/*
 * BAR0: the initialization segment and the user access regions. Runs on the socket thread (or a
 * peer's worker), under the MMIO lock, and looks at no object: a doorbell becomes a number in a
 * set and a kick.
 */
#include "models/nic/mmio.h"

#include <string.h>

#include "hw/mlx5_bits.h"
#include "models/nic/cmdq.h"
#include "models/nic/internal.h"
#include "models/nic/memic.h"

#define SEG_FW_REV	0x0000
#define SEG_CMDIF	0x0004
#define SEG_CMDQ_HIGH	0x0010
#define SEG_CMDQ_LOW	0x0014
#define SEG_CMD_DB	0x0018
#define SEG_INIT	0x01fc
#define SEG_HEALTH_FW	0x0230
#define SEG_TIMER_HIGH	0x1000
#define SEG_TIMER_LOW	0x1004
#define SEG_HEALTH_TICK 0x1010

#define FW_MAJOR  16
#define FW_MINOR  35
#define FW_SUB	  4030
#define CMDIF_REV 5
/* log2 of 32 slots, log2 of 64 bytes a slot */
#define CMDQ_SIZES    0x56
#define CMDQ_DISABLED (1u << 8)

#define UAR_CQ_ARM     0x20
#define UAR_EQ_ARM     0x40
#define UAR_EQ_UPDATE  0x48
#define UAR_SEND_FIRST 0x800

static uint32_t seg_read(struct nic *nic, uint32_t off)
{
	uint64_t now;

	switch (off) {
	case SEG_FW_REV:
		return FW_MINOR << 16 | FW_MAJOR;
	case SEG_CMDIF:
		return CMDIF_REV << 16 | FW_SUB;
	case SEG_CMDQ_HIGH:
		return (uint32_t)(nic_cmdq_addr(nic) >> 32);
	case SEG_CMDQ_LOW:
		return (uint32_t)nic_cmdq_addr(nic) | CMDQ_SIZES |
		       (nic_cmdq_disabled(nic) ? CMDQ_DISABLED : 0);
	case SEG_INIT:
		return nic_in_reset(nic) ? 1u << 31 : 0;
	case SEG_HEALTH_FW:
		return (uint32_t)FW_MAJOR << 24 | FW_MINOR << 16 | FW_SUB;
	case SEG_TIMER_HIGH:
		/* The low half read next belongs to this high half unless it wrapped: drivers
		 * read high, low, high. */
		return (uint32_t)(nic_clock(nic) >> 32);
	case SEG_TIMER_LOW:
		return (uint32_t)nic_clock(nic);
	case SEG_HEALTH_TICK:
		now = nic_clock(nic) / 10000000;
		return (uint32_t)now & 0xffffff;
	default:
		return 0;
	}
}

void nic_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	struct nic *nic = nic_of(dev);
	uint8_t word[16] = { 0 };
	uint32_t i, base = (uint32_t)off & ~3u;

	memset(buf, 0, len);
	if (off > NIC_BAR_SIZE || len > NIC_BAR_SIZE - off || len > 8) {
		mdl_count(dev, NIC_C_BAD_MMIO);
		return;
	}
	if (nic_is_memic(off) && len <= NIC_MEMIC_OFF + NIC_MEMIC_SIZE - off)
		memcpy(buf, (uint8_t *)nic->memic + (off - NIC_MEMIC_OFF), len);
	if (nic_is_memic_op(off))
		nic_memic_op_read(nic, off, buf, len);
	if (base >= NIC_FIRST_UAR << NIC_UAR_SHIFT)
		return;
	for (i = 0; i < (off + len - base + 3) / 4; i++)
		mlx5_set32(word, i * 4, seg_read(nic, base + i * 4));
	memcpy(buf, word + (off - base), len);
}

static void send_doorbell(struct nic *nic, uint32_t uar, const uint8_t *p)
{
	uint32_t qpn = mlx5_get32(p, 4) >> 8;
	uint32_t idx = qpn - nic->table[NIC_T_QP].base;
	struct nic_dw *dw;

	if (idx >= nic->table[NIC_T_QP].cap || atomic_load(&nic->qp_uar[idx]) != uar + 1) {
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
		return;
	}
	dw = &nic->dw[idx % nic->n_dw];
	nic_dbset_add(&dw->qps, idx);
	mdl_worker_kick(dw->worker);
}

static void cq_doorbell(struct nic *nic, uint32_t uar, const uint8_t *p)
{
	uint32_t cqn = mlx5_get32(p, 4) & 0xffffff;
	uint32_t idx = cqn - nic->table[NIC_T_CQ].base;

	if (idx >= nic->table[NIC_T_CQ].cap) {
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
		return;
	}
	atomic_store(&nic->cq_arm[idx], NIC_DB_SET | (uint64_t)uar << 32 | mlx5_get32(p, 0));
	nic_dbset_add(&nic->dw[0].cqs, idx);
	mdl_worker_kick(nic->dw[0].worker);
}

static void eq_doorbell(struct nic *nic, uint32_t uar, uint32_t val, bool arm)
{
	uint32_t eqn = val >> 24;
	uint64_t db = NIC_DB_SET | (uint64_t)uar << 32 | (val & 0xffffff);

	if (eqn >= 1u << NIC_LOG_EQ) {
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
		return;
	}
	/* An update that overtakes an arm in this one word must not undo it. */
	if (arm || (atomic_load(&nic->eq_db[eqn]) & NIC_DB_ARM))
		db |= NIC_DB_ARM;
	atomic_store(&nic->eq_db[eqn], db);
	atomic_fetch_or(&nic->eq_pending[eqn / 64], 1ull << (eqn % 64));
	mdl_worker_kick(nic->dw[0].worker);
}

static void uar_write(struct nic *nic, uint64_t off, const uint8_t *p, size_t len)
{
	uint32_t uar = (uint32_t)(off >> NIC_UAR_SHIFT);
	uint32_t in = (uint32_t)off & ((1u << NIC_UAR_SHIFT) - 1);

	mdl_count(nic->dev, NIC_C_DOORBELLS);
	if (len == 8 && in >= UAR_SEND_FIRST)
		send_doorbell(nic, uar, p);
	else if (len == 8 && in == UAR_CQ_ARM)
		cq_doorbell(nic, uar, p);
	else if (len == 4 && in == UAR_EQ_ARM)
		eq_doorbell(nic, uar, mlx5_get32(p, 0), true);
	else if (len == 4 && in == UAR_EQ_UPDATE)
		eq_doorbell(nic, uar, mlx5_get32(p, 0), false);
	else
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
}

/*
 * A doorbell of eight bytes may come as two writes of four (32-bit CPUs, and QEMU when it splits):
 * the first half is kept for the second. One such pair at a time is enough, as software holds a
 * lock between the two.
 */
static void uar_half(struct nic *nic, uint64_t off, const uint8_t *p)
{
	if (!(off & 4)) {
		nic->half_off = off;
		memcpy(nic->half, p, 4);
		return;
	}
	if (nic->half_off != off - 4) {
		mdl_count(nic->dev, NIC_C_BAD_DOORBELL);
		return;
	}
	memcpy(nic->half + 4, p, 4);
	nic->half_off = UINT64_MAX;
	uar_write(nic, off - 4, nic->half, 8);
}

static bool wants_eight(uint64_t off)
{
	uint32_t in = (uint32_t)off & ((1u << NIC_UAR_SHIFT) - 1) & ~7u;

	return in == UAR_CQ_ARM || in >= UAR_SEND_FIRST;
}

void nic_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf, size_t len)
{
	struct nic *nic = nic_of(dev);

	if (nic_is_memic(off)) {
		if (len <= NIC_MEMIC_OFF + NIC_MEMIC_SIZE - off)
			memcpy((uint8_t *)nic->memic + (off - NIC_MEMIC_OFF), buf, len);
		return;
	}
	if (nic_is_memic_op(off)) {
		nic_memic_op_write(nic, off, buf, len);
		return;
	}
	if (off > NIC_BAR_SIZE || len > NIC_BAR_SIZE - off || (len != 4 && len != 8) || off % len) {
		mdl_count(dev, NIC_C_BAD_MMIO);
		return;
	}
	if (off >= (uint64_t)NIC_FIRST_UAR << NIC_UAR_SHIFT) {
		if (len == 4 && wants_eight(off))
			uar_half(nic, off, buf);
		else
			uar_write(nic, off, buf, len);
		return;
	}
	if (len == 8 && off == SEG_CMDQ_HIGH) {
		nic_cmdq_set_high(nic, mlx5_get32(buf, 0));
		nic_cmdq_set_low(nic, mlx5_get32(buf, 4));
	} else if (len == 4 && off == SEG_CMDQ_HIGH) {
		nic_cmdq_set_high(nic, mlx5_get32(buf, 0));
	} else if (len == 4 && off == SEG_CMDQ_LOW) {
		nic_cmdq_set_low(nic, mlx5_get32(buf, 0));
	} else if (len == 4 && off == SEG_CMD_DB) {
		nic_cmdq_doorbell(nic, mlx5_get32(buf, 0));
	} else {
		mdl_count(dev, NIC_C_BAD_MMIO);
	}
}
