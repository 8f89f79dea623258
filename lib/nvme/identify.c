// SPDX-License-Identifier: MIT
/* What Identify answers: Base 5.17.2, NVM 4.1.5. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/nvme/nvme.h"

#define NSID_LAST 0xfffffffeu

/* Text of a fixed size, padded with spaces; what is not printable is not printed. */
static void text(char *to, const char *from, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < size; i++) {
		to[i] = from[i] > ' ' && from[i] <= '~' ? from[i] : ' ';
		len = to[i] == ' ' ? len : i + 1;
	}
	to[len] = 0;
}

static bool allows(uint8_t sizes, unsigned log2)
{
	return (sizes & 15u) <= log2 && sizes >> 4 >= log2;
}

int pdmai_nvme_parse_ctrl(const struct nvme_ctrl_data *data, struct pdmai_nvme_info *info)
{
	if (!allows(data->sqes, NVME_SQE_LOG2) || !allows(data->cqes, NVME_CQE_LOG2))
		return pdmai_fail(EPROTO,
				  "the controller wants queue entries of other sizes than "
				  "64 and 16 bytes (0x%02x, 0x%02x)",
				  data->sqes, data->cqes);
	info->len_max = PDMAI_NVME_LEN_MAX;
	/* In pages of CAP.MPSMIN, which are 4 KiB here; 0: no limit. */
	if (data->mdts && data->mdts < 9)
		info->len_max = (uint64_t)PDMAI_NVME_PAGE << data->mdts;
	info->cache = data->vwc & NVME_VWC_PRESENT;
	info->compare = le16toh(data->oncs) & NVME_ONCS_COMPARE;
	text(info->serial, data->sn, sizeof(data->sn));
	text(info->model, data->mn, sizeof(data->mn));
	text(info->firmware, data->fr, sizeof(data->fr));
	return 0;
}

int pdmai_nvme_parse_ns(const struct nvme_ns_data *data, struct pdmai_nvme_ns *ret_ns)
{
	/* Bits 6:5 are the upper ones of the index, where there are more than 16 formats. */
	unsigned idx = (data->flbas & 15u) | (data->nlbaf > 15 ? (data->flbas >> 5 & 3u) << 4 : 0);
	uint32_t format;
	unsigned log2;

	if (idx > data->nlbaf || idx >= sizeof(data->lbaf) / sizeof(data->lbaf[0]))
		return pdmai_fail(EPROTO, "namespace %u is formatted in a way it does not have",
				  ret_ns->nsid);
	format = le32toh(data->lbaf[idx]);
	log2 = format >> 16 & 0xff;
	ret_ns->blocks = le64toh(data->nsze);
	ret_ns->block = 0;
	/* Metadata and protection are not for this driver. */
	if (format & 0xffff || data->dps & 7)
		return 0;
	if (log2 < 9 || log2 > 16)
		return pdmai_fail(EPROTO, "namespace %u has blocks of 2^%u bytes", ret_ns->nsid,
				  log2);
	if (ret_ns->blocks > UINT64_MAX >> log2)
		return pdmai_fail(EPROTO, "namespace %u is longer than 2^64 bytes", ret_ns->nsid);
	ret_ns->block = 1u << log2;
	return 0;
}

int pdmai_nvme_parse_list(const uint32_t list[1024], uint32_t *ret_nsids, unsigned *ret_n)
{
	uint32_t last = 0;
	unsigned n = 0;

	/* A list that does not rise would name one namespace twice. */
	for (unsigned i = 0; i < 1024 && n < PDMAI_NVME_NS_MAX; i++) {
		uint32_t nsid = le32toh(((const volatile uint32_t *)list)[i]);

		if (!nsid)
			break;
		if (nsid <= last || nsid > NSID_LAST)
			return pdmai_fail(EPROTO, "the list of namespaces is not in order");
		ret_nsids[n++] = last = nsid;
	}
	*ret_n = n;
	return 0;
}
