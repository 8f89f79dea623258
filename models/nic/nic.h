/* SPDX-License-Identifier: MIT */
/*
 * The ConnectX-compatible RDMA NIC as the fabric process sees it. What it can do: SPEC.rst.
 */
#ifndef PEERDMA_MODELS_NIC_NIC_H
#define PEERDMA_MODELS_NIC_NIC_H

struct mdl_device;
struct mdl_node;

/*
 * Create a NIC on a node and start its workers. It joins the process's InfiniBand subnet with a
 * GUID made from the names of node and device. Two NICs reach each other when they are joined by
 * mdl_link() and that link is up, or when neither was ever linked: those hang on one switch.
 * Every NIC reaches itself. mdl_device_destroy() ends it.
 * Return: 0; -EEXIST; -ENOMEM; -ENOSPC when the subnet has no port left (40 NICs a process); -EIO
 * when the system gives no random numbers for the subnet's key; -EINVAL for a name that is empty or
 * too long; -errno of a thread or of the memory file.
 */
int nic_create(struct mdl_node *node, const char *name, struct mdl_device **ret_dev);

#endif
