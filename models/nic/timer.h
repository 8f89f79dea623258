/* SPDX-License-Identifier: MIT */
/* Deadlines of queue pairs (acknowledge time-out, RNR, poll of a stalled receiver). Owner: data. */
#ifndef PEERDMA_MODELS_NIC_TIMER_H
#define PEERDMA_MODELS_NIC_TIMER_H

#include <stdint.h>

struct nic_dw;

int nic_timers_init(struct nic_dw *dw);
void nic_timers_fini(struct nic_dw *dw);

/*
 * Once a slice, in the epoch: put QPs whose time has come into dw->qps. Return: when to be called
 * next (mdl_now_ns clock), or 0 when no deadline is set.
 */
uint64_t nic_timers_run(struct nic_dw *dw);

#endif
