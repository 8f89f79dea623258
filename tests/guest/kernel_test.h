/* SPDX-License-Identifier: MIT */
/*
 * What the modules do when an importer misbehaves, memory is short or a signal comes, brought about
 * with peerdma_test (kernel/peerdma_test). Every failure of these fails the test.
 */
#ifndef PEERDMA_TESTS_GUEST_KERNEL_TEST_H
#define PEERDMA_TESTS_GUEST_KERNEL_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel_rig;

/* What is in the slot of that variable, as struct peerdma_pci. */
void kernel_function(const char *slot, uint8_t ret[8]);

/* Descriptors of its two devices; the module is loaded when it is not. They end with the test. */
int kernel_test_open(void);
int kernel_import_open(void);

/* An importer of dma-bufs that acts for the NIC. Typed from kernel/peerdma_test, not taken. */
enum kernel_import_op {
	KERNEL_IMPORT_ATTACH = 1,
	KERNEL_IMPORT_DETACH,
	KERNEL_IMPORT_MAP,
	KERNEL_IMPORT_UNMAP,
	KERNEL_IMPORT_PIN,
	KERNEL_IMPORT_UNPIN,
	KERNEL_IMPORT_FENCE,
	KERNEL_IMPORT_SIGNAL,
	KERNEL_IMPORT_TOLD,
};

#define KERNEL_PEERS 1u /* can reach peers */
#define KERNEL_HEARS 2u /* can be told to let go */
#define KERNEL_HOLDS 4u /* does not let go when told to */
#define KERNEL_PLAIN 8u /* knows of neither */

struct kernel_import {
	uint32_t op, handle, flags;
	int32_t fd;
	uint8_t function[8];
	uint32_t n_told, n_mapped;
	uint64_t address, len;
};

/* Return: 0, with handle set, or -errno. */
int kernel_import_attach(int import_fd, int dmabuf, unsigned flags, uint32_t *handle);
/* Return: 0 or -errno. */
int kernel_import_do(int import_fd, enum kernel_import_op op, uint32_t handle);
/* What KERNEL_IMPORT_MAP or _TOLD says; it must not fail. */
struct kernel_import kernel_import_ask(int import_fd, enum kernel_import_op op, uint32_t handle);
/* Somebody who has a MiB of the device mapped and does not let go. */
uint32_t kernel_import_hold(struct kernel_rig *r, int import_fd);

/* A provider of peerdma_test that has pages held. It goes with the descriptor. */
void kernel_test_provide(int test_fd);

/* Where the list of pins waits with a provider there, and mmap() of a test_fd. */
void kernel_gate_close(int test_fd);
void kernel_gate_open(int test_fd);
/* Until somebody waits there. */
void kernel_gate_wait(int test_fd);

/* The allocation number skip that module makes for this thread from now on fails. */
void kernel_fail_begin(int test_fd, const char *module, unsigned skip);
/* Return: whether there was one. */
bool kernel_fail_end(int test_fd);

/* A child that does something which is to be interrupted. */
pid_t kernel_child(void (*fn)(void *arg), void *arg);
/* Until it sleeps in the kernel, in a function or "[module]" or in what that has called. */
void kernel_wait_asleep(pid_t child, const char *name);
/* Kill it. Return: what the system call gave in which it was. */
int64_t kernel_kill(pid_t child);
/* The same for one that waits at the gate, where nothing but opening it helps. */
int64_t kernel_kill_at_gate(pid_t child, int test_fd);
/* Send it SIGUSR1, which it handles; it ends by itself, with status 0. */
void kernel_interrupt(pid_t child);

#endif
