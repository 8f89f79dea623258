/* SPDX-License-Identifier: MIT */
/*
 * The queue of events of a context. Entries are part of the objects they tell about, so posting
 * one never fails.
 */
#ifndef PEERDMA_LIB_CORE_EVENTS_H
#define PEERDMA_LIB_CORE_EVENTS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "peerdma/event.h"

struct pdmai_event_queue;

/* All zero is an entry that was never posted. */
struct pdmai_event {
	TAILQ_ENTRY(pdmai_event) entry;
	bool queued;
	struct pdma_event event;
};

/* A file whose becoming readable the context looks at; fn runs in pdma_event_next(). */
struct pdmai_event_source {
	int fd;
	void (*fn)(struct pdmai_event_source *source);
};

/* Return: 0, -ENOMEM, or of the kernel. */
int pdmai_events_create(struct pdmai_event_queue **ret_queue);
void pdmai_events_destroy(struct pdmai_event_queue *queue);

/* Queue e, unless it is queued. e->event is filled but for the time. Any thread. */
void pdmai_events_post(struct pdmai_event_queue *queue, struct pdmai_event *e);
/* Take e out of the queue, if it is in it. Must come before its memory goes. */
void pdmai_events_drop(struct pdmai_event_queue *queue, struct pdmai_event *e);

/* Return: 0 or of the kernel. */
int pdmai_events_watch(struct pdmai_event_queue *queue, struct pdmai_event_source *source);
void pdmai_events_unwatch(struct pdmai_event_queue *queue, struct pdmai_event_source *source);

#endif
