// SPDX-License-Identifier: MIT
/* A queue of our own drive, used by RDMA: what its holder can do, and what he cannot. */
#include "tests/guest/nvme_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LBA  8192
#define DATA (2 * MIB)

struct link {
	struct own o;
	struct pdma_nvme_queue *queue; /* the granted one */
	struct pdma_region *data;
	struct pdma_nvme_grant grant;
	struct pdma_nvme_remote *remote;
	char *buf;
	struct ibv_mr *mr;
};

static void link_open(struct link *l)
{
	struct pdma_nvme_queue *wrong;
	struct pdma_region *host;

	memset(l, 0, sizeof(*l));
	own_open(&l->o);
	lib_nic_open(&l->o.rig);
	LIB_OK(pdma_nvme_cmb(l->o.nvme, DATA, NULL, &l->data));
	LIB_OK(pdma_nvme_queue_create(l->o.nvme, 4, PDMA_NVME_REMOTE, &l->queue));
	host = lib_region(&l->o.rig, "host:64K");
	wrong = l->o.queue;
	LIB_FAILS(pdma_nvme_grant(wrong, l->o.rig.nic.pd, l->data, 1, &l->grant), EINVAL);
	LIB_FAILS(pdma_nvme_grant(l->queue, l->o.rig.nic.pd, host, 1, &l->grant), EINVAL);
	LIB_FAILS(pdma_nvme_grant(l->queue, l->o.rig.nic.pd, l->data, 9, &l->grant), ENOENT);
	pdma_region_close(host);
	LIB_OK(pdma_nvme_grant(l->queue, l->o.rig.nic.pd, l->data, 1, &l->grant));
	LIB_FAILS(pdma_nvme_grant(l->queue, l->o.rig.nic.pd, l->data, 1, &l->grant), EBUSY);
	LIB_OK(pdma_nvme_remote_create(&l->grant, l->o.rig.nic.qp[0], l->o.rig.nic.cq,
				       l->o.rig.nic.pd, &l->remote));
	l->buf = aligned_alloc(4096, DATA);
	CHECK(l->buf != NULL);
	l->mr = ibv_reg_mr(l->o.rig.nic.pd, l->buf, DATA, IBV_ACCESS_LOCAL_WRITE);
	CHECK(l->mr != NULL);
}

static void link_close(struct link *l)
{
	pdma_nvme_remote_destroy(l->remote);
	CHECK_EQ(ibv_dereg_mr(l->mr), 0);
	pdma_nvme_queue_destroy(l->queue);
	pdma_region_close(l->data);
	free(l->buf);
	own_close(&l->o);
}

static int run(struct link *l, enum pdma_nvme_op op, uint64_t lba, uint64_t off, uint64_t len)
{
	const struct pdma_nvme_remote_cmd cmd = {
		.op = op,
		.lba = lba,
		.len = len,
		.off = off,
		.buf = l->buf,
		.lkey = l->mr->lkey,
	};
	struct pdma_nvme_done done = { 0 };
	int ret = pdma_nvme_remote_run(l->remote, &cmd, OWN_MS, &done);

	return ret ? ret : done.err;
}

/* Every shape goes round the queue of 4 and flips its phase; the owner reads what arrived. */
static void remote_io(void)
{
	static const uint64_t lens[] = { 512, 3584, 4096, 8192, 8704, 65536, MIB - 512, MIB };
	struct own_area a;
	struct link l;

	link_open(&l);
	own_area(&l.o, "host:2M", 0, &a);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		kit_pattern_fill(l.buf, lens[i], 40 + i, 0);
		LIB_OK(run(&l, PDMA_NVME_WRITE, LBA, 4 * i, lens[i]));
		LIB_OK(run(&l, PDMA_NVME_COMPARE, LBA, 4 * i, lens[i]));
		LIB_OK(run(&l, PDMA_NVME_FLUSH, 0, 0, 0));
		LIB_OK(own_io(&l.o, l.o.queue, PDMA_NVME_READ, LBA, &a, 0, lens[i]));
		own_check(&a, 0, lens[i], 40 + i);
		memset(l.buf, 0, lens[i]);
		LIB_OK(run(&l, PDMA_NVME_READ, LBA, 4 * i, lens[i]));
		CHECK_EQ(kit_pattern_check(l.buf, lens[i], 40 + i, 0, NULL), 0);
	}
	l.buf[100] ^= 1;
	CHECK_EQ(run(&l, PDMA_NVME_COMPARE, LBA, 0, 512), -EBADMSG);
	own_area_free(&a);
	link_close(&l);
}

