// SPDX-License-Identifier: MIT
/*
 * Many clients of a server at once: serve_clients N HOST:PORT/NAME TOKEN-FILE SLICE
 *
 * Client i has its own connection and the i-th SLICE bytes of the export. All write a pattern of
 * their own at the same time, then each reads its slice back. Prints "ready" and stays until its
 * input ends. Of the library it uses the public part only.
 */
#include <errno.h>
#include <inttypes.h>
#include <peerdma/peerdma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS_MAX 1024

struct client {
	struct pdma_region *remote, *local;
	struct pdma_transfer *transfer;
	void *buf;
};

static struct client clients[CLIENTS_MAX];
static struct pdma_ctx *ctx;
static uint64_t slice;

static int fail(const char *what, unsigned i)
{
	fprintf(stderr, "client %u: %s: %s\n", i, what, pdma_error());
	return 1;
}

static int open_client(unsigned i, const char *where, const char *token)
{
	struct pdma_region_options opt = { .size = sizeof(opt), .token_file = token };
	struct client *c = &clients[i];
	char uri[256];

	snprintf(uri, sizeof(uri), "rdma://%s+%" PRIu64 ":%" PRIu64, where, i * slice, slice);
	if (pdma_region_open(ctx, uri, &opt, &c->remote))
		return fail(uri, i);
	c->buf = aligned_alloc(4096, slice);
	if (!c->buf ||
	    pdma_region_from_pointer(ctx, c->buf, slice, PDMA_REGION_RAM, NULL, &c->local))
		return fail("memory", i);
	return 0;
}

static int start(unsigned i)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .engines = PDMA_ENGINE_NIC };
	struct client *c = &clients[i];

	pdma_pattern_fill(c->buf, slice, i + 1, 0);
	if (pdma_transfer_create(c->remote, 0, c->local, 0, slice, &opt, &c->transfer))
		return fail("no transfer", i);
	return 0;
}

static int finish(unsigned i)
{
	if (pdma_transfer_poll(clients[i].transfer, -1) != 1)
		return fail("writing", i);
	pdma_transfer_destroy(clients[i].transfer);
	return 0;
}

static int read_back(unsigned i)
{
	struct pdma_copy_options opt = { .size = sizeof(opt), .engines = PDMA_ENGINE_NIC };
	struct client *c = &clients[i];
	struct pdma_mismatch m;

	memset(c->buf, 0, slice);
	if (pdma_copy(c->local, 0, c->remote, 0, slice, &opt, NULL))
		return fail("reading", i);
	if (!pdma_pattern_check(c->buf, slice, i + 1, 0, &m))
		return 0;
	fprintf(stderr, "client %u: %" PRIu64 " bad bytes, the first at %" PRIu64 "\n", i,
		m.bad_bytes, m.first_off);
	return 1;
}

static int each(unsigned n, int (*fn)(unsigned i))
{
	int failed = 0;

	for (unsigned i = 0; i < n && !failed; i++)
		failed = fn(i);
	return failed;
}

static int run(unsigned n, const char *where, const char *token)
{
	for (unsigned i = 0; i < n; i++)
		if (open_client(i, where, token))
			return 1;
	if (each(n, start) || each(n, finish) || each(n, read_back))
		return 1;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 5 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	int status;

	if (!n || n > CLIENTS_MAX || pdma_size_parse(argv[4], &slice) || slice % 4096) {
		fputs("serve_clients N HOST:PORT/NAME TOKEN-FILE SLICE\n", stderr);
		return 2;
	}
	if (pdma_ctx_create(NULL, &ctx))
		return fail("no context", 0);
	status = run(n, argv[2], argv[3]);
	for (unsigned i = 0; i < n && !status; i++) {
		pdma_region_close(clients[i].local);
		pdma_region_close(clients[i].remote);
		free(clients[i].buf);
	}
	if (!status)
		pdma_ctx_destroy(ctx);
	return status;
}
