// SPDX-License-Identifier: MIT
/* Memory keys on the data path: indirect ones, UMR, windows, page faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "datarig.h"

static struct nic_qp *a, *b;

/* Masks and flags typed from KH device.h and RC mlx5dv.h. */
#define UMR_INLINE     0x80
#define UMR_CHECK_FREE 0x20
#define MASK_BIND      (1ull << 0 | 1ull << 6 | 1ull << 13 | 1ull << 14 | 0xfull << 18 | 1ull << 29)

static void add_umr(struct rig_wqe *w, uint8_t flags, uint16_t octo, uint64_t mask,
		    const uint8_t mkc[64])
{
	uint8_t c[48] = { flags };

	mlx5_set32(c, 4, (uint32_t)octo << 16);
	mlx5_set64(c, 8, mask);
	rig_raw(w, c, 48);
	rig_raw(w, mkc, 64);
}

static struct nic_mkey *klm_key(unsigned nic, uint32_t key, uint8_t mode, unsigned n)
{
	struct nic_mkey *mk = rig_mkey(nic, key, RIG_PD, 0x1f, 0, 0);

	free(mk->mtt);
	mk->mode = mode;
	mk->klm = calloc(n, sizeof(struct nic_klm));
	mk->n_xlt = mk->cap_octo = n;
	return mk;
}

static void list_of_ranges(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 3);

	rig_pair(NIC_QP_RC, &a, &b);
	mk->start = 0x1000;
	mk->len = 3000;
	mk->klm[0] = (struct nic_klm){ .va = RIG_B, .len = 1000, .key = RIG_KEY };
	mk->klm[1] = (struct nic_klm){ .va = RIG_B + 9000, .len = 500, .key = RIG_KEY };
	mk->klm[2] = (struct nic_klm){ .va = RIG_B + 5000, .len = 1500, .key = RIG_KEY };
	rig_fill(RIG_A, 3000, 1);
	rig_send(a, NIC_OP_WRITE, RIG_A, 3000, 0x1000, 0x6000);
	rig_send(a, NIC_OP_READ, RIG_A + 0x10000, 3000, 0x1000, 0x6000);
	rig_run();
	assert_true(rig_is_filled(RIG_B, 1000, 1));
	assert_memory_equal(rig_mem + RIG_B + 9000, rig_mem + RIG_A + 1000, 500);
	assert_memory_equal(rig_mem + RIG_B + 5000, rig_mem + RIG_A + 1500, 1500);
	assert_true(rig_is_filled(RIG_A + 0x10000, 3000, 1));
}

/* Words as RC's mlx5_wqe_umr_repeat_block_seg has them. */
static void list_that_repeats(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 4);
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	mk->len = 3 * 12 + 100;
	mk->klm[0] = (struct nic_klm){ .len = 12, .key = 0x400, .va = 3ull << 32 | 2 };
	mk->klm[1] = (struct nic_klm){ .len = 10 << 16 | 8, .key = RIG_KEY, .va = RIG_B };
	mk->klm[2] = (struct nic_klm){ .len = 64 << 16 | 4, .key = RIG_KEY, .va = RIG_B + 4096 };
	mk->klm[3] = (struct nic_klm){ .len = 100, .key = RIG_KEY, .va = RIG_B + 8192 };
	rig_fill(RIG_A, 136, 1);
	rig_send(a, NIC_OP_WRITE, RIG_A, 136, 0, 0x6000);
	rig_send(a, NIC_OP_READ, RIG_A + 0x1000, 30, 10, 0x6000);
	rig_run();
	for (i = 0; i < 3; i++) {
		assert_memory_equal(rig_mem + RIG_B + i * 10, rig_mem + RIG_A + i * 12, 8);
		assert_memory_equal(rig_mem + RIG_B + 4096 + i * 64, rig_mem + RIG_A + i * 12 + 8,
				    4);
	}
	assert_memory_equal(rig_mem + RIG_B + 8192, rig_mem + RIG_A + 36, 100);
	assert_memory_equal(rig_mem + RIG_A + 0x1000, rig_mem + RIG_A + 10, 30);
	/* One with an empty piece covers nothing. */
	mk->klm[2].len = 64 << 16;
	rig_send(a, NIC_OP_WRITE, RIG_A, 136, 0, 0x6000);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 2)->syndrome, NIC_S_REMOTE_ACCESS);
}

