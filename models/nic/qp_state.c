// SPDX-License-Identifier: MIT
/* Transitions of a queue pair: from where to where, and which attributes come with them. */
#include "models/nic/qp_state.h"

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/syndrome.h"

#define OPT_MASK_OFF 0x10
#define QPC_OFF	     0x18

/* Groups of attributes. Below bit 26: as in the command's mask of optional parameters. */
enum {
	A_ALT = 1u << 0,
	A_RRE = 1u << 1,
	A_RAE = 1u << 2,
	A_RWE = 1u << 3,
	A_PKEY = 1u << 4,
	A_QKEY = 1u << 5,
	A_MIN_RNR = 1u << 6,
	A_PATH = 1u << 7,
	A_SRA = 1u << 8,
	A_RRA = 1u << 9,
	A_PM = 1u << 10,
	A_DRAIN = 1u << 11,
	A_RETRY = 1u << 12,
	A_RNR_RETRY = 1u << 13,
	A_TIMEOUT = 1u << 14,
	A_PORT = 1u << 16,
	A_MTU = 1u << 28,
	A_DQPN = 1u << 29,
	A_RPSN = 1u << 30,
	A_SPSN = 1u << 31,
	A_GIVEN = (1u << 26) - 1,
	A_ACCESS = A_RRE | A_RAE | A_RWE,
};

#define FROM(s)	 (1u << (s))
#define FROM_ANY 0xff

struct transition {
	uint16_t opcode;
	uint8_t from; /* bits of enum nic_qp_state */
	uint8_t to;
	uint32_t always;    /* read for every type */
	uint32_t connected; /* read for RC, UC and XRC */
};

static const struct transition table[] = {
	{ 0x502, FROM(NIC_QPS_RESET), NIC_QPS_INIT, A_ACCESS | A_PKEY | A_QKEY | A_PORT | A_PM, 0 },
	{ 0x50e, FROM(NIC_QPS_INIT), NIC_QPS_INIT, 0, 0 },
	{ 0x503, FROM(NIC_QPS_INIT), NIC_QPS_RTR, A_MTU,
	  A_PATH | A_DQPN | A_RPSN | A_RRA | A_MIN_RNR },
	{ 0x504, FROM(NIC_QPS_RTR), NIC_QPS_RTS, A_SPSN,
	  A_RETRY | A_RNR_RETRY | A_SRA | A_TIMEOUT },
	{ 0x505, FROM(NIC_QPS_RTS), NIC_QPS_RTS, 0, 0 },
	{ 0x506, FROM(NIC_QPS_SQER), NIC_QPS_RTS, 0, 0 },
	{ 0x50c, FROM(NIC_QPS_SQD), NIC_QPS_RTS, 0, 0 },
	{ 0x507, FROM_ANY, NIC_QPS_ERR, 0, 0 },
	{ 0x50a, FROM_ANY, NIC_QPS_RESET, 0, 0 },
};

static const struct transition *find(uint16_t opcode)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].opcode == opcode)
			return &table[i];
	return NULL;
}

static bool is_connected(const struct nic_qp *qp)
{
	return qp->type == NIC_QP_RC || qp->type == NIC_QP_UC || qp->type == NIC_QP_XRC ||
	       qp->type == NIC_QP_DCI;
}

/* ---- reading ---- */

static void read_path(const uint8_t *x, struct nic_path *p)
{
	p->rlid = (uint16_t)mlx5_get(x, MLX5_ADS_RLID);
	p->mlid = (uint8_t)mlx5_get(x, MLX5_ADS_MLID);
	p->grh = mlx5_get(x, MLX5_ADS_GRH);
	p->sl = (uint8_t)mlx5_get(x, MLX5_ADS_SL);
	p->sgid_index = (uint8_t)mlx5_get(x, MLX5_ADS_SRC_ADDR_INDEX);
	p->stat_rate = (uint8_t)mlx5_get(x, MLX5_ADS_STAT_RATE);
	p->hop_limit = (uint8_t)mlx5_get(x, MLX5_ADS_HOP_LIMIT);
	p->tclass = (uint8_t)mlx5_get(x, MLX5_ADS_TCLASS);
	p->flow_label = (uint32_t)mlx5_get(x, MLX5_ADS_FLOW_LABEL);
	p->free_ar = mlx5_get(x, MLX5_ADS_FREE_AR);
	memcpy(p->rgid, x + MLX5_ADS_RGID_RIP_OFF, 16);
}

