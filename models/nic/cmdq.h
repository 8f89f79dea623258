/* SPDX-License-Identifier: MIT */
/* The command queue: slots in guest memory, mailboxes, the answer. */
#ifndef PEERDMA_MODELS_NIC_CMDQ_H
#define PEERDMA_MODELS_NIC_CMDQ_H

#include <stdbool.h>
#include <stdint.h>

struct nic;
struct nic_cmd;

int nic_cmdq_init(struct nic *nic);
void nic_cmdq_fini(struct nic *nic);

/* MMIO side, under the MMIO lock. */
uint64_t nic_cmdq_addr(struct nic *nic);
void nic_cmdq_set_high(struct nic *nic, uint32_t val);
void nic_cmdq_set_low(struct nic *nic, uint32_t val);
void nic_cmdq_doorbell(struct nic *nic, uint32_t slots);
/*
 * Reset: forget rung doorbells and the address. When the machine goes on running, a driver that
 * was at work is told by the interface state "disabled", which its health poll looks at.
 */
void nic_cmdq_reset(struct nic *nic, bool under_driver);
bool nic_cmdq_disabled(struct nic *nic);

/* The command worker, when it tears down after a reset. */
void nic_cmdq_forget(struct nic *nic);

/* Run one command if one was rung; the command worker. Return: true when there may be more. */
bool nic_cmdq_run(struct nic *nic);

/* Look the command up and run it: status and syndrome are left in c->out. c: all but those. */
void nic_cmd_execute(struct nic_cmd *c);

#endif
