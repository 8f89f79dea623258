// SPDX-License-Identifier: MIT
/* DMA windows and DMA by message, as a client sees them. Numbers from SPEC.rst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/proto/server.h"
#include "tests/proto/vfu_client.h"

#define DEVCTL	0x58
#define PG	4096u
#define HOST	0
#define OWN	1
#define BY_QEMU 4
#define IOVA	UINT64_C(0x700000000)

struct fix {
	struct server s;
	struct client c;
	struct c_memory m;
	uint64_t done;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	*state = f;
	f->m = (struct c_memory){ .base = IOVA, .len = 64 * PG, .mem = calloc(64, PG) };
	if (server_start(&f->s) || c_connect(&f->c, f->s.path) || c_hello(&f->c))
		return -1;
	f->c.memory = &f->m;
	return c_write16(&f->c, C_CONFIG, 4, 6);
}

static int teardown(void **state)
{
	struct fix *f = *state;
	int err;

	c_close(&f->c);
	err = server_stop(&f->s);
	free(f->m.mem);
	free(f);
	return err;
}

static void start(struct fix *f, uint64_t op, uint64_t addr, uint64_t len, uint64_t local)
{
	f->done = c_read64(&f->c, 0, S_DONE);
	assert_int_equal(c_write64(&f->c, 0, S_ADDR, addr), 0);
	assert_int_equal(c_write64(&f->c, 0, S_LEN, len), 0);
	assert_int_equal(c_write64(&f->c, 0, S_LOCAL, local), 0);
	assert_int_equal(c_write64(&f->c, 0, S_GO, op), 0);
}

/* Polling the register serves what the server asks for meanwhile. */
static int result(struct fix *f)
{
	time_t end = time(NULL) + 30;

	while (c_read64(&f->c, 0, S_DONE) == f->done)
		assert_true(time(NULL) < end);
	return (int)(int64_t)c_read64(&f->c, 0, S_RESULT);
}

static int dma(struct fix *f, uint64_t op, uint64_t addr, uint64_t len, uint64_t local)
{
	start(f, op, addr, len, local);
	return result(f);
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 167 + seed * 31) ^ i >> 8);
}

static uint8_t *map_fd(int fd, size_t len)
{
	uint8_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

static void vram_is(struct fix *f, uint64_t off, const uint8_t *want, size_t len)
{
	uint8_t buf[PG];
	size_t n;

	for (; len; len -= n, off += n, want += n) {
		n = len < PG ? len : PG;
		assert_int_equal(c_read(&f->c, 2, off, buf, (uint32_t)n), 0);
		assert_memory_equal(buf, want, n);
	}
}

static void sealed_ram_is_accessed_in_place(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(64 * PG, true);
	uint8_t *mem = map_fd(fd, 64 * PG), canary[PG];

	fill(mem, 64 * PG, 1);
	memcpy(canary, mem + 63 * PG, PG);
	/* Before GET_INFO and at address 0: this file is guest RAM. */
	assert_int_equal(c_map(&f->c, 0, 32 * PG, 3, fd, 0), 0);
	assert_int_equal(c_map(&f->c, UINT64_C(1) << 32, 32 * PG, 3, fd, 32 * PG), 0);
	close(fd);
	assert_int_equal(c_get_info(&f->c), 0);
	assert_int_equal(dma(f, 1, 100, 20 * PG, 3), 0);
	vram_is(f, 3, mem + 100, 20 * PG);
	assert_int_equal(dma(f, 2, (UINT64_C(1) << 32) + 5, 31 * PG - 5, 3), 0);
	assert_memory_equal(mem + 32 * PG + 5, mem + 100, 20 * PG);
	assert_memory_equal(mem + 63 * PG, canary, PG);
	assert_int_equal(server_bytes(&f->s, HOST, 0), 20 * PG);
	assert_int_equal(server_bytes(&f->s, HOST, 1), 31 * PG - 5);
	assert_int_equal(server_bytes(&f->s, OWN, 0), 31 * PG - 5);
	assert_int_equal(f->m.reads + f->m.writes, 0);
	munmap(mem, 64 * PG);
}

static void reading_past_a_window_fails(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(4 * PG, true);

	assert_int_equal(c_map(&f->c, IOVA, PG, 3, fd, 0), 0);
	assert_int_equal(c_map(&f->c, IOVA + PG, PG, 1, fd, PG), 0);
	assert_int_equal(c_map(&f->c, IOVA + 3 * PG, PG, 2, fd, 2 * PG), 0);
	assert_int_equal(dma(f, 1, IOVA, 2 * PG, 0), 0);
	assert_int_equal(dma(f, 1, IOVA, 2 * PG + 1, 0), -EFAULT);
	assert_int_equal(dma(f, 1, IOVA - 1, 8, 0), -EFAULT);
	assert_int_equal(dma(f, 2, IOVA + PG - 4, 8, 0), -EACCES);
	assert_int_equal(dma(f, 1, IOVA + 3 * PG, 8, 0), -EACCES);
	assert_int_equal(dma(f, 2, IOVA + 3 * PG, 8, 0), 0);
	assert_int_equal(dma(f, 1, UINT64_MAX - 3, 8, 0), -EINVAL);
	assert_int_equal(dma(f, 1, IOVA, S_VRAM + 8, 0), -EFAULT);
	assert_int_equal(dma(f, 1, IOVA, 8, S_VRAM - 4), -EFAULT);
	assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 2), 0);
	assert_int_equal(dma(f, 1, IOVA, 8, 0), -EACCES);
	close(fd);
}

