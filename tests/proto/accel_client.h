/* SPDX-License-Identifier: MIT */
/*
 * An accelerator driven through its vfio-user socket: ring 0 with both queues in its own memory.
 * Numbers are typed from models/accel/SPEC.rst.
 */
#ifndef PEERDMA_TESTS_PROTO_ACCEL_CLIENT_H
#define PEERDMA_TESTS_PROTO_ACCEL_CLIENT_H

#include <stdint.h>

#include "tests/proto/vfu_client.h"

#define A_VRAM	  0x4000000ull /* of every accelerator of the tests */
#define A_ENTRIES 16u
#define A_WAIT_MS 40000

enum { A_BUS, A_LOCAL, A_LINK }; /* spaces */
enum { A_NOP, A_COPY, A_FILL, A_CRC32C, A_COMPARE };

struct a_sqe {
	uint8_t opcode, flags;
	uint16_t param;
	uint32_t cmd_id;
	uint64_t len, imm, src, dst;
	uint32_t src_count, dst_count;
	uint8_t src_space, dst_space, zero[14];
};

struct a_cqe {
	uint64_t result, info;
	uint32_t sq_head;
	uint8_t opcode, where;
	uint16_t zero;
	uint32_t cmd_id;
	uint16_t status, flags;
};

struct acc {
	struct client c;
	uint8_t *vram; /* BAR2, mapped */
	uint32_t next; /* index of the next submission */
};

/* Connect, map BAR2, give the BARs addresses; nothing is enabled. Return: 0, -errno or errno. */
int a_open(struct acc *a, const char *path, uint64_t bar0, uint64_t bar2);
void a_close(struct acc *a);
/* Command register: 2 memory decode, 4 bus master. */
int a_command(struct acc *a, uint16_t command);
/* Ring 0 by example 9 of the specification. Return: STATUS of the ring, 1 when it runs. */
uint32_t a_ring_start(struct acc *a, uint32_t vector);
/* RESET of ring 0, waited for. Return: 0, or -ETIMEDOUT. */
int a_ring_reset(struct acc *a);
/* Submit one command and wait for its completion. Return: 0, or -ETIMEDOUT. */
int a_run(struct acc *a, const struct a_sqe *s, struct a_cqe *ret);
/* COPY or COMPARE. Return: the status of the completion, or 0xffff. */
unsigned a_move(struct acc *a, uint8_t opcode, uint8_t src_space, uint64_t src, uint8_t dst_space,
		uint64_t dst, uint64_t len, struct a_cqe *ret);

#endif
