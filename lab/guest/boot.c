// SPDX-License-Identifier: MIT
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MODULES_DIR   "/modules"
#define OVERLAY_DIRS  "lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work"
#define SHARE_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,cache=loose"
#define ROOT_DISK     "/dev/vda"
#define DISK_WAIT_MS  10000

struct mount_entry {
	const char *source, *target, *type, *data;
	unsigned long flags;
	/* A kernel without it is good enough. */
	bool optional;
};

static char error_text[512];

const char *boot_error(void)
{
	return error_text;
}

int boot_fail(int err, const char *what, const char *about)
{
	snprintf(error_text, sizeof(error_text), "%s %s: %s", what, about, strerror(err));
	return -err;
}

static int mount_table(const struct mount_entry *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct mount_entry *m = &table[i];

		mkdir(m->target, 0755);
		if (mount(m->source, m->target, m->type, m->flags, m->data) < 0 && !m->optional)
			return boot_fail(errno, "mount", m->target);
	}
	return 0;
}

int boot_mount_kernel_file_systems(void)
{
	static const struct mount_entry table[] = {
		{ "dev", "/dev", "devtmpfs", NULL, MS_NOSUID, false },
		{ "proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
		{ "sys", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	};

	return mount_table(table, sizeof(table) / sizeof(table[0]));
}

static int load_module(const char *name)
{
	char path[256];
	int fd, ret = 0;

	snprintf(path, sizeof(path), MODULES_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return boot_fail(errno, "open", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		ret = boot_fail(errno, "load", path);
	close(fd);
	return ret;
}

int boot_load_modules(void)
{
	char line[200];
	int ret = 0;
	FILE *f;

	f = fopen(MODULES_DIR "/order", "re");
	if (!f)
		return boot_fail(errno, "open", MODULES_DIR "/order");
	while (!ret && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		ret = load_module(line);
	}
	fclose(f);
	return ret;
}

/*
 * Nobody here can be told when a disk appears; a millisecond is far below what the kernel takes to
 * boot.
 */
static int wait_for(const char *path)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < DISK_WAIT_MS; i++) {
		if (!access(path, F_OK))
			return 0;
		nanosleep(&pause, NULL);
	}
	return boot_fail(ENODEV, "wait for", path);
}

static int mount_root(void)
{
	static const struct mount_entry table[] = {
		{ ROOT_DISK, "/ro", "erofs", NULL, MS_RDONLY, false },
		{ "rw", "/rw", "tmpfs", "size=75%,mode=755", 0, false },
	};
	static const struct mount_entry overlay = { "root",	  "/new", "overlay",
						    OVERLAY_DIRS, 0,	  false };
	int ret;

	ret = mount_table(table, sizeof(table) / sizeof(table[0]));
	if (ret)
		return ret;
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	return mount_table(&overlay, 1);
}

static int shift_mount(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
		return boot_fail(errno, "move a mount to", to);
	return 0;
}

int boot_enter_root(void)
{
	int ret;

	ret = wait_for(ROOT_DISK);
	ret = ret ? ret : mount_root();
	ret = ret ? ret : shift_mount("/dev", "/new/dev");
	ret = ret ? ret : shift_mount("/proc", "/new/proc");
	ret = ret ? ret : shift_mount("/sys", "/new/sys");
	if (ret)
		return ret;
	if (chdir("/new") < 0)
		return boot_fail(errno, "enter", "/new");
	ret = shift_mount(".", "/");
	if (ret)
		return ret;
	if (chroot(".") < 0 || chdir("/") < 0)
		return boot_fail(errno, "enter", "the root");
	return 0;
}

static int mount_share(const char *tag)
{
	char target[128];

	snprintf(target, sizeof(target), "/peerdma/%s", tag);
	mkdir("/peerdma", 0755);
	mkdir(target, 0755);
	/* Nothing changes on the host's side during a run, so everything read may be kept. */
	if (mount(tag, target, "9p", MS_RDONLY, SHARE_OPTIONS) < 0)
		return boot_fail(errno, "mount the shared directory", tag);
	return 0;
}

/* A kernel of the host brings its modules along. */
static int link_host_modules(void)
{
	struct utsname u;
	char path[sizeof(u.release) + 32];

	if (access("/peerdma/modules", F_OK))
		return 0;
	uname(&u);
	snprintf(path, sizeof(path), "/usr/lib/modules/%s", u.release);
	if (symlink("/peerdma/modules", path) < 0 && errno != EEXIST)
		return boot_fail(errno, "link", path);
	return 0;
}

int boot_mount_shares(void)
{
	char tags[256], *save = NULL;
	int ret = 0;

	boot_option("peerdma.shares", tags, sizeof(tags));
	for (char *tag = strtok_r(tags, ",", &save); tag && !ret; tag = strtok_r(NULL, ",", &save))
		ret = mount_share(tag);
	return ret ? ret : link_host_modules();
}

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Settings are wishes: a kernel without one still serves. */
	if (write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "peerdma-guest: %s: %s\n", path, strerror(errno));
	close(fd);
}

int boot_settle(void)
{
	static const struct mount_entry table[] = {
		{ "devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666",
		  MS_NOSUID | MS_NOEXEC, false },
		{ "shm", "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false },
		{ "run", "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV, false },
		{ "tmp", "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false },
		{ "debug", "/sys/kernel/debug", "debugfs", NULL, 0, true },
		{ "trace", "/sys/kernel/tracing", "tracefs", NULL, 0, true },
		{ "config", "/sys/kernel/config", "configfs", NULL, 0, true },
		{ "huge", "/dev/hugepages", "hugetlbfs", NULL, 0, true },
	};
	/*
	 * Pinning memory is what the lab is for; a small default limit shows up as riddles in the
	 * tools.
	 */
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int ret;

	ret = mount_table(table, sizeof(table) / sizeof(table[0]));
	if (ret)
		return ret;
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	mkdir("/run/artefacts", 0777);
	write_setting("/proc/sys/kernel/sysrq", "1");
	write_setting("/proc/sys/kernel/hung_task_timeout_secs", "60");
	return 0;
}
