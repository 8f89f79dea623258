// SPDX-License-Identifier: MIT
/*
 * URIs of regions and sizes. Whatever the text: an answer, a column inside the text on refusal, and
 * ranges that hold what the parser promises.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/region/uri.h"
#include "tests/fuzz/fuzz.h"

static struct pdmai_uri uri;

static void need(bool cond)
{
	if (!cond)
		abort();
}

static void check_good(void)
{
	need(uri.kind >= PDMA_KIND_VFIO && uri.kind <= PDMA_KIND_RDMA);
	need(!uri.n_ranges == !uri.ranges && uri.n_ranges <= PDMAI_URI_RANGES);
	need(uri.n_ranges || uri.len);
	need(uri.bar >= -1 && uri.bar < PDMAI_PCI_BARS);
	for (unsigned i = 0; i < uri.n_ranges; i++) {
		const struct pdmai_span *r = &uri.ranges[i];

		need(r->len);
		need(r->len == PDMAI_TO_THE_END || r->len <= UINT64_MAX - r->off);
	}
	need(memchr(uri.name, 0, sizeof(uri.name)) && memchr(uri.object, 0, sizeof(uri.object)));
	need(strlen(uri.port) <= 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	unsigned column = 0;
	uint64_t value;
	int ret;

	need(text != NULL);
	memcpy(text, data, size);
	text[size] = 0;
	ret = pdmai_uri_parse(text, &uri, &column);
	if (!ret)
		check_good();
	else
		need(ret == -EINVAL && column >= 1 && column <= strlen(text) + 1 && !uri.ranges);
	need(pdma_uri_check(text, NULL) == ret);
	pdmai_uri_clear(&uri);
	pdma_size_parse(text, &value);
	free(text);
	return 0;
}
