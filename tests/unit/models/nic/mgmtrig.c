// SPDX-License-Identifier: MIT
#include "tests/unit/models/nic/mgmtrig.h"

#include <stdlib.h>
#include <string.h>

#include "models/common/node.h"

struct mdl_device {
	struct nic nic;
	char node[32];
	struct mdl_device *peer;
	bool up;
};

static uint64_t now_ns = 1000000000;

/* ---- what lies below in the real thing ---- */

uint64_t mdl_now_ns(void)
{
	return now_ns;
}

void mdl_count_add(struct mdl_device *dev, unsigned idx, uint64_t n)
{
}

struct mdl_node *mdl_device_node(const struct mdl_device *dev)
{
	return (struct mdl_node *)(uintptr_t)dev;
}

const char *mdl_node_name(const struct mdl_node *node)
{
	return ((const struct mdl_device *)(const void *)node)->node;
}

const char *mdl_device_name(const struct mdl_device *dev)
{
	return "nic0";
}

struct mdl_device *mdl_link_peer(const struct mdl_device *dev)
{
	return dev->peer;
}

bool mdl_link_is_up(const struct mdl_device *dev)
{
	return dev->up;
}

void nic_event_port(struct nic *nic, enum nic_port_event ev)
{
	atomic_fetch_or(&nic->port_events, 1u << ev);
}

/* ---- what a test does ---- */

struct nic *rig_nic(const char *node, bool driver_up)
{
	struct mdl_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	strncpy(dev->node, node, sizeof(dev->node) - 1);
	dev->nic.dev = dev;
	if (nic_port_init(&dev->nic)) {
		free(dev);
		return NULL;
	}
	if (driver_up)
		rig_driver(&dev->nic, true);
	rig_events(&dev->nic);
	return &dev->nic;
}

void rig_nic_free(struct nic *nic)
{
	struct mdl_device *dev = nic->dev;

	if (dev->peer)
		dev->peer->peer = NULL;
	nic_port_fini(nic);
	free(dev);
}

void rig_cable_set(struct nic *a, bool up)
{
	a->dev->up = up;
	nic_port_update(a);
	if (!a->dev->peer)
		return;
	a->dev->peer->up = up;
	nic_port_update(&a->dev->peer->nic);
}

void rig_cable(struct nic *a, struct nic *b)
{
	a->dev->peer = b->dev;
	b->dev->peer = a->dev;
	rig_cable_set(a, true);
}

void rig_driver(struct nic *nic, bool up)
{
	atomic_store(&nic->hca_state, up ? NIC_HCA_INIT : NIC_HCA_ENABLED);
	nic_port_update(nic);
}

uint32_t rig_events(struct nic *nic)
{
	return atomic_exchange(&nic->port_events, 0);
}

void rig_time_pass(uint64_t ns)
{
	now_ns += ns;
}

static struct nic_mad_from sender(struct nic *nic, unsigned qp, uint16_t dlid)
{
	return (struct nic_mad_from){ .nic = nic,
				      .src_qp = qp,
				      .dst_qp = qp,
				      .slid = atomic_load(&nic->port.lid),
				      .dlid = dlid };
}

bool rig_mad(struct nic *from, unsigned qp, uint16_t dlid, const uint8_t *in, uint8_t *out)
{
	struct nic_mad_from f = sender(from, qp, dlid);

	return nic_mad_wire(&f, nic_net_find_lid(from, dlid), in, out);
}

bool rig_mad_more(struct nic *from, uint8_t *out)
{
	struct nic_mad_from f = sender(from, 1, NIC_SM_LID);

	return nic_mad_next(&f, out);
}