static void remote_refusals(void)
{
	struct pdma_nvme_grant bad;
	struct pdma_nvme_remote *r;
	struct link l;

	link_open(&l);
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, LBA, 0, 100), -EINVAL);
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, LBA, 1, 512), -EINVAL);
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, LBA, 0, MIB + 512), -EINVAL);
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, LBA, DATA - 256, 512), -ERANGE);
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, l.grant.blocks, 0, 512), -ERANGE);
	CHECK_EQ(run(&l, PDMA_NVME_FLUSH, 0, 0, 512), -EINVAL);
	bad = l.grant;
	bad.magic++;
	LIB_FAILS(pdma_nvme_remote_create(&bad, l.o.rig.nic.qp[0], l.o.rig.nic.cq, l.o.rig.nic.pd,
					  &r),
		  EINVAL);
	bad = l.grant;
	bad.entries = 0;
	LIB_FAILS(pdma_nvme_remote_create(&bad, l.o.rig.nic.qp[0], l.o.rig.nic.cq, l.o.rig.nic.pd,
					  &r),
		  EINVAL);
	bad = l.grant;
	bad.block = 0;
	LIB_FAILS(pdma_nvme_remote_create(&bad, l.o.rig.nic.qp[0], l.o.rig.nic.cq, l.o.rig.nic.pd,
					  &r),
		  EINVAL);
	/* The owner does not use what he gave away. */
	LIB_FAILS(pdma_nvme_submit(l.queue,
				   &(struct pdma_nvme_cmd){ .op = PDMA_NVME_FLUSH, .nsid = 1 }),
		  EPERM);
	LIB_OK(run(&l, PDMA_NVME_FLUSH, 0, 0, 0));
	link_close(&l);
}

/* An RDMA WRITE or READ of the buffer's first bytes, as a holder of the keys may try it. */
static enum ibv_wc_status raw(struct link *l, enum ibv_wr_opcode op, uint64_t addr, uint32_t rkey,
			      uint32_t len)
{
	struct ibv_sge sge = { (uintptr_t)l->buf, len, l->mr->lkey };
	struct ibv_send_wr *bad, wr = { .sg_list = &sge,
					.num_sge = 1,
					.opcode = op,
					.send_flags = IBV_SEND_SIGNALED,
					.wr.rdma = { addr, rkey } };
	struct ibv_wc wc = { 0 };
	time_t end = time(NULL) + 20;

	CHECK_EQ(ibv_post_send(l->o.rig.nic.qp[0], &wr, &bad), 0);
	while (!ibv_poll_cq(l->o.rig.nic.cq, 1, &wc))
		CHECK(time(NULL) < end);
	return wc.status;
}

/* Every key opens its own memory to the byte, in its own direction. */
static void nothing_beside_what_was_granted(void)
{
	struct link l;

	for (int i = 0; i < 7; i++) {
		const struct pdma_nvme_grant *g = &l.grant;
		enum ibv_wr_opcode op = IBV_WR_RDMA_WRITE;
		uint64_t addr = 0;
		uint32_t rkey = 0;

		link_open(&l);
		switch (i) {
		case 0: /* the doorbell of the next queue */
			addr = g->bell_addr + 8, rkey = g->bell_rkey;
			break;
		case 1: /* and of the one before: the owner's */
			addr = g->bell_addr - 4, rkey = g->bell_rkey;
			break;
		case 2:
			addr = g->bell_addr, rkey = g->bell_rkey, op = IBV_WR_RDMA_READ;
			break;
		case 3:
			addr = g->sq_addr + 8192, rkey = g->sq_rkey;
			break;
		case 4:
			addr = g->cq_addr, rkey = g->cq_rkey;
			break;
		case 5:
			addr = g->data_addr + g->data_len, rkey = g->data_rkey;
			break;
		case 6:
			addr = g->data_addr - 4, rkey = g->data_rkey;
			break;
		}
		printf("# case %d\n", i);
		CHECK_EQ(raw(&l, op, addr, rkey, 4), IBV_WC_REM_ACCESS_ERR);
		link_close(&l);
	}
}

