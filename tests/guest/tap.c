// SPDX-License-Identifier: MIT
#include "tests/guest/tap.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"

#define TEST_SECONDS 60

_Noreturn void tap_fail(const char *file, int line, const char *format, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	if (pdmai_error()[0])
		printf(" (%s)", pdmai_error());
	putchar('\n');
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

static bool has_iommu(void)
{
	const char *iommu = getenv("PEERDMA_IOMMU");

	/* Groups alone do not tell: VFIO makes some for functions without an IOMMU. */
	return iommu ? strcmp(iommu, "0") != 0 :
		       !access(PDMAI_SYSFS "/kernel/iommu_groups/0", F_OK);
}

static bool fits(enum tap_where where)
{
	const char *topology = getenv("PEERDMA_TOPOLOGY");

	switch (where) {
	case TAP_WITH_IOMMU:
		return has_iommu();
	case TAP_WITHOUT_IOMMU:
		return !has_iommu();
	case TAP_SWITCH_WITH_IOMMU:
		return has_iommu() && topology && !strncmp(topology, "switch", 6);
	default:
		return true;
	}
}

static bool wanted(const struct tap_test *t, int argc, char **argv)
{
	if (!fits(t->where))
		return false;
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], t->name))
			return true;
	return argc < 2;
}

static bool run(const struct tap_test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(TEST_SECONDS);
		t->fn();
		fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status))
		printf("# %s: ended by signal %d (%s)\n", t->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int tap_main(int argc, char **argv, const struct tap_test *tests, size_t n)
{
	size_t number = 0, count = 0, failed = 0;

	for (size_t i = 0; i < n; i++)
		count += wanted(&tests[i], argc, argv);
	printf("1..%zu\n", count);
	for (size_t i = 0; i < n; i++) {
		bool good;

		if (!wanted(&tests[i], argc, argv))
			continue;
		good = run(&tests[i]);
		failed += !good;
		printf("%sok %zu - %s\n", good ? "" : "not ", ++number, tests[i].name);
	}
	return failed || !count ? EXIT_FAILURE : EXIT_SUCCESS;
}
