// SPDX-License-Identifier: MIT
/* The admin queue and what is asked through it: Base 5. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/core/error.h"
#include "lib/nvme/private.h"
#include "util/clock.h"

/* Looks at the queue between two looks at the controller's status. */
#define LOOKS 64

static int wait_admin(struct pdmai_nvme *n, struct nvme_cqe *ret_cqe)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	int64_t end = util_now_ns() + ADMIN_NS;

	for (unsigned i = 0;; i++) {
		/* The last look comes after the time is over. */
		bool late = util_now_ns() > end;
		int ret = pdmai_nvme_take(&n->admin, ret_cqe);

		if (ret)
			return ret < 0 ? ret : 0;
		ret = i % LOOKS ? 0 : pdmai_nvme_check(n);
		if (ret)
			return ret;
		if (late)
			return pdmai_fail(ETIMEDOUT, "%s does not answer an admin command",
					  n->dev->bdf.text);
		nanosleep(&pause, NULL);
	}
}

/* One command at a time, so its number tells an answer of its own from any other. */
int pdmai_nvme_admin(struct pdmai_nvme *n, const struct nvme_sqe *cmd, uint32_t *ret_dw0)
{
	struct pdmai_nvme_queue *q = &n->admin;
	struct nvme_sqe sqe = *cmd;
	struct nvme_cqe cqe = { 0 };
	int ret = pdmai_nvme_queue_gate(q);

	if (ret)
		return ret;
	sqe.cid = htole16((uint16_t)q->next_slot++);
	pdmai_nvme_put(q, &sqe);
	ret = wait_admin(n, &cqe);
	if (!ret && cqe.cid != le16toh(sqe.cid))
		ret = pdmai_fail(EPROTO, "%s answers an admin command that nobody gave",
				 n->dev->bdf.text);
	if (ret) {
		q->broken = ret;
		return ret;
	}
	if (ret_dw0)
		*ret_dw0 = cqe.dw0;
	if (cqe.status & 0x7ff)
		return pdmai_fail(-pdmai_nvme_status_errno(cqe.status),
				  "%s refuses admin command 0x%02x: %s", n->dev->bdf.text, cmd->opc,
				  pdmai_nvme_status_text(cqe.status));
	return 0;
}

static int identify(struct pdmai_nvme *n, enum nvme_cns cns, uint32_t nsid)
{
	const struct nvme_sqe sqe = {
		.opc = NVME_IDENTIFY,
		.nsid = htole32(nsid),
		.prp1 = htole64(n->data.addr),
		.cdw10 = htole32(cns),
	};

	for (size_t i = 0; i < PDMAI_NVME_PAGE; i += sizeof(uint64_t))
		*(volatile uint64_t *)(n->data.mem + i) = 0;
	return pdmai_nvme_admin(n, &sqe, NULL);
}

/* A copy, for the controller can still write there; by whole words, for it may be the CMB. */
static void copy_answer(const struct pdmai_nvme *n, void *to, size_t len)
{
	uint64_t word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		word = *(const volatile uint64_t *)(n->data.mem + i);
		memcpy((char *)to + i, &word, len - i < sizeof(word) ? len - i : sizeof(word));
	}
}

/* As many pairs as both want. */
static int ask_queues(struct pdmai_nvme *n)
{
	const uint32_t want = PDMAI_NVME_QUEUES_MAX - 1;
	const struct nvme_sqe sqe = {
		.opc = NVME_SET_FEATURES,
		.cdw10 = htole32(NVME_F_QUEUES),
		.cdw11 = htole32(want << 16 | want),
	};
	uint32_t got = 0, sqs, cqs;
	int ret = pdmai_nvme_admin(n, &sqe, &got);

	sqs = (got & 0xffff) + 1;
	cqs = (got >> 16) + 1;
	n->info.queues = sqs < cqs ? sqs : cqs;
	if (n->info.queues > PDMAI_NVME_QUEUES_MAX)
		n->info.queues = PDMAI_NVME_QUEUES_MAX;
	return ret;
}

static int list_namespaces(struct pdmai_nvme *n)
{
	uint32_t nsids[PDMAI_NVME_NS_MAX], list[PDMAI_NVME_PAGE / sizeof(uint32_t)];
	struct nvme_ns_data data;
	unsigned count;
	int ret = identify(n, NVME_CNS_NS_LIST, 0);

	copy_answer(n, list, sizeof(list));
	ret = ret ? ret : pdmai_nvme_parse_list(list, nsids, &count);
	if (ret)
		return ret;
	for (unsigned i = 0; i < count && !ret; i++) {
		n->info.ns[i].nsid = nsids[i];
		ret = identify(n, NVME_CNS_NS, nsids[i]);
		copy_answer(n, &data, sizeof(data));
		ret = ret ? ret : pdmai_nvme_parse_ns(&data, &n->info.ns[i]);
	}
	n->info.n_ns = ret ? 0 : count;
	return ret;
}

int pdmai_nvme_discover(struct pdmai_nvme *n)
{
	struct nvme_ctrl_data data;
	int ret = identify(n, NVME_CNS_CTRL, 0);

	copy_answer(n, &data, sizeof(data));
	ret = ret ? ret : pdmai_nvme_parse_ctrl(&data, &n->info);
	ret = ret ? ret : ask_queues(n);
	return ret ? ret : list_namespaces(n);
}
