// SPDX-License-Identifier: MIT
/* peerdma dump: look into a region. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/region.h"

#define ROW	16u
#define CHUNK	(64u << 10)
#define DEFAULT 256u
/* More than anybody reads; to keep it in a file there is peerdma copy. */
#define JSON_MAX (16ull << 20)

struct dumping {
	struct cli *cli;
	struct pdma_region *region;
	uint64_t off, len;
	uint8_t last[ROW];
	bool has_last, starred;
};

static void print_row(uint64_t off, const uint8_t *p, size_t n)
{
	printf("%08" PRIx64 "  ", off);
	for (size_t i = 0; i < ROW; i++) {
		if (i < n)
			printf("%02x ", p[i]);
		else
			fputs("   ", stdout);
		if (i == ROW / 2 - 1)
			putchar(' ');
	}
	fputs(" |", stdout);
	for (size_t i = 0; i < n; i++)
		putchar(isascii(p[i]) && isprint(p[i]) ? p[i] : '.');
	puts("|");
}

/* A row like the one before is shown as a star, once. */
static void show_row(struct dumping *d, uint64_t off, const uint8_t *p, size_t n)
{
	if (n == ROW && d->has_last && !memcmp(d->last, p, ROW)) {
		if (!d->starred)
			puts("*");
		d->starred = true;
		return;
	}
	print_row(off, p, n);
	d->starred = false;
	d->has_last = n == ROW;
	if (d->has_last)
		memcpy(d->last, p, ROW);
}

static void show(struct dumping *d, uint64_t off, const uint8_t *p, size_t len)
{
	size_t n;

	for (; len; len -= n, p += n, off += n) {
		n = len < ROW ? len : ROW;
		show_row(d, off, p, n);
	}
}

static void show_raw(struct dumping *d, uint64_t off, const uint8_t *p, size_t len)
{
	fwrite(p, 1, len, stdout);
}

static enum cli_status each_chunk(struct dumping *d, void (*fn)(struct dumping *d, uint64_t off,
								const uint8_t *p, size_t len))
{
	uint8_t *buf = malloc(CHUNK);
	uint64_t done = 0;
	size_t n;
	int err = 0;

	if (!buf)
		return cli_error(CLI_FAILED, NULL, "out of memory", "dump");
	while (done < d->len && !err && !cli_interrupted()) {
		n = d->len - done < CHUNK ? (size_t)(d->len - done) : CHUNK;
		err = pdma_region_read(d->region, d->off + done, buf, n);
		if (!err)
			fn(d, d->off + done, buf, n);
		done += n;
	}
	free(buf);
	return err ? cli_library_error(err, d->cli->argv[0]) : CLI_DONE;
}

static enum cli_status dump_json(struct dumping *d)
{
	static const char digits[] = "0123456789abcdef";
	struct json_object *o;
	uint8_t *buf;
	char *hex;
	int err;

	if (d->len > JSON_MAX)
		return cli_error(CLI_USAGE, "peerdma copy", "is at most 16M with --json", "--len");
	buf = malloc(d->len);
	hex = malloc(2 * d->len + 1);
	err = buf && hex ? pdma_region_read(d->region, d->off, buf, d->len) : -ENOMEM;
	for (uint64_t i = 0; !err && i < d->len; i++) {
		hex[2 * i] = digits[buf[i] >> 4];
		hex[2 * i + 1] = digits[buf[i] & 15];
	}
	if (!err) {
		hex[2 * d->len] = 0;
		o = json_object_new_object();
		json_object_object_add(o, "region",
				       json_object_new_string(pdma_region_uri(d->region)));
		json_object_object_add(o, "off", json_object_new_uint64(d->off));
		json_object_object_add(o, "len", json_object_new_uint64(d->len));
		json_object_object_add(o, "hex", json_object_new_string(hex));
		cli_json_print(o);
	}
	free(buf);
	free(hex);
	return err ? cli_library_error(err, d->cli->argv[0]) : CLI_DONE;
}

static enum cli_status dump(struct dumping *d)
{
	uint64_t whole = cli_region_len(d->region);
	enum cli_status status;

	if (!cli_size_option(d->cli, "off", &d->off))
		return CLI_USAGE;
	if (d->off >= whole)
		return cli_error(CLI_FAILED, NULL, "is behind the region's end", "--off");
	d->len = whole - d->off < DEFAULT ? whole - d->off : DEFAULT;
	if (!cli_size_option(d->cli, "len", &d->len))
		return CLI_USAGE;
	if (!d->len || d->len > whole - d->off)
		return cli_error(CLI_FAILED, NULL, "goes beyond the region's end", "--len");
	if (d->cli->json)
		return dump_json(d);
	if (cli_option(d->cli, "raw"))
		return each_chunk(d, show_raw);
	status = each_chunk(d, show);
	if (!status)
		printf("%08" PRIx64 "\n", d->off + d->len);
	return status;
}

static enum cli_status run(struct cli *cli)
{
	struct dumping d = { .cli = cli };
	struct pdma_ctx *ctx;
	enum cli_status status;

	if (cli_option(cli, "raw") && isatty(STDOUT_FILENO))
		return cli_error(CLI_USAGE, NULL, "is not for a terminal", "--raw");
	cli_interrupt_catch();
	status = cli_ctx_open(&ctx);
	if (status)
		return status;
	status = cli_region_open(cli, ctx, cli->argv[0], PDMA_OPEN_READONLY, &d.region);
	if (!status)
		status = dump(&d);
	pdma_region_close(d.region);
	pdma_ctx_destroy(ctx);
	return status;
}

static const struct cli_option options[] = {
	{ "off", 'o', "BYTES", "where to begin (default: 0)", CLI_COMPLETE_NONE },
	{ "len", 'n', "BYTES", "how much (default: 256)", CLI_COMPLETE_NONE },
	{ "raw", 0, NULL, "the bytes themselves, for a pipe", CLI_COMPLETE_NONE },
	CLI_OPTION_TOKEN,
	CLI_OPTION_NIC,
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_dump = {
	.name = "dump",
	.args = "REGION",
	.summary = "show the bytes of a region",
	.help = "Offset, bytes and characters of each 16 bytes; a star stands for rows like the\n"
		"one before. Reads by the processor, or what the kind of memory has instead.",
	.examples = "peerdma dump accel:0000:03:00.0\n"
		    "peerdma dump --off 1M --len 64 --token-file key rdma://b/vram",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.complete = CLI_COMPLETE_REGION,
	.run = run,
};
