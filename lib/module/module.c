// SPDX-License-Identifier: MIT
#include "lib/module/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "peerdma/context.h"
#include "uapi/peerdma/ioctl.h"

#define DEVICE	     "/dev/peerdma"
#define ROWS_AT_ONCE 256u /* at least; the kernel counts all rows each time */

int pdmai_module_open(struct pdma_ctx *ctx)
{
	int fd;

	if (strcmp(pdma_ctx_sysroot(ctx), "/"))
		return pdmai_fail(EOPNOTSUPP, "a captured machine has no kernel to ask");
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return pdmai_fail(ENOENT, "the kernel module peerdma is not loaded");
	return pdmai_fail_errno(errno, "cannot open " DEVICE);
}

struct rows {
	char *data;
	size_t n, room, size;
};

static int make_room(struct rows *rows, uint64_t n)
{
	size_t room = rows->n + (n < UINT32_MAX / 2 ? n : UINT32_MAX / 2);
	char *data;

	data = reallocarray(rows->data, room, rows->size);
	if (!data)
		return pdmai_fail(ENOMEM, "out of memory");
	rows->data = data;
	rows->room = room;
	return 0;
}

static int list_all(int fd, unsigned long request, uint32_t scope, struct rows *rows)
{
	struct peerdma_list list = { .size = sizeof(list) };
	uint64_t want = ROWS_AT_ONCE;
	int err;

	do {
		err = make_room(rows, want);
		if (err)
			return err;
		list.rows = (uintptr_t)(rows->data + rows->n * rows->size);
		list.row_size = (uint32_t)rows->size;
		list.n_rows = (uint32_t)(rows->room - rows->n);
		list.scope = scope;
		list.n_total = 0;
		if (ioctl(fd, request, &list))
			return errno == ENOTTY ?
				       pdmai_fail(EOPNOTSUPP, "the module peerdma is too old") :
				       pdmai_fail_errno(errno, "the kernel does not answer");
		rows->n += list.n_rows;
		want = list.n_total - list.n_rows + ROWS_AT_ONCE;
	} while (list.cursor);
	return 0;
}

int pdmai_module_list(int fd, unsigned long request, uint32_t scope, size_t row_size,
		      void **ret_rows, size_t *ret_n)
{
	struct rows rows = { .size = row_size };
	int err = list_all(fd, request, scope, &rows);

	if (err) {
		free(rows.data);
		return err;
	}
	*ret_rows = rows.data;
	*ret_n = rows.n;
	return 0;
}
