// SPDX-License-Identifier: MIT
#include "bench/kit/control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_NAME  "peerdma.control"
#define PORTS	   "/sys/class/virtio-ports"
#define ANSWER_MS  15000
#define ANSWER_MAX (256u << 10)

struct kit_control {
	int fd;
	char error[256];
	char answer[ANSWER_MAX];
};

static bool is_control(const char *dir)
{
	char path[300], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), PORTS "/%s/name", dir);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	text[strcspn(text, "\n")] = 0;
	return !strcmp(text, PORT_NAME);
}

static int open_port(void)
{
	char path[300] = "";
	struct dirent *e;
	DIR *d = opendir(PORTS);
	int fd;

	if (!d)
		return -ENOENT;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && is_control(e->d_name))
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
	closedir(d);
	if (!path[0])
		return -ENOENT;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int kit_control_open(struct kit_control **ret_control)
{
	struct kit_control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->fd = open_port();
	if (c->fd < 0) {
		int err = c->fd;

		free(c);
		return err;
	}
	/* An answer that a process before us did not wait for. */
	while (read(c->fd, c->answer, sizeof(c->answer)) > 0)
		;
	*ret_control = c;
	return 0;
}

void kit_control_close(struct kit_control *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c);
}

const char *kit_control_error(const struct kit_control *c)
{
	return c->error;
}

static int wait_for(struct kit_control *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int n = poll(&p, 1, ANSWER_MS);

	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	return p.revents & events ? 0 : -EIO;
}

static int send_all(struct kit_control *c, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(c->fd, text, len);
		int ret;

		if (n > 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN)
			return -errno;
		ret = wait_for(c, POLLOUT);
		if (ret)
			return ret;
	}
	return 0;
}

static int receive_line(struct kit_control *c)
{
	size_t have = 0;

	while (have < sizeof(c->answer) - 1) {
		ssize_t n;
		int ret = wait_for(c, POLLIN);

		if (ret)
			return ret;
		n = read(c->fd, c->answer + have, sizeof(c->answer) - 1 - have);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return -EIO;
		have += (size_t)n;
		if (c->answer[have - 1] == '\n') {
			c->answer[have - 1] = 0;
			return 0;
		}
	}
	return -EPROTO;
}

static int check_answer(struct kit_control *c, struct json_object *answer)
{
	struct json_object *ok, *why;

	if (!json_object_object_get_ex(answer, "ok", &ok))
		return -EPROTO;
	if (json_object_get_boolean(ok))
		return 0;
	if (json_object_object_get_ex(answer, "error", &why))
		snprintf(c->error, sizeof(c->error), "%s", json_object_get_string(why));
	return -EREMOTEIO;
}

int kit_control_ask(struct kit_control *c, struct json_object **ret_answer, const char *format, ...)
{
	struct json_object *answer;
	char text[1024];
	va_list ap;
	int n, ret;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text) - 1, format, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(text) - 1)
		return -E2BIG;
	text[n++] = '\n';
	c->error[0] = 0;
	ret = send_all(c, text, (size_t)n);
	ret = ret ? ret : receive_line(c);
	if (ret)
		return ret;
	answer = json_tokener_parse(c->answer);
	if (!answer)
		return -EPROTO;
	ret = check_answer(c, answer);
	if (!ret && ret_answer)
		*ret_answer = answer;
	else
		json_object_put(answer);
	return ret;
}

/* Follow names, divided by '/', down. */
static struct json_object *descend(struct json_object *o, const char *way)
{
	char name[64];

	while (o && *way) {
		size_t len = strcspn(way, "/");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, way, len);
		name[len] = 0;
		way += len + (way[len] == '/');
		if (!json_object_object_get_ex(o, name, &o))
			return NULL;
	}
	return o;
}

static int ask_counters(struct kit_control *c, const char *device, struct json_object **ret_answer,
			struct json_object **ret_counters)
{
	struct json_object *all;
	int ret;

	ret = kit_control_ask(c, ret_answer, "{\"cmd\":\"counters\",\"device\":\"%s\"}", device);
	if (ret)
		return ret;
	/* One device was asked for, so there is one, named "node/device". */
	if (json_object_object_get_ex(*ret_answer, "counters", &all)) {
		json_object_object_foreach(all, name, counters) {
			(void)name;
			*ret_counters = counters;
			return 0;
		}
	}
	json_object_put(*ret_answer);
	return -EPROTO;
}

static int get_u64(struct json_object *counters, const char *way, uint64_t *ret_value)
{
	struct json_object *o = descend(counters, way);

	if (!o)
		return -EPROTO;
	*ret_value = json_object_get_uint64(o);
	return 0;
}

int kit_control_bytes(struct kit_control *c, const char *device, struct kit_bytes *ret_bytes)
{
	static const char *const names[KIT_TARGETS] = { "host",	       "own",	    "peer_switch",
							"peer_bridge", "peer_qemu", "link" };
	struct json_object *answer, *counters;
	char way[96];
	int ret;

	ret = ask_counters(c, device, &answer, &counters);
	if (ret)
		return ret;
	for (int i = 0; i < KIT_TARGETS && !ret; i++) {
		snprintf(way, sizeof(way), "dma/data/%s/read/bytes", names[i]);
		ret = get_u64(counters, way, &ret_bytes->read[i]);
		snprintf(way, sizeof(way), "dma/data/%s/write/bytes", names[i]);
		ret = ret ? ret : get_u64(counters, way, &ret_bytes->write[i]);
	}
	json_object_put(answer);
	return ret;
}

int kit_control_counter(struct kit_control *c, const char *device, const char *name,
			uint64_t *ret_value)
{
	struct json_object *answer, *counters;
	int ret;

	ret = ask_counters(c, device, &answer, &counters);
	if (ret)
		return ret;
	ret = get_u64(counters, name, ret_value);
	json_object_put(answer);
	return ret;
}

int kit_control_fault(struct kit_control *c, const char *device, const char *point,
		      const char *action, uint64_t arg, unsigned after, unsigned count)
{
	return kit_control_ask(c, NULL,
			       "{\"cmd\":\"fault\",\"device\":\"%s\",\"point\":\"%s\","
			       "\"action\":\"%s\",\"arg\":%llu,\"after\":%u,\"count\":%u}",
			       device, point, action, (unsigned long long)arg, after, count);
}

int kit_control_link(struct kit_control *c, const char *device, bool up)
{
	return kit_control_ask(c, NULL, "{\"cmd\":\"link\",\"device\":\"%s\",\"up\":%s}", device,
			       up ? "true" : "false");
}

int kit_control_reset(struct kit_control *c, const char *device)
{
	return kit_control_ask(c, NULL, "{\"cmd\":\"reset\",\"device\":\"%s\"}", device);
}

struct kit_bytes kit_bytes_since(const struct kit_bytes *before, const struct kit_bytes *after)
{
	struct kit_bytes d;

	for (int i = 0; i < KIT_TARGETS; i++) {
		d.read[i] = after->read[i] - before->read[i];
		d.write[i] = after->write[i] - before->write[i];
	}
	return d;
}
