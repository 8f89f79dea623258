// SPDX-License-Identifier: MIT
/*
 * peerdma-archive: captures of machines as one file, by libarchive. A process of its own, so that
 * whatever a hostile archive does to a decompressor happens to nobody but it, under limits.
 *
 *   peerdma-archive extract FILE DIR     DIR is there, and empty
 *   peerdma-archive create FILE DIR      FILE is new; .tar, .tar.gz, .tgz or .tar.zst
 *
 * Errors are told as `peerdma` does. Exit status: 0; 1 failed; 2 usage.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far more than the largest machine needs. */
#define ENTRIES_MAX 200000
#define FILE_MAX    (1ll << 20)
#define TOTAL_MAX   (128ll << 20)
#define DEPTH_MAX   32
#define NAME_MAX_   255
#define BLOCK	    65536
#define CPU_S	    60

struct extraction {
	const char *file;
	struct archive *in;
	int root;
	unsigned entries;
	int64_t total;
};

static int fail(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(const char *file, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "peerdma: %s: ", file);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

/* For messages: what a terminal might take for something else becomes "?". */
static const char *printable(const char *name)
{
	static char buf[128];
	size_t i;

	for (i = 0; name[i] && i < sizeof(buf) - 1; i++)
		buf[i] = name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?';
	buf[i] = 0;
	return buf;
}

/* ---- extracting ---- */

static bool is_dots(const char *part, size_t len)
{
	return len == 2 && part[0] == '.' && part[1] == '.';
}

static bool is_nothing(const char *part, size_t len)
{
	return !len || (len == 1 && part[0] == '.');
}

/*
 * A link may go up to the root of the tree and down again. As its directories are no links
 * themselves and ".." stands only in front, it stays inside whatever the rest leads through.
 */
static bool stays_inside(const char *target, unsigned depth)
{
	bool down = false;
	size_t len;

	if (target[0] == '/' || !target[0])
		return false;
	for (;; target += len + 1) {
		len = strcspn(target, "/");
		if (is_dots(target, len)) {
			if (down || !depth--)
				return false;
		} else if (!is_nothing(target, len)) {
			down = true;
		}
		if (!target[len])
			return true;
	}
}

/* Go down one real directory, which is made. Takes over at. */
static int enter(int at, const char *part)
{
	int fd = -1;

	if (!mkdirat(at, part, 0700) || errno == EEXIST)
		fd = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(at);
	return fd;
}

/*
 * The directory an entry goes into, and its name there, "" for the root itself.
 * Return: a descriptor; -1, told.
 */
static int parent_of(struct extraction *x, const char *path, char name[NAME_MAX_ + 1],
		     unsigned *ret_depth)
{
	int at = fcntl(x->root, F_DUPFD_CLOEXEC, 0);
	const char *rest = path;
	unsigned depth = 0;
	size_t len;

	name[0] = 0;
	if (path[0] == '/')
		at = (close(at), fail(x->file, "'%s' is an absolute path", printable(path)));
	for (; at >= 0; rest += len + 1) {
		len = strcspn(rest, "/");
		if (is_dots(rest, len) || len > NAME_MAX_ || depth > DEPTH_MAX)
			at = (close(at),
			      fail(x->file, "'%s' leads out of it, or too deep", printable(path)));
		else if (!is_nothing(rest, len)) {
			if (name[0] && (depth++, (at = enter(at, name)) < 0))
				fail(x->file, "'%s' leads through what is no directory",
				     printable(path));
			snprintf(name, NAME_MAX_ + 1, "%.*s", (int)len, rest);
		}
		if (at < 0 || !rest[len])
			break;
	}
	*ret_depth = depth;
	return at;
}

static int write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= (size_t)n) {
		n = write(fd, buf, len);
		if (n < 0)
			return -1;
	}
	return 0;
}

/* However long the header says it is: what counts is what comes. */
static int take_data(struct extraction *x, int fd, const char *path)
{
	static char buf[BLOCK];
	int64_t size = 0;
	la_ssize_t n;

	while ((n = archive_read_data(x->in, buf, sizeof(buf))) > 0) {
		size += n;
		x->total += n;
		if (size > FILE_MAX || x->total > TOTAL_MAX)
			return fail(x->file, "'%s' is too large for part of a captured machine",
				    printable(path));
		if (write_all(fd, buf, (size_t)n))
			return fail(x->file, "cannot write what is in it: %s", strerror(errno));
	}
	return n ? fail(x->file, "it is damaged: %s", archive_error_string(x->in)) : 0;
}

static int take_file(struct extraction *x, int at, const char *name, const char *path)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return fail(x->file, "'%s' cannot be made: %s", printable(path), strerror(errno));
	err = take_data(x, fd, path);
	close(fd);
	return err;
}

static int take_link(struct extraction *x, int at, const char *name, unsigned depth,
		     const char *path, const char *target)
{
	if (!target || !stays_inside(target, depth))
		return fail(x->file, "the link '%s' leads out of it", printable(path));
	if (symlinkat(target, at, name))
		return fail(x->file, "'%s' cannot be made: %s", printable(path), strerror(errno));
	return 0;
}

