// SPDX-License-Identifier: MIT
/* Verdicts on small machines made by hand, and that the matrix says what the pairs say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/kit/tree.h"
#include "lib/path/verdict.h"

/* A root port with a switch that carries A and B, and a root port with C. */
enum { HOST, ROOT, UP, PORT_A, A, PORT_B, B, ROOT_C, C, NODES };

static struct pdma_topo *make(const char *kernel, const char *vendor, unsigned family)
{
	static const struct {
		uint32_t parent;
		enum pdma_function_kind kind;
	} shape[NODES] = {
		[HOST] = { PDMAI_NONE, PDMA_FUNCTION_ENDPOINT },
		[ROOT] = { PDMAI_NONE, PDMA_FUNCTION_ROOT_PORT },
		[UP] = { ROOT, PDMA_FUNCTION_UPSTREAM },
		[PORT_A] = { UP, PDMA_FUNCTION_DOWNSTREAM },
		[A] = { PORT_A, PDMA_FUNCTION_ENDPOINT },
		[PORT_B] = { UP, PDMA_FUNCTION_DOWNSTREAM },
		[B] = { PORT_B, PDMA_FUNCTION_ENDPOINT },
		[ROOT_C] = { PDMAI_NONE, PDMA_FUNCTION_ROOT_PORT },
		[C] = { ROOT_C, PDMA_FUNCTION_ENDPOINT },
	};
	struct pdma_topo *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->nodes = calloc(NODES, sizeof(*t->nodes));
	t->hosts = calloc(1, sizeof(*t->hosts));
	assert_non_null(t->nodes);
	assert_non_null(t->hosts);
	t->n = NODES;
	t->n_hosts = 1;
	strcpy(t->hosts[0].h.name, "pci0000:00");
	strcpy(t->system.kernel, kernel);
	strcpy(t->system.cpu_vendor, vendor);
	t->system.cpu_family = family;
	for (int i = 0; i < PDMAI_OPTIONS; i++)
		t->options[i] = PDMA_NOT_READ;
	for (int i = 0; i < NODES; i++) {
		struct pdma_function *f = &t->nodes[i].f;

		f->size = sizeof(*f);
		f->parent = shape[i].parent;
		f->kind = shape[i].kind;
		f->decode = PDMA_ON;
		f->iommu_group = t->nodes[i].group = -1;
		f->config_len = 4096;
		snprintf(f->bdf, sizeof(f->bdf), "0000:%02x:00.0", i);
	}
	t->nodes[PORT_A].ports.number = 1;
	t->nodes[PORT_B].ports.number = 2;
	t->nodes[A].f.bar[0] = (struct pdma_bar){ 0xe0000000, 1 << 20, 1 << 20, true, 0, 0 };
	t->nodes[B].f.bar[0] = (struct pdma_bar){ 0xe0100000, 1 << 20, 1 << 20, true, 0, 0 };
	t->nodes[C].f.bar[0] = (struct pdma_bar){ 0xe0200000, 1 << 20, 1 << 20, true, 0, 0 };
	return t;
}

static struct pdma_topo *finish(struct pdma_topo *t)
{
	assert_int_equal(pdmai_topo_finish(t), 0);
	return t;
}

static void set_acs(struct pdma_topo *t, uint32_t port, unsigned control)
{
	t->nodes[port].f.acs = PDMA_ON;
	t->nodes[port].f.acs_capability = 0x7f;
	t->nodes[port].f.acs_control = (uint16_t)control;
}

static struct pdma_verdict verdict(const struct pdma_topo *t, uint32_t a, uint32_t b)
{
	struct pdma_target target = { .function = b, .bar = -1 };
	struct pdma_verdict v = { .size = sizeof(v) };

	assert_int_equal(pdma_path_verdict(t, a, &target, &v), 0);
	return v;
}

#define EXPECT(v, answer_, mapping_, cause_)            \
	do {                                            \
		struct pdma_verdict e_ = (v);           \
		assert_int_equal(e_.answer, answer_);   \
		assert_int_equal(e_.mapping, mapping_); \
		assert_int_equal(e_.cause, cause_);     \
		assert_true(e_.reason[0]);              \
	} while (0)

