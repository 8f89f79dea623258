// SPDX-License-Identifier: MIT
/* peerdma copy: from any region to any other. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/region.h"

struct copying {
	struct cli *cli;
	struct pdma_ctx *ctx;
	struct pdma_region *src, *dst;
	uint64_t size, skip, slice;
	unsigned engines;
	/* A whole file as the target is written beside its place and moved there at the end. */
	char *path, *part;
	struct cli_progress progress;
	struct pdma_copy_result result;
};

/* ---- the target ---- */

/* Path of a target that is a whole plain file, or is not there yet; else NULL. */
static const char *whole_file(const char *uri)
{
	const char *path = uri + 5, *plus;
	struct stat st;

	if (strncmp(uri, "file:", 5))
		return NULL;
	plus = strrchr(path, '+');
	if (plus && plus[1] >= '0' && plus[1] <= '9')
		return NULL;
	if (!stat(path, &st))
		return S_ISREG(st.st_mode) ? path : NULL;
	return path;
}

static enum cli_status no_memory(void)
{
	return cli_error(CLI_FAILED, NULL, "out of memory", "copy");
}

/*
 * Of another machine's memory no more is opened than is copied: less for its NIC to map, and less
 * that could go wrong. Takes uri, gives back one to free; NULL: no memory.
 */
static char *limit_remote(char *uri, uint64_t len)
{
	const char *name = strncmp(uri, "rdma://", 7) ? NULL : strchr(uri + 7, '/');
	const char *plus = name ? strchr(name, '+') : NULL;
	char *limited;

	if (!name || (plus && strchr(plus, ':')))
		return uri;
	if (asprintf(&limited, "%s%s:%" PRIu64, uri, plus ? "" : "+0", len) < 0)
		limited = NULL;
	free(uri);
	return limited;
}

static enum cli_status open_part(struct copying *c, const char *path)
{
	enum cli_status status;
	char *uri;

	/* A link stays, what it leads to is replaced. */
	c->path = realpath(path, NULL);
	if (!c->path)
		c->path = strdup(path);
	if (!c->path || asprintf(&c->part, "%s.part-%d", c->path, (int)getpid()) < 0) {
		c->part = NULL;
		return no_memory();
	}
	if (!access(c->part, F_OK)) {
		free(c->part);
		c->part = NULL;
		return cli_error(CLI_FAILED, NULL, "its temporary file is there already", "%s",
				 path);
	}
	if (asprintf(&uri, "file:%s+0:%" PRIu64, c->part, c->size) < 0)
		return no_memory();
	status = cli_region_open(c->cli, c->ctx, uri, PDMA_OPEN_CREATE, &c->dst);
	free(uri);
	return status;
}

static enum cli_status open_target(struct copying *c)
{
	char *uri = cli_region_uri(c->cli->argv[1]);
	enum cli_status status;
	const char *path;

	if (uri)
		uri = limit_remote(uri, c->skip + c->size);
	if (!uri)
		return no_memory();
	path = whole_file(uri);
	if (path && !c->skip)
		status = open_part(c, path);
	else
		status = cli_region_open(c->cli, c->ctx, uri, PDMA_OPEN_CREATE, &c->dst);
	free(uri);
	return status;
}

/* ---- what to copy ---- */

static enum cli_status decide_size(struct copying *c)
{
	uint64_t len = cli_region_len(c->src);

	if (c->skip >= len)
		return cli_error(CLI_USAGE, NULL, "nothing is left of the source", "--skip");
	if (!c->size)
		c->size = len - c->skip;
	if (c->size > len - c->skip)
		return cli_error(CLI_FAILED, NULL, "the source is shorter", "--size");
	return CLI_DONE;
}

static enum cli_status check_room(const struct copying *c)
{
	uint64_t room = cli_region_len(c->dst);
	char want[16], have[16];

	if (c->skip <= room && c->size <= room - c->skip)
		return CLI_DONE;
	return cli_error(CLI_FAILED, "--size", "the target is too small", "%s do not fit into %s",
			 cli_size_text(c->skip + c->size, want), cli_size_text(room, have));
}

/* ---- what came of it ---- */

