// SPDX-License-Identifier: MIT
/* The door: atomic words, and memory visited in place. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PG  4096u
#define RAM (1024u * 1024u)
#define RW  (MDL_PROT_READ | MDL_PROT_WRITE)
#define BUS MDL_SPACE_BUS

struct fix {
	struct tdev *a;
	struct tram ram;
	struct mdl_dma d;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->a = tdev_create(tnode_create("n", true, false), "a0");
	tdev_enable(f->a, 0xfe000000, 0x4700000000);
	f->ram = tram_create(RAM);
	tdev_map(f->a, &f->ram, 0, 0, RAM - 2 * PG, RW);
	tdev_map(f->a, &f->ram, RAM - 2 * PG, RAM - 2 * PG, PG, MDL_PROT_READ);
	tdev_map(f->a, &f->ram, RAM - PG, RAM - PG, PG, MDL_PROT_WRITE);
	tdev_window_is_ram(f->a, 0, 0, RAM, 0);
	mdl_dma_begin(&f->d, f->a->dev);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	struct mdl_node *node = f->a->node;

	tdev_destroy(f->a);
	mdl_node_destroy(node);
	tram_destroy(&f->ram);
	free(f);
	return 0;
}

static void words(void **state)
{
	struct fix *f = *state;
	uint64_t v;

	assert_int_equal(mdl_dma_store(&f->d, BUS, 8, 8, UINT64_MAX - 1), 0);
	assert_int_equal(mdl_dma_fetch_add(&f->d, BUS, 8, 8, 3, &v), 0);
	assert_int_equal(v, UINT64_MAX - 1);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 8, 8, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(mdl_dma_cmp_swap(&f->d, BUS, 8, 8, 2, 9, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(mdl_dma_cmp_swap(&f->d, BUS, 8, 8, 1, 9, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(f->ram.mem[8], 9);
	/* Four bytes wrap on their own and leave their neighbour alone. */
	memset(f->ram.mem + 16, 0xff, 8);
	assert_int_equal(mdl_dma_fetch_add(&f->d, BUS, 16, 4, 1, &v), 0);
	assert_int_equal(v, UINT32_MAX);
	assert_memory_equal(f->ram.mem + 16, "\0\0\0\0\xff\xff\xff\xff", 8);
	assert_int_equal(mdl_dma_store(&f->d, MDL_SPACE_LOCAL, TDEV_VRAM - 4, 4, 7), 0);
	assert_int_equal(f->a->vram[TDEV_VRAM - 4], 7);
	assert_int_equal(tcount_bytes(f->a, MDL_CTRL, MDL_T_OWN, true), 4);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_HOST, true), 0);
}

static void bad_words(void **state)
{
	struct fix *f = *state;
	uint64_t v = 77;

	assert_int_equal(mdl_dma_load(&f->d, BUS, 4, 8, &v), -EINVAL);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 2, 4, &v), -EINVAL);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 0, 2, &v), -EINVAL);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 0, 0, &v), -EINVAL);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 2 * RAM, 8, &v), -EFAULT);
	assert_int_equal(f->d.fault_addr, 2 * RAM);
	assert_int_equal(mdl_dma_load(&f->d, MDL_SPACE_LOCAL, TDEV_VRAM, 8, &v), -EFAULT);
	assert_int_equal(mdl_dma_load(&f->d, MDL_SPACE_LINK, 0, 8, &v), -EREMOTEIO);
	assert_int_equal(mdl_dma_store(&f->d, BUS, RAM - 2 * PG, 8, 1), -EACCES);
	assert_int_equal(mdl_dma_load(&f->d, BUS, RAM - PG, 8, &v), -EACCES);
	assert_int_equal(mdl_dma_fetch_add(&f->d, BUS, RAM - PG, 8, 1, &v), -EACCES);
	assert_int_equal(mdl_dma_cmp_swap(&f->d, BUS, RAM - 2 * PG, 8, 0, 1, &v), -EACCES);
	assert_int_equal(v, 77);
	mdl_device_reset(f->a->dev, MDL_RESET_FLR);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 0, 8, &v), -ECANCELED);
}

static void *adder(void *arg)
{
	struct fix *f = arg;
	struct mdl_dma d;
	unsigned i;
	uint64_t v;

	mdl_dma_begin(&d, f->a->dev);
	for (i = 0; i < 20000; i++)
		if (mdl_dma_fetch_add(&d, BUS, 64, 8, 1, &v))
			break;
	return NULL;
}

