// SPDX-License-Identifier: MIT
#include "job.h"

#include "spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct job *by_id(struct jobs *js, uint16_t id)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (js->job[i].used && js->job[i].id == id)
			return &js->job[i];
	return NULL;
}

struct job *jobs_by_pid(struct jobs *js, pid_t pid)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (js->job[i].used && js->job[i].pid == pid)
			return &js->job[i];
	return NULL;
}

static void send_end(struct jobs *js, uint16_t id, enum frame_end how, int value)
{
	uint32_t end[2] = { (uint32_t)how, (uint32_t)value };

	frame_send(js->port, FRAME_EXIT, id, end, sizeof(end));
}

static struct job *free_slot(struct jobs *js)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (!js->job[i].used)
			return &js->job[i];
	return NULL;
}

void jobs_exec(struct jobs *js, uint16_t id, uint8_t *payload, size_t len)
{
	struct job *j = by_id(js, id) ? NULL : free_slot(js);
	struct spawn_request req;
	struct spawn_result res;
	int ret;

	if (!j) {
		send_end(js, id, FRAME_END_NOT_STARTED, EBUSY);
		return;
	}
	ret = spawn_request_parse(&req, payload, len);
	if (!ret) {
		ret = spawn(&req, &res);
		spawn_request_free(&req);
	}
	if (ret) {
		send_end(js, id, FRAME_END_NOT_STARTED, -ret);
		return;
	}
	j->used = true;
	j->kill_group = req.exec.flags & FRAME_EXEC_KILL_GROUP;
	j->stdin_ended = false;
	j->queued = 0;
	j->taken = 0;
	j->id = id;
	j->pid = res.pid;
	j->in = res.in;
	j->out = res.out;
	j->err = res.err;
}

static bool is_pty(const struct job *j)
{
	return j->in >= 0 && j->in == j->out;
}

static void close_in(struct job *j)
{
	if (j->in >= 0 && j->in != j->out)
		close(j->in);
	j->in = -1;
	j->queued = 0;
	j->taken = 0;
}

static void tell_taken(struct jobs *js, struct job *j, uint32_t n)
{
	frame_send(js->port, FRAME_STDIN_TAKEN, j->id, &n, sizeof(n));
}

static void feed(struct jobs *js, struct job *j)
{
	ssize_t n;

	if (j->in < 0)
		return;
	while (j->taken < j->queued) {
		n = write(j->in, j->queue + j->taken, j->queued - j->taken);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			close_in(j);
			return;
		}
		j->taken += (size_t)n;
		tell_taken(js, j, (uint32_t)n);
	}
	j->queued = 0;
	j->taken = 0;
	/* A terminal has no end of file other than the byte its user types. */
	if (j->stdin_ended && !is_pty(j))
		close_in(j);
}

void jobs_stdin(struct jobs *js, uint16_t id, const void *data, size_t len)
{
	struct job *j = by_id(js, id);

	if (!j || j->in < 0)
		return;
	if (!len)
		j->stdin_ended = true;
	if (j->taken) {
		memmove(j->queue, j->queue + j->taken, j->queued - j->taken);
		j->queued -= j->taken;
		j->taken = 0;
	}
	/* A launcher that keeps to its window never gets here. */
	if (len > sizeof(j->queue) - j->queued)
		len = sizeof(j->queue) - j->queued;
	if (len)
		memcpy(j->queue + j->queued, data, len);
	j->queued += len;
	feed(js, j);
}

void jobs_signal(struct jobs *js, uint16_t id, int signal)
{
	struct job *j = by_id(js, id);

	if (j)
		kill(-j->pid, signal);
}

void jobs_winsize(struct jobs *js, uint16_t id, uint16_t rows, uint16_t cols)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };
	struct job *j = by_id(js, id);

	if (j && is_pty(j))
		ioctl(j->out, TIOCSWINSZ, &size);
}

static size_t add_poll(struct pollfd *polls, size_t n, int fd, short events)
{
	if (fd < 0)
		return n;
	polls[n] = (struct pollfd){ .fd = fd, .events = events };
	return n + 1;
}

size_t jobs_polls(struct jobs *js, struct pollfd *polls)
{
	size_t n = 0;

	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct job *j = &js->job[i];

		if (!j->used)
			continue;
		n = add_poll(polls, n, j->out, POLLIN);
		n = add_poll(polls, n, j->err, POLLIN);
		if (j->taken < j->queued)
			n = add_poll(polls, n, j->in, POLLOUT);
	}
	return n;
}

/* Return: true while the command may still write there. */
static bool pass_on(struct jobs *js, struct job *j, int fd, enum frame_type type)
{
	uint8_t data[FRAME_CHUNK];
	ssize_t n;

	n = read(fd, data, sizeof(data));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n > 0)
		frame_send(js->port, type, j->id, data, (size_t)n);
	return n > 0;
}

static void close_out(struct job *j)
{
	if (j->in == j->out)
		j->in = -1;
	close(j->out);
	j->out = -1;
}

static void close_err(struct job *j)
{
	close(j->err);
	j->err = -1;
}

static void move(struct jobs *js, struct job *j)
{
	feed(js, j);
	if (j->out >= 0 && !pass_on(js, j, j->out, FRAME_STDOUT))
		close_out(j);
	if (j->err >= 0 && !pass_on(js, j, j->err, FRAME_STDERR))
		close_err(j);
}

void jobs_move(struct jobs *js)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (js->job[i].used)
			move(js, &js->job[i]);
}

/*
 * What the command wrote before it ended is in the pipe by now. Whoever inherited the pipe may go
 * on writing without end, hence the bound: a pipe holds 64 KiB by default and at most fs.pipe-max-
 * size.
 */
static void drain(struct jobs *js, struct job *j, int fd, enum frame_type type)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < 64 && poll(&p, 1, 0) > 0; i++)
		if (!pass_on(js, j, fd, type))
			return;
}

void jobs_end(struct jobs *js, struct job *j, int wait_status)
{
	if (j->kill_group)
		kill(-j->pid, SIGKILL);
	close_in(j);
	if (j->out >= 0) {
		drain(js, j, j->out, FRAME_STDOUT);
		close_out(j);
	}
	if (j->err >= 0) {
		drain(js, j, j->err, FRAME_STDERR);
		close_err(j);
	}
	j->used = false;
	if (WIFSIGNALED(wait_status))
		send_end(js, j->id, FRAME_END_SIGNALLED, WTERMSIG(wait_status));
	else
		send_end(js, j->id, FRAME_END_EXITED, WEXITSTATUS(wait_status));
}
