// SPDX-License-Identifier: MIT
/* Whole copies, comparing, and patterns on regions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/transfer/transfer.h"

#define CHUNK (1ull << 20)

/* A buffer of ours as the other end of a copy, for memory the CPU does not reach. */
static int by_engine(struct pdma_region *r, uint64_t off, void *buf, uint64_t len, bool write)
{
	struct pdma_copy_options opt = { .size = sizeof(opt) };
	struct pdma_region *own;
	int ret;

	ret = pdma_region_from_pointer(r->ctx, buf, len, PDMA_REGION_RAM, NULL, &own);
	if (ret)
		return ret;
	ret = write ? pdma_copy(r, off, own, 0, len, &opt, NULL) :
		      pdma_copy(own, 0, r, off, len, &opt, NULL);
	pdma_region_close(own);
	return ret;
}

static int fetch(struct pdma_region *r, uint64_t off, void *buf, uint64_t len)
{
	int ret = pdma_region_read(r, off, buf, len);

	return ret == -EOPNOTSUPP ? by_engine(r, off, buf, len, false) : ret;
}

static int put(struct pdma_region *r, uint64_t off, void *buf, uint64_t len)
{
	int ret = pdma_region_write(r, off, buf, len);

	return ret == -EOPNOTSUPP ? by_engine(r, off, buf, len, true) : ret;
}

static void *buffer(unsigned n)
{
	void *buf = aligned_alloc(4096, n * CHUNK);

	if (!buf)
		pdmai_fail(ENOMEM, "no memory for a buffer");
	return buf;
}

static uint64_t chunk(uint64_t done, uint64_t len)
{
	return len - done < CHUNK ? len - done : CHUNK;
}

/* Join what was found at a later place with what is known. */
static void add_mismatch(struct pdma_mismatch *all, const struct pdma_mismatch *m, uint64_t at)
{
	if (!m->bad_bytes)
		return;
	if (!all->bad_bytes) {
		all->first_off = at + m->first_off;
		all->want = m->want;
		all->got = m->got;
	}
	all->bad_bytes += m->bad_bytes;
	all->last_off = at + m->last_off;
}

static void compare_bytes(const uint8_t *want, const uint8_t *got, uint64_t len,
			  struct pdma_mismatch *m)
{
	*m = (struct pdma_mismatch){ 0 };
	if (!memcmp(want, got, len))
		return;
	for (uint64_t i = 0; i < len; i++) {
		if (want[i] == got[i])
			continue;
		if (!m->bad_bytes++) {
			m->first_off = i;
			m->want = want[i];
			m->got = got[i];
		}
		m->last_off = i;
	}
}

static int verdict(const struct pdma_mismatch *m, struct pdma_mismatch *ret_mismatch)
{
	if (ret_mismatch)
		*ret_mismatch = *m;
	if (!m->bad_bytes)
		return 0;
	return pdmai_fail(EBADMSG, "%llu bytes differ, the first at offset %llu, the last at %llu",
			  (unsigned long long)m->bad_bytes, (unsigned long long)m->first_off,
			  (unsigned long long)m->last_off);
}

int pdma_compare(struct pdma_region *a, uint64_t a_off, struct pdma_region *b, uint64_t b_off,
		 uint64_t len, struct pdma_mismatch *ret_mismatch)
{
	struct pdma_mismatch all = { 0 }, m;
	uint8_t *buf;
	int ret;

	ret = pdmai_region_check_range(a, a_off, len);
	ret = ret ? ret : pdmai_region_check_range(b, b_off, len);
	if (ret)
		return ret;
	buf = buffer(2);
	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < len && !ret; at += CHUNK) {
		uint64_t n = chunk(at, len);

		ret = fetch(a, a_off + at, buf, n);
		ret = ret ? ret : fetch(b, b_off + at, buf + CHUNK, n);
		if (!ret) {
			compare_bytes(buf, buf + CHUNK, n, &m);
			add_mismatch(&all, &m, at);
		}
	}
	free(buf);
	return ret ? ret : verdict(&all, ret_mismatch);
}

int pdma_region_fill(struct pdma_region *r, uint64_t off, uint64_t len, uint64_t seed)
{
	uint8_t *buf;
	int ret;

	ret = pdmai_region_check_range(r, off, len);
	if (ret)
		return ret;
	buf = buffer(1);
	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < len && !ret; at += CHUNK) {
		pdma_pattern_fill(buf, chunk(at, len), seed, at);
		ret = put(r, off + at, buf, chunk(at, len));
	}
	free(buf);
	return ret;
}

int pdma_region_verify(struct pdma_region *r, uint64_t off, uint64_t len, uint64_t seed,
		       struct pdma_mismatch *ret_mismatch)
{
	struct pdma_mismatch all = { 0 };
	uint8_t *buf;
	int ret;

	ret = pdmai_region_check_range(r, off, len);
	if (ret)
		return ret;
	buf = buffer(1);
	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < len && !ret; at += CHUNK) {
		struct pdma_mismatch m = { 0 };

		ret = fetch(r, off + at, buf, chunk(at, len));
		if (!ret) {
			pdma_pattern_check(buf, chunk(at, len), seed, at, &m);
			add_mismatch(&all, &m, at);
		}
	}
	free(buf);
	return ret ? ret : verdict(&all, ret_mismatch);
}

static int run(struct pdma_transfer *t)
{
	int ret;

	do {
		ret = pdma_transfer_poll(t, -1);
	} while (!ret);
	return ret < 0 ? ret : 0;
}

int pdma_copy(struct pdma_region *dst, uint64_t dst_off, struct pdma_region *src, uint64_t src_off,
	      uint64_t len, const struct pdma_copy_options *opt,
	      struct pdma_copy_result *ret_result)
{
	struct pdma_copy_result result = { .size = sizeof(result) };
	struct pdma_transfer *t;
	bool check;
	int ret;

	ret = pdma_transfer_create(dst, dst_off, src, src_off, len, opt, &t);
	if (ret)
		return ret;
	ret = run(t);
	check = t->opt.flags & PDMA_COPY_VERIFY;
	pdma_transfer_get_result(t, &result);
	pdma_transfer_destroy(t);
	if (!ret && check)
		ret = pdma_compare(src, src_off, dst, dst_off, len, &result.mismatch);
	if (ret_result)
		pdmai_info_copy(ret_result, &result, sizeof(result));
	return ret;
}
