// SPDX-License-Identifier: MIT
/* A client that behaves: handshake, regions, interrupts, resets. Numbers from SPEC.rst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/proto/server.h"
#include "tests/proto/vfu_client.h"

#define PMCSR  0x44
#define DEVCTL 0x58

struct fix {
	struct server s;
	struct client c;
	struct reply r;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	*state = f;
	return server_start(&f->s) || c_connect(&f->c, f->s.path) || c_hello(&f->c);
}

static int teardown(void **state)
{
	struct fix *f = *state;
	int err;

	c_close(&f->c);
	err = server_stop(&f->s);
	free(f);
	return err;
}

static void handshake(void **state)
{
	static const char hello[] = "\0\0\7\0{}";
	struct fix *f = *state;
	char *json;

	assert_int_equal(c_call(&f->c, C_VERSION, hello, sizeof(hello), NULL, 0, NULL), EPROTO);
	assert_int_equal(c_get_info(&f->c), 0);
	c_close(&f->c);
	assert_int_equal(c_connect(&f->c, f->s.path), 0);
	assert_int_equal(c_call(&f->c, C_VERSION, hello, sizeof(hello), NULL, 0, &f->r), 0);
	json = (char *)f->r.data + 4;
	assert_int_equal(f->r.data[0] | f->r.data[1], 0);
	assert_int_equal(f->r.data[2], 1);
	assert_int_equal(f->r.data[f->r.len - 1], 0);
	assert_int_equal(strlen(json), f->r.len - 5);
	assert_non_null(strstr(json, "\"max_msg_fds\":16"));
	assert_non_null(strstr(json, "\"max_data_xfer_size\":1048576"));
	assert_non_null(strstr(json, "\"max_dma_maps\":65535"));
	assert_non_null(strstr(json, "\"write_multiple\":true"));
}

static void bad_handshakes_end_the_connection(void **state)
{
	static const struct {
		const char *msg;
		size_t len;
	} bad[] = {
		{ "\1\0\0\0", 4 },	    { "\0\0\1", 3 },
		{ "\0\0\1\0{}", 6 },	    { "\0\0\1\0{\"a\":", 10 },
		{ "\0\0\1\0[1,2]", 10 },    { "\0\0\1\0\xff\xfe\x80", 8 },
		{ "\0\0\1\0{}}", 6 },	    { "\0\0\1\0[[[[[[[[[[[[[[[[", 21 },
		{ "\0\0\1\0nonsense", 13 }, { "", 0 },
	};
	struct fix *f = *state;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c_close(&f->c);
		assert_int_equal(c_connect(&f->c, f->s.path), 0);
		assert_int_equal(c_call(&f->c, C_VERSION, bad[i].msg, bad[i].len, NULL, 0, NULL),
				 EINVAL);
		assert_true(c_at_end(&f->c));
	}
	c_close(&f->c);
	assert_int_equal(c_connect(&f->c, f->s.path), 0);
	assert_int_equal(c_get_info(&f->c), EPROTO);
	assert_true(c_at_end(&f->c));
	c_close(&f->c);
	assert_int_equal(c_connect(&f->c, f->s.path), 0);
	assert_int_equal(c_call(&f->c, C_VERSION, "\0\0\0\0", 4, NULL, 0, NULL), 0);
}

static void device_info(void **state)
{
	struct fix *f = *state;
	uint32_t out[4], ask[4] = { 16 };

	assert_int_equal(c_call(&f->c, C_GET_INFO, ask, 16, NULL, 0, &f->r), 0);
	assert_int_equal(f->r.len, 16);
	memcpy(out, f->r.data, 16);
	assert_int_equal(out[0], 16);
	assert_int_equal(out[1], 3);
	assert_int_equal(out[2], 9);
	assert_int_equal(out[3], 5);
	assert_int_equal(c_call(&f->c, C_GET_INFO, ask, 15, NULL, 0, NULL), EINVAL);
}

static int region_info(struct fix *f, uint32_t argsz, uint32_t index)
{
	uint32_t ask[8] = { argsz, 0, index };

	return c_call(&f->c, C_REGION_INFO, ask, sizeof(ask), NULL, 0, &f->r);
}

static uint32_t word(const struct fix *f, unsigned off)
{
	uint32_t v;

	memcpy(&v, f->r.data + off, 4);
	return v;
}

static void regions(void **state)
{
	static const uint32_t sizes[9] = { 4096, 0, S_VRAM, 0, 4096, 0, 0, 4096, 0 };
	static const uint32_t flags[9] = { 3, 0, 15, 0, 3, 0, 0, 3, 0 };
	struct fix *f = *state;
	uint32_t i;

	for (i = 0; i < 9; i++) {
		assert_int_equal(region_info(f, 32, i), 0);
		assert_int_equal(f->r.len, 32);
		assert_int_equal(f->r.n_fds, 0);
		assert_int_equal(word(f, 0), i == 2 ? 64 : 32);
		assert_int_equal(word(f, 4), flags[i]);
		assert_int_equal(word(f, 8), i);
		assert_int_equal(word(f, 12), i == 2 ? 32 : 0);
		assert_int_equal(word(f, 16), sizes[i]);
	}
	assert_int_equal(region_info(f, 32, 9), EINVAL);
	assert_int_equal(region_info(f, 32, UINT32_MAX), EINVAL);
	assert_int_equal(region_info(f, 31, 0), EINVAL);
}

static void bar_is_mapped_by_fd(void **state)
{
	struct fix *f = *state;
	uint64_t area[2];
	uint8_t *mem;

	assert_int_equal(region_info(f, 64, 2), 0);
	assert_int_equal(f->r.len, 64);
	assert_int_equal(f->r.n_fds, 1);
	assert_int_equal(word(f, 32), 1 | 1 << 16);
	assert_int_equal(word(f, 36), 0);
	assert_int_equal(word(f, 40), 1);
	memcpy(area, f->r.data + 48, 16);
	assert_int_equal(area[0], 0);
	assert_int_equal(area[1], S_VRAM);
	mem = mmap(NULL, S_VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, f->r.fds[0], 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	assert_int_equal(ftruncate(f->r.fds[0], 0), -1);
	close(f->r.fds[0]);
	assert_int_equal(c_write64(&f->c, 2, S_VRAM - 8, 0x1122334455667788), 0);
	assert_memory_equal(mem + S_VRAM - 8, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	mem[77] = 0x77;
	assert_int_equal(c_read32(&f->c, 2, 77) & 0xff, 0x77);
	munmap(mem, S_VRAM);
}

static void reads_see_posted_writes(void **state)
{
	struct fix *f = *state;
	uint64_t i;

	for (i = 1; i <= 300; i++) {
		assert_int_equal(c_post(&f->c, 0, S_SCRATCH, &i, 8), 0);
		if (i % 100 == 0)
			assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), i);
	}
	assert_int_equal(c_read64(&f->c, 0, S_WRITES), 300);
}

struct multi {
	uint64_t n;
	struct {
		uint64_t off;
		uint32_t region, len;
		uint64_t data;
	} e[3];
};

static void multi_write_is_all_or_nothing(void **state)
{
	struct fix *f = *state;
	struct multi m = { 3,
			   { { S_SCRATCH, 0, 8, 7 }, { S_ADDR, 0, 4, 8 }, { 4, C_CONFIG, 2, 6 } } };

	assert_int_equal(c_call(&f->c, C_WRITE_MULTI, &m, sizeof(m), NULL, 0, &f->r), 0);
	assert_int_equal(f->r.len, 8);
	assert_int_equal(f->r.data[0], 3);
	assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), 7);
	assert_int_equal(c_read64(&f->c, 0, S_ADDR), 8);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 4) & 0xffff, 6);
	m.e[0].data = 9;
	m.e[2].off = 4096;
	assert_int_equal(c_call(&f->c, C_WRITE_MULTI, &m, sizeof(m), NULL, 0, NULL), EINVAL);
	m.e[2].off = 4;
	m.e[2].len = 9;
	assert_int_equal(c_call(&f->c, C_WRITE_MULTI, &m, sizeof(m), NULL, 0, NULL), EINVAL);
	m.e[2].len = 2;
	m.n = UINT64_MAX / 24 + 2;
	assert_int_equal(c_call(&f->c, C_WRITE_MULTI, &m, sizeof(m), NULL, 0, NULL), EINVAL);
	assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), 7);
	m.n = 0;
	assert_int_equal(c_call(&f->c, C_WRITE_MULTI, &m, 8, NULL, 0, NULL), 0);
}

static void accesses_out_of_range(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t off;
		uint32_t len;
	} bad[] = { { 0, 4096, 1 },   { 0, 4092, 8 },	   { 0, UINT64_MAX, 2 }, { 1, 0, 1 },
		    { 2, S_VRAM, 4 }, { 6, 0, 1 },	   { 7, 4095, 2 },	 { 8, 0, 1 },
		    { 9, 0, 1 },      { UINT32_MAX, 0, 1 } };
	struct fix *f = *state;
	uint8_t buf[8] = { 0 };
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(c_read(&f->c, bad[i].region, bad[i].off, buf, bad[i].len), EINVAL);
		assert_int_equal(c_write(&f->c, bad[i].region, bad[i].off, buf, bad[i].len),
				 EINVAL);
	}
	assert_int_equal(server_bad_messages(&f->s), 2 * i);
	assert_int_equal(c_read64(&f->c, 0, S_WRITES), 0);
}

static uint64_t count(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t v = 0;

	if (poll(&p, 1, 0) == 1 && read(fd, &v, sizeof(v)) != sizeof(v))
		return UINT64_MAX;
	return v;
}

static void interrupts(void **state)
{
	struct fix *f = *state;
	uint32_t ask[4] = { 16, 0, 2, 0 };
	int fd[2] = { eventfd(0, 0), eventfd(0, 0) };

	assert_int_equal(c_call(&f->c, C_IRQ_INFO, ask, 16, NULL, 0, &f->r), 0);
	assert_int_equal(word(f, 4), 1);
	assert_int_equal(word(f, 12), S_VECTORS);
	ask[2] = 3;
	assert_int_equal(c_call(&f->c, C_IRQ_INFO, ask, 16, NULL, 0, &f->r), 0);
	assert_int_equal(word(f, 4), 9);
	assert_int_equal(word(f, 12), 1);
	ask[2] = 5;
	assert_int_equal(c_call(&f->c, C_IRQ_INFO, ask, 16, NULL, 0, NULL), EINVAL);
	/* Pending until armed, and seen in the PBA. */
	assert_int_equal(c_write64(&f->c, 0, S_RAISE, 4), 0);
	assert_int_equal(c_read64(&f->c, 4, 0x800), 1 << 4);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 4, 2, fd, 2), 0);
	assert_int_equal(count(fd[0]), 1);
	assert_int_equal(count(fd[1]), 0);
	assert_int_equal(c_read64(&f->c, 4, 0x800), 0);
	assert_int_equal(c_write64(&f->c, 0, S_RAISE, 5), 0);
	assert_int_equal(count(fd[1]), 1);
	/* Disarm one, then all; trigger as a test would. */
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 5, 1, NULL, 0), 0);
	assert_int_equal(c_write64(&f->c, 0, S_RAISE, 5), 0);
	assert_int_equal(count(fd[1]), 0);
	assert_int_equal(c_set_irqs(&f->c, 1, 2, 4, 1, NULL, 0), 0);
	assert_int_equal(count(fd[0]), 1);
	assert_int_equal(c_set_irqs(&f->c, 1, 2, 0, 0, NULL, 0), 0);
	assert_int_equal(c_write64(&f->c, 0, S_RAISE, 4), 0);
	assert_int_equal(count(fd[0]), 0);
	close(fd[0]);
	close(fd[1]);
}

