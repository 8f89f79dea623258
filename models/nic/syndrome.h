/* SPDX-License-Identifier: MIT */
/*
 * Syndromes of failed commands. The numbers of real firmware are not public; these are ours, and
 * SPEC.rst lists them. X(name, number, text); numbers stay as they are for ever.
 */
#ifndef PEERDMA_MODELS_NIC_SYNDROME_H
#define PEERDMA_MODELS_NIC_SYNDROME_H

#include <stdint.h>

#define NIC_SYNDROMES(X)                                                        \
	X(OPCODE, 0xd0001, "opcode unknown")                                    \
	X(LIFE_CYCLE, 0xd0002, "not in this state of the device")               \
	X(IN_LEN, 0xd0003, "input too short")                                   \
	X(OUT_LEN, 0xd0004, "output too short")                                 \
	X(UID_FORBIDDEN, 0xd0005, "not for user contexts")                      \
	X(UID_UNKNOWN, 0xd0006, "no such user context")                         \
	X(INJECTED, 0xd0007, "injected by a fault point")                       \
	X(OP_MOD, 0xd0008, "operation modifier unknown")                        \
	X(FUNCTION, 0xd0009, "only function 0 exists")                          \
	X(TABLE_FULL, 0xd000a, "no number left")                                \
	X(BUDGET, 0xd000b, "no memory left for contexts")                       \
	X(BUSY, 0xd000c, "other objects still refer to it")                     \
	X(PAGE_SIZE, 0xd0010, "page size out of range")                         \
	X(PAGE_LIST, 0xd0011, "page list too short or misaligned")              \
	X(QUEUE_SIZE, 0xd0012, "queue size out of range")                       \
	X(DOORBELL, 0xd0013, "doorbell record misaligned")                      \
	X(UAR, 0xd0014, "no such UAR")                                          \
	X(VECTOR, 0xd0015, "no such interrupt vector")                          \
	X(EVENT, 0xd0016, "event asked for by another event queue")             \
	X(ABSENT, 0xd0017, "feature absent on purpose")                         \
	X(CQE_SIZE, 0xd0018, "completion entry size unknown")                   \
	X(CQ_OVERFULL, 0xd0019, "completions do not fit the new size")          \
	X(MKEY_MODE, 0xd0020, "access mode of a memory key unknown")            \
	X(MKEY_RANGE, 0xd0021, "range of a memory key wraps or is not covered") \
	X(MKEY_SIZE, 0xd0022, "translation list out of range")                  \
	X(QP_TYPE, 0xd0030, "service type unknown")                             \
	X(QP_SIZE, 0xd0031, "work queue sizes out of range")                    \
	X(QP_STATE, 0xd0032, "transition not from this state")                  \
	X(QP_ATTR, 0xd0033, "attribute out of range")                           \
	X(QP_OPTPAR, 0xd0034, "optional parameter not allowed here")            \
	X(QP_SPECIAL, 0xd0035, "special queue pair exists already")             \
	X(QP_RQ, 0xd0036, "receive queue kind does not fit")                    \
	X(SRQ_LIMIT, 0xd0040, "limit beyond the queue")                         \
	X(SRQ_KIND, 0xd0041, "shared receive queue of another kind")            \
	X(PORT, 0xd0050, "only port 1 and vport 0 exist")                       \
	X(INDEX, 0xd0051, "table index out of range")                           \
	X(REGISTER, 0xd0052, "register unknown")                                \
	X(MCG, 0xd0053, "not a multicast GID, or not attached")                 \
	X(MEMIC, 0xd0054, "device memory range invalid")                        \
	X(CAP_VALUE, 0xd0055, "capability not settable to this value")          \
	X(PAGES, 0xd0056, "page unknown, misaligned or given twice")            \
	X(FAULT_TOKEN, 0xd0057, "nothing waits for this page fault")            \
	X(NO_OBJECT, 0xd0100, "no such object (low byte: its type)")            \
	X(NOT_OWNER, 0xd0200, "object of another user context (low byte: its type)")

#define NIC_SYN_ENUM(name, num, text) SYN_##name = (num),
enum nic_syn { NIC_SYNDROMES(NIC_SYN_ENUM) };
#undef NIC_SYN_ENUM

const char *nic_syndrome_text(uint32_t syndrome);

#endif
