// SPDX-License-Identifier: MIT
#include <errno.h>

#include "lib/accel/accel.h"

static const struct {
	uint16_t status;
	int err;
	const char *name;
} table[] = {
	{ ACCEL_OK, 0, "OK" },
	{ ACCEL_BAD_OPCODE, EINVAL, "BAD_OPCODE" },
	{ ACCEL_BAD_FLAGS, EINVAL, "BAD_FLAGS" },
	{ ACCEL_BAD_FIELD, EINVAL, "BAD_FIELD" },
	{ ACCEL_BAD_PARAM, EINVAL, "BAD_PARAM" },
	{ ACCEL_BAD_LENGTH, EINVAL, "BAD_LENGTH" },
	{ ACCEL_BAD_SPACE, EINVAL, "BAD_SPACE" },
	{ ACCEL_BAD_COUNT, EINVAL, "BAD_COUNT" },
	{ ACCEL_BAD_ALIGN, EINVAL, "BAD_ALIGN" },
	{ ACCEL_BAD_RANGE, ERANGE, "BAD_RANGE" },
	{ ACCEL_SGL_LENGTH, EINVAL, "SGL_LENGTH" },
	{ ACCEL_OVERLAP, EINVAL, "OVERLAP" },
	{ ACCEL_DMA_UNMAPPED, EFAULT, "DMA_UNMAPPED" },
	{ ACCEL_DMA_DENIED, EACCES, "DMA_DENIED" },
	{ ACCEL_DMA_PEER, EREMOTEIO, "DMA_PEER" },
	{ ACCEL_DMA_ERROR, EIO, "DMA_ERROR" },
	{ ACCEL_LINK_DOWN, ENOLINK, "LINK_DOWN" },
	{ ACCEL_MISCOMPARE, EBADMSG, "MISCOMPARE" },
	{ ACCEL_ABORTED, ECANCELED, "ABORTED" },
	{ ACCEL_INTERNAL, EIO, "INTERNAL" },
};

const char *pdmai_accel_status_name(uint16_t status)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return table[i].name;
	return "unknown";
}

int pdmai_accel_status_errno(uint16_t status)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return -table[i].err;
	return -EPROTO;
}
