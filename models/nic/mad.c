// SPDX-License-Identifier: MIT
/* From a management datagram to the agent that answers it. */
#include "models/nic/mad.h"

#include <string.h>

#include "models/nic/agents.h"
#include "models/nic/net.h"
#include "models/nic/subnet.h"

static bool is_smp(uint8_t cls)
{
	return cls == IB_CLASS_SMP || cls == IB_CLASS_SMP_DR;
}

static bool is_request(uint8_t method)
{
	return method == IB_METHOD_GET || method == IB_METHOD_SET;
}

/* A bounded rate, so that a guest cannot keep the subnet's lock from the others. */
static bool may_ask(struct nic *nic)
{
	unsigned slot = nic_net_slot_of(nic);
	uint64_t now = mdl_now_ns(), add;
	struct nic_net_slot *s;
	bool ok;

	if (slot == NIC_NET_PORTS)
		return false;
	s = &nic_net.slot[slot];
	pthread_mutex_lock(&nic_net.lock);
	add = (now - s->token_ns) / 1000000 * NIC_MAD_PER_MS;
	if (add) {
		s->tokens = add < NIC_MAD_BURST - s->tokens ? s->tokens + add : NIC_MAD_BURST;
		s->token_ns = now;
	}
	ok = s->tokens > 0;
	s->tokens -= ok;
	pthread_mutex_unlock(&nic_net.lock);
	return ok;
}

/* Get and Set of the two classes every port's agents know. Return: false for others. */
static bool agents(const struct nic_agent_at *at, uint8_t cls, uint8_t method, uint8_t *mad)
{
	if (!is_request(method) || (!is_smp(cls) && cls != IB_CLASS_PERF))
		return false;
	if (mlx5_get(mad, IB_MAD_CLASS_VERSION) != 1)
		nic_mad_status(mad, IB_STATUS_BAD_VERSION);
	else if (is_smp(cls))
		nic_smi_answer(at, mad);
	else
		nic_pma_answer(at, mad);
	mlx5_set(mad, IB_MAD_METHOD, IB_METHOD_GET_RESP);
	return true;
}

bool nic_mad_local(struct nic *nic, const uint8_t in[NIC_MAD_SIZE], uint8_t out[NIC_MAD_SIZE])
{
	struct nic_agent_at at = { .viewer = nic, .nic = nic, .local = true };

	mdl_count(nic->dev, NIC_C_MADS);
	memcpy(out, in, NIC_MAD_SIZE);
	if (mlx5_get(in, IB_MAD_BASE_VERSION) == 1 && agents(&at, in[1], in[3], out))
		return true;
	mdl_count(nic->dev, NIC_C_BAD_MAD);
	return false;
}

static bool smp(const struct nic_mad_from *from, struct nic *to, uint8_t *mad)
{
	struct nic_agent_at at = { .viewer = from->nic, .nic = to, .local = to == from->nic };

	if (mad[1] == IB_CLASS_SMP_DR)
		return nic_smi_route(from->nic, mad);
	if (!to && from->dlid != NIC_SM_LID)
		return false;
	if (!to && mad[3] == IB_METHOD_TRAP) {
		mlx5_set(mad, IB_MAD_METHOD, IB_METHOD_TRAP_REPRESS);
		return true;
	}
	return agents(&at, mad[1], mad[3], mad);
}

static bool gmp(const struct nic_mad_from *from, struct nic *to, const uint8_t *in, uint8_t *mad)
{
	struct nic_agent_at at = { .viewer = from->nic, .nic = to };

	if (in[1] == IB_CLASS_PERF && (to || from->dlid == NIC_SM_LID))
		return agents(&at, in[1], in[3], mad);
	if (in[1] != IB_CLASS_SA || to || from->dlid != NIC_SM_LID)
		return false;
	return nic_sa_answer(from, in, mad);
}

/* QP0 carries subnet management and nothing else, QP1 all but that. */
bool nic_mad_wire(const struct nic_mad_from *from, struct nic *to, const uint8_t in[NIC_MAD_SIZE],
		  uint8_t out[NIC_MAD_SIZE])
{
	bool answered;

	mdl_count(from->nic->dev, NIC_C_MADS);
	memcpy(out, in, NIC_MAD_SIZE);
	if (mlx5_get(in, IB_MAD_BASE_VERSION) != 1 || from->dst_qp > 1 ||
	    is_smp(in[1]) != (from->dst_qp == 0)) {
		mdl_count(from->nic->dev, NIC_C_BAD_MAD);
		return false;
	}
	if (!nic_port_is_up(from->nic))
		return false;
	if (!may_ask(from->nic)) {
		/* Only who would be answered hears of it. */
		if (!is_request(in[3]) || (to && in[1] != IB_CLASS_PERF && !is_smp(in[1])))
			return false;
		nic_mad_status(out, IB_STATUS_BUSY);
		mlx5_set(out, IB_MAD_METHOD, IB_METHOD_GET_RESP);
		return in[1] != IB_CLASS_SMP_DR;
	}
	answered = from->dst_qp ? gmp(from, to, in, out) : smp(from, to, out);
	if (!answered && !to && in[1] != IB_CLASS_SA)
		mdl_count(from->nic->dev, NIC_C_BAD_MAD);
	return answered;
}

bool nic_mad_next(const struct nic_mad_from *from, uint8_t out[NIC_MAD_SIZE])
{
	unsigned slot = nic_net_slot_of(from->nic);
	bool more;

	if (slot == NIC_NET_PORTS)
		return false;
	pthread_mutex_lock(&nic_net.lock);
	more = nic_rmpp_next(nic_net.slot[slot].rmpp, from->src_qp, out);
	pthread_mutex_unlock(&nic_net.lock);
	return more;
}
