// SPDX-License-Identifier: MIT
/* Servers that make themselves known, and who looks for them: in one process, in a directory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/servers.h"
#include "util/unix_listen.h"

static char base[] = "/tmp/peerdma-servers-XXXXXX", dir[64], own[96];
static struct cli_servers servers;
static unsigned n_found, n_stale, n_lines;
static char line[4096];

static int set_up(void **state)
{
	strcpy(base + sizeof(base) - 7, "XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/run", base);
	snprintf(own, sizeof(own), "%s/serve-%d.sock", dir, (int)getpid());
	memset(&servers, 0, sizeof(servers));
	n_found = n_stale = n_lines = 0;
	return setenv("PEERDMA_RUN_DIR", dir, 1);
}

static int tear_down(void **state)
{
	cli_servers_clear(&servers);
	/* A server leaves nothing behind. */
	return rmdir(dir) || rmdir(base);
}

static void on_server(const struct cli_server *server, void *arg)
{
	if (server->stale)
		n_stale++;
	else
		n_found++;
}

static void on_line(const char *text, void *arg)
{
	snprintf(line, sizeof(line), "%s", text);
	n_lines++;
}

static void look(unsigned found, unsigned stale)
{
	cli_servers_look(&servers, on_server, NULL);
	assert_int_equal(n_found, found);
	assert_int_equal(n_stale, stale);
}

static struct cli_announce *announce(void)
{
	struct cli_announce *a = cli_announce_open();

	assert_non_null(a);
	return a;
}

/* As a server that is killed leaves it. */
static void leave(const char *path)
{
	int fd = util_unix_listen(path, 1);

	assert_true(fd >= 0);
	close(fd);
}

static void lines_arrive(void **state)
{
	struct cli_announce *a = announce();
	struct stat st;

	assert_int_equal(stat(own, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	look(1, 0);
	look(1, 0);
	assert_int_equal(servers.n, 1);
	cli_announce_accept(a, "{\"first\":1}\n");
	cli_announce_say(a, "second");
	assert_true(cli_lines_read(&servers.server[0]->lines, on_line, NULL));
	assert_int_equal(n_lines, 2);
	assert_string_equal(line, "second");
	cli_announce_close(a);
	assert_false(cli_lines_read(&servers.server[0]->lines, on_line, NULL));
	assert_int_equal(access(own, F_OK), -1);
}

static void stale_is_told_and_cleared(void **state)
{
	struct cli_announce *a = announce();
	char path[128], other[128];

	snprintf(path, sizeof(path), "%s/serve-1.sock", dir);
	snprintf(other, sizeof(other), "%s/serve-1.sock.old", dir);
	leave(path);
	leave(other);
	look(1, 1);
	look(1, 1);
	cli_announce_close(a);
	/* The next one clears it away, and nothing else. */
	a = announce();
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	look(1, 1);
	assert_int_equal(servers.n, 1);
	cli_announce_close(a);
	assert_int_equal(unlink(other), 0);
}

/* The number of a server that was killed is another one's now. */
static void stale_comes_alive(void **state)
{
	struct cli_announce *a;

	assert_int_equal(mkdir(dir, 0755), 0);
	leave(own);
	look(0, 1);
	a = announce();
	look(1, 1);
	cli_announce_close(a);
}

static void who_does_not_read_is_dropped(void **state)
{
	struct cli_announce *a = announce();
	char text[1000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	look(1, 0);
	cli_announce_accept(a, "first\n");
	for (int i = 0; i < 10000; i++)
		cli_announce_say(a, text);
	assert_false(cli_lines_read(&servers.server[0]->lines, on_line, NULL));
	assert_in_range(n_lines, 2, 9999);
	cli_announce_close(a);
}

static void no_more_than_there_is_room_for(void **state)
{
	struct cli_announce *a = announce();
	int fd[CLI_WATCHERS_MAX + 1];
	char buf[8];

	for (int i = 0; i <= CLI_WATCHERS_MAX; i++) {
		fd[i] = cli_servers_connect(own);
		assert_true(fd[i] >= 0);
		cli_announce_accept(a, "x\n");
		assert_int_equal(read(fd[i], buf, sizeof(buf)), i < CLI_WATCHERS_MAX ? 2 : 0);
	}
	/* One goes, and there is room again. */
	close(fd[0]);
	fd[0] = cli_servers_connect(own);
	cli_announce_accept(a, "x\n");
	assert_int_equal(read(fd[0], buf, sizeof(buf)), 2);
	for (int i = 0; i <= CLI_WATCHERS_MAX; i++)
		close(fd[i]);
	cli_announce_close(a);
}

/* Where others may write, a socket may be anybody's. */
static void a_directory_of_others(void **state)
{
	char path[128];

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	snprintf(path, sizeof(path), "%s/serve-1.sock", dir);
	leave(path);
	look(0, 0);
	assert_null(cli_announce_open());
	assert_int_equal(errno, EPERM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(symlink(base, dir), 0);
	assert_null(cli_announce_open());
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
}

/* Lines of any length and shape. */
static void lines_that_are_too_long(void **state)
{
	struct cli_lines l = { .fd = -1 };
	char text[9000];
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	l.fd = fd[1];
	memset(text, 'y', sizeof(text));
	assert_int_equal(write(fd[0], text, sizeof(text)), sizeof(text));
	assert_int_equal(write(fd[0], "\nhello\nhal", 10), 10);
	assert_true(cli_lines_read(&l, on_line, NULL));
	assert_string_equal(line, "hello");
	assert_int_equal(write(fd[0], "f\n", 2), 2);
	close(fd[0]);
	assert_false(cli_lines_read(&l, on_line, NULL));
	assert_string_equal(line, "half");
	close(fd[1]);
	assert_int_equal(mkdir(dir, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_arrive),
		TEST(stale_is_told_and_cleared),
		TEST(stale_comes_alive),
		TEST(who_does_not_read_is_dropped),
		TEST(no_more_than_there_is_room_for),
		TEST(a_directory_of_others),
		TEST(lines_that_are_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
