// SPDX-License-Identifier: MIT
#include "models/nic/epoch.h"

#include <pthread.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, nic_epoch) workers = LIST_HEAD_INITIALIZER(workers);

void nic_epoch_register(struct nic_epoch *e)
{
	pthread_mutex_lock(&lock);
	LIST_INSERT_HEAD(&workers, e, entry);
	pthread_mutex_unlock(&lock);
}

void nic_epoch_unregister(struct nic_epoch *e)
{
	pthread_mutex_lock(&lock);
	LIST_REMOVE(e, entry);
	pthread_mutex_unlock(&lock);
}

static void wait_left(struct nic_epoch *e)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t seen = atomic_load(&e->seq);
	unsigned i;

	if (!(seen & 1))
		return;
	for (i = 0; i < 200; i++)
		if (atomic_load(&e->seq) != seen)
			return;
	while (atomic_load(&e->seq) == seen)
		nanosleep(&nap, NULL);
}

void nic_epoch_sync(void)
{
	struct nic_epoch *e;

	atomic_thread_fence(memory_order_seq_cst);
	pthread_mutex_lock(&lock);
	LIST_FOREACH(e, &workers, entry)
		wait_left(e);
	pthread_mutex_unlock(&lock);
}
