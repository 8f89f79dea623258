// SPDX-License-Identifier: MIT
/* Subnet and performance management: attributes of NICs and switch, routes, counters, links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/mlx5_bits.h"
#include "tests/unit/models/nic/mgmtrig.h"

static uint8_t in[256], out[256];

static void make(uint8_t cls, uint8_t method, uint16_t attr, uint32_t mod)
{
	memset(in, 0, sizeof(in));
	memset(out, 0xee, sizeof(out));
	in[0] = 1;
	in[1] = cls;
	in[2] = 1;
	in[3] = method;
	mlx5_set64(in, 8, 0x1122334455667788);
	mlx5_set32(in, 16, (uint32_t)attr << 16);
	mlx5_set32(in, 20, mod);
}

static void make_route(uint8_t method, uint16_t attr, uint32_t mod, uint8_t hops, uint8_t port)
{
	make(0x81, method, attr, mod);
	in[6] = hops ? 1 : 0;
	in[7] = hops;
	mlx5_set32(in, 32, 0xffffffff);
	in[128 + 1] = 1;
	in[128 + 2] = port;
}

static unsigned status(void)
{
	return (mlx5_get32(out, 4) >> 16) & 0x7fff;
}

static unsigned half(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void local_node_info(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x01, 1, 0x11, 0);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(out[3], 0x81);
	assert_int_equal(status(), 0);
	assert_memory_equal(out + 8, in + 8, 8); /* transaction */
	assert_int_equal(out[66], 1);		 /* channel adapter */
	assert_int_equal(out[67], 1);		 /* one port */
	assert_true(mlx5_get64(out, 64 + 12) == a->port.guid);
	assert_int_equal(out[64 + 36], 1);
	make(0x01, 1, 0x10, 0);
	assert_true(nic_mad_local(a, in, out));
	assert_string_equal((char *)out + 64, "n0 nic0");
	rig_nic_free(a);
}

static void local_port_info(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x01, 1, 0x15, 1);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(half(out + 64 + 16), 2); /* the first LID */
	assert_int_equal(half(out + 64 + 18), 1); /* the SM's */
	assert_int_equal(out[64 + 31], 2);	  /* 4x */
	assert_int_equal(out[64 + 32] & 15, 4);	  /* active */
	assert_int_equal(out[64 + 33] >> 4, 5);	  /* link up */
	assert_int_equal(out[64 + 36] >> 4, 5);	  /* 4096 */
	assert_int_equal(out[64 + 62] >> 4, 2);	  /* EDR */
	assert_true(mlx5_get64(out, 64 + 8) == 0xfe80000000000000);
	assert_true(mlx5_get64(out, 64) == 0); /* the key is not told */
	make(0x01, 1, 0x15, 2);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x1c);
	rig_nic_free(a);
}

static void local_tables(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x01, 1, 0x16, 0);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(half(out + 64), 0xffff);
	assert_int_equal(half(out + 66), 0);
	make(0x01, 1, 0x16, 4);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x1c);
	make(0x01, 1, 0x14, 0);
	assert_true(nic_mad_local(a, in, out));
	assert_true(mlx5_get64(out, 64) == a->port.guid);
	make(0x01, 1, 0xff00, 1);
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x0c);
	make(0x01, 1, 0x12, 0); /* no switch */
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x0c);
	rig_nic_free(a);
}

static void not_for_agents(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x07, 3, 0x10, 0); /* connection manager */
	assert_false(nic_mad_local(a, in, out));
	make(0x01, 0x81, 0x11, 0); /* an answer */
	assert_false(nic_mad_local(a, in, out));
	make(0x01, 1, 0x11, 0);
	in[0] = 2;
	assert_false(nic_mad_local(a, in, out));
	make(0x01, 1, 0x11, 0);
	in[2] = 9;
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x04);
	rig_nic_free(a);
}

