// SPDX-License-Identifier: MIT
/* Subnet administration: paths, records, tables in segments, multicast membership. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/mlx5_bits.h"
#include "tests/unit/models/nic/mgmtrig.h"

static uint8_t in[256], out[256];
static uint8_t *const req = in + 56, *const rec = out + 56;

static const uint8_t broadcast[16] = { 0xff, 0x12, 0x40, 0x1b, 0xff, 0xff, 0,	 0,
				       0,    0,	   0,	 0,    0xff, 0xff, 0xff, 0xff };
static const uint8_t group[16] = {
	0xff, 0x12, 0x40, 0x1b, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
};

static void make(uint8_t method, uint16_t attr, uint64_t comps)
{
	memset(in, 0, sizeof(in));
	memset(out, 0xee, sizeof(out));
	in[0] = 1;
	in[1] = 3;
	in[2] = 2;
	in[3] = method;
	mlx5_set64(in, 8, 0xabc00000001);
	mlx5_set32(in, 16, (uint32_t)attr << 16);
	mlx5_set64(in, 48, comps);
}

static void gid_of(const struct nic *nic, uint8_t *gid)
{
	mlx5_set64(gid, 0, 0xfe80000000000000);
	mlx5_set64(gid, 8, nic->port.guid);
}

static unsigned half(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static unsigned ask(struct nic *nic)
{
	assert_true(rig_mad(nic, 1, 1, in, out));
	assert_memory_equal(out + 8, in + 8, 8);
	return half(out + 4);
}

static void class_info(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(1, 1, 0);
	assert_int_equal(ask(a), 0);
	assert_int_equal(out[3], 0x81);
	assert_int_equal(rec[1], 2);
	assert_int_equal(mlx5_get32(rec, 4) >> 5, 1 << 12); /* senders may make groups */
	in[2] = 1;
	assert_int_equal(ask(a), 0x04);
	rig_nic_free(a);
}