static void endless_nesting(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 1);

	rig_pair(NIC_QP_RC, &a, &b);
	mk->len = 4096;
	mk->klm[0] = (struct nic_klm){ .va = 0, .len = 4096, .key = 0x6000 };
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, 0, 0x6000);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_ACCESS);
}

static void null_key(void **state)
{
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	rig_fill(RIG_B, 5000, 1);
	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, RIG_B, RIG_KEY);
	rig_sge(&w, 0, 5000, NIC_KEY_NULL);
	rig_post(a, &w);
	rig_send(a, NIC_OP_READ, RIG_A, 8, RIG_B + 4096, RIG_KEY);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
	assert_int_equal(rig_mem[RIG_B], 0);
	assert_int_equal(rig_mem[RIG_B + 4999], 0);
}

static void post_bind(struct nic_qp *qp, uint32_t key, uint8_t variant, uint64_t addr, uint32_t len,
		      uint8_t flags)
{
	uint8_t mkc[64] = { 0 }, klm[64] = { 0 };
	struct rig_wqe w;

	mkc[2] = 0x20 | 0x10; /* remote write and read */
	mlx5_set32(mkc, 4, qp->obj.id << 8 | variant);
	mlx5_set64(mkc, 0x10, addr);
	mlx5_set64(mkc, 0x18, len);
	mlx5_set32(klm, 0, len);
	mlx5_set32(klm, 4, RIG_KEY);
	mlx5_set64(klm, 8, addr);
	rig_begin(&w, qp, NIC_OP_UMR, key);
	add_umr(&w, (uint8_t)(UMR_INLINE | flags), 4, MASK_BIND, mkc);
	rig_raw(&w, klm, 64);
	rig_post(qp, &w);
}

static void window(void **state)
{
	struct nic_mkey *mw = klm_key(1, 0x6000, NIC_MKEY_KLM, 4);

	mw->umr_en = mw->free = mw->rinval_en = true;
	mw->access = NIC_ACC_LOCAL_READ;
	rig_pair(NIC_QP_RC, &a, &b);
	post_bind(b, 0x6000, 0x5a, RIG_B, 4096, UMR_CHECK_FREE);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 0)->opcode, NIC_CQE_REQ);
	assert_int_equal(rig_cqe(b, false, 0)->wqe_opcode, NIC_OP_UMR);
	rig_fill(RIG_A, 4096, 3);
	rig_send(a, NIC_OP_WRITE, RIG_A, 4096, RIG_B, 0x605a);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
	assert_true(rig_is_filled(RIG_B, 4096, 3));
	/* Gone after a send that invalidates it. */
	rig_recv(b, RIG_B + 0x10000, 64, RIG_KEY);
	{
		struct rig_wqe w;

		rig_begin(&w, a, NIC_OP_SEND_INVAL, 0x605a);
		rig_sge(&w, RIG_A, 8, RIG_KEY);
		rig_post(a, &w);
	}
	rig_run();
	assert_int_equal(rig_cqe(b, true, 0)->opcode, NIC_CQE_RESP_SEND_INV);
	assert_int_equal(rig_cqe(b, true, 0)->imm_inval, 0x605a);
	assert_true(mw->free);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, 0x605a);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 2)->syndrome, NIC_S_REMOTE_ACCESS);
}

static void window_bound_twice(void **state)
{
	struct nic_mkey *mw = klm_key(1, 0x6000, NIC_MKEY_KLM, 4);

	mw->umr_en = true;
	rig_pair(NIC_QP_RC, &a, &b);
	post_bind(b, 0x6000, 0, RIG_B, 4096, UMR_CHECK_FREE);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 0)->syndrome, NIC_S_MW_BIND);
}

