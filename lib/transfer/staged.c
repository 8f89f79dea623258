// SPDX-License-Identifier: MIT
/*
 * Through a bounce buffer in host memory: two transfers, one in and one out of it, each by the
 * engine that suits it, at the same time in different parts of the buffer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/transfer/transfer.h"

/* Slices the buffer holds. */
#define BUFFERED 8

struct staged {
	struct pdma_region *bounce;
	uint64_t size;
	struct pdma_transfer *in, *out;
};

static void free_staged(struct staged *s)
{
	pdma_transfer_destroy(s->in);
	pdma_transfer_destroy(s->out);
	pdma_region_close(s->bounce);
	free(s);
}

static int make_bounce(struct pdma_transfer *t, struct staged *s)
{
	char uri[32];
	int ret;

	/* Registering and mapping cost by the page: no more than is needed. */
	s->size = t->len < t->opt.slice * BUFFERED ? t->len : t->opt.slice * BUFFERED;
	snprintf(uri, sizeof(uri), "host:%llu", (unsigned long long)s->size);
	ret = pdma_region_open(t->ctx, uri, NULL, &s->bounce);
	if (!ret)
		s->bounce->quiet = true;
	return ret;
}

static bool by_cpu(const struct pdma_transfer *leg)
{
	return leg->ops->id == PDMA_ENGINE_CPU;
}

static int set_up(struct pdma_transfer *t, struct staged *s)
{
	unsigned legs = t->opt.engines & ~(unsigned)PDMA_ENGINE_STAGED;
	struct pdmai_end bounce;
	int ret;

	/* Staging is all the caller wants: any engine may serve it. */
	if (!legs)
		legs = ((1u << PDMA_ENGINES) - 1) & ~(unsigned)PDMA_ENGINE_STAGED;
	ret = make_bounce(t, s);
	if (ret)
		return ret;
	bounce = (struct pdmai_end){ .region = s->bounce, .wrap = s->size };
	ret = pdmai_transfer_leg(bounce, t->src, t->len, &t->opt, legs, &s->in);
	ret = ret ? ret : pdmai_transfer_leg(t->dst, bounce, t->len, &t->opt, legs, &s->out);
	if (ret)
		return ret;
	s->in->leg = s->out->leg = true;
	if (by_cpu(s->in) && by_cpu(s->out) && t->opt.engines & PDMA_ENGINE_CPU)
		return pdmai_fail(EOPNOTSUPP, "the CPU would do both legs");
	return 0;
}

static int open_staged(struct pdma_transfer *t)
{
	struct staged *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	ret = set_up(t, s);
	if (ret) {
		free_staged(s);
		return ret;
	}
	t->priv = s;
	t->legs[0] = s->in->ops->id;
	t->legs[1] = s->out->ops->id;
	snprintf(t->device, sizeof(t->device), "%s",
		 s->in->device[0] ? s->in->device : s->out->device);
	snprintf(t->why, sizeof(t->why), "%s into a bounce buffer in host memory, %s out of it",
		 pdma_engine_name(t->legs[0]), pdma_engine_name(t->legs[1]));
	return 0;
}

static void close_staged(struct pdma_transfer *t)
{
	free_staged(t->priv);
	t->priv = NULL;
}

/* What has left the buffer makes room; what has come in may leave. */
static int pump_staged(struct pdma_transfer *t, int timeout_ms, uint64_t limit)
{
	struct staged *s = t->priv;
	uint64_t room, in = s->in->done;
	int ret;

	room = s->out->done + s->size < t->len ? s->out->done + s->size : t->len;
	/* Wait for the one that the other waits for. */
	ret = pdmai_transfer_pump(s->in, s->in->done == s->out->done ? timeout_ms : 0,
				  room < limit ? room : limit);
	if (ret < 0)
		return ret;
	if (s->out->done < s->in->done) {
		ret = pdmai_transfer_pump(s->out, s->in->done == in ? timeout_ms : 0, s->in->done);
		if (ret < 0)
			return ret;
	}
	t->done = s->out->done;
	t->legs[0] = s->in->ops->id;
	t->legs[1] = s->out->ops->id;
	return 0;
}

const struct pdmai_engine_ops pdmai_engine_staged = {
	.id = PDMA_ENGINE_STAGED,
	.depth = 1,
	.open = open_staged,
	.close = close_staged,
	.pump = pump_staged,
};
