// SPDX-License-Identifier: MIT
#include "lib/core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char sentence[256];

int pdmai_fail(int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	return -err;
}

int pdmai_fail_errno(int err, const char *format, ...)
{
	size_t len;
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	len = strlen(sentence);
	snprintf(sentence + len, sizeof(sentence) - len, ": %s", strerror(err));
	return -err;
}

const char *pdmai_error(void)
{
	return sentence;
}