static void one_path(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make(1, 0x35, 1 << 2 | 1 << 3 | 1 << 11 | 1 << 12 | 1 << 13);
	gid_of(b, req + 8);
	gid_of(a, req + 24);
	mlx5_set32(req, 48, 0x0081ffff);
	assert_int_equal(ask(a), 0);
	assert_int_equal(half(out + 44), 8);
	assert_memory_equal(rec + 8, req + 8, 32);
	assert_int_equal(half(rec + 40), 3); /* to b */
	assert_int_equal(half(rec + 42), 2);
	assert_int_equal(half(rec + 50), 0xffff);
	assert_int_equal(rec[54], 2 << 6 | 5);	/* MTU exactly 4096 */
	assert_int_equal(rec[55], 2 << 6 | 16); /* 100 Gb/s */
	assert_int_equal(rec[47], 0);		/* no router between */
	rig_driver(b, false);
	assert_int_equal(ask(a), 0x0300);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void path_conditions(void **state)
{
	struct nic *a = rig_nic("n0", true);
	uint64_t ends = 1 << 4 | 1 << 5;

	make(1, 0x35, ends | 1 << 16 | 1 << 17);
	mlx5_set32(req, 40, 2 << 16 | 2);
	mlx5_set32(req, 52, 5 << 8); /* MTU greater than 4096 */
	assert_int_equal(ask(a), 0x0300);
	mlx5_set32(req, 52, 4 << 8);
	assert_int_equal(ask(a), 0);
	mlx5_set32(req, 52, 1 << 14 | 5 << 8); /* less */
	assert_int_equal(ask(a), 0x0300);
	mlx5_set32(req, 52, 3 << 14); /* best */
	assert_int_equal(ask(a), 0);
	make(1, 0x35, ends | 1 << 13);
	mlx5_set32(req, 40, 2 << 16 | 2);
	mlx5_set32(req, 48, 0x8001); /* a partition nobody is in */
	assert_int_equal(ask(a), 0x0300);
	make(1, 0x35, 0); /* more than one */
	assert_int_equal(ask(a), 0x0400);
	rig_nic_free(a);
}

static void bad_requests(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(1, 0x77, 0);
	assert_int_equal(ask(a), 0x0c);
	make(2, 0x35, 0);
	assert_int_equal(ask(a), 0x0c);
	make(0x14, 0x35, 0);
	assert_int_equal(ask(a), 0x08);
	make(0x81, 0x35, 0); /* an answer is not answered */
	assert_false(rig_mad(a, 1, 1, in, out));
	make(1, 1, 0);
	rig_driver(a, false);
	assert_false(rig_mad(a, 1, 1, in, out));
	rig_nic_free(a);
}

/* Whole table by the protocol of segments; returns bytes of payload collected. */
static unsigned collect(struct nic *nic, uint8_t *buf, unsigned size, unsigned window)
{
	unsigned len, got = 0, seg = 1, total;

	assert_int_equal(ask(nic), 0);
	assert_int_equal(out[3], 0x92);
	assert_int_equal(out[24], 1);
	total = mlx5_get32(out, 32);
	for (;;) {
		assert_int_equal(out[25], 1);
		assert_int_equal(mlx5_get32(out, 28), seg);
		assert_int_equal((out[26] & 2) != 0, seg == 1);
		len = out[26] & 4 ? mlx5_get32(out, 32) - 20 : 200;
		if (out[26] & 4 && seg == 1)
			len = total - 20;
		assert_true(len <= 200 && got + len <= size);
		memcpy(buf + got, rec, len);
		got += len;
		if (out[26] & 4)
			break;
		seg++;
		if (rig_mad_more(nic, out))
			continue;
		memcpy(in, out, 56);
		in[3] = 0x12;
		in[25] = 2;
		in[26] = 1;
		mlx5_set32(in, 28, seg - 1);
		mlx5_set32(in, 32, seg - 1 + window);
		assert_true(rig_mad(nic, 1, 1, in, out));
	}
	assert_false(rig_mad_more(nic, out));
	assert_int_equal(total, got + seg * 20);
	return got;
}

static void node_table(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true), *c = rig_nic("n2", true);
	uint8_t buf[1024];

	make(0x12, 0x11, 0);
	assert_int_equal(collect(a, buf, sizeof(buf), 64), 4 * 112);
	assert_int_equal(half(buf), 1);
	assert_int_equal(buf[4 + 2], 2); /* the switch */
	assert_int_equal(half(buf + 112), 2);
	assert_true(mlx5_get64(buf, 112 + 4 + 20) == a->port.guid);
	assert_string_equal((char *)buf + 3 * 112 + 44, "n2 nic0");
	make(0x12, 0x11, 1);
	mlx5_set32(req, 0, 3 << 16);
	assert_int_equal(collect(a, buf, sizeof(buf), 64), 112);
	make(0x12, 0x11, 1);
	mlx5_set32(req, 0, 99 << 16);
	assert_int_equal(collect(a, buf, sizeof(buf), 64), 0);
	rig_nic_free(c);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void tables(void **state)
{
	static const struct {
		uint16_t attr;
		unsigned records, size;
	} t[] = {
		{ 0x12, 41 + 2, 72 }, { 0x14, 1, 24 },	{ 0x18, 1, 32 }, { 0x20, 4, 8 },
		{ 0x30, 3, 72 },      { 0x33, 12, 72 }, { 0x35, 9, 64 }, { 0x38, 1, 56 },
	};
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);
	uint8_t buf[4096];
	unsigned i, window;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (window = 1; window <= 64; window *= 4) {
			make(0x12, t[i].attr, 0);
			assert_int_equal(collect(a, buf, sizeof(buf), window),
					 t[i].records * t[i].size);
			assert_int_equal(half(out + 44), t[i].size / 8);
		}
	}
	rig_nic_free(b);
	rig_nic_free(a);
}

static void bad_acknowledgements(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make(0x12, 0x12, 0); /* 42 port records: 16 segments */
	assert_int_equal(ask(a), 0);
	assert_false(rig_mad_more(a, out));
	in[24] = 1;
	in[25] = 2;
	in[26] = 1;
	mlx5_set32(in, 28, 2); /* not sent yet */
	mlx5_set32(in, 32, 10);
	assert_true(rig_mad(a, 1, 1, in, out));
	assert_int_equal(out[25], 4);
	assert_int_equal(out[27], 123);
	assert_int_equal(out[3], 0x92);
	mlx5_set32(in, 28, 1);
	assert_false(rig_mad(a, 1, 1, in, out)); /* it is over */
	make(0x12, 0x12, 0);
	assert_int_equal(ask(a), 0);
	in[24] = 1;
	in[25] = 2;
	in[26] = 1;
	mlx5_set32(in, 28, 1);
	mlx5_set32(in, 32, 0); /* window below the segment */
	assert_true(rig_mad(a, 1, 1, in, out));
	assert_int_equal(out[27], 122);
	in[25] = 4; /* an abort is not answered */
	assert_false(rig_mad(a, 1, 1, in, out));
	in[25] = 9;
	assert_true(rig_mad(a, 1, 1, in, out));
	assert_int_equal(out[27], 121);
	rig_nic_free(a);
}