/* By a queue pair the key is not bound to; keys of all queue pairs are bound to each. */
static void invalidated_locally(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 4);
	uint8_t mkc[64] = { 0x40 }; /* free */
	struct rig_wqe w;
	unsigned i;

	mk->umr_en = true;
	rig_pair(NIC_QP_RC, &a, &b);
	mlx5_set32(mkc, 4, 0xffffff00);
	for (i = 0; i < 2; i++) {
		mk->qpn = i ? 0x77 : 0xffffff;
		mk->free = false;
		rig_begin(&w, b, NIC_OP_UMR, 0x6000);
		add_umr(&w, UMR_INLINE | 0x08, 0, 1ull << 29 | 1 << 13 | 1 << 14, mkc);
		rig_post(b, &w);
		rig_run();
		assert_int_equal(mk->free, !i);
	}
	assert_int_equal(rig_cqe(b, false, 0)->opcode, NIC_CQE_REQ);
	assert_int_equal(rig_cqe(b, false, 1)->syndrome, NIC_S_MW_BIND);
}

/* A page list in guest memory, by the driver's queue; and the same by a user's, refused. */
static void fast_registration(void **state)
{
	struct nic_mkey *mk = rig_mkey(1, 0x6000, RIG_PD, 0, 0, 8 * 4096);
	uint8_t mkc[64] = { 0 };
	struct rig_wqe w;
	unsigned i;

	mk->umr_en = mk->free = true;
	rig_pair(NIC_QP_RC, &a, &b);
	for (i = 0; i < 8; i++)
		mlx5_set64(rig_mem, RIG_A + i * 8, (RIG_B + (7 - i) * 8192) | 3);
	mkc[2] = 0x7c;
	mlx5_set32(mkc, 4, 0xffffff00 | 0x11);
	mlx5_set64(mkc, 0x10, 0x70000000);
	mlx5_set64(mkc, 0x18, 8 * 4096);
	mlx5_set32(mkc, 0x38, 12);
	for (i = 0; i < 2; i++) {
		b->rlky = i;
		rig_begin(&w, b, NIC_OP_UMR, 0x6000);
		add_umr(&w, UMR_CHECK_FREE, 4, 1 | 2 | 1 << 6 | 1 << 13 | 0x1f << 17 | 1 << 29,
			mkc);
		rig_sge(&w, RIG_A, 64, RIG_KEY);
		rig_post(b, &w);
		rig_run();
		if (!i) {
			assert_int_equal(rig_cqe(b, false, 0)->syndrome, NIC_S_MW_BIND);
			assert_true(mk->free);
			b = rig_qp(1, 0x51, NIC_QP_RC, 0, 0x40);
			a->attr.dqpn = 0x51;
		}
	}
	rig_fill(RIG_A, 8 * 4096, 6);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8 * 4096, 0x70000000, 0x6011);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
	for (i = 0; i < 8; i++)
		assert_memory_equal(rig_mem + RIG_B + (7 - i) * 8192, rig_mem + RIG_A + i * 4096,
				    4096);
}

static void umr_list_too_long(void **state)
{
	struct nic_mkey *mw = klm_key(1, 0x6000, NIC_MKEY_KLM, 2);

	mw->umr_en = mw->free = true;
	mw->cap_octo = 0;
	rig_pair(NIC_QP_RC, &a, &b);
	post_bind(b, 0x6000, 0, RIG_B, 4096, 0);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 0)->syndrome, NIC_S_MW_BIND);
	assert_true(mw->free);
}

/*
 * The list comes through a key that leads to the one being changed, which is held for writing: the
 * request fails, and leaves no lock behind. Through one somebody else is changing: it waits.
 */
