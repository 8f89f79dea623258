// SPDX-License-Identifier: MIT
/* The model's state for the control socket. */
#include <json-c/json.h>

#include "models/accel/internal.h"

static void add_u64(struct json_object *obj, const char *key, uint64_t val)
{
	json_object_object_add(obj, key, json_object_new_uint64(val));
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[ACCEL_RING_DISABLED] = "disabled",
		[ACCEL_RING_RUNNING] = "running",
		[ACCEL_RING_STOPPING] = "stopping",
		[ACCEL_RING_IN_ERROR] = "error",
	};

	return names[state];
}

static struct json_object *ring_object(const struct accel_ring *r)
{
	struct json_object *obj = json_object_new_object();

	add_u64(obj, "ring", r->idx);
	json_object_object_add(obj, "state", json_object_new_string(state_name(r->state)));
	add_u64(obj, "sq_base", r->sq_base);
	add_u64(obj, "cq_base", r->cq_base);
	add_u64(obj, "size_log2", r->size_log2);
	add_u64(obj, "space", r->space);
	json_object_object_add(obj, "vector",
			       r->vector == ACCEL_VECTOR_NONE ? NULL :
								json_object_new_uint64(r->vector));
	add_u64(obj, "sq_head", r->sq_head);
	add_u64(obj, "sq_tail", r->sq_tail);
	add_u64(obj, "cq_head", r->cq_head);
	add_u64(obj, "cq_tail", r->cq_tail);
	add_u64(obj, "error", r->error);
	add_u64(obj, "error_index", r->error_index);
	add_u64(obj, "error_info", r->error_info);
	return obj;
}

void accel_snapshot(struct mdl_device *dev, struct json_object *obj)
{
	struct accel *a = mdl_device_priv(dev);
	struct json_object *rings = json_object_new_array();
	unsigned i;

	add_u64(obj, "vram_size", a->vram_size);
	add_u64(obj, "link_size", accel_link_size(a));
	pthread_mutex_lock(&a->lock);
	json_object_object_add(obj, "enabled", json_object_new_boolean(a->enabled));
	json_object_object_add(obj, "fatal", json_object_new_boolean(a->fatal));
	add_u64(obj, "error", a->error);
	add_u64(obj, "event", a->event);
	add_u64(obj, "event_enable", a->event_enable);
	add_u64(obj, "resets", a->resets);
	add_u64(obj, "bad_access", a->bad_access);
	for (i = 0; i < ACCEL_RINGS; i++)
		json_object_array_add(rings, ring_object(&a->ring[i]));
	pthread_mutex_unlock(&a->lock);
	json_object_object_add(obj, "rings", rings);
}
