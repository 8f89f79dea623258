/* SPDX-License-Identifier: MIT */
/*
 * What happened to objects of a context without their owner doing it: a region or a memory region
 * was revoked, the kernel wants a device back.
 */
#ifndef PEERDMA_EVENT_H
#define PEERDMA_EVENT_H

#include <stdint.h>

#include <peerdma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_region;
struct pdma_mr;

enum pdma_event_type {
	/* region's memory is out of reach for good; region must still be closed */
	PDMA_EVENT_REGION_REVOKED = 1,
	/* remote and local access through mr has ended; mr must still be deregistered */
	PDMA_EVENT_MR_REVOKED = 2,
	/*
	 * the kernel asks for the region's device (driver unbind, unplug) and waits for its close
	 */
	PDMA_EVENT_DEVICE_WANTED = 3,
	/* the device of the region reported a fatal PCI error; a revoke follows */
	PDMA_EVENT_DEVICE_ERROR = 4,
};

struct pdma_event {
	enum pdma_event_type type;
	int err;		    /* why, as a positive errno; 0: somebody asked for it */
	struct pdma_region *region; /* or NULL */
	struct pdma_mr *mr;	    /* or NULL */
	void *cookie;		    /* of region or mr, as given when it was made */
	int64_t time_ns;	    /* CLOCK_MONOTONIC */
	char text[160];		    /* one sentence: what happened */
};

/*
 * A file descriptor that polls readable while pdma_event_next() has something to do. It belongs to
 * the context: never read it or close it; it may be added to the caller's own epoll.
 * Threads: any. Return: the descriptor, >= 0.
 */
PDMA_API int pdma_event_fd(const struct pdma_ctx *ctx);

/*
 * Take the oldest event. Looks at what the kernel reported first, which may revoke regions.
 * ret_event: out. Its region or mr is valid until the caller closes it; closing an object drops its
 * events. No event is lost for want of memory: each object has at most one of each type.
 * Threads: any, one event goes to one of them. Never blocks.
 * Return: 1 with *ret_event; 0: there is none.
 */
PDMA_API int pdma_event_next(struct pdma_ctx *ctx, struct pdma_event *ret_event);

/*
 * Wait for an event, timeout_ms milliseconds at most (-1: without end), and take it.
 * Return: 1 with *ret_event; 0: the time is over; -EINTR: a signal came.
 */
PDMA_API int pdma_event_wait(struct pdma_ctx *ctx, int timeout_ms, struct pdma_event *ret_event);

/* Name of a type as it is printed, "region-revoked"; "unknown" for others. Static. */
PDMA_API const char *pdma_event_name(enum pdma_event_type type);

#ifdef __cplusplus
}
#endif

#endif
