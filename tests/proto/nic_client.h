/* SPDX-License-Identifier: MIT */
/*
 * A NIC of a real peerdma-fabric, driven through its vfio-user socket: command queue and mailboxes
 * in memory of the test. Numbers are typed from models/nic/SPEC.rst and the sources it names.
 */
#ifndef PEERDMA_TESTS_PROTO_NIC_CLIENT_H
#define PEERDMA_TESTS_PROTO_NIC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/proto/fabproc.h"
#include "tests/proto/vfu_client.h"

#define N_RAM	   0x40000000ull /* bus address of the test's memory */
#define N_RAM_SIZE 0x400000u
#define N_WAIT_MS  40000
#define N_MAX	   4096u /* bytes of a command or an answer */
/* Where things lie in that memory; the rest, from N_FREE on, is for queues. */
#define N_QUEUE	 0x0u
#define N_IN(i)	 (0x1000u + (i)*0x400u)
#define N_OUT(i) (0x4000u + (i)*0x400u)
#define N_FREE	 0x10000u
/* What n_cmd returns for a command that was not delivered: this and the delivery status. */
#define N_DELIVERY 0x100

struct nicc {
	struct proc p;
	struct client c;
	uint8_t *ram;
	int fd;
	uint8_t in[N_MAX], out[N_MAX];
	uint8_t token;
};

/* A fabric with one NIC "nic0" on node "a" and a client of it: bus mastering, nothing enabled. */
int n_setup(void **state);
/* Also when a process crashed: its status is the result. */
int n_teardown(void **state);
/* The client goes, and comes again with the same memory. Return: 0 or an error. */
int n_connect(struct nicc *n);
void n_disconnect(struct nicc *n);

/* A big-endian register of BAR0. */
uint32_t n_reg(struct nicc *n, uint32_t off);
void n_set_reg(struct nicc *n, uint32_t off, uint32_t val);
/* Function level reset, and wait until the device is there again. */
void n_flr(struct nicc *n);
/* Until the device says it is not initializing any more. */
void n_ready(struct nicc *n);
/* Tell it where the command queue is. */
void n_set_queue(struct nicc *n);

/* Begin a command: a zeroed input with its first two words. */
void n_begin(struct nicc *n, uint16_t opcode, uint16_t uid, uint16_t op_mod);
void n_put32(struct nicc *n, uint32_t off, uint32_t val);
void n_put64(struct nicc *n, uint32_t off, uint64_t val);
uint32_t n_got32(const struct nicc *n, uint32_t off);

/* Write slot and mailboxes; the test may harm them before it rings. Return: the slot. */
uint8_t *n_write(struct nicc *n, unsigned slot, uint32_t in_len, uint32_t out_len);
/* Ring and wait for the answer. Return: the delivery status, or -ETIMEDOUT. */
int n_ring(struct nicc *n, unsigned slot);
/* Write, ring, take the answer. Return: status, N_DELIVERY | delivery status, or -ETIMEDOUT. */
int n_cmd(struct nicc *n, uint32_t in_len, uint32_t out_len);
/* A command of 16 bytes each way with a second word. Return: as n_cmd. */
int n_simple(struct nicc *n, uint16_t opcode, uint32_t dw2);
/* The same, which must succeed. Return: the number at offset 8. */
uint32_t n_make(struct nicc *n, uint16_t opcode);
uint32_t n_syndrome(const struct nicc *n);
/* ENABLE_HCA and INIT_HCA, with the queue set. */
void n_bring_up(struct nicc *n);

/* Objects of a kind on the control socket's snapshot; a counter of the model. */
uint64_t n_count(struct nicc *n, const char *kind);
uint64_t n_counter(struct nicc *n, const char *name);
/* Arm fault point "cmd" with an action, or disarm with "none". */
void n_fault(struct nicc *n, const char *action);

#endif
