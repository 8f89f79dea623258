// SPDX-License-Identifier: MIT
#include "tests/guest/lib_rig.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 20000

void lib_open(struct lib_rig *r)
{
	memset(r, 0, sizeof(*r));
	r->iommu = !access("/sys/kernel/iommu_groups/0", F_OK);
	CHECK_EQ(kit_control_open(&r->control), 0);
	LIB_OK(pdma_ctx_create(NULL, &r->ctx));
}

void lib_close(struct lib_rig *r)
{
	pdma_ctx_destroy(r->ctx);
	rdma_pair_close(&r->nic);
	kit_control_close(r->control);
}

void lib_nic_open(struct lib_rig *r)
{
	rdma_pair_open(&r->nic, "", 0);
}

/* Capital letters and a digit behind the first colon are the name of a slot. */
static void expand(const char *uri, char *buf, size_t size)
{
	const char *colon = strchr(uri, ':');
	char variable[64] = "PEERDMA_SLOT_";
	size_t n = 0;

	CHECK(colon != NULL);
	while (isupper((unsigned char)colon[1 + n]))
		n++;
	if (!n) {
		snprintf(buf, size, "%s", uri);
		return;
	}
	n++;
	strncat(variable, colon + 1, n);
	CHECK(getenv(variable) != NULL);
	snprintf(buf, size, "%.*s%s%s", (int)(colon - uri + 1), uri, getenv(variable),
		 colon + 1 + n);
}

int lib_try_region(struct lib_rig *r, const char *uri, struct pdma_region **ret_region)
{
	char text[512];

	expand(uri, text, sizeof(text));
	return pdma_region_open(r->ctx, text, NULL, ret_region);
}

struct pdma_region *lib_region(struct lib_rig *r, const char *uri)
{
	struct pdma_region *region = NULL;
	int ret = lib_try_region(r, uri, &region);

	if (ret)
		tap_fail(__FILE__, __LINE__, "%s: %d: %s", uri, ret, pdma_error());
	return region;
}

enum ibv_wc_status lib_rdma(struct lib_rig *r, enum ibv_wr_opcode op, const struct pdma_mr *local,
			    uint64_t local_off, const struct pdma_mr *remote, uint64_t remote_off,
			    uint32_t len)
{
	struct pdma_mr_info l = lib_mr_info(local), f = lib_mr_info(remote);
	struct ibv_sge sge = { .addr = l.addr + local_off, .length = len, .lkey = l.lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = op,
		.wr.rdma = { .remote_addr = f.addr + remote_off, .rkey = f.rkey },
	};
	enum ibv_wc_status status = rdma_pair_run(&r->nic, &wr);

	/* An error takes the queues down with it. */
	if (status)
		rdma_pair_connect(&r->nic);
	return status;
}

struct pdma_mr_info lib_mr_info(const struct pdma_mr *mr)
{
	struct pdma_mr_info info = { .size = sizeof(info) };

	LIB_OK(pdma_mr_get_info(mr, &info));
	return info;
}

struct kit_bytes lib_bytes(struct lib_rig *r, const char *device)
{
	struct kit_bytes bytes;

	CHECK_EQ(kit_control_bytes(r->control, device, &bytes), 0);
	return bytes;
}

struct pdma_event lib_event(struct lib_rig *r, enum pdma_event_type type)
{
	struct pdma_event event;

	CHECK_EQ(pdma_event_wait(r->ctx, WAIT_MS, &event), 1);
	if (event.type != type)
		tap_fail(__FILE__, __LINE__, "event %s (%s) instead of %s",
			 pdma_event_name(event.type), event.text, pdma_event_name(type));
	CHECK(event.text[0] != 0);
	return event;
}

void lib_no_event(struct lib_rig *r)
{
	struct pdma_event event;

	if (pdma_event_next(r->ctx, &event))
		tap_fail(__FILE__, __LINE__, "unexpected event %s: %s", pdma_event_name(event.type),
			 event.text);
}
