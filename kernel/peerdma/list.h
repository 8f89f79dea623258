/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows given to user space, from a cursor on, as many as there is room for. */
#ifndef PEERDMA_KERNEL_LIST_H
#define PEERDMA_KERNEL_LIST_H

#include <linux/types.h>

#include <uapi/peerdma/ioctl.h>

struct pdk_list {
	struct peerdma_list req; /* cursor is where the walk begins */
	void __user *arg;
	u32 n_written;
	u64 n_total;
	u64 next; /* first row that was not written, 0: none yet */
};

/*
 * Take the request; rows had at least row_min bytes in their first version.
 * Return: 0; -errno as the header of the request says.
 */
int pdk_list_begin(struct pdk_list *l, void __user *arg, size_t row_min);
/*
 * The row with this number, which is above those before. May sleep.
 * Return: 0; -EFAULT; -EINTR: the caller is being killed.
 */
int pdk_list_row(struct pdk_list *l, u64 number, const void *row, size_t len);
int pdk_list_end(struct pdk_list *l);

#endif
