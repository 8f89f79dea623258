/* SPDX-License-Identifier: MIT */
/* Commands of the fuzzer nic_cmd: the guest, sending (nic_cmd_send.c), building (the rest). */
#ifndef PEERDMA_TESTS_FUZZ_NIC_CMD_H
#define PEERDMA_TESTS_FUZZ_NIC_CMD_H

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/handlers.h"
#include "tests/fuzz/nic_guest.h"

#define QUEUE	   0u /* block of command queue and mailboxes */
#define IN_BOX(i)  (0x0800u + (i)*0x400u)
#define OUT_BOX(i) (0x2000u + (i)*0x400u)
#define BOXES	   6u
#define MAX_LEN	   (16u + BOXES * 512u)
#define PAS	   0x110u
#define MAX_OBJS   48u
#define MAX_CMDS   120u /* of one input */
#define SLOT_LAST  0x3cu

enum kind {
	PD,
	UAR,
	EQ,
	CQ,
	SRQ,
	XSRQ,
	RMP,
	QP,
	MKEY,
	UMEM,
	XRCD,
	TD,
	PSV,
	UCTX,
	DCT,
	GENERAL,
	KINDS
};

struct object {
	uint8_t kind;
	uint32_t id;
};

struct guest {
	struct fuzz_input in;
	struct object obj[MAX_OBJS];
	unsigned n_objs, n_cmds;
	uint16_t uid;
	uint8_t token;
	/* the command under construction */
	uint8_t cmd[MAX_LEN], out[MAX_LEN];
	uint32_t in_len, out_len;
	uint8_t delivery;
};

/* Opcodes of a kind of object, and its table in the model. */
struct cmd_kind {
	uint16_t create, destroy, query;
	uint8_t table;
};
extern const struct cmd_kind cmd_kinds[KINDS];

/* The next byte of the input. */
uint8_t cmd_u8(struct guest *g);
/* Mostly the number of an object of that kind, sometimes any. */
uint32_t cmd_pick(struct guest *g, enum kind kind);
void cmd_remember(struct guest *g, enum kind kind, uint32_t id);
void cmd_forget(struct guest *g, enum kind kind, uint32_t id);
/* The bus address of some page. */
uint64_t cmd_page(struct guest *g);

/* Begin a command, of the least lengths; on an object. */
void cmd_begin(struct guest *g, uint16_t opcode);
void cmd_begin_on(struct guest *g, uint16_t opcode, uint32_t id);
/* Pages of a list at off, and the length that goes with them. */
void cmd_pages(struct guest *g, uint32_t off, unsigned n, uint64_t flags);

void cmd_write_boxes(struct guest *g);
uint8_t *cmd_write_slot(struct guest *g, unsigned i);
/* Ring, wait, look. Return: the status, or 0xff when it was not delivered. */
uint8_t cmd_ring(struct guest *g, unsigned i);
/* All of it, as built, or with what the input wants spoiled. Return: as cmd_ring. */
uint8_t cmd_send(struct guest *g);
uint8_t cmd_spoil_and_send(struct guest *g);

/* The context of a completion queue into the command begun. */
void cmd_build_cq(struct guest *g);
/* Make an object; it is remembered if that works. */
void cmd_create(struct guest *g, enum kind kind);

#endif
