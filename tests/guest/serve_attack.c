// SPDX-License-Identifier: MIT
/*
 * A client that proved its token and then tries what it may not: serve_attack HOST PORT TOKEN-FILE
 * NAME. Each attempt has a connection of its own, for the server's NIC stops a queue pair at the
 * first. Prints TAP. Whether the memory is untouched is looked at by whoever started this.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/serve/client.h"
#include "lib/serve/net.h"
#include "util/clock.h"

#define RANGE_OFF 0x100000ull
#define RANGE_LEN 0x10000ull
#define WAIT_NS	  20000000000ll
#define EVIL	  0xee

struct attacker {
	struct pdmai_client *client;
	struct pdmai_sp_msg opened;
	uint8_t *buf;
	struct ibv_mr *mr;
};

static const char *host, *port, *token, *name;
static unsigned number;

static _Noreturn void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, pdmai_error());
	exit(1);
}

static int64_t soon(void)
{
	return util_now_ns() + WAIT_NS;
}

static int try_open(struct attacker *a, uint64_t off, uint64_t len, unsigned rights)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_OPEN };

	ask.open.rights = (uint8_t)rights;
	ask.open.off = off;
	ask.open.len = len;
	snprintf(ask.open.name, sizeof(ask.open.name), "%s", name);
	return pdmai_client_ask(a->client, &ask, PDMAI_SP_OPENED, &a->opened, soon());
}

static void connect_to(struct attacker *a, bool attach)
{
	memset(a, 0, sizeof(*a));
	if (pdmai_client_connect(host, port, token, soon(), &a->client))
		die("cannot connect");
	if (!attach)
		return;
	if (pdmai_client_attach(a->client, NULL, soon()))
		die("cannot attach");
	a->buf = aligned_alloc(4096, 4096);
	a->mr = a->buf ? ibv_reg_mr(a->client->rc.pd, a->buf, 4096, IBV_ACCESS_LOCAL_WRITE) : NULL;
	if (!a->mr)
		die("cannot register");
	memset(a->buf, EVIL, 4096);
}

static void begin(struct attacker *a, unsigned rights)
{
	connect_to(a, true);
	if (try_open(a, RANGE_OFF, RANGE_LEN, rights))
		die("cannot open");
}

static void finish(struct attacker *a)
{
	if (a->mr)
		ibv_dereg_mr(a->mr);
	free(a->buf);
	pdmai_client_destroy(a->client);
}

static void verdict(bool good, const char *what, const char *detail)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++number, what);
	if (!good)
		printf("# it was: %s\n", detail);
	fflush(stdout);
}

/* Return: status of the completion. */
static enum ibv_wc_status attempt(struct attacker *a, enum ibv_wr_opcode op, uint64_t addr,
				  uint32_t rkey, uint32_t len)
{
	struct ibv_sge sge = { .addr = (uintptr_t)a->buf, .length = len, .lkey = a->mr->lkey };
	struct ibv_send_wr *bad, wr = { .sg_list = &sge,
					.num_sge = 1,
					.opcode = op,
					.send_flags = IBV_SEND_SIGNALED,
					.wr.rdma = { addr, rkey } };
	int64_t end = soon();
	struct ibv_wc wc;
	int n;

	if (op == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 1;
	}
	if (ibv_post_send(a->client->rc.qp, &wr, &bad))
		die("cannot post");
	do {
		n = ibv_poll_cq(a->client->rc.cq, 1, &wc);
	} while (!n && util_now_ns() < end);
	if (n != 1)
		die("no completion");
	return wc.status;
}

static void expect_stopped(struct attacker *a, const char *what, enum ibv_wr_opcode op,
			   uint64_t addr, uint32_t rkey, uint32_t len)
{
	enum ibv_wc_status status = attempt(a, op, addr, rkey, len);

	verdict(status == IBV_WC_REM_ACCESS_ERR || status == IBV_WC_REM_INV_REQ_ERR, what,
		ibv_wc_status_str(status));
}

static const struct range {
	const char *what;
	enum ibv_wr_opcode op;
	int64_t off; /* from the range's begin */
	uint32_t len;
} ranges[] = {
	{ "write right before the range", IBV_WR_RDMA_WRITE, -8, 8 },
	{ "write over the begin of the range", IBV_WR_RDMA_WRITE, -8, 16 },
	{ "write right behind the range", IBV_WR_RDMA_WRITE, RANGE_LEN, 8 },
	{ "write over the end of the range", IBV_WR_RDMA_WRITE, RANGE_LEN - 8, 16 },
	{ "write far away", IBV_WR_RDMA_WRITE, 1ll << 40, 8 },
	{ "read right before the range", IBV_WR_RDMA_READ, -8, 8 },
	{ "read over the end of the range", IBV_WR_RDMA_READ, RANGE_LEN - 8, 16 },
	{ "read the begin of the export", IBV_WR_RDMA_READ, -(int64_t)RANGE_OFF, 4096 },
	{ "atomic, which nobody granted", IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 8 },
};
#define RANGES (sizeof(ranges) / sizeof(ranges[0]))

static void wrong_ranges(void)
{
	struct attacker a;

	for (size_t i = 0; i < RANGES; i++) {
		begin(&a, PDMAI_SP_READ | PDMAI_SP_WRITE);
		expect_stopped(&a, ranges[i].what, ranges[i].op,
			       a.opened.opened.addr + (uint64_t)ranges[i].off, a.opened.opened.rkey,
			       ranges[i].len);
		finish(&a);
	}
}