static void bad_set_irqs(void **state)
{
	struct fix *f = *state;
	int fd[2] = { eventfd(0, 0), eventfd(0, 0) }, p[2];

	assert_int_equal(pipe(p), 0);
	close(p[0]);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, S_VECTORS, 1, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, UINT32_MAX, 2, fd, 2), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 1, UINT32_MAX, NULL, 0), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 0, 2, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 0, 1, fd, 2), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 0, 0, 1, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 5, 0, 0, NULL, 0), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 2, 2, 0, 1, NULL, 0), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 5, 2, 0, 1, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4 | 0x10, 2, 0, 1, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4 | 0x40, 2, 0, 1, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 2, 0, 1, &p[1], 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 3, 0, 1, &p[1], 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 3, 0, 0, fd, 1), EINVAL);
	assert_int_equal(c_set_irqs(&f->c, 4, 3, 0, 1, fd, 1), 0);
	assert_int_equal(c_write64(&f->c, 0, S_RAISE, 0), 0);
	assert_int_equal(count(fd[0]), 0);
	close(fd[0]);
	close(fd[1]);
	close(p[1]);
}

static void resets(void **state)
{
	struct fix *f = *state;
	uint32_t bar = 0xfe000000;

	assert_int_equal(c_call(&f->c, C_RESET, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(c_read64(&f->c, 0, S_RESETS), 1);
	assert_int_equal(c_read64(&f->c, 0, S_KIND), 0);
	assert_int_equal(c_write(&f->c, C_CONFIG, 0x10, &bar, 4), 0);
	assert_int_equal(c_write16(&f->c, C_CONFIG, 4, 6), 0);
	assert_int_equal(c_write16(&f->c, C_CONFIG, DEVCTL, 0x8000), 0);
	assert_int_equal(c_read64(&f->c, 0, S_RESETS), 2);
	assert_int_equal(c_read64(&f->c, 0, S_KIND), 1);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 4) & 0xffff, 0);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0x10), bar);
	assert_int_equal(c_read32(&f->c, C_CONFIG, DEVCTL) & 0x8000, 0);
	assert_int_equal(c_write16(&f->c, C_CONFIG, PMCSR, 3), 0);
	assert_int_equal(c_write16(&f->c, C_CONFIG, PMCSR, 0), 0);
	assert_int_equal(c_read64(&f->c, 0, S_RESETS), 3);
	assert_int_equal(c_read64(&f->c, 0, S_KIND), 2);
	server_reset(&f->s);
	assert_int_equal(c_read64(&f->c, 0, S_KIND), 4);
	assert_int_equal(c_call(&f->c, C_RESET, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0x10), 0);
	assert_int_equal(c_read32(&f->c, C_CONFIG, 0), 0x7d001234);
}

/* The second waits in the queue and finds a device as new. */
static void second_client_waits(void **state)
{
	struct fix *f = *state;
	struct client c2;
	struct pollfd p;

	assert_int_equal(c_write64(&f->c, 0, S_SCRATCH, 5), 0);
	assert_int_equal(c_connect(&c2, f->s.path), 0);
	assert_true(c_send(&c2, C_VERSION, 0, "\0\0\0\0", 4, NULL, 0) >= 0);
	assert_int_equal(c_read64(&f->c, 0, S_SCRATCH), 5);
	p = (struct pollfd){ .fd = c2.fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	c_close(&f->c);
	assert_int_equal(c_await(&c2, 0, &f->r), 0);
	assert_int_equal(c_read64(&c2, 0, S_SCRATCH), 0);
	assert_int_equal(c_read64(&c2, 0, S_KIND), 3);
	f->c = c2;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(handshake),
		T(bad_handshakes_end_the_connection),
		T(device_info),
		T(regions),
		T(bar_is_mapped_by_fd),
		T(reads_see_posted_writes),
		T(multi_write_is_all_or_nothing),
		T(accesses_out_of_range),
		T(interrupts),
		T(bad_set_irqs),
		T(resets),
		T(second_client_waits),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
