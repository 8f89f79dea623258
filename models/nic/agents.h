/* SPDX-License-Identifier: MIT */
/* The agents behind mad.c. Each writes a whole answer to out, which starts as a copy of in. */
#ifndef PEERDMA_MODELS_NIC_AGENTS_H
#define PEERDMA_MODELS_NIC_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

struct nic;
struct nic_mad_from;

/* Who is asked. */
struct nic_agent_at {
	struct nic *viewer; /* on whose behalf: decides what part of the subnet is seen */
	struct nic *nic;    /* the NIC asked, or NULL: the switch, where the SM is */
	bool local;	    /* the guest asks its own NIC by command */
};

/* Get or Set of a subnet management attribute. */
void nic_smi_answer(const struct nic_agent_at *at, uint8_t *mad);
/* A directed-route packet as it left `from`. Return: false = it got lost on its way. */
bool nic_smi_route(struct nic *from, uint8_t *mad);
/* smi_attr.c: attribute data, also for records of subnet administration. Return: MAD status. */
uint16_t nic_smi_get(const struct nic_agent_at *at, uint16_t attr, uint32_t mod, uint8_t data[64]);

/* Get or Set of performance counters. */
void nic_pma_answer(const struct nic_agent_at *at, uint8_t *mad);

/* Subnet administration. Return: false when there is nothing to answer. */
bool nic_sa_answer(const struct nic_mad_from *from, const uint8_t *in, uint8_t *out);

static inline void nic_mad_status(uint8_t *mad, uint16_t status)
{
	mad[4] = (uint8_t)((mad[4] & 0x80) | (status >> 8)); /* the direction bit stays */
	mad[5] = (uint8_t)status;
}

#endif
