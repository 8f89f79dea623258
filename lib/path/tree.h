/* SPDX-License-Identifier: MIT */
/*
 * Files of the machine we run on or of a captured tree. A tree may come from anyone: no link leads
 * out of it, nothing but regular files is read, and every size is bounded.
 */
#ifndef PEERDMA_LIB_PATH_TREE_H
#define PEERDMA_LIB_PATH_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PDMAI_TREE_PATH 512

struct pdmai_tree {
	int fd;	   /* the root */
	bool live; /* "/": links are the kernel's and need no watching */
};

/* root: directory that holds sys/ and proc/. Return: 0, or -errno of opening it. */
int pdmai_tree_open(struct pdmai_tree *tree, const char *root);
void pdmai_tree_close(struct pdmai_tree *tree);

/* Paths below are formatted, relative to the root. */

/* Open a regular file for reading. Return: fd; -ENAMETOOLONG, -EINVAL: no file; or of open. */
int pdmai_tree_file(const struct pdmai_tree *tree, const char *path);

/* At most size bytes. Return: bytes read, or -errno. */
ssize_t pdmai_tree_bytes(const struct pdmai_tree *tree, void *buf, size_t size, const char *format,
			 ...) __attribute__((format(printf, 4, 5)));

/* Text without its last newline, cut to size - 1; "" on failure. Return: 0 or -errno. */
int pdmai_tree_text(const struct pdmai_tree *tree, char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What a symbolic link says; "" on failure. Return: 0; -ENOENT; -ENAMETOOLONG; or of readlink. */
int pdmai_tree_link(const struct pdmai_tree *tree, char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Return: a directory for closedir(), or NULL with errno. */
DIR *pdmai_tree_dir(const struct pdmai_tree *tree, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

bool pdmai_tree_has(const struct pdmai_tree *tree, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The part behind the last slash. */
const char *pdmai_last_part(const char *path);

#endif
