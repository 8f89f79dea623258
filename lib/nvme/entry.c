// SPDX-License-Identifier: MIT
/* Commands as entries of a submission queue: Base 4.2, NVM 3.2. */
#include <endian.h>

#include "lib/nvme/nvme.h"

int pdmai_nvme_encode(const struct pdmai_nvme_cmd *cmd, uint16_t cid, volatile uint64_t *list,
		      uint64_t list_addr, struct nvme_sqe *ret_sqe)
{
	struct nvme_sqe sqe = {
		.opc = (uint8_t)cmd->opc,
		.cid = htole16(cid),
		.nsid = htole32(cmd->nsid),
	};
	uint64_t prp1 = 0, prp2 = 0;
	int ret = 0;

	if (cmd->n_seg)
		ret = pdmai_nvme_prp(cmd->seg, cmd->n_seg, list, list_addr, &prp1, &prp2);
	if (ret)
		return ret;
	sqe.prp1 = htole64(prp1);
	sqe.prp2 = htole64(prp2);
	if (cmd->blocks) {
		sqe.cdw10 = htole32((uint32_t)cmd->lba);
		sqe.cdw11 = htole32((uint32_t)(cmd->lba >> 32));
		sqe.cdw12 = htole32((cmd->blocks - 1) | (cmd->fua ? NVME_RW_FUA : 0));
	}
	*ret_sqe = sqe;
	return 0;
}
