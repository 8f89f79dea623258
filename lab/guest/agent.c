// SPDX-License-Identifier: MIT
#include "agent.h"

#include "frame.h"
#include "job.h"
#include "klog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS_DIR   "/sys/class/virtio-ports"
#define FIXED_POLLS 3

struct agent {
	int klog, signals;
	bool done;
	struct frame_reader reader;
	struct jobs jobs;
};

/* Large, and there is one guest. */
static struct agent the_agent;

static bool port_has_name(const char *dir, const char *name)
{
	char path[PATH_MAX], text[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), PORTS_DIR "/%s/name", dir);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	text[strcspn(text, "\n")] = 0;
	return !strcmp(text, name);
}

int agent_find_port(const char *name, char *path, size_t size)
{
	struct dirent *e;
	DIR *d;

	path[0] = 0;
	d = opendir(PORTS_DIR);
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && port_has_name(e->d_name, name))
			snprintf(path, size, "/dev/%s", e->d_name);
	closedir(d);
	return path[0] ? 0 : -ENOENT;
}

int agent_open_port(const char *name)
{
	char path[PATH_MAX];
	int ret, fd;

	ret = agent_find_port(name, path, sizeof(path));
	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static uint32_t first_u32(const struct frame_reader *r)
{
	uint32_t value = 0;

	memcpy(&value, r->payload, r->header.len < sizeof(value) ? r->header.len : sizeof(value));
	return value;
}

static void handle(struct agent *a)
{
	const struct frame_reader *r = &a->reader;
	uint16_t job = r->header.job;
	uint16_t size[2];

	switch (r->header.type) {
	case FRAME_EXEC:
		jobs_exec(&a->jobs, job, a->reader.payload, r->header.len);
		break;
	case FRAME_STDIN:
		jobs_stdin(&a->jobs, job, r->payload, r->header.len);
		break;
	case FRAME_SIGNAL:
		jobs_signal(&a->jobs, job, (int)first_u32(r));
		break;
	case FRAME_WINSIZE:
		memcpy(size, r->payload, sizeof(size));
		jobs_winsize(&a->jobs, job, size[0], size[1]);
		break;
	case FRAME_SYNC:
		klog_pass_on(a->klog, a->reader.fd);
		frame_send(a->reader.fd, FRAME_SYNCED, job, r->payload,
			   r->header.len < FRAME_CHUNK ? r->header.len : FRAME_CHUNK);
		break;
	case FRAME_POWEROFF:
		a->done = true;
		break;
	default:
		/* A newer launcher may know more than this agent. */
		break;
	}
}

static void receive(struct agent *a)
{
	int ret;

	while (!a->done && (ret = frame_read(&a->reader)) != 0) {
		if (ret < 0) {
			a->done = true;
			return;
		}
		handle(a);
	}
}

/* The kernel's words about a command come before the command's end. */
static void reap(struct agent *a)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(a->signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
		a->done = true;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct job *j = jobs_by_pid(&a->jobs, pid);

		if (!j)
			continue;
		klog_pass_on(a->klog, a->reader.fd);
		jobs_end(&a->jobs, j, status);
	}
}

static int say_hello(int port)
{
	uint8_t hello[sizeof(uint32_t) + sizeof(((struct utsname *)0)->release)];
	uint32_t version = FRAME_PROTOCOL;
	struct utsname u;
	size_t len;

	uname(&u);
	len = strnlen(u.release, sizeof(u.release));
	memcpy(hello, &version, sizeof(version));
	memcpy(hello + sizeof(version), u.release, len);
	return frame_send(port, FRAME_HELLO, 0, hello, sizeof(version) + len);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void turn(struct agent *a)
{
	struct pollfd polls[FIXED_POLLS + JOBS_MAX * JOB_POLLS] = {
		{ .fd = a->reader.fd, .events = POLLIN },
		{ .fd = a->signals, .events = POLLIN },
		{ .fd = a->klog, .events = POLLIN },
	};
	size_t n = FIXED_POLLS + jobs_polls(&a->jobs, polls + FIXED_POLLS);

	if (poll(polls, n, -1) < 0)
		return;
	klog_pass_on(a->klog, a->reader.fd);
	jobs_move(&a->jobs);
	if (polls[1].revents)
		reap(a);
	if (polls[0].revents & POLLIN)
		receive(a);
	else if (polls[0].revents)
		a->done = true;
}

void agent_serve(int port)
{
	struct agent *a = &the_agent;

	a->reader.fd = port;
	a->jobs.port = port;
	a->signals = open_signals();
	a->klog = klog_open();
	if (a->signals < 0 || a->klog < 0 || say_hello(port))
		return;
	while (!a->done)
		turn(a);
}
