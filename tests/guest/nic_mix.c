// SPDX-License-Identifier: MIT
/*
 * nic_mix PORT [HOST]: with HOST the client, else the server.
 *
 * In each round every end sends, writes, reads and does atomics at once, of sizes and places that
 * both sides derive from the numbers of round and end. Each side then makes the picture of what its
 * memory must hold, what lies between and behind the data included, and compares all of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kit/pattern.h"
#include "tests/guest/nic_mix.h"

#define ROUNDS	 4u
#define PIECES	 3u
#define ADDS	 2u
#define GUARD	 0x5a
#define MAX_SEND 10000u
#define MAX_UD	 4096u

/* A part of the target half for each piece, room for its place within included. */
static const uint32_t part_off[PIECES] = { 0, 40u << 10, 56u << 10 };
static const uint32_t part_len[PIECES] = { 40u << 10, 16u << 10, 8u << 10 };

struct piece {
	uint32_t from, to, len; /* offsets into the source and the target half */
};

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = kit_pattern_word(*seed, 1);
	return (uint32_t)((*seed >> 16) % below);
}

/* Small, around a packet, or any. */
static uint32_t draw_len(uint64_t *seed, uint32_t max)
{
	uint32_t len;

	switch (draw(seed, 4)) {
	case 0:
		len = 1 + draw(seed, 64);
		break;
	case 1:
		len = (1 + draw(seed, 4)) * 1024 - 2 + draw(seed, 5);
		break;
	default:
		len = 1 + draw(seed, max);
	}
	return len < max ? len : max;
}

enum what { WHAT_WRITE = 1, WHAT_READ, WHAT_SEND };

static struct piece plan(unsigned round, unsigned end, enum what what, unsigned i)
{
	uint64_t seed = ((uint64_t)round << 32 | end << 8 | (unsigned)what << 4 | i) + 1;
	bool ud = end % MIX_KINDS == MIX_UD;
	struct piece p;
	uint32_t shift = draw(&seed, 64);

	if (what == WHAT_SEND) {
		p.len = draw_len(&seed, ud ? MAX_UD : MAX_SEND);
		p.to = ud ? MIX_GRH : 0;
	} else {
		p.len = draw_len(&seed, part_len[i] - 128);
		p.to = part_off[i] + shift;
	}
	p.from = draw(&seed, MIX_HALF - p.len);
	return p;
}

static uint64_t source_seed(bool server, unsigned round, unsigned end)
{
	return ((uint64_t)server << 63) + ((uint64_t)round << 32) + end + 1;
}

/* ---- checks ---- */

static uint8_t source[MIX_HALF], picture[MIX_HALF];

static void check(const void *mem, uint32_t len, const char *what, unsigned end)
{
	const uint8_t *got = mem;
	uint32_t first = 0, last = len;

	if (!memcmp(got, picture, len))
		return;
	while (got[first] == picture[first])
		first++;
	while (got[last - 1] == picture[last - 1])
		last--;
	mix_fail("%s of end %u: bytes %u to %u are wrong: 0x%02x, not 0x%02x", what, end, first,
		 last - 1, got[first], picture[first]);
}

static void check_target(struct mix *m, unsigned round, unsigned end, enum what what)
{
	unsigned i;

	kit_pattern_fill(source, MIX_HALF, source_seed(what == WHAT_READ, round, end), 0);
	memset(picture, GUARD, MIX_HALF);
	for (i = 0; i < PIECES; i++) {
		struct piece p = plan(round, end, what, i);

		memcpy(picture + p.to, source + p.from, p.len);
	}
	check(m->end[end].mem + MIX_TARGET, MIX_HALF, what == WHAT_READ ? "READ" : "WRITE", end);
}

/* The message that came into buf must be the next of its end. */
static void check_message(struct mix *m, unsigned round, unsigned end, const struct ibv_wc *wc,
			  const uint8_t *buf)
{
	struct mix_end *e = &m->end[end];
	struct piece p;

	if (e->received == MIX_SENDS)
		mix_fail("end %u: more messages than were sent", end);
	p = plan(round, end, WHAT_SEND, e->received++);
	if (wc->byte_len != p.to + p.len)
		mix_fail("end %u: %u bytes came, %u were sent", end, wc->byte_len, p.to + p.len);
	kit_pattern_fill(source, MIX_HALF, source_seed(false, round, end), 0);
	memset(picture, GUARD, MIX_BUF);
	memcpy(picture, source + p.from, p.len);
	check(buf + p.to, MIX_BUF - p.to, "SEND", end);
}

static uint64_t *word(const struct mix_end *e, unsigned i)
{
	return (uint64_t *)(void *)(e->mem + MIX_ATOMIC) + i;
}

static uint64_t end_word(unsigned round, unsigned end)
{
	return kit_pattern_word(end + 77, round);
}

