// SPDX-License-Identifier: MIT
#include "lib/path/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/error.h"

int pdmai_tree_open(struct pdmai_tree *tree, const char *root)
{
	tree->live = !strcmp(root, "/");
	tree->fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return tree->fd < 0 ? pdmai_fail_errno(errno, "cannot open %s", root) : 0;
}

void pdmai_tree_close(struct pdmai_tree *tree)
{
	close(tree->fd);
}

static int open_below(const struct pdmai_tree *tree, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	if (tree->live)
		fd = openat(tree->fd, path, flags | O_CLOEXEC);
	else
		fd = (int)syscall(SYS_openat2, tree->fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

int pdmai_tree_file(const struct pdmai_tree *tree, const char *path)
{
	struct stat st;
	int fd;

	/* O_NONBLOCK: a FIFO in a captured tree must not stop us before we see what it is. */
	fd = open_below(tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int build(char path[PDMAI_TREE_PATH], const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static int build(char path[PDMAI_TREE_PATH], const char *format, va_list ap)
{
	int n = vsnprintf(path, PDMAI_TREE_PATH, format, ap);

	return n < 0 || n >= PDMAI_TREE_PATH ? -ENAMETOOLONG : 0;
}

static ssize_t read_all(const struct pdmai_tree *tree, const char *path, void *buf, size_t size)
{
	int fd = pdmai_tree_file(tree, path);
	size_t done = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	/* Config space comes in several pieces. */
	while (done < size && (n = read(fd, (char *)buf + done, size - done)) > 0)
		done += (size_t)n;
	n = n < 0 ? -errno : (ssize_t)done;
	close(fd);
	return n;
}

ssize_t pdmai_tree_bytes(const struct pdmai_tree *tree, void *buf, size_t size, const char *format,
			 ...)
{
	char path[PDMAI_TREE_PATH];
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = build(path, format, ap);
	va_end(ap);
	return ret ? ret : read_all(tree, path, buf, size);
}

int pdmai_tree_text(const struct pdmai_tree *tree, char *buf, size_t size, const char *format, ...)
{
	char path[PDMAI_TREE_PATH];
	ssize_t n;
	va_list ap;

	va_start(ap, format);
	n = build(path, format, ap);
	va_end(ap);
	n = n ? n : read_all(tree, path, buf, size - 1);
	buf[n > 0 ? n : 0] = 0;
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	return n < 0 ? (int)n : 0;
}

int pdmai_tree_link(const struct pdmai_tree *tree, char *buf, size_t size, const char *format, ...)
{
	char path[PDMAI_TREE_PATH];
	ssize_t n;
	va_list ap;
	int fd;

	va_start(ap, format);
	fd = build(path, format, ap);
	va_end(ap);
	buf[0] = 0;
	fd = fd ? fd : open_below(tree, path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", buf, size);
	close(fd);
	if (n < 0 || (size_t)n >= size) {
		buf[0] = 0;
		return n < 0 ? -errno : -ENAMETOOLONG;
	}
	buf[n] = 0;
	return 0;
}

DIR *pdmai_tree_dir(const struct pdmai_tree *tree, const char *format, ...)
{
	char path[PDMAI_TREE_PATH];
	va_list ap;
	DIR *dir;
	int fd;

	va_start(ap, format);
	fd = build(path, format, ap);
	va_end(ap);
	fd = fd ? fd : open_below(tree, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

bool pdmai_tree_has(const struct pdmai_tree *tree, const char *format, ...)
{
	char path[PDMAI_TREE_PATH];
	va_list ap;
	int fd;

	va_start(ap, format);
	fd = build(path, format, ap);
	va_end(ap);
	fd = fd ? fd : open_below(tree, path, O_PATH);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

const char *pdmai_last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
