/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest's machine around the whole NIC model, for the fuzzers of commands and of work
 * requests: guest memory of a few blocks far apart, a clock and workers that run when told, and a
 * door that knows for every byte whether the guest gave it to the device, and for what. An access
 * to any other byte ends the process: that is the finding the fuzzers look for.
 *
 * One NIC lives as long as the process; each input ends with a function level reset of it.
 */
#ifndef PEERDMA_TESTS_FUZZ_NIC_GUEST_H
#define PEERDMA_TESTS_FUZZ_NIC_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/nic/internal.h"
#include "tests/fuzz/input.h"

#define G_BLOCKS     16u
#define G_BLOCK_SIZE 0x4000u
/* Bus addresses of a block's bytes: no page of any size holds two blocks. */
#define G_SHIFT	      45
#define G_BUS(b, off) (((uint64_t)((b) + 1) << G_SHIFT) + (off))

/* What a byte was given for. */
enum { G_CTRL = 1, G_READ = 2, G_WRITE = 4, G_ANY = 7 };

/* ---- the input ---- */

/* Mostly small, sometimes at the edge of a power of two, sometimes anything. */
uint64_t g_odd(struct fuzz_input *in);

/* ---- the machine ---- */

extern struct nic *g_nic;
extern uint8_t g_mem[G_BLOCKS][G_BLOCK_SIZE];

/* Memory of zeroes of which nothing is given, time 1 s, and the NIC as a reset left it. */
void g_begin(void);
/* Reset. Promises that nothing is left of what the input made. */
void g_end(void);

/* The guest gives bytes of a block to the device; 0 takes them back. */
void g_give(unsigned block, uint32_t off, uint32_t len, uint8_t what);
/*
 * Bytes from the input go to the device. Every address of a block in them gives the block from that
 * page on for everything: pages the guest names are the guest's affair.
 */
void g_scan(const void *p, size_t len);
/* The device may reach all memory from now on. */
void g_give_all(void);

/* Run workers until none wants to, at most max slices. Return: false when some still want to. */
bool g_run(unsigned max);
void g_pass(uint64_t ns);
void g_fault(unsigned point, enum mdl_fault_action action, uint64_t arg, unsigned count);
void g_reset(enum mdl_reset kind);
void g_link(bool up);

void g_write(uint64_t off, const void *buf, size_t len);
void g_write32(uint64_t off, uint32_t val); /* big-endian, as the device's registers are */
void g_write64(uint64_t off, uint64_t val);
uint32_t g_read32(uint64_t off);

/* Run a command at once, past the queue. Return: its status. */
uint8_t g_exec(const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_len);

/* ---- how deep the inputs get ---- */

/* With FUZZ_STATS in the environment: count it; a table goes to that file at the end. */
void g_saw_command(uint16_t opcode, uint8_t status);
void g_saw_completion(uint8_t opcode, uint8_t syndrome);
void g_saw_request(uint8_t opcode);

#endif
