/* SPDX-License-Identifier: MIT */
/* What the parts of the library share in a context. */
#ifndef PEERDMA_LIB_CORE_CTX_H
#define PEERDMA_LIB_CORE_CTX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/core/error.h"
#include "peerdma/context.h"

struct pdmai_event_queue;
struct pdmai_device;
struct pdma_region;

TAILQ_HEAD(pdmai_devices, pdmai_device);
TAILQ_HEAD(pdmai_regions, pdma_region);

struct pdma_ctx {
	char *sysroot; /* "/" or a directory without a slash at its end */
	char *sysfs;   /* "/sys" or "SYSROOT/sys"; root for lib/sysfs */
	bool live;     /* the machine we run on, not a captured tree */
	/*
	 * Recursive: guards regions, memory regions, devices and what they know of each other.
	 * Taken before any other lock.
	 */
	pthread_mutex_t lock;
	/*
	 * Regions that are being opened, which is done without the lock: nobody but their opener
	 * knows of them yet. Once closing, none begins and those under way come to nothing; the
	 * last one signals opened.
	 */
	unsigned opening;
	bool closing;
	pthread_cond_t opened;
	struct pdmai_event_queue *events;
	struct pdmai_devices devices; /* open ones */
	struct pdmai_regions regions; /* not closed, revoked ones too */
	struct pdmai_vfio *vfio;      /* since the first device that needs it */
	uint64_t next_id;	      /* of a backing */
};

static inline void pdmai_ctx_lock(struct pdma_ctx *ctx)
{
	pthread_mutex_lock(&ctx->lock);
}

static inline void pdmai_ctx_unlock(struct pdma_ctx *ctx)
{
	pthread_mutex_unlock(&ctx->lock);
}

/*
 * Around everything an open does to the context. begin: 0; -ECANCELED: it is being closed. end:
 * with the lock, once; the context may be gone as soon as that is given back.
 */
int pdmai_ctx_open_begin(struct pdma_ctx *ctx);
void pdmai_ctx_open_end_locked(struct pdma_ctx *ctx);
/* May what was opened come into being? With the lock. Return: 0; -ECANCELED. */
int pdmai_ctx_open_check_locked(const struct pdma_ctx *ctx);

/*
 * Take over a caller's options that start with their size: to is zeroed, as much as from has is
 * copied. min is the size of the first version. from may be NULL.
 * Return: 0; -EINVAL: too short, or bytes this version does not know are not zero.
 */
int pdmai_options_copy(void *to, size_t size, const void *from, size_t min);

/*
 * Fill a caller's structure that starts with its size from ours of size bytes: as much as it has
 * room for, the rest of a newer caller's zeroed. Return: 0; -EINVAL: its size makes no sense.
 */
#define PDMAI_INFO_MAX 65536
int pdmai_info_copy(void *to, const void *from, size_t size);

/* Need the live machine. Return: 0; -EOPNOTSUPP with a sentence naming what. */
int pdmai_ctx_need_live(const struct pdma_ctx *ctx, const char *what);

#endif
