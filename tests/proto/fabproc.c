// SPDX-License-Identifier: MIT
#include "tests/proto/fabproc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_READY_FD 10

void proc_path(const struct proc *p, const char *name, char *buf, size_t n)
{
	snprintf(buf, n, "%s/%s", p->dir, name);
}

static int write_file(const struct proc *p, const char *name, const char *text)
{
	size_t len = strlen(text);
	char path[300];
	int fd, err = 0;

	proc_path(p, name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		err = -EIO;
	close(fd);
	return err;
}

static _Noreturn void run_child(const struct proc *p, int ready)
{
	int log;

	if (chdir(p->dir))
		_exit(120);
	log = open("log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0 || dup2(log, 2) < 0 || dup2(ready, CHILD_READY_FD) < 0)
		_exit(121);
	execl(FABRIC_EXE, "peerdma-fabric", "--config", "config", "--ready-fd", "10", "--log-level",
	      "error", (char *)NULL);
	_exit(122);
}

int proc_start(struct proc *p, const char *config)
{
	int fds[2], err;

	*p = (struct proc){ .dir = "/tmp/peerdma-fab.XXXXXX", .ready = -1 };
	if (!mkdtemp(p->dir))
		return -errno;
	err = write_file(p, "config", config);
	if (err)
		return err;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	p->pid = fork();
	if (!p->pid)
		run_child(p, fds[1]);
	close(fds[1]);
	p->ready = fds[0];
	return p->pid < 0 ? -EAGAIN : 0;
}

bool proc_ready(struct proc *p)
{
	struct pollfd pfd = { .fd = p->ready, .events = POLLIN };
	char buf[16] = "";
	size_t len = 0;
	ssize_t n;

	/* Up to its end: the process closes it when the line is written. */
	do {
		if (poll(&pfd, 1, PROC_WAIT_MS) != 1)
			return false;
		n = read(p->ready, buf + len, sizeof(buf) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return !n && !strcmp(buf, "ready\n");
}

int proc_end(struct proc *p, int sig)
{
	struct pollfd pfd = { .events = POLLIN };
	int status;

	if (p->pid <= 0)
		return -1;
	pfd.fd = pidfd_open(p->pid, 0);
	if (sig)
		kill(p->pid, sig);
	if (pfd.fd < 0 || poll(&pfd, 1, PROC_WAIT_MS) != 1)
		kill(p->pid, SIGKILL);
	if (pfd.fd >= 0)
		close(pfd.fd);
	if (waitpid(p->pid, &status, 0) != p->pid)
		status = -1;
	p->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int proc_log(const struct proc *p, char *buf, size_t n)
{
	char path[300];
	ssize_t len;
	int fd;

	proc_path(p, "log", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, n - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	buf[len] = 0;
	return (int)len;
}

/* Call fn for every file of the directory. */
static int for_files(const struct proc *p, int (*fn)(const char *path))
{
	DIR *d = opendir(p->dir);
	struct dirent *e;
	char path[300];
	int sum = 0;

	if (!d)
		return -1;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		proc_path(p, e->d_name, path, sizeof(path));
		sum += fn(path);
	}
	closedir(d);
	return sum;
}

static int is_socket(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISSOCK(st.st_mode);
}

int proc_sockets(const struct proc *p)
{
	return for_files(p, is_socket);
}

void proc_clean(struct proc *p)
{
	if (p->pid > 0)
		proc_end(p, SIGKILL);
	if (p->ready >= 0)
		close(p->ready);
	p->ready = -1;
	for_files(p, unlink);
	rmdir(p->dir);
}

int ctl_open(const struct proc *p)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = PROC_WAIT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	proc_path(p, "control", sa.sun_path, sizeof(sa.sun_path));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int ctl_send(int fd, const void *buf, size_t len)
{
	const char *at = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, at += n) {
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

int ctl_line(int fd, char *buf, size_t n)
{
	size_t len = 0;
	ssize_t got;

	for (; len < n; len++) {
		got = recv(fd, buf + len, 1, 0);
		if (got <= 0)
			return got ? -errno : -EPIPE;
		if (buf[len] == '\n') {
			buf[len] = 0;
			return 0;
		}
	}
	return -EMSGSIZE;
}

struct json_object *ctl_ask(const struct proc *p, const char *request)
{
	static char buf[1 << 18];
	struct json_object *o = NULL;
	int fd = ctl_open(p);

	if (fd < 0)
		return NULL;
	if (!ctl_send(fd, request, strlen(request)) && !ctl_send(fd, "\n", 1) &&
	    !ctl_line(fd, buf, sizeof(buf)))
		o = json_tokener_parse(buf);
	close(fd);
	return o;
}

bool ctl_ok(const struct proc *p, const char *request)
{
	struct json_object *o = ctl_ask(p, request);
	bool ok = json_object_get_boolean(json_object_object_get(o, "ok"));

	json_object_put(o);
	return ok;
}

uint64_t ctl_num(const struct proc *p, const char *request, const char *pointer)
{
	struct json_object *o = ctl_ask(p, request), *v;
	uint64_t n = UINT64_MAX;

	if (o && !json_pointer_get(o, pointer, &v) && json_object_is_type(v, json_type_int))
		n = json_object_get_uint64(v);
	json_object_put(o);
	return n;
}
