/* SPDX-License-Identifier: MIT */
/*
 * Two queue pairs of one RDMA device connected to each other, by plain verbs: what tests of
 * registered memory stand on. Works with InfiniBand and with rxe. Every failure here fails the
 * test.
 */
#ifndef PEERDMA_TESTS_GUEST_RDMA_PAIR_H
#define PEERDMA_TESTS_GUEST_RDMA_PAIR_H

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

#define RDMA_PAIR_RW	 (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)
#define RDMA_PAIR_ACCESS (RDMA_PAIR_RW | IBV_ACCESS_REMOTE_ATOMIC)

struct rdma_pair {
	struct ibv_context *context; /* NULL: not open */
	struct ibv_port_attr port;
	union ibv_gid gid;
	uint8_t gid_idx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp[2];
	char *host; /* at a page, or NULL */
	struct ibv_mr *host_mr;
};

/*
 * Open a device once its port is active. prefix: how its name begins, "mlx5" or "rxe"; "": the
 * first one. host_len bytes of host memory are registered, unless 0.
 */
void rdma_pair_open(struct rdma_pair *p, const char *prefix, size_t host_len);
/* All that was registered must be gone. Not open: nothing is done. */
void rdma_pair_close(struct rdma_pair *p);
/* From any state: an error takes the queues down. Work under way is lost. */
void rdma_pair_connect(struct rdma_pair *p);

/* The first len bytes of a dma-buf, at address 0, with RDMA_PAIR_RW. Closes fd. */
struct ibv_mr *rdma_pair_dmabuf(struct rdma_pair *p, int fd, uint64_t len);

/* Post one request, signaled, and wait: the status of its completion. */
enum ibv_wc_status rdma_pair_run(struct rdma_pair *p, struct ibv_send_wr *wr);

/* The same from the start of host memory. */
struct rdma_op {
	enum ibv_wr_opcode op;
	uint64_t remote;
	uint32_t rkey, len;
	uint64_t compare_add, swap;
};
enum ibv_wc_status rdma_pair_do(struct rdma_pair *p, const struct rdma_op *op);

#endif
