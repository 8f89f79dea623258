// SPDX-License-Identifier: MIT
/*
 * What a peer of the serve protocol may send: a stream of bytes, cut into frames as a channel does.
 * What is understood must encode to the very same bytes, so that there is one form of each message.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/serve/proto.h"

static void check_string(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	if (n == size)
		abort();
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			abort();
}

static void check_strings(const struct pdmai_sp_msg *m)
{
	if (m->type == PDMAI_SP_EXPORT) {
		check_string(m->export.name, sizeof(m->export.name));
		check_string(m->export.kind, sizeof(m->export.kind));
	} else if (m->type == PDMAI_SP_OPEN) {
		check_string(m->open.name, sizeof(m->open.name));
	} else if (m->type == PDMAI_SP_ERROR) {
		check_string(m->error.text, sizeof(m->error.text));
	} else if (m->type == PDMAI_SP_REVOKED) {
		check_string(m->close.text, sizeof(m->close.text));
	} else if (m->type == PDMAI_SP_GOODBYE) {
		check_string(m->goodbye.text, sizeof(m->goodbye.text));
	}
}

static void frame(const uint8_t *data, size_t len)
{
	uint8_t again[PDMAI_SP_FRAME];
	struct pdmai_sp_msg m;
	/* Memory of its exact size: a sanitizer sees the first byte beyond. */
	uint8_t *exact = malloc(len);

	if (!exact)
		abort();
	memcpy(exact, data, len);
	if (!pdmai_sp_decode(exact, len, &m)) {
		check_strings(&m);
		if (pdmai_sp_encode(&m, again) != (int)len || memcmp(again, data, len))
			abort();
	}
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int len;

	while ((len = pdmai_sp_frame_len(data, size)) > 0 && (size_t)len <= size) {
		frame(data, (size_t)len);
		data += len;
		size -= (size_t)len;
	}
	/* And with a length that is not the head's. */
	if (size >= PDMAI_SP_HEAD)
		frame(data, size);
	return 0;
}
