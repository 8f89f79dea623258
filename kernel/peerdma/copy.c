// SPDX-License-Identifier: GPL-2.0-only
/* Structures and lists from and to user space, each side with its own idea of their length. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "list.h"
#include "peerdma.h"

#define MAX_ROW 4096

int pdk_copy_in(void *to, size_t len, void __user *arg, size_t min)
{
	u32 size;
	int ret;

	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < min)
		return -EINVAL;
	ret = copy_struct_from_user(to, len, arg, size);
	/* It may have changed since. */
	if (!ret)
		*(u32 *)to = size;
	return ret;
}

int pdk_copy_out(void __user *arg, const void *from, size_t len)
{
	u32 size = *(const u32 *)from;

	return copy_to_user(arg, from, min_t(size_t, size, len)) ? -EFAULT : 0;
}

int pdk_list_begin(struct pdk_list *l, void __user *arg, size_t row_min)
{
	int ret;

	*l = (struct pdk_list){ .arg = arg };
	ret = pdk_copy_in(&l->req, sizeof(l->req), arg, PEERDMA_LIST_SIZE_V1);
	if (ret)
		return ret;
	if (l->req.flags || l->req.reserved || l->req.row_size < row_min)
		return -EINVAL;
	return l->req.row_size > MAX_ROW ? -E2BIG : 0;
}

static int write_row(struct pdk_list *l, const void *row, size_t len)
{
	char __user *to = u64_to_user_ptr(l->req.rows) + (u64)l->n_written * l->req.row_size;
	size_t n = min_t(size_t, len, l->req.row_size);

	if (copy_to_user(to, row, n) || clear_user(to + n, l->req.row_size - n))
		return -EFAULT;
	l->n_written++;
	return 0;
}

int pdk_list_row(struct pdk_list *l, u64 number, const void *row, size_t len)
{
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	l->n_total++;
	if (l->n_written < l->req.n_rows)
		return write_row(l, row, len);
	if (!l->next)
		l->next = number;
	return 0;
}

int pdk_list_end(struct pdk_list *l)
{
	l->req.n_rows = l->n_written;
	l->req.n_total = l->n_total;
	l->req.cursor = l->next;
	return pdk_copy_out(l->arg, &l->req, sizeof(l->req));
}
