// SPDX-License-Identifier: MIT
/* Making, resetting and ending a NIC, and the loops of its workers. */
#include "models/nic/nic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "models/nic/caps.h"
#include "models/nic/cmdq.h"
#include "models/nic/doorbell.h"
#include "models/nic/internal.h"
#include "models/nic/life.h"
#include "models/nic/memic.h"
#include "models/nic/mmio.h"

#define QPS_A_SLICE 8

static const char *const counter_names[NIC_C_COUNT] = {
	[NIC_C_COMMANDS] = "commands",
	[NIC_C_COMMANDS_FAILED] = "commands_failed",
	[NIC_C_BAD_MMIO] = "bad_mmio",
	[NIC_C_DOORBELLS] = "doorbells",
	[NIC_C_BAD_DOORBELL] = "bad_doorbells",
	[NIC_C_CQES] = "cqes",
	[NIC_C_CQ_OVERRUN] = "cq_overruns",
	[NIC_C_EQES] = "eqes",
	[NIC_C_EQ_OVERRUN] = "eq_overruns",
	[NIC_C_RESETS] = "resets",
	[NIC_C_WQES] = "wqes",
	[NIC_C_BAD_WQE] = "bad_wqes",
	[NIC_C_RETRANSMIT] = "retransmits",
	[NIC_C_RNR_NAK] = "rnr_naks",
	[NIC_C_SEQ_NAK] = "sequence_naks",
	[NIC_C_TIMEOUT] = "timeouts",
	[NIC_C_PAGE_FAULT] = "page_faults",
	[NIC_C_FLUSHED] = "flushed",
	[NIC_C_UD_DROPPED] = "ud_dropped",
	[NIC_C_MADS] = "mads",
	[NIC_C_BAD_MAD] = "bad_mads",
	[NIC_C_SA_QUERIES] = "sa_queries",
};

static const char *const fault_names[NIC_F_COUNT] = {
	[NIC_F_CABLE_TX] = "cable.tx",
	[NIC_F_CABLE_ACK] = "cable.ack",
	[NIC_F_CMD] = "cmd",
};

/* ---- workers ---- */

static void run_qp(struct nic_dw *dw, uint32_t idx)
{
	struct nic *nic = dw->nic;
	struct nic_qp *qp = nic_find_qp(nic, nic->table[NIC_T_QP].base + idx);
	bool more;

	if (!qp)
		return;
	more = nic_req_run(qp);
	if (atomic_load(&qp->state) == NIC_QPS_ERR)
		more |= nic_rsp_flush(qp);
	if (more)
		nic_dbset_add(&dw->qps, idx);
}

static bool data_slice(void *arg)
{
	struct nic_dw *dw = arg;
	bool more = false;
	uint64_t due, now;
	uint32_t idx;
	unsigned n;

	nic_epoch_enter(&dw->epoch);
	if (dw->idx == 0)
		more = nic_doorbells_run(dw);
	for (n = 0; n < QPS_A_SLICE && nic_dbset_take(&dw->qps, &idx); n++)
		run_qp(dw, idx);
	more |= n > 0;
	more |= nic_cable_run(dw);
	due = nic_timers_run(dw);
	nic_epoch_leave(&dw->epoch);
	if (due && !more) {
		now = mdl_now_ns();
		mdl_worker_after(dw->worker, due > now ? due - now : 0);
	}
	return more;
}

static bool command_slice(void *arg)
{
	struct nic *nic = arg;

	if (nic_in_reset(nic)) {
		nic_tear_down(nic);
		return true;
	}
	nic_port_events_run(nic);
	return nic_cmdq_run(nic);
}

void nic_qp_kick(struct nic_qp *qp)
{
	nic_dbset_add(&qp->dw->qps, qp->obj.id - qp->nic->table[NIC_T_QP].base);
	mdl_worker_kick(qp->dw->worker);
}

struct nic_qp *nic_find_special(struct nic *nic, unsigned which)
{
	return which < 2 ? atomic_load(&nic->special[which]) : NULL;
}

/* ---- the device ---- */

