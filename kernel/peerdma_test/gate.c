// SPDX-License-Identifier: GPL-2.0-only
/* A place to wait at. */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/wait.h>

#include "test.h"

static bool is_closed;
static atomic_t n_waiting;
static DECLARE_WAIT_QUEUE_HEAD(queue);

void pdt_gate_close(void)
{
	WRITE_ONCE(is_closed, true);
}

void pdt_gate_open(void)
{
	WRITE_ONCE(is_closed, false);
	wake_up_all(&queue);
}

int pdt_gate_wait(void)
{
	long left = wait_event_interruptible_timeout(queue, atomic_read(&n_waiting), 30 * HZ);

	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

int pdt_gate_pass(bool killable)
{
	int ret = 0;

	atomic_inc(&n_waiting);
	wake_up_all(&queue);
	if (killable)
		ret = wait_event_killable(queue, !READ_ONCE(is_closed));
	else
		wait_event(queue, !READ_ONCE(is_closed));
	atomic_dec(&n_waiting);
	return ret ? -EINTR : 0;
}
