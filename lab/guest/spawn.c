// SPDX-License-Identifier: MIT
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct plumbing {
	int child_in, child_out, child_err;
	int parent_in, parent_out, parent_err;
	bool pty;
};

static char *next_string(uint8_t **at, uint8_t *end)
{
	uint8_t *start = *at;
	uint8_t *nul = memchr(start, 0, (size_t)(end - start));

	if (!nul)
		return NULL;
	*at = nul + 1;
	return (char *)start;
}

static int take_strings(char **vec, uint32_t n, uint8_t **at, uint8_t *end)
{
	for (uint32_t i = 0; i < n; i++) {
		vec[i] = next_string(at, end);
		if (!vec[i])
			return -EPROTO;
	}
	vec[n] = NULL;
	return 0;
}

int spawn_request_parse(struct spawn_request *req, uint8_t *payload, size_t len)
{
	uint8_t *at = payload + sizeof(req->exec), *end = payload + len;

	memset(req, 0, sizeof(*req));
	if (len < sizeof(req->exec))
		return -EPROTO;
	memcpy(&req->exec, payload, sizeof(req->exec));
	/* Every string takes a byte at least: larger counts are lies. */
	if (!req->exec.argc || req->exec.argc > len || req->exec.envc > len)
		return -EPROTO;
	req->cwd = next_string(&at, end);
	if (!req->cwd)
		return -EPROTO;
	req->argv = calloc((size_t)req->exec.argc + req->exec.envc + 2, sizeof(char *));
	if (!req->argv)
		return -ENOMEM;
	req->env = req->argv + req->exec.argc + 1;
	if (take_strings(req->argv, req->exec.argc, &at, end) ||
	    take_strings(req->env, req->exec.envc, &at, end)) {
		spawn_request_free(req);
		return -EPROTO;
	}
	return 0;
}

void spawn_request_free(struct spawn_request *req)
{
	free(req->argv);
	req->argv = NULL;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int plumb_pipes(struct plumbing *p)
{
	int fds[6] = { -1, -1, -1, -1, -1, -1 };

	for (int i = 0; i < 6; i += 2) {
		if (pipe2(&fds[i], O_CLOEXEC) < 0) {
			int ret = -errno;

			close_fds(fds, 6);
			return ret;
		}
	}
	*p = (struct plumbing){
		.child_in = fds[0],
		.parent_in = fds[1],
		.parent_out = fds[2],
		.child_out = fds[3],
		.parent_err = fds[4],
		.child_err = fds[5],
	};
	return 0;
}

static int plumb_pty(struct plumbing *p, const struct frame_exec *exec)
{
	struct winsize size = { .ws_row = exec->rows, .ws_col = exec->cols };
	int master, terminal, ret;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return -errno;
	if (unlockpt(master) < 0)
		goto err_master;
	terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		goto err_master;
	ioctl(master, TIOCSWINSZ, &size);
	*p = (struct plumbing){
		.child_in = terminal,
		.child_out = terminal,
		.child_err = terminal,
		.parent_in = master,
		.parent_out = master,
		.parent_err = -1,
		.pty = true,
	};
	return 0;

err_master:
	ret = -errno;
	close(master);
	return ret;
}

/* The environment asked for comes on top of the agent's own, which has PATH and the like. */
static int search_exec(const struct spawn_request *req)
{
	for (char **e = req->env; *e; e++)
		if (putenv(*e))
			return errno;
	execvp(req->argv[0], req->argv);
	return errno;
}

static _Noreturn void child(const struct spawn_request *req, const struct plumbing *p, int report)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (dup2(p->child_in, 0) < 0 || dup2(p->child_out, 1) < 0 || dup2(p->child_err, 2) < 0)
		err = errno;
	else if (p->pty && ioctl(0, TIOCSCTTY, 0) < 0)
		err = errno;
	else if (*req->cwd && chdir(req->cwd) < 0)
		err = errno;
	else
		err = search_exec(req);
	if (write(report, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* The report pipe closes by itself when exec() succeeds. */
static int await_exec(int report)
{
	int err = 0;
	ssize_t n;

	do
		n = read(report, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(err) ? -err : 0;
}

static void close_child_side(const struct plumbing *p)
{
	close(p->child_in);
	if (p->pty)
		return;
	close(p->child_out);
	close(p->child_err);
}

static void close_parent_side(const struct plumbing *p)
{
	close(p->parent_in);
	if (p->pty)
		return;
	close(p->parent_out);
	close(p->parent_err);
}

static int fork_child(const struct spawn_request *req, const struct plumbing *p, pid_t *pid)
{
	int report[2], ret;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	*pid = fork();
	if (*pid == 0)
		child(req, p, report[1]);
	ret = *pid < 0 ? -errno : 0;
	close(report[1]);
	if (!ret) {
		ret = await_exec(report[0]);
		if (ret)
			waitpid(*pid, NULL, 0);
	}
	close(report[0]);
	return ret;
}

int spawn(const struct spawn_request *req, struct spawn_result *res)
{
	struct plumbing p = { .parent_err = -1 };
	int ret;

	ret = req->exec.flags & FRAME_EXEC_PTY ? plumb_pty(&p, &req->exec) : plumb_pipes(&p);
	if (ret)
		return ret;
	ret = fork_child(req, &p, &res->pid);
	close_child_side(&p);
	if (ret) {
		close_parent_side(&p);
		return ret;
	}
	fcntl(p.parent_in, F_SETFL, O_NONBLOCK | O_WRONLY);
	fcntl(p.parent_out, F_SETFL, O_NONBLOCK | O_RDONLY);
	if (p.parent_err >= 0)
		fcntl(p.parent_err, F_SETFL, O_NONBLOCK | O_RDONLY);
	res->in = p.parent_in;
	res->out = p.parent_out;
	res->err = p.parent_err;
	return 0;
}
