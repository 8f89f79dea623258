// SPDX-License-Identifier: MIT
/*
 * A clock set by hand, for programs linked with --wrap=clock_gettime and --wrap=poll. Waiting for
 * what never comes takes no time.
 */
#include <poll.h>
#include <time.h>

#include "tests/unit/lib/serve_fake.h"

int64_t serve_now_ns = 1000000000, serve_look_ns = 1000, serve_late_ns;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	serve_now_ns += serve_look_ns;
	t->tv_sec = serve_now_ns / 1000000000;
	t->tv_nsec = serve_now_ns % 1000000000;
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int64_t wait_ns = timeout_ms * 1000000ll;
	int ready = __real_poll(fds, n, 0);

	if (ready || wait_ns <= 0)
		return ready;
	if (serve_late_ns < wait_ns && serve_late_ns && serve_more) {
		serve_now_ns += serve_late_ns;
		serve_late_ns = 0;
		return serve_more() ? __real_poll(fds, n, 0) : 0;
	}
	serve_late_ns = 0;
	serve_now_ns += wait_ns;
	return 0;
}
