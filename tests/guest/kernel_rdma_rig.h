/* SPDX-License-Identifier: MIT */
/*
 * Two queue pairs of one RDMA device connected to each other, and host memory for one side: what
 * tests of the pointer as a memory region stand on. Works with InfiniBand and with rxe.
 */
#ifndef PEERDMA_TESTS_GUEST_KERNEL_RDMA_RIG_H
#define PEERDMA_TESTS_GUEST_KERNEL_RDMA_RIG_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#define KERNEL_RDMA_LEN (1ull << 20)
#define KERNEL_RDMA_ACCESS                                                           \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_REMOTE_ATOMIC)

struct kernel_rdma {
	struct ibv_context *context;
	struct ibv_port_attr port;
	union ibv_gid gid;
	uint8_t gid_idx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp[2];
	char *host; /* KERNEL_RDMA_LEN bytes, at a page */
	struct ibv_mr *host_mr;
};

/* prefix: how the name of the device begins, "mlx5" or "rxe". */
void kernel_rdma_open(struct kernel_rdma *q, const char *prefix);
void kernel_rdma_close(struct kernel_rdma *q);
/* From any state: an error takes the queues down. Work under way is lost. */
void kernel_rdma_connect(struct kernel_rdma *q);

/* One request from the start of host memory and its end; the status of its completion. */
struct kernel_rdma_op {
	enum ibv_wr_opcode op;
	uint64_t remote;
	uint32_t rkey, len;
	uint64_t compare_add, swap;
};
enum ibv_wc_status kernel_rdma_do(struct kernel_rdma *q, const struct kernel_rdma_op *op);

#endif
