// SPDX-License-Identifier: MIT
/*
 * Process 1 of a lab guest, from the initial RAM file system on: brings the system up without udev
 * and systemd, then serves the launcher, then powers the machine off. Static, so that it needs
 * nothing of the image.
 */
#include "agent.h"
#include "boot.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME    "peerdma.agent"
#define CONTROL_NAME "peerdma.control"
#define CONTROL_FILE "/dev/peerdma-control"
#define PORT_TRIES   10000

static int open_port(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int fd = -ENODEV;

	/* The ports of a virtio console appear in a work item of the kernel. */
	for (int i = 0; i < PORT_TRIES; i++) {
		fd = agent_open_port(PORT_NAME);
		if (fd >= 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	return boot_fail(-fd, "open the port", PORT_NAME);
}

static void set_environment(const char *node)
{
	clearenv();
	setenv("PATH",
	       "/peerdma/build/cli:/peerdma/build/bench:/peerdma/source/lab/guest-tools:"
	       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	       1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("NODE", node, 1);
}

/* Only a lab with models has the port: the control socket of their fabric (docs/fabric.md). */
static int name_control_port(void)
{
	char path[PATH_MAX];

	if (agent_find_port(CONTROL_NAME, path, sizeof(path)))
		return 0;
	return symlink(path, CONTROL_FILE) < 0 ? boot_fail(errno, "name", CONTROL_FILE) : 0;
}

static int bring_up(void)
{
	char node[64], nodes[1024];
	int ret;

	ret = boot_load_modules();
	ret = ret ? ret : boot_enter_root();
	ret = ret ? ret : boot_settle();
	ret = ret ? ret : boot_mount_shares();
	ret = ret ? ret : name_control_port();
	if (ret)
		return ret;
	boot_option("peerdma.node", node, sizeof(node));
	boot_option("peerdma.nodes", nodes, sizeof(nodes));
	set_environment(node);
	return boot_network(node, nodes);
}

static void report(int port)
{
	const char *text = boot_error();

	fprintf(stderr, "peerdma-guest: %s\n", text);
	if (port >= 0)
		frame_send(port, FRAME_FATAL, 0, text, strlen(text));
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static _Noreturn void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

int main(void)
{
	int port = -1;

	if (!boot_mount_kernel_file_systems()) {
		open_console();
		port = open_port();
	}
	if (port < 0 || bring_up())
		report(port);
	else
		agent_serve(port);
	power_off();
}
