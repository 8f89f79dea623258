// SPDX-License-Identifier: MIT
/* Everything here may run in a signal handler: no stdio, no malloc. */
#include "tests/fuzz/watch.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Only there under a sanitizer; called before it ends the process. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static const char *artifact_dir;
static unsigned limit_s;
static const uint8_t *cur_data;
static size_t cur_len;
static atomic_bool running;
static atomic_ulong n_inputs;
static atomic_flag reported = ATOMIC_FLAG_INIT;

static void put(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static void append(char *to, size_t size, const char *text)
{
	size_t used = strlen(to), len = strlen(text);

	if (len < size - used)
		memcpy(to + used, text, len + 1);
}

static void append_hash(char *to, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t hash = 0xcbf29ce484222325u;
	char text[17] = "";
	size_t i;

	for (i = 0; i < cur_len; i++)
		hash = (hash ^ cur_data[i]) * 0x100000001b3u;
	for (i = 0; i < 16; i++)
		text[i] = digits[(hash >> (60 - 4 * i)) & 15];
	append(to, size, text);
}

static void report(const char *kind)
{
	char path[PATH_MAX] = "", line[PATH_MAX + 64] = "\nBail out! ";
	int fd;

	if (!atomic_load(&running) || atomic_flag_test_and_set(&reported))
		return;
	append(path, sizeof(path), artifact_dir);
	append(path, sizeof(path), "/");
	append(path, sizeof(path), kind);
	append(path, sizeof(path), "-");
	append_hash(path, sizeof(path));
	append(line, sizeof(line), kind);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	append(line, sizeof(line), fd < 0 ? ", cannot save the input in " : ", input saved in ");
	append(line, sizeof(line), path);
	append(line, sizeof(line), "\n");
	if (fd >= 0) {
		put(fd, cur_data, cur_len);
		close(fd);
	}
	put(STDOUT_FILENO, line, strlen(line));
}

static void on_death(void)
{
	report("crash");
}

static void on_crash(int sig)
{
	report("crash");
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Ticks once a second, and costs the inputs nothing. */
static void on_tick(int sig)
{
	static unsigned long last;
	static unsigned ticks;
	unsigned long now = atomic_load(&n_inputs);

	ticks = now == last ? ticks + 1 : 0;
	last = now;
	if (!atomic_load(&running) || ticks <= limit_s)
		return;
	report("timeout");
	_exit(70);
}

static void handle(int sig, void (*fn)(int))
{
	struct sigaction action = { .sa_handler = fn, .sa_flags = SA_RESTART | SA_ONSTACK };

	sigaction(sig, &action, NULL);
}

/* A stack overflow is a crash too and needs another stack to be reported from. */
static void own_crash_signals(void)
{
	static uint8_t stack[64 * 1024];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };

	sigaltstack(&alternate, NULL);
	handle(SIGSEGV, on_crash);
	handle(SIGBUS, on_crash);
	handle(SIGFPE, on_crash);
	handle(SIGILL, on_crash);
}

void fuzz_watch_start(const char *dir, unsigned timeout_s)
{
	struct itimerval second = { { 1, 0 }, { 1, 0 } };

	artifact_dir = dir;
	limit_s = timeout_s;
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_death);
	else
		own_crash_signals();
	handle(SIGABRT, on_crash);
	handle(SIGALRM, on_tick);
	setitimer(ITIMER_REAL, &second, NULL);
}

void fuzz_watch_input(const uint8_t *data, size_t len)
{
	cur_data = data;
	cur_len = len;
	atomic_fetch_add(&n_inputs, 1);
	atomic_store(&running, true);
}

void fuzz_watch_stop(void)
{
	atomic_store(&running, false);
}
