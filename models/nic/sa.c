// SPDX-License-Identifier: MIT
/* Subnet administration: requests, matching, answers. */
#include "models/nic/sa.h"

#include <stdlib.h>
#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/net.h"
#include "models/nic/subnet.h"

bool nic_sa_selects(uint32_t selector, uint32_t want, uint32_t have)
{
	switch (selector) {
	case 0:
		return have > want;
	case 1:
		return have < want;
	case 2:
		return have == want;
	default:
		return true; /* the best there is */
	}
}

static bool matches(const struct nic_sa_query *q, const uint8_t *rec)
{
	const struct nic_sa_comp *c;

	for (c = q->row->comps; c->len || c->f; c++) {
		if (!nic_sa_has(q->comps, c->bit))
			continue;
		if (c->len ? memcmp(q->want + c->off, rec + c->off, c->len) :
			     mlx5_get(q->want, c->f) != mlx5_get(rec, c->f))
			return false;
	}
	return true;
}

static bool make_room(struct nic_sa_query *q)
{
	uint32_t cap = q->cap ? q->cap * 2 : 8, max = NIC_SA_MAX_BYTES / q->row->size;
	uint8_t *p;

	if (q->n < q->cap)
		return true;
	cap = cap < max ? cap : max;
	if (q->n >= cap) {
		q->overflow = true;
		return false;
	}
	p = realloc(q->recs, (size_t)cap * q->row->size);
	if (!p) {
		q->no_memory = true;
		return false;
	}
	q->recs = p;
	q->cap = cap;
	return true;
}

void nic_sa_emit(struct nic_sa_query *q, const uint8_t *rec)
{
	if (!matches(q, rec) || !make_room(q))
		return;
	memcpy(q->recs + (size_t)q->n++ * q->row->size, rec, q->row->size);
}

static const struct nic_sa_row *find_row(uint16_t attr)
{
	unsigned i;

	for (i = 0; i < nic_sa_n_records; i++)
		if (nic_sa_records[i].attr == attr)
			return &nic_sa_records[i];
	return NULL;
}

static uint16_t class_info(uint8_t *out)
{
	uint8_t *d = out + IB_SA_DATA_OFF;

	memset(d, 0, IB_SA_DATA_BYTES);
	mlx5_set(d, IB_CPI_BASE_VERSION, 1);
	mlx5_set(d, IB_CPI_CLASS_VERSION, IB_SA_CLASS_VER);
	mlx5_set(d, IB_CPI_CAP_MASK2, IB_SA_CAP2_SENDONLY);
	mlx5_set(d, IB_CPI_RESP_TIME, NIC_RESP_TIME);
	return 0;
}

static uint16_t one_record(const struct nic_sa_query *q, uint8_t *out)
{
	if (!q->n)
		return IB_SA_NO_RECORDS;
	if (q->n > 1 || q->overflow)
		return IB_SA_TOO_MANY;
	memset(out + IB_SA_DATA_OFF, 0, IB_SA_DATA_BYTES);
	memcpy(out + IB_SA_DATA_OFF, q->recs, q->row->size);
	mlx5_set(out, IB_SA_ATTR_OFFSET, q->row->size / 8);
	return 0;
}

static void table(const struct nic_mad_from *from, struct nic_sa_query *q, uint8_t *out)
{
	unsigned slot = nic_net_slot_of(from->nic);
	uint8_t head[IB_SA_DATA_OFF];

	mlx5_set(out, IB_SA_ATTR_OFFSET, q->row->size / 8);
	nic_mad_status(out, 0);
	memcpy(head, out, sizeof(head));
	pthread_mutex_lock(&nic_net.lock);
	nic_rmpp_start(nic_net.slot[slot].rmpp, from->src_qp, head, q->recs, q->n * q->row->size,
		       mdl_now_ns(), out);
	pthread_mutex_unlock(&nic_net.lock);
	q->recs = NULL;
}

static uint16_t query(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out)
{
	struct nic_sa_query q = {
		.viewer = from->nic,
		.want = in + IB_SA_DATA_OFF,
		.comps = mlx5_get(in, IB_SA_COMP_MASK),
		.mod = (uint32_t)mlx5_get(in, IB_MAD_ATTR_MOD),
		.row = find_row((uint16_t)mlx5_get(in, IB_MAD_ATTR_ID)),
	};
	uint16_t st = 0;

	if (!q.row)
		return IB_STATUS_BAD_ATTR;
	q.row->each(&q);
	if (q.no_memory || (q.overflow && in[3] == IB_METHOD_GET_TABLE))
		st = IB_SA_NO_RESOURCES;
	else if (in[3] == IB_METHOD_GET)
		st = one_record(&q, out);
	else
		table(from, &q, out);
	free(q.recs);
	return st;
}

static uint16_t change(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out)
{
	uint64_t comps = mlx5_get(in, IB_SA_COMP_MASK);
	uint8_t *rec = out + IB_SA_DATA_OFF;

	if (mlx5_get(in, IB_MAD_ATTR_ID) != IB_SA_MCMEMBER)
		return IB_STATUS_BAD_ATTR;
	mlx5_set(out, IB_SA_ATTR_OFFSET, IB_MC_SIZE / 8);
	return in[3] == IB_METHOD_SET ? nic_sa_join(from->nic, comps, rec) :
					nic_sa_leave(from->nic, comps, rec);
}

static uint16_t request(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out)
{
	if (mlx5_get(in, IB_MAD_CLASS_VERSION) != IB_SA_CLASS_VER)
		return IB_STATUS_BAD_VERSION;
	switch (in[3]) {
	case IB_METHOD_GET:
		if (mlx5_get(in, IB_MAD_ATTR_ID) == IB_SA_CLASS_INFO)
			return class_info(out);
		return query(from, in, out);
	case IB_METHOD_GET_TABLE:
		return query(from, in, out);
	case IB_METHOD_SET:
	case IB_METHOD_DELETE:
		return change(from, in, out);
	default:
		return IB_STATUS_BAD_METHOD;
	}
}

static bool rmpp_control(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out)
{
	unsigned slot = nic_net_slot_of(from->nic);
	bool answer;

	pthread_mutex_lock(&nic_net.lock);
	answer = nic_rmpp_input(nic_net.slot[slot].rmpp, from->src_qp, in, out);
	pthread_mutex_unlock(&nic_net.lock);
	return answer;
}

/* The caller has seen that the NIC is on the subnet. */
bool nic_sa_answer(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out)
{
	bool rmpp = mlx5_get(in, IB_RMPP_FLAGS) & IB_RMPP_F_ACTIVE;
	uint16_t st;

	if (nic_net_slot_of(from->nic) == NIC_NET_PORTS)
		return false;
	if (rmpp && mlx5_get(in, IB_RMPP_TYPE) != 0)
		return rmpp_control(from, in, out);
	if (in[3] & IB_METHOD_RESP || in[3] == 0 || in[3] == IB_METHOD_TRAP_REPRESS)
		return false;
	mdl_count(from->nic->dev, NIC_C_SA_QUERIES);
	mlx5_set(out, IB_MAD_METHOD,
		 in[3] == IB_METHOD_SET ? IB_METHOD_GET_RESP : in[3] | IB_METHOD_RESP);
	mlx5_set32(out, 24, 0); /* no RMPP, unless the answer is a table */
	mlx5_set64(out, 28, 0);
	st = request(from, in, out);
	if (st)
		nic_mad_status(out, st);
	return true;
}
