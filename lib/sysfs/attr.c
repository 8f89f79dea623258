// SPDX-License-Identifier: MIT
#include "lib/sysfs/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int build_path(char path[PDMAI_PATH_MAX], const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static int build_path(char path[PDMAI_PATH_MAX], const char *format, va_list ap)
{
	int n = vsnprintf(path, PDMAI_PATH_MAX, format, ap);

	return n < 0 || n >= PDMAI_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	buf[n] = 0;
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	return 0;
}

int pdmai_attr_get(char *buf, size_t size, const char *format, ...)
{
	char path[PDMAI_PATH_MAX];
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = build_path(path, format, ap);
	va_end(ap);
	return ret ? ret : read_text(path, buf, size);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	/* One write is one store into the attribute; a short one has no meaning in sysfs. */
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int pdmai_attr_put(const char *text, const char *format, ...)
{
	char path[PDMAI_PATH_MAX];
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = build_path(path, format, ap);
	va_end(ap);
	return ret ? ret : write_text(path, text);
}

static int last_component(const char *path, char *buf, size_t size)
{
	char target[PDMAI_PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *name;

	if (n < 0)
		return -errno;
	target[n] = 0;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

int pdmai_attr_link(char *buf, size_t size, const char *format, ...)
{
	char path[PDMAI_PATH_MAX];
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = build_path(path, format, ap);
	va_end(ap);
	return ret ? ret : last_component(path, buf, size);
}
