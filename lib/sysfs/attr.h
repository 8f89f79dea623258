/* SPDX-License-Identifier: MIT */
/*
 * Attribute files of sysfs. Every path begins with a root, "/sys" on a live system, so that the
 * same code runs on captured trees.
 */
#ifndef PEERDMA_LIB_SYSFS_ATTR_H
#define PEERDMA_LIB_SYSFS_ATTR_H

#include <stddef.h>

#define PDMAI_SYSFS "/sys"

/* Long enough for every path built here; a longer one gives -ENAMETOOLONG. */
#define PDMAI_PATH_MAX 512

/*
 * Read an attribute as text without its last newline. Return: 0, -ENAMETOOLONG, or of open, read.
 */
int pdmai_attr_get(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Write text in one write(). Return: 0, -ENAMETOOLONG, or the kernel's reason to refuse it. */
int pdmai_attr_put(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Last component of what a symbolic link names. Return: 0, -ENOENT when there is no such link. */
int pdmai_attr_link(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
