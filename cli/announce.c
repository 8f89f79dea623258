// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/servers.h"
#include "util/unix_listen.h"

struct cli_announce {
	int fd;
	char path[CLI_SOCKET_PATH];
	int n, watcher[CLI_WATCHERS_MAX];
};

/* Ours: the last one there is, as a user's own directory comes after the machine's. */
static bool own_dir(char *buf, size_t size)
{
	char dir[CLI_SOCKET_PATH];
	bool found = false;

	for (int i = 0; i < 2; i++) {
		/* Root's place is the machine's, whatever session it is in. */
		if (!cli_servers_dir(i, dir, sizeof(dir)) || (i && !geteuid()))
			continue;
		snprintf(buf, size, "%s", dir);
		found = true;
	}
	return found;
}

/* Of servers that were killed. Sockets appear under their name only once somebody listens. */
static void clear_stale(const char *dir, int dir_fd)
{
	char path[CLI_SOCKET_PATH + 256];
	int fd = dup(dir_fd), server;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!cli_servers_is_name(e->d_name) || strlen(path) >= CLI_SOCKET_PATH)
			continue;
		server = cli_servers_connect(path);
		if (server >= 0)
			close(server);
		else if (errno == ECONNREFUSED)
			unlinkat(dir_fd, e->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* Return: the descriptor, under its name, or -1 with errno. */
static int listen_at(const char *dir, char *path)
{
	char fresh[CLI_SOCKET_PATH + 32];
	mode_t mask;
	int fd, err;

	snprintf(fresh, sizeof(fresh), "%s/.serve-%d.new", dir, (int)getpid());
	/* Who may know of our clients: its owner, and root. */
	mask = umask(0177);
	fd = util_unix_listen(fresh, CLI_WATCHERS_MAX);
	umask(mask);
	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) >= 0 && !rename(fresh, path))
		return fd;
	err = errno;
	unlink(fresh);
	close(fd);
	errno = err;
	return -1;
}

static int announce_in(struct cli_announce *a, const char *dir)
{
	int dir_fd, n, other;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -1;
	dir_fd = cli_servers_open_dir(dir);
	if (dir_fd < 0)
		return -1;
	clear_stale(dir, dir_fd);
	close(dir_fd);
	n = snprintf(a->path, sizeof(a->path), "%.*s/serve-%d.sock", 80, dir, (int)getpid());
	errno = ENAMETOOLONG;
	if (n < 0 || strlen(dir) > 80)
		return -1;
	/* The same number in another namespace of processes. */
	other = cli_servers_connect(a->path);
	if (other >= 0) {
		close(other);
		errno = EEXIST;
		return -1;
	}
	a->fd = listen_at(dir, a->path);
	return a->fd < 0 ? -1 : 0;
}

struct cli_announce *cli_announce_open(void)
{
	struct cli_announce *a = calloc(1, sizeof(*a));
	char dir[CLI_SOCKET_PATH];
	int err;

	if (!a)
		return NULL;
	errno = ENOENT;
	if (own_dir(dir, sizeof(dir)) && !announce_in(a, dir))
		return a;
	err = errno;
	free(a);
	errno = err;
	return NULL;
}

void cli_announce_close(struct cli_announce *a)
{
	if (!a)
		return;
	unlink(a->path);
	close(a->fd);
	while (a->n)
		close(a->watcher[--a->n]);
	free(a);
}

int cli_announce_fd(const struct cli_announce *a)
{
	return a ? a->fd : -1;
}

static void drop(struct cli_announce *a, int i)
{
	close(a->watcher[i]);
	a->watcher[i] = a->watcher[--a->n];
}

static bool is_sent(int fd, const char *text)
{
	size_t len = strlen(text);

	return send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* They have nothing to say: what can be read is their end. */
static void drop_gone(struct cli_announce *a)
{
	char byte;

	for (int i = a->n; i-- > 0;)
		if (recv(a->watcher[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
			drop(a, i);
}

void cli_announce_accept(struct cli_announce *a, const char *first)
{
	int fd;

	drop_gone(a);
	while ((fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (a->n == CLI_WATCHERS_MAX || !is_sent(fd, first))
			close(fd);
		else
			a->watcher[a->n++] = fd;
	}
}

void cli_announce_say(struct cli_announce *a, const char *line)
{
	char text[4096];
	int n = a ? snprintf(text, sizeof(text), "%s\n", line) : 0;

	if (n <= 0 || (size_t)n >= sizeof(text))
		return;
	for (int i = a->n; i-- > 0;)
		if (!is_sent(a->watcher[i], text))
			drop(a, i);
}
