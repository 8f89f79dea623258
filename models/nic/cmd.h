/* SPDX-License-Identifier: MIT */
/*
 * The command interface. Commands run one after the other on the NIC's command worker, which is
 * also the only thread that adds or removes objects.
 */
#ifndef PEERDMA_MODELS_NIC_CMD_H
#define PEERDMA_MODELS_NIC_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hw/mlx5_bits.h"
#include "models/common/dma.h"
#include "models/nic/object.h"

struct nic;

enum nic_status { /* first byte of every answer */
		  NIC_OK = 0x00,
		  NIC_INT_ERR = 0x01,
		  NIC_BAD_OP = 0x02,
		  NIC_BAD_PARAM = 0x03,
		  NIC_BAD_SYS_STATE = 0x04,
		  NIC_BAD_RES = 0x05,
		  NIC_RES_BUSY = 0x06,
		  NIC_LIM_ERR = 0x08,
		  NIC_BAD_RES_STATE = 0x09,
		  NIC_IX_ERR = 0x0a,
		  NIC_NO_RES = 0x0f,
		  NIC_BAD_INP_LEN = 0x50,
		  NIC_BAD_OUTP_LEN = 0x51,
		  NIC_BAD_QP_STATE = 0x10,
		  NIC_BAD_PKT = 0x30,
		  NIC_BAD_SIZE = 0x40,
};

/* One command being run. in and out are whole and zero-padded to in_len, out_len. */
struct nic_cmd {
	struct nic *nic;
	struct mdl_dma dma; /* begun when the doorbell rang: objects copy it */
	uint16_t opcode, op_mod, uid;
	const uint8_t *in;
	uint32_t in_len;
	uint8_t *out;	   /* the handler writes from byte 8 on; 0-7 are the engine's */
	uint32_t out_len;  /* at least the row's out_min; more is zero */
	uint32_t syndrome; /* told with a bad status; SPEC.rst lists them */
};

/* Return: enum nic_status. On anything but NIC_OK nothing was changed. */
typedef uint8_t (*nic_cmd_fn)(struct nic_cmd *c);

enum nic_cmd_when {	       /* life-cycle states a command is allowed in */
		    NIC_W_ANY, /* also before ENABLE_HCA */
		    NIC_W_ENABLED,
		    NIC_W_INIT, /* after INIT_HCA */
};

enum nic_cmd_flag {
	NIC_CF_USER = 1, /* may carry a user context's uid */
};

struct nic_cmd_row {
	uint16_t opcode;
	uint8_t when; /* enum nic_cmd_when */
	uint8_t flags;
	uint16_t in_min, out_min;
	nic_cmd_fn fn;
	const char *name;
};

/* Fill in the syndrome and return the status, in one expression. */
static inline uint8_t nic_fail(struct nic_cmd *c, uint8_t status, uint32_t syndrome)
{
	c->syndrome = syndrome;
	return status;
}

/* Look up with ownership: the kernel (uid 0) reaches all, a user context only its own. Return:
 * NULL with *ret_status BAD_RES and a syndrome in c when absent or another's. */
struct nic_obj *nic_cmd_find(struct nic_cmd *c, enum nic_type type, uint32_t id);

#endif
