/* SPDX-License-Identifier: MIT */
/*
 * DMA windows of one client: which ranges of its address space it opened, and the memory behind
 * them. A balanced tree of ranges that never overlap; each backing file is mapped once a node.
 * Not thread safe: the node's lock protects it.
 */
#ifndef PEERDMA_MODELS_COMMON_WINDOW_H
#define PEERDMA_MODELS_COMMON_WINDOW_H

#include <bsd/sys/tree.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define MDL_MAX_WINDOWS	 65535
#define MDL_MAX_BACKINGS 64

#define MDL_PROT_READ  1u
#define MDL_PROT_WRITE 2u

struct mdl_backing {
	TAILQ_ENTRY(mdl_backing) entry;
	dev_t dev;
	ino_t ino;
	uint8_t *mem;
	uint64_t size;
	bool writable;
	unsigned refs;
};
struct mdl_backings {
	TAILQ_HEAD(, mdl_backing) list;
	unsigned n;
};

struct mdl_window {
	RB_ENTRY(mdl_window) node;
	uint64_t first, last; /* both inside */
	unsigned prot;
	struct mdl_backing *backing; /* NULL: only the client can reach it */
	uint8_t *mem;		     /* of first, when backed */
	/*
	 * What first translates to, once looked up, with MDL_PROT_... in the low bits;
	 * MDL_GPA_UNKNOWN before, MDL_GPA_NONE if not
	 */
	_Atomic uint64_t gpa;
};
#define MDL_GPA_UNKNOWN UINT64_MAX
#define MDL_GPA_NONE	(UINT64_MAX - 1)

RB_HEAD(mdl_window_tree, mdl_window);
struct mdl_windows {
	struct mdl_window_tree tree;
	unsigned n;
};

void mdl_windows_init(struct mdl_windows *w);

/*
 * Open [addr, addr + size). fd -1 for none; it is not kept. A file that could shrink under us
 * (no F_SEAL_SHRINK) is not mapped and counts as none. Return: 0; -EINVAL empty, wrapping, beyond
 * the file, or not openable as prot asks; -EEXIST overlaps; -ENOSPC too many; -errno of mmap.
 */
int mdl_windows_map(struct mdl_windows *w, struct mdl_backings *b, uint64_t addr, uint64_t size,
		    unsigned prot, int fd, uint64_t off, struct mdl_window **ret_win);
/*
 * Close every window inside [addr, addr + size); none at all is fine. -EINVAL, with nothing
 * changed, when the range is empty or wraps or an end of it falls inside a window.
 */
int mdl_windows_unmap(struct mdl_windows *w, struct mdl_backings *b, uint64_t addr, uint64_t size);
void mdl_windows_unmap_all(struct mdl_windows *w, struct mdl_backings *b);

/* Give a reference up; the last one unmaps the file. */
void mdl_backing_put(struct mdl_backings *b, struct mdl_backing *k);

/* The window that holds addr, or NULL. O(log n). */
struct mdl_window *mdl_windows_find(struct mdl_windows *w, uint64_t addr);

#endif
