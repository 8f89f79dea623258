/* SPDX-License-Identifier: MIT */
/*
 * A small device on a node without any client, for tests of what lies behind the socket. Windows
 * and guest RAM are put in place directly.
 */
#ifndef PEERDMA_TESTS_UNIT_MODELS_COMMON_TESTDEV_H
#define PEERDMA_TESTS_UNIT_MODELS_COMMON_TESTDEV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/common/internal.h"

#define TDEV_REGS    4096u
#define TDEV_VRAM    (1024u * 1024u)
#define TDEV_VECTORS 70u

struct tdev {
	struct mdl_device *dev;
	struct mdl_node *node;
	uint8_t *vram;
	uint8_t regs[TDEV_REGS]; /* behind BAR0, plain memory */
	unsigned resets, links, reads, writes;
	enum mdl_reset last_reset;
};

/* A sealed memfd and a mapping of it. */
struct tram {
	int fd;
	uint8_t *mem;
	uint64_t size;
};

struct mdl_node *tnode_create(const char *name, bool bridge, bool iommu);
/* BAR0 registers (4 KiB), BAR2 VRAM (1 MiB, 64-bit), BAR4 MSI-X of 70 vectors. */
struct tdev *tdev_create(struct mdl_node *node, const char *name);
void tdev_destroy(struct tdev *t);

void tdev_write16(struct tdev *t, unsigned off, uint16_t val);
void tdev_write32(struct tdev *t, unsigned off, uint32_t val);
uint16_t tdev_read16(struct tdev *t, unsigned off);
uint32_t tdev_read32(struct tdev *t, unsigned off);
/* Place BAR0 and BAR2 (0 leaves one alone), switch decoding and bus mastering on. */
void tdev_enable(struct tdev *t, uint32_t bar0, uint64_t bar2);

struct tram tram_create(uint64_t size);
void tram_destroy(struct tram *r);
/* Open [addr, addr + size) of t's address space; r NULL for a window without a file. */
void tdev_map(struct tdev *t, const struct tram *r, uint64_t addr, uint64_t off, uint64_t size,
	      unsigned prot);
void tdev_unmap(struct tdev *t, uint64_t addr, uint64_t size);
/* Take the file behind t's window at addr for the node's RAM from guest physical 0 on. */
void tdev_window_is_ram(struct tdev *t, uint64_t addr, uint64_t gpa, uint64_t len, uint64_t off);
/* A device that lost its client: windows and RAM are gone afterwards. */
void tdev_detach(struct tdev *t);

/* Bytes that depend on seed and position. Return of check: first bad offset or -1. */
void tpat_fill(void *buf, size_t len, unsigned seed);
long tpat_check(const void *buf, size_t len, unsigned seed);

uint64_t tcount_bytes(const struct tdev *t, enum mdl_class cls, enum mdl_target target, bool write);
uint64_t tcount_ops(const struct tdev *t, enum mdl_class cls, enum mdl_target target, bool write);
uint64_t tcount_all(const struct tdev *t);

#endif
