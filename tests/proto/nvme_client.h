/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller driven through its vfio-user socket: admin queues and one I/O queue pair in
 * guest RAM at address 0, or the I/O pair in the controller memory buffer. Numbers are typed from
 * models/nvme/SPEC.rst; it must not include anything of the model.
 */
#ifndef PEERDMA_TESTS_PROTO_NVME_CLIENT_H
#define PEERDMA_TESTS_PROTO_NVME_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/proto/vfu_client.h"

#define N_RAM	  0x800000u /* at bus address 0 */
#define N_CMB	  0x200000u
#define N_DATA	  0x100000u /* in RAM: data from here on */
#define N_ENTRIES 16u
#define N_WAIT_MS 40000

struct n_sqe {
	uint8_t opc, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t rsvd8, mptr, prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct n_cqe {
	uint32_t dw0, dw1;
	uint16_t sqhd, sqid, cid, status;
};

/* Of queue 0 (admin) and 1. */
struct n_queue {
	uint8_t *sq, *cq;
	uint32_t tail, head;
	bool phase;
};

struct disk {
	struct client c;
	int ram_fd;
	uint8_t *ram, *cmb;
	struct n_queue q[2];
	uint16_t cid;
};

/* Connect, give it RAM and BAR addresses; nothing is enabled. Return: 0, -errno or errno. */
int n_open(struct disk *d, const char *path, uint64_t bar0, uint64_t bar2);
void n_close(struct disk *d);
/* Command register: 2 memory decode, 4 bus master. */
int n_command(struct disk *d, uint16_t command);
/* Admin queues in RAM and CC.EN. Return: 0, or -ETIMEDOUT, -EIO if CSTS.CFS. */
int n_enable(struct disk *d);
int n_disable(struct disk *d);
/* Queue pair 1 with vector 1 at a bus address; the memory there is at mem. Return: status. */
unsigned n_pair(struct disk *d, uint64_t at, uint8_t *mem);
/* Put an entry into queue q without ringing. Return: the new tail. */
uint32_t n_put(struct disk *d, unsigned q, struct n_sqe s);
int n_ring(struct disk *d, unsigned q);
/* Wait for the next completion of queue q. Return: 0, or -ETIMEDOUT. */
int n_await(struct disk *d, unsigned q, struct n_cqe *ret);
/* All of it. Return: status without the phase, or 0xffff. */
unsigned n_run(struct disk *d, unsigned q, struct n_sqe s, struct n_cqe *ret);
/* READ (2) or WRITE (1) of blocks of namespace 1; prp2 for the second page. */
unsigned n_rw(struct disk *d, uint8_t opc, uint64_t slba, uint32_t blocks, uint64_t prp1,
	      uint64_t prp2);
unsigned n_flush(struct disk *d);

#endif
