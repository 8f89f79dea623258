// SPDX-License-Identifier: MIT
/* The demonstration succeeds, and does not when the fabric harms its data on either way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/kit/control.h"
#include "tests/guest/tap.h"

/* Return: exit status of the demonstration. */
static int run_demo(void)
{
	const char *build = getenv("PEERDMA_BUILD");
	char path[256];
	int status;
	pid_t pid;

	CHECK(build != NULL);
	snprintf(path, sizeof(path), "%s/bench/peerdma-demo", build);
	pid = fork();
	if (!pid) {
		/* Its table is no TAP. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void harm(const char *device, const char *point, const char *action)
{
	struct kit_control *c;

	CHECK_EQ(kit_control_open(&c), 0);
	CHECK_EQ(kit_control_fault(c, device, point, action, 4711, 0, 0), 0);
	kit_control_close(c);
}

static void run_harmed(const char *device, const char *point, const char *action)
{
	int status;

	harm(device, point, action);
	status = run_demo();
	harm(device, point, "none");
	CHECK_EQ(status, 1);
}

static void succeeds(void)
{
	CHECK_EQ(run_demo(), 0);
}

static void wrong_bit_on_the_direct_way_is_a_failure(void)
{
	run_harmed("acc1", "dma.peer.read", "corrupt");
}

static void lost_write_to_host_memory_is_a_failure(void)
{
	run_harmed("acc0", "dma.host.write", "drop");
}

static void wrong_crc_of_a_device_is_a_failure(void)
{
	run_harmed("acc1", "accel.crc.corrupt", "corrupt");
}

static const struct tap_test tests[] = {
	{ "succeeds", succeeds, TAP_WITH_IOMMU },
	{ "wrong_bit_on_the_direct_way_is_a_failure", wrong_bit_on_the_direct_way_is_a_failure,
	  TAP_WITH_IOMMU },
	{ "lost_write_to_host_memory_is_a_failure", lost_write_to_host_memory_is_a_failure,
	  TAP_WITH_IOMMU },
	{ "wrong_crc_of_a_device_is_a_failure", wrong_crc_of_a_device_is_a_failure,
	  TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
