// SPDX-License-Identifier: MIT
#include "cli/capture.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool cli_capture_is_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode);
}

bool cli_capture_is_file_name(const char *path)
{
	static const char *const ends[] = { ".tar.gz", ".tgz", ".tar.zst", ".tar" };
	size_t len = strlen(path);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (len > strlen(ends[i]) && !strcmp(path + len - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

enum cli_status cli_capture_begin(char *buf)
{
	const char *tmp = getenv("TMPDIR");

	cli_interrupt_catch();
	snprintf(buf, CLI_CAPTURE_PATH, "%s/peerdma-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	if (mkdtemp(buf))
		return CLI_DONE;
	return cli_error(CLI_FAILED, "another TMPDIR", strerror(errno), "%s", buf);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void cli_capture_end(const char *dir)
{
	nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Beside us as built, or where it is installed. */
static bool find_tool(char *buf, size_t size)
{
	static const char *const places[] = { "peerdma-archive", PEERDMA_ARCHIVE };
	char self[CLI_CAPTURE_PATH];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(buf, size, "%s/%s", self, places[i]);

		if (n > 0 && (size_t)n < size && !access(buf, X_OK))
			return true;
	}
	return false;
}

static enum cli_status run_tool(const char *verb, const char *file, const char *dir)
{
	char tool[CLI_CAPTURE_PATH + 64];
	char *argv[] = { tool, (char *)(uintptr_t)verb, (char *)(uintptr_t)file,
			 (char *)(uintptr_t)dir, NULL };
	int status = -1, err;
	pid_t pid;

	if (!find_tool(tool, sizeof(tool)))
		return cli_error(CLI_IMPOSSIBLE, "a directory instead of one file",
				 "peerdma-archive is not installed", "%s", file);
	err = posix_spawn(&pid, tool, NULL, NULL, argv, environ);
	if (err)
		return cli_error(CLI_FAILED, NULL, strerror(err), "%s", tool);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status) ? CLI_FAILED : CLI_DONE;
	return cli_error(CLI_FAILED, NULL, "taking it apart ended by a signal", "%s", file);
}

/* As `tar` makes it of a directory. Links do not count: they may lead anywhere inside. */
static void find_root(const char *dir, char *ret_root)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	snprintf(ret_root, CLI_CAPTURE_PATH, "%s", dir);
	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (n++ || e->d_type != DT_DIR || !strcmp(e->d_name, "sys") ||
		    strlen(dir) + strlen(e->d_name) + 2 > CLI_CAPTURE_PATH)
			snprintf(ret_root, CLI_CAPTURE_PATH, "%s", dir);
		else
			sprintf(ret_root + strlen(dir), "/%s", e->d_name);
	}
	if (d)
		closedir(d);
}

enum cli_status cli_capture_extract(const char *file, const char *dir, char *ret_root)
{
	enum cli_status status = run_tool("extract", file, dir);

	if (!status)
		find_root(dir, ret_root);
	return status;
}

enum cli_status cli_capture_create(const char *file, const char *dir)
{
	return run_tool("create", file, dir);
}
