// SPDX-License-Identifier: MIT
/* What a device has to say for itself, as JSON for the control socket. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "models/common/internal.h"

static struct json_object *num(uint64_t v)
{
	return json_object_new_uint64(v);
}

static struct json_object *hex(uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	return json_object_new_string(text);
}

static struct json_object *count_json(const struct mdl_dma_count *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "bytes", num(c->bytes));
	json_object_object_add(o, "ops", num(c->ops));
	return o;
}

static struct json_object *class_json(struct mdl_device *dev, enum mdl_class cls)
{
	struct json_object *o = json_object_new_object();
	unsigned t;

	for (t = 0; t < MDL_T_COUNT; t++) {
		struct json_object *d = json_object_new_object();

		json_object_object_add(d, "read", count_json(&dev->dma[cls][t][0]));
		json_object_object_add(d, "write", count_json(&dev->dma[cls][t][1]));
		json_object_object_add(o, mdl_target_name((enum mdl_target)t), d);
	}
	return o;
}

struct json_object *mdl_device_counters(struct mdl_device *dev)
{
	struct json_object *o = json_object_new_object(), *dma = json_object_new_object();
	struct json_object *irq = json_object_new_object(), *model = json_object_new_object();
	struct json_object *bus = json_object_new_object();
	unsigned i;

	json_object_object_add(dma, "data", class_json(dev, MDL_DATA));
	json_object_object_add(dma, "ctrl", class_json(dev, MDL_CTRL));
	json_object_object_add(o, "dma", dma);
	json_object_object_add(irq, "raised", num(dev->irq.raised));
	json_object_object_add(irq, "delivered", num(dev->irq.delivered));
	json_object_object_add(irq, "bad_vector", num(dev->irq.bad_vector));
	json_object_object_add(o, "irq", irq);
	json_object_object_add(bus, "resets", num(dev->resets));
	json_object_object_add(bus, "bad_messages", num(dev->bad_messages));
	json_object_object_add(bus, "atomics_by_message", num(dev->atomics_by_message));
	json_object_object_add(o, "bus", bus);
	for (i = 0; i < dev->desc.n_counters; i++)
		json_object_object_add(model, dev->desc.counter_names[i], num(dev->counters[i]));
	json_object_object_add(o, "model", model);
	return o;
}

void mdl_device_counters_reset(struct mdl_device *dev)
{
	unsigned c, t, w, i;

	for (c = 0; c < MDL_CLASS_COUNT; c++)
		for (t = 0; t < MDL_T_COUNT; t++)
			for (w = 0; w < 2; w++)
				dev->dma[c][t][w].bytes = dev->dma[c][t][w].ops = 0;
	for (i = 0; i < dev->desc.n_counters; i++)
		dev->counters[i] = 0;
	dev->irq.raised = dev->irq.delivered = dev->irq.bad_vector = 0;
	dev->bad_messages = dev->atomics_by_message = dev->resets = 0;
}

static struct json_object *bars_json_locked(struct mdl_device *dev)
{
	struct json_object *o = json_object_new_array();
	unsigned i;

	for (i = 0; i < MDL_MAX_BARS; i++) {
		const struct mdl_bar *b = &dev->desc.bars[i];
		struct json_object *e;

		if (!b->size)
			continue;
		e = json_object_new_object();
		json_object_object_add(e, "bar", json_object_new_int((int)i));
		json_object_object_add(e, "size", num(b->size));
		json_object_object_add(e, "address", hex(mdl_config_bar_addr(dev, i)));
		json_object_object_add(e, "memory", json_object_new_boolean(b->mem != NULL));
		json_object_array_add(o, e);
	}
	return o;
}

struct json_object *mdl_device_describe(struct mdl_device *dev)
{
	struct json_object *o = json_object_new_object();

	pthread_rwlock_rdlock(&dev->node->lock);
	json_object_object_add(o, "node", json_object_new_string(dev->node->name));
	json_object_object_add(o, "name", json_object_new_string(dev->name));
	json_object_object_add(o, "model", json_object_new_string(dev->desc.model));
	json_object_object_add(o, "connected", json_object_new_boolean(dev->attached));
	json_object_object_add(o, "switch", json_object_new_int(dev->switch_id));
	json_object_object_add(o, "acs_redirect", json_object_new_boolean(dev->acs_redirect));
	json_object_object_add(o, "decode", json_object_new_boolean(mdl_config_decodes(dev)));
	json_object_object_add(o, "bus_master", json_object_new_boolean(dev->bus_master));
	json_object_object_add(o, "windows", json_object_new_int((int)dev->windows.n));
	json_object_object_add(o, "resets", num(dev->resets));
	json_object_object_add(o, "bars", bars_json_locked(dev));
	pthread_rwlock_unlock(&dev->node->lock);
	if (dev->link_peer)
		json_object_object_add(o, "link", json_object_new_boolean(dev->link_up));
	return o;
}

struct json_object *mdl_device_snapshot(struct mdl_device *dev)
{
	struct json_object *o = mdl_device_describe(dev), *state = json_object_new_object();

	if (dev->desc.ops->snapshot)
		dev->desc.ops->snapshot(dev, state);
	json_object_object_add(o, "state", state);
	return o;
}

struct json_object *mdl_device_faults(struct mdl_device *dev)
{
	struct json_object *o = json_object_new_object();
	unsigned i;

	pthread_mutex_lock(&dev->fault_lock);
	for (i = 0; i < dev->n_faults; i++) {
		struct mdl_fault_point *p = &dev->faults[i];
		struct json_object *e = json_object_new_object();

		json_object_object_add(e, "action",
				       json_object_new_string(mdl_fault_action_name(
					       (enum mdl_fault_action)p->action)));
		json_object_object_add(e, "hits", num(p->hits));
		json_object_object_add(o, p->name, e);
	}
	pthread_mutex_unlock(&dev->fault_lock);
	return o;
}
