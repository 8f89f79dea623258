// SPDX-License-Identifier: MIT
/*
 * Accelerators of a real peerdma-fabric, driven through their sockets by the numbers of
 * models/accel/SPEC.rst: bring-up, commands, peers, link and faults.
 *
 * Node a: acc0 and acc1 below one switch and joined by a link, acc2 at a root port of its own, no
 * forwarding by the host bridge. Node b: two root ports, the host bridge forwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/proto/accel_client.h"
#include "tests/proto/fabproc.h"

#define ACC(name, more)                                                                            \
	"{\"name\":\"" name "\",\"model\":\"accel\",\"socket\":\"" name "\",\"vram\":\"64M\"" more \
	"}"

/* clang-format off */
static const char config[] =
	"{\"control\":\"control\",\"nodes\":["
	"{\"name\":\"a\",\"devices\":["
		ACC("acc0", ",\"switch\":\"s\"") ","
		ACC("acc1", ",\"switch\":\"s\"") ","
		ACC("acc2", "") "]},"
	"{\"name\":\"b\",\"host_bridge_p2p\":true,\"devices\":["
		ACC("far0", "") ","
		ACC("far1", "") "]}],"
	"\"links\":[[\"a/acc0\",\"a/acc1\"]]}";
/* clang-format on */

enum { ACC0, ACC1, ACC2, FAR0, FAR1, N_ACCS };
static const char *const names[] = { "acc0", "acc1", "acc2", "far0", "far1" };

#define DECODE 2
#define MASTER 4
#define NONE   0xffffffffu
#define SRC    0x100000u
#define DST    0x800000u
#define LEN    0x123457u /* several slices, and not a whole number of anything */

#define UNMAPPED  0x0201
#define DENIED	  0x0202
#define PEER	  0x0203
#define LINK_DOWN 0x0205
#define MISMATCH  0x0301

struct fix {
	struct proc p;
	struct acc acc[N_ACCS];
};

static uint64_t bar2_of(unsigned i)
{
	return UINT64_C(0x2000000000) + i * A_VRAM;
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	char path[128];
	unsigned i;

	*state = f;
	for (i = 0; i < N_ACCS; i++)
		f->acc[i].c.fd = -1;
	if (proc_start(&f->p, config) || !proc_ready(&f->p))
		return -1;
	for (i = 0; i < N_ACCS; i++) {
		proc_path(&f->p, names[i], path, sizeof(path));
		if (a_open(&f->acc[i], path, 0xe0000000u + i * 0x10000u, bar2_of(i)))
			return -1;
	}
	return 0;
}

/* A process that crashed or leaked does not end with 0. */
static int teardown(void **state)
{
	struct fix *f = *state;
	char log[4096] = "";
	int status, i;

	for (i = 0; i < N_ACCS; i++)
		a_close(&f->acc[i]);
	status = proc_end(&f->p, SIGTERM);
	if (status && proc_log(&f->p, log, sizeof(log)) > 0)
		fprintf(stderr, "# peerdma-fabric: status %d: %s\n", status, log);
	proc_clean(&f->p);
	free(f);
	return status;
}

static void bring_up(struct fix *f, unsigned i)
{
	assert_int_equal(a_command(&f->acc[i], DECODE | MASTER), 0);
	assert_int_equal(a_ring_start(&f->acc[i], NONE), 1);
}

static void fill(uint8_t *mem, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		mem[i] = (uint8_t)(seed >> 24);
	}
}

static void set_bytes(const struct acc *a, uint64_t off, size_t len)
{
	memset(a->vram + off - 64, 0xee, len + 128);
}

/* The destination has the source, and the bytes around it are as set_bytes left them. */
static void check_moved(const struct acc *from, const struct acc *to, size_t len)
{
	unsigned i;

	assert_int_equal(memcmp(from->vram + SRC, to->vram + DST, len), 0);
	for (i = 1; i <= 64; i++) {
		assert_int_equal(to->vram[DST - i], 0xee);
		assert_int_equal(to->vram[DST + len + i - 1], 0xee);
	}
}

static uint64_t counter(struct fix *f, const char *device, const char *what)
{
	char ask[128], pointer[128];

	snprintf(ask, sizeof(ask), "{\"cmd\":\"counters\",\"device\":\"%s\"}", device);
	snprintf(pointer, sizeof(pointer), "/counters/%c~1%s/%s", device[0], device + 2, what);
	return ctl_num(&f->p, ask, pointer);
}