static void print_json(const struct copying *c, int err)
{
	const struct pdma_copy_result *r = &c->result;
	struct json_object *o = json_object_new_object(), *legs, *refused, *one;

	json_object_object_add(o, "ok", json_object_new_boolean(!err));
	if (err)
		json_object_object_add(o, "error", json_object_new_string(pdma_error()));
	json_object_object_add(o, "bytes", json_object_new_uint64(c->size));
	json_object_object_add(o, "done", json_object_new_uint64(r->done));
	json_object_object_add(o, "time_ns", json_object_new_int64(r->time_ns));
	json_object_object_add(o, "engine", json_object_new_string(pdma_engine_name(r->engine)));
	json_object_object_add(o, "device", json_object_new_string(r->device));
	json_object_object_add(o, "why", json_object_new_string(r->why));
	if (r->engine == PDMA_ENGINE_STAGED) {
		legs = json_object_new_array();
		for (int i = 0; i < 2; i++)
			json_object_array_add(legs,
					      json_object_new_string(pdma_engine_name(r->legs[i])));
		json_object_object_add(o, "legs", legs);
	}
	refused = json_object_new_array();
	for (unsigned i = 0; i < r->n_refused; i++) {
		one = json_object_new_object();
		json_object_object_add(
			one, "engine",
			json_object_new_string(pdma_engine_name(r->refused[i].engine)));
		json_object_object_add(one, "why", json_object_new_string(r->refused[i].text));
		json_object_array_add(refused, one);
	}
	json_object_object_add(o, "refused", refused);
	json_object_object_add(o, "verified",
			       json_object_new_boolean(!err && cli_option(c->cli, "verify")));
	if (err == -EBADMSG) {
		json_object_object_add(o, "bad_bytes",
				       json_object_new_uint64(r->mismatch.bad_bytes));
		json_object_object_add(o, "first_bad",
				       json_object_new_uint64(c->skip + r->mismatch.first_off));
		json_object_object_add(o, "last_bad",
				       json_object_new_uint64(c->skip + r->mismatch.last_off));
	}
	cli_json_print(o);
}

static void print_how(const struct copying *c)
{
	const struct pdma_copy_result *r = &c->result;

	printf("by %s", pdma_engine_name(r->engine));
	if (r->engine == PDMA_ENGINE_STAGED)
		printf(" (%s, then %s)", pdma_engine_name(r->legs[0]),
		       pdma_engine_name(r->legs[1]));
	if (r->device[0])
		printf(" of %s", r->device);
}

static enum cli_status tell_done(const struct copying *c)
{
	const struct pdma_copy_result *r = &c->result;
	char size[16], rate[24];

	printf("copied %s in %.3f s, %s, ", cli_size_text(c->size, size), (double)r->time_ns / 1e9,
	       cli_rate_text(c->size, r->time_ns, rate));
	print_how(c);
	puts(cli_option(c->cli, "verify") ? "; verified" : "");
	if (r->why[0])
		printf("%swhy: %s%s\n", cli_style(c->cli, CLI_DIM), r->why,
		       cli_style(c->cli, CLI_PLAIN));
	return CLI_DONE;
}

static enum cli_status tell_mismatch(const struct copying *c)
{
	const struct pdma_mismatch *m = &c->result.mismatch;

	return cli_error(CLI_MISMATCH, "peerdma check --measure", NULL,
			 "%" PRIu64 " bytes differ: the first at offset 0x%" PRIx64
			 " (0x%02x, not 0x%02x), the last at 0x%" PRIx64,
			 m->bad_bytes, c->skip + m->first_off, m->got, m->want,
			 c->skip + m->last_off);
}

static enum cli_status tell_failed(const struct copying *c, int err)
{
	char why[512], try[64] = "";

	snprintf(why, sizeof(why), "%s", pdma_error());
	if (c->part)
		return cli_error(err == -EOPNOTSUPP ? CLI_IMPOSSIBLE : CLI_FAILED, NULL, why,
				 "%s is as it was", c->path);
	if (c->result.done)
		snprintf(try, sizeof(try), "--skip %" PRIu64, c->skip + c->result.done);
	return cli_error(err == -EOPNOTSUPP ? CLI_IMPOSSIBLE : CLI_FAILED, try, why,
			 "%" PRIu64 " of %" PRIu64 " bytes arrived", c->result.done, c->size);
}

static enum cli_status tell(const struct copying *c, int err)
{
	if (c->cli->json) {
		print_json(c, err);
		if (!err)
			return CLI_DONE;
		if (err == -EBADMSG)
			return CLI_MISMATCH;
		return err == -EOPNOTSUPP ? CLI_IMPOSSIBLE : CLI_FAILED;
	}
	if (!err)
		return tell_done(c);
	return err == -EBADMSG ? tell_mismatch(c) : tell_failed(c, err);
}

static enum cli_status copy(struct copying *c)
{
	struct pdma_copy_options opt = {
		.size = sizeof(opt),
		.engines = c->engines,
		.flags = cli_option(c->cli, "verify") ? PDMA_COPY_VERIFY : 0,
		.slice = c->slice,
		.nic = cli_option(c->cli, "nic"),
		.progress = cli_progress_fn,
		.arg = &c->progress,
	};
	int err;