/* The same requests with good arguments, or the others would prove nothing. */
static void right_range(void)
{
	enum ibv_wc_status status;
	struct attacker a;

	begin(&a, PDMAI_SP_READ | PDMAI_SP_WRITE);
	status = attempt(&a, IBV_WR_RDMA_READ, a.opened.opened.addr, a.opened.opened.rkey, 4096);
	memset(a.buf, EVIL, 4096);
	if (!status)
		status = attempt(&a, IBV_WR_RDMA_WRITE, a.opened.opened.addr + RANGE_LEN - 8,
				 a.opened.opened.rkey, 8);
	verdict(!status, "read and write inside the range", ibv_wc_status_str(status));
	finish(&a);
}

static void write_with_read_key(void)
{
	struct attacker a;

	begin(&a, PDMAI_SP_READ);
	expect_stopped(&a, "write with a key to read", IBV_WR_RDMA_WRITE, a.opened.opened.addr,
		       a.opened.opened.rkey, 8);
	finish(&a);
}

static void key_of_another(void)
{
	struct attacker a, victim;

	begin(&victim, PDMAI_SP_READ | PDMAI_SP_WRITE);
	begin(&a, PDMAI_SP_READ | PDMAI_SP_WRITE);
	expect_stopped(&a, "write with another client's key", IBV_WR_RDMA_WRITE,
		       victim.opened.opened.addr, victim.opened.opened.rkey, 8);
	finish(&a);
	verdict(!attempt(&victim, IBV_WR_RDMA_READ, victim.opened.opened.addr,
			 victim.opened.opened.rkey, 8),
		"the other client works on", "a failed read");
	finish(&victim);
}

/* Neighbours of a key that works, and some that a lazy NIC might take. */
static void guessed_keys(void)
{
	static const uint32_t deltas[] = { 1, 0xff, 0x100, 0xffffff00, 0x200, 0x10000 };
	struct attacker a;

	for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]) + 2; i++) {
		char what[64];
		uint32_t key;

		begin(&a, PDMAI_SP_READ | PDMAI_SP_WRITE);
		key = i < sizeof(deltas) / sizeof(deltas[0]) ? a.opened.opened.rkey + deltas[i] :
		      i % 2				     ? 0 :
							       UINT32_MAX;
		snprintf(what, sizeof(what), "write with a guessed key, number %zu", i);
		expect_stopped(&a, what, IBV_WR_RDMA_WRITE, a.opened.opened.addr, key, 8);
		finish(&a);
	}
}

static void key_after_close(void)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_CLOSE }, m;
	struct attacker a;

	begin(&a, PDMAI_SP_READ | PDMAI_SP_WRITE);
	ask.close.handle = a.opened.opened.handle;
	if (pdmai_client_ask(a.client, &ask, PDMAI_SP_CLOSED, &m, soon()))
		die("cannot close");
	expect_stopped(&a, "write with a key that was given back", IBV_WR_RDMA_WRITE,
		       a.opened.opened.addr, a.opened.opened.rkey, 8);
	finish(&a);
}

static const struct request {
	const char *what;
	uint64_t off, len;
	unsigned rights;
	int err;
} requests[] = {
	{ "open beyond the end", 1ull << 40, 4096, PDMAI_SP_READ, -ERANGE },
	{ "open over the end", RANGE_OFF, 1ull << 40, PDMAI_SP_READ, -ERANGE },
	{ "open a range that wraps", RANGE_OFF, UINT64_MAX, PDMAI_SP_READ, -ERANGE },
	{ "open with no rights", 0, 4096, 0, -EPROTO },
	{ "open with rights that do not exist", 0, 4096, 0x81, -EPROTO },
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void wrong_requests(void)
{
	struct attacker a;
	int err;

	connect_to(&a, true);
	for (size_t i = 0; i < REQUESTS; i++) {
		err = try_open(&a, requests[i].off, requests[i].len, requests[i].rights);
		verdict(err == requests[i].err, requests[i].what, err ? pdmai_error() : "granted");
	}
	verdict(!try_open(&a, RANGE_OFF, RANGE_LEN, PDMAI_SP_READ), "and then a right one",
		pdmai_error());
	finish(&a);
	connect_to(&a, false);
	err = try_open(&a, RANGE_OFF, RANGE_LEN, PDMAI_SP_READ);
	verdict(err == -EPROTO, "open without a connection", err ? pdmai_error() : "granted");
	finish(&a);
}

static void too_many_ranges(void)
{
	struct attacker a;
	unsigned n = 0;
	int err;

	connect_to(&a, true);
	while (!(err = try_open(&a, n * 4096ull, 4096, PDMAI_SP_READ)) && n < 1000)
		n++;
	verdict(err == -EUSERS && n == 64, "64 ranges and no more",
		err ? pdmai_error() : "no limit");
	finish(&a);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("serve_attack HOST PORT TOKEN-FILE NAME\n", stderr);
		return 2;
	}
	host = argv[1];
	port = argv[2];
	token = argv[3];
	name = argv[4];
	right_range();
	wrong_ranges();
	write_with_read_key();
	key_of_another();
	guessed_keys();
	key_after_close();
	wrong_requests();
	too_many_ranges();
	printf("1..%u\n", number);
	return 0;
}
