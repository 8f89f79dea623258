// SPDX-License-Identifier: MIT
/* Status codes: Base 4.2.3, NVM 4.1. */
#include <errno.h>
#include <stddef.h>

#include "lib/nvme/nvme.h"

#define TYPE_AND_CODE 0x7ff

static const struct {
	uint16_t status;
	int err;
	const char *text;
} table[] = {
	{ NVME_SC_SUCCESS, 0, "success" },
	{ NVME_SC_BAD_OPCODE, EOPNOTSUPP, "invalid command opcode" },
	{ NVME_SC_BAD_FIELD, EINVAL, "invalid field in command" },
	{ NVME_SC_DATA_TRANSFER, EFAULT, "data transfer error: the memory is out of reach" },
	{ NVME_SC_INTERNAL, EIO, "internal error" },
	{ NVME_SC_ABORTED, ECANCELED, "command abort requested" },
	{ NVME_SC_SQ_DELETED, ECANCELED, "command aborted, its queue was deleted" },
	{ NVME_SC_BAD_NS, ENOENT, "invalid namespace or format" },
	{ NVME_SC_SEQUENCE, EINVAL, "command sequence error" },
	{ NVME_SC_BAD_CMB, EFAULT, "invalid use of controller memory buffer" },
	{ NVME_SC_PRP_OFFSET, EINVAL, "PRP offset invalid" },
	{ NVME_SC_LBA_RANGE, ERANGE, "LBA out of range" },
	{ NVME_SC_CQ_INVALID, EINVAL, "completion queue invalid" },
	{ NVME_SC_BAD_QID, EINVAL, "invalid queue identifier" },
	{ NVME_SC_BAD_QSIZE, EINVAL, "invalid queue size" },
	{ NVME_SC_BAD_VECTOR, EINVAL, "invalid interrupt vector" },
	{ NVME_SC_QUEUE_DELETION, EINVAL, "invalid queue deletion" },
	{ NVME_SC_WRITE_FAULT, EIO, "write fault" },
	{ NVME_SC_READ_ERROR, EIO, "unrecovered read error" },
	{ NVME_SC_COMPARE, EBADMSG, "compare failure" },
};

static size_t find(uint16_t status)
{
	size_t i = 0;

	while (i < sizeof(table) / sizeof(table[0]) && table[i].status != (status & TYPE_AND_CODE))
		i++;
	return i;
}

int pdmai_nvme_status_errno(uint16_t status)
{
	size_t i = find(status);

	return i < sizeof(table) / sizeof(table[0]) ? -table[i].err : -EREMOTEIO;
}

const char *pdmai_nvme_status_text(uint16_t status)
{
	size_t i = find(status);

	return i < sizeof(table) / sizeof(table[0]) ? table[i].text : "a status not known here";
}
