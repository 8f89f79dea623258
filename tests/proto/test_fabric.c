// SPDX-License-Identifier: MIT
/* The process peerdma-fabric: its life, its configuration, its control socket (docs/fabric.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/proto/fabproc.h"
#include "tests/proto/vfu_client.h"

#define PING "{\"cmd\":\"ping\"}\n"
#define DEVICE(name, model) \
	"{\"name\":\"" name "\",\"model\":\"" model "\",\"socket\":\"" name "\"}"
#define ACC(name) \
	"{\"name\":\"" name "\",\"model\":\"accel\",\"socket\":\"" name "\",\"vram\":\"64M\"}"
#define NODE(devices)	 "{\"name\":\"a\",\"devices\":[" devices "]}"
#define LAB(nodes, more) "{\"control\":\"control\",\"nodes\":[" nodes "]" more "}"

/* clang-format off */
static const char config[] = LAB(
	"{\"name\":\"a\",\"devices\":[" ACC("x") "," ACC("y") "]},"
	"{\"name\":\"b\",\"devices\":["
		"{\"name\":\"x\",\"model\":\"nic\",\"socket\":\"b.x\"}]}", "");
/* clang-format on */

/* One process serves all tests of the control socket: it must survive every one of them. */
static struct proc proc;

static int start(void **state)
{
	return proc_start(&proc, config) || !proc_ready(&proc);
}

static int stop(void **state)
{
	int status = proc.pid ? proc_end(&proc, SIGTERM) : 0;

	proc_clean(&proc);
	return status;
}

static void serves(void)
{
	assert_true(ctl_ok(&proc, "{\"cmd\":\"ping\"}"));
}

static void ping_and_devices(void **state)
{
	struct json_object *o = ctl_ask(&proc, "{\"cmd\":\"ping\"}"), *v;

	assert_non_null(o);
	assert_true(json_object_get_boolean(json_object_object_get(o, "ok")));
	assert_true(json_object_get_string_len(json_object_object_get(o, "version")) > 0);
	json_object_put(o);
	o = ctl_ask(&proc, "{\"cmd\":\"devices\"}");
	assert_non_null(o);
	assert_int_equal(json_pointer_get(o, "/devices", &v), 0);
	assert_int_equal(json_object_object_length(v), 3);
	assert_int_equal(json_pointer_get(o, "/devices/a~1y/model", &v), 0);
	assert_string_equal(json_object_get_string(v), "accel");
	assert_int_equal(json_pointer_get(o, "/devices/b~1x/model", &v), 0);
	assert_string_equal(json_object_get_string(v), "nic");
	json_object_put(o);
}

static void a_name_may_leave_out_the_node(void **state)
{
	assert_true(ctl_ok(&proc, "{\"cmd\":\"counters\",\"device\":\"y\"}"));
	assert_true(ctl_ok(&proc, "{\"cmd\":\"counters\",\"device\":\"b/x\"}"));
	assert_false(ctl_ok(&proc, "{\"cmd\":\"counters\",\"device\":\"x\"}"));
}

static void sigterm_ends_it_cleanly(void **state)
{
	struct client c;
	char path[128];

	proc_path(&proc, "x", path, sizeof(path));
	assert_int_equal(proc_sockets(&proc), 4);
	assert_int_equal(c_connect(&c, path), 0);
	assert_int_equal(c_hello(&c), 0);
	assert_int_equal(proc_end(&proc, SIGTERM), 0);
	assert_int_equal(proc_sockets(&proc), 0);
	assert_true(c_at_end(&c));
	c_close(&c);
}

struct bad_config {
	const char *text;
	const char *says; /* part of the sentence */
};

static void check_refused(const struct bad_config *b)
{
	struct proc p;
	char log[2048];
	int err = proc_start(&p, b->text), len = 0, sockets = 0, status = -1;
	bool ready = true;

	if (!err) {
		ready = proc_ready(&p);
		status = proc_end(&p, ready ? SIGTERM : 0);
		len = proc_log(&p, log, sizeof(log));
		sockets = proc_sockets(&p);
	}
	proc_clean(&p);
	assert_int_equal(err, 0);
	assert_true(len > 0);
	if (ready || status != 2 || sockets || !strstr(log, b->says))
		fail_msg("%s\nstatus %d, %d sockets: %s", b->text, status, sockets, log);
	assert_int_equal(strncmp(log, "peerdma-fabric: ", 16), 0);
	assert_ptr_equal(strchr(log, '\n'), log + len - 1);
}

