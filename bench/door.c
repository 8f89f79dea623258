// SPDX-License-Identifier: MIT
/*
 * What the DMA door costs beside memmove: scatter lists of 4 KiB pieces and of 1 MiB pieces between
 * guest RAM and the device's own memory, for the number of windows an address is looked up in. Both
 * methods alternate within one run, on the same addresses. Prints the median and the quartiles.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/common/internal.h"
#include "models/common/worker.h"

#define VRAM	(64u << 20)
#define RAM	(64u << 20)
#define WARM_UP 3
#define SAMPLES 31
#define IOVA	UINT64_C(0x100000000)

static void no_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	memset(buf, 0, len);
}

static void no_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		     size_t len)
{
}

static const struct mdl_device_ops ops = { .bar_read = no_read, .bar_write = no_write };

struct bench {
	struct mdl_node *node;
	struct mdl_device *dev;
	uint8_t *vram, *ram;
	int fd;
	struct mdl_seg *src, *dst;
	unsigned n;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_device(struct bench *b)
{
	struct mdl_node_cfg cfg = { .name = "bench" };
	struct mdl_device_desc d = { .model = "bench",
				     .ops = &ops,
				     .n_vectors = 1,
				     .msix_bar = 4,
				     .msix_pba_off = 0x800,
				     .local_size = VRAM };
	uint16_t command = 6;

	if (mdl_node_create(&cfg, &b->node) ||
	    mdl_mem_create("vram", VRAM, &d.bars[2].fd, &d.bars[2].mem))
		die("vram");
	d.bars[2].size = VRAM;
	d.bars[2].is_64bit = true;
	d.bars[4] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.local_mem = b->vram = d.bars[2].mem;
	if (mdl_device_create(b->node, "dev", &d, NULL, &b->dev))
		die("device");
	mdl_config_write(b->dev, 4, &command, sizeof(command));
	b->fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (b->fd < 0 || ftruncate(b->fd, RAM) || fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK))
		die("ram");
	b->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (b->ram == MAP_FAILED)
		die("mmap");
}

/* RAM in windows of step bytes, and as many other windows as make n. */
static void open_windows(struct bench *b, uint64_t step, unsigned n)
{
	uint64_t off;

	pthread_rwlock_wrlock(&b->node->lock);
	mdl_windows_unmap_all(&b->dev->windows, &b->node->backings);
	for (off = 0; off < RAM; off += step)
		if (mdl_windows_map(&b->dev->windows, &b->node->backings, IOVA + off, step, 3,
				    b->fd, off, NULL))
			die("map");
	for (off = 0; b->dev->windows.n < n; off += 8192)
		if (mdl_windows_map(&b->dev->windows, &b->node->backings, 2 * IOVA + off, 4096, 3,
				    b->fd, 0, NULL))
			die("map");
	pthread_rwlock_unlock(&b->node->lock);
}

static void make_lists(struct bench *b, uint64_t piece, uint64_t total)
{
	unsigned i;

	b->n = (unsigned)(total / piece);
	free(b->src);
	free(b->dst);
	b->src = calloc(b->n, sizeof(*b->src));
	b->dst = calloc(b->n, sizeof(*b->dst));
	if (!b->src || !b->dst)
		die("calloc");
	for (i = 0; i < b->n; i++) {
		/* 61 is coprime to any power of two: no piece twice, no two in a row. */
		uint64_t off = (uint64_t)(i * 61u % b->n) * piece;

		b->src[i] = (struct mdl_seg){ .addr = IOVA + off, .len = piece };
		b->dst[i] = (struct mdl_seg){ .addr = i * piece,
					      .len = piece,
					      .space = MDL_SPACE_LOCAL };
	}
}

static uint64_t by_door(struct bench *b)
{
	struct mdl_dma d;
	uint64_t t = mdl_now_ns();

	mdl_dma_begin(&d, b->dev);
	if (mdl_dma_copyv(&d, b->dst, b->n, &d, b->src, b->n, MDL_DATA, NULL))
		die("copyv");
	return mdl_now_ns() - t;
}

static uint64_t by_memmove(struct bench *b)
{
	uint64_t t = mdl_now_ns();
	unsigned i;

	for (i = 0; i < b->n; i++)
		memmove(b->vram + b->dst[i].addr, b->ram + (b->src[i].addr - IOVA), b->src[i].len);
	return mdl_now_ns() - t;
}

static int cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure(struct bench *b, unsigned windows, uint64_t piece, uint64_t total)
{
	uint64_t door[SAMPLES], move[SAMPLES];
	unsigned i;

	make_lists(b, piece, total);
	for (i = 0; i < WARM_UP; i++) {
		by_door(b);
		by_memmove(b);
	}
	for (i = 0; i < SAMPLES; i++) {
		door[i] = by_door(b);
		move[i] = by_memmove(b);
	}
	qsort(door, SAMPLES, sizeof(door[0]), cmp);
	qsort(move, SAMPLES, sizeof(move[0]), cmp);
	printf("%7u  %7llu  %9llu  %7.0f  %7.0f - %-7.0f  %7.0f  %8.1f  %6.2f  %6.2f\n", windows,
	       (unsigned long long)piece, (unsigned long long)total,
	       (double)door[SAMPLES / 2] / b->n, (double)door[SAMPLES / 4] / b->n,
	       (double)door[SAMPLES * 3 / 4] / b->n, (double)move[SAMPLES / 2] / b->n,
	       ((double)door[SAMPLES / 2] - (double)move[SAMPLES / 2]) / b->n,
	       (double)total / (double)door[SAMPLES / 2],
	       (double)total / (double)move[SAMPLES / 2]);
}

int main(void)
{
	struct bench b = { 0 };

	open_device(&b);
	printf("copyv of host memory into own memory, %d warm-up, median of %d (quartiles)\n",
	       WARM_UP, SAMPLES);
	printf("windows    piece      total  ns each  (quartiles)        memmove  overhead"
	       "    GB/s  memmove\n");
	open_windows(&b, RAM, 1);
	measure(&b, 1, 64, 65536);
	measure(&b, 1, 4096, 256 << 10);
	measure(&b, 1, 4096, 16 << 20);
	measure(&b, 1, 1 << 20, 64 << 20);
	open_windows(&b, 4096, 60000);
	measure(&b, 60000, 4096, 256 << 10);
	measure(&b, 60000, 4096, 16 << 20);
	measure(&b, 60000, 1 << 20, 64 << 20);
	pthread_rwlock_wrlock(&b.node->lock);
	mdl_windows_unmap_all(&b.dev->windows, &b.node->backings);
	pthread_rwlock_unlock(&b.node->lock);
	mdl_device_destroy(b.dev);
	mdl_node_destroy(b.node);
	munmap(b.ram, RAM);
	close(b.fd);
	free(b.src);
	free(b.dst);
	return 0;
}