/* Of the one without a link: to the others LINK has happened already. */
static void identity(void **state)
{
	static const uint32_t words[][2] = {
		{ 0x000, 0x414d4450 }, { 0x004, 0x00010000 }, { 0x008, 0x1e }, { 0x00c, 0 },
		{ 0x010, A_VRAM },     { 0x014, 0 },	      { 0x018, 8 },    { 0x01c, 9 },
		{ 0x020, 1 },	       { 0x024, 16 },	      { 0x028, 4096 }, { 0x02c, 40 },
		{ 0x030, 0 },	       { 0x034, 0 },	      { 0x038, 0 },    { 0x058, 0 },
		{ 0x05c, 0 },	       { 0x060, 0 },	      { 0x800, 0 },    { 0x1018, NONE },
		{ 0x1024, 0 },
	};
	struct fix *f = *state;
	struct client *c = &f->acc[ACC2].c;
	size_t i;

	assert_int_equal(c_read32(c, C_CONFIG, 0), 0x7d0a1234);
	assert_int_equal(c_read32(c, C_CONFIG, 8), 0x12000001);
	assert_int_equal(c_read32(c, C_CONFIG, 0x18), (uint32_t)bar2_of(ACC2) | 0xc);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (c_read32(c, 0, words[i][0]) != words[i][1])
			fail_msg("register 0x%x: 0x%x", words[i][0], c_read32(c, 0, words[i][0]));
	assert_int_equal(c_read32(c, 0, 0x04c), 0);
	assert_int_equal(c_read32(c, 0, 0x07fc), 0);
	assert_int_equal(c_read32(c, 0, 0x04c), 1);
}

static void ring_needs_the_device_enabled(void **state)
{
	struct fix *f = *state;
	struct client *c = &f->acc[ACC0].c;
	uint32_t val = 1;

	assert_int_equal(c_write(c, 0, 0x1020, &val, 4), 0);
	assert_int_equal(c_read32(c, 0, 0x1024), 3);
	assert_int_equal(c_read32(c, 0, 0x1028), 1);
	assert_int_equal(c_read64(c, 0, 0x1030), 0x10);
	assert_int_equal(c_read32(c, 0, 0x060), 1);
	assert_int_equal(a_ring_reset(&f->acc[ACC0]), 0);
	assert_int_equal(c_read32(c, 0, 0x060), 0);
	assert_int_equal(c_read32(c, 0, 0x1028), 0);
	bring_up(f, ACC0);
	assert_int_equal(c_read32(c, 0, 0x034), 5);
}

static void copy_in_vram(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0];
	struct a_cqe q;

	bring_up(f, ACC0);
	fill(a->vram + SRC, LEN, 1);
	set_bytes(a, DST, LEN);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_LOCAL, DST, LEN, &q), 0);
	assert_int_equal(q.result, LEN);
	assert_int_equal(q.info, LEN);
	assert_int_equal(q.sq_head, 1);
	assert_int_equal(q.opcode, A_COPY);
	assert_int_equal(q.where, 0);
	assert_int_equal(q.flags, 1);
	check_moved(a, a, LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/own/write/bytes"), LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/host/write/bytes"), 0);
	/* One byte past the memory. */
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_LOCAL, A_VRAM - LEN + 1, LEN, &q),
			 0x0109);
	assert_int_equal(q.where, 1);
	assert_int_equal(q.info, 0x20);
}

static void crc_of_the_known_nine_bytes(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0];
	struct a_sqe s = { .opcode = A_CRC32C, .len = 9, .src = SRC + 3, .src_space = A_LOCAL };
	struct a_cqe q;

	bring_up(f, ACC0);
	memcpy(a->vram + SRC + 3, "123456789", 9);
	assert_int_equal(a_run(a, &s, &q), 0);
	assert_int_equal(q.status, 0);
	assert_int_equal(q.result, 0xe3069283);
	/* In two parts. */
	s.len = 4;
	assert_int_equal(a_run(a, &s, &q), 0);
	s.imm = q.result;
	s.len = 5;
	s.src += 4;
	assert_int_equal(a_run(a, &s, &q), 0);
	assert_int_equal(q.result, 0xe3069283);
}

static void phase_turns_with_every_pass(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0];
	struct a_sqe s = { .opcode = A_NOP };
	struct a_cqe q;
	uint32_t i;

	bring_up(f, ACC0);
	for (i = 0; i < 3 * A_ENTRIES + 1; i++) {
		s.cmd_id = ~i;
		s.imm = UINT64_C(0x123456789abcdef0) + i;
		assert_int_equal(a_run(a, &s, &q), 0);
		assert_int_equal(q.cmd_id, ~i);
		assert_int_equal(q.result, s.imm);
		assert_int_equal(q.sq_head, i + 1);
		assert_int_equal(q.flags, 1 - i / 16 % 2);
	}
	assert_int_equal(c_read32(&a->c, 0, 0x1038), i);
	assert_int_equal(c_read32(&a->c, 0, 0x1044), i);
}

