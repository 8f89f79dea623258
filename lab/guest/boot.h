/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_BOOT_H
#define PEERDMA_LAB_BOOT_H

#include <stddef.h>

/*
 * The steps from the initial RAM file system to a usable system. Each returns 0, or -errno with a
 * sentence about what failed in boot_error().
 */

int boot_mount_kernel_file_systems(void);

/*
 * Loads the modules which the image builder found necessary for the root, in the order it wrote
 * down.
 */
int boot_load_modules(void);

/* The read-only image below, memory above; the caller finds itself in it afterwards. */
int boot_enter_root(void);

/* Directories of the host which the launcher shares, read-only, at /peerdma/<tag>. */
int boot_mount_shares(void);

int boot_settle(void);

const char *boot_error(void);

/* Records the sentence. Return: -@err. */
int boot_fail(int err, const char *what, const char *about);

/*
 * Copies the value of NAME=VALUE on the kernel command line. Return: 0, or -ENOENT; @value is ""
 * then.
 */
int boot_option(const char *name, char *value, size_t size);

/* Addresses, loopback, names of the lab's nodes. */
int boot_network(const char *node, const char *nodes);

#endif
