// SPDX-License-Identifier: MIT
#include "lib/path/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/error.h"

/* A machine with more to say has said enough. */
#define FINDINGS_MAX 1000

struct pdma_findings {
	struct pdma_finding *f;
	size_t n, cap;
};

struct pdma_finding *pdmai_finding(struct pdmai_doctor *d, enum pdma_severity severity,
				   enum pdma_cause cause, uint32_t function)
{
	struct pdma_findings *out = d->out;
	struct pdma_finding *f = &d->spare;

	if (out->n == out->cap && out->cap < FINDINGS_MAX) {
		size_t cap = out->cap ? out->cap * 2 : 16;
		struct pdma_finding *more = reallocarray(out->f, cap, sizeof(*more));

		if (more) {
			out->f = more;
			out->cap = cap;
		} else {
			d->failed = true;
		}
	}
	if (out->n < out->cap)
		f = &out->f[out->n++];
	*f = (struct pdma_finding){ .severity = severity, .cause = cause, .function = function };
	return f;
}

static int by_weight(const void *a, const void *b)
{
	const struct pdma_finding *x = a, *y = b;

	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	if (x->cause != y->cause)
		return x->cause < y->cause ? -1 : 1;
	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	return strcmp(x->what, y->what);
}

static void run_table(struct pdmai_doctor *d, const struct pdmai_probe *probes)
{
	for (; probes->run; probes++)
		probes->run(d);
}

int pdmai_doctor_run(const struct pdmai_tree *tree, const struct pdma_topo *t,
		     struct pdma_findings **ret_findings)
{
	struct pdmai_doctor d = { .tree = tree, .t = t };

	d.out = calloc(1, sizeof(*d.out));
	if (!d.out)
		return pdmai_fail(ENOMEM, "no memory for findings");
	run_table(&d, pdmai_path_probes);
	run_table(&d, pdmai_system_probes);
	run_table(&d, pdmai_vendor_probes);
	if (d.failed) {
		pdma_findings_destroy(d.out);
		return pdmai_fail(ENOMEM, "no memory for findings");
	}
	if (d.out->n)
		qsort(d.out->f, d.out->n, sizeof(*d.out->f), by_weight);
	*ret_findings = d.out;
	return 0;
}

size_t pdma_findings_count(const struct pdma_findings *findings)
{
	return findings->n;
}

const struct pdma_finding *pdma_findings_get(const struct pdma_findings *findings, size_t i)
{
	return i < findings->n ? &findings->f[i] : NULL;
}

void pdma_findings_destroy(struct pdma_findings *findings)
{
	if (!findings)
		return;
	free(findings->f);
	free(findings);
}

/* ---- what functions are ---- */

/* Drivers of devices that become RDMA devices. */
static const char *const rdma_drivers[] = { "mlx5_core", "mlx4_core", "bnxt_en", "ice",	  "i40e",
					    "irdma",	 "efa",	      "hns3",	 "cxgb4", "qede",
					    "ionic",	 "erdma",     "mana" };
static bool is_one_of(const char *driver, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(driver, list[i]))
			return true;
	return false;
}

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

bool pdmai_is_rdma(const struct pdma_function *f)
{
	return f->kind == PDMA_FUNCTION_ENDPOINT &&
	       is_one_of(f->driver, rdma_drivers, COUNT(rdma_drivers));
}

bool pdmai_is_accel(const struct pdma_function *f)
{
	return f->role == PDMA_ROLE_ACCELERATOR;
}

bool pdmai_is_nvme(const struct pdma_function *f)
{
	return f->role == PDMA_ROLE_NVME;
}

bool pdmai_is_exporter(const struct pdma_function *f)
{
	return f->is_exporter;
}

uint32_t pdmai_first(const struct pdma_topo *t, bool (*is)(const struct pdma_function *))
{
	for (uint32_t i = 0; i < t->n; i++)
		if (is(&t->nodes[i].f))
			return i;
	return PDMAI_NONE;
}

uint32_t pdmai_driven_by(const struct pdma_topo *t, const char *driver)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!strcmp(t->nodes[i].f.driver, driver))
			return i;
	return PDMAI_NONE;
}
