/* SPDX-License-Identifier: MIT */
/*
 * The cable: how a burst of packets of one message gets from a requester to a responder. Owner:
 * data (cable.c). This is a sketch that fixes the idea; members are data's.
 *
 * In the common case (no fault point armed on either device) a burst is a function call on the
 * sender's data worker: nic_cable_send() finds the receiving NIC (net.h), its QP, and runs the
 * responder under rsp.lock; the payload is one mdl_dma_copyv from the sender's segments to the
 * receiver's; the acknowledgement, NAK or read response is the return value. With a fault armed
 * the burst is taken apart into packets of one MTU, each of which may be lost, delayed, reordered,
 * doubled or corrupted (dropped by the receiver's checksum, counted), and acknowledgements take
 * the same way back; payload of a packet that must wait is copied into a bounded queue of the
 * cable, drained by the receiver's data worker. The requester's timer does the rest.
 *
 * Fault points (names in nic.c's table): "cable.tx", "cable.ack".
 */
#ifndef PEERDMA_MODELS_NIC_CABLE_H
#define PEERDMA_MODELS_NIC_CABLE_H

#include <stdbool.h>
#include <stdint.h>

struct nic;
struct nic_dw;

struct nic_cable {
	void *priv; /* data */
};

int nic_cable_init(struct nic *nic);
void nic_cable_fini(struct nic *nic); /* also when nic_cable_init failed or never ran */
/* Reset or link down: what is on the way to this NIC is lost. Command worker, not in an epoch. */
void nic_cable_flush(struct nic *nic);
/* Deliver what is due; a slice of a data worker. Return: true when more is due now. */
bool nic_cable_run(struct nic_dw *dw);

#endif
