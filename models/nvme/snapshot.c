// SPDX-License-Identifier: MIT
/* The controller's state for the control socket. */
#include <json-c/json.h>

#include "models/nvme/internal.h"

static const char *state_name(const struct nvme *c)
{
	static const char *const names[] = {
		[NVME_OFF] = "off",
		[NVME_STARTING] = "starting",
		[NVME_READY] = "ready",
		[NVME_STOPPING] = "stopping",
	};

	return c->fatal ? "failed" : names[c->state];
}

static void add(struct json_object *o, const char *name, uint64_t val)
{
	json_object_object_add(o, name, json_object_new_uint64(val));
}

static struct json_object *queues(const struct nvme *c)
{
	struct json_object *list = json_object_new_array(), *o;
	unsigned i;

	for (i = 0; i < NVME_QUEUES; i++) {
		const struct nvme_sq *sq = &c->sq[i];

		if (!sq->live)
			continue;
		o = json_object_new_object();
		add(o, "id", i);
		add(o, "size", sq->size);
		add(o, "head", sq->head);
		add(o, "tail", sq->tail);
		add(o, "cq", sq->cqid);
		add(o, "cq_head", c->cq[sq->cqid].head);
		add(o, "cq_tail", c->cq[sq->cqid].tail);
		json_object_object_add(o, "in_cmb",
				       json_object_new_boolean(sq->space == MDL_SPACE_LOCAL));
		json_object_array_add(list, o);
	}
	return list;
}

/* Namespaces have no state that changes, beside what their worker alone knows. */
static struct json_object *namespaces(const struct nvme *c)
{
	struct json_object *list = json_object_new_array(), *o;
	unsigned i;

	for (i = 0; i < c->n_ns; i++) {
		o = json_object_new_object();
		add(o, "id", c->ns[i].id);
		add(o, "blocks", c->ns[i].blocks);
		add(o, "block", 1u << c->ns[i].shift);
		json_object_array_add(list, o);
	}
	return list;
}

static uint64_t waiting(const struct nvme *c)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < NVME_PENDING; i++)
		n += c->pending[i].state != NVME_P_FREE;
	return n;
}

void nvme_snapshot(struct mdl_device *dev, struct json_object *obj)
{
	struct nvme *c = mdl_device_priv(dev);

	pthread_mutex_lock(&c->lock);
	json_object_object_add(obj, "state", json_object_new_string(state_name(c)));
	json_object_object_add(obj, "shutdown",
			       json_object_new_boolean(c->shst == NVME_CSTS_SHST_DONE));
	add(obj, "cmb", c->cmb_size);
	add(obj, "cmb_base", NVME_CMBMSC_CBA(c->cmbmsc));
	add(obj, "waiting_for_sync", waiting(c));
	add(obj, "power_cycles", c->power_cycles);
	add(obj, "unsafe_shutdowns", c->unsafe);
	json_object_object_add(obj, "queues", queues(c));
	json_object_object_add(obj, "namespaces", namespaces(c));
	pthread_mutex_unlock(&c->lock);
}
