// SPDX-License-Identifier: MIT
#include "models/fabric/config.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 16

/* Why reading stopped; the first reason stays. */
struct reader {
	char *why;
	size_t n;
	bool bad;
};

static void __attribute__((format(printf, 2, 3))) bad(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->bad)
		return;
	r->bad = true;
	va_start(ap, fmt);
	vsnprintf(r->why, r->n, fmt, ap);
	va_end(ap);
}

/* One key an object may have, and where its value goes. */
struct key {
	const char *name;
	void (*take)(struct reader *r, const char *name, struct json_object *v, void *to);
	void *to;
	bool required;
};

static void take_keys(struct reader *r, const char *what, struct json_object *o,
		      const struct key *keys, unsigned n)
{
	unsigned i, seen = 0;

	if (!json_object_is_type(o, json_type_object)) {
		bad(r, "%s is not an object", what);
		return;
	}
	json_object_object_foreach(o, name, value) {
		for (i = 0; i < n && strcmp(keys[i].name, name) != 0; i++)
			;
		if (i == n) {
			bad(r, "unknown key \"%s\" in %s", name, what);
			return;
		}
		seen |= 1u << i;
		keys[i].take(r, name, value, keys[i].to);
	}
	for (i = 0; i < n; i++)
		if (keys[i].required && !(seen & 1u << i))
			bad(r, "%s has no \"%s\"", what, keys[i].name);
}

static void take_string(struct reader *r, const char *name, struct json_object *v, char *to,
			size_t n)
{
	const char *s = json_object_get_string(v);

	if (!json_object_is_type(v, json_type_string) || !s[0] || strlen(s) >= n)
		bad(r, "\"%s\" must be a string of 1 to %zu characters", name, n - 1);
	else
		strcpy(to, s);
}

static void take_path(struct reader *r, const char *name, struct json_object *v, void *to)
{
	take_string(r, name, v, to, FAB_PATH_MAX);
}

/* Names become parts of "node/device". */
static void take_name(struct reader *r, const char *name, struct json_object *v, void *to)
{
	take_string(r, name, v, to, FAB_NAME_MAX);
	if (!r->bad && strchr(to, '/'))
		bad(r, "\"%s\" must not contain a slash", name);
}

static void take_bool(struct reader *r, const char *name, struct json_object *v, void *to)
{
	if (!json_object_is_type(v, json_type_boolean))
		bad(r, "\"%s\" must be true or false", name);
	*(bool *)to = json_object_get_boolean(v);
}

static int size_shift(const char *suffix)
{
	static const char units[] = "KMGT";
	const char *u;

	if (!*suffix)
		return 0;
	u = strchr(units, *suffix);
	return u && !suffix[1] ? 10 * (int)(u - units + 1) : -1;
}

static void take_size(struct reader *r, const char *name, struct json_object *v, void *to)
{
	const char *s = json_object_get_string(v);
	unsigned long long n;
	char *end;
	int shift;

	errno = 0;
	n = s && s[0] >= '0' && s[0] <= '9' ? strtoull(s, &end, 10) : 0;
	shift = n ? size_shift(end) : -1;
	if (errno || shift < 0 || n > UINT64_MAX >> shift)
		bad(r, "\"%s\" must be a size such as 256M", name);
	else
		*(uint64_t *)to = (uint64_t)n << shift;
}

static void take_file(struct reader *r, const char *name, struct json_object *v, void *to)
{
	take_string(r, name, v, to, FAB_FILE_MAX);
}

/* The length of an array of at most max, or 0 with a reason. */
static unsigned array_len(struct reader *r, const char *name, struct json_object *v, unsigned max)
{
	if (!json_object_is_type(v, json_type_array) || json_object_array_length(v) > max) {
		bad(r, "\"%s\" must be a list of at most %u", name, max);
		return 0;
	}
	return (unsigned)json_object_array_length(v);
}

static void take_namespaces(struct reader *r, const char *name, struct json_object *v, void *to)
{
	struct fab_device_cfg *d = to;
	unsigned i, n = array_len(r, name, v, FAB_MAX_NS);

	for (i = 0; i < n && !r->bad; i++) {
		struct fab_ns_cfg *ns = &d->ns[i];
		const struct key keys[] = {
			{ "path", take_file, ns->path, true },
			{ "size", take_size, &ns->size, false },
			{ "block", take_size, &ns->block, false },
		};

		take_keys(r, "a namespace", json_object_array_get_idx(v, i), keys,
			  sizeof(keys) / sizeof(keys[0]));
	}
	d->n_ns = n;
}

/* A size, or false for none. */
static void take_cmb(struct reader *r, const char *name, struct json_object *v, void *to)
{
	struct fab_device_cfg *d = to;

	d->no_cmb = json_object_is_type(v, json_type_boolean) && !json_object_get_boolean(v);
	if (!d->no_cmb)
		take_size(r, name, v, &d->cmb);
}

