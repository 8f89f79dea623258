// SPDX-License-Identifier: MIT
/* What the requests on the control socket mean. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/device.h"
#include "models/common/fault.h"
#include "models/common/node.h"
#include "models/fabric/control.h"
#include "models/fabric/lab.h"

#ifndef PEERDMA_VERSION
#define PEERDMA_VERSION "0"
#endif

struct request {
	struct fab_lab *lab;
	struct json_object *in, *out;
	struct mdl_device *dev; /* named in the request, or NULL */
	char error[160];
};

static int fail(struct request *r, const char *what, const char *which)
{
	snprintf(r->error, sizeof(r->error), "%s%s%.100s", what, which ? ": " : "",
		 which ? which : "");
	return -1;
}

static const char *get_text(struct request *r, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(r->in, key, &v) || !json_object_is_type(v, json_type_string))
		return NULL;
	return json_object_get_string(v);
}

/* A number that is absent is 0; one that is no number, or negative, is refused. */
static int get_num(struct request *r, const char *key, uint64_t max, uint64_t *ret)
{
	struct json_object *v;
	int64_t n;

	*ret = 0;
	if (!json_object_object_get_ex(r->in, key, &v))
		return 0;
	n = json_object_get_int64(v);
	if (!json_object_is_type(v, json_type_int) || n < 0 || (uint64_t)n > max)
		return fail(r, "not a number in range", key);
	*ret = (uint64_t)n;
	return 0;
}

static void add_name(struct json_object *list, struct mdl_device *dev, struct json_object *value)
{
	char name[2 * MDL_NAME_MAX + 2];

	snprintf(name, sizeof(name), "%s/%s", mdl_node_name(mdl_device_node(dev)),
		 mdl_device_name(dev));
	json_object_object_add(list, name, value);
}

/* Call fn for the device named in the request, or for all; collect answers under key, if any. */
static int for_devices(struct request *r, const char *key,
		       struct json_object *(*fn)(struct mdl_device *dev))
{
	struct json_object *list = json_object_new_object();
	struct mdl_device *dev;
	unsigned i;

	if (r->dev)
		add_name(list, r->dev, fn(r->dev));
	for (i = 0; !r->dev && i < fab_lab_nodes(r->lab); i++)
		for (dev = mdl_node_first(fab_lab_node(r->lab, i)); dev; dev = mdl_node_next(dev))
			add_name(list, dev, fn(dev));
	if (key)
		json_object_object_add(r->out, key, list);
	else
		json_object_put(list);
	return 0;
}

static struct json_object *clear_counters(struct mdl_device *dev)
{
	mdl_device_counters_reset(dev);
	return NULL;
}

static int do_ping(struct request *r)
{
	json_object_object_add(r->out, "version", json_object_new_string(PEERDMA_VERSION));
	return 0;
}

static int do_devices(struct request *r)
{
	return for_devices(r, "devices", mdl_device_describe);
}

static int do_counters(struct request *r)
{
	return for_devices(r, "counters", mdl_device_counters);
}

static int do_counters_reset(struct request *r)
{
	return for_devices(r, NULL, clear_counters);
}

static int do_faults(struct request *r)
{
	return for_devices(r, "faults", mdl_device_faults);
}

static int do_snapshot(struct request *r)
{
	return for_devices(r, "snapshot", mdl_device_snapshot);
}

static int do_fault(struct request *r)
{
	const char *point = get_text(r, "point"), *word = get_text(r, "action");
	uint64_t arg, after, count, permille;
	int action;

	if (!point || !word)
		return fail(r, "a fault needs \"point\" and \"action\"", NULL);
	action = mdl_fault_action_parse(word);
	if (action < 0)
		return fail(r, "unknown action", word);
	if (get_num(r, "arg", INT64_MAX, &arg) || get_num(r, "after", INT64_MAX, &after) ||
	    get_num(r, "count", INT64_MAX, &count) || get_num(r, "permille", 1000, &permille))
		return -1;
	if (mdl_fault_arm(r->dev, point, (enum mdl_fault_action)action, arg, after, count,
			  (unsigned)permille))
		return fail(r, "this device has no fault point", point);
	return 0;
}

static int do_reset(struct request *r)
{
	mdl_device_reset(r->dev, MDL_RESET_CONTROL);
	return 0;
}

static int do_link(struct request *r)
{
	struct json_object *v;

	if (!json_object_object_get_ex(r->in, "up", &v) ||
	    !json_object_is_type(v, json_type_boolean))
		return fail(r, "a link request needs \"up\": true or false", NULL);
	if (!mdl_link_peer(r->dev))
		return fail(r, "this device has no link", NULL);
	mdl_link_set(r->dev, json_object_get_boolean(v));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct request *r);
	bool needs_device;
} commands[] = {
	{ "ping", do_ping, false },	    { "devices", do_devices, false },
	{ "counters", do_counters, false }, { "counters_reset", do_counters_reset, false },
	{ "faults", do_faults, false },	    { "snapshot", do_snapshot, false },
	{ "fault", do_fault, true },	    { "reset", do_reset, true },
	{ "link", do_link, true },
};

static int run(struct request *r)
{
	const char *cmd = get_text(r, "cmd"), *dev = get_text(r, "device");
	size_t i;

	if (!cmd)
		return fail(r, "a request needs \"cmd\"", NULL);
	if (!dev && json_object_object_get_ex(r->in, "device", NULL))
		return fail(r, "\"device\" is not a string", NULL);
	if (dev) {
		r->dev = fab_lab_find(r->lab, dev);
		if (!r->dev)
			return fail(r, "no device of that name, or several", dev);
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, cmd) != 0)
			continue;
		if (commands[i].needs_device && !r->dev)
			return fail(r, "this request needs \"device\"", NULL);
		return commands[i].run(r);
	}
	return fail(r, "unknown request", cmd);
}

char *fab_control_answer(struct fab_lab *lab, const char *line)
{
	struct request r = { .lab = lab, .out = json_object_new_object() };
	const char *text;
	char *answer = NULL;
	int err;

	r.in = json_tokener_parse(line);
	err = json_object_is_type(r.in, json_type_object) ? run(&r) :
							    fail(&r, "not a JSON object", NULL);
	json_object_object_add(r.out, "ok", json_object_new_boolean(!err));
	if (err)
		json_object_object_add(r.out, "error", json_object_new_string(r.error));
	text = json_object_to_json_string_ext(r.out, JSON_C_TO_STRING_PLAIN);
	if (text && asprintf(&answer, "%s\n", text) < 0)
		answer = NULL;
	json_object_put(r.in);
	json_object_put(r.out);
	return answer;
}
