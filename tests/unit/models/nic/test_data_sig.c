// SPDX-License-Identifier: MIT
/* Block signatures on the data path. Layouts typed from RC wqe.h (mlx5_bsf). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"
#include "models/nic/sig.h"

#define MEM    0x6000u /* the key on NIC 0 */
#define WIRE   0x7000u /* the key on NIC 1 */
#define ALL    0xff
#define CRC32  0x22 /* format selectors: repeating, all ones */
#define CRC32C 0x42
#define B512   1
#define B4096  3
#define GUARD  (1u << 13)
#define APPTAG (1u << 12)
#define REFTAG (1u << 11)

static struct nic_qp *a, *b;
static uint8_t bsf[64];

static void put32(uint8_t *p, uint32_t v)
{
	mlx5_set32(p, 0, v);
}

static void begin(uint8_t check)
{
	memset(bsf, 0, sizeof(bsf));
	bsf[0] = 2 << 6;
	bsf[1] = check;
}

static void crc_domain(bool mem, uint8_t format, uint8_t block)
{
	bsf[mem ? 3 : 2] = block;
	bsf[mem ? 12 : 8] = format;
}

static void t10_domain(bool mem, uint8_t block, uint8_t type, uint8_t mode)
{
	uint8_t *p = bsf + (mem ? 48 : 32);

	bsf[mem ? 3 : 2] = block;
	p[0] = 0xc0;
	p[2] = 0xab;
	p[3] = 0xcd;
	put32(p + 4, 0x01234567);
	p[8] = type;
	p[9] = 0x80;
	p[13] = mode;
	p[14] = p[15] = 0xff;
}

/* A key over len bytes at addr, with the signatures of bsf. */
static struct nic_mkey *sig_key(unsigned nic, uint32_t key, uint64_t addr, uint64_t len)
{
	struct nic_mkey *mk = rig_mkey(nic, key, RIG_PD, 0x1f, 0, 0);

	free(mk->mtt);
	mk->mode = NIC_MKEY_KLM;
	mk->klm = calloc(1, sizeof(struct nic_klm));
	mk->klm[0] = (struct nic_klm){ .va = addr, .len = (uint32_t)len, .key = RIG_KEY };
	mk->n_xlt = mk->cap_octo = 1;
	mk->len = len;
	mk->sig = calloc(1, sizeof(*mk->sig));
	pthread_mutex_init(&mk->sig->lock, NULL);
	assert_true(nic_sig_load(mk->sig, bsf));
	mk->sig_on = true;
	return mk;
}

static void setup(void)
{
	rig_pair(NIC_QP_RC, &a, &b);
}

/* The i-th signature error of the log, or NULL. */
static const struct nic_sig_err *error(unsigned i)
{
	unsigned k;

	for (k = 0; k < rig_logged; k++)
		if (rig_log[k].e.opcode == NIC_CQE_SIG_ERR && !i--)
			return rig_log[k].e.sig;
	return NULL;
}

/* From the start of a key of NIC 0. */
static void write_from(uint32_t key, uint32_t len, uint64_t raddr, uint32_t rkey)
{
	struct rig_wqe w;

	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, raddr, rkey);
	rig_sge(&w, 0, len, key);
	rig_post(a, &w);
}

/* Data of n blocks from addr, to the wire with CRC32 added; and back, checked and taken off. */
static void added_and_taken_off(void **state)
{
	const unsigned n = 20;
	unsigned i;

	setup();
	begin(0xf0);
	crc_domain(false, CRC32, B512);
	sig_key(0, MEM, RIG_A, n * 512);
	sig_key(1, WIRE, RIG_B, n * 512);
	rig_fill(RIG_A, n * 512, 1);
	/* As it is on the wire, and through keys on both sides. */
	write_from(MEM, n * 516, RIG_B + 0x100000, RIG_KEY);
	write_from(MEM, n * 516, 0, WIRE);
	rig_run();
	for (i = 0; i < n; i++)
		assert_memory_equal(rig_mem + RIG_B + 0x100000 + i * 516, rig_mem + RIG_A + i * 512,
				    512);
	assert_true(rig_is_filled(RIG_B, n * 512, 1));
	assert_null(error(0));
	/* What lies on the wire after a block is the CRC of it: a wrong one is found. */
	rig_mem[RIG_B + 0x100000 + 3 * 516 + 515] ^= 1;
	rig_send(a, NIC_OP_WRITE, RIG_B + 0x100000, n * 516, 0, WIRE);
	rig_run();
	assert_int_equal(error(0)->syndrome, GUARD);
	assert_int_equal(error(0)->domain, 0);
	assert_int_equal(error(0)->offset, 3 * 516);
	assert_int_equal(error(0)->key, WIRE);
	/* One error only, until a registration says that it was seen. */
	rig_send(a, NIC_OP_WRITE, RIG_B + 0x100000, n * 516, 0, WIRE);
	rig_run();
	assert_null(error(1));
	assert_int_equal(rig_cqes(a, false), 4);
}