static void read_whole_path(const uint8_t *x, struct nic_path *p)
{
	read_path(x, p);
	p->pkey_index = (uint16_t)mlx5_get(x, MLX5_ADS_PKEY_INDEX);
	p->ack_timeout = (uint8_t)mlx5_get(x, MLX5_ADS_ACK_TIMEOUT);
	p->port = (uint8_t)mlx5_get(x, MLX5_ADS_VHCA_PORT_NUM);
}

static void read_remote(struct nic_qp_attr *a, const uint8_t *x, uint32_t what)
{
	if (what & A_MTU) {
		a->mtu = 128u << mlx5_get(x, MLX5_QPC_MTU);
		a->log_msg_max = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_MSG_MAX);
	}
	if (what & A_DQPN)
		a->dqpn = (uint32_t)mlx5_get(x, MLX5_QPC_REMOTE_QPN);
	if (what & A_RPSN)
		a->rq_psn = (uint32_t)mlx5_get(x, MLX5_QPC_NEXT_RCV_PSN);
	if (what & A_SPSN)
		a->sq_psn = (uint32_t)mlx5_get(x, MLX5_QPC_NEXT_SEND_PSN);
	if (what & A_QKEY)
		a->qkey = (uint32_t)mlx5_get(x, MLX5_QPC_Q_KEY);
	if (what & A_PM)
		a->pm_state = (uint8_t)mlx5_get(x, MLX5_QPC_PM_STATE);
}

static void read_limits(struct nic_qp_attr *a, const uint8_t *x, uint32_t what)
{
	if (what & A_RRE)
		a->rre = mlx5_get(x, MLX5_QPC_RRE);
	if (what & A_RWE)
		a->rwe = mlx5_get(x, MLX5_QPC_RWE);
	if (what & A_RAE) {
		a->rae = mlx5_get(x, MLX5_QPC_RAE);
		a->atomic_mode = (uint8_t)mlx5_get(x, MLX5_QPC_ATOMIC_MODE);
	}
	if (what & A_SRA)
		a->log_sra_max = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_SRA_MAX);
	if (what & A_RRA)
		a->log_rra_max = (uint8_t)mlx5_get(x, MLX5_QPC_LOG_RRA_MAX);
	if (what & A_MIN_RNR)
		a->min_rnr_nak = (uint8_t)mlx5_get(x, MLX5_QPC_MIN_RNR_NAK);
	if (what & A_RETRY)
		a->retry_count = (uint8_t)mlx5_get(x, MLX5_QPC_RETRY_COUNT);
	if (what & A_RNR_RETRY)
		a->rnr_retry = (uint8_t)mlx5_get(x, MLX5_QPC_RNR_RETRY);
}

static void read_paths(struct nic_qp_attr *a, const uint8_t *x, uint32_t what)
{
	const uint8_t *p = x + MLX5_QPC_PATH_OFF;

	if (what & A_PATH)
		read_path(p, &a->path);
	if (what & A_ALT)
		read_whole_path(x + MLX5_QPC_ALT_PATH_OFF, &a->alt);
	if (what & A_PKEY)
		a->path.pkey_index = (uint16_t)mlx5_get(p, MLX5_ADS_PKEY_INDEX);
	if (what & A_TIMEOUT)
		a->path.ack_timeout = (uint8_t)mlx5_get(p, MLX5_ADS_ACK_TIMEOUT);
	if (what & A_PORT)
		a->path.port = (uint8_t)mlx5_get(p, MLX5_ADS_VHCA_PORT_NUM);
}

/* ---- checking ---- */

