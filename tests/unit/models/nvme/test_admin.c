// SPDX-License-Identifier: MIT
/* Identify, features, log pages: SPEC.rst 4. */
#include <json-c/json.h>

#include "tests/unit/models/nvme/rig.h"

static unsigned identify(struct rig *g, unsigned cns, uint32_t nsid, uint32_t cdw11)
{
	struct nvme_sqe s = sqe_admin(NVME_IDENTIFY, cns);

	s.nsid = nsid;
	s.cdw11 = cdw11;
	memset(g->data, 0xee, 8192);
	return rig_do(g, 0, s, NULL);
}

static uint32_t word(const struct rig *g, unsigned off)
{
	uint32_t val;

	memcpy(&val, g->data + off, 4);
	return val;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

/* Offsets as the specification has them, not as the structure does. */
static void controller(void **state)
{
	struct rig *g = *state;

	assert_int_equal(identify(g, 1, 0, 0), 0);
	assert_memory_equal(g->data + 4, "unit                ", 20);
	assert_memory_equal(g->data + 24, "peerdma", 7);
	assert_int_equal(g->data[77], 8);
	assert_int_equal(word(g, 80), 0x20000);
	assert_int_equal(word(g, 92), 0x100);
	assert_int_equal(g->data[111], 1);
	assert_int_equal(g->data[259], 3);
	assert_int_equal(g->data[262], 63);
	assert_int_equal(word(g, 280), RIG_NS1 + RIG_NS2);
	assert_int_equal(g->data[512], 0x66);
	assert_int_equal(g->data[513], 0x44);
	assert_int_equal(word(g, 516), 8);
	assert_int_equal(word(g, 520), 0x9f);
	assert_int_equal(g->data[525], 7);
	assert_int_equal(word(g, 536), 1);
	assert_memory_equal(g->data + 768, "nqn.2026-11.org.peerdma:nvme:unit", 34);
	assert_int_equal(g->data[4096], 0xee);
}

static void namespaces(void **state)
{
	struct rig *g = *state;
	uint8_t nguid[16];

	assert_int_equal(identify(g, 0, 1, 0), 0);
	assert_int_equal(word(g, 0), RIG_NS1 / 512);
	assert_int_equal(word(g, 128), 9 << 16);
	memcpy(nguid, g->data + 104, 16);
	assert_false(all_zero(nguid, 16));
	assert_int_equal(identify(g, 0, 2, 0), 0);
	assert_int_equal(word(g, 0), RIG_NS2 / 4096);
	assert_int_equal(word(g, 128), 12 << 16);
	assert_memory_not_equal(nguid, g->data + 104, 16);
	/* A number that could be one but is not: zeroes. Others: an error. */
	assert_int_equal(identify(g, 0, 8, 0), 0);
	assert_true(all_zero(g->data, 4096));
	assert_int_equal(identify(g, 0, 9, 0) & 0x7ff, NVME_SC_BAD_NS);
	assert_int_equal(identify(g, 0, 0, 0) & 0x7ff, NVME_SC_BAD_NS);
	assert_int_equal(identify(g, 0x11, 2, 0), 0);
	assert_int_equal(word(g, 0), RIG_NS2 / 4096);
}

static void lists(void **state)
{
	static const uint8_t cns[] = { 0x02, 0x07, 0x10 };
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(identify(g, cns[i], 0, 0), 0);
		assert_int_equal(word(g, 0), 1);
		assert_int_equal(word(g, 4), 2);
		assert_int_equal(word(g, 8), 0);
		assert_int_equal(identify(g, cns[i], 1, 0), 0);
		assert_int_equal(word(g, 0), 2);
		assert_int_equal(word(g, 4), 0);
		assert_int_equal(identify(g, cns[i], 0xfffffffe, 0) & 0x7ff, NVME_SC_BAD_NS);
	}
	assert_int_equal(identify(g, 0x13, 0, 0), 0);
	assert_int_equal(word(g, 0), 1 << 16 | 1);
	assert_int_equal(identify(g, 0x13 | 2 << 16, 0, 0), 0);
	assert_int_equal(word(g, 0), 0);
	assert_int_equal(identify(g, 0x12, 1, 0), 0);
	assert_int_equal(word(g, 0), 1 << 16 | 1);
}