/* Known values of a block of zero bytes, as zlib and RFC 3720's polynomial give them. */
static void stored_values(void **state)
{
	static const uint8_t crc32[] = { 0x78, 0x75, 0xaa, 0xb2 };
	static const uint8_t crc32c[] = { 0xc0, 0xed, 0xfc, 0x30 };
	struct nic_mkey *mk;

	setup();
	begin(0);
	crc_domain(false, CRC32, B512);
	mk = sig_key(1, WIRE, RIG_B, 512);
	memset(rig_mem + RIG_B, 0, 512);
	rig_send(a, NIC_OP_READ, RIG_A, 516, 0, WIRE);
	rig_run();
	assert_memory_equal(rig_mem + RIG_A + 512, crc32, 4);
	crc_domain(false, CRC32C, B512);
	assert_true(nic_sig_load(mk->sig, bsf));
	rig_send(a, NIC_OP_READ, RIG_A, 516, 0, WIRE);
	rig_run();
	assert_memory_equal(rig_mem + RIG_A + 512, crc32c, 4);
}

/* Spoil byte at of what is written to the key; the error that comes. */
static const struct nic_sig_err *spoiled(struct nic_mkey *mk, uint32_t at, uint8_t with,
					 uint32_t len, unsigned i)
{
	uint8_t *p = rig_mem + RIG_A + at;

	*p ^= with;
	atomic_store(&mk->sig->reported, false);
	rig_send(a, NIC_OP_WRITE, RIG_A, len, 0, WIRE);
	rig_run();
	*p ^= with;
	return error(i);
}

static void t10_on_the_wire(void **state)
{
	const uint8_t *p = rig_mem + RIG_A;
	const struct nic_sig_err *e;
	struct nic_mkey *mk;
	unsigned i;

	setup();
	begin(ALL);
	t10_domain(false, B512, 1, 0x40);
	mk = sig_key(1, WIRE, RIG_B, 3 * 512);
	rig_fill(RIG_B, 3 * 512, 7);
	rig_send(a, NIC_OP_READ, RIG_A, 3 * 520, 0, WIRE);
	rig_run();
	for (i = 0; i < 3; i++) {
		assert_memory_equal(p + i * 520, rig_mem + RIG_B + i * 512, 512);
		assert_int_equal(p[i * 520 + 514] << 8 | p[i * 520 + 515], 0xabcd);
		assert_int_equal(mlx5_get32(p, i * 520 + 516), 0x01234567 + i);
	}
	/* Back as it is: nothing to complain about. Then each part spoiled in turn. */
	rig_send(a, NIC_OP_WRITE, RIG_A, 3 * 520, 0, WIRE);
	rig_run();
	assert_null(error(0));
	e = spoiled(mk, 520 + 519, 0x10, 3 * 520, 0);
	assert_int_equal(e->syndrome, REFTAG);
	assert_int_equal((uint32_t)e->expected, 0x01234568);
	assert_int_equal((uint32_t)e->actual, 0x01234578);
	assert_int_equal(e->offset, 520);
	assert_int_equal(spoiled(mk, 515, 1, 3 * 520, 1)->syndrome, APPTAG);
	assert_int_equal(spoiled(mk, 100, 1, 3 * 520, 2)->syndrome, GUARD);
	assert_null(error(3));
	/* Bytes that are not to be checked. */
	mk->sig->check = 0xcf;
	assert_null(spoiled(mk, 515, 1, 3 * 520, 3));
}