/* Vector 5 of nine comes once for the one command that asked, and no other vector does. */
static void interrupt(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0];
	struct a_sqe s = { .opcode = A_NOP };
	struct pollfd p = { .events = POLLIN };
	struct a_cqe q;
	uint64_t n = 0;
	int fd[9], i;

	for (i = 0; i < 9; i++) {
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(fd[i] >= 0);
	}
	assert_int_equal(c_set_irqs(&a->c, 4, 2, 0, 9, fd, 9), 0);
	assert_int_equal(a_command(a, DECODE | MASTER), 0);
	assert_int_equal(a_ring_start(a, 5), 1);
	assert_int_equal(a_run(a, &s, &q), 0);
	s.flags = 1;
	assert_int_equal(a_run(a, &s, &q), 0);
	p.fd = fd[5];
	assert_int_equal(poll(&p, 1, A_WAIT_MS), 1);
	assert_int_equal(read(fd[5], &n, sizeof(n)), 8);
	assert_int_equal(n, 1);
	for (i = 0; i < 9; i++) {
		assert_int_equal(read(fd[i], &n, sizeof(n)), -1);
		close(fd[i]);
	}
	assert_int_equal(counter(f, "a/acc0", "irq/delivered"), 1);
}

static void peer_below_the_same_switch(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0], *b = &f->acc[ACC1];
	struct a_cqe q;

	bring_up(f, ACC0);
	assert_int_equal(a_command(b, DECODE), 0);
	fill(a->vram + SRC, LEN, 2);
	set_bytes(b, DST, LEN);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, bar2_of(ACC1) + DST, LEN, &q), 0);
	assert_int_equal(q.result, LEN);
	check_moved(a, b, LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/write/bytes"), LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/own/read/bytes"), LEN);
	/* And back, to another place. */
	set_bytes(a, DST, LEN);
	assert_int_equal(a_move(a, A_COPY, A_BUS, bar2_of(ACC1) + DST, A_LOCAL, DST, LEN, &q), 0);
	check_moved(a, a, LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/read/bytes"), LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/write/bytes"), LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/host/read/bytes"), 0);
	assert_int_equal(counter(f, "a/acc0", "dma/data/host/write/bytes"), 0);
	assert_int_equal(counter(f, "a/acc0", "dma/ctrl/host/write/bytes"), 0);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_bridge/write/bytes"), 0);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_qemu/write/bytes"), 0);
	/* Who is read and written asks for nothing. */
	assert_int_equal(counter(f, "a/acc1", "dma/data/own/write/bytes"), 0);
	assert_true(ctl_ok(&f->p, "{\"cmd\":\"counters_reset\",\"device\":\"a/acc0\"}"));
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/write/bytes"), 0);
}

/* Refused copies leave the peer as it was, and the ring goes on. */
static void peer_that_does_not_decode(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0], *b = &f->acc[ACC1];
	uint64_t to = bar2_of(ACC1) + DST;
	struct a_cqe q;

	bring_up(f, ACC0);
	fill(a->vram + SRC, LEN, 3);
	set_bytes(b, DST, LEN);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), UNMAPPED);
	assert_int_equal(q.where, 5);
	assert_int_equal(q.result, to);
	assert_int_equal(q.info, 0);
	assert_int_equal(b->vram[DST], 0xee);
	assert_int_equal(a_command(b, DECODE), 0);
	assert_int_equal(a_command(a, DECODE), 0);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), DENIED);
	assert_int_equal(b->vram[DST], 0xee);
	assert_int_equal(a_command(a, DECODE | MASTER), 0);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), 0);
	check_moved(a, b, LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/write/bytes"), LEN);
	/* Where its BAR was moved away nobody is any more. */
	assert_int_equal(a_command(b, 0), 0);
	assert_int_equal(c_write(&b->c, C_CONFIG, 0x1c, "\x21\0\0\0", 4), 0);
	assert_int_equal(a_command(b, DECODE), 0);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), UNMAPPED);
	assert_int_equal(
		a_move(a, A_COMPARE, A_LOCAL, SRC, A_BUS, to + (UINT64_C(1) << 32), LEN, &q), 0);
}

