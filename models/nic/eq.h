/* SPDX-License-Identifier: MIT */
/* Event queues, and the events that go there. Owner: lead. */
#ifndef PEERDMA_MODELS_NIC_EQ_H
#define PEERDMA_MODELS_NIC_EQ_H

#include <pthread.h>
#include "models/nic/buf.h"
#include "models/nic/object.h"

struct nic;

enum nic_event {
	NIC_EV_COMP = 0x00,
	NIC_EV_PATH_MIG = 0x01,
	NIC_EV_COMM_EST = 0x02,
	NIC_EV_SQ_DRAINED = 0x03,
	NIC_EV_CQ_ERROR = 0x04,
	NIC_EV_WQ_CATAS = 0x05,
	NIC_EV_PATH_MIG_FAILED = 0x07,
	NIC_EV_PORT_CHANGE = 0x09,
	NIC_EV_CMD = 0x0a,
	NIC_EV_PAGE_REQUEST = 0x0b,
	NIC_EV_PAGE_FAULT = 0x0c,
	NIC_EV_WQ_INVAL_REQ = 0x10,
	NIC_EV_WQ_ACCESS = 0x11,
	NIC_EV_SRQ_CATAS = 0x12,
	NIC_EV_SRQ_LAST_WQE = 0x13,
	NIC_EV_SRQ_LIMIT = 0x14,
	NIC_EV_DCT_DRAINED = 0x1c,
	NIC_EV_MAX = 256
};

enum nic_port_event {
	NIC_PORT_DOWN = 1,
	NIC_PORT_ACTIVE = 4,
	NIC_PORT_INITIALIZED = 5,
	NIC_PORT_LID = 6,
	NIC_PORT_PKEY = 7,
	NIC_PORT_GUID = 8,
	NIC_PORT_CLIENT_REREG = 9,
};

struct nic_eq {
	struct nic_obj obj;
	struct nic *nic;
	struct mdl_dma dma;   /* under lock */
	pthread_mutex_t lock; /* leaf: nothing but the door is used under it */
	struct nic_buf buf;
	uint8_t log_size;
	uint8_t vector;
	uint32_t uar;
	bool armed, overrun;
	uint32_t pi, ci;  /* 24-bit counters; ci as last told by a doorbell */
	uint64_t mask[4]; /* events it asked for */
};

/* Append an entry of type/subtype with 28 bytes of event data. Under an epoch or on the command
 * worker. An EQ without room drops the entry, counts it and stays usable. */
void nic_eq_post(struct nic_eq *eq, uint8_t type, uint8_t subtype, const void *data);

/* To the EQ that asked for this type (none: nothing happens). Same callers as nic_eq_post. */
void nic_event(struct nic *nic, uint8_t type, uint8_t subtype, const void *data);

/* Events about one object. */
void nic_event_qp(struct nic *nic, uint8_t type, uint32_t qpn);
void nic_event_srq(struct nic *nic, uint8_t type, uint32_t srqn);
void nic_event_cq_error(struct nic *nic, uint32_t cqn, uint8_t syndrome);

/* Port event, from any thread: done later by the command worker. */
void nic_event_port(struct nic *nic, enum nic_port_event ev);

#endif