static uint8_t check(struct nic_cmd *c, const struct nic_qp_attr *a, uint32_t what)
{
	bool bad = false;

	if (what & A_MTU)
		bad |= a->mtu < 256 || a->mtu > 4096 || a->log_msg_max > NIC_LOG_MSG;
	if (what & A_PKEY)
		bad |= a->path.pkey_index >= NIC_PKEYS;
	if (what & A_PORT)
		bad |= a->path.port > 1;
	if (what & A_PATH)
		bad |= a->path.grh && a->path.sgid_index >= NIC_GIDS;
	if (what & A_SRA)
		bad |= a->log_sra_max > 4;
	if (what & A_RRA)
		bad |= a->log_rra_max > 4;
	return bad ? nic_fail(c, NIC_BAD_PARAM, SYN_QP_ATTR) : NIC_OK;
}

/* ---- the command ---- */

static uint32_t attributes(const struct nic_cmd *c, const struct transition *t,
			   const struct nic_qp *qp)
{
	uint32_t what = t->always;

	if (is_connected(qp))
		what |= t->connected;
	if (c->in_len >= QPC_OFF + MLX5_QPC_SIZE && t->to != NIC_QPS_ERR && t->to != NIC_QPS_RESET)
		what |= mlx5_get32(c->in, OPT_MASK_OFF) & A_GIVEN;
	return what;
}

static uint8_t apply_locked(struct nic_cmd *c, const struct transition *t, struct nic_qp *qp)
{
	uint8_t old = atomic_load(&qp->state), st;
	uint32_t what = attributes(c, t, qp);
	struct nic_qp_attr next = qp->attr;

	if (!(t->from >> old & 1))
		return nic_fail(c, NIC_BAD_QP_STATE, SYN_QP_STATE);
	if (what) {
		read_paths(&next, c->in + QPC_OFF, what);
		read_remote(&next, c->in + QPC_OFF, what);
		read_limits(&next, c->in + QPC_OFF, what);
	}
	/* Who a datagram seems to come from is the kernel's to say. */
	if (t->to == NIC_QPS_INIT && old == NIC_QPS_RESET && !c->uid &&
	    c->in_len >= QPC_OFF + MLX5_QPC_SIZE)
		next.deth_sqpn = (uint32_t)mlx5_get(c->in + QPC_OFF, MLX5_QPC_DETH_SQPN);
	st = check(c, &next, what);
	if (st)
		return st;
	/* An error of the data path may come in between: then it counts. */
	if (!atomic_compare_exchange_strong(&qp->state, &old, t->to))
		return nic_fail(c, NIC_BAD_QP_STATE, SYN_QP_STATE);
	qp->attr = next;
	if (what & A_DRAIN)
		qp->drain_sigerr = mlx5_get(c->in + QPC_OFF, MLX5_QPC_DRAIN_SIGERR);
	if (t->to == NIC_QPS_RESET) {
		nic_req_reset(qp);
		nic_rsp_reset(qp);
	} else {
		nic_req_modified(qp, what & A_SPSN);
		nic_rsp_modified(qp, old, what & A_RPSN);
	}
	return NIC_OK;
}

/* Something may wait for the new state. On the way up nothing does: no request was taken yet. */
static bool wants_run(const struct transition *t)
{
	return t->to != NIC_QPS_INIT && t->to != NIC_QPS_RTR &&
	       !(t->from >> NIC_QPS_RTR & 1 && t->to == NIC_QPS_RTS);
}

uint8_t nic_cmd_modify_qp(struct nic_cmd *c)
{
	const struct transition *t = find(c->opcode);
	struct nic_qp *qp = nic_qp_named(c);
	uint8_t st;

	if (!qp || !t)
		return NIC_BAD_RES;
	/* The halves look up peers and post events: as a worker does, inside an epoch. */
	nic_epoch_enter(&c->nic->cmd_epoch);
	pthread_mutex_lock(&qp->req.lock);
	pthread_mutex_lock(&qp->rsp.lock);
	st = apply_locked(c, t, qp);
	pthread_mutex_unlock(&qp->rsp.lock);
	pthread_mutex_unlock(&qp->req.lock);
	nic_epoch_leave(&c->nic->cmd_epoch);
	if (!st && wants_run(t))
		nic_qp_kick(qp);
	return st;
}