static void bad_configurations(void **state)
{
	static const struct bad_config bad[] = {
		{ "", "not valid JSON" },
		{ "{\"control\":", "not valid JSON" },
		{ "nonsense", "not valid JSON" },
		{ "[]", "not an object" },
		{ "{\"nodes\":[]}", "control" },
		{ "{\"control\":5,\"nodes\":[]}", "control" },
		{ "{\"control\":null,\"nodes\":[]}", "control" },
		{ LAB("", ",\"colour\":1"), "colour" },
		{ LAB("null", ""), "not an object" },
		{ LAB("{\"name\":\"a/b\",\"devices\":[]}", ""), "slash" },
		{ LAB("{\"name\":\"\",\"devices\":[]}", ""), "name" },
		{ LAB(NODE("{\"name\":\"x\"}"), ""), "model" },
		{ LAB(NODE(DEVICE("x", "toaster")), ""), "toaster" },
		{ LAB(NODE(ACC("x") "," DEVICE("z", "toaster")), ""), "toaster" },
		{ LAB(NODE(ACC("x") "," ACC("x")), ""), "x" },
		{ LAB(NODE(ACC("x")) "," NODE(ACC("y")), ""), "a" },
		{ LAB(NODE(ACC("x")) ",{\"name\":\"b\",\"devices\":[" ACC("x") "]}", ""),
		  "path x" },
		{ LAB(NODE(ACC("control")), ""), "path control" },
		{ LAB(NODE(ACC("x")), ",\"links\":[[\"a/x\",\"a/nobody\"]]"), "nobody" },
		{ LAB(NODE(ACC("x")), ",\"links\":[[\"a/x\",\"a/x\"]]"), "a/x" },
		{ LAB(NODE(ACC("x")), ",\"links\":[[\"a/x\"]]"), "link" },
		{ LAB(NODE(ACC("x") "," ACC("y")),
		      ",\"links\":[[\"a/x\",\"a/y\"],[\"a/y\",\"a/x\"]]"),
		  "link" },
		{ LAB(NODE(ACC("x") "," DEVICE("n", "nic")), ",\"links\":[[\"a/x\",\"a/n\"]]"),
		  "a/n" },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused(&bad[i]);
}

static void bad_sizes(void **state)
{
	static const char *const sizes[] = {
		"null",
		"true",
		"-1",
		"0",
		"1.5",
		"[]",
		"\"\"",
		"\"M\"",
		"\"64MB\"",
		"1000",
		"\"32M\"",
		"\"32G\"",
		"{}",
		"\"-64M\"",
		"\"65M\"",
		"\"64 M\"",
		"\"99999999999999999999\"",
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(text, sizeof(text),
			 LAB(NODE("{\"name\":\"x\",\"model\":\"accel\",\"socket\":\"x\","
				  "\"vram\":%s}"),
			     ""),
			 sizes[i]);
		check_refused(&(struct bad_config){ text, "" });
	}
}

static void garbage_gets_an_answer(void **state)
{
	static const char *const lines[] = {
		"garbage",
		"",
		"{",
		"[]",
		"null",
		"\"ping\"",
		"{}",
		"{\"cmd\":5}",
		"{\"cmd\":null}",
		"{\"cmd\":\"explode\"}",
		"{\"cmd\":\"counters\",\"device\":\"a/nobody\"}",
		"{\"cmd\":\"counters\",\"device\":\"\"}",
		"{\"cmd\":\"counters\",\"device\":\"/\"}",
		"{\"cmd\":\"reset\"}",
		"{\"cmd\":\"link\",\"device\":\"a/x\"}",
		"{\"cmd\":\"link\",\"device\":\"a/x\",\"up\":1}",
		"{\"cmd\":\"link\",\"device\":\"a/x\",\"up\":true}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
		"\x80\xff\xfe",
	};
	char answer[1024];
	int fd = ctl_open(&proc);
	size_t i;

	assert_true(fd >= 0);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(ctl_send(fd, lines[i], strlen(lines[i])), 0);
		assert_int_equal(ctl_send(fd, "\n", 1), 0);
		assert_int_equal(ctl_line(fd, answer, sizeof(answer)), 0);
		if (!strstr(answer, "\"ok\":false") || !strstr(answer, "\"error\":\""))
			fail_msg("%s: %s", lines[i], answer);
	}
	close(fd);
	serves();
}