/* An application tag of all ones says: don't check this block. */
static void t10_escape(void **state)
{
	struct nic_mkey *mk;

	setup();
	begin(ALL);
	t10_domain(false, B512, 2, 0x01);
	mk = sig_key(1, WIRE, RIG_B, 512);
	rig_fill(RIG_A, 520, 3);
	rig_mem[RIG_A + 514] = rig_mem[RIG_A + 515] = 0xff;
	rig_send(a, NIC_OP_WRITE, RIG_A, 520, 0, WIRE);
	rig_run();
	assert_null(error(0));
	assert_non_null(spoiled(mk, 514, 1, 520, 0));
}

/* Signatures in memory: made by who writes, checked by who reads, also piece by piece. */
static void in_memory(void **state)
{
	const unsigned n = 5;
	struct nic_mkey *mk;
	unsigned off;

	setup();
	begin(0xf0);
	crc_domain(true, CRC32C, B4096);
	mk = sig_key(1, WIRE, RIG_B, n * 4100);
	rig_fill(RIG_A, n * 4096, 9);
	for (off = 0; off < n * 4096; off += 1000)
		rig_send(a, NIC_OP_WRITE, RIG_A + off,
			 n * 4096 - off < 1000 ? n * 4096 - off : 1000, off, WIRE);
	rig_run();
	rig_send(a, NIC_OP_READ, RIG_A + 0x100000, n * 4096, 0, WIRE);
	rig_run();
	assert_true(rig_is_filled(RIG_A + 0x100000, n * 4096, 9));
	assert_null(error(0));
	/* Without a look at the signature, and with one. */
	rig_mem[RIG_B + 4100 + 17] ^= 1;
	rig_send(a, NIC_OP_READ, RIG_A, 4000, 4096, WIRE);
	rig_run();
	assert_null(error(0));
	rig_send(a, NIC_OP_READ, RIG_A, n * 4096, 0, WIRE);
	rig_run();
	assert_int_equal(error(0)->syndrome, GUARD);
	assert_int_equal(error(0)->domain, 1);
	assert_int_equal(error(0)->offset, 4100);
	assert_int_equal(rig_cqe(b, true, 0)->opcode, NIC_CQE_SIG_ERR);
	assert_true(mk->sig_on);
}

/* The same on both sides: the guard is made anew or copied, as the guest says. */
static void copied(void **state)
{
	struct nic_mkey *mk;

	setup();
	begin(0);
	t10_domain(true, B512, 1, 0);
	t10_domain(false, B512, 1, 0);
	bsf[0] |= 0x10;
	bsf[2] = 0xc0; /* guard */
	mk = sig_key(1, WIRE, RIG_B, 2 * 520);
	rig_fill(RIG_A, 2 * 520, 5);
	rig_send(a, NIC_OP_WRITE, RIG_A, 2 * 520, 0, WIRE);
	rig_run();
	assert_memory_equal(rig_mem + RIG_B, rig_mem + RIG_A, 514);
	assert_int_equal(rig_mem[RIG_B + 514] << 8 | rig_mem[RIG_B + 515], 0xabcd);
	assert_memory_equal(rig_mem + RIG_B + 520, rig_mem + RIG_A + 520, 514);
	assert_int_equal(mk->sig->copy, 0xc0);
	assert_null(error(0));
}

/* A sender that wants to stop at an error: what is behind waits, the guest is told. */
static void drained(void **state)
{
	struct nic_mkey *mk;

	setup();
	begin(0xf0);
	crc_domain(true, CRC32, B512);
	mk = sig_key(0, MEM, RIG_A, 516);
	rig_fill(RIG_A, 516, 1);
	a->drain_sigerr = true;
	write_from(MEM, 512, RIG_B, RIG_KEY);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B + 4096, RIG_KEY);
	rig_run();
	assert_int_equal(atomic_load(&a->state), NIC_QPS_SQD);
	assert_int_equal(rig_events[0].type, NIC_EV_SQ_DRAINED);
	assert_int_equal(rig_cqes(a, false), 2);
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_SIG_ERR);
	assert_int_equal(rig_cqe(a, false, 1)->opcode, NIC_CQE_REQ);
	assert_true(rig_is_filled(RIG_B, 512, 1));
	assert_true(atomic_load(&mk->sig->reported));
	atomic_store(&a->state, NIC_QPS_RTS);
	nic_qp_kick(a);
	rig_run();
	assert_int_equal(rig_cqes(a, false), 3);
}