static void descriptors(void **state)
{
	struct rig *g = *state;

	assert_int_equal(identify(g, 3, 1, 0), 0);
	assert_int_equal(g->data[0], 1);
	assert_int_equal(g->data[1], 8);
	assert_int_equal(g->data[12], 2);
	assert_int_equal(g->data[13], 16);
	assert_int_equal(g->data[32], 3);
	assert_int_equal(g->data[52], 4);
	assert_true(all_zero(g->data + 56, 4096 - 56));
	assert_int_equal(identify(g, 3, 3, 0) & 0x7ff, NVME_SC_BAD_NS);
}

static void of_command_sets(void **state)
{
	struct rig *g = *state;

	assert_int_equal(identify(g, 6, 0, 0), 0);
	assert_int_equal(g->data[0], 8);
	assert_int_equal(identify(g, 6, 0, 2u << 24) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(identify(g, 5, 1, 0), 0);
	assert_int_equal(identify(g, 5, 1, 1u << 24) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(identify(g, 7, 0, 1u << 24) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(identify(g, 8, 1, 0), 0);
	assert_int_equal(g->data[14], 1);
	assert_int_equal(identify(g, 4, 0, 0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(identify(g, 0x1c, 0, 0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(identify(g, 0xff, 0, 0) & 0x7ff, NVME_SC_BAD_FIELD);
}

static unsigned feature(struct rig *g, uint8_t opc, uint32_t cdw10, uint32_t cdw11, uint32_t *dw0)
{
	struct nvme_sqe s = sqe_admin(opc, cdw10);

	s.cdw11 = cdw11;
	return rig_do(g, 0, s, dw0);
}
#define get(g, fid, dw0)      feature(g, NVME_GET_FEATURES, fid, 0, dw0)
#define set(g, fid, val, dw0) feature(g, NVME_SET_FEATURES, fid, val, dw0)

static void plain_features(void **state)
{
	static const struct {
		uint8_t fid;
		uint32_t def, val, is;
	} f[] = {
		{ NVME_F_ARBITRATION, 7, 0x01020303, 0x01020303 },
		{ NVME_F_TEMPERATURE, 343, 350, 350 },
		{ NVME_F_ERROR_RECOVERY, 0, 0x5, 5 },
		{ NVME_F_COALESCING, 0, 0x0507, 0x0507 },
		{ NVME_F_ATOMICITY, 0, 1, 1 },
		{ NVME_F_ASYNC_EVENT, 0, 0xffffffff, 0x11f },
	};
	struct rig *g = *state;
	uint32_t dw0;
	unsigned i;

	for (i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		assert_int_equal(get(g, f[i].fid, &dw0), 0);
		assert_int_equal(dw0, f[i].def);
		assert_int_equal(set(g, f[i].fid, f[i].val, &dw0), 0);
		assert_int_equal(get(g, f[i].fid, &dw0), 0);
		assert_int_equal(dw0, f[i].is);
		assert_int_equal(get(g, f[i].fid | 1 << 8, &dw0), 0); /* the default */
		assert_int_equal(dw0, f[i].def);
		assert_int_equal(get(g, f[i].fid | 3 << 8, &dw0), 0); /* capabilities */
		assert_int_equal(dw0, 4);
		assert_int_equal(set(g, f[i].fid | 1u << 31, f[i].val, &dw0) & 0x7ff,
				 NVME_SC_NOT_SAVEABLE);
	}
	assert_int_equal(get(g, 0x7f, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(set(g, 0, 0, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(get(g, 1 | 4 << 8, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
}

static void features_with_rules(void **state)
{
	struct rig *g = *state;
	uint32_t dw0;

	assert_int_equal(get(g, NVME_F_QUEUES, &dw0), 0);
	assert_int_equal(dw0, 31 << 16 | 31);
	/* Queues are there already. */
	assert_int_equal(set(g, NVME_F_QUEUES, 0x30003, &dw0) & 0x7ff, NVME_SC_SEQUENCE);
	fake_w32(g->dev, NVME_CC, 0);
	rig_run(g);
	rig_enable(g, 16);
	assert_int_equal(set(g, NVME_F_QUEUES, 0x3ffff, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(set(g, NVME_F_QUEUES, 0x30003, &dw0), 0);
	assert_int_equal(dw0, 31 << 16 | 31);
	assert_int_equal(set(g, NVME_F_POWER, 0, &dw0), 0);
	assert_int_equal(set(g, NVME_F_POWER, 1, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(set(g, NVME_F_VECTOR, 1 << 16 | 4, &dw0), 0);
	assert_int_equal(feature(g, NVME_GET_FEATURES, NVME_F_VECTOR, 4, &dw0), 0);
	assert_int_equal(dw0, 1 << 16 | 4);
	assert_int_equal(set(g, NVME_F_VECTOR, 33, &dw0) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(feature(g, NVME_GET_FEATURES, NVME_F_TEMPERATURE, 1 << 20, &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_int_equal(feature(g, NVME_GET_FEATURES, NVME_F_TEMPERATURE, 1 << 16, &dw0) & 0x7ff,
			 NVME_SC_BAD_FIELD);
}

static unsigned get_log(struct rig *g, unsigned lid, uint32_t dwords, uint64_t off)
{
	struct nvme_sqe s = sqe_admin(NVME_GET_LOG, lid | (dwords - 1) << 16);

	s.cdw11 = (dwords - 1) >> 16;
	s.cdw12 = (uint32_t)off;
	s.cdw13 = (uint32_t)(off >> 32);
	s.prp2 = DATA(4096);
	memset(g->data, 0xee, 16384);
	return rig_do(g, 0, s, NULL);
}

static void logs_that_are_known(void **state)
{
	static const uint8_t known[] = { 0, 1, 2, 3, 4, 5, 0x12 };
	struct rig *g = *state;
	unsigned i;

	assert_int_equal(get_log(g, 0, 256, 0), 0);
	for (i = 0; i < 256; i++)
		assert_int_equal(word(g, 4 * i), memchr(known, (int)i, sizeof(known)) ? 1 : 0);
	assert_int_equal(get_log(g, 0x06, 1, 0) & 0x7ff, NVME_SC_BAD_LOG);
	assert_int_equal(get_log(g, 0xc0, 1, 0) & 0x7ff, NVME_SC_BAD_LOG);
	assert_int_equal(get_log(g, 5, 1024, 0), 0);
	assert_int_equal(word(g, 4 * NVME_IDENTIFY), 1);
	assert_int_equal(word(g, 4 * NVME_KEEP_ALIVE), 0);
	assert_int_equal(word(g, 1024 + 4 * NVME_WRITE), 3);
	assert_int_equal(word(g, 1024 + 4 * NVME_READ), 1);
	assert_int_equal(get_log(g, 0x12, 256, 0), 0);
	assert_int_equal(word(g, 4 * NVME_F_WRITE_CACHE) & 1, 1);
	assert_int_equal(word(g, 4 * 0x7f), 0);
	assert_int_equal(get_log(g, 3, 128, 0), 0);
	assert_int_equal(g->data[0], 1);
}

static void offsets_and_lengths(void **state)
{
	struct rig *g = *state;

	assert_int_equal(get_log(g, 3, 4, 8), 0);
	assert_memory_equal(g->data, "1       ", 8);
	assert_int_equal(g->data[16], 0xee);
	assert_int_equal(get_log(g, 3, 4, 510) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(get_log(g, 3, 4, 516) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(get_log(g, 3, 4, UINT64_MAX - 3) & 0x7ff, NVME_SC_BAD_FIELD);
	assert_int_equal(get_log(g, 3, 2048, 0), 0); /* zeroes beyond its end */
	assert_true(all_zero(g->data + 512, 8192 - 512));
	assert_int_equal(g->data[8192], 0xee);
	assert_int_equal(get_log(g, 3, (1u << 18) + 1, 0) & 0x7ff, NVME_SC_BAD_FIELD);
}

static void errors_are_logged(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, RIG_NS1 / 512, 1);
	unsigned i;

	assert_int_equal(get_log(g, 1, 1024, 0), 0);
	assert_true(all_zero(g->data, 4096));
	assert_bad(g, 1, s, NVME_SC_LBA_RANGE);
	assert_bad(g, 0, sqe_admin(0x7f, 0), NVME_SC_BAD_OPCODE);
	assert_int_equal(get_log(g, 1, 1024, 0), 0);
	assert_int_equal(word(g, 0), 2); /* the newest first */
	assert_int_equal(word(g, 8) & 0xffff, 0);
	assert_int_equal(word(g, 12) >> 1 & 0x7ff, NVME_SC_BAD_OPCODE);
	assert_int_equal(word(g, 12) >> 16, 0);
	assert_int_equal(word(g, 64), 1);
	assert_int_equal(word(g, 72) & 0xffff, 1);
	assert_int_equal(word(g, 76) >> 1 & 0x7ff, NVME_SC_LBA_RANGE);
	assert_int_equal(word(g, 76) >> 16 & 0xffff, 40);
	assert_int_equal(word(g, 80), RIG_NS1 / 512);
	assert_int_equal(word(g, 88), 1);
	assert_int_equal(word(g, 128), 0);
	for (i = 0; i < 100; i++)
		assert_bad(g, 0, sqe_admin(0x7f, 0), NVME_SC_BAD_OPCODE);
	assert_int_equal(get_log(g, 1, 1024, 0), 0);
	assert_int_equal(word(g, 0), 102);
	assert_int_equal(word(g, 63 * 64), 39);
	assert_int_equal(get_log(g, 2, 128, 0), 0);
	assert_int_equal(word(g, 176), 102);
}

static void smart(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_admin(NVME_GET_LOG, 2 | 127 << 16);

	rig_write(g, 0, 64, 1);
	rig_expect(g, 0, 64, 1);
	rig_expect(g, 0, 64, 1);
	assert_int_equal(get_log(g, 2, 128, 0), 0);
	assert_int_equal(g->data[1] | g->data[2] << 8, 310);
	assert_int_equal(g->data[3], 100);
	assert_int_equal(word(g, 32), 1); /* of 1000 units of 512 bytes, rounded up */
	assert_int_equal(word(g, 48), 1);
	assert_int_equal(word(g, 64), 2);
	assert_int_equal(word(g, 80), 1);
	assert_int_equal(word(g, 112), 1);
	s.nsid = 1;
	assert_bad(g, 0, s, NVME_SC_BAD_FIELD);
	s.nsid = 0xffffffff;
	assert_sc(g, 0, s, 0);
}

static void events_of_health_and_namespaces(void **state)
{
	struct rig *g = *state;
	uint32_t dw0;

	assert_int_equal(set(g, NVME_F_ASYNC_EVENT, 0x102, &dw0), 0);
	rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	rig_bell(g, 0);
	rig_run(g);
	fake_arm(g->dev, "nvme.smart", MDL_FAULT_ERROR, 2, 1);
	fake_arm(g->dev, "nvme.ns.changed", MDL_FAULT_ERROR, 2, 1);
	assert_sc(g, 1, FLUSH, 0);
	assert_int_equal(rig_take(g, 0).dw0, NVME_LOG_SMART << 16 | NVME_EVENT_SMART);
	assert_int_equal(rig_take(g, 0).dw0, NVME_LOG_CHANGED_NS << 16 | NVME_EVENT_NOTICE);
	assert_int_equal(get_log(g, 2, 128, 0), 0);
	assert_int_equal(g->data[0], 2);
	assert_int_equal(get_log(g, 4, 1024, 0), 0);
	assert_int_equal(word(g, 0), 2);
	assert_int_equal(get_log(g, 4, 1024, 0), 0);
	assert_int_equal(word(g, 0), 0);
	/* Events nobody asked for are not reported. */
	assert_int_equal(set(g, NVME_F_ASYNC_EVENT, 0, &dw0), 0);
	rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	rig_bell(g, 0);
	fake_arm(g->dev, "nvme.smart", MDL_FAULT_ERROR, 1, 1);
	assert_sc(g, 1, FLUSH, 0);
	rig_none(g, 0);
}

static void snapshot(void **state)
{
	struct rig *g = *state;
	struct json_object *o = json_object_new_object();

	fake_snapshot(g->dev, o);
	assert_string_equal(json_object_get_string(json_object_object_get(o, "state")), "ready");
	assert_int_equal(json_object_array_length(json_object_object_get(o, "queues")), 2);
	assert_int_equal(json_object_array_length(json_object_object_get(o, "namespaces")), 2);
	assert_int_equal(json_object_get_int64(json_object_object_get(o, "cmb_base")),
			 RIG_CMB_BASE);
	json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(controller),
		rig_test(namespaces),
		rig_test(lists),
		rig_test(descriptors),
		rig_test(of_command_sets),
		rig_test(plain_features),
		rig_test(features_with_rules),
		rig_test(logs_that_are_known),
		rig_test(offsets_and_lengths),
		rig_test(errors_are_logged),
		rig_test(smart),
		rig_test(events_of_health_and_namespaces),
		rig_test(snapshot),
	};

	return cmocka_run_group_tests_name("nvme_admin", tests, NULL, NULL);
}
