/* SPDX-License-Identifier: MIT */
/*
 * Answers of subnet administration that do not fit one datagram: sent in segments, a window at a
 * time, as the requester acknowledges. A few at once for each NIC; the oldest gives way.
 */
#ifndef PEERDMA_MODELS_NIC_SA_RMPP_H
#define PEERDMA_MODELS_NIC_SA_RMPP_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/ib_mad.h"

#define NIC_RMPP_MAX   4
#define NIC_RMPP_SEGS  512
#define NIC_RMPP_BYTES ((size_t)NIC_RMPP_SEGS * IB_SA_DATA_BYTES)

/* One answer on its way; data NULL = unused. Under nic_net.lock, as all calls here. */
struct nic_rmpp {
	uint8_t *data; /* records, n_segs * 200 bytes, zero-padded */
	uint32_t len;
	uint32_t n_segs, next, window; /* segments count from 1; next <= window may be sent */
	uint32_t src_qp;
	uint64_t tid, started;
	uint8_t head[IB_SA_DATA_OFF];
};

/*
 * Answer with len bytes of records; head is the first 56 bytes of the response. data is taken over
 * and freed. out gets the first segment; the others wait in one of the NIC's set.
 */
void nic_rmpp_start(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp,
		    const uint8_t head[IB_SA_DATA_OFF], uint8_t *data, uint32_t len, uint64_t now,
		    uint8_t out[IB_MAD_SIZE]);

/* An ACK, STOP or ABORT came. Return: true when out is to be sent: a segment or an abort. */
bool nic_rmpp_input(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp,
		    const uint8_t in[IB_MAD_SIZE], uint8_t out[IB_MAD_SIZE]);

/* The next segment the window allows for this requester, if any. */
bool nic_rmpp_next(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp, uint8_t out[IB_MAD_SIZE]);

void nic_rmpp_end(struct nic_rmpp *r);

#endif
