// SPDX-License-Identifier: MIT
#include "tests/guest/kernel_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/kernel_rig.h"

/* Of kernel/peerdma_test. */
struct test_request {
	uint32_t op, handle, provider, parent, kind, flags;
	int32_t result;
	uint32_t reserved;
	uint64_t bytes;
	uint8_t function[8];
	char importer[32];
};

enum test_op { ADD = 1, SET_HELD = 6, GATE_CLOSE = 9, GATE_OPEN, GATE_WAIT, FAIL_BEGIN, FAIL_END };

#define TEST_IOC   _IOWR(0xb6, 0, struct test_request)
#define IMPORT_IOC _IOWR(0xb6, 1, struct kernel_import)

void kernel_function(const char *slot, uint8_t ret[8])
{
	const char *text = getenv(slot);
	unsigned domain, bus, device, function;
	uint32_t domain32;

	CHECK(text && sscanf(text, "%x:%x:%x.%x", &domain, &bus, &device, &function) == 4);
	domain32 = domain;
	memset(ret, 0, 8);
	memcpy(ret, &domain32, 4);
	ret[4] = (uint8_t)bus;
	ret[5] = (uint8_t)(device << 3 | function);
}

static int open_device(const char *path)
{
	int fd;

	kernel_load_one("peerdma");
	kernel_load_one("peerdma_test");
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

int kernel_test_open(void)
{
	return open_device("/dev/peerdma_test");
}

int kernel_import_open(void)
{
	return open_device("/dev/peerdma_import");
}

int kernel_import_attach(int import_fd, int dmabuf, unsigned flags, uint32_t *handle)
{
	struct kernel_import i = { .op = KERNEL_IMPORT_ATTACH, .flags = flags, .fd = dmabuf };

	kernel_function("PEERDMA_SLOT_NIC0", i.function);
	if (ioctl(import_fd, IMPORT_IOC, &i))
		return -errno;
	*handle = i.handle;
	return 0;
}

int kernel_import_do(int import_fd, enum kernel_import_op op, uint32_t handle)
{
	struct kernel_import i = { .op = op, .handle = handle };

	return ioctl(import_fd, IMPORT_IOC, &i) ? -errno : 0;
}

struct kernel_import kernel_import_ask(int import_fd, enum kernel_import_op op, uint32_t handle)
{
	struct kernel_import i = { .op = op, .handle = handle };

	CHECK_EQ(ioctl(import_fd, IMPORT_IOC, &i), 0);
	return i;
}

uint32_t kernel_import_hold(struct kernel_rig *r, int import_fd)
{
	const struct pdmai_bar_range range = { 16 * MIB, MIB };
	uint32_t handle;
	int fd;

	CHECK_EQ(pdmai_dev_dmabuf(r->dev, ACCEL_BAR_VRAM, &range, 1, &fd), 0);
	CHECK_EQ(kernel_import_attach(import_fd, fd, KERNEL_PEERS | KERNEL_HEARS | KERNEL_HOLDS,
				      &handle),
		 0);
	CHECK_EQ(kernel_import_do(import_fd, KERNEL_IMPORT_MAP, handle), 0);
	close(fd);
	return handle;
}

static struct test_request test(int fd, struct test_request r)
{
	if (ioctl(fd, TEST_IOC, &r))
		tap_fail(__FILE__, __LINE__, "request %u of peerdma_test: %s", r.op,
			 strerror(errno));
	return r;
}

void kernel_test_provide(int test_fd)
{
	struct test_request r = { .op = ADD, .bytes = MIB };

	kernel_function("PEERDMA_SLOT_DISK0", r.function);
	r = test(test_fd, r);
	r.op = SET_HELD;
	test(test_fd, r);
}

void kernel_gate_close(int test_fd)
{
	test(test_fd, (struct test_request){ .op = GATE_CLOSE });
}

void kernel_gate_open(int test_fd)
{
	test(test_fd, (struct test_request){ .op = GATE_OPEN });
}

void kernel_gate_wait(int test_fd)
{
	test(test_fd, (struct test_request){ .op = GATE_WAIT });
}

void kernel_fail_begin(int test_fd, const char *module, unsigned skip)
{
	struct test_request r = { .op = FAIL_BEGIN, .bytes = skip };

	snprintf(r.importer, sizeof(r.importer), "%s", module);
	test(test_fd, r);
}

bool kernel_fail_end(int test_fd)
{
	return test(test_fd, (struct test_request){ .op = FAIL_END }).result;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* The parent says when it is ready to trace it. */
pid_t kernel_child(void (*fn)(void *arg), void *arg)
{
	struct sigaction action = { .sa_handler = on_signal };
	int go[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(go), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		alarm(60);
		CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
		CHECK_EQ(read(go[0], &byte, 1), 1);
		fn(arg);
		_exit(0);
	}
	CHECK_EQ(ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT), 0);
	CHECK_EQ(write(go[1], "", 1), 1);
	close(go[0]);
	close(go[1]);
	return pid;
}

static bool stack_has(pid_t child, const char *name)
{
	char path[64], text[8192];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stack", child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	CHECK(n >= 0);
	text[n] = 0;
	return strstr(text, name);
}

static bool is_asleep(pid_t child)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	f = fopen(path, "re");
	CHECK(f != NULL);
	CHECK_EQ(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
	fclose(f);
	CHECK(state != 'Z' && state != 't');
	return state == 'S' || state == 'D';
}

void kernel_wait_asleep(pid_t child, const char *name)
{
	while (!stack_has(child, name) || !is_asleep(child))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* A tracee that is killed stops once more before it ends, with its registers as they were. */
static int64_t result_of_killed(pid_t child)
{
	struct user_regs_struct regs;
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
	CHECK_EQ(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return (int64_t)regs.rax;
}

int64_t kernel_kill(pid_t child)
{
	CHECK_EQ(kill(child, SIGKILL), 0);
	return result_of_killed(child);
}

int64_t kernel_kill_at_gate(pid_t child, int test_fd)
{
	CHECK_EQ(kill(child, SIGKILL), 0);
	kernel_gate_open(test_fd);
	return result_of_killed(child);
}

void kernel_interrupt(pid_t child)
{
	int status;

	CHECK_EQ(kill(child, SIGUSR1), 0);
	/* It stops for the signal, which it is to get, and when it ends. */
	for (;;) {
		CHECK_EQ(waitpid(child, &status, 0), child);
		if (!WIFSTOPPED(status))
			break;
		CHECK_EQ(ptrace(PTRACE_CONT, child, NULL,
				(void *)(intptr_t)(status >> 16 ? 0 : WSTOPSIG(status))),
			 0);
	}
	CHECK_EQ(status, 0);
}
