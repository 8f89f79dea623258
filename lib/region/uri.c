// SPDX-License-Identifier: MIT
#include "lib/region/uri.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"

/* What is left of the text, and where a complaint about it would point. */
struct cursor {
	const char *text, *at;
	const char *wrong; /* sentence about *at, NULL so far */
};

static int bad(struct cursor *c, const char *sentence)
{
	c->wrong = sentence;
	return -EINVAL;
}

static bool eat(struct cursor *c, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(c->at, word, len))
		return false;
	c->at += len;
	return true;
}

static int digit_of(char ch, unsigned base)
{
	int d;

	if (isdigit((unsigned char)ch))
		d = ch - '0';
	else if (isxdigit((unsigned char)ch))
		d = tolower((unsigned char)ch) - 'a' + 10;
	else
		return -1;
	return d < (int)base ? d : -1;
}

static unsigned shift_of(char ch)
{
	static const char units[] = "KMGT";
	const char *unit = ch ? strchr(units, toupper((unsigned char)ch)) : NULL;

	return unit ? 10 * (unsigned)(unit - units + 1) : 0;
}

/* Return: 0; -EINVAL: no number there; -ERANGE: too large. */
static int take_size(const char **at, uint64_t *ret_size)
{
	const char *p = *at;
	unsigned base = 10, shift;
	uint64_t size = 0;
	int d;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (digit_of(*p, base) < 0)
		return -EINVAL;
	for (; (d = digit_of(*p, base)) >= 0; p++)
		if (__builtin_mul_overflow(size, (uint64_t)base, &size) ||
		    __builtin_add_overflow(size, (uint64_t)d, &size))
			return -ERANGE;
	shift = shift_of(*p);
	if (shift) {
		if (size > UINT64_MAX >> shift)
			return -ERANGE;
		size <<= shift;
		p++;
	}
	*ret_size = size;
	*at = p;
	return 0;
}

static int size_here(struct cursor *c, uint64_t *ret_size)
{
	int ret = take_size(&c->at, ret_size);

	if (!ret)
		return 0;
	return bad(c, ret == -ERANGE ? "the number is beyond 2^64" : "a number is expected");
}

static int length_here(struct cursor *c, uint64_t *ret_len)
{
	const char *start = c->at;
	int ret = size_here(c, ret_len);

	if (!ret && !*ret_len) {
		c->at = start;
		return bad(c, "a length of 0 makes no sense");
	}
	return ret;
}

static int end_here(struct cursor *c)
{
	return *c->at ? bad(c, "nothing is expected here") : 0;
}

static int bdf_here(struct cursor *c, struct pdmai_bdf *ret_bdf)
{
	char text[PDMAI_BDF_LEN];
	size_t len = strspn(c->at, "0123456789abcdefABCDEF:.");

	if (len < sizeof(text)) {
		memcpy(text, c->at, len);
		text[len] = 0;
		if (!pdmai_bdf_parse(text, ret_bdf)) {
			c->at += len;
			return 0;
		}
	}
	return bad(c, "a PCI address as 0000:03:00.0 is expected");
}

