// SPDX-License-Identifier: MIT
/* From a command to a submission entry and its lists. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/accel/private.h"
#include "lib/core/error.h"

/* The memory may be a BAR: whole words only. memcpy: from is of another type than words. */
static void store_words(volatile char *to, const void *from, size_t len)
{
	volatile uint64_t *dst = (volatile uint64_t *)to;
	const char *src = from;
	uint64_t word;

	for (; len; len -= sizeof(word), src += sizeof(word)) {
		memcpy(&word, src, sizeof(word));
		*dst++ = word;
	}
}

static bool is_list(unsigned n, uint32_t forced)
{
	return n > 1 || forced;
}

/*
 * Room for one list in one piece. A list that would wrap round starts at the front, the rest of the
 * room behind it is lost until then. Return: 0 with *ret_off in the room; -EAGAIN.
 */
static int take_room(const struct pdmai_accel_ring *ring, uint32_t *tail, uint32_t len,
		     uint32_t *ret_off)
{
	uint32_t off = *tail & (ring->list_size - 1), skip;

	skip = len > ring->list_size - off ? ring->list_size - off : 0;
	if (*tail - ring->list_head > ring->list_size ||
	    skip + len > ring->list_size - (*tail - ring->list_head))
		return -EAGAIN;
	*ret_off = (off + skip) & (ring->list_size - 1);
	*tail += skip + len;
	return 0;
}

static void write_list(struct pdmai_accel_ring *ring, uint32_t off,
		       const struct pdmai_accel_mem *mem, unsigned n)
{
	volatile char *to = ring->mem + ring->list_off + off;

	for (unsigned i = 0; i < n; i++) {
		struct accel_sge sge = {
			.addr = htole64(mem[i].addr),
			.len = htole64(mem[i].len),
			.space = htole32(mem[i].space),
		};

		store_words(to + i * sizeof(sge), &sge, sizeof(sge));
	}
}

struct side {
	uint64_t addr;
	uint32_t count;
	uint8_t space;
	bool list;
	uint32_t off;
};

static int plan_side(const struct pdmai_accel_ring *ring, const struct pdmai_accel_mem *mem,
		     unsigned n, uint32_t forced, uint32_t *tail, struct side *s)
{
	uint32_t most = ring->list_size / sizeof(struct accel_sge);
	int ret;

	*s = (struct side){ .list = is_list(n, forced) };
	if (!s->list) {
		s->addr = n ? mem->addr : 0;
		s->space = n ? (uint8_t)mem->space : 0;
		return 0;
	}
	if (n > most || n > ring->accel->info.sgl_max)
		return pdmai_fail(E2BIG, "a list of %u pieces does not fit the ring", n);
	ret = take_room(ring, tail, n * (uint32_t)sizeof(struct accel_sge), &s->off);
	if (ret)
		return ret;
	s->addr = ring->bus + ring->list_off + s->off;
	s->space = (uint8_t)ring->space;
	s->count = n;
	return 0;
}

static void fill_sqe(const struct pdmai_accel_ring *ring, const struct pdmai_accel_cmd *cmd,
		     const struct side *src, const struct side *dst, struct accel_sqe *sqe)
{
	*sqe = (struct accel_sqe){
		.opcode = (uint8_t)cmd->op,
		.param = htole16(cmd->param),
		.cmd_id = htole32(ring->sq_tail),
		.len = htole64(cmd->len),
		.imm = htole64(cmd->imm),
		.src_addr = htole64(src->addr),
		.dst_addr = htole64(dst->addr),
		.src_count = htole32(src->count),
		.dst_count = htole32(dst->count),
		.src_space = src->space,
		.dst_space = dst->space,
	};
	if (ring->config.interrupt && !(cmd->flags & PDMAI_ACCEL_QUIET))
		sqe->flags |= ACCEL_SQE_IRQ;
	if (src->list)
		sqe->flags |= ACCEL_SQE_SRC_SGL;
	if (dst->list)
		sqe->flags |= ACCEL_SQE_DST_SGL;
}

int pdmai_accel_submit(struct pdmai_accel_ring *ring, const struct pdmai_accel_cmd *cmd)
{
	uint32_t tail = ring->list_tail, slot = ring->sq_tail & (ring->size - 1);
	struct side src, dst;
	struct accel_sqe sqe;
	int ret;

	ret = pdmai_accel_ring_gate(ring);
	if (ret)
		return ret;
	if (pdmai_accel_ring_pending(ring) >= ring->size)
		return -EAGAIN;
	ret = plan_side(ring, cmd->src, cmd->n_src, cmd->flags & PDMAI_ACCEL_SRC_LIST, &tail, &src);
	ret = ret ? ret :
		    plan_side(ring, cmd->dst, cmd->n_dst, cmd->flags & PDMAI_ACCEL_DST_LIST, &tail,
			      &dst);
	if (ret)
		return ret;
	if (src.list)
		write_list(ring, src.off, cmd->src, cmd->n_src);
	if (dst.list)
		write_list(ring, dst.off, cmd->dst, cmd->n_dst);
	fill_sqe(ring, cmd, &src, &dst, &sqe);
	store_words(ring->mem + slot * sizeof(sqe), &sqe, sizeof(sqe));
	ring->slots[slot] = (struct pdmai_accel_slot){ cmd->cookie, tail };
	ring->list_tail = tail;
	ring->sq_tail++;
	if (!(cmd->flags & PDMAI_ACCEL_MORE))
		pdmai_accel_ring_kick(ring);
	return 0;
}