void nic_qp_error(struct nic_qp *qp, uint8_t event)
{
	uint8_t old = atomic_load(&qp->state);

	do {
		if (old == NIC_QPS_RESET || old == NIC_QPS_ERR)
			return;
	} while (!atomic_compare_exchange_weak(&qp->state, &old, NIC_QPS_ERR));
	if (event)
		nic_event_qp(qp->nic, event, qp->obj.id);
	nic_qp_kick(qp);
}

static bool reliable(const struct nic_qp *qp)
{
	return qp->type == NIC_QP_RC || qp->type == NIC_QP_XRC || qp->type == NIC_QP_DCI ||
	       qp->type == NIC_QP_REG_UMR;
}

void nic_qp_send_error(struct nic_qp *qp)
{
	uint8_t old = NIC_QPS_RTS;

	if (reliable(qp) || !atomic_compare_exchange_strong(&qp->state, &old, NIC_QPS_SQER))
		nic_qp_error(qp, 0);
	else
		nic_qp_kick(qp);
}

/* ---- query ---- */

static void show_path(const struct nic_path *p, uint8_t *x)
{
	mlx5_set(x, MLX5_ADS_RLID, p->rlid);
	mlx5_set(x, MLX5_ADS_MLID, p->mlid);
	mlx5_set(x, MLX5_ADS_GRH, p->grh);
	mlx5_set(x, MLX5_ADS_SL, p->sl);
	mlx5_set(x, MLX5_ADS_SRC_ADDR_INDEX, p->sgid_index);
	mlx5_set(x, MLX5_ADS_STAT_RATE, p->stat_rate);
	mlx5_set(x, MLX5_ADS_HOP_LIMIT, p->hop_limit);
	mlx5_set(x, MLX5_ADS_TCLASS, p->tclass);
	mlx5_set(x, MLX5_ADS_FLOW_LABEL, p->flow_label);
	mlx5_set(x, MLX5_ADS_FREE_AR, p->free_ar);
	mlx5_set(x, MLX5_ADS_PKEY_INDEX, p->pkey_index);
	mlx5_set(x, MLX5_ADS_ACK_TIMEOUT, p->ack_timeout);
	mlx5_set(x, MLX5_ADS_VHCA_PORT_NUM, p->port);
	memcpy(x + MLX5_ADS_RGID_RIP_OFF, p->rgid, 16);
}

static unsigned mtu_code(uint32_t mtu)
{
	return mtu ? (unsigned)__builtin_ctz(mtu) - 7 : 0;
}

void nic_qp_show_attr(const struct nic_qp *qp, uint8_t *x)
{
	const struct nic_qp_attr *a = &qp->attr;

	show_path(&a->path, x + MLX5_QPC_PATH_OFF);
	show_path(&a->alt, x + MLX5_QPC_ALT_PATH_OFF);
	mlx5_set(x, MLX5_QPC_PM_STATE, a->pm_state);
	mlx5_set(x, MLX5_QPC_MTU, mtu_code(a->mtu));
	mlx5_set(x, MLX5_QPC_LOG_MSG_MAX, a->log_msg_max);
	mlx5_set(x, MLX5_QPC_REMOTE_QPN, a->dqpn);
	mlx5_set(x, MLX5_QPC_LOG_SRA_MAX, a->log_sra_max);
	mlx5_set(x, MLX5_QPC_LOG_RRA_MAX, a->log_rra_max);
	mlx5_set(x, MLX5_QPC_RETRY_COUNT, a->retry_count);
	mlx5_set(x, MLX5_QPC_RNR_RETRY, a->rnr_retry);
	mlx5_set(x, MLX5_QPC_ATOMIC_MODE, a->atomic_mode);
	mlx5_set(x, MLX5_QPC_RRE, a->rre);
	mlx5_set(x, MLX5_QPC_RWE, a->rwe);
	mlx5_set(x, MLX5_QPC_RAE, a->rae);
	mlx5_set(x, MLX5_QPC_MIN_RNR_NAK, a->min_rnr_nak);
	mlx5_set(x, MLX5_QPC_XRCD, a->xrcd);
	mlx5_set(x, MLX5_QPC_Q_KEY, a->qkey);
}