static int add_range(struct pdmai_uri *u, uint64_t off, uint64_t len)
{
	struct pdmai_span *ranges = reallocarray(u->ranges, u->n_ranges + 1, sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	u->ranges = ranges;
	ranges[u->n_ranges++] = (struct pdmai_span){ off, len };
	return 0;
}

/* OFF[:LEN] */
static int range_here(struct cursor *c, struct pdmai_uri *u)
{
	uint64_t off, len = PDMAI_TO_THE_END;
	const char *start = c->at;
	int ret;

	ret = size_here(c, &off);
	if (!ret && eat(c, ":"))
		ret = length_here(c, &len);
	if (ret)
		return ret;
	if (len != PDMAI_TO_THE_END && len > UINT64_MAX - off) {
		c->at = start;
		return bad(c, "the range ends beyond 2^64");
	}
	return add_range(u, off, len);
}

/* [+OFF[:LEN][,OFF:LEN...]] and the end of the text */
static int ranges_here(struct cursor *c, struct pdmai_uri *u, unsigned max)
{
	int ret;

	if (!eat(c, "+")) {
		ret = add_range(u, 0, PDMAI_TO_THE_END);
		return ret ? ret : end_here(c);
	}
	u->has_ranges = true;
	do {
		if (u->n_ranges == PDMAI_URI_RANGES)
			return bad(c, "these are too many ranges");
		ret = range_here(c, u);
	} while (!ret && u->n_ranges < max && eat(c, ","));
	return ret ? ret : end_here(c);
}

static int parse_vfio(struct cursor *c, struct pdmai_uri *u)
{
	int ret = bdf_here(c, &u->bdf);

	if (ret)
		return ret;
	if (!eat(c, "/bar"))
		return bad(c, "/bar0 to /bar5 is expected");
	if (*c->at < '0' || *c->at > '5')
		return bad(c, "a BAR has a number from 0 to 5");
	u->bar = *c->at++ - '0';
	return ranges_here(c, u, PDMAI_URI_RANGES);
}

static int parse_function(struct cursor *c, struct pdmai_uri *u)
{
	int ret = bdf_here(c, &u->bdf);

	return ret ? ret : ranges_here(c, u, 1);
}

static int parse_length(struct cursor *c, struct pdmai_uri *u)
{
	int ret = length_here(c, &u->len);

	return ret ? ret : end_here(c);
}

/* Everything up to one of the characters in stop, not nothing. */
static int word_here(struct cursor *c, const char *stop, char *buf, size_t size)
{
	size_t len = strcspn(c->at, stop);

	if (!len)
		return bad(c, "a name is expected");
	if (len >= size)
		return bad(c, "the name is too long");
	memcpy(buf, c->at, len);
	buf[len] = 0;
	c->at += len;
	return 0;
}

static int parse_dm(struct cursor *c, struct pdmai_uri *u)
{
	int ret = word_here(c, ":/", u->name, 64);

	if (!ret && !eat(c, ":"))
		ret = bad(c, ":LEN is expected");
	return ret ? ret : parse_length(c, u);
}

/* Where the ranges of a file begin: at the last "+" with a digit behind it, else at the end. */
static const char *path_end(const char *path)
{
	const char *plus = strrchr(path, '+');

	if (plus && isdigit((unsigned char)plus[1]))
		return plus;
	return path + strlen(path);
}

static int parse_file(struct cursor *c, struct pdmai_uri *u)
{
	size_t len = (size_t)(path_end(c->at) - c->at);

	if (!len)
		return bad(c, "a path is expected");
	if (len >= sizeof(u->name))
		return bad(c, "the path is too long");
	memcpy(u->name, c->at, len);
	u->name[len] = 0;
	c->at += len;
	return ranges_here(c, u, 1);
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static int host_here(struct cursor *c, struct pdmai_uri *u)
{
	int ret;

	if (!eat(c, "["))
		return word_here(c, ":/+", u->name, 256);
	ret = word_here(c, "]/+", u->name, 64);
	if (!ret && !eat(c, "]"))
		ret = bad(c, "] is expected");
	return ret;
}

static int port_here(struct cursor *c, struct pdmai_uri *u)
{
	size_t len = strspn(c->at, "0123456789");
	unsigned long port = len && len < 6 ? strtoul(c->at, NULL, 10) : 0;

	if (!port || port > 65535)
		return bad(c, "a port is a number from 1 to 65535");
	memcpy(u->port, c->at, len);
	u->port[len] = 0;
	c->at += len;
	return 0;
}

static int parse_rdma(struct cursor *c, struct pdmai_uri *u)
{
	int ret = host_here(c, u);

	if (!ret && eat(c, ":"))
		ret = port_here(c, u);
	if (!ret && !eat(c, "/"))
		ret = bad(c, "/NAME is expected");
	ret = ret ? ret : word_here(c, "/+", u->object, sizeof(u->object));
	return ret ? ret : ranges_here(c, u, 1);
}

static const struct {
	const char *scheme;
	enum pdma_kind kind;
	int (*parse)(struct cursor *c, struct pdmai_uri *u);
} schemes[] = {
	{ "vfio:", PDMA_KIND_VFIO, parse_vfio },
	{ "accel:", PDMA_KIND_ACCEL, parse_function },
	{ "cmb:", PDMA_KIND_CMB, parse_function },
	{ "dm:", PDMA_KIND_DM, parse_dm },
	{ "udmabuf:", PDMA_KIND_UDMABUF, parse_length },
	{ "host:", PDMA_KIND_HOST, parse_length },
	{ "file:", PDMA_KIND_FILE, parse_file },
	{ "rdma://", PDMA_KIND_RDMA, parse_rdma },
};

static int parse(struct cursor *c, struct pdmai_uri *u)
{
	if (strlen(c->text) >= PDMAI_URI_MAX)
		return bad(c, "this is too long for a URI");
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!eat(c, schemes[i].scheme))
			continue;
		u->kind = schemes[i].kind;
		return schemes[i].parse(c, u);
	}
	return bad(c, "a URI begins with vfio:, accel:, cmb:, dm:, udmabuf:, host:, file: or "
		      "rdma://");
}

int pdmai_uri_parse(const char *text, struct pdmai_uri *ret_uri, unsigned *ret_column)
{
	struct cursor c = { .text = text, .at = text };
	struct pdmai_uri *u = ret_uri;
	unsigned column;
	int ret;

	memset(u, 0, sizeof(*u));
	u->bar = -1;
	ret = parse(&c, u);
	if (!ret)
		return 0;
	pdmai_uri_clear(u);
	if (ret != -EINVAL)
		return pdmai_fail(-ret, "no memory for a URI");
	column = (unsigned)(c.at - text) + 1;
	if (ret_column)
		*ret_column = column;
	return pdmai_fail(EINVAL, "'%.100s', column %u: %s", text, column, c.wrong);
}

void pdmai_uri_clear(struct pdmai_uri *u)
{
	free(u->ranges);
	u->ranges = NULL;
	u->n_ranges = 0;
}

int pdma_uri_check(const char *text, unsigned *ret_column)
{
	struct pdmai_uri *u = malloc(sizeof(*u));
	int ret;

	if (!u)
		return pdmai_fail(ENOMEM, "no memory for a URI");
	ret = pdmai_uri_parse(text, u, ret_column);
	if (!ret)
		pdmai_uri_clear(u);
	free(u);
	return ret;
}

int pdma_size_parse(const char *text, uint64_t *ret_size)
{
	const char *at = text;
	uint64_t size;
	int ret = take_size(&at, &size);

	if (!ret && *at)
		ret = -EINVAL;
	if (ret)
		return pdmai_fail(-ret,
				  ret == -ERANGE ? "'%.60s' is beyond 2^64" :
						   "'%.60s' is no size as 4096, 0x1000 or 4K",
				  text);
	*ret_size = size;
	return 0;
}