static void on_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	struct nic *nic = nic_of(dev);

	mdl_count(dev, NIC_C_RESETS);
	nic->half_off = UINT64_MAX;
	nic_cmdq_reset(nic, kind != MDL_RESET_BUS && kind != MDL_RESET_DISCONNECT);
	atomic_fetch_add(&nic->resets, 1);
	mdl_worker_kick(nic->cmd_worker);
}

static void on_link_changed(struct mdl_device *dev, bool up)
{
	nic_port_update(nic_of(dev));
}

static void destroy_workers(struct nic *nic)
{
	unsigned i;

	mdl_worker_destroy(nic->cmd_worker);
	for (i = 0; i < nic->n_dw; i++)
		mdl_worker_destroy(nic->dw[i].worker);
}

static void fini_dw(struct nic_dw *dw)
{
	nic_timers_fini(dw);
	nic_dbset_fini(&dw->qps);
	nic_dbset_fini(&dw->cqs);
	nic_dbset_fini(&dw->moderated);
	nic_epoch_unregister(&dw->epoch);
}

static void fini_rest(struct nic *nic)
{
	unsigned i;

	for (i = 0; i < nic->n_dw; i++)
		fini_dw(&nic->dw[i]);
	nic_epoch_unregister(&nic->cmd_epoch);
	for (i = 0; i < NIC_T_COUNT; i++)
		nic_table_fini(&nic->table[i]);
	nic_cmdq_fini(nic);
	nic_life_fini(nic);
	mdl_mem_destroy(nic->memic_fd, nic->memic, NIC_MEMIC_SIZE);
	free((void *)nic->qp_uar);
	free((void *)nic->cq_arm);
	free(nic);
}

static void on_destroy(struct mdl_device *dev)
{
	struct nic *nic = nic_of(dev);

	nic_port_fini(nic);
	/* Workers of other NICs may be inside with what they found through the port. */
	nic_epoch_sync();
	destroy_workers(nic);
	nic_tear_down(nic);
	nic_cable_fini(nic);
	fini_rest(nic);
}

static const struct mdl_device_ops ops = {
	.bar_read = nic_bar_read,
	.bar_write = nic_bar_write,
	.reset = on_reset,
	.link_changed = on_link_changed,
	.snapshot = nic_snapshot,
	.destroy = on_destroy,
};

static const struct mdl_device_desc desc_proto = {
	.model = "nic",
	.ops = &ops,
	.id = { .vendor = 0x15b3,
		.device = 0x1019,
		.subsys_vendor = 0x15b3,
		.subsys = 0x0008,
		.class_code = 0x020700 },
	.bars[0] = { .size = NIC_BAR_SIZE, .is_64bit = true, .prefetch = true, .fd = -1 },
	.n_vectors = NIC_VECTORS,
	.msix_bar = 0,
	.msix_table_off = NIC_MSIX_TABLE,
	.msix_pba_off = NIC_MSIX_PBA,
	.counter_names = counter_names,
	.n_counters = NIC_C_COUNT,
	.fault_names = fault_names,
	.n_faults = NIC_F_COUNT,
};

/* ---- creation ---- */

static const struct {
	uint32_t base, cap;
} table_shape[NIC_T_COUNT] = {
	[NIC_T_PD] = { 1, 1u << 16 },
	[NIC_T_TD] = { 1, 1u << 10 },
	[NIC_T_UAR] = { NIC_FIRST_UAR, (NIC_MEMIC_OFF >> NIC_UAR_SHIFT) - NIC_FIRST_UAR },
	[NIC_T_XRCD] = { 1, 1u << 10 },
	[NIC_T_MKEY] = { 0x100, 1u << NIC_LOG_MKEY },
	[NIC_T_EQ] = { 1, (1u << NIC_LOG_EQ) - 1 },
	[NIC_T_CQ] = { 0x400, 1u << NIC_LOG_CQ },
	[NIC_T_SRQ] = { 0x100, 1u << NIC_LOG_SRQ },
	[NIC_T_QP] = { 0x40, 1u << NIC_LOG_QP },
	[NIC_T_PSV] = { 1, 1u << 12 },
	[NIC_T_MEMIC] = { 1, 1u << 12 },
	[NIC_T_UCTX] = { 1, 1u << 10 },
	[NIC_T_UMEM] = { 1, 1u << 16 },
	[NIC_T_COUNTER] = { 1, 127 },
	[NIC_T_TIR] = { 1, 1 },
	[NIC_T_TIS] = { 1, 1 },
	[NIC_T_GENERAL] = { 1, 1u << 12 },
};

