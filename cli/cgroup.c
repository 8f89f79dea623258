// SPDX-License-Identifier: MIT
#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "peerdma/peerdma.h"

/* Of a file handle in kernfs: the number alone. */
#define FILEID_KERNFS 0xfe

static bool is_cgroup2(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

void cli_cgroups_open(struct cli_cgroups *groups)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		groups->root = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (groups->root >= 0 && is_cgroup2(groups->root)) {
			strcpy(groups->mount, mounts[i]);
			return;
		}
		if (groups->root >= 0)
			close(groups->root);
	}
	groups->root = -1;
	groups->mount[0] = 0;
}

void cli_cgroups_close(struct cli_cgroups *groups)
{
	if (groups->root >= 0)
		close(groups->root);
}

/* By the number itself, which needs CAP_DAC_READ_SEARCH. Return: false: not found. */
static bool name_by_handle(const struct cli_cgroups *groups, uint64_t id, char *buf)
{
	size_t skip = strlen(groups->mount);
	char link[64], path[PATH_MAX];
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} handle = { .head = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	ssize_t n;
	int fd;

	memcpy(handle.room + sizeof(handle.head), &id, sizeof(id));
	fd = open_by_handle_at(groups->root, &handle.head, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	close(fd);
	if (n < (ssize_t)skip)
		return false;
	path[n] = 0;
	if (strncmp(path, groups->mount, skip) || strstr(path, " (deleted)"))
		return false;
	snprintf(buf, PATH_MAX, "%s", path[skip] ? path + skip : "/");
	return true;
}

static bool has_id(const struct cli_cgroups *groups, const char *name, uint64_t id)
{
	struct stat st;

	while (*name == '/')
		name++;
	return !fstatat(groups->root, *name ? name : ".", &st, 0) && st.st_ino == id;
}

/* The group a process is in now, if it is that one. */
static bool name_by_process(const struct cli_cgroups *groups, uint64_t id, int pid, char *buf)
{
	char path[64], line[PATH_MAX];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		found = !strncmp(line, "0::", 3) && has_id(groups, line + 3, id);
	}
	if (file)
		fclose(file);
	if (found)
		strcpy(buf, line + 3);
	return found;
}

const char *cli_cgroup_name(const struct cli_cgroups *groups, uint64_t id, int pid, char *buf)
{
	if (groups->root >= 0 &&
	    (name_by_handle(groups, id, buf) || (pid && name_by_process(groups, id, pid, buf)) ||
	     name_by_process(groups, id, getpid(), buf)))
		return buf;
	if (groups->root >= 0 && has_id(groups, "/", id))
		strcpy(buf, "/");
	else
		snprintf(buf, PATH_MAX, "(id %" PRIu64 ")", id);
	return buf;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end;
}

enum cli_status cli_cgroup_find(const struct cli_cgroups *groups, const char *text,
				uint64_t *ret_id)
{
	size_t skip = strlen(groups->mount);
	struct stat st;
	int fd;

	if (!strncmp(text, "id:", 3) && parse_number(text + 3, ret_id))
		return CLI_DONE;
	if (groups->root < 0)
		return cli_error(CLI_IMPOSSIBLE, "mount -t cgroup2 none /sys/fs/cgroup",
				 "cgroup2 is not mounted", "%s", text);
	if (skip && !strncmp(text, groups->mount, skip))
		text += skip;
	while (*text == '/')
		text++;
	fd = openat(groups->root, *text ? text : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !is_cgroup2(fd)) {
		if (fd >= 0)
			close(fd);
		return cli_error(CLI_FAILED, "systemd-cgls, or ls /sys/fs/cgroup",
				 "there is no such control group", "/%s", text);
	}
	close(fd);
	*ret_id = st.st_ino;
	return CLI_DONE;
}

const char *cli_user_name(uint32_t uid, char *buf)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(buf, 64, "%s", user->pw_name);
	else
		snprintf(buf, 64, "%" PRIu32, uid);
	return buf;
}

enum cli_status cli_user_find(const char *text, uint64_t *ret_uid)
{
	const struct passwd *user = getpwnam(text);

	if (user)
		*ret_uid = user->pw_uid;
	else if (!parse_number(text, ret_uid))
		return cli_error(CLI_FAILED, "a name of getent passwd, or a number",
				 "there is no such user", "%s", text);
	return CLI_DONE;
}

enum cli_status cli_module_error(int err, const char *what)
{
	switch (err) {
	case -ENOENT:
		return cli_error(CLI_IMPOSSIBLE, "modprobe peerdma", pdma_error(), "%s", what);
	case -EOPNOTSUPP:
		return cli_error(CLI_IMPOSSIBLE, "load the module of this version", pdma_error(),
				 "%s", what);
	case -EPERM:
	case -EACCES:
		return cli_error(CLI_FAILED, "sudo, or as root", pdma_error(), "%s", what);
	default:
		return cli_error(CLI_FAILED, NULL, pdma_error(), "%s", what);
	}
}