static int take_entry(struct extraction *x, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e);
	char name[NAME_MAX_ + 1];
	unsigned depth;
	int at, err;

	if (!path)
		return fail(x->file, "an entry has no name");
	if (++x->entries > ENTRIES_MAX)
		return fail(x->file, "it has too many entries for a captured machine");
	if (archive_entry_hardlink(e))
		return fail(x->file, "'%s' is a hard link", printable(path));
	at = parent_of(x, path, name, &depth);
	if (at < 0)
		return -1;
	switch (archive_entry_filetype(e)) {
	case AE_IFDIR:
		at = name[0] ? enter(at, name) : at;
		err = at < 0 ? fail(x->file, "'%s' is no directory before", printable(path)) : 0;
		break;
	case AE_IFREG:
		err = take_file(x, at, name, path);
		break;
	case AE_IFLNK:
		err = take_link(x, at, name, depth, path, archive_entry_symlink(e));
		break;
	default:
		err = fail(x->file, "'%s' is neither file, directory nor link", printable(path));
	}
	if (at >= 0)
		close(at);
	return err;
}

static int take_all(struct extraction *x)
{
	struct archive_entry *e;
	int ret;

	while ((ret = archive_read_next_header(x->in, &e)) == ARCHIVE_OK)
		if (take_entry(x, e))
			return -1;
	if (ret != ARCHIVE_EOF)
		return fail(x->file, "it is damaged: %s", archive_error_string(x->in));
	return x->entries ? 0 : fail(x->file, "there is nothing in it");
}

static int extract(const char *file, const char *dir)
{
	struct extraction x = { .file = file };
	int err;

	x.root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x.root < 0)
		return fail(dir, "%s", strerror(errno));
	x.in = archive_read_new();
	if (!x.in)
		return fail(file, "out of memory");
	archive_read_support_format_tar(x.in);
	archive_read_support_filter_gzip(x.in);
	archive_read_support_filter_zstd(x.in);
	if (archive_read_open_filename(x.in, file, BLOCK))
		err = fail(file, "it is no capture (.tar, .tar.gz, .tar.zst): %s",
			   archive_error_string(x.in));
	else
		err = take_all(&x);
	archive_read_free(x.in);
	close(x.root);
	return err;
}

/* ---- creating ---- */

static int add_data(struct archive *out, struct archive *in)
{
	static char buf[BLOCK];
	la_ssize_t n;

	while ((n = archive_read_data(in, buf, sizeof(buf))) > 0)
		if (archive_write_data(out, buf, (size_t)n) != n)
			return -1;
	return n ? -1 : 0;
}

/* Nothing of who made it and when. */
static void make_plain(struct archive_entry *e)
{
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_uname(e, NULL);
	archive_entry_set_gname(e, NULL);
	archive_entry_unset_atime(e);
	archive_entry_unset_ctime(e);
	archive_entry_unset_birthtime(e);
	archive_entry_xattr_clear(e);
	archive_entry_acl_clear(e);
}

static int add_all(struct archive *out, struct archive *in)
{
	struct archive_entry *e = archive_entry_new();
	int ret = e ? ARCHIVE_OK : ARCHIVE_FATAL;

	while (e && (ret = archive_read_next_header2(in, e)) == ARCHIVE_OK) {
		archive_read_disk_descend(in);
		make_plain(e);
		if (archive_write_header(out, e) || add_data(out, in))
			break;
		archive_entry_clear(e);
	}
	archive_entry_free(e);
	return ret == ARCHIVE_EOF ? 0 : -1;
}

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a > b && !strcmp(text + a - b, end);
}

static int set_form(struct archive *out, const char *file)
{
	archive_write_set_format_pax_restricted(out);
	if (ends_with(file, ".tar.gz") || ends_with(file, ".tgz"))
		return archive_write_add_filter_gzip(out);
	if (ends_with(file, ".tar.zst"))
		return archive_write_add_filter_zstd(out);
	return ends_with(file, ".tar") ? archive_write_add_filter_none(out) : ARCHIVE_FATAL;
}

static int write_archive(struct archive *out, struct archive *in, const char *file, const char *dir,
			 int fd)
{
	if (set_form(out, file))
		return fail(file, "the name ends in .tar.gz, .tgz, .tar.zst or .tar");
	/* Names in it are those below dir. */
	if (chdir(dir))
		return fail(dir, "%s", strerror(errno));
	if (archive_write_open_fd(out, fd) || archive_read_disk_open(in, ".") || add_all(out, in) ||
	    archive_write_close(out))
		return fail(file, "cannot be written: %s", archive_error_string(out) ?: "reading");
	return 0;
}

static int create(const char *file, const char *dir)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), err = -1;
	int where = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct archive *out = archive_write_new(), *in = archive_read_disk_new();

	if (fd < 0)
		fail(file, "%s", strerror(errno));
	else if (!out || !in)
		fail(file, "out of memory");
	else
		err = write_archive(out, in, file, dir, fd);
	archive_write_free(out);
	archive_read_free(in);
	/* All or nothing. */
	if (err && fd >= 0 && where >= 0 && !fchdir(where))
		unlink(file);
	return err;
}

static void set_limits(void)
{
	struct rlimit cpu = { CPU_S, CPU_S }, core = { 0, 0 };

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &core);
}

int main(int argc, char **argv)
{
	if (argc != 4 || (strcmp(argv[1], "extract") && strcmp(argv[1], "create"))) {
		fprintf(stderr, "usage: peerdma-archive extract|create FILE DIR\n");
		return 2;
	}
	set_limits();
	return (argv[1][0] == 'e' ? extract : create)(argv[2], argv[3]) ? 1 : 0;
}
