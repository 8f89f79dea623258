// SPDX-License-Identifier: MIT
#include "boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int boot_option(const char *name, char *value, size_t size)
{
	char line[4096] = "", *save = NULL;
	size_t len = strlen(name);
	FILE *f;

	value[0] = 0;
	f = fopen("/proc/cmdline", "re");
	if (!f)
		return -ENOENT;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, name, len) || word[len] != '=')
			continue;
		snprintf(value, size, "%s", word + len + 1);
		return 0;
	}
	return -ENOENT;
}
