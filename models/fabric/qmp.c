// SPDX-License-Identifier: MIT
#include "models/fabric/qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "models/common/node.h"

/* The register block of QEMU's intel-iommu: global status at 0x1c, root table address at 0x20. */
#define READ_VTD  "xp /3wx 0xfed9001c"
#define GSTS_TES  (UINT32_C(1) << 31)
#define MAX_DEPTH 8

struct qmp {
	int fd;
	char buf[256 * 1024];
	size_t len;
};

static int qmp_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 2 };
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* The next line as JSON, or NULL. The caller puts it. */
static struct json_object *read_line(struct qmp *q)
{
	struct json_object *o;
	char *nl;
	ssize_t n;

	while (!(nl = memchr(q->buf, '\n', q->len))) {
		if (q->len == sizeof(q->buf))
			return NULL;
		n = recv(q->fd, q->buf + q->len, sizeof(q->buf) - q->len, 0);
		if (n <= 0)
			return NULL;
		q->len += (size_t)n;
	}
	*nl = 0;
	o = json_tokener_parse(q->buf);
	q->len -= (size_t)(nl + 1 - q->buf);
	memmove(q->buf, nl + 1, q->len);
	return o;
}

/* Send a command, skip events, give its "return". The caller puts *ret. */
static int qmp_run(struct qmp *q, const char *cmd, struct json_object **ret)
{
	struct json_object *line, *value;
	size_t len = strlen(cmd);

	if (send(q->fd, cmd, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -EPIPE;
	while ((line = read_line(q))) {
		if (json_object_object_get_ex(line, "return", &value)) {
			*ret = json_object_get(value);
			json_object_put(line);
			return 0;
		}
		if (json_object_object_get_ex(line, "error", NULL)) {
			json_object_put(line);
			return -EPROTO;
		}
		json_object_put(line);
	}
	return -EPROTO;
}

static int get_int(struct json_object *o, const char *name, int max)
{
	struct json_object *v;
	int n;

	if (!json_object_object_get_ex(o, name, &v))
		return -1;
	n = json_object_get_int(v);
	return n >= 0 && n <= max ? n : -1;
}

static int find_in_devices(struct json_object *devices, const char *id, unsigned depth,
			   struct mdl_iommu_root *root);

static int match_device(struct json_object *d, const char *id, unsigned depth,
			struct mdl_iommu_root *root)
{
	struct json_object *v, *bridge;
	int bus, slot, fn;

	if (json_object_object_get_ex(d, "qdev_id", &v) && !strcmp(json_object_get_string(v), id)) {
		bus = get_int(d, "bus", 255);
		slot = get_int(d, "slot", 31);
		fn = get_int(d, "function", 7);
		if (bus < 0 || slot < 0 || fn < 0)
			return -EPROTO;
		root->bus = (uint8_t)bus;
		root->devfn = (uint8_t)(slot << 3 | fn);
		return 0;
	}
	if (json_object_object_get_ex(d, "pci_bridge", &bridge) &&
	    json_object_object_get_ex(bridge, "devices", &v))
		return find_in_devices(v, id, depth + 1, root);
	return -ENOENT;
}

static int find_in_devices(struct json_object *devices, const char *id, unsigned depth,
			   struct mdl_iommu_root *root)
{
	size_t i, n;
	int err = -ENOENT;

	if (depth > MAX_DEPTH || !json_object_is_type(devices, json_type_array))
		return -EPROTO;
	n = json_object_array_length(devices);
	for (i = 0; i < n && err == -ENOENT; i++)
		err = match_device(json_object_array_get_idx(devices, i), id, depth, root);
	return err;
}

static int find_device(struct qmp *q, const char *id, struct mdl_iommu_root *root)
{
	struct json_object *buses, *devices;
	size_t i;
	int err = qmp_run(q, "{\"execute\":\"query-pci\"}\n", &buses);

	if (err)
		return err;
	err = -ENOENT;
	for (i = 0; err == -ENOENT && json_object_is_type(buses, json_type_array) &&
		    i < json_object_array_length(buses);
	     i++)
		if (json_object_object_get_ex(json_object_array_get_idx(buses, i), "devices",
					      &devices))
			err = find_in_devices(devices, id, 0, root);
	json_object_put(buses);
	return err;
}

static int read_registers(struct qmp *q, struct mdl_iommu_root *root)
{
	struct json_object *text;
	uint32_t status, lo, hi;
	int err, n;

	err = qmp_run(q,
		      "{\"execute\":\"human-monitor-command\","
		      "\"arguments\":{\"command-line\":\"" READ_VTD "\"}}\n",
		      &text);
	if (err)
		return err;
	n = sscanf(json_object_get_string(text), "%*[^:]: %" SCNx32 " %" SCNx32 " %" SCNx32,
		   &status, &lo, &hi);
	json_object_put(text);
	if (n != 3)
		return -EPROTO;
	root->enabled = status & GSTS_TES;
	root->root = (uint64_t)hi << 32 | lo;
	return 0;
}

static int talk(struct qmp *q, const char *dev_id, struct mdl_iommu_root *root)
{
	struct json_object *o = read_line(q); /* the greeting */
	int err;

	if (!o)
		return -EPROTO;
	json_object_put(o);
	err = qmp_run(q, "{\"execute\":\"qmp_capabilities\"}\n", &o);
	if (err)
		return err;
	json_object_put(o);
	err = find_device(q, dev_id, root);
	return err ? err : read_registers(q, root);
}

int fab_qmp_iommu_root(const char *path, const char *dev_id, struct mdl_iommu_root *ret_root)
{
	struct mdl_iommu_root root = { 0 };
	static struct qmp q; /* one question at a time: the caller's lock (lab.c) */
	int err;

	q.fd = qmp_connect(path);
	if (q.fd < 0)
		return q.fd;
	q.len = 0;
	err = talk(&q, dev_id, &root);
	close(q.fd);
	if (!err)
		*ret_root = root;
	return err;
}