static void take_device(struct reader *r, struct json_object *o, struct fab_device_cfg *d)
{
	const struct key keys[] = {
		{ "name", take_name, d->name, true },
		{ "model", take_name, d->model, true },
		{ "socket", take_path, d->socket, true },
		{ "switch", take_name, d->sw, false },
		{ "acs_redirect", take_bool, &d->acs_redirect, false },
		{ "vram", take_size, &d->vram, false },
		{ "cmb", take_cmb, d, false },
		{ "cmb_legacy", take_bool, &d->cmb_legacy, false },
		{ "cache", take_size, &d->cache, false },
		{ "namespaces", take_namespaces, d, false },
	};

	take_keys(r, "a device", o, keys, sizeof(keys) / sizeof(keys[0]));
}

static void take_devices(struct reader *r, const char *name, struct json_object *v, void *to)
{
	struct fab_node_cfg *node = to;
	unsigned i, n = array_len(r, name, v, FAB_MAX_DEVICES);

	for (i = 0; i < n && !r->bad; i++)
		take_device(r, json_object_array_get_idx(v, i), &node->dev[i]);
	node->n_devs = n;
}

static void take_nodes(struct reader *r, const char *name, struct json_object *v, void *to)
{
	struct fab_config *cfg = to;
	unsigned i, n = array_len(r, name, v, FAB_MAX_NODES);

	for (i = 0; i < n && !r->bad; i++) {
		struct fab_node_cfg *node = &cfg->node[i];
		const struct key keys[] = {
			{ "name", take_name, node->name, true },
			{ "qmp", take_path, node->qmp, false },
			{ "host_bridge_p2p", take_bool, &node->host_bridge_p2p, false },
			{ "iommu", take_bool, &node->iommu, false },
			{ "devices", take_devices, node, true },
		};

		take_keys(r, "a node", json_object_array_get_idx(v, i), keys,
			  sizeof(keys) / sizeof(keys[0]));
	}
	cfg->n_nodes = n;
}

static void take_links(struct reader *r, const char *name, struct json_object *v, void *to)
{
	struct fab_config *cfg = to;
	unsigned i, end, n = array_len(r, name, v, FAB_MAX_LINKS);

	for (i = 0; i < n && !r->bad; i++) {
		struct json_object *pair = json_object_array_get_idx(v, i);

		if (!json_object_is_type(pair, json_type_array) ||
		    json_object_array_length(pair) != 2) {
			bad(r, "a link must be a list of two devices");
			return;
		}
		for (end = 0; end < 2; end++)
			take_string(r, name, json_object_array_get_idx(pair, end),
				    cfg->link[i][end], sizeof(cfg->link[i][end]));
	}
	cfg->n_links = n;
}

static void take_config(struct reader *r, struct json_object *o, struct fab_config *cfg)
{
	const struct key keys[] = {
		{ "control", take_path, cfg->control, true },
		{ "nodes", take_nodes, cfg, true },
		{ "links", take_links, cfg, false },
	};

	take_keys(r, "the configuration", o, keys, sizeof(keys) / sizeof(keys[0]));
}

static unsigned path_uses(const struct fab_config *cfg, const char *path)
{
	unsigned i, k, n = !strcmp(cfg->control, path);

	for (i = 0; i < cfg->n_nodes; i++)
		for (k = 0; k < cfg->node[i].n_devs; k++)
			n += !strcmp(cfg->node[i].dev[k].socket, path);
	return n;
}

/* The later of two listeners on one path would take it from the earlier without a word. */
static void check_paths(struct reader *r, const struct fab_config *cfg)
{
	unsigned i, k;

	for (i = 0; i < cfg->n_nodes && !r->bad; i++)
		for (k = 0; k < cfg->node[i].n_devs; k++)
			if (path_uses(cfg, cfg->node[i].dev[k].socket) > 1)
				bad(r, "two sockets have the path %s", cfg->node[i].dev[k].socket);
}

static struct json_object *read_json(const char *path, char *why, size_t n, int *ret_err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct json_object *o;

	if (fd < 0) {
		*ret_err = -errno;
		snprintf(why, n, "%s: %s", path, strerror(errno));
		return NULL;
	}
	o = json_object_from_fd_ex(fd, MAX_DEPTH);
	close(fd);
	*ret_err = o ? 0 : -EINVAL;
	if (!o)
		snprintf(why, n, "%s: not valid JSON", path);
	return o;
}

int fab_config_load(const char *path, struct fab_config **ret_cfg, char *why, size_t n)
{
	struct reader r = { .why = why, .n = n };
	struct fab_config *cfg;
	struct json_object *o;
	int err;

	o = read_json(path, why, n, &err);
	if (!o)
		return err;
	cfg = calloc(1, sizeof(*cfg));
	if (cfg)
		take_config(&r, o, cfg);
	if (cfg && !r.bad)
		check_paths(&r, cfg);
	json_object_put(o);
	if (!cfg || r.bad) {
		err = cfg ? -EINVAL : -ENOMEM;
		free(cfg);
		return err;
	}
	*ret_cfg = cfg;
	return 0;
}