/* ---- the server ---- */

static void post_receive(struct mix *m, unsigned end, unsigned i)
{
	struct mix_end *e = &m->end[end];
	struct ibv_sge sge = { .addr = (uintptr_t)(e->mem + MIX_RECV + i * MIX_BUF),
			       .length = MIX_BUF,
			       .lkey = m->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = sge.addr, .sg_list = &sge, .num_sge = 1 }, *bad;
	int err;

	if (mix_has_srq(e))
		err = ibv_post_srq_recv(m->srq[end % MIX_SRQS], &wr, &bad);
	else
		err = ibv_post_recv(e->qp, &wr, &bad);
	if (err)
		mix_fail("post a receive: %s", strerror(err));
}

static void prepare_end(struct mix *m, unsigned round, unsigned end)
{
	struct mix_end *e = &m->end[end];
	unsigned i;

	kit_pattern_fill(e->mem + MIX_SOURCE, MIX_HALF, source_seed(m->server, round, end), 0);
	memset(e->mem + MIX_TARGET, GUARD, MIX_ATOMIC - MIX_TARGET);
	e->received = 0;
	for (i = 0; m->server && i < MIX_SENDS; i++)
		post_receive(m, end, i);
	if (m->server && !round)
		*word(e, 0) = end_word(0, end);
}

static unsigned end_of(const struct mix *m, uint32_t qpn)
{
	unsigned i;

	for (i = 0; i < MIX_ENDS; i++)
		if (m->end[i].qp->qp_num == qpn)
			return i;
	mix_fail("a message for queue pair 0x%x, which is not there", qpn);
}

static void serve_round(struct mix *m, unsigned round)
{
	uint64_t sum = 2ull * MIX_QPS * ADDS * (round + 1);
	struct ibv_wc wc;
	unsigned i;

	for (i = 0; i < MIX_ENDS * MIX_SENDS; i++) {
		mix_next(m, &wc);
		check_message(m, round, end_of(m, wc.qp_num), &wc,
			      (const uint8_t *)(uintptr_t)wc.wr_id);
	}
	mix_meet(m);
	for (i = 0; i < MIX_ENDS; i++) {
		if (m->end[i].kind != MIX_UD)
			check_target(m, round, i, WHAT_WRITE);
		if (mix_reads(&m->end[i]) && *word(&m->end[i], 0) != end_word(round + 1, i))
			mix_fail("compare-and-swap of end %u left a wrong value", i);
	}
	if (*(uint64_t *)(void *)(m->mem + MIX_COUNTER) != sum)
		mix_fail("the sum of all additions is wrong in round %u", round);
}

/* ---- the client ---- */

static void post(struct mix *m, unsigned end, struct ibv_send_wr *wr, void *local, uint32_t len)
{
	struct mix_end *e = &m->end[end];
	uint32_t half = len > 100 ? len / 3 : len;
	struct ibv_sge sge[2] = {
		{ .addr = (uintptr_t)local, .length = half, .lkey = m->mr->lkey },
		{ .addr = (uintptr_t)local + half, .length = len - half, .lkey = m->mr->lkey }
	};
	struct ibv_send_wr *bad;
	int err;

	wr->wr_id = end;
	wr->sg_list = sge;
	wr->num_sge = half < len ? 2 : 1;
	wr->send_flags = IBV_SEND_SIGNALED;
	if (wr->opcode != IBV_WR_RDMA_READ && len <= 64 && len % 2)
		wr->send_flags |= IBV_SEND_INLINE;
	if (mix_has_srq(e))
		wr->qp_type.xrc.remote_srqn = e->peer_srqn;
	err = ibv_post_send(e->qp, wr, &bad);
	if (err)
		mix_fail("post to end %u: %s", end, strerror(err));
}

static unsigned post_rdma(struct mix *m, unsigned round, unsigned end, enum what what, unsigned i)
{
	struct mix_end *e = &m->end[end];
	struct piece p = plan(round, end, what, i);
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_WRITE };

	if (e->kind == MIX_UD || (what == WHAT_READ && !mix_reads(e)))
		return 0;
	wr.wr.rdma.rkey = m->peer_rkey;
	if (what == WHAT_WRITE) {
		wr.wr.rdma.remote_addr = e->peer_mem + MIX_TARGET + p.to;
		post(m, end, &wr, e->mem + MIX_SOURCE + p.from, p.len);
	} else {
		wr.opcode = IBV_WR_RDMA_READ;
		wr.wr.rdma.remote_addr = e->peer_mem + MIX_SOURCE + p.from;
		post(m, end, &wr, e->mem + MIX_TARGET + p.to, p.len);
	}
	return 1;
}