static void bad_maps_change_nothing(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(4 * PG, true), two[2] = { fd, fd };
	uint64_t m[4] = { 32 | UINT64_C(3) << 32, 0, IOVA, PG };
	char path[64];
	int ro;

	assert_int_equal(c_map(&f->c, IOVA, 5 * PG, 3, fd, 0), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA, PG, 3, fd, 4 * PG), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA, PG, 3, fd, UINT64_MAX - PG + 1), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA, PG, 3, fd, 8), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA + 1, PG, 3, fd, 0), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA, PG + 1, 3, fd, 0), EINVAL);
	assert_int_equal(c_map(&f->c, IOVA, 0, 3, fd, 0), EINVAL);
	assert_int_equal(c_map(&f->c, UINT64_MAX - PG + 1, 2 * PG, 3, -1, 0), EINVAL);
	assert_int_equal(c_call(&f->c, C_DMA_MAP, m, sizeof(m), two, 2, NULL), EINVAL);
	assert_int_equal(c_call(&f->c, C_DMA_MAP, m, sizeof(m) - 1, &fd, 1, NULL), EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(c_map(&f->c, IOVA, PG, 3, ro, 0), EINVAL);
	assert_int_equal(server_windows(&f->s), 0);
	assert_int_equal(c_map(&f->c, IOVA, PG, 1, ro, 0), 0);
	assert_int_equal(dma(f, 1, IOVA, 8, 0), 0);
	assert_int_equal(dma(f, 2, IOVA, 8, 0), -EACCES);
	assert_int_equal(c_map(&f->c, IOVA, PG, 1, ro, 0), EEXIST);
	assert_int_equal(c_unmap(&f->c, IOVA, 0), EINVAL);
	assert_int_equal(c_unmap(&f->c, UINT64_MAX, 2), EINVAL);
	assert_int_equal(c_unmap(&f->c, IOVA + 8, 8), EINVAL);
	assert_int_equal(c_unmap(&f->c, 0, PG), 0);
	assert_int_equal(server_windows(&f->s), 1);
	close(fd);
	close(ro);
}

/* The file shrinks behind the server's back: it must not have been mapped. */
static void unsealed_file_goes_by_message(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(64 * PG, false);

	assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, fd, 0), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	fill(f->m.mem, 64 * PG, 2);
	assert_int_equal(dma(f, 1, IOVA + 1, 40 * PG, 9), 0);
	vram_is(f, 9, f->m.mem + 1, 40 * PG);
	assert_int_equal(f->m.reads, 3);
	assert_int_equal(server_bytes(&f->s, BY_QEMU, 0), 40 * PG);
	assert_int_equal(dma(f, 2, IOVA + 48 * PG, 16 * PG, 9), 0);
	assert_memory_equal(f->m.mem + 48 * PG, f->m.mem + 1, 16 * PG);
	assert_int_equal(f->m.writes, 1);
}

static void client_refuses_or_answers_wrongly(void **state)
{
	struct fix *f = *state;
	struct c_header h = { .flags = C_REPLY, .size = 16 + 8 };

	assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, -1, 0), 0);
	f->m.refuse = true;
	assert_int_equal(dma(f, 1, IOVA, 8, 0), -EIO);
	assert_int_equal(dma(f, 2, IOVA, 8, 0), -EIO);
	f->m.refuse = false;
	f->m.silent = true;
	start(f, 1, IOVA, 8, 0);
	while (!f->m.held.size)
		assert_int_equal(c_read64(&f->c, 0, S_DONE), f->done);
	h.id = f->m.held.id;
	h.cmd = C_DMA_WRITE;
	assert_int_equal(c_send_bytes(&f->c, &h, sizeof(h), NULL, 0), 0);
	assert_int_equal(c_send_bytes(&f->c, "12345678", 8, NULL, 0), 0);
	assert_int_equal(c_read64(&f->c, 0, S_DONE), f->done);
	h.cmd = C_DMA_READ;
	assert_int_equal(c_send_bytes(&f->c, &h, sizeof(h), NULL, 0), 0);
	assert_int_equal(c_send_bytes(&f->c, "12345678", 8, NULL, 0), 0);
	assert_int_equal(result(f), -EIO);
	f->m.silent = false;
	assert_int_equal(dma(f, 1, IOVA, 8, 0), 0);
	assert_int_equal(dma(f, 3, IOVA, 8, 0), 0);
	assert_int_equal(f->m.mem[0], 1);
}

