// SPDX-License-Identifier: MIT
#include "lib/core/ctx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/events.h"
#include "lib/vfio/vfio.h"

#ifndef PEERDMA_VERSION
#define PEERDMA_VERSION "unknown"
#endif

int pdmai_options_copy(void *to, size_t size, const void *from, size_t min)
{
	const unsigned char *bytes = from;
	size_t given;

	memset(to, 0, size);
	if (!from)
		return 0;
	memcpy(&given, from, sizeof(given));
	if (given < min)
		return pdmai_fail(EINVAL, "options of %zu bytes are too short: is their size set?",
				  given);
	for (size_t i = size; i < given; i++)
		if (bytes[i])
			return pdmai_fail(EINVAL,
					  "options ask for something this library does not know");
	memcpy(to, from, given < size ? given : size);
	return 0;
}

int pdmai_ctx_need_live(const struct pdma_ctx *ctx, const char *what)
{
	if (ctx->live)
		return 0;
	return pdmai_fail(EOPNOTSUPP, "%s needs this machine, not the tree in %s", what,
			  ctx->sysroot);
}

static int set_root(struct pdma_ctx *ctx, const char *sysroot)
{
	size_t len = strlen(sysroot);

	if (!len)
		return pdmai_fail(EINVAL, "an empty path is no sysroot");
	while (len > 1 && sysroot[len - 1] == '/')
		len--;
	ctx->sysroot = strndup(sysroot, len);
	if (!ctx->sysroot)
		return pdmai_fail(ENOMEM, "no memory for a context");
	ctx->live = !strcmp(ctx->sysroot, "/");
	if (asprintf(&ctx->sysfs, "%s/sys", ctx->live ? "" : ctx->sysroot) < 0) {
		ctx->sysfs = NULL;
		return pdmai_fail(ENOMEM, "no memory for a context");
	}
	return 0;
}

static int init_lock(struct pdma_ctx *ctx)
{
	pthread_mutexattr_t attr;
	int err;

	err = pthread_mutexattr_init(&attr);
	if (err)
		return -err;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	err = pthread_mutex_init(&ctx->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	if (!err)
		err = pthread_cond_init(&ctx->opened, NULL);
	return -err;
}

int pdmai_ctx_open_check_locked(const struct pdma_ctx *ctx)
{
	return ctx->closing ? pdmai_fail(ECANCELED, "the context is being closed") : 0;
}

int pdmai_ctx_open_begin(struct pdma_ctx *ctx)
{
	int ret;

	pdmai_ctx_lock(ctx);
	ret = pdmai_ctx_open_check_locked(ctx);
	if (!ret)
		ctx->opening++;
	pdmai_ctx_unlock(ctx);
	return ret;
}

void pdmai_ctx_open_end_locked(struct pdma_ctx *ctx)
{
	if (!--ctx->opening)
		pthread_cond_broadcast(&ctx->opened);
}

/* None begins any more, and those under way give up what they got. */
static void wait_for_opens(struct pdma_ctx *ctx)
{
	pdmai_ctx_lock(ctx);
	ctx->closing = true;
	while (ctx->opening)
		pthread_cond_wait(&ctx->opened, &ctx->lock);
	pdmai_ctx_unlock(ctx);
}

static void free_ctx(struct pdma_ctx *ctx)
{
	pdmai_vfio_destroy(ctx->vfio);
	pdmai_events_destroy(ctx->events);
	free(ctx->sysfs);
	free(ctx->sysroot);
	free(ctx);
}

int pdma_ctx_create(const struct pdma_ctx_options *opt, struct pdma_ctx **ret_ctx)
{
	struct pdma_ctx_options options;
	struct pdma_ctx *ctx;
	int ret;

	ret = pdmai_options_copy(&options, sizeof(options), opt, sizeof(options));
	if (ret)
		return ret;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return pdmai_fail(ENOMEM, "no memory for a context");
	TAILQ_INIT(&ctx->devices);
	TAILQ_INIT(&ctx->regions);
	ret = set_root(ctx, options.sysroot ? options.sysroot : "/");
	ret = ret ? ret : pdmai_events_create(&ctx->events);
	ret = ret ? ret : init_lock(ctx);
	if (ret) {
		free_ctx(ctx);
		return ret;
	}
	*ret_ctx = ctx;
	return 0;
}

void pdma_ctx_destroy(struct pdma_ctx *ctx)
{
	if (!ctx)
		return;
	wait_for_opens(ctx);
	pthread_cond_destroy(&ctx->opened);
	pthread_mutex_destroy(&ctx->lock);
	free_ctx(ctx);
}

const char *pdma_ctx_sysroot(const struct pdma_ctx *ctx)
{
	return ctx->sysroot;
}

const char *pdma_error(void)
{
	return pdmai_error();
}

const char *pdma_version(void)
{
	return PEERDMA_VERSION;
}

int pdmai_info_copy(void *to, const void *from, size_t size)
{
	size_t room;

	memcpy(&room, to, sizeof(room));
	if (room < sizeof(room) || room > PDMAI_INFO_MAX)
		return pdmai_fail(EINVAL, "a result of %zu bytes: is its size set?", room);
	memset((char *)to + sizeof(room), 0, room - sizeof(room));
	if (size > sizeof(room))
		memcpy((char *)to + sizeof(room), (const char *)from + sizeof(room),
		       (room < size ? room : size) - sizeof(room));
	return 0;
}