static void range(void **state)
{
	struct nic_mkey *mk;

	setup();
	begin(0);
	crc_domain(false, CRC32, B512);
	mk = sig_key(1, WIRE, RIG_B, 1000);
	assert_true(nic_sig_range_ok(mk, 0, 516 + 488));
	assert_false(nic_sig_range_ok(mk, 0, 516 + 489));
	assert_false(nic_sig_range_ok(mk, 1005, 0));
	/* One below another is not for us. */
	mk->klm[0].key = WIRE;
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, 0, WIRE);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_ACCESS);
}

static void register_sig(uint32_t key, uint16_t bsf_octo, bool on)
{
	uint8_t ctrl[48] = { 0x80 }, mkc[64] = { 0 };
	struct rig_wqe w;

	mlx5_set32(ctrl, 4, bsf_octo);
	mlx5_set64(ctrl, 8, 1ull << 12 | 1ull << 9);
	mkc[12] = on ? 0x40 : 0;
	rig_begin(&w, b, NIC_OP_UMR, key);
	rig_raw(&w, ctrl, 48);
	rig_raw(&w, mkc, 64);
	rig_raw(&w, bsf, 64);
	rig_post(b, &w);
	rig_run();
}

/* By a request of the queue pair, as the driver does. */
static void registered(void **state)
{
	struct nic_mkey *mk;
	struct rig_wqe w;

	setup();
	begin(0xf0);
	mk = sig_key(1, WIRE, RIG_B, 512);
	mk->sig_on = false;
	mk->umr_en = true;
	crc_domain(false, CRC32, B512);
	atomic_store(&mk->sig->reported, true);
	register_sig(WIRE, 4, true);
	assert_true(mk->sig_on);
	assert_int_equal(mk->sig->wire.type, NIC_SIG_CRC32);
	assert_false(atomic_load(&mk->sig->reported));
	register_sig(WIRE, 0, false);
	assert_false(mk->sig_on);
	assert_int_equal(rig_cqe(b, false, 1)->opcode, NIC_CQE_REQ);
	/* A state that was never created. */
	rig_begin(&w, b, NIC_OP_SET_PSV, 0);
	rig_raw(&w, bsf, 16);
	rig_post(b, &w);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 2)->syndrome, NIC_S_LOCAL_QP_OP);
}

/* Of a key that was made without room for it. */
static void registered_in_vain(void **state)
{
	struct nic_mkey *mk;

	setup();
	begin(0xf0);
	crc_domain(false, CRC32, B512);
	mk = sig_key(1, WIRE, RIG_B, 512);
	free(mk->sig);
	mk->sig = NULL;
	mk->sig_on = false;
	mk->umr_en = true;
	register_sig(WIRE, 4, true);
	assert_int_equal(rig_cqe(b, false, 0)->syndrome, NIC_S_MW_BIND);
	assert_false(mk->sig_on);
}

static void not_understood(void **state)
{
	struct nic_sig s = { 0 };

	begin(0);
	assert_true(nic_sig_load(&s, bsf));
	assert_false(nic_sig_active(&s));
	crc_domain(true, 0x52, B512); /* CRC64 */
	assert_false(nic_sig_load(&s, bsf));
	crc_domain(true, 0x20, B512); /* not repeating */
	assert_false(nic_sig_load(&s, bsf));
	crc_domain(true, CRC32, 0); /* no block size */
	assert_false(nic_sig_load(&s, bsf));
	crc_domain(true, CRC32, B512);
	crc_domain(false, CRC32, B4096);
	assert_false(nic_sig_load(&s, bsf));
	crc_domain(false, CRC32, B512);
	assert_true(nic_sig_load(&s, bsf));
	bsf[0] = 3 << 6;
	assert_false(nic_sig_load(&s, bsf));
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(added_and_taken_off),
		T(stored_values),
		T(t10_on_the_wire),
		T(t10_escape),
		T(in_memory),
		T(copied),
		T(drained),
		T(range),
		T(registered),
		T(registered_in_vain),
		T(not_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