static unsigned post_message(struct mix *m, unsigned round, unsigned end, unsigned i)
{
	struct mix_end *e = &m->end[end];
	struct piece p = plan(round, end, WHAT_SEND, i);
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND };

	if (e->kind == MIX_UD) {
		wr.wr.ud.ah = m->ah;
		wr.wr.ud.remote_qpn = e->peer_qpn;
		wr.wr.ud.remote_qkey = 0x11111111;
	}
	post(m, end, &wr, e->mem + MIX_SOURCE + p.from, p.len);
	return 1;
}

static void post_atomic(struct mix *m, unsigned end, unsigned slot, uint64_t at, uint64_t add,
			uint64_t compare, uint64_t swap)
{
	struct mix_end *e = &m->end[end];
	struct ibv_send_wr wr = { .opcode = add ? IBV_WR_ATOMIC_FETCH_AND_ADD :
						  IBV_WR_ATOMIC_CMP_AND_SWP };

	wr.wr.atomic.remote_addr = at;
	wr.wr.atomic.rkey = m->peer_rkey;
	wr.wr.atomic.compare_add = add ? add : compare;
	wr.wr.atomic.swap = swap;
	post(m, end, &wr, word(e, slot), 8);
}

/* Additions to the word of all, and a swap that succeeds between two that must not. */
static unsigned post_atomics(struct mix *m, unsigned round, unsigned end)
{
	struct mix_end *e = &m->end[end];
	uint64_t at = e->peer_mem + MIX_ATOMIC, now = end_word(round, end);
	unsigned i;

	if (!mix_reads(e))
		return 0;
	for (i = 0; i < ADDS; i++)
		post_atomic(m, end, i, m->peer_counter, 1, 0, 0);
	post_atomic(m, end, ADDS, at, 0, now + 1, 0);
	post_atomic(m, end, ADDS + 1, at, 0, now, end_word(round + 1, end));
	post_atomic(m, end, ADDS + 2, at, 0, now, 0);
	return ADDS + 3;
}

static unsigned post_round(struct mix *m, unsigned round)
{
	unsigned n = 0, end, i;

	/* A message arrives after the writes before it, so the server knows when these are done. */
	for (i = 0; i < PIECES; i++)
		for (end = 0; end < MIX_ENDS; end++)
			n += post_rdma(m, round, end, WHAT_WRITE, i);
	for (end = 0; end < MIX_ENDS; end++)
		n += post_atomics(m, round, end);
	for (i = 0; i < MIX_SENDS; i++)
		for (end = 0; end < MIX_ENDS; end++) {
			n += post_message(m, round, end, i);
			n += post_rdma(m, round, end, WHAT_READ, i);
		}
	return n;
}

/* Every addition must have seen another value. */
static void check_additions(struct mix *m, unsigned round)
{
	static bool seen[2 * MIX_QPS * ADDS];
	uint64_t base = (uint64_t)round * sizeof(seen), old;
	unsigned end, i;

	memset(seen, 0, sizeof(seen));
	for (end = 0; end < MIX_ENDS; end++)
		for (i = 0; i < ADDS && mix_reads(&m->end[end]); i++) {
			old = *word(&m->end[end], i) - base;
			if (old >= sizeof(seen) || seen[old])
				mix_fail("fetch-and-add of end %u saw a wrong value", end);
			seen[old] = true;
		}
}

static void check_swaps(struct mix *m, unsigned round, unsigned end)
{
	struct mix_end *e = &m->end[end];
	uint64_t was = end_word(round, end), is = end_word(round + 1, end);

	if (*word(e, ADDS) != was || *word(e, ADDS + 1) != was || *word(e, ADDS + 2) != is)
		mix_fail("compare-and-swap of end %u saw a wrong value", end);
}

static void ask_round(struct mix *m, unsigned round)
{
	unsigned n = post_round(m, round), end;
	struct ibv_wc wc;

	while (n--)
		mix_next(m, &wc);
	mix_meet(m);
	check_additions(m, round);
	for (end = 0; end < MIX_ENDS; end++) {
		if (!mix_reads(&m->end[end]))
			continue;
		check_target(m, round, end, WHAT_READ);
		check_swaps(m, round, end);
	}
}

int main(int argc, char **argv)
{
	static struct mix m;
	unsigned round, end;

	if (argc != 2 && argc != 3)
		mix_fail("usage: nic_mix PORT [HOST]");
	mix_open(&m, argv[1], argc == 3 ? argv[2] : NULL);
	for (round = 0; round < ROUNDS; round++) {
		for (end = 0; end < MIX_ENDS; end++)
			prepare_end(&m, round, end);
		mix_meet(&m);
		if (m.server)
			serve_round(&m, round);
		else
			ask_round(&m, round);
		mix_meet(&m);
	}
	mix_close(&m);
	printf("%u rounds, %u queue pairs: all data right\n", ROUNDS, MIX_ENDS);
	return 0;
}
