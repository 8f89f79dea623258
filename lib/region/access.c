// SPDX-License-Identifier: MIT
/* Reading and writing regions by the CPU. */
#include <errno.h>
#include <string.h>

#include "lib/dev/barrier.h"
#include "lib/region/map.h"

/* Mapped at once when nobody has mapped the region; also how long a revoke waits at most. */
#define WINDOW (4ull << 20)

void pdmai_copy_from_device(void *to, const volatile void *from, uint64_t len)
{
	const volatile char *src = from;
	char *dst = to;
	uint64_t word;

	for (; len && (uintptr_t)src % sizeof(word); len--)
		*dst++ = *src++;
	for (; len >= sizeof(word); len -= sizeof(word)) {
		word = *(const volatile uint64_t *)src;
		memcpy(dst, &word, sizeof(word));
		src += sizeof(word);
		dst += sizeof(word);
	}
	while (len--)
		*dst++ = *src++;
}

void pdmai_copy_to_device(volatile void *to, const void *from, uint64_t len)
{
	volatile char *dst = to;
	const char *src = from;
	uint64_t word;

	for (; len && (uintptr_t)dst % sizeof(word); len--)
		*dst++ = *src++;
	for (; len >= sizeof(word); len -= sizeof(word)) {
		memcpy(&word, src, sizeof(word));
		*(volatile uint64_t *)dst = word;
		src += sizeof(word);
		dst += sizeof(word);
	}
	while (len--)
		*dst++ = *src++;
}

/*
 * Writes of the processor are posted: another device that is told to write or read there next could
 * overtake them. A read is answered behind them.
 */
static void settle(const volatile char *last)
{
	pdmai_wmb_before_doorbell();
	(void)*last;
}

static void move(const struct pdmai_backing *b, void *mem, void *buf, uint64_t len, bool write)
{
	if (!b->slow)
		memcpy(write ? mem : buf, write ? buf : mem, len);
	else if (write)
		pdmai_copy_to_device(mem, buf, len);
	else
		pdmai_copy_from_device(buf, mem, len);
	if (b->slow && write && len)
		settle((const char *)mem + (len - 1));
}

/*
 * Reading memory whose decode is off raises SIGBUS; whoever turns it off in this process revokes
 * first, and waits for us. What others did is seen here.
 */
static int check_device(struct pdmai_backing *b)
{
	int ret = b->device && b->ops->check ? b->ops->check(b) : 0;

	return ret ? -EFAULT : 0;
}

static int move_window(struct pdma_region *r, const struct pdmai_piece *window, void *buf,
		       bool write)
{
	struct pdmai_map m;
	int ret;

	pdmai_ctx_lock(r->ctx);
	ret = check_device(window->backing);
	ret = ret ? ret : pdmai_pieces_map(window, 1, window->len, write, &m);
	pdmai_ctx_unlock(r->ctx);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&r->access);
	ret = pdmai_region_gate(r);
	if (!ret)
		move(window->backing, m.vaddr, buf, window->len, write);
	pthread_rwlock_unlock(&r->access);
	pdmai_pieces_unmap(&m);
	return ret;
}

static int move_piece(struct pdma_region *r, const struct pdmai_piece *p, char *buf, bool write)
{
	uint64_t done = 0;
	int ret = 0;

	if (p->backing->ops->io) {
		ret = pdmai_region_gate(r);
		return ret ? ret : p->backing->ops->io(p->backing, p->off, buf, p->len, write);
	}
	while (done < p->len && !ret) {
		uint64_t n = p->len - done < WINDOW ? p->len - done : WINDOW;
		struct pdmai_piece window = { p->backing, p->off + done, n };

		ret = move_window(r, &window, buf + done, write);
		done += n;
	}
	return ret;
}

static int move_all(struct pdma_region *r, uint64_t off, char *buf, uint64_t len, bool write)
{
	uint64_t in_backing, left;
	int ret;

	ret = pdmai_region_check_range(r, off, len);
	while (len && !ret) {
		const struct pdmai_piece *p = pdmai_region_piece(r, off, &in_backing, &left);
		struct pdmai_piece part = { p->backing, in_backing, left < len ? left : len };

		ret = move_piece(r, &part, buf, write);
		off += part.len;
		buf += part.len;
		len -= part.len;
	}
	return ret;
}

int pdma_region_read(struct pdma_region *r, uint64_t off, void *buf, size_t len)
{
	return move_all(r, off, buf, len, false);
}

int pdma_region_write(struct pdma_region *r, uint64_t off, const void *buf, size_t len)
{
	if (r->flags & PDMA_REGION_READONLY)
		return pdmai_fail(EACCES, "%s is read-only", r->uri);
	return move_all(r, off, (void *)(uintptr_t)buf, len, true);
}