static void many_tables_at_once(void **state)
{
	struct nic *a = rig_nic("n0", true);
	unsigned i;

	/* Only the last four are kept, and none leaks. */
	for (i = 0; i < 20; i++) {
		make(0x12, 0x12, 0);
		mlx5_set64(in, 8, i);
		assert_int_equal(ask(a), 0);
		rig_time_pass(1000000);
	}
	in[24] = 1;
	in[25] = 2;
	in[26] = 1;
	mlx5_set32(in, 28, 1);
	mlx5_set32(in, 32, 2);
	mlx5_set64(in, 8, 15);
	assert_false(rig_mad(a, 1, 1, in, out));
	mlx5_set64(in, 8, 16);
	assert_true(rig_mad(a, 1, 1, in, out));
	rig_nic_free(a);
}

#define JOIN_BITS   (1u << 0 | 1u << 1 | 1u << 7 | 1u << 16)
#define CREATE_BITS (JOIN_BITS | 1u << 2 | 1u << 6 | 1u << 12 | 1u << 13)

static void make_member(struct nic *nic, uint8_t method, uint64_t comps, const uint8_t *mgid,
			uint8_t join)
{
	make(method, 0x38, comps);
	memcpy(req, mgid, 16);
	gid_of(nic, req + 16);
	mlx5_set32(req, 32, 0x0b1b);
	mlx5_set32(req, 40, 0xffff0000);
	req[48] = join;
}

static void broadcast_group(void **state)
{
	struct nic *a = rig_nic("n0", true);

	make_member(a, 2, JOIN_BITS, broadcast, 1);
	assert_int_equal(ask(a), 0);
	assert_int_equal(out[3], 0x81);
	assert_int_equal(mlx5_get32(rec, 32), 0x0b1b);
	assert_int_equal(half(rec + 36), 0xc000);
	assert_int_equal(rec[38], 2 << 6 | 5);
	assert_int_equal(rec[48], 0x21);
	make_member(a, 0x15, JOIN_BITS, broadcast, 1);
	assert_int_equal(ask(a), 0);
	assert_int_equal(out[3], 0x95);
	assert_int_equal(ask(a), 0x0200); /* not a member any more */
	rig_nic_free(a);
}

static void make_and_end_group(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make_member(a, 2, JOIN_BITS, group, 1);
	assert_int_equal(ask(a), 0x0600);
	make_member(a, 2, CREATE_BITS, group, 4); /* only sends */
	assert_int_equal(ask(a), 0x0200);
	make_member(a, 2, CREATE_BITS, group, 1);
	assert_int_equal(ask(a), 0);
	assert_int_equal(half(rec + 36), 0xc001);
	make_member(b, 2, CREATE_BITS, group, 1);
	mlx5_set32(req, 32, 0x1234); /* another key */
	assert_int_equal(ask(b), 0x0200);
	mlx5_set32(req, 32, 0x0b1b);
	assert_int_equal(ask(b), 0);
	assert_int_equal(half(rec + 36), 0xc001);
	make(0x12, 0x38, 1);
	memcpy(req, group, 16);
	assert_int_equal(ask(a), 0);
	assert_int_equal(mlx5_get32(out, 32), 20 + 2 * 56);
	make_member(a, 0x15, JOIN_BITS, group, 1);
	assert_int_equal(ask(a), 0);
	rig_driver(b, false); /* a port that goes down leaves */
	make(0x12, 0x38, 1);
	memcpy(req, group, 16);
	assert_int_equal(ask(a), 0);
	assert_int_equal(mlx5_get32(out, 32), 20);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void bad_members(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);

	make_member(b, 2, CREATE_BITS, group, 1); /* for another's port */
	assert_int_equal(ask(a), 0x0500);
	make_member(a, 2, CREATE_BITS, group, 0);
	assert_int_equal(ask(a), 0x0200);
	make_member(a, 2, CREATE_BITS & ~(1u << 16), group, 1);
	assert_int_equal(ask(a), 0x0600);
	make_member(a, 2, CREATE_BITS, group, 1);
	req[0] = 0xfe; /* not a multicast GID */
	assert_int_equal(ask(a), 0x0200);
	make_member(a, 2, CREATE_BITS, group, 1);
	mlx5_set32(req, 40, 0x80010000); /* partition */
	assert_int_equal(ask(a), 0x0200);
	make_member(a, 2, CREATE_BITS & ~1u, group, 1); /* the SA picks the GID */
	assert_int_equal(ask(a), 0);
	assert_int_equal(rec[0], 0xff);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void groups_are_bounded(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);
	uint8_t mgid[16];
	unsigned i;

	memcpy(mgid, group, 16);
	for (i = 0; i < 100; i++) {
		mgid[14] = (uint8_t)i;
		make_member(a, 2, CREATE_BITS, mgid, 1);
		assert_int_equal(ask(a), 0);
	}
	mgid[14] = (uint8_t)i;
	make_member(a, 2, CREATE_BITS, mgid, 1);
	assert_int_equal(ask(a), 0x0100);
	assert_int_equal(nic_net_attach(a, mgid, 0x50), -ENOSPC);
	make_member(b, 2, CREATE_BITS, mgid, 1);
	assert_int_equal(ask(b), 0);
	mgid[14] = 0;
	make_member(a, 0x15, JOIN_BITS, mgid, 1);
	assert_int_equal(ask(a), 0);
	make_member(a, 2, CREATE_BITS, mgid, 1);
	assert_int_equal(ask(a), 0);
	rig_nic_free(b);
	rig_nic_free(a);
}

