// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events for those who listen.
 *
 * Each reader has a ring of its own. To tell takes a lock that no one holds for long, and never
 * waits for a reader: one that does not keep up loses the oldest record.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>

#include "peerdma.h"
#include "registry.h"

#define N_QUEUED    128u
#define MAX_READERS 16 /* of a user without rights */

struct pdk_reader {
	struct list_head entry;
	wait_queue_head_t wait;
	struct mutex mutex; /* one at a time reads */
	kuid_t uid;
	bool all; /* sees what happens to others */
	u32 types;
	/* The rest belongs to lock. */
	u64 first; /* number of the oldest record in the ring */
	u64 end;   /* number of the next one to come */
	u64 lost;
	struct peerdma_event ring[N_QUEUED];
};

static DEFINE_SPINLOCK(lock);
static LIST_HEAD(readers);

static_assert(sizeof(struct peerdma_event) == PEERDMA_EVENT_SIZE);

static void put_event_locked(struct pdk_reader *r, const struct peerdma_event *e)
{
	if (r->end - r->first == N_QUEUED) {
		r->lost += 1 + r->ring[r->first % N_QUEUED].lost;
		r->first++;
	}
	r->ring[r->end++ % N_QUEUED] = *e;
	wake_up_interruptible(&r->wait);
}

/* victim: who was refused, for events that are nobody else's business, or NULL. */
static void tell(struct peerdma_event *e, const kuid_t *victim)
{
	struct pdk_reader *r;

	e->time_ns = ktime_get_boottime_ns();
	spin_lock(&lock);
	list_for_each_entry(r, &readers, entry)
	{
		if (!(r->types & BIT(e->type)))
			continue;
		if (!victim || r->all || uid_eq(*victim, r->uid))
			put_event_locked(r, e);
	}
	spin_unlock(&lock);
}

void pdk_tell_provider(const struct peerdma_provider *p, u32 type, int error)
{
	struct peerdma_event e = {
		.type = type,
		.error = error,
		.function = p->function,
		.provider = p->id,
		.bytes = type == PEERDMA_EVENT_PROVIDER_ADDED ? p->bytes : 0,
	};

	tell(&e, NULL);
}

void pdk_tell_refused(const struct peerdma_pin *pin, const struct pdk_state *state)
{
	struct peerdma_event e = {
		.type = PEERDMA_EVENT_LIMIT,
		.function = pin->provider->function,
		.provider = pin->provider->id,
		.bytes = pin->bytes,
		.scope = state->key.scope,
		.id = state->key.id,
		.used = state->used,
		.max = state->max,
	};

	tell(&e, &pin->owner.uid);
}

static struct pdk_reader *make(u32 types)
{
	struct pdk_reader *r = kvzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);

	if (!r)
		return NULL;
	init_waitqueue_head(&r->wait);
	mutex_init(&r->mutex);
	r->uid = current_uid();
	r->all = capable(CAP_SYS_ADMIN);
	r->types = types;
	return r;
}

static bool has_too_many_locked(const struct pdk_reader *new)
{
	struct pdk_reader *r;
	unsigned int n = 0;

	if (new->all)
		return false;
	list_for_each_entry(r, &readers, entry) n += !r->all && uid_eq(r->uid, new->uid);
	return n >= MAX_READERS;
}

/* Return: 0, and it belongs to the file; -EBUSY; -EUSERS. */
static int start(struct file *file, struct pdk_reader *r)
{
	int ret = 0;

	spin_lock(&lock);
	if (file->private_data)
		ret = -EBUSY;
	else if (has_too_many_locked(r))
		ret = -EUSERS;
	if (!ret) {
		list_add_tail(&r->entry, &readers);
		/* Whoever sees the reader sees it whole: read and poll take no lock for it. */
		smp_store_release(&file->private_data, r);
	}
	spin_unlock(&lock);
	return ret;
}