static void a_switch_turns_requests_round(void **state)
{
	struct pdma_topo *t = finish(make("6.12.0", "GenuineIntel", 6));
	struct pdma_verdict v = verdict(t, A, B);

	EXPECT(v, PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	assert_int_equal(v.common, UP);
	assert_int_equal(v.distance, 4);
	assert_true(v.in_switch);
	pdma_topo_destroy(t);
}

static void redirect_needs_a_host_bridge_that_forwards(void **state)
{
	struct pdma_topo *t = make("6.12.0", "GenuineIntel", 6);
	struct pdma_verdict v;

	/* Any of the three bits, on either side, and the root port above both does not matter. */
	set_acs(t, PORT_B, PDMA_ACS_COMPLETION_REDIRECT);
	v = verdict(finish(t), A, B);
	EXPECT(v, PDMA_NO, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	assert_int_equal(v.hop, PORT_B);
	/* In hardware, requests of A meet no redirect. */
	assert_true(v.in_switch);
	set_acs(t, PORT_B, 0);
	set_acs(t, ROOT, 0x1d);
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	set_acs(t, PORT_A, PDMA_ACS_REQUEST_REDIRECT);
	t->nodes[HOST].f.vendor = 0x8086;
	t->nodes[HOST].f.device = 0x09a2;
	v = verdict(finish(t), A, B);
	EXPECT(v, PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	assert_int_equal(v.hop, PORT_A);
	assert_false(v.in_switch);
	pdma_topo_destroy(t);
}

static void host_bridges_are_judged_by_release(void **state)
{
	static const struct {
		const char *kernel, *vendor;
		unsigned family;
		uint16_t id_vendor, id_device;
		enum pdma_answer answer;
	} cases[] = {
		{ "6.12.0", "GenuineIntel", 6, 0x8086, 0x1237, PDMA_NO },
		{ "6.12.0", "GenuineIntel", 6, 0x8086, 0x2030, PDMA_YES },
		{ "5.17.0", "GenuineIntel", 6, 0x8086, 0x09a2, PDMA_NO },
		{ "5.18.0", "GenuineIntel", 6, 0x8086, 0x09a2, PDMA_YES },
		{ "7.1.0", "GenuineIntel", 6, 0x8086, 0x0b25, PDMA_NO },
		{ "7.2.12+deb13-amd64", "GenuineIntel", 6, 0x8086, 0x0b25, PDMA_YES },
		{ "7.2.0", "GenuineIntel", 6, 0x1ae0, 0x1234, PDMA_YES },
		{ "7.2.0", "GenuineIntel", 6, 0x1d17, 0x1003, PDMA_NO },
		{ "7.3.0", "GenuineIntel", 6, 0x1d17, 0x1003, PDMA_YES },
		{ "5.8.0", "AuthenticAMD", 0x17, 0x1022, 0x1480, PDMA_NO },
		{ "5.8.0", "AuthenticAMD", 0x17, 0x1022, 0x1450, PDMA_YES },
		{ "5.9.0", "AuthenticAMD", 0x17, 0x1022, 0x1480, PDMA_YES },
		{ "5.9.0", "AuthenticAMD", 0x15, 0x1022, 0x1480, PDMA_NO },
		{ "6.12.0", "HygonGenuine", 0x18, 0x1d94, 0x1480, PDMA_NO },
		{ "", "AuthenticAMD", 0x19, 0x1022, 0x1480, PDMA_YES },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pdma_topo *t = make(cases[i].kernel, cases[i].vendor, cases[i].family);

		t->nodes[HOST].f.vendor = cases[i].id_vendor;
		t->nodes[HOST].f.device = cases[i].id_device;
		EXPECT(verdict(finish(t), A, C), cases[i].answer, PDMA_MAP_HOST_BRIDGE,
		       cases[i].answer == PDMA_YES ? PDMA_CAUSE_NONE : PDMA_CAUSE_HOST_BRIDGE);
		pdma_topo_destroy(t);
	}
}

static void a_kernel_before_peer_to_peer_has_none(void **state)
{
	struct pdma_topo *t = finish(make("4.19.0", "GenuineIntel", 6));

	EXPECT(verdict(t, A, B), PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_KERNEL_CONFIG);
	/* A program that drives the device needs no such kernel. */
	strcpy(t->nodes[A].f.driver, "vfio-pci");
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	pdma_topo_destroy(t);
}

/* Since 7.3 egress control is judged at the two ports where the ways part, by its vector. */
static void egress_control_is_judged_by_target(void **state)
{
	struct pdma_topo *t = make("7.2.0", "AuthenticAMD", 0x19);

	set_acs(t, PORT_A, PDMA_ACS_EGRESS_CONTROL);
	t->nodes[PORT_A].ports.n_egress = 8;
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	strcpy(t->system.kernel, "7.3.0");
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	/* A clear bit lets requests through although redirect is on; completions still go up. */
	set_acs(t, PORT_A, PDMA_ACS_EGRESS_CONTROL | PDMA_ACS_REQUEST_REDIRECT);
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	set_acs(t, PORT_A, PDMA_ACS_EGRESS_CONTROL | PDMA_ACS_COMPLETION_REDIRECT);
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	set_acs(t, PORT_A, PDMA_ACS_EGRESS_CONTROL);
	t->nodes[PORT_A].ports.egress[0] = 1 << 2;
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	/* A vector that does not reach to the port says nothing to rely on. */
	t->nodes[PORT_A].ports.egress[0] = 0;
	t->nodes[PORT_A].ports.n_egress = 2;
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_ACS_REDIRECT);
	pdma_topo_destroy(t);
}

static void what_could_not_be_read_is_unknown(void **state)
{
	struct pdma_topo *t = make("6.12.0", "AuthenticAMD", 0x19);

	t->nodes[PORT_B].f.acs = PDMA_NOT_READ;
	EXPECT(verdict(finish(t), A, B), PDMA_UNKNOWN, PDMA_MAP_NONE, PDMA_CAUSE_NOT_READABLE);
	/* Through the host bridge it does not matter. */
	EXPECT(verdict(t, B, C), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_NONE);
	pdma_topo_destroy(t);
}

static void addresses_must_be_in_reach(void **state)
{
	struct pdma_topo *t = make("6.12.0", "AuthenticAMD", 0x19);

	strcpy(t->nodes[A].f.driver, "nvme");
	t->nodes[A].f.dma_mask_bits = 31;
	EXPECT(verdict(finish(t), A, B), PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_DMA_MASK);
	t->nodes[A].f.dma_mask_bits = 32;
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	/* The mask of a device in user space is what no driver has set. */
	t->nodes[A].f.dma_mask_bits = 24;
	strcpy(t->nodes[A].f.driver, "vfio-pci");
	EXPECT(verdict(finish(t), A, B), PDMA_YES, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NONE);
	pdma_topo_destroy(t);
}

static void the_iommu_gives_another_address(void **state)
{
	struct pdma_topo *t = make("6.12.0", "AuthenticAMD", 0x19);

	t->groups = calloc(1, sizeof(*t->groups));
	assert_non_null(t->groups);
	t->n_groups = 1;
	t->groups[0] = (struct pdmai_group){ .id = 7, .last = (1ull << 39) - 1 };
	t->nodes[A].group = 0;
	t->nodes[A].f.iommu_group = 7;
	t->nodes[A].f.iommu = PDMA_IOMMU_DMA;
	strcpy(t->nodes[A].f.driver, "nvme");
	t->nodes[A].f.dma_mask_bits = 31;
	EXPECT(verdict(finish(t), A, C), PDMA_YES, PDMA_MAP_IOVA, PDMA_CAUSE_IOMMU_TRANSLATES);
	t->nodes[A].f.dma_mask_bits = 64;
	t->nodes[A].f.iommu = PDMA_IOMMU_IDENTITY;
	EXPECT(verdict(finish(t), A, C), PDMA_YES, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_NONE);
	t->nodes[C].f.bar[0].addr = 1ull << 39;
	EXPECT(verdict(finish(t), A, C), PDMA_NO, PDMA_MAP_HOST_BRIDGE, PDMA_CAUSE_IOMMU_HOLE);
	pdma_topo_destroy(t);
}

static void a_target_must_answer(void **state)
{
	struct pdma_topo *t = make("6.12.0", "AuthenticAMD", 0x19);

	t->nodes[B].f.decode = PDMA_OFF;
	EXPECT(verdict(finish(t), A, B), PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_DECODE_OFF);
	t->nodes[B].f.decode = PDMA_ON;
	t->nodes[ROOT].f.decode = PDMA_OFF;
	assert_int_equal(verdict(finish(t), C, B).hop, ROOT);
	t->nodes[ROOT].f.decode = PDMA_ON;
	t->nodes[B].f.bar[0].addr = 0;
	EXPECT(verdict(finish(t), A, B), PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_ABOVE_4G);
	t->nodes[B].f.bar[0].len = 0;
	EXPECT(verdict(finish(t), A, B), PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_NO_MEMORY);
	pdma_topo_destroy(t);
}

static void bad_requests_change_nothing(void **state)
{
	struct pdma_topo *t = finish(make("6.12.0", "AuthenticAMD", 0x19));
	const struct pdma_target bad[] = {
		{ .function = NODES, .bar = -1 },
		{ .function = B, .bar = -2 },
		{ .function = B, .bar = 6 },
		{ .function = B, .bar = 1 },
		{ .function = B, .bar = -1, .off = 1 },
		{ .function = B, .bar = 0, .off = 0x100000 },
		{ .function = B, .bar = 0, .off = 1, .len = 0x100000 },
		{ .function = B, .bar = 0, .off = 0x1000, .len = UINT64_MAX },
	};
	struct pdma_verdict v = { .size = sizeof(v), .distance = 77 };
	struct pdma_target good = { .function = B, .bar = 0, .off = 0xff000, .len = 0x1000 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(pdma_path_verdict(t, A, &bad[i], &v), -EINVAL);
	assert_int_equal(pdma_path_verdict(t, NODES, &good, &v), -EINVAL);
	v.size = 8;
	assert_int_equal(pdma_path_verdict(t, A, &good, &v), -EINVAL);
	assert_int_equal(v.distance, 77);
	v.size = sizeof(v);
	assert_int_equal(pdma_path_verdict(t, A, &good, &v), 0);
	pdma_topo_destroy(t);
}

/* ---- measurements ---- */

static struct pdma_verdict judged(const struct pdma_topo *t, enum pdma_trial write,
				  enum pdma_trial read, int want)
{
	struct pdma_measured m = { .size = sizeof(m), .write = write, .read = read };
	struct pdma_target target = { .function = B, .bar = -1 };
	struct pdma_verdict v = verdict(t, A, B);

	assert_int_equal(pdma_path_judge(t, &target, &m, &v), want);
	return v;
}

static void measurements_correct_the_prediction(void **state)
{
	struct pdma_topo *t = finish(make("6.12.0", "AuthenticAMD", 0x19));
	struct pdma_verdict v;

	EXPECT(judged(t, PDMA_TRIAL_GOOD, PDMA_TRIAL_GOOD, 0), PDMA_YES, PDMA_MAP_BUS_ADDR,
	       PDMA_CAUSE_NONE);
	EXPECT(judged(t, PDMA_TRIAL_GOOD, PDMA_TRIAL_ALL_ONES, 1), PDMA_NO, PDMA_MAP_BUS_ADDR,
	       PDMA_CAUSE_WRITES_ONLY);
	EXPECT(judged(t, PDMA_TRIAL_WRONG_DATA, PDMA_TRIAL_GOOD, 1), PDMA_NO, PDMA_MAP_BUS_ADDR,
	       PDMA_CAUSE_SILENT_CORRUPTION);
	EXPECT(judged(t, PDMA_TRIAL_ALL_ONES, PDMA_TRIAL_ALL_ONES, 1), PDMA_NO, PDMA_MAP_BUS_ADDR,
	       PDMA_CAUSE_SILENT_CORRUPTION);
	v = judged(t, PDMA_TRIAL_REFUSED, PDMA_TRIAL_REFUSED, 1);
	assert_int_equal(v.answer, PDMA_NO);
	set_acs(t, PORT_A, 4);
	t->rules.cpu_forwards = false;
	strcpy(t->system.cpu_vendor, "GenuineIntel");
	finish(t);
	v = judged(t, PDMA_TRIAL_GOOD, PDMA_TRIAL_GOOD, 1);
	assert_int_equal(v.answer, PDMA_YES);
	EXPECT(judged(t, PDMA_TRIAL_REFUSED, PDMA_TRIAL_REFUSED, 0), PDMA_NO, PDMA_MAP_HOST_BRIDGE,
	       PDMA_CAUSE_ACS_REDIRECT);
	pdma_topo_destroy(t);
}

static void an_address_outside_the_bar_is_host_memory(void **state)
{
	struct pdma_topo *t = finish(make("6.12.0", "AuthenticAMD", 0x19));
	struct pdma_measured m = { .size = sizeof(m),
				   .write = PDMA_TRIAL_GOOD,
				   .read = PDMA_TRIAL_GOOD,
				   .has_addr = true };
	struct pdma_target target = { .function = B, .bar = -1 };
	struct pdma_verdict v = verdict(t, A, B);

	m.addr = t->nodes[B].f.bar[0].addr + 0xfffff;
	assert_int_equal(pdma_path_judge(t, &target, &m, &v), 0);
	m.addr++;
	assert_int_equal(pdma_path_judge(t, &target, &m, &v), 1);
	EXPECT(v, PDMA_NO, PDMA_MAP_BUS_ADDR, PDMA_CAUSE_MOVED_TO_RAM);
	pdma_topo_destroy(t);
}

/* ---- many ---- */

static void the_matrix_says_what_pairs_say(void **state)
{
	for (uint32_t seed = 0; seed < 6; seed++) {
		struct pdma_topo *t = kit_tree(300, seed);
		struct pdma_cell *cells;
		unsigned causes = 0;
		uint32_t *list;

		assert_non_null(t);
		cells = calloc((size_t)t->n * t->n, sizeof(*cells));
		list = calloc(t->n, sizeof(*list));
		assert_non_null(cells);
		assert_non_null(list);
		for (uint32_t i = 0; i < t->n; i++)
			list[i] = i;
		assert_int_equal(pdma_path_matrix(t, list, t->n, cells), 0);
		for (uint32_t a = 0; a < t->n; a++)
			for (uint32_t b = 0; b < t->n; b++) {
				struct pdma_verdict v = verdict(t, a, b);
				const struct pdma_cell *cell = &cells[a * t->n + b];

				assert_int_equal(cell->answer, v.answer);
				assert_int_equal(cell->mapping, v.mapping);
				assert_int_equal(cell->cause, v.cause);
				assert_int_equal(cell->in_switch, v.in_switch);
				causes |= 1u << v.cause;
			}
		/* The machines are no easy ones. */
		assert_true(causes & 1u << PDMA_CAUSE_NONE);
		assert_true(causes & 1u << PDMA_CAUSE_ACS_REDIRECT);
		assert_true(causes & 1u << PDMA_CAUSE_DECODE_OFF);
		free(list);
		free(cells);
		pdma_topo_destroy(t);
	}
}

static void the_matrix_refuses_what_is_not_there(void **state)
{
	struct pdma_topo *t = finish(make("6.12.0", "AuthenticAMD", 0x19));
	uint32_t list[2] = { A, NODES };
	struct pdma_cell cells[4] = { { .cause = 99 } };

	assert_int_equal(pdma_path_matrix(t, list, 2, cells), -EINVAL);
	assert_int_equal(cells[0].cause, 99);
	assert_int_equal(pdma_path_matrix(t, list, 0, cells), 0);
	pdma_topo_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_turns_requests_round),
		cmocka_unit_test(redirect_needs_a_host_bridge_that_forwards),
		cmocka_unit_test(host_bridges_are_judged_by_release),
		cmocka_unit_test(a_kernel_before_peer_to_peer_has_none),
		cmocka_unit_test(egress_control_is_judged_by_target),
		cmocka_unit_test(what_could_not_be_read_is_unknown),
		cmocka_unit_test(addresses_must_be_in_reach),
		cmocka_unit_test(the_iommu_gives_another_address),
		cmocka_unit_test(a_target_must_answer),
		cmocka_unit_test(bad_requests_change_nothing),
		cmocka_unit_test(measurements_correct_the_prediction),
		cmocka_unit_test(an_address_outside_the_bar_is_host_memory),
		cmocka_unit_test(the_matrix_says_what_pairs_say),
		cmocka_unit_test(the_matrix_refuses_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
