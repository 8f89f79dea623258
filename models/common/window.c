// SPDX-License-Identifier: MIT
#include "models/common/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int window_cmp(struct mdl_window *a, struct mdl_window *b)
{
	return a->first < b->first ? -1 : a->first > b->first;
}

/* The _STATIC forms of libbsd need a macro that glibc lacks, and warn about what is not used. */
#define TREE_FN static __attribute__((unused))
RB_PROTOTYPE_INTERNAL(mdl_window_tree, mdl_window, node, window_cmp, TREE_FN)
RB_GENERATE_INTERNAL(mdl_window_tree, mdl_window, node, window_cmp, TREE_FN)

void mdl_windows_init(struct mdl_windows *w)
{
	RB_INIT(&w->tree);
	w->n = 0;
}

/* The first window that ends at or after addr. */
static struct mdl_window *window_at_or_after(struct mdl_windows *w, uint64_t addr)
{
	struct mdl_window *n = RB_ROOT(&w->tree), *best = NULL;

	while (n) {
		if (n->last >= addr) {
			best = n;
			n = RB_LEFT(n, node);
		} else {
			n = RB_RIGHT(n, node);
		}
	}
	return best;
}

struct mdl_window *mdl_windows_find(struct mdl_windows *w, uint64_t addr)
{
	struct mdl_window *win = window_at_or_after(w, addr);

	return win && win->first <= addr ? win : NULL;
}

void mdl_backing_put(struct mdl_backings *b, struct mdl_backing *k)
{
	if (!k || --k->refs)
		return;
	TAILQ_REMOVE(&b->list, k, entry);
	b->n--;
	munmap(k->mem, k->size);
	free(k);
}

static int backing_new(struct mdl_backings *b, int fd, const struct stat *st, bool writable,
		       struct mdl_backing **ret_k)
{
	struct mdl_backing *k;
	int err;

	if (b->n >= MDL_MAX_BACKINGS)
		return -ENOSPC;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->mem = mmap(NULL, (size_t)st->st_size, PROT_READ | (writable ? PROT_WRITE : 0),
		      MAP_SHARED, fd, 0);
	if (k->mem == MAP_FAILED) {
		err = -errno;
		free(k);
		return err;
	}
	k->dev = st->st_dev;
	k->ino = st->st_ino;
	k->size = (uint64_t)st->st_size;
	k->writable = writable;
	k->refs = 1;
	TAILQ_INSERT_TAIL(&b->list, k, entry);
	b->n++;
	*ret_k = k;
	return 0;
}

/* The mapping of fd's file that holds [off, off + size); *ret_k NULL if it must not be mapped. */
static int backing_get(struct mdl_backings *b, int fd, uint64_t off, uint64_t size, unsigned prot,
		       struct mdl_backing **ret_k)
{
	struct mdl_backing *k;
	struct stat st;
	int seals, mode;
	bool writable;

	*ret_k = NULL;
	if (fstat(fd, &st) || st.st_size <= 0)
		return -EINVAL;
	if (off > (uint64_t)st.st_size || size > (uint64_t)st.st_size - off)
		return -EINVAL;
	mode = fcntl(fd, F_GETFL);
	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
		return -EINVAL;
	seals = fcntl(fd, F_GET_SEALS);
	writable = (mode & O_ACCMODE) == O_RDWR &&
		   (seals < 0 || !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)));
	if ((prot & MDL_PROT_WRITE) && !writable)
		return -EINVAL;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return 0;
	TAILQ_FOREACH(k, &b->list, entry) {
		if (k->dev == st.st_dev && k->ino == st.st_ino && size <= k->size &&
		    off <= k->size - size && (k->writable || !(prot & MDL_PROT_WRITE))) {
			k->refs++;
			*ret_k = k;
			return 0;
		}
	}
	return backing_new(b, fd, &st, writable, ret_k);
}

int mdl_windows_map(struct mdl_windows *w, struct mdl_backings *b, uint64_t addr, uint64_t size,
		    unsigned prot, int fd, uint64_t off, struct mdl_window **ret_win)
{
	struct mdl_window *win, *next;
	int err;

	if (!size || size - 1 > UINT64_MAX - addr)
		return -EINVAL;
	next = window_at_or_after(w, addr);
	if (next && next->first <= addr + (size - 1))
		return -EEXIST;
	if (w->n >= MDL_MAX_WINDOWS)
		return -ENOSPC;
	win = calloc(1, sizeof(*win));
	if (!win)
		return -ENOMEM;
	if (fd >= 0) {
		err = backing_get(b, fd, off, size, prot, &win->backing);
		if (err) {
			free(win);
			return err;
		}
		if (win->backing)
			win->mem = win->backing->mem + off;
	}
	win->first = addr;
	win->last = addr + (size - 1);
	win->prot = prot;
	win->gpa = MDL_GPA_UNKNOWN;
	RB_INSERT(mdl_window_tree, &w->tree, win);
	w->n++;
	if (ret_win)
		*ret_win = win;
	return 0;
}

static void window_free(struct mdl_windows *w, struct mdl_backings *b, struct mdl_window *win)
{
	RB_REMOVE(mdl_window_tree, &w->tree, win);
	w->n--;
	mdl_backing_put(b, win->backing);
	free(win);
}

int mdl_windows_unmap(struct mdl_windows *w, struct mdl_backings *b, uint64_t addr, uint64_t size)
{
	struct mdl_window *win, *next;
	uint64_t last;

	if (!size || size - 1 > UINT64_MAX - addr)
		return -EINVAL;
	last = addr + (size - 1);
	win = mdl_windows_find(w, addr);
	if (win && win->first != addr)
		return -EINVAL;
	win = mdl_windows_find(w, last);
	if (win && win->last != last)
		return -EINVAL;
	for (win = window_at_or_after(w, addr); win && win->first <= last; win = next) {
		next = RB_NEXT(mdl_window_tree, &w->tree, win);
		window_free(w, b, win);
	}
	return 0;
}

void mdl_windows_unmap_all(struct mdl_windows *w, struct mdl_backings *b)
{
	struct mdl_window *win;

	while ((win = RB_ROOT(&w->tree)))
		window_free(w, b, win);
}
