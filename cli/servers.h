/* SPDX-License-Identifier: MIT */
/*
 * How servers of this machine are found. Each `peerdma serve` has a socket, serve-PID.sock, in the
 * runtime directory: /run/peerdma for root, $XDG_RUNTIME_DIR/peerdma for others, or
 * $PEERDMA_RUN_DIR. Who connects is sent what `peerdma serve --json` prints, line by line from then
 * on; a socket nobody listens at is one of a server that was killed.
 */
#ifndef PEERDMA_CLI_SERVERS_H
#define PEERDMA_CLI_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#define CLI_SERVERS_MAX	 32
#define CLI_WATCHERS_MAX 16
#define CLI_SOCKET_PATH	 sizeof(((struct sockaddr_un *)0)->sun_path)

/* ---- announce.c: the server's side ---- */

struct cli_announce;

/*
 * Make it known. Sockets that servers of the same user left behind go.
 * Return: NULL: it cannot be found, errno tells why, which is no reason not to serve.
 */
struct cli_announce *cli_announce_open(void);
/* Removes the socket. NULL is allowed. */
void cli_announce_close(struct cli_announce *a);
/* Polls readable while somebody wants to listen; -1 for NULL. */
int cli_announce_fd(const struct cli_announce *a);
/* Take who wants to listen; each is sent first (with its newline). Never waits. */
void cli_announce_accept(struct cli_announce *a, const char *first);
/* Send a line, without its newline, to all. Who does not read is dropped. NULL is allowed. */
void cli_announce_say(struct cli_announce *a, const char *line);

/* ---- servers.c: the watcher's side ---- */

/* Lines of a file or socket, taken as they come. */
struct cli_lines {
	int fd;
	size_t len;
	char buf[4096];
};

/*
 * Give fn each whole line that is there, without its newline. Longer ones than the buffer are
 * skipped. Return: false: the other end has gone, or at the end of a file.
 */
bool cli_lines_read(struct cli_lines *lines, void (*fn)(const char *line, void *arg), void *arg);

struct cli_server {
	char path[CLI_SOCKET_PATH];
	bool seen;  /* in the latest look */
	bool stale; /* nobody listens */
	struct cli_lines lines;
};

struct cli_servers {
	int n;
	struct cli_server *server[CLI_SERVERS_MAX];
};

/* The i-th directory, which may be absent. Return: false: there is no such. */
bool cli_servers_dir(int i, char *buf, size_t size);
/*
 * Only its owner may write there, who is root or us. Return: a descriptor; -1 with errno, EPERM:
 * others may write.
 */
int cli_servers_open_dir(const char *path);
/* Is it the name of a server's socket? */
bool cli_servers_is_name(const char *name);
/* Return: a descriptor that does not block; -1 with errno: ECONNREFUSED: it is stale. */
int cli_servers_connect(const char *path);

/* Look for servers; fn is told of those that are new, stale ones too. */
void cli_servers_look(struct cli_servers *s, void (*fn)(const struct cli_server *server, void *arg),
		      void *arg);
/* Forget one: it has gone. The last takes its place. */
void cli_servers_drop(struct cli_servers *s, int i);
void cli_servers_clear(struct cli_servers *s);

#endif