/* Random entries and doorbells: they may be executed or refused, other queues do not notice. */
static void garbage_harms_its_queue_only(void)
{
	struct own_area a;
	struct link l;

	link_open(&l);
	own_area(&l.o, "host:64K", 0, &a);
	srandom(4711);
	for (int round = 0; round < 100; round++) {
		const struct pdma_nvme_grant *g = &l.grant;

		for (int i = 0; i < 256; i++)
			l.buf[i] = (char)random();
		/* Of our namespaces only the second may suffer. */
		for (int i = 0; i < 4; i++)
			l.buf[64 * i + 4] |= 2;
		CHECK_EQ(raw(&l, IBV_WR_RDMA_WRITE, g->sq_addr, g->sq_rkey, 256), 0);
		*(uint32_t *)l.buf = round % 3 ? (uint32_t)random() % 4 : (uint32_t)random();
		CHECK_EQ(raw(&l, IBV_WR_RDMA_WRITE, g->bell_addr, g->bell_rkey, 4), 0);
		*(uint32_t *)l.buf = (uint32_t)random() % 8;
		CHECK_EQ(raw(&l, IBV_WR_RDMA_WRITE, g->bell_addr + 4, g->bell_rkey, 4), 0);
		own_fill(&a, 0, 16384, 1000 + (uint64_t)round);
		LIB_OK(own_io(&l.o, l.o.queue, PDMA_NVME_WRITE, LBA, &a, 0, 16384));
		own_fill(&a, 0, 16384, 1);
		LIB_OK(own_io(&l.o, l.o.queue, PDMA_NVME_READ, LBA, &a, 0, 16384));
		own_check(&a, 0, 16384, 1000 + (uint64_t)round);
	}
	LIB_OK(pdma_nvme_check(l.o.nvme));
	/* The queue itself is made anew. */
	pdma_nvme_remote_destroy(l.remote);
	pdma_nvme_queue_destroy(l.queue);
	LIB_OK(pdma_nvme_queue_create(l.o.nvme, 4, PDMA_NVME_REMOTE, &l.queue));
	LIB_OK(pdma_nvme_grant(l.queue, l.o.rig.nic.pd, l.data, 1, &l.grant));
	LIB_OK(pdma_nvme_remote_create(&l.grant, l.o.rig.nic.qp[0], l.o.rig.nic.cq, l.o.rig.nic.pd,
				       &l.remote));
	LIB_OK(run(&l, PDMA_NVME_WRITE, LBA, 0, MIB));
	own_area_free(&a);
	link_close(&l);
}

enum end { BY_REVOKE, BY_DATA, BY_QUEUE, BY_RESET };

static void ends(enum end how)
{
	struct link l;

	link_open(&l);
	LIB_OK(run(&l, PDMA_NVME_WRITE, LBA, 0, 4096));
	if (how == BY_REVOKE)
		LIB_OK(pdma_nvme_revoke(l.queue, "the test wants it"));
	else if (how == BY_DATA)
		LIB_OK(pdma_region_revoke(l.data, "the test wants it"));
	else if (how == BY_RESET)
		LIB_OK(pdma_region_reset(l.data));
	else
		pdma_nvme_queue_destroy(l.queue);
	if (how == BY_QUEUE)
		l.queue = NULL;
	CHECK_EQ(run(&l, PDMA_NVME_WRITE, LBA, 0, 4096), -ECONNABORTED);
	/* For good. */
	CHECK_EQ(run(&l, PDMA_NVME_FLUSH, 0, 0, 0), -ECONNABORTED);
	if (how != BY_RESET)
		LIB_OK(own_io(&l.o, l.o.queue, PDMA_NVME_FLUSH, 0, NULL, 0, 0));
	link_close(&l);
}

static void after_a_revoke_of_the_grant(void)
{
	ends(BY_REVOKE);
}

static void after_a_revoke_of_the_data(void)
{
	ends(BY_DATA);
}

static void after_the_queue(void)
{
	ends(BY_QUEUE);
}

static void after_a_reset_of_the_drive(void)
{
	ends(BY_RESET);
}

static const struct tap_test tests[] = {
	{ "remote_io", remote_io, TAP_ANYWHERE },
	{ "remote_refusals", remote_refusals, TAP_ANYWHERE },
	{ "nothing_beside_what_was_granted", nothing_beside_what_was_granted, TAP_ANYWHERE },
	{ "garbage_harms_its_queue_only", garbage_harms_its_queue_only, TAP_ANYWHERE },
	{ "after_a_revoke_of_the_grant", after_a_revoke_of_the_grant, TAP_ANYWHERE },
	{ "after_a_revoke_of_the_data", after_a_revoke_of_the_data, TAP_ANYWHERE },
	{ "after_the_queue", after_the_queue, TAP_ANYWHERE },
	{ "after_a_reset_of_the_drive", after_a_reset_of_the_drive, TAP_ANYWHERE },
};

OWN_MAIN(tests)
