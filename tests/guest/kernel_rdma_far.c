// SPDX-License-Identifier: MIT
/*
 * The pointer of peerdma_vfio under RDMA of another machine, for kernel_rdma_cable.py:
 *   kernel_rdma_far owner ADDRESS PORT           WRITE, READ and atomics arrive
 *   kernel_rdma_far owner-away ADDRESS PORT      the memory is switched off when the user comes
 *   kernel_rdma_far user[-away] ADDRESS PORT     the other machine
 * Exit status 0: all was as it must be. The owner looks after the user has gone.
 */
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/kernel_rig.h"

#define AREA (32 * MIB)
#define LEN  MIB
#define WORD 4096 /* where the atomics go */
#define OLD  0x0123456789abcdefull
#define NEW  0xfedcba9876543210ull
#define ADD  5
#define SEED 77
#define ACCESS                                                                       \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_REMOTE_ATOMIC)

/* What the owner tells the user. */
struct grant {
	uint64_t addr;
	uint32_t rkey, len;
};

static struct rdma_cm_id *endpoint(char **argv, int flags)
{
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP, .ai_flags = flags }, *info;
	struct ibv_qp_init_attr attr = {
		.cap = { .max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.sq_sig_all = 1,
	};
	struct rdma_cm_id *id;

	CHECK_EQ(rdma_getaddrinfo(argv[2], argv[3], &hints, &info), 0);
	CHECK_EQ(rdma_create_ep(&id, info, NULL, &attr), 0);
	rdma_freeaddrinfo(info);
	return id;
}

/* ---- the owner of the memory ---- */

static void wait_disconnected(struct rdma_cm_id *id)
{
	struct rdma_cm_event *event;

	CHECK_EQ(rdma_get_cm_event(id->channel, &event), 0);
	CHECK_EQ(event->event, RDMA_CM_EVENT_DISCONNECTED);
	CHECK_EQ(rdma_ack_cm_event(event), 0);
}

static void check_what_came(const char *mem, bool away)
{
	uint64_t seed = away ? ~SEED : SEED;
	const volatile uint64_t *word = (const void *)(mem + WORD);

	CHECK_EQ(kit_pattern_check(mem, WORD, seed, 0, NULL), 0);
	CHECK_EQ(kit_pattern_check(mem + WORD + 8, LEN - WORD - 8, seed, WORD / 8 + 1, NULL), 0);
	CHECK_EQ(*word, away ? kit_pattern_word(seed, WORD / 8) : NEW + ADD);
	CHECK_EQ(kit_pattern_check(mem + LEN, KIB, ~SEED, LEN / 8, NULL), 0);
}

static void owner(char **argv, bool away)
{
	struct rdma_cm_id *listener = endpoint(argv, RAI_PASSIVE), *id;
	struct rdma_conn_param param = { .responder_resources = 1, .initiator_depth = 1 };
	struct kernel_rig r;
	struct grant grant;
	struct ibv_mr *mr;

	kernel_open(&r, 5000);
	CHECK_EQ(rdma_listen(listener, 1), 0);
	CHECK_EQ(rdma_get_request(listener, &id), 0);
	mr = ibv_reg_mr(id->pd, r.mem + AREA, LEN, ACCESS | IBV_ACCESS_ON_DEMAND);
	CHECK(mr != NULL);
	/* The region follows when the memory goes away and comes back. */
	CHECK_EQ(kernel_reset(&r), 0);
	kit_pattern_fill(r.mem + AREA, LEN + KIB, ~SEED, 0);
	if (away)
		CHECK_EQ(kernel_command(&r, false), 0);
	grant = (struct grant){ (uintptr_t)r.mem + AREA, mr->rkey, LEN };
	param.private_data = &grant;
	param.private_data_len = sizeof(grant);
	CHECK_EQ(rdma_accept(id, &param), 0);
	wait_disconnected(id);
	if (away)
		CHECK_EQ(kernel_command(&r, true), 0);
	check_what_came((const char *)pdmai_accel_vram(r.accel) + AREA, away);
	CHECK_EQ(ibv_dereg_mr(mr), 0);
	rdma_destroy_ep(id);
	rdma_destroy_ep(listener);
	kernel_close(&r);
}

/* ---- its user ---- */

