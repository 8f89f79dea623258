// SPDX-License-Identifier: MIT
#include "cli/region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cli_status cli_library_error(int err, const char *what)
{
	enum cli_status status = CLI_FAILED;

	if (err == -EOPNOTSUPP || err == -ENODEV)
		status = CLI_IMPOSSIBLE;
	if (err == -EBADMSG)
		status = CLI_MISMATCH;
	return cli_error(status, NULL, pdma_error(), "%s", what);
}

enum cli_status cli_ctx_open(struct pdma_ctx **ret_ctx)
{
	int err = pdma_ctx_create(NULL, ret_ctx);

	return err ? cli_library_error(err, "cannot begin") : CLI_DONE;
}

static bool is_path(const char *text)
{
	return text[0] == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3);
}

char *cli_region_uri(const char *text)
{
	char *uri;

	return asprintf(&uri, "%s%s", is_path(text) ? "file:" : "", text) < 0 ? NULL : uri;
}

const char *cli_token_file(const struct cli *cli)
{
	const char *path = cli_option(cli, "token-file");

	if (!path)
		path = getenv("PEERDMA_TOKEN_FILE");
	return path && path[0] ? path : NULL;
}

static enum cli_status open_uri(const struct cli *cli, struct pdma_ctx *ctx, const char *uri,
				unsigned flags, struct pdma_region **ret_region)
{
	struct pdma_region_options opt = {
		.size = sizeof(opt),
		.flags = flags,
		.token_file = cli_token_file(cli),
		.nic = cli_option(cli, "nic"),
	};
	int err;

	if (pdma_uri_check(uri, NULL))
		return cli_error(CLI_USAGE, "peerdma list", pdma_error(), "no region");
	err = pdma_region_open(ctx, uri, &opt, ret_region);
	return err ? cli_library_error(err, uri) : CLI_DONE;
}

enum cli_status cli_region_open(const struct cli *cli, struct pdma_ctx *ctx, const char *text,
				unsigned flags, struct pdma_region **ret_region)
{
	char *uri = cli_region_uri(text);
	enum cli_status status;

	if (!uri)
		return cli_error(CLI_FAILED, NULL, "out of memory", "%s", text);
	status = open_uri(cli, ctx, uri, flags, ret_region);
	free(uri);
	return status;
}

bool cli_size_option(const struct cli *cli, const char *name, uint64_t *ret_size)
{
	const char *text = cli_option(cli, name);

	if (!text || !pdma_size_parse(text, ret_size))
		return true;
	cli_error(CLI_USAGE, NULL, pdma_error(), "--%s", name);
	return false;
}

static unsigned engine_named(const char *name, size_t len)
{
	for (unsigned bit = 1; bit < 1u << PDMA_ENGINES; bit <<= 1) {
		const char *known = pdma_engine_name((enum pdma_engine)bit);

		if (strlen(known) == len && !memcmp(known, name, len))
			return bit;
	}
	return 0;
}

bool cli_engines_option(const struct cli *cli, unsigned *ret_engines)
{
	const char *text = cli_option(cli, "engine");
	unsigned engines = 0, one;
	size_t len;

	for (; text && *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		one = engine_named(text, len);
		if (!one) {
			cli_error(CLI_USAGE, NULL, "is accel, nic, direct-io, cpu or staged",
				  "--engine %.*s", (int)len, text);
			return false;
		}
		engines |= one;
	}
	*ret_engines = engines;
	return true;
}

uint64_t cli_region_len(const struct pdma_region *region)
{
	struct pdma_region_info info = { .size = sizeof(info) };

	return pdma_region_get_info(region, &info) ? 0 : info.len;
}
