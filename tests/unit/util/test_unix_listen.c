// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/unix_listen.h"

static char dir[] = "/tmp/unix_listen.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static int connects(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), ret;

	strcpy(sa.sun_path, path);
	ret = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	close(fd);
	return ret;
}

static void a_stale_socket_makes_room(void **state)
{
	int fd = util_unix_listen(path, 1);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(connects(), 0);
	close(fd);
	assert_int_equal(connects(), -ECONNREFUSED);
	fd = util_unix_listen(path, 1);
	assert_true(fd >= 0);
	assert_int_equal(connects(), 0);
	close(fd);
	unlink(path);
}

static void another_file_stays(void **state)
{
	struct stat st;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	assert_int_equal(write(fd, "kept", 4), 4);
	close(fd);
	assert_int_equal(util_unix_listen(path, 1), -EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	unlink(path);
}

static void bad_paths(void **state)
{
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(util_unix_listen(longer, 1), -ENAMETOOLONG);
	assert_int_equal(util_unix_listen("/nonexistent/sock", 1), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stale_socket_makes_room),
		cmocka_unit_test(another_file_stays),
		cmocka_unit_test(bad_paths),
	};

	return cmocka_run_group_tests_name("unix_listen", tests, make_dir, remove_dir);
}