/* Refused, and nothing is armed. */
static void bad_faults(void **state)
{
	static const char *const rest[] = {
		"",
		"\"point\":\"irq\"",
		"\"action\":\"drop\"",
		"\"point\":\"irq\",\"action\":\"explode\"",
		"\"point\":\"nowhere\",\"action\":\"drop\"",
		"\"point\":\"irq\",\"action\":\"drop\",\"count\":-1",
		"\"point\":\"irq\",\"action\":\"drop\",\"count\":\"1\"",
		"\"point\":\"irq\",\"action\":\"drop\",\"after\":1.5",
		"\"point\":\"irq\",\"action\":\"drop\",\"after\":null",
		"\"point\":\"irq\",\"action\":\"drop\",\"arg\":[]",
		"\"point\":\"irq\",\"action\":\"drop\",\"permille\":1001",
		"\"point\":\"irq\",\"action\":\"drop\",\"permille\":-1",
	};
	static const char ask[] = "{\"cmd\":\"faults\",\"device\":\"a/x\"}";
	struct json_object *before = ctl_ask(&proc, ask), *after;
	char line[256];
	size_t i;

	for (i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
		snprintf(line, sizeof(line), "{\"cmd\":\"fault\",\"device\":\"a/x\"%s%s}",
			 rest[i][0] ? "," : "", rest[i]);
		if (ctl_ok(&proc, line))
			fail_msg("taken: %s", line);
	}
	after = ctl_ask(&proc, ask);
	assert_non_null(before);
	assert_true(json_object_equal(before, after));
	json_object_put(before);
	json_object_put(after);
}

static void a_device_that_is_no_name(void **state)
{
	assert_false(ctl_ok(&proc, "{\"cmd\":\"counters\",\"device\":5}"));
	assert_false(ctl_ok(&proc, "{\"cmd\":\"counters_reset\",\"device\":null}"));
}

/* A line that never ends is cut off, and many in one piece are all answered. */
static void huge_line(void **state)
{
	static char x[1 << 20];
	char answer[1024];
	int fd = ctl_open(&proc), err, i;

	assert_true(fd >= 0);
	memset(x, 'x', sizeof(x));
	err = ctl_send(fd, x, sizeof(x));
	assert_true(!err || err == -EPIPE || err == -ECONNRESET);
	err = ctl_line(fd, answer, sizeof(answer));
	assert_true(err == -EPIPE || err == -ECONNRESET);
	close(fd);
	fd = ctl_open(&proc);
	assert_true(fd >= 0);
	assert_int_equal(ctl_send(fd, PING PING "{\"cmd\":", 2 * strlen(PING) + 7), 0);
	assert_int_equal(ctl_send(fd, "\"ping\"}\n", 8), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(ctl_line(fd, answer, sizeof(answer)), 0);
		assert_non_null(strstr(answer, "\"ok\":true"));
	}
	close(fd);
	serves();
}

static void seventeenth_connection(void **state)
{
	char answer[1024];
	int fd[16], more, i;

	for (i = 0; i < 16; i++) {
		fd[i] = ctl_open(&proc);
		assert_true(fd[i] >= 0);
		/* Answered: it has its place. */
		assert_int_equal(ctl_send(fd[i], PING, strlen(PING)), 0);
		assert_int_equal(ctl_line(fd[i], answer, sizeof(answer)), 0);
		assert_non_null(strstr(answer, "\"ok\":true"));
	}
	more = ctl_open(&proc);
	assert_true(more >= 0);
	assert_int_equal(ctl_line(more, answer, sizeof(answer)), 0);
	assert_non_null(strstr(answer, "\"ok\":false"));
	assert_int_equal(ctl_line(more, answer, sizeof(answer)), -EPIPE);
	close(more);
	assert_int_equal(ctl_send(fd[15], PING, strlen(PING)), 0);
	assert_int_equal(ctl_line(fd[15], answer, sizeof(answer)), 0);
	for (i = 0; i < 16; i++)
		close(fd[i]);
	serves();
}

/* Gone in the middle of a line, or before the answer was read. */
static void clients_that_vanish(void **state)
{
	int fd, i;

	for (i = 0; i < 40; i++) {
		fd = ctl_open(&proc);
		assert_true(fd >= 0);
		if (i % 3)
			assert_int_equal(ctl_send(fd, PING "{", i % 3 == 1 ? 5 : strlen(PING) + 1),
					 0);
		close(fd);
	}
	serves();
}

#define T(fn) cmocka_unit_test(fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ping_and_devices),
		T(a_name_may_leave_out_the_node),
		T(garbage_gets_an_answer),
		T(bad_faults),
		T(a_device_that_is_no_name),
		T(huge_line),
		T(seventeenth_connection),
		T(clients_that_vanish),
		T(sigterm_ends_it_cleanly),
		T(bad_configurations),
		T(bad_sizes),
	};

	return cmocka_run_group_tests_name("fabric", tests, start, stop);
}
