// SPDX-License-Identifier: MIT
#include "tests/guest/kernel_shown.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/guest/tap.h"
#include "uapi/peerdma/ioctl.h"

#define MAX_ROWS 32

static const char *const names[] = {
	[KERNEL_CPU] = "cpu-mapping", [KERNEL_EXPORT] = "export", [KERNEL_ATTACH] = "attachment",
	[KERNEL_IMPORT] = "import",   [KERNEL_HELD] = "held",
};

static int device(void)
{
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static size_t list(unsigned long request, void *rows, size_t row_size)
{
	struct peerdma_list l = { .size = sizeof(l),
				  .rows = (uintptr_t)rows,
				  .row_size = (uint32_t)row_size,
				  .n_rows = MAX_ROWS };
	int fd = device();

	CHECK_EQ(ioctl(fd, request, &l), 0);
	CHECK_EQ(l.cursor, 0);
	close(fd);
	return l.n_rows;
}

static void print_rows(const struct peerdma_pin_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("# shown: kind %u, %llu bytes, pid %d, flags %u, importer '%.32s'\n",
		       rows[i].kind, (unsigned long long)rows[i].bytes, rows[i].pid, rows[i].flags,
		       rows[i].importer);
}

static void check_row(const struct peerdma_pin_row *row, const struct kernel_want *want)
{
	bool gone = want->flags & KERNEL_PROVIDER_GONE;
	char exporter[16];

	CHECK_EQ(row->kind, want->kind);
	CHECK_EQ(row->bytes, want->bytes);
	CHECK_EQ(row->pid, want->pid);
	CHECK_EQ(row->flags & ~PEERDMA_PIN_REVOCABLE, want->flags);
	CHECK(!strcmp(row->importer, want->importer ? want->importer : ""));
	CHECK(!strcmp(row->driver, "peerdma_vfio"));
	snprintf(exporter, sizeof(exporter), "%04x:%02x:%02x.%x", row->exporter.domain,
		 row->exporter.bus, row->exporter.devfn >> 3, row->exporter.devfn & 7);
	CHECK(gone || !strcmp(exporter, getenv("PEERDMA_SLOT_ACC0")));
}

static void by_request(const struct kernel_want *want, size_t n_want)
{
	struct peerdma_pin_row rows[MAX_ROWS];
	size_t n = list(PEERDMA_IOC_PINS, rows, sizeof(rows[0]));

	if (n != n_want)
		print_rows(rows, n);
	CHECK_EQ(n, n_want);
	for (size_t i = 0; i < n; i++) {
		printf("# pin %zu: kind %u\n", i, want[i].kind);
		check_row(&rows[i], &want[i]);
	}
}

static const char *text(struct json_object *o, const char *key)
{
	struct json_object *value;

	CHECK(json_object_object_get_ex(o, key, &value));
	return value ? json_object_get_string(value) : "";
}

static int64_t number(struct json_object *o, const char *key)
{
	struct json_object *value;

	CHECK(json_object_object_get_ex(o, key, &value));
	return json_object_get_int64(value);
}

/* What the command says. */
static struct json_object *said(void)
{
	static char buf[65536];
	struct json_object *o;
	char command[256];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "%s/cli/peerdma pins --json", getenv("PEERDMA_BUILD"));
	f = popen(command, "r");
	CHECK(f != NULL);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = 0;
	CHECK_EQ(pclose(f), 0);
	o = json_tokener_parse(buf);
	CHECK(o != NULL);
	return o;
}

static void by_command(const struct kernel_want *want, size_t n)
{
	struct json_object *o = said(), *pins;

	CHECK(json_object_object_get_ex(o, "pins", &pins));
	CHECK_EQ(json_object_array_length(pins), n);
	for (size_t i = 0; i < n; i++) {
		struct json_object *pin = json_object_array_get_idx(pins, i);

		CHECK(!strcmp(text(pin, "kind"), names[want[i].kind]));
		CHECK(!strcmp(text(pin, "exporter"), getenv("PEERDMA_SLOT_ACC0")));
		CHECK(!strcmp(text(pin, "importer"), want[i].importer ? want[i].importer : ""));
		CHECK_EQ(number(pin, "bytes"), want[i].bytes);
		CHECK_EQ(number(pin, "pid"), want[i].pid);
		CHECK_EQ(number(pin, "process_gone"), !!(want[i].flags & KERNEL_OWNER_GONE));
		CHECK_EQ(number(pin, "driver_gone"), !!(want[i].flags & KERNEL_PROVIDER_GONE));
	}
	json_object_put(o);
}

void kernel_shown(const struct kernel_want *want, size_t n)
{
	by_request(want, n);
	by_command(want, n);
}

void kernel_nothing_shown(void)
{
	kernel_shown(NULL, 0);
}

void kernel_provider(uint64_t bytes, uint64_t charged)
{
	struct peerdma_provider_row rows[MAX_ROWS];
	size_t n = list(PEERDMA_IOC_PROVIDERS, rows, sizeof(rows[0]));

	CHECK_EQ(n, bytes ? 1 : 0);
	if (!n)
		return;
	CHECK(!strcmp(rows[0].driver, "peerdma_vfio"));
	CHECK_EQ(rows[0].bytes, bytes);
	CHECK_EQ(rows[0].charged_bytes, charged);
}

static struct peerdma_limit limit(unsigned long request, uid_t uid, uint64_t max)
{
	struct peerdma_limit l = {
		.size = sizeof(l), .scope = PEERDMA_SCOPE_USER, .id = uid, .max = max
	};
	int fd = device();

	CHECK_EQ(ioctl(fd, request, &l), 0);
	close(fd);
	return l;
}

void kernel_limit(uid_t uid, uint64_t max)
{
	if (max == PEERDMA_NO_LIMIT)
		limit(PEERDMA_IOC_LIMIT_CLEAR, uid, 0);
	else
		limit(PEERDMA_IOC_LIMIT_SET, uid, max);
}

uint64_t kernel_used(uid_t uid)
{
	return limit(PEERDMA_IOC_LIMIT_GET, uid, 0).used;
}

int kernel_listen(void)
{
	struct peerdma_listen l = { .size = sizeof(l),
				    .types = 1u << PEERDMA_EVENT_REVOKE_BEGIN |
					     1u << PEERDMA_EVENT_REVOKE_END |
					     1u << PEERDMA_EVENT_REVOKE_TIMEOUT };
	int fd = open("/dev/peerdma", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	CHECK(fd >= 0);
	CHECK_EQ(ioctl(fd, PEERDMA_IOC_LISTEN, &l), 0);
	return fd;
}

void kernel_revoked(int fd, int error)
{
	struct peerdma_event e[2];

	CHECK_EQ(read(fd, e, sizeof(e)), sizeof(e));
	CHECK_EQ(e[0].type, PEERDMA_EVENT_REVOKE_BEGIN);
	CHECK_EQ(e[1].type,
		 error == ETIMEDOUT ? PEERDMA_EVENT_REVOKE_TIMEOUT : PEERDMA_EVENT_REVOKE_END);
	CHECK_EQ(e[1].error, error);
}

void kernel_no_event(int fd)
{
	struct peerdma_event e;

	CHECK_EQ(read(fd, &e, sizeof(e)), -1);
	CHECK_EQ(errno, EAGAIN);
}
