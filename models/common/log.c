// SPDX-License-Identifier: MIT
#include "models/common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "models/common/internal.h"

#define LINES_A_SECOND 100

static _Atomic int log_level = MDL_INFO;

void mdl_log_set_level(enum mdl_level level)
{
	log_level = (int)level;
}

static const char *level_name(enum mdl_level level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	return names[level];
}

/* Whether dev may write one more line; *ret_dropped lines were dropped in the second before. */
static bool may_log(struct mdl_device *dev, uint64_t second, unsigned *ret_dropped)
{
	bool ok;

	*ret_dropped = 0;
	pthread_mutex_lock(&dev->log_lock);
	if (dev->log_second != second) {
		*ret_dropped = dev->log_dropped;
		dev->log_second = second;
		dev->log_lines = 0;
		dev->log_dropped = 0;
	}
	ok = dev->log_lines < LINES_A_SECOND;
	if (ok)
		dev->log_lines++;
	else
		dev->log_dropped++;
	pthread_mutex_unlock(&dev->log_lock);
	return ok;
}

void mdl_log(struct mdl_device *dev, enum mdl_level level, const char *fmt, ...)
{
	const char *node = dev ? dev->node->name : "fabric", *name = dev ? dev->name : "";
	const char *slash = dev ? "/" : "";
	unsigned dropped = 0;
	struct timespec now;
	char text[512];
	va_list ap;

	if ((int)level > log_level)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (dev && !may_log(dev, (uint64_t)now.tv_sec, &dropped))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (dropped)
		fprintf(stderr, "%s%s%s: warn: %u lines dropped\n", node, slash, name, dropped);
	fprintf(stderr, "[%5ld.%06ld] %s%s%s: %s: %s\n", (long)now.tv_sec, now.tv_nsec / 1000, node,
		slash, name, level_name(level), text);
}