static void adds_from_threads_all_count(void **state)
{
	struct fix *f = *state;
	pthread_t t[3];
	uint64_t v;
	unsigned i;

	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, adder, f), 0);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(mdl_dma_load(&f->d, BUS, 64, 8, &v), 0);
	assert_int_equal(v, 60000);
}

struct seen {
	uint8_t *to;
	uint64_t len;
	unsigned calls, stop_at;
	bool fill, split;
};

static int visitor(void *arg, void *mem, size_t len)
{
	struct seen *s = arg;

	if (len > MDL_SLICE)
		s->split = true;
	if (++s->calls == s->stop_at)
		return 42;
	if (s->fill)
		memset(mem, 0x33, len);
	else
		memcpy(s->to + s->len, mem, len);
	s->len += len;
	s->split |= s->len % 8 != 0;
	return 0;
}

static int visit(struct fix *f, uint64_t addr, uint64_t len, bool write, struct seen *s)
{
	struct mdl_seg seg = { .addr = addr, .len = len, .space = BUS };

	return mdl_dma_visit(&f->d, &seg, write, MDL_DATA, visitor, s);
}

static void visits_in_order(void **state)
{
	struct fix *f = *state;
	uint8_t *copy = malloc(RAM);
	struct seen s = { .to = copy };
	uint64_t len = RAM - 2 * PG - 8;

	tpat_fill(f->ram.mem + 8, len, 4);
	assert_int_equal(visit(f, 8, len, false, &s), 0);
	assert_int_equal(s.len, len);
	assert_false(s.split);
	assert_true(s.calls >= len / MDL_SLICE);
	assert_int_equal(tpat_check(copy, len, 4), -1);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_HOST, false), len);
	s = (struct seen){ .fill = true };
	assert_int_equal(visit(f, 16, 24, true, &s), 0);
	assert_int_equal(f->ram.mem[16] & f->ram.mem[39], 0x33);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_HOST, true), 24);
	s = (struct seen){ .to = copy, .stop_at = 2 };
	assert_int_equal(visit(f, 0, len, false, &s), 42);
	assert_int_equal(s.calls, 2);
	s = (struct seen){ .to = copy };
	assert_int_equal(visit(f, RAM - PG - 8, 16, false, &s), -EACCES);
	assert_int_equal(f->d.fault_addr, RAM - PG);
	assert_int_equal(visit(f, UINT64_MAX, 2, false, &s), -EFAULT);
	assert_int_equal(visit(f, UINT64_MAX, 0, false, &s), 0);
	free(copy);
}

static void arm(struct fix *f, const char *point, enum mdl_fault_action a, uint64_t after)
{
	assert_int_equal(mdl_fault_arm(f->a->dev, point, a, 3, after, 1, 0), 0);
}

/* A fault changes what is seen or written, never how the visitor goes on. */
static void visits_with_faults(void **state)
{
	struct fix *f = *state;
	uint8_t buf[64];
	struct seen s = { .to = buf };

	memset(f->ram.mem, 0x10, 64);
	arm(f, "dma.host.read", MDL_FAULT_DROP, 1);
	assert_int_equal(visit(f, 0, 8, false, &s), 0);
	assert_int_equal(buf[3], 0x10);
	assert_int_equal(visit(f, 0, 8, false, &s), 0);
	assert_int_equal(buf[8 + 3], 0xff);
	arm(f, "dma.host.read", MDL_FAULT_CORRUPT, 0);
	assert_int_equal(visit(f, 0, 8, false, &s), 0);
	assert_int_equal(buf[16 + 3], 0x11);
	assert_int_equal(f->ram.mem[3], 0x10);
	arm(f, "dma.host.read", MDL_FAULT_ERROR, 0);
	assert_int_equal(visit(f, 0, 8, false, &s), -EIO);
	s = (struct seen){ .fill = true };
	arm(f, "dma.host.write", MDL_FAULT_DROP, 0);
	assert_int_equal(visit(f, 0, 8, true, &s), 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(f->ram.mem[0], 0x10);
	arm(f, "dma.host.write", MDL_FAULT_CORRUPT, 0);
	assert_int_equal(visit(f, 0, 8, true, &s), 0);
	assert_memory_equal(f->ram.mem, "\x33\x33\x33\x32\x33\x33\x33\x33", 8);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(words),	    T(bad_words),	   T(adds_from_threads_all_count),
		T(visits_in_order), T(visits_with_faults),
	};

	return cmocka_run_group_tests_name("door_word", tests, NULL, NULL);
}
