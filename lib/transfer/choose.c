// SPDX-License-Identifier: MIT
/* Which engine moves the bytes. */
#include <errno.h>
#include <stdio.h>

#include "lib/transfer/transfer.h"

typedef const struct pdmai_engine_ops *const engine_list[PDMA_ENGINES + 1];

/* Device memory: engines that do DMA; the CPU reads it a few bytes at a time. */
static engine_list for_devices = { &pdmai_engine_accel,	 &pdmai_engine_nic, &pdmai_engine_direct,
				   &pdmai_engine_staged, &pdmai_engine_cpu, NULL };
/* Host memory and files: nothing is faster than what is nearest. */
static engine_list for_host = { &pdmai_engine_direct, &pdmai_engine_cpu,    &pdmai_engine_nic,
				&pdmai_engine_accel,  &pdmai_engine_staged, NULL };

static bool on_device(const struct pdma_region *r)
{
	for (unsigned i = 0; i < r->n_pieces; i++)
		if (!(r->pieces[i].backing->flags & (PDMA_REGION_RAM | PDMA_REGION_FILE)))
			return true;
	return false;
}

static bool was_tried(const struct pdma_transfer *t, enum pdma_engine engine)
{
	for (unsigned i = 0; i < t->n_refused; i++)
		if (t->refused[i].engine == engine)
			return true;
	return false;
}

void pdmai_transfer_refuse(struct pdma_transfer *t, enum pdma_engine engine, int err,
			   const char *text)
{
	struct pdma_engine_refused *r = &t->refused[t->n_refused++];

	r->engine = engine;
	r->err = err;
	snprintf(r->text, sizeof(r->text), "%s", text);
}

static int none(const struct pdma_transfer *t)
{
	const struct pdma_engine_refused *best = NULL;

	for (unsigned i = 0; i < t->n_refused; i++)
		if (t->refused[i].err != EPERM && (!best || best->err == EOPNOTSUPP))
			best = &t->refused[i];
	if (!best)
		return pdmai_fail(EOPNOTSUPP, "none of the allowed engines exists");
	return pdmai_fail(best->err == ENOMEM || best->err == ESTALE ? best->err : EOPNOTSUPP,
			  "%s: %s", pdma_engine_name(best->engine), best->text);
}

int pdmai_transfer_choose(struct pdma_transfer *t, unsigned allowed)
{
	bool device = on_device(t->dst.region) || on_device(t->src.region);
	const struct pdmai_engine_ops *const *list = device ? for_devices : for_host;
	int ret;

	/* The staged engine gives way to the CPU unless it is all there is, so it must know. */
	t->opt.engines = allowed;
	for (; *list; list++) {
		if (was_tried(t, (*list)->id))
			continue;
		if (!((*list)->id & allowed)) {
			pdmai_transfer_refuse(t, (*list)->id, EPERM, "not allowed by the caller");
			continue;
		}
		t->ops = *list;
		ret = t->ops->open(t);
		if (!ret)
			return 0;
		pdmai_transfer_refuse(t, t->ops->id, -ret, pdmai_error());
	}
	return none(t);
}

const char *pdma_engine_name(enum pdma_engine engine)
{
	switch (engine) {
	case PDMA_ENGINE_ACCEL:
		return "accel";
	case PDMA_ENGINE_NIC:
		return "nic";
	case PDMA_ENGINE_DIRECT:
		return "direct-io";
	case PDMA_ENGINE_CPU:
		return "cpu";
	case PDMA_ENGINE_STAGED:
		return "staged";
	}
	return "unknown";
}
