// SPDX-License-Identifier: MIT
#include "cli/servers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_lines_read(struct cli_lines *l, void (*fn)(const char *line, void *arg), void *arg)
{
	char *end;
	ssize_t n;

	while ((n = read(l->fd, l->buf + l->len, sizeof(l->buf) - 1 - l->len)) > 0) {
		l->len += (size_t)n;
		while ((end = memchr(l->buf, '\n', l->len))) {
			*end++ = 0;
			fn(l->buf, arg);
			l->len -= (size_t)(end - l->buf);
			memmove(l->buf, end, l->len);
		}
		/* No line of ours is that long. */
		if (l->len == sizeof(l->buf) - 1)
			l->len = 0;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

bool cli_servers_dir(int i, char *buf, size_t size)
{
	const char *only = getenv("PEERDMA_RUN_DIR"), *user = getenv("XDG_RUNTIME_DIR");
	int n = -1;

	if (only && only[0])
		n = i ? -1 : snprintf(buf, size, "%s", only);
	else if (!i)
		n = snprintf(buf, size, "/run/peerdma");
	else if (i == 1 && user && user[0])
		n = snprintf(buf, size, "%s/peerdma", user);
	return n >= 0 && (size_t)n < size;
}

int cli_servers_open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && (st.st_uid == geteuid() || !st.st_uid) && !(st.st_mode & 022))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

bool cli_servers_is_name(const char *name)
{
	static const char begin[] = "serve-", end[] = ".sock";
	size_t digits;

	if (strncmp(name, begin, sizeof(begin) - 1))
		return false;
	name += sizeof(begin) - 1;
	digits = strspn(name, "0123456789");
	return digits && !strcmp(name + digits, end);
}

int cli_servers_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static struct cli_server *find(const struct cli_servers *s, const char *path)
{
	for (int i = 0; i < s->n; i++)
		if (!strcmp(s->server[i]->path, path))
			return s->server[i];
	return NULL;
}

/* Whom we may not listen to, and whose backlog is full, we try again the next time. */
static struct cli_server *meet(struct cli_servers *s, const char *path)
{
	struct cli_server *server;
	int fd = cli_servers_connect(path);

	if (fd < 0 && errno != ECONNREFUSED)
		return NULL;
	server = calloc(1, sizeof(*server));
	if (!server) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	snprintf(server->path, sizeof(server->path), "%s", path);
	server->stale = fd < 0;
	server->lines.fd = fd;
	s->server[s->n++] = server;
	return server;
}

/* A stale socket whose number another server got is one of that server's now. */
static void look_at(struct cli_servers *s, const char *path,
		    void (*fn)(const struct cli_server *server, void *arg), void *arg)
{
	struct cli_server *server = find(s, path);
	int fd = server && server->stale ? cli_servers_connect(path) : -1;

	if (fd >= 0) {
		server->lines.fd = fd;
		server->stale = false;
		fn(server, arg);
	} else if (!server && s->n < CLI_SERVERS_MAX) {
		server = meet(s, path);
		if (server)
			fn(server, arg);
	}
	if (server)
		server->seen = true;
}

static void look_in(struct cli_servers *s, const char *dir,
		    void (*fn)(const struct cli_server *server, void *arg), void *arg)
{
	char path[CLI_SOCKET_PATH + 256];
	int fd = cli_servers_open_dir(dir);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (cli_servers_is_name(e->d_name) && strlen(path) < CLI_SOCKET_PATH)
			look_at(s, path, fn, arg);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

void cli_servers_look(struct cli_servers *s, void (*fn)(const struct cli_server *server, void *arg),
		      void *arg)
{
	char dir[CLI_SOCKET_PATH];

	for (int i = 0; i < s->n; i++)
		s->server[i]->seen = false;
	for (int i = 0; i < 2; i++)
		if (cli_servers_dir(i, dir, sizeof(dir)))
			look_in(s, dir, fn, arg);
	/* Stale sockets that were cleared away; a server says itself that it goes. */
	for (int i = s->n; i-- > 0;)
		if (!s->server[i]->seen && s->server[i]->stale)
			cli_servers_drop(s, i);
}

void cli_servers_drop(struct cli_servers *s, int i)
{
	if (s->server[i]->lines.fd >= 0)
		close(s->server[i]->lines.fd);
	free(s->server[i]);
	s->server[i] = s->server[--s->n];
}

void cli_servers_clear(struct cli_servers *s)
{
	while (s->n)
		cli_servers_drop(s, s->n - 1);
}
