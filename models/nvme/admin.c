// SPDX-License-Identifier: MIT
/* Admin commands by opcode, and Abort. */
#include "models/nvme/internal.h"

/* 5.1: what waits can be aborted; what is executed is over before Abort is. */
static uint16_t do_abort(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t sqid = cmd->sqe.cdw10 & 0xffff, cid = cmd->sqe.cdw10 >> 16;
	bool done;

	if (sqid >= NVME_QUEUES || !nvme_sq_live(c, sqid)) {
		cmd->where = 40;
		return NVME_BAD(NVME_SC_BAD_FIELD);
	}
	done = !sqid ? nvme_abort_aer(c, (uint16_t)cid) :
		       nvme_pending_abort(c, (uint16_t)sqid, (uint16_t)cid);
	cmd->result = done ? 0 : 1;
	return 0;
}

static uint16_t (*const commands[256])(struct nvme *c, struct nvme_cmd *cmd) = {
	[NVME_DELETE_SQ] = nvme_delete_sq,
	[NVME_CREATE_SQ] = nvme_create_sq,
	[NVME_GET_LOG] = nvme_get_log,
	[NVME_DELETE_CQ] = nvme_delete_cq,
	[NVME_CREATE_CQ] = nvme_create_cq,
	[NVME_IDENTIFY] = nvme_identify,
	[NVME_ABORT] = do_abort,
	[NVME_SET_FEATURES] = nvme_set_features,
	[NVME_GET_FEATURES] = nvme_get_features,
	[NVME_ASYNC_EVENT] = nvme_async_event,
};

bool nvme_admin_known(unsigned opc)
{
	return opc < 256 && commands[opc];
}

uint16_t nvme_admin(struct nvme *c, struct nvme_cmd *cmd)
{
	mdl_count(c->dev, NVME_C_ADMIN);
	if (!commands[cmd->sqe.opc]) {
		cmd->where = 0;
		return NVME_BAD(NVME_SC_BAD_OPCODE);
	}
	/* PCIe Transport 3.2: data of admin commands is given by PRPs. */
	if (NVME_PSDT(cmd->sqe.flags)) {
		cmd->where = 1;
		return NVME_BAD(NVME_SC_BAD_FIELD);
	}
	return commands[cmd->sqe.opc](c, cmd);
}