static void own_port_down_and_up(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make(0x01, 2, 0x15, 1);
	in[64 + 33] = 3 << 4; /* disable */
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(out[64 + 32] & 15, 1);
	assert_int_equal(out[64 + 33] >> 4, 3);
	assert_int_equal(rig_events(a), 1 << 1);
	assert_null(nic_net_find_lid(b, 2));
	in[64 + 33] = 2 << 4;
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(out[64 + 32] & 15, 4);
	assert_int_equal(rig_events(a), 1 << 4);
	assert_ptr_equal(nic_net_find_lid(b, 2), a);
	/* The same by way of QP0. */
	in[64 + 33] = 3 << 4;
	assert_true(rig_mad(a, 0, 2, in, out));
	assert_int_equal(status(), 0);
	assert_null(nic_net_find_lid(b, 2));
	in[64 + 33] = 2 << 4;
	assert_true(nic_mad_local(a, in, out));
	/* A driver that comes anew finds the port up. */
	in[64 + 33] = 3 << 4;
	assert_true(nic_mad_local(a, in, out));
	rig_driver(a, false);
	rig_driver(a, true);
	assert_ptr_equal(nic_net_find_lid(b, 2), a);
	/* Another's port is not his to set. */
	in[64 + 33] = 3 << 4;
	assert_true(rig_mad(b, 0, 2, in, out));
	assert_int_equal(status(), 0x1c);
	assert_ptr_equal(nic_net_find_lid(b, 2), a);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void switch_by_lid(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x01, 1, 0x11, 0);
	assert_true(rig_mad(a, 0, 1, in, out));
	assert_int_equal(out[66], 2);
	assert_int_equal(out[67], 40);
	make(0x01, 1, 0x20, 0); /* sminfo */
	assert_true(rig_mad(a, 0, 1, in, out));
	assert_int_equal(status(), 0);
	assert_int_equal(out[64 + 20] & 15, 3); /* master */
	make(0x01, 1, 0x15, 0);
	assert_true(rig_mad(a, 0, 1, in, out));
	assert_int_equal(half(out + 64 + 16), 1);
	assert_true(mlx5_get32(out, 64 + 20) & 2); /* is the SM */
	make(0x01, 1, 0x19, 0);
	assert_true(rig_mad(a, 0, 1, in, out));
	assert_int_equal(out[64 + 1], 0);
	assert_int_equal(out[64 + 2], 1);
	assert_int_equal(out[64 + 3], 0xff);
	make(0x01, 1, 0x11, 0);
	assert_false(rig_mad(a, 1, 1, in, out)); /* not on QP1 */
	assert_false(rig_mad(a, 0, 9, in, out)); /* nobody there */
	rig_nic_free(a);
}

static void directed_routes(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make_route(1, 0x11, 0, 1, 0); /* the switch */
	assert_true(rig_mad(a, 0, 0xffff, in, out));
	assert_int_equal(out[66], 2);
	assert_int_equal(out[64 + 36], 1); /* we came in by its port 1 */
	assert_int_equal(out[4] & 0x80, 0x80);
	assert_int_equal(out[6], 1);
	assert_int_equal(out[192 + 1], 1);
	make_route(1, 0x11, 0, 2, 2); /* through it to b */
	assert_true(rig_mad(a, 0, 0xffff, in, out));
	assert_int_equal(out[66], 1);
	assert_true(mlx5_get64(out, 64 + 20) == b->port.guid);
	assert_int_equal(out[192 + 2], 1);
	make_route(1, 0x15, 2, 1, 0); /* the switch's end of b's cable, and an empty one */
	assert_true(rig_mad(a, 0, 0xffff, in, out));
	assert_int_equal(out[64 + 32] & 15, 4);
	make_route(1, 0x15, 3, 1, 0);
	assert_true(rig_mad(a, 0, 0xffff, in, out));
	assert_int_equal(out[64 + 32] & 15, 1);
	make_route(1, 0x11, 0, 2, 3); /* to nobody */
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	rig_nic_free(b);
	rig_nic_free(a);
}

static void bad_routes(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make_route(1, 0x11, 0, 3, 2); /* a NIC passes nothing on */
	in[128 + 3] = 1;
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 64, 2);
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 255, 2);
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 2, 0); /* port 0 leads nowhere */
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 2, 255);
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 1, 0);
	in[128 + 1] = 2; /* the NIC has no port 2 */
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	make_route(1, 0x11, 0, 1, 0);
	in[6] = 2;
	assert_false(rig_mad(a, 0, 0xffff, in, out));
	rig_nic_free(b);
	rig_nic_free(a);
}

