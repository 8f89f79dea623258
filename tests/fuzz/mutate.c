// SPDX-License-Identifier: MIT
#include "tests/fuzz/mutate.h"

#include <string.h>

/* Sizes, counts and offsets go wrong at their ends. */
/* clang-format off */
static const uint64_t interesting[] = {
	0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 4095, 4096, 0x7fff, 0x8000,
	0xffff, 0x10000, 0xfffff, 0x100000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
	0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000,
	0xffffffffffffffff,
};
/* clang-format on */

uint64_t fuzz_random(struct fuzz_rng *rng)
{
	uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

size_t fuzz_below(struct fuzz_rng *rng, size_t n)
{
	return (size_t)(fuzz_random(rng) % n);
}

void fuzz_generate(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t i;

	in->len = fuzz_below(rng, in->max + 1);
	for (i = 0; i < in->len; i++)
		in->data[i] = (uint8_t)fuzz_random(rng);
}

static void flip_bit(struct fuzz_rng *rng, struct fuzz_input *in)
{
	if (in->len)
		in->data[fuzz_below(rng, in->len)] ^= (uint8_t)(1u << fuzz_below(rng, 8));
}

static void set_byte(struct fuzz_rng *rng, struct fuzz_input *in)
{
	if (in->len)
		in->data[fuzz_below(rng, in->len)] = (uint8_t)fuzz_random(rng);
}

/* A place for a field of 1, 2, 4 or 8 bytes, mostly aligned, as fields are. */
static size_t pick_field(struct fuzz_rng *rng, const struct fuzz_input *in, size_t *ret_width)
{
	size_t width = (size_t)1 << fuzz_below(rng, 4), off;

	while (width > in->len)
		width /= 2;
	*ret_width = width;
	if (!width)
		return 0;
	off = fuzz_below(rng, in->len - width + 1);
	return fuzz_below(rng, 4) ? off & ~(width - 1) : off;
}

/* Fields are little-endian on this bus and big-endian in the NIC's commands: try both. */
static void put_field(struct fuzz_rng *rng, uint8_t *at, size_t width, uint64_t val)
{
	size_t big = fuzz_below(rng, 4) == 0, i;

	for (i = 0; i < width; i++)
		at[big ? width - 1 - i : i] = (uint8_t)(val >> (8 * i));
}

static void set_field(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t width, off = pick_field(rng, in, &width);
	size_t which = fuzz_below(rng, sizeof(interesting) / sizeof(interesting[0]));

	put_field(rng, in->data + off, width, interesting[which]);
}

static void add_to_field(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t width, off = pick_field(rng, in, &width), i;
	uint64_t val = 0;

	for (i = 0; i < width; i++)
		val |= (uint64_t)in->data[off + i] << (8 * i);
	val += fuzz_below(rng, 65) - 32;
	for (i = 0; i < width; i++)
		in->data[off + i] = (uint8_t)(val >> (8 * i));
}

static void cut(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t off, len;

	if (!in->len)
		return;
	off = fuzz_below(rng, in->len);
	len = 1 + fuzz_below(rng, in->len - off);
	memmove(in->data + off, in->data + off + len, in->len - off - len);
	in->len -= len;
}

static void truncate_end(struct fuzz_rng *rng, struct fuzz_input *in)
{
	if (in->len)
		in->len -= 1 + fuzz_below(rng, in->len < 16 ? in->len : 16);
}

/* Make a hole of at most len bytes at off; returns its size. */
static size_t open_hole(struct fuzz_input *in, size_t off, size_t len)
{
	if (len > in->max - in->len)
		len = in->max - in->len;
	memmove(in->data + off + len, in->data + off, in->len - off);
	in->len += len;
	return len;
}

static void insert_random(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t off = fuzz_below(rng, in->len + 1), i;
	size_t len = open_hole(in, off, 1 + fuzz_below(rng, 32));
	uint8_t fill = (uint8_t)fuzz_random(rng);
	size_t same = fuzz_below(rng, 2);

	for (i = 0; i < len; i++)
		in->data[off + i] = same ? fill : (uint8_t)fuzz_random(rng);
}

/* Repeat a piece after itself: one more message, one more descriptor. */
static void repeat(struct fuzz_rng *rng, struct fuzz_input *in)
{
	size_t off, len;

	if (!in->len)
		return;
	off = fuzz_below(rng, in->len);
	len = 1 + fuzz_below(rng, in->len - off);
	open_hole(in, off, len); /* the hole keeps what was there */
}

static void splice(struct fuzz_rng *rng, struct fuzz_input *in, const struct fuzz_input *other)
{
	size_t from, off, len;

	if (!other->len)
		return;
	from = fuzz_below(rng, other->len);
	len = 1 + fuzz_below(rng, other->len - from);
	off = fuzz_below(rng, in->len + 1);
	len = open_hole(in, off, len);
	memcpy(in->data + off, other->data + from, len);
}

void fuzz_mutate(struct fuzz_rng *rng, struct fuzz_input *in, const struct fuzz_input *other)
{
	static void (*const steps[])(struct fuzz_rng *, struct fuzz_input *) = {
		flip_bit,     set_byte, set_field,    set_field,     add_to_field,
		add_to_field, cut,	truncate_end, insert_random, repeat,
	};
	size_t n = (size_t)1 << fuzz_below(rng, 5), n_steps = sizeof(steps) / sizeof(steps[0]);

	while (n--) {
		size_t which = fuzz_below(rng, n_steps + 1);

		if (which == n_steps)
			splice(rng, in, other);
		else
			steps[which](rng, in);
	}
}