static void umr_list_through_keys_being_changed(void **state)
{
	struct nic_mkey *mw = klm_key(1, 0x6000, NIC_MKEY_KLM, 4);
	struct nic_mkey *by = klm_key(1, 0x7000, NIC_MKEY_KLM, 1);
	struct nic_mkey *other = rig_mkey(1, 0x8000, RIG_PD, 0x1f, RIG_B, 4096);
	uint8_t mkc[64] = { 0 };
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	mw->umr_en = true;
	mw->len = by->len = 4096;
	by->klm[0] = (struct nic_klm){ .len = 4096, .key = 0x8000, .va = RIG_B };
	pthread_rwlock_wrlock(&other->lock);
	rig_begin(&w, b, NIC_OP_UMR, 0x6000);
	add_umr(&w, 0, 4, 0, mkc);
	rig_sge(&w, 0, 64, 0x7000);
	rig_post(b, &w);
	rig_run_now();
	assert_int_equal(rig_cqes(b, false), 0);
	pthread_rwlock_unlock(&other->lock);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 0)->opcode, NIC_CQE_REQ);
	by->klm[0].key = 0x6000;
	by->klm[0].va = 0;
	rig_post(b, &w);
	rig_run();
	assert_int_equal(rig_cqe(b, false, 1)->syndrome, NIC_S_LOCAL_PROT);
	assert_int_equal(pthread_rwlock_trywrlock(&mw->lock), 0);
	assert_int_equal(pthread_rwlock_unlock(&mw->lock), 0);
}

/* A thousand empty entries are passed over; a million times a few are not. */
static void empty_entries_without_end(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 1024);
	struct nic_mkey *outer = klm_key(1, 0x7000, NIC_MKEY_KLM, 4096);
	unsigned i;

	rig_pair(NIC_QP_RC, &a, &b);
	mk->len = outer->len = 4096;
	mk->klm[1023] = (struct nic_klm){ .len = 4096, .key = RIG_KEY, .va = RIG_B };
	for (i = 0; i < 4096; i++)
		outer->klm[i] = (struct nic_klm){ .len = 1, .key = 0x6000 };
	rig_fill(RIG_A, 512, 4);
	rig_send(a, NIC_OP_WRITE, RIG_A, 512, 0, 0x6000);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
	assert_true(rig_is_filled(RIG_B, 512, 4));
	/* Pieces that become one, so that no list is full before. */
	mk->klm[1023].key = NIC_KEY_NULL;
	rig_send(a, NIC_OP_READ, RIG_A, 4096, 0, 0x7000);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 1)->syndrome, NIC_S_REMOTE_ACCESS);
}

/* An atomic tells what it finds, so a key inside must let it read, too. */
static void atomic_inside_needs_both_rights(void **state)
{
	struct nic_mkey *mk = klm_key(1, 0x6000, NIC_MKEY_KLM, 1);
	struct nic_mkey *in = rig_mkey(1, 0x7000, RIG_PD, NIC_ACC_LOCAL_WRITE, RIG_B, 4096);
	struct rig_wqe w;

	rig_pair(NIC_QP_RC, &a, &b);
	mk->len = 4096;
	mk->klm[0] = (struct nic_klm){ .len = 4096, .key = 0x7000, .va = RIG_B };
	rig_begin(&w, a, NIC_OP_FADD, 0);
	rig_remote(&w, 0, 0x6000);
	rig_atomic(&w, 1, 0);
	rig_sge(&w, RIG_A, 8, RIG_KEY);
	in->access |= NIC_ACC_LOCAL_READ;
	rig_post(a, &w);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->opcode, NIC_CQE_REQ);
	in->access = NIC_ACC_LOCAL_WRITE;
	rig_post(a, &w);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 1)->syndrome, NIC_S_REMOTE_ACCESS);
}

/* ---- page faults ---- */

static uint32_t fault_token(unsigned i)
{
	return mlx5_get32(rig_events[i].data, 8);
}

