/* SPDX-License-Identifier: MIT */
/*
 * Management datagrams: 256 bytes in, 256 bytes out. Owner: mgmt (mad.c dispatch, smi.c subnet
 * management agent, pma.c performance, sa.c subnet administration).
 */
#ifndef PEERDMA_MODELS_NIC_MAD_H
#define PEERDMA_MODELS_NIC_MAD_H

#include <stdbool.h>
#include <stdint.h>

struct nic;

#define NIC_MAD_SIZE 256

/* MAD_IFC (lead's command): the local agents answer. Return: false when none answers. */
bool nic_mad_local(struct nic *nic, const uint8_t in[NIC_MAD_SIZE], uint8_t out[NIC_MAD_SIZE]);

/*
 * data calls this for a datagram sent from QP0 or QP1 of `from` before looking for a receiving QP:
 * to the SM's LID, or of a class the agents of `to` answer in hardware. to is NULL for the SM.
 * On true out is the answer, which data delivers to `from`'s QP (from LID, QP and pkey of the
 * agent); on false the frame goes to `to`'s QP 0 or 1, or nowhere when to is NULL.
 */
struct nic_mad_from {
	struct nic *nic;
	uint32_t src_qp, dst_qp;
	uint16_t slid, dlid;
	bool grh;
	uint8_t sgid[16];
};
bool nic_mad_wire(const struct nic_mad_from *from, struct nic *to, const uint8_t in[NIC_MAD_SIZE],
		  uint8_t out[NIC_MAD_SIZE]);

/*
 * After nic_mad_wire was true: further datagrams of the same answer (a table in several segments),
 * one a call, delivered the same way, until false. A table has at most NIC_RMPP_SEGS (sa_rmpp.h).
 */
bool nic_mad_next(const struct nic_mad_from *from, uint8_t out[NIC_MAD_SIZE]);

#endif
