// SPDX-License-Identifier: MIT
#include "models/common/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/internal.h"

static const char *const door_points[MDL_DOOR_FAULTS] = {
	[MDL_F_HOST_READ] = "dma.host.read", [MDL_F_HOST_WRITE] = "dma.host.write",
	[MDL_F_PEER_READ] = "dma.peer.read", [MDL_F_PEER_WRITE] = "dma.peer.write",
	[MDL_F_LINK] = "dma.link",	     [MDL_F_IRQ] = "irq",
};

static const char *const action_names[] = {
	[MDL_FAULT_NONE] = "none",	 [MDL_FAULT_DROP] = "drop",
	[MDL_FAULT_CORRUPT] = "corrupt", [MDL_FAULT_DELAY] = "delay",
	[MDL_FAULT_ERROR] = "error",	 [MDL_FAULT_DUP] = "dup",
	[MDL_FAULT_REORDER] = "reorder", [MDL_FAULT_STALL] = "stall",
};
#define N_ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

const char *mdl_fault_action_name(enum mdl_fault_action a)
{
	return (size_t)a < N_ACTIONS ? action_names[a] : "?";
}

int mdl_fault_action_parse(const char *word)
{
	size_t i;

	for (i = 0; i < N_ACTIONS; i++)
		if (!strcmp(word, action_names[i]))
			return (int)i;
	return -EINVAL;
}

int mdl_faults_init(struct mdl_device *dev)
{
	unsigned i;

	dev->n_faults = MDL_DOOR_FAULTS + dev->desc.n_faults;
	dev->faults = calloc(dev->n_faults, sizeof(*dev->faults));
	if (!dev->faults)
		return -ENOMEM;
	for (i = 0; i < dev->n_faults; i++)
		dev->faults[i].name = i < MDL_DOOR_FAULTS ?
					      door_points[i] :
					      dev->desc.fault_names[i - MDL_DOOR_FAULTS];
	dev->fault_rng = 0x9e3779b97f4a7c15u;
	return 0;
}

/* xorshift: the sequence is the same in every run, so a failure can be met again. */
static bool dice(struct mdl_device *dev, unsigned permille)
{
	uint64_t x = dev->fault_rng;

	if (!permille)
		return true;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	dev->fault_rng = x;
	return x % 1000 < permille;
}

static bool take(struct mdl_device *dev, struct mdl_fault_point *p, struct mdl_fault_hit *hit)
{
	hit->action = (enum mdl_fault_action)atomic_load(&p->action);
	hit->arg = p->arg;
	if (hit->action == MDL_FAULT_NONE)
		return false;
	if (p->after) {
		p->after--;
		return false;
	}
	if (!dice(dev, p->permille))
		return false;
	p->hits++;
	if (!p->endless && !--p->left) {
		atomic_store(&p->action, (uint32_t)MDL_FAULT_NONE);
		atomic_fetch_sub(&dev->faults_armed, 1);
	}
	return true;
}

bool mdl_fault_point(struct mdl_device *dev, unsigned point, struct mdl_fault_hit *ret_hit)
{
	struct mdl_fault_point *p = &dev->faults[point];
	bool fires;

	if (!atomic_load_explicit(&dev->faults_armed, memory_order_relaxed) ||
	    atomic_load_explicit(&p->action, memory_order_relaxed) == MDL_FAULT_NONE)
		return false;
	pthread_mutex_lock(&dev->fault_lock);
	fires = take(dev, p, ret_hit);
	pthread_mutex_unlock(&dev->fault_lock);
	return fires;
}

bool mdl_fault(struct mdl_device *dev, unsigned idx, struct mdl_fault_hit *ret_hit)
{
	return mdl_fault_point(dev, MDL_DOOR_FAULTS + idx, ret_hit);
}

static struct mdl_fault_point *point_by_name(struct mdl_device *dev, const char *name)
{
	unsigned i;

	for (i = 0; i < dev->n_faults; i++)
		if (!strcmp(dev->faults[i].name, name))
			return &dev->faults[i];
	return NULL;
}

int mdl_fault_arm(struct mdl_device *dev, const char *name, enum mdl_fault_action action,
		  uint64_t arg, uint64_t after, uint64_t count, unsigned permille)
{
	struct mdl_fault_point *p = point_by_name(dev, name);
	bool was;

	if (!p)
		return -ENOENT;
	pthread_mutex_lock(&dev->fault_lock);
	was = atomic_load(&p->action) != MDL_FAULT_NONE;
	p->arg = arg;
	p->after = after;
	p->left = count;
	p->endless = !count;
	p->permille = permille;
	p->hits = 0;
	atomic_store(&p->action, (uint32_t)action);
	if (was && action == MDL_FAULT_NONE)
		atomic_fetch_sub(&dev->faults_armed, 1);
	if (!was && action != MDL_FAULT_NONE)
		atomic_fetch_add(&dev->faults_armed, 1);
	pthread_mutex_unlock(&dev->fault_lock);
	return 0;
}