static void fault_of_the_sender(void **state)
{
	struct nic_mkey *mk = rig_mkey(0, 0x6000, RIG_PD, 0x1f, RIG_A, 3 * 4096);
	struct rig_wqe w;

	mk->odp = true;
	mk->mtt[1] = 0;
	rig_pair(NIC_QP_RC, &a, &b);
	rig_fill(RIG_A, 12000, 2);
	rig_begin(&w, a, NIC_OP_WRITE, 0);
	rig_remote(&w, RIG_B, RIG_KEY);
	rig_sge(&w, RIG_A, 12000, 0x6000);
	rig_post(a, &w);
	rig_run();
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_events[0].type, NIC_EV_PAGE_FAULT);
	assert_int_equal(rig_events[0].subtype, 2);
	assert_int_equal(mlx5_get32(rig_events[0].data, 16), 0x6000);
	assert_int_equal(mlx5_get64(rig_events[0].data, 20), RIG_A + 4096);
	assert_int_equal(rig_logged, 0);
	nic_fault_resume_mkey(&rig_nic[0], fault_token(0) ^ 1u << 25, false); /* not ours */
	rig_run();
	assert_int_equal(rig_n_events, 1);
	mk->mtt[1] = (RIG_A + 4096) | 3;
	nic_fault_resume_mkey(&rig_nic[0], fault_token(0), false);
	rig_run();
	assert_int_equal(rig_cqes(a, false), 1);
	assert_true(rig_is_filled(RIG_B, 12000, 2));
}

static void fault_of_the_receiver(void **state)
{
	struct nic_mkey *mk = rig_mkey(1, 0x6000, RIG_PD, 0x1f, RIG_B, 3 * 4096);

	mk->odp = true;
	mk->mtt[2] = (RIG_B + 8192) | 1; /* may be read */
	rig_pair(NIC_QP_RC, &a, &b);
	rig_fill(RIG_A, 12000, 2);
	rig_recv(b, RIG_B, 12000, 0x6000);
	rig_send(a, NIC_OP_SEND, RIG_A, 12000, 0, 0);
	rig_run_now();
	assert_int_equal(rig_n_events, 1);
	rig_now += 1000000;
	nic_timers_run(&rig_nic[0].dw[0]);
	rig_run_now();
	assert_int_equal(rig_n_events, 1);
	assert_int_equal(rig_logged, 0);
	mk->mtt[2] |= 2;
	nic_fault_resume_mkey(&rig_nic[1], fault_token(0), false);
	rig_run();
	assert_int_equal(rig_cqes(a, false), 1);
	assert_int_equal(rig_cqes(b, true), 1);
	assert_true(rig_is_filled(RIG_B, 12000, 2));
}

static void fault_not_resolved(void **state)
{
	struct nic_mkey *mk = rig_mkey(1, 0x6000, RIG_PD, 0x1f, RIG_B, 4096);

	mk->odp = true;
	mk->mtt[0] = 0;
	rig_pair(NIC_QP_RC, &a, &b);
	rig_send(a, NIC_OP_WRITE, RIG_A, 8, RIG_B, 0x6000);
	rig_run_now();
	while (!rig_logged) {
		assert_in_range(rig_n_events, 1, NIC_FAULT_TRIES + 1);
		nic_fault_resume_mkey(&rig_nic[1], fault_token(rig_n_events - 1), true);
		rig_now += 1000000;
		nic_timers_run(&rig_nic[0].dw[0]);
		rig_run_now();
	}
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_ACCESS);
	rig_nic[1].event_eq[NIC_EV_PAGE_FAULT] = NULL;
	a = rig_qp(0, 0x50, NIC_QP_RC, 1, 0x51);
	b = rig_qp(1, 0x51, NIC_QP_RC, 0, 0x50);
	rig_send(a, NIC_OP_READ, RIG_A, 8, RIG_B, 0x6000);
	rig_run();
	assert_int_equal(rig_cqe(a, false, 0)->syndrome, NIC_S_REMOTE_ACCESS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(list_of_ranges),
		T(list_that_repeats),
		T(endless_nesting),
		T(null_key),
		T(window),
		T(window_bound_twice),
		T(invalidated_locally),
		T(fast_registration),
		T(umr_list_too_long),
		T(umr_list_through_keys_being_changed),
		T(atomic_inside_needs_both_rights),
		T(empty_entries_without_end),
		T(fault_of_the_sender),
		T(fault_of_the_receiver),
		T(fault_not_resolved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