static void counters(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	nic_port_count_add(&a->port, NIC_PC_XMIT_DATA, 0x123456789);
	nic_port_count_add(&a->port, NIC_PC_RCV_PKTS, 7);
	nic_port_count_add(&a->port, NIC_PC_SYMBOL_ERR, 70000);
	make(0x04, 1, 0x12, 0);
	in[65] = 1;
	assert_true(rig_mad(b, 1, 2, in, out));
	assert_int_equal(out[65], 1);
	assert_int_equal(half(out + 64 + 4), 0xffff);		/* sticks */
	assert_int_equal(mlx5_get32(out, 64 + 24), 0xffffffff); /* sticks */
	assert_int_equal(mlx5_get32(out, 64 + 36), 7);
	make(0x04, 1, 0x1d, 0);
	in[65] = 1;
	assert_true(rig_mad(b, 1, 2, in, out));
	assert_true(mlx5_get64(out, 64 + 8) == 0x123456789);
	/* The switch's port 1 sees it from the other side. */
	assert_true(rig_mad(b, 1, 1, in, out));
	assert_true(mlx5_get64(out, 64 + 16) == 0x123456789);
	in[65] = 41;
	assert_true(rig_mad(b, 1, 1, in, out));
	assert_int_equal(status(), 0x1c);
	make(0x04, 1, 0x01, 0);
	assert_true(rig_mad(b, 1, 2, in, out));
	assert_int_equal(half(out + 66), 0x1300);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void counters_reset(void **state)
{
	struct nic *a = rig_nic("n0", true);

	nic_port_count_add(&a->port, NIC_PC_XMIT_PKTS, 5);
	nic_port_count_add(&a->port, NIC_PC_RCV_PKTS, 6);
	make(0x04, 2, 0x12, 0);
	in[65] = 1;
	in[66] = 0x40; /* sent packets only */
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(mlx5_get32(out, 64 + 32), 0);
	assert_int_equal(mlx5_get32(out, 64 + 36), 6);
	nic_port_count_add(&a->port, NIC_PC_XMIT_PKTS, 2);
	in[3] = 1;
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(mlx5_get32(out, 64 + 32), 2);
	/* The extended ones have a reset of their own. */
	make(0x04, 1, 0x1d, 0);
	in[65] = 1;
	assert_true(nic_mad_local(a, in, out));
	assert_true(mlx5_get64(out, 64 + 24) == 7);
	/* When the driver clears them we do not show a huge number. */
	atomic_store(&a->port.count[NIC_PC_XMIT_PKTS], 1);
	make(0x04, 1, 0x12, 0);
	in[65] = 1;
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(mlx5_get32(out, 64 + 32), 1);
	in[65] = 2;
	assert_true(nic_mad_local(a, in, out));
	assert_int_equal(status(), 0x1c);
	rig_nic_free(a);
}

static void cables(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true), *c = rig_nic("n2", true);

	assert_ptr_equal(nic_net_find_lid(a, 3), b);
	rig_cable(a, b);
	assert_ptr_equal(nic_net_find_lid(a, 3), b);
	assert_ptr_equal(nic_net_find_lid(a, 2), a);
	assert_null(nic_net_find_lid(a, 4)); /* c hangs on the other switch */
	assert_null(nic_net_find_lid(c, 2));
	rig_events(a);
	rig_cable_set(a, false);
	assert_int_equal(rig_events(a), 1 << 1);
	assert_int_equal(atomic_load(&b->port.state), NIC_PS_DOWN);
	assert_int_equal(atomic_load(&b->port.count[NIC_PC_LINK_DOWNED]), 1);
	assert_null(nic_net_find_lid(a, 3));
	assert_null(nic_net_find_lid(a, 2));
	rig_cable_set(a, true);
	assert_ptr_equal(nic_net_find_lid(a, 3), b);
	rig_nic_free(b);
	assert_null(nic_net_find_lid(a, 3));
	assert_null(nic_net_find_lid(a, 4));
	rig_nic_free(c);
	rig_nic_free(a);
}

static void driver_and_lids(void **state)
{
	struct nic *n[41];
	unsigned i;

	for (i = 0; i < 40; i++) {
		n[i] = rig_nic("n", i & 1);
		assert_non_null(n[i]);
		assert_int_equal(atomic_load(&n[i]->port.lid), i + 2);
	}
	assert_null(rig_nic("too many", true));
	assert_null(nic_net_find_lid(n[1], 2)); /* its driver is not up */
	assert_ptr_equal(nic_net_find_lid(n[1], 5), n[3]);
	assert_null(nic_net_find_lid(n[1], 0));
	assert_null(nic_net_find_lid(n[1], 1));
	assert_null(nic_net_find_lid(n[1], 42));
	assert_null(nic_net_find_lid(n[1], 0xffff));
	for (i = 0; i < 40; i++)
		rig_nic_free(n[i]);
}

static void rate_is_bounded(void **state)
{
	struct nic *a = rig_nic("n0", true);
	unsigned i, busy = 0;

	make(0x01, 1, 0x11, 0);
	for (i = 0; i < 2100; i++) {
		assert_true(rig_mad(a, 0, 1, in, out));
		busy += status() == 1;
	}
	assert_int_equal(busy, 100);
	rig_time_pass(1000000);
	assert_true(rig_mad(a, 0, 1, in, out));
	assert_int_equal(status(), 0);
	rig_nic_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_node_info),
		cmocka_unit_test(local_port_info),
		cmocka_unit_test(local_tables),
		cmocka_unit_test(not_for_agents),
		cmocka_unit_test(own_port_down_and_up),
		cmocka_unit_test(switch_by_lid),
		cmocka_unit_test(directed_routes),
		cmocka_unit_test(bad_routes),
		cmocka_unit_test(counters),
		cmocka_unit_test(counters_reset),
		cmocka_unit_test(cables),
		cmocka_unit_test(driver_and_lids),
		cmocka_unit_test(rate_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