	c->result.size = sizeof(c->result);
	cli_progress_init(&c->progress, c->cli);
	err = pdma_copy(c->dst, c->part ? 0 : c->skip, c->src, c->skip, c->size, &opt, &c->result);
	cli_progress_clear(&c->progress);
	return tell(c, err);
}

/* The new file takes the place of the old one, and its mode and owner if we may. */
static enum cli_status replace(const struct copying *c)
{
	struct stat st;

	if (!stat(c->path, &st) &&
	    (chown(c->part, st.st_uid, st.st_gid) < 0 || chmod(c->part, st.st_mode & 07777) < 0) &&
	    errno != EPERM)
		return cli_error(CLI_FAILED, NULL, strerror(errno), "%s", c->path);
	if (rename(c->part, c->path) < 0)
		return cli_error(CLI_FAILED, NULL, strerror(errno), "%s", c->path);
	return CLI_DONE;
}

/* Only if it is all right. */
static enum cli_status finish_part(struct copying *c, enum cli_status status)
{
	if (!c->part)
		return status;
	pdma_region_close(c->dst);
	c->dst = NULL;
	if (!status)
		status = replace(c);
	if (status)
		unlink(c->part);
	return status;
}

static enum cli_status open_source(struct copying *c)
{
	char *uri = cli_region_uri(c->cli->argv[0]);
	enum cli_status status;

	if (uri && c->size && c->size <= UINT64_MAX - c->skip)
		uri = limit_remote(uri, c->skip + c->size);
	if (!uri)
		return no_memory();
	status = cli_region_open(c->cli, c->ctx, uri, PDMA_OPEN_READONLY, &c->src);
	free(uri);
	return status;
}

static bool take_options(struct copying *c)
{
	return cli_size_option(c->cli, "size", &c->size) &&
	       cli_size_option(c->cli, "skip", &c->skip) &&
	       cli_size_option(c->cli, "slice", &c->slice) &&
	       cli_engines_option(c->cli, &c->engines);
}

static enum cli_status open_and_copy(struct copying *c)
{
	enum cli_status status = take_options(c) ? open_source(c) : CLI_USAGE;

	if (!status)
		status = decide_size(c);
	if (!status)
		status = open_target(c);
	if (!status)
		status = check_room(c);
	if (!status)
		status = copy(c);
	return finish_part(c, status);
}

static enum cli_status run(struct cli *cli)
{
	struct copying *c = calloc(1, sizeof(*c));
	enum cli_status status;

	if (!c)
		return no_memory();
	c->cli = cli;
	cli_interrupt_catch();
	status = cli_ctx_open(&c->ctx);
	if (!status) {
		status = open_and_copy(c);
		pdma_region_close(c->dst);
		pdma_region_close(c->src);
		pdma_ctx_destroy(c->ctx);
	}
	free(c->path);
	free(c->part);
	free(c);
	return status;
}

static const struct cli_option options[] = {
	{ "verify", 0, NULL, "read both ends back and compare: exit status 10 if they differ",
	  CLI_COMPLETE_NONE },
	{ "engine", 'e', "LIST", "only these: accel,nic,direct-io,cpu,staged", CLI_COMPLETE_NONE },
	{ "size", 's', "BYTES", "how much (default: the whole source)", CLI_COMPLETE_NONE },
	{ "skip", 0, "BYTES", "leave out that much at the start of both, to go on after a failure",
	  CLI_COMPLETE_NONE },
	{ "slice", 0, "BYTES", "given to the engine at once (default: 1M)", CLI_COMPLETE_NONE },
	CLI_OPTION_TOKEN,
	CLI_OPTION_NIC,
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_copy = {
	.name = "copy",
	.args = "SRC DST",
	.summary = "copy between regions of any kind, directly where possible",
	.help = "SRC and DST are regions, or paths of files. Says which engine moved the bytes,\n"
		"and why. A whole file as the target is replaced only if all went well; else\n"
		"it is as it was. Other targets then hold the bytes that are said to have\n"
		"arrived, and perhaps parts of the slices behind; --skip goes on from there.",
	.examples = "peerdma copy --verify ./data accel:0000:03:00.0\n"
		    "peerdma copy accel:0000:03:00.0+0:64M accel:0000:04:00.0\n"
		    "peerdma copy --token-file key ./data rdma://b/vram",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.complete = CLI_COMPLETE_REGION,
	.run = run,
};
