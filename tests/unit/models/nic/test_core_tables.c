// SPDX-License-Identifier: MIT
/* Fields, number tables, doorbell sets and page lists: what the rest of the NIC stands on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hw/mlx5_bits.h"
#include "models/nic/buf.h"
#include "models/nic/dbset.h"
#include "models/nic/object.h"

static void field_keeps_its_neighbours(void **state)
{
	uint8_t b[8] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };

	mlx5_set(b, MLX5_F(0x00, 15, 8), 0x123);
	assert_int_equal(mlx5_get32(b, 0), 0xffff23ff);
	assert_int_equal(mlx5_get(b, MLX5_F(0x00, 11, 8)), 0x3);
	mlx5_set(b, MLX5_Q(0x00), 0x0102030405060708ull);
	assert_int_equal(b[0], 1);
	assert_int_equal(b[7], 8);
}

static void table_gives_each_number_once(void **state)
{
	struct nic_table t;
	uint32_t id, i, seen = 0;

	assert_int_equal(nic_table_init(&t, 10, 100), 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(nic_table_reserve(&t, &id), 0);
		assert_in_range(id, 10, 109);
		seen += id;
	}
	assert_int_equal(seen, 100 * 10 + 99 * 100 / 2);
	assert_int_equal(nic_table_reserve(&t, &id), -ENOSPC);
	nic_table_release(&t, 77);
	assert_int_equal(nic_table_reserve(&t, &id), 0);
	assert_int_equal(id, 77);
	nic_table_fini(&t);
}

static void lookup_misses_cleanly(void **state)
{
	struct nic_obj o = { 0 };
	struct nic_table t;

	assert_int_equal(nic_table_init(&t, 0x40, 64), 0);
	assert_int_equal(nic_table_reserve(&t, &o.id), 0);
	assert_null(nic_table_find(&t, o.id));
	nic_table_publish(&t, &o);
	assert_ptr_equal(nic_table_find(&t, 0x40), &o);
	assert_null(nic_table_find(&t, 0x3f));
	assert_null(nic_table_find(&t, 0x41));
	assert_null(nic_table_find(&t, 0x80));
	assert_null(nic_table_find(&t, 0xffffffff));
	nic_table_hide(&t, &o);
	assert_null(nic_table_find(&t, 0x40));
	assert_ptr_equal(nic_table_own(&t, 0x40), &o);
	nic_table_release(&t, o.id);
	assert_null(nic_table_own(&t, 0x40));
	nic_table_fini(&t);
}

static void set_takes_each_number_once(void **state)
{
	static const uint32_t in[] = { 0, 63, 64, 4095, 4096, 8191, 64 };
	bool seen[8192] = { false };
	struct nic_dbset s;
	uint32_t i, n = 0, idx;

	assert_int_equal(nic_dbset_init(&s, 8192), 0);
	assert_false(nic_dbset_take(&s, &idx));
	for (i = 0; i < 7; i++)
		nic_dbset_add(&s, in[i]);
	while (nic_dbset_take(&s, &idx)) {
		assert_true(idx < 8192 && !seen[idx]);
		seen[idx] = true;
		n++;
	}
	assert_int_equal(n, 6);
	for (i = 0; i < 7; i++)
		assert_true(seen[in[i]]);
	nic_dbset_fini(&s);
}

/* One that always comes back must not keep the others waiting. */
static void set_is_fair(void **state)
{
	struct nic_dbset s;
	uint32_t idx, i;
	bool other = false;

	assert_int_equal(nic_dbset_init(&s, 4096), 0);
	nic_dbset_add(&s, 5);
	nic_dbset_add(&s, 4000);
	for (i = 0; i < 2; i++) {
		assert_true(nic_dbset_take(&s, &idx));
		other |= idx == 4000;
		nic_dbset_add(&s, 5);
	}
	assert_true(other);
	nic_dbset_fini(&s);
}

static void page_list_must_cover_the_queue(void **state)
{
	uint8_t pas[16];
	struct nic_buf b;

	mlx5_set64(pas, 0, 0x10000);
	mlx5_set64(pas, 8, 0x30000);
	assert_int_equal(nic_buf_init(&b, pas, 2, 12, 0, 8192), 0);
	assert_int_equal(nic_buf_addr(&b, 4095), 0x10fff);
	assert_int_equal(nic_buf_addr(&b, 4096), 0x30000);
	nic_buf_fini(&b);
	assert_int_equal(nic_buf_init(&b, pas, 2, 12, 0, 8193), -EINVAL);
	/* In units of 1/64 page */
	assert_int_equal(nic_buf_init(&b, pas, 2, 12, 1, 8192), -EINVAL);
	assert_int_equal(nic_buf_init(&b, pas, 2, 12, 1, 8128), 0);
	assert_int_equal(nic_buf_addr(&b, 0), 0x10040);
	nic_buf_fini(&b);
	assert_int_equal(nic_buf_init(&b, pas, 0, 12, 0, 64), -EINVAL);
	assert_int_equal(nic_buf_init(&b, pas, 2, 11, 0, 64), -EINVAL);
	assert_int_equal(nic_buf_init(&b, pas, 2, 200, 0, 64), -EINVAL);
	mlx5_set64(pas, 8, 0x30800);
	assert_int_equal(nic_buf_init(&b, pas, 2, 12, 0, 8192), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_keeps_its_neighbours),
		cmocka_unit_test(table_gives_each_number_once),
		cmocka_unit_test(lookup_misses_cleanly),
		cmocka_unit_test(set_takes_each_number_once),
		cmocka_unit_test(set_is_fair),
		cmocka_unit_test(page_list_must_cover_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
