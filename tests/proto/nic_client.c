// SPDX-License-Identifier: MIT
#include "tests/proto/nic_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"

#define SLOT_LAST 0x3c

static const char config[] = "{\"control\":\"control\",\"nodes\":[{\"name\":\"a\",\"devices\":["
			     "{\"name\":\"nic0\",\"model\":\"nic\",\"socket\":\"nic0\"}]}]}";

static void put32(uint8_t *p, uint32_t val)
{
	p[0] = (uint8_t)(val >> 24);
	p[1] = (uint8_t)(val >> 16);
	p[2] = (uint8_t)(val >> 8);
	p[3] = (uint8_t)val;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put64(uint8_t *p, uint64_t val)
{
	put32(p, (uint32_t)(val >> 32));
	put32(p + 4, (uint32_t)val);
}

/* ---- set-up ---- */

int n_connect(struct nicc *n)
{
	static const uint8_t bar0[4] = { 0, 0, 0, 0xe0 };
	char path[128];
	int err;

	proc_path(&n->p, "nic0", path, sizeof(path));
	err = c_connect(&n->c, path);
	if (err) {
		n->c.fd = -1;
		return err;
	}
	err = c_hello(&n->c);
	if (!err)
		err = c_get_info(&n->c);
	if (!err)
		err = c_map(&n->c, N_RAM, N_RAM_SIZE, 3, n->fd, 0);
	if (!err)
		err = c_write(&n->c, C_CONFIG, 0x10, bar0, 4);
	return err ? err : c_write16(&n->c, C_CONFIG, 4, 6);
}

void n_disconnect(struct nicc *n)
{
	if (n->c.fd >= 0)
		c_close(&n->c);
	n->c.fd = -1;
}

int n_setup(void **state)
{
	struct nicc *n = calloc(1, sizeof(*n));

	*state = n;
	n->c.fd = -1;
	n->fd = c_memfd(N_RAM_SIZE, true);
	n->ram = mmap(NULL, N_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, n->fd, 0);
	if (n->ram == MAP_FAILED || proc_start(&n->p, config) || !proc_ready(&n->p))
		return -1;
	return n_connect(n);
}

int n_teardown(void **state)
{
	struct nicc *n = *state;
	char log[4096] = "";
	int status;

	n_disconnect(n);
	status = proc_end(&n->p, SIGTERM);
	if (status && proc_log(&n->p, log, sizeof(log)) > 0)
		fprintf(stderr, "# peerdma-fabric: status %d: %s\n", status, log);
	proc_clean(&n->p);
	munmap(n->ram, N_RAM_SIZE);
	close(n->fd);
	free(n);
	return status;
}

/* ---- registers ---- */

uint32_t n_reg(struct nicc *n, uint32_t off)
{
	uint8_t b[4] = { 0 };

	assert_int_equal(c_read(&n->c, 0, off, b, 4), 0);
	return get32(b);
}

void n_set_reg(struct nicc *n, uint32_t off, uint32_t val)
{
	uint8_t b[4];

	put32(b, val);
	assert_int_equal(c_write(&n->c, 0, off, b, 4), 0);
}

void n_ready(struct nicc *n)
{
	int64_t end = util_now_ms() + N_WAIT_MS;

	while (n_reg(n, 0x1fc) >> 31) {
		assert_true(util_now_ms() < end);
		poll(NULL, 0, 1);
	}
}

void n_flr(struct nicc *n)
{
	assert_int_equal(c_write16(&n->c, C_CONFIG, 0x58, 0x8000), 0);
	assert_int_equal(c_write16(&n->c, C_CONFIG, 4, 6), 0);
	n_ready(n);
}

void n_set_queue(struct nicc *n)
{
	n_set_reg(n, 0x10, (uint32_t)(N_RAM >> 32));
	n_set_reg(n, 0x14, (uint32_t)N_RAM + N_QUEUE);
}

/* ---- commands ---- */

void n_begin(struct nicc *n, uint16_t opcode, uint16_t uid, uint16_t op_mod)
{
	memset(n->in, 0, sizeof(n->in));
	n_put32(n, 0, (uint32_t)opcode << 16 | uid);
	n_put32(n, 4, op_mod);
}

void n_put32(struct nicc *n, uint32_t off, uint32_t val)
{
	put32(n->in + off, val);
}

void n_put64(struct nicc *n, uint32_t off, uint64_t val)
{
	put64(n->in + off, val);
}

uint32_t n_got32(const struct nicc *n, uint32_t off)
{
	return get32(n->out + off);
}

/* A chain of mailboxes for what goes beyond 16 bytes; data may be NULL. */
static void write_chain(struct nicc *n, uint32_t first, const uint8_t *data, uint32_t len)
{
	uint32_t i, at, part, boxes = len > 16 ? (len - 16 + 511) / 512 : 0;
	uint8_t *box;

	for (i = 0; i < boxes; i++) {
		at = 16 + i * 512;
		part = len - at < 512 ? len - at : 512;
		box = n->ram + first + i * 0x400;
		memset(box, 0, 576);
		if (data)
			memcpy(box, data + at, part);
		put64(box + 0x230, i + 1 < boxes ? N_RAM + first + (i + 1) * 0x400 : 0);
		put32(box + 0x238, i);
		box[0x23d] = n->token;
	}
}

uint8_t *n_write(struct nicc *n, unsigned slot, uint32_t in_len, uint32_t out_len)
{
	uint8_t *s = n->ram + N_QUEUE + slot * 64;

	n->token++;
	write_chain(n, N_IN(0), n->in, in_len);
	write_chain(n, N_OUT(0), NULL, out_len);
	memset(s, 0, 64);
	s[0] = 7;
	put32(s + 4, in_len);
	put64(s + 8, in_len > 16 ? N_RAM + N_IN(0) : 0);
	memcpy(s + 0x10, n->in, 16);
	put64(s + 0x30, out_len > 16 ? N_RAM + N_OUT(0) : 0);
	put32(s + 0x38, out_len);
	s[SLOT_LAST] = n->token;
	s[SLOT_LAST + 3] = 1;
	return s;
}

/* The word with the owner bit comes in one store, after the rest. */
int n_ring(struct nicc *n, unsigned slot)
{
	const uint32_t *last = (const uint32_t *)(void *)(n->ram + N_QUEUE + slot * 64 + SLOT_LAST);
	int64_t end = util_now_ms() + N_WAIT_MS;
	uint32_t val;

	n_set_reg(n, 0x18, 1u << slot);
	for (;;) {
		val = __atomic_load_n(last, __ATOMIC_ACQUIRE) >> 24;
		if (!(val & 1))
			return (int)(val >> 1);
		if (util_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
}

int n_cmd(struct nicc *n, uint32_t in_len, uint32_t out_len)
{
	uint8_t *s = n_write(n, 0, in_len, out_len);
	int d = n_ring(n, 0);
	uint32_t i, at;

	if (d)
		return d < 0 ? d : N_DELIVERY | d;
	memset(n->out, 0, sizeof(n->out));
	memcpy(n->out, s + 0x20, 16);
	for (i = 0, at = 16; at < out_len; i++, at += 512)
		memcpy(n->out + at, n->ram + N_OUT(i), out_len - at < 512 ? out_len - at : 512);
	return n->out[0];
}

int n_simple(struct nicc *n, uint16_t opcode, uint32_t dw2)
{
	n_begin(n, opcode, 0, 0);
	n_put32(n, 8, dw2);
	return n_cmd(n, 16, 16);
}

uint32_t n_make(struct nicc *n, uint16_t opcode)
{
	n_begin(n, opcode, 0, 0);
	assert_int_equal(n_cmd(n, opcode == 0xa04 ? 64 : 16, 16), 0);
	return n_got32(n, 8) & 0xffffff;
}

uint32_t n_syndrome(const struct nicc *n)
{
	return n_got32(n, 4);
}

void n_bring_up(struct nicc *n)
{
	n_set_queue(n);
	assert_int_equal(n_simple(n, 0x104, 0), 0);
	assert_int_equal(n_simple(n, 0x102, 0), 0);
}

/* ---- the control socket ---- */

uint64_t n_count(struct nicc *n, const char *kind)
{
	char pointer[64];

	snprintf(pointer, sizeof(pointer), "/snapshot/a~1nic0/state/objects/%s", kind);
	return ctl_num(&n->p, "{\"cmd\":\"snapshot\",\"device\":\"a/nic0\"}", pointer);
}

uint64_t n_counter(struct nicc *n, const char *name)
{
	char pointer[64];

	snprintf(pointer, sizeof(pointer), "/counters/a~1nic0/model/%s", name);
	return ctl_num(&n->p, "{\"cmd\":\"counters\",\"device\":\"a/nic0\"}", pointer);
}

void n_fault(struct nicc *n, const char *action)
{
	char ask[128];

	snprintf(ask, sizeof(ask),
		 "{\"cmd\":\"fault\",\"device\":\"a/nic0\",\"point\":\"cmd\",\"action\":\"%s\"}",
		 action);
	assert_true(ctl_ok(&n->p, ask));
}
