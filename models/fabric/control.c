// SPDX-License-Identifier: MIT
/* Serving the control socket; what the requests mean is in request.c. */
#include "models/fabric/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "util/unix_listen.h"

#define MAX_CLIENTS 16
#define MAX_LINE    4096

struct client {
	int fd;
	char buf[MAX_LINE];
	size_t len;
};

int fab_control_listen(const char *path)
{
	return util_unix_listen(path, MAX_CLIENTS);
}

static int send_line(int fd, const char *line)
{
	size_t left = strlen(line);
	ssize_t n;

	for (; left; left -= (size_t)n, line += n) {
		n = send(fd, line, left, MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int answer_lines(struct fab_lab *lab, struct client *c)
{
	char *nl, *reply;
	int err = 0;

	while (!err && (nl = memchr(c->buf, '\n', c->len))) {
		*nl = 0;
		reply = fab_control_answer(lab, c->buf);
		err = reply ? send_line(c->fd, reply) : -1;
		free(reply);
		c->len -= (size_t)(nl + 1 - c->buf);
		memmove(c->buf, nl + 1, c->len);
	}
	return err;
}

static int read_client(struct fab_lab *lab, struct client *c)
{
	ssize_t n;

	if (c->len == sizeof(c->buf))
		return -1;
	n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - c->len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!n)
		return -1;
	c->len += (size_t)n;
	return answer_lines(lab, c);
}

static void accept_client(int listen_fd, struct client *clients)
{
	/* A client that does not read its answers must not hold up the others. */
	struct timeval limit = { .tv_sec = 1 };
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), i;

	if (fd < 0)
		return;
	for (i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i].fd >= 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		clients[i].fd = fd;
		clients[i].len = 0;
		return;
	}
	send_line(fd, "{\"ok\":false,\"error\":\"too many control connections\"}\n");
	close(fd);
}

static void drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

int fab_control_serve(struct fab_lab *lab, int listen_fd, int stop_fd)
{
	struct client *clients = calloc(MAX_CLIENTS, sizeof(*clients));
	struct pollfd p[MAX_CLIENTS + 2];
	int i;

	if (!clients)
		return -ENOMEM;
	for (i = 0; i < MAX_CLIENTS; i++)
		clients[i].fd = -1;
	for (;;) {
		p[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
		for (i = 0; i < MAX_CLIENTS; i++)
			p[2 + i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
		if (poll(p, MAX_CLIENTS + 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		for (i = 0; i < MAX_CLIENTS; i++)
			if (clients[i].fd >= 0 && p[2 + i].revents && read_client(lab, &clients[i]))
				drop(&clients[i]);
		if (p[1].revents)
			accept_client(listen_fd, clients);
	}
	for (i = 0; i < MAX_CLIENTS; i++)
		if (clients[i].fd >= 0)
			drop(&clients[i]);
	free(clients);
	return 0;
}
