// SPDX-License-Identifier: MIT
/*
 * A clock set by hand, for programs linked with --wrap=clock_gettime and --wrap=poll. Waiting for
 * what never comes takes no time.
 */
#include <poll.h>
#include <time.h>

#include "tests/unit/lib/serve_fake.h"

int64_t serve_now_ns = 1000000000, serve_look_ns = 1000;

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
	int ready = __real_poll(fds, n, 0);

	if (!ready && timeout_ms > 0)
		serve_now_ns += timeout_ms * 1000000ll;
	return ready;
}