static int init_tables(struct nic *nic)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < NIC_T_COUNT && !r; i++)
		r = nic_table_init(&nic->table[i], table_shape[i].base, table_shape[i].cap);
	if (r)
		return r;
	nic->qp_uar = calloc(1u << NIC_LOG_QP, sizeof(*nic->qp_uar));
	nic->cq_arm = calloc(1u << NIC_LOG_CQ, sizeof(*nic->cq_arm));
	return nic->qp_uar && nic->cq_arm ? 0 : -ENOMEM;
}

static int init_dw(struct nic *nic, unsigned i)
{
	struct nic_dw *dw = &nic->dw[i];
	int r;

	dw->nic = nic;
	dw->idx = i;
	nic_epoch_register(&dw->epoch);
	nic->n_dw = i + 1;
	r = nic_dbset_init(&dw->qps, 1u << NIC_LOG_QP);
	if (!r)
		r = nic_dbset_init(&dw->cqs, 1u << NIC_LOG_CQ);
	if (!r)
		r = nic_dbset_init(&dw->moderated, 1u << NIC_LOG_CQ);
	return r ? r : nic_timers_init(dw);
}

/* Half the processors, since the guests need the other half. */
static unsigned want_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	return n < 1 ? 1 : n > NIC_MAX_DW ? NIC_MAX_DW : (unsigned)n;
}

static int init_state(struct nic *nic)
{
	unsigned i, n = want_workers();
	int r;

	nic_epoch_register(&nic->cmd_epoch);
	nic->memic_fd = -1;
	r = mdl_mem_create("nic-memic", NIC_MEMIC_SIZE, &nic->memic_fd, &nic->memic);
	if (!r)
		r = init_tables(nic);
	if (!r)
		r = nic_cmdq_init(nic);
	if (!r)
		r = nic_life_init(nic);
	for (i = 0; i < n && !r; i++)
		r = init_dw(nic, i);
	return r;
}

static int start_workers(struct nic *nic)
{
	char name[24];
	unsigned i;
	int r;

	r = mdl_worker_create("nic-cmd", command_slice, nic, &nic->cmd_worker);
	for (i = 0; i < nic->n_dw && !r; i++) {
		snprintf(name, sizeof(name), "nic-data%u", i);
		r = mdl_worker_create(name, data_slice, &nic->dw[i], &nic->dw[i].worker);
	}
	return r;
}

/* The cable before who works on it; the port last, as it may tell the workers at once. */
static int start(struct nic *nic)
{
	int r = nic_cable_init(nic);

	if (!r)
		r = start_workers(nic);
	return r ? r : nic_port_init(nic);
}

int nic_create(struct mdl_node *node, const char *name, struct mdl_device **ret_dev)
{
	struct nic *nic = calloc(1, sizeof(*nic));
	struct mdl_device_desc desc = desc_proto;
	int r;

	if (!nic)
		return -ENOMEM;
	nic->boot_ns = mdl_now_ns();
	nic->half_off = UINT64_MAX;
	r = init_state(nic);
	desc.local_mem = nic->memic;
	desc.local_size = NIC_MEMIC_SIZE;
	if (!r)
		r = mdl_device_create(node, name, &desc, nic, &nic->dev);
	if (r) {
		fini_rest(nic);
		return r;
	}
	/* Nobody can reach the device before it listens, so the workers may come second. */
	r = start(nic);
	if (r) {
		mdl_device_destroy(nic->dev);
		return r;
	}
	*ret_dev = nic->dev;
	return 0;
}