/*
 * A reset with a write of ours at the client: the device is not ready until it is answered, the
 * work ends as cancelled, and nothing is asked for any more.
 */
static void reset_waits_for_messages_under_way(void **state)
{
	struct fix *f = *state;

	assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, -1, 0), 0);
	f->m.silent = true;
	start(f, 2, IOVA, 64 * PG, 0);
	while (!f->m.held.size)
		assert_int_equal(c_read64(&f->c, 0, S_DONE), f->done);
	assert_int_equal(c_write16(&f->c, C_CONFIG, DEVCTL, 0x8000), 0);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0), UINT32_MAX);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0), UINT32_MAX);
	assert_int_equal(c_read64(&f->c, 0, S_KIND), 1);
	assert_int_equal(c_answer_held(&f->c), 0);
	assert_int_equal(result(f), -ECANCELED);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0), 0x7d001234);
	assert_int_equal(f->m.writes, 1);
	f->m.silent = false;
	assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
	assert_int_equal(dma(f, 2, IOVA, 64 * PG, 0), 0);
}

static void client_goes_while_asked(void **state)
{
	struct fix *f = *state;
	unsigned i;

	for (i = 0; i < 30; i++) {
		assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, -1, 0), 0);
		f->m.silent = true;
		memset(&f->m.held, 0, sizeof(f->m.held));
		start(f, 1 + i % 2, IOVA, 64 * PG, 0);
		while (i % 3 && !f->m.held.size)
			assert_int_equal(c_read64(&f->c, 0, S_DONE), f->done);
		c_close(&f->c);
		assert_int_equal(c_connect(&f->c, f->s.path), 0);
		f->c.memory = &f->m;
		assert_int_equal(c_hello(&f->c), 0);
		assert_int_equal(result(f), -ECANCELED);
		assert_int_equal(server_windows(&f->s), 0);
		assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
	}
}

/* The model ends with a client connected and a worker waiting for that client's answer. */
static void server_ends_while_it_asks(void **state)
{
	struct fix *f = *state;
	unsigned i;

	for (i = 0; i < 20; i++) {
		assert_int_equal(c_map(&f->c, IOVA, 64 * PG, 3, -1, 0), 0);
		assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
		f->m.silent = true;
		memset(&f->m.held, 0, sizeof(f->m.held));
		start(f, 1, IOVA, 64 * PG, 0);
		while (i % 4 && !f->m.held.size)
			assert_int_equal(c_read64(&f->c, 0, S_DONE), f->done);
		assert_int_equal(server_stop(&f->s), 0);
		c_close(&f->c);
		assert_int_equal(server_start(&f->s), 0);
		assert_int_equal(c_connect(&f->c, f->s.path), 0);
		f->c.memory = &f->m;
		assert_int_equal(c_hello(&f->c), 0);
	}
}

/* As an IOMMU's TLB: thousands of windows of 4 KiB come and go, with DMA between. */
static void thousands_of_windows(void **state)
{
	struct fix *f = *state;
	int fd = c_memfd(16 * PG, true);
	uint8_t *mem = map_fd(fd, 16 * PG);
	unsigned fds, i;

	for (i = 0; i < 16; i++)
		mem[i * PG] = (uint8_t)(i + 1);
	fds = server_fds(&f->s);
	for (i = 0; i < 4000; i++) {
		uint64_t at = IOVA + (uint64_t)(i * 2003u % 4001) * PG;

		assert_int_equal(c_map(&f->c, at, PG, 3, fd, i % 16 * PG), 0);
		if (i % 500)
			continue;
		assert_int_equal(dma(f, 1, at, PG, 0), 0);
		assert_int_equal(c_read32(&f->c, 2, 0) & 0xff, i % 16 + 1);
	}
	assert_int_equal(server_windows(&f->s), 4000);
	/* The last command's file is closed after its answer, but before the next command. */
	assert_int_equal(c_read32(&f->c, 2, 0) & 0xff, 3500 % 16 + 1);
	assert_int_equal(server_fds(&f->s), fds);
	for (i = 0; i < 4001; i += 2)
		assert_int_equal(c_unmap(&f->c, IOVA + (uint64_t)i * PG, PG), 0);
	assert_int_equal(c_unmap(&f->c, IOVA, 4001u * PG), 0);
	assert_int_equal(server_windows(&f->s), 0);
	assert_int_equal(dma(f, 1, IOVA, 8, 0), -EFAULT);
	munmap(mem, 16 * PG);
	close(fd);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sealed_ram_is_accessed_in_place),
		T(reading_past_a_window_fails),
		T(bad_maps_change_nothing),
		T(unsealed_file_goes_by_message),
		T(client_refuses_or_answers_wrongly),
		T(reset_waits_for_messages_under_way),
		T(client_goes_while_asked),
		T(server_ends_while_it_asks),
		T(thousands_of_windows),
	};

	return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}