static enum ibv_wc_status post(struct rdma_cm_id *id, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;

	CHECK_EQ(ibv_post_send(id->qp, wr, &bad), 0);
	CHECK_EQ(rdma_get_send_comp(id, &wc), 1);
	return wc.status;
}

static enum ibv_wc_status move(struct rdma_cm_id *id, enum ibv_wr_opcode op, struct ibv_mr *mr,
			       const struct grant *grant)
{
	struct ibv_sge sge = { (uintptr_t)mr->addr, LEN, mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = op, .wr.rdma = { grant->addr, grant->rkey }
	};

	return post(id, &wr);
}

/* What was there comes back. */
static void atomic(struct rdma_cm_id *id, struct ibv_send_wr wr, struct ibv_mr *mr, uint64_t was)
{
	struct ibv_sge sge = { (uintptr_t)mr->addr, 8, mr->lkey };

	wr.sg_list = &sge;
	wr.num_sge = 1;
	CHECK_EQ(post(id, &wr), IBV_WC_SUCCESS);
	CHECK_EQ(*(volatile uint64_t *)mr->addr, was);
}

static void atomics(struct rdma_cm_id *id, struct ibv_mr *mr, const struct grant *grant)
{
	uint64_t word = grant->addr + WORD;
	struct ibv_send_wr swap = { .opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
				    .wr.atomic = { .remote_addr = word, .rkey = grant->rkey } };
	struct ibv_send_wr add = { .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
				   .wr.atomic = { word, ADD, 0, grant->rkey } };
	uint64_t first = kit_pattern_word(SEED, WORD / 8);

	swap.wr.atomic.compare_add = first + 1;
	swap.wr.atomic.swap = OLD;
	atomic(id, swap, mr, first);
	swap.wr.atomic.compare_add = first;
	swap.wr.atomic.swap = NEW;
	atomic(id, swap, mr, first);
	atomic(id, add, mr, NEW);
	atomic(id, add, mr, NEW + ADD);
	add.wr.atomic.compare_add = -(uint64_t)ADD;
	atomic(id, add, mr, NEW + 2 * ADD);
}

static void user(char **argv, bool away)
{
	struct rdma_conn_param param = { .responder_resources = 1, .initiator_depth = 1 };
	struct rdma_cm_id *id = endpoint(argv, 0);
	char *mem = aligned_alloc(4096, LEN);
	struct grant grant;
	struct ibv_mr *mr;

	CHECK(mem != NULL);
	kit_pattern_fill(mem, LEN, SEED, 0);
	mr = ibv_reg_mr(id->pd, mem, LEN, IBV_ACCESS_LOCAL_WRITE);
	CHECK(mr != NULL);
	CHECK_EQ(rdma_connect(id, &param), 0);
	CHECK(id->event->param.conn.private_data_len >= sizeof(grant));
	memcpy(&grant, id->event->param.conn.private_data, sizeof(grant));
	CHECK_EQ(grant.len, LEN);
	if (away) {
		CHECK_EQ(move(id, IBV_WR_RDMA_WRITE, mr, &grant), IBV_WC_REM_ACCESS_ERR);
	} else {
		CHECK_EQ(move(id, IBV_WR_RDMA_WRITE, mr, &grant), IBV_WC_SUCCESS);
		memset(mem, 0, LEN);
		CHECK_EQ(move(id, IBV_WR_RDMA_READ, mr, &grant), IBV_WC_SUCCESS);
		CHECK_EQ(kit_pattern_check(mem, LEN, SEED, 0, NULL), 0);
		atomics(id, mr, &grant);
	}
	CHECK_EQ(rdma_disconnect(id), 0);
	CHECK_EQ(ibv_dereg_mr(mr), 0);
	rdma_destroy_ep(id);
	free(mem);
}

int main(int argc, char **argv)
{
	const char *role = argc == 4 ? argv[1] : "";

	alarm(60); /* nothing here takes as long */
	if (!strcmp(role, "owner") || !strcmp(role, "owner-away"))
		owner(argv, role[5]);
	else if (!strcmp(role, "user") || !strcmp(role, "user-away"))
		user(argv, role[4]);
	else
		return fprintf(stderr, "usage: kernel_rdma_far ROLE ADDRESS PORT\n"), 2;
	return 0;
}
