/* SPDX-License-Identifier: MIT */
/*
 * models/common for tests of a model: the same functions over plain buffers, without threads,
 * sockets or clock. The worker runs when the test says so, one slice at a time, and a hook runs in
 * the middle of a transfer. An access outside the device's memory, which the real door would
 * refuse, aborts here: a model is expected to check before.
 */
#ifndef PEERDMA_TESTS_UNIT_MODELS_ACCEL_FAKE_H
#define PEERDMA_TESTS_UNIT_MODELS_ACCEL_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/fault.h"

/* The time mdl_now_ns() tells. */
extern uint64_t fake_now_ns;

/* Runs at the start of every door call while set; it may ring doorbells, reset, unmap. */
extern void (*fake_hook)(void *arg);
extern void *fake_hook_arg;

/* The longest mdl_dma_visit() that a model may ask for at once; a slice unless a test says more. */
extern uint64_t fake_visit_max;

/* Register accesses as the bus makes them. */
void fake_write(struct mdl_device *dev, uint64_t off, uint64_t val, size_t len);
uint64_t fake_read(struct mdl_device *dev, uint64_t off, size_t len);
#define fake_w32(dev, off, val) fake_write((dev), (off), (val), 4)
#define fake_w64(dev, off, val) fake_write((dev), (off), (val), 8)
#define fake_r32(dev, off)	((uint32_t)fake_read((dev), (off), 4))
#define fake_r64(dev, off)	fake_read((dev), (off), 8)

/* Bus memory of all devices. err: what an access answers instead (0: none). */
void fake_map(uint64_t base, void *mem, uint64_t len, bool writable, int err);
void fake_unmap_all(void);
void fake_bus_master(struct mdl_device *dev, bool on);

/* Where a BAR is, UINT64_MAX (as at first) for nowhere. */
void fake_place_bar(struct mdl_device *dev, unsigned bar, uint64_t addr);

/* One call of the function of each worker. Return: one wants to go on at once. */
bool fake_step(struct mdl_device *dev);
/* Until the worker would sleep, at most max calls. Return: the number of calls. */
unsigned fake_run(struct mdl_device *dev, unsigned max);
/* When the worker asked to be called again, 0 for never, in fake_now_ns. */
uint64_t fake_wakeup(const struct mdl_device *dev);
/* Was the worker kicked since the last call of this? */
bool fake_kicked(struct mdl_device *dev);

void fake_reset(struct mdl_device *dev, enum mdl_reset kind);
void fake_link(struct mdl_device *a, struct mdl_device *b);
void fake_link_set(struct mdl_device *dev, bool up);
unsigned fake_irqs(const struct mdl_device *dev, unsigned vec); /* raised so far */
uint64_t fake_counter(const struct mdl_device *dev, const char *name);
void fake_arm(struct mdl_device *dev, const char *name, enum mdl_fault_action action, uint64_t arg,
	      unsigned count);
void fake_snapshot(struct mdl_device *dev, struct json_object *obj);
void *fake_local(const struct mdl_device *dev);
/* Payload bytes moved through the door, both directions, since the start. */
uint64_t fake_data_bytes(void);

#endif