struct heard {
	struct nic *nic[8];
	uint32_t qpn[8];
	unsigned n;
};

static void hear(void *arg, struct nic *nic, uint32_t qpn)
{
	struct heard *h = arg;

	assert_true(h->n < 8);
	h->nic[h->n] = nic;
	h->qpn[h->n++] = qpn;
}

static unsigned heard_by(struct nic *from, const uint8_t *mgid, uint16_t mlid, struct heard *h)
{
	h->n = 0;
	nic_net_mcast(from, mgid, mlid, hear, h);
	return h->n;
}

static void replication(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);
	struct heard h;

	assert_int_equal(nic_net_attach(b, broadcast, 0x41), 0);
	assert_int_equal(nic_net_attach(b, broadcast, 0x41), 0); /* once is enough */
	assert_int_equal(nic_net_attach(b, broadcast, 0x42), 0);
	assert_int_equal(nic_net_attach(a, broadcast, 0x43), 0);
	assert_int_equal(heard_by(a, broadcast, 0xc000, &h), 1); /* b's port has not joined */
	assert_ptr_equal(h.nic[0], a);
	make_member(b, 2, JOIN_BITS, broadcast, 1);
	assert_int_equal(ask(b), 0);
	assert_int_equal(heard_by(a, broadcast, 0xc000, &h), 3);
	assert_int_equal(heard_by(a, broadcast, 0xc001, &h), 1); /* another group's LID */
	assert_int_equal(heard_by(a, group, 0xc000, &h), 0);
	assert_int_equal(nic_net_detach(b, broadcast, 0x41), 0);
	assert_int_equal(nic_net_detach(b, broadcast, 0x41), -ENOENT);
	assert_int_equal(heard_by(a, broadcast, 0xc000, &h), 2);
	make_member(b, 2, JOIN_BITS, broadcast, 1);
	nic_net_detach_all(b, 0x42);
	assert_int_equal(heard_by(a, broadcast, 0xc000, &h), 1);
	nic_net_detach_all(a, 0xffffff);
	assert_int_equal(heard_by(a, broadcast, 0xc000, &h), 0);
	rig_nic_free(b);
	rig_nic_free(a);
}

static void senders_do_not_hear(void **state)
{
	struct nic *a = rig_nic("n0", true), *b = rig_nic("n1", true);
	struct heard h;

	make_member(b, 2, CREATE_BITS, group, 8);
	assert_int_equal(ask(b), 0);
	assert_int_equal(nic_net_attach(b, group, 0x41), 0);
	assert_int_equal(heard_by(a, group, 0xc001, &h), 0);
	make_member(b, 2, CREATE_BITS, group, 2);
	assert_int_equal(ask(b), 0);
	assert_int_equal(rec[48] & 15, 10);
	assert_int_equal(heard_by(a, group, 0xc001, &h), 1);
	assert_int_equal(h.qpn[0], 0x41);
	rig_driver(b, false);
	assert_int_equal(heard_by(a, group, 0xc001, &h), 0);
	rig_nic_free(b);
	rig_nic_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(class_info),		cmocka_unit_test(one_path),
		cmocka_unit_test(path_conditions),	cmocka_unit_test(bad_requests),
		cmocka_unit_test(node_table),		cmocka_unit_test(tables),
		cmocka_unit_test(bad_acknowledgements), cmocka_unit_test(many_tables_at_once),
		cmocka_unit_test(broadcast_group),	cmocka_unit_test(make_and_end_group),
		cmocka_unit_test(bad_members),		cmocka_unit_test(groups_are_bounded),
		cmocka_unit_test(replication),		cmocka_unit_test(senders_do_not_hear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
