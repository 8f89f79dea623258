// SPDX-License-Identifier: MIT
/*
 * peerdma-fabric: the process that hosts the device models of all nodes of a lab. Exit status: 0
 * asked to stop, 1 failed, 2 bad arguments or configuration.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "models/common/log.h"
#include "models/fabric/config.h"
#include "models/fabric/control.h"
#include "models/fabric/lab.h"

static const char help[] =
	"Usage: peerdma-fabric --config FILE [--ready-fd N] [--log-level LEVEL]\n"
	"       peerdma-fabric --list-models\n"
	"\n"
	"Host the device models of a lab and the fabric between them, in the foreground, until\n"
	"SIGTERM or SIGINT. Each device listens on its own vfio-user socket for a QEMU.\n"
	"\n"
	"  -c, --config FILE      nodes, devices and links, as JSON (docs/fabric.md)\n"
	"  -r, --ready-fd N       write \"ready\" and a newline to this open file when all listen\n"
	"  -l, --log-level LEVEL  error, warn, info (default) or debug; log lines go to stderr\n"
	"  -m, --list-models      print the models this program has, one a line\n"
	"  -h, --help             print this\n";

struct options {
	const char *config;
	int ready_fd;
};

static int parse_level(const char *word)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	int i;

	for (i = 0; i < 4; i++)
		if (!strcmp(levels[i], word))
			return i;
	return -1;
}

static int list_models(void)
{
	unsigned i;

	for (i = 0; fab_model_name(i); i++)
		puts(fab_model_name(i));
	return 0;
}

static int usage(const char *what, const char *arg)
{
	fprintf(stderr, "peerdma-fabric: %s%s%s: try --help\n", what, arg ? ": " : "",
		arg ? arg : "");
	return 2;
}

static int parse_fd(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text && !*end && n >= 0 && n <= 65535 ? (int)n : -1;
}

/* Return: -1 to go on, or an exit status. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "list-models", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:r:l:mh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'r':
			o->ready_fd = parse_fd(optarg);
			if (o->ready_fd < 0)
				return usage("not a file descriptor", optarg);
			break;
		case 'l':
			if (parse_level(optarg) < 0)
				return usage("not a log level", optarg);
			mdl_log_set_level((enum mdl_level)parse_level(optarg));
			break;
		case 'm':
			return list_models();
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	return o->config ? -1 : usage("--config is missing", NULL);
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "peerdma-fabric: %s: %s\n", what, strerror(-err));
	return 1;
}

static int serve(struct fab_lab *lab, const struct fab_config *cfg, const struct options *o,
		 int stop_fd)
{
	int fd = fab_control_listen(cfg->control), err;

	if (fd < 0)
		return fail(cfg->control, fd);
	if (o->ready_fd >= 0) {
		if (write(o->ready_fd, "ready\n", 6) != 6)
			mdl_log(NULL, MDL_WARN, "nobody to tell that all is ready");
		close(o->ready_fd);
	}
	err = fab_control_serve(lab, fd, stop_fd);
	close(fd);
	unlink(cfg->control);
	return err ? fail("control socket", err) : 0;
}

/* Signals go to one fd, blocked before any thread exists so that all threads inherit the mask. */
static int signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct options o = { .ready_fd = -1 };
	struct fab_config *cfg;
	struct fab_lab *lab;
	char why[512] = "";
	int status = parse(argc, argv, &o), stop_fd, err;

	if (status >= 0)
		return status;
	/* With the launcher gone nobody could use or end this process. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	stop_fd = signal_fd();
	if (stop_fd < 0)
		return fail("signalfd", -errno);
	err = fab_config_load(o.config, &cfg, why, sizeof(why));
	if (err) {
		fprintf(stderr, "peerdma-fabric: %s\n", why);
		return 2;
	}
	err = fab_lab_create(cfg, &lab, why, sizeof(why));
	if (err) {
		fprintf(stderr, "peerdma-fabric: %s\n", why);
		status = err == -EINVAL || err == -EEXIST ? 2 : 1;
	} else {
		status = serve(lab, cfg, &o, stop_fd);
		fab_lab_destroy(lab);
	}
	free(cfg);
	close(stop_fd);
	return status;
}