int pdk_ioctl_listen(struct file *file, void __user *arg)
{
	struct peerdma_listen listen;
	struct pdk_reader *r;
	int ret;

	ret = pdk_copy_in(&listen, sizeof(listen), arg, PEERDMA_LISTEN_SIZE_V1);
	if (ret)
		return ret;
	if (!listen.types || listen.types & ~PEERDMA_EVENTS_ALL || listen.n_queued ||
	    listen.reserved)
		return -EINVAL;
	r = make(listen.types);
	if (!r)
		return -ENOMEM;
	ret = start(file, r);
	if (ret) {
		kvfree(r);
		return ret;
	}
	listen.n_queued = N_QUEUED;
	return pdk_copy_out(arg, &listen, sizeof(listen));
}

/* The oldest record, which stays. Return: its number, or -EAGAIN. */
static s64 peek(struct pdk_reader *r, struct peerdma_event *ret_event)
{
	s64 number = -EAGAIN;

	spin_lock(&lock);
	if (r->first != r->end) {
		number = r->first;
		*ret_event = r->ring[r->first % N_QUEUED];
		ret_event->lost += r->lost;
	}
	spin_unlock(&lock);
	return number;
}

/* It was read, with what it said of records lost; meanwhile it may have become one of them. */
static void drop(struct pdk_reader *r, u64 number, const struct peerdma_event *e)
{
	spin_lock(&lock);
	if (r->first == number) {
		r->first++;
		r->lost = 0;
	} else {
		r->lost -= e->lost + 1;
	}
	spin_unlock(&lock);
}

/* Return: 0; -EAGAIN: there is none; -EFAULT. */
static int read_one(struct pdk_reader *r, char __user *buf)
{
	struct peerdma_event e;
	s64 number = peek(r, &e);

	if (number < 0)
		return number;
	if (e.scope == PEERDMA_SCOPE_USER)
		e.id = from_kuid_munged(current_user_ns(), KUIDT_INIT(e.id));
	if (copy_to_user(buf, &e, sizeof(e)))
		return -EFAULT;
	drop(r, number, &e);
	return 0;
}

static ssize_t read_many(struct pdk_reader *r, char __user *buf, size_t len)
{
	size_t n = 0;
	int ret = 0;

	while (len - n >= sizeof(struct peerdma_event)) {
		ret = read_one(r, buf + n);
		if (ret)
			break;
		n += sizeof(struct peerdma_event);
	}
	return n ?: ret;
}

static bool is_empty(struct pdk_reader *r)
{
	bool empty;

	spin_lock(&lock);
	empty = r->first == r->end;
	spin_unlock(&lock);
	return empty;
}

ssize_t pdk_events_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	/* Of the same file, by its first ioctl, perhaps in another thread. */
	struct pdk_reader *r = smp_load_acquire(&file->private_data);
	ssize_t n;

	if (!r)
		return -ENOTCONN;
	if (len < sizeof(struct peerdma_event))
		return -EINVAL;
	for (;;) {
		if (mutex_lock_interruptible(&r->mutex))
			return -ERESTARTSYS;
		n = read_many(r, buf, len);
		mutex_unlock(&r->mutex);
		if (n != -EAGAIN || file->f_flags & O_NONBLOCK)
			return n;
		if (wait_event_interruptible(r->wait, !is_empty(r)))
			return -ERESTARTSYS;
	}
}

__poll_t pdk_events_poll(struct file *file, struct poll_table_struct *wait)
{
	/* Of the same file, by its first ioctl, perhaps in another thread. */
	struct pdk_reader *r = smp_load_acquire(&file->private_data);

	if (!r)
		return EPOLLERR;
	poll_wait(file, &r->wait, wait);
	return is_empty(r) ? 0 : EPOLLIN | EPOLLRDNORM;
}

void pdk_events_close(struct file *file)
{
	struct pdk_reader *r = file->private_data;

	if (!r)
		return;
	spin_lock(&lock);
	list_del(&r->entry);
	spin_unlock(&lock);
	kvfree(r);
}
