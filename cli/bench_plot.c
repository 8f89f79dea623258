// SPDX-License-Identifier: MIT
#include "cli/bench_plot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

double cli_bench_ratio(const struct cli_bench_row *row)
{
	return row->direct.median_ns > 0 ?
		       (double)row->staged.median_ns / (double)row->direct.median_ns :
		       0;
}

/* A name within a string of gnuplot's in single quotes, where only these end it. */
static void put_quoted(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++)
		fputc(*text == '\'' || *text == '\n' ? '_' : *text, f);
	fputc('\'', f);
}

static void put_series(FILE *f, const char *name, const struct cli_bench_row *rows, int n,
		       bool direct)
{
	fprintf(f, "$%s << EOD\n", name);
	for (int i = 0; i < n; i++) {
		const struct cli_bench_figure *g = direct ? &rows[i].direct : &rows[i].staged;

		if (g->samples && g->median_ns > 0)
			fprintf(f, "%" PRIu64 " %g\n", rows[i].size,
				(double)rows[i].size / (double)g->median_ns);
	}
	fputs("EOD\n", f);
}

static void put_script(FILE *f, const char *path, const struct cli_bench_row *rows, int n,
		       const char *from, const char *to)
{
	bool direct = false;

	for (int i = 0; i < n; i++)
		direct |= rows[i].direct.samples > 0;
	put_series(f, "staged", rows, n, false);
	if (direct)
		put_series(f, "direct", rows, n, true);
	fputs("set terminal svg size 800,480 noenhanced background '#ffffff' font 'sans,13'\n"
	      "set output ",
	      f);
	put_quoted(f, path);
	fputs("\nset title ", f);
	put_quoted(f, from);
	fputs(" . ' to ' . ", f);
	put_quoted(f, to);
	fputs("\nset logscale x 2\nset format x '%.0b%BB'\nset xlabel 'size of a copy'\n"
	      "set ylabel 'GB/s, median'\nset yrange [0:*]\nset grid\nset key left top\nplot ",
	      f);
	if (direct)
		fputs("$direct with linespoints lw 2 pt 7 lc rgb '#0060ad' title 'direct', ", f);
	fputs("$staged with linespoints lw 2 pt 5 lc rgb '#b04020' title 'through host memory'\n",
	      f);
}

static int start_gnuplot(pid_t *ret_pid, int *ret_fd)
{
	char *argv[] = { (char[]){ "gnuplot" }, NULL };
	posix_spawn_file_actions_t actions;
	int fd[2], err;

	if (pipe(fd) < 0)
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd[0], STDIN_FILENO);
	posix_spawn_file_actions_addclose(&actions, fd[1]);
	err = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[0]);
	if (err)
		close(fd[1]);
	else
		*ret_fd = fd[1];
	return err;
}

static enum cli_status no_picture(const char *path, const char *why)
{
	return cli_error(CLI_FAILED, "apt install gnuplot-nox", why, "no picture %s", path);
}

enum cli_status cli_bench_plot(const char *path, const struct cli_bench_row *rows, int n,
			       const char *from, const char *to)
{
	int fd = -1, status, err;
	pid_t pid;
	FILE *f;

	/* It may end before it has read all. */
	signal(SIGPIPE, SIG_IGN);
	err = start_gnuplot(&pid, &fd);
	if (err)
		return no_picture(path, err == ENOENT ? "gnuplot is not installed" : strerror(err));
	f = fdopen(fd, "w");
	if (f) {
		put_script(f, path, rows, n, from, to);
		fclose(f);
	} else {
		close(fd);
	}
	if (waitpid(pid, &status, 0) < 0 || status || !f)
		return no_picture(path, "gnuplot failed");
	return CLI_DONE;
}