static void host_bridge_forwards_or_not(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0], *b = &f->acc[FAR0];
	struct a_cqe q;

	bring_up(f, ACC0);
	bring_up(f, FAR0);
	assert_int_equal(a_command(&f->acc[ACC2], DECODE), 0);
	assert_int_equal(a_command(&f->acc[FAR1], DECODE), 0);
	set_bytes(&f->acc[ACC2], DST, LEN);
	set_bytes(&f->acc[FAR1], DST, LEN);
	fill(b->vram + SRC, LEN, 4);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, bar2_of(ACC2) + DST, LEN, &q),
			 PEER);
	assert_int_equal(q.where, 5);
	assert_int_equal(q.result, bar2_of(ACC2) + DST);
	assert_int_equal(f->acc[ACC2].vram[DST], 0xee);
	assert_int_equal(a_move(b, A_COPY, A_LOCAL, SRC, A_BUS, bar2_of(FAR1) + DST, LEN, &q), 0);
	check_moved(b, &f->acc[FAR1], LEN);
	assert_int_equal(counter(f, "b/far0", "dma/data/peer_bridge/write/bytes"), LEN);
	assert_int_equal(counter(f, "b/far0", "dma/data/peer_switch/write/bytes"), 0);
	/* Another node is another machine. */
	assert_int_equal(a_move(b, A_COPY, A_LOCAL, SRC, A_BUS, bar2_of(ACC2) + DST, LEN, &q),
			 UNMAPPED);
	/* Its own BAR is not reached over the bus. */
	assert_int_equal(a_move(b, A_COPY, A_LOCAL, SRC, A_BUS, bar2_of(FAR0) + DST, LEN, &q),
			 PEER);
}

/* The link needs neither decode at the other end nor bus mastering. */
static void link_copy_and_link_down(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0], *b = &f->acc[ACC1];
	struct a_cqe q;

	bring_up(f, ACC0);
	assert_int_equal(c_read32(&a->c, 0, 0x048), 3);
	assert_int_equal(c_read64(&a->c, 0, 0x050), A_VRAM);
	assert_int_equal(c_read32(&f->acc[ACC2].c, 0, 0x048), 0);
	fill(a->vram + SRC, LEN, 5);
	set_bytes(b, DST, LEN);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_LINK, DST, LEN, &q), 0);
	check_moved(a, b, LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/link/write/bytes"), LEN);
	assert_int_equal(counter(f, "a/acc0", "dma/data/peer_switch/write/bytes"), 0);

	assert_true(ctl_ok(&f->p, "{\"cmd\":\"link\",\"device\":\"a/acc1\",\"up\":false}"));
	assert_int_equal(c_read32(&a->c, 0, 0x048), 1);
	assert_int_equal(c_read64(&a->c, 0, 0x050), 0);
	assert_int_equal(c_read32(&a->c, 0, 0x058) & 2, 2);
	memset(b->vram + DST, 0, LEN);
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_LINK, DST, LEN, &q), LINK_DOWN);
	assert_int_equal(q.where, 1);
	assert_int_equal(q.info, 0x20);
	assert_int_equal(b->vram[DST], 0);
	assert_true(ctl_ok(&f->p, "{\"cmd\":\"link\",\"device\":\"a/acc0\",\"up\":true}"));
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_LINK, DST, LEN, &q), 0);
	check_moved(a, b, LEN);
}

#define FAULT "{\"cmd\":\"fault\",\"device\":\"a/acc0\",\"point\":\"dma.peer.write\","

static void corrupted_write_is_detected(void **state)
{
	struct fix *f = *state;
	struct acc *a = &f->acc[ACC0], *b = &f->acc[ACC1];
	uint64_t to = bar2_of(ACC1) + DST;
	struct a_cqe q;
	unsigned differ;

	bring_up(f, ACC0);
	assert_int_equal(a_command(b, DECODE), 0);
	fill(a->vram + SRC, LEN, 6);
	assert_true(ctl_ok(&f->p, FAULT "\"action\":\"corrupt\",\"arg\":1234,\"count\":1}"));
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), 0);
	assert_int_equal(a_move(a, A_COMPARE, A_LOCAL, SRC, A_BUS, to, LEN, &q), MISMATCH);
	assert_int_equal(q.result, 1234);
	assert_int_equal(q.info & 0xff, a->vram[SRC + 1234]);
	assert_int_equal(q.info >> 8, b->vram[DST + 1234]);
	differ = a->vram[SRC + 1234] ^ b->vram[DST + 1234];
	assert_int_equal(__builtin_popcount(differ), 1);
	b->vram[DST + 1234] ^= (uint8_t)differ;
	assert_int_equal(memcmp(a->vram + SRC, b->vram + DST, LEN), 0);
	/* It struck once and is spent. */
	assert_int_equal(a_move(a, A_COPY, A_LOCAL, SRC, A_BUS, to, LEN, &q), 0);
	assert_int_equal(a_move(a, A_COMPARE, A_LOCAL, SRC, A_BUS, to, LEN, &q), 0);
	assert_int_equal(q.result, LEN);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identity),
		T(ring_needs_the_device_enabled),
		T(copy_in_vram),
		T(crc_of_the_known_nine_bytes),
		T(phase_turns_with_every_pass),
		T(interrupt),
		T(peer_below_the_same_switch),
		T(peer_that_does_not_decode),
		T(host_bridge_forwards_or_not),
		T(link_copy_and_link_down),
		T(corrupted_write_is_detected),
	};

	return cmocka_run_group_tests_name("fabric_accel", tests, NULL, NULL);
}
