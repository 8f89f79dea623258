/* SPDX-License-Identifier: MIT */
/*
 * The fabric's control socket as a guest of the lab sees it (docs/fabric.md): a virtio-serial port
 * named "peerdma.control". For guest tests, the demonstration and benchmarks. Every call waits for
 * the answer. Not thread safe.
 */
#ifndef PEERDMA_BENCH_KIT_CONTROL_H
#define PEERDMA_BENCH_KIT_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct kit_control;
struct json_object;

enum kit_target {
	KIT_HOST,
	KIT_OWN,
	KIT_PEER_SWITCH,
	KIT_PEER_BRIDGE,
	KIT_PEER_QEMU,
	KIT_LINK,
	KIT_TARGETS
};

/* Payload bytes a device moved, by target. */
struct kit_bytes {
	uint64_t read[KIT_TARGETS], write[KIT_TARGETS];
};

/* Return: 0; -ENOENT: this machine has no such port; -EBUSY: another process has it. */
int kit_control_open(struct kit_control **ret_control);
void kit_control_close(struct kit_control *c);

/*
 * Send a request and wait for its answer, which the caller puts back with json_object_put().
 * Return: 0; -EREMOTEIO: the fabric refuses, kit_control_error() says why; -EPROTO; -ETIMEDOUT;
 * -EIO.
 */
int kit_control_ask(struct kit_control *c, struct json_object **ret_answer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *kit_control_error(const struct kit_control *c);

/* device: the name of its slot, "acc0". */
int kit_control_bytes(struct kit_control *c, const char *device, struct kit_bytes *ret_bytes);
/* A counter by the names on its way, as "model/cmd.copy" or "bus/resets". */
int kit_control_counter(struct kit_control *c, const char *device, const char *name,
			uint64_t *ret_value);
/*
 * Arm a fault point, or disarm it with action "none". after: passes before; count: 0 without end.
 */
int kit_control_fault(struct kit_control *c, const char *device, const char *point,
		      const char *action, uint64_t arg, unsigned after, unsigned count);
int kit_control_link(struct kit_control *c, const char *device, bool up);
int kit_control_reset(struct kit_control *c, const char *device);

/* after - before, each field */
struct kit_bytes kit_bytes_since(const struct kit_bytes *before, const struct kit_bytes *after);

#endif
