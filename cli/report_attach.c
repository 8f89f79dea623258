// SPDX-License-Identifier: MIT
/* Files in a report: measured figures, pictures, output of other commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

/* Of one file: a page that cannot be opened helps nobody. */
#define SIZE_MAX_MIB 16

/* As data of an image, where scripts of an SVG do not run. */
static void put_image(FILE *file, const char *type, const unsigned char *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	fprintf(file, "<img alt=\"attached picture\" src=\"data:%s;base64,", type);
	for (i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		unsigned long word = (unsigned long)data[i] << 16;

		word |= have > 1 ? (unsigned long)data[i + 1] << 8 : 0;
		word |= have > 2 ? data[i + 2] : 0;
		fputc(digits[word >> 18], file);
		fputc(digits[word >> 12 & 63], file);
		fputc(have > 1 ? digits[word >> 6 & 63] : '=', file);
		fputc(have > 2 ? digits[word & 63] : '=', file);
	}
	fputs("\">\n", file);
}

static void put(FILE *file, const char *path, const char *data, size_t len)
{
	static const char png[] = "\x89PNG\r\n\x1a\n";
	const char *name = strrchr(path, '/');

	fputs("<h2>", file);
	cli_html_text(file, name ? name + 1 : path);
	fputs("</h2>\n", file);
	if (len >= sizeof(png) - 1 && !memcmp(data, png, sizeof(png) - 1)) {
		put_image(file, "image/png", (const unsigned char *)data, len);
	} else if (memmem(data, len < 512 ? len : 512, "<svg", 4)) {
		put_image(file, "image/svg+xml", (const unsigned char *)data, len);
	} else {
		fputs("<pre>", file);
		cli_html_textn(file, data, len);
		fputs("</pre>\n", file);
	}
}

static int read_whole(int fd, char *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

static const char *attach(FILE *file, const char *path, int fd)
{
	struct stat st;
	char *data;
	int err;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no file";
	if (st.st_size > (off_t)SIZE_MAX_MIB << 20)
		return "it is longer than 16 MiB";
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return strerror(ENOMEM);
	err = read_whole(fd, data, (size_t)st.st_size);
	if (!err)
		put(file, path, data, (size_t)st.st_size);
	free(data);
	return err ? strerror(err) : NULL;
}

enum cli_status cli_report_attach(FILE *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why;

	if (fd < 0)
		return cli_error(CLI_FAILED, NULL, strerror(errno), "%s", path);
	why = attach(file, path, fd);
	close(fd);
	return why ? cli_error(CLI_FAILED, NULL, why, "%s", path) : CLI_DONE;
}
