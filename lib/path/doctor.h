/* SPDX-License-Identifier: MIT */
/* Probes: each looks for one cause and adds a finding for what it sees. */
#ifndef PEERDMA_LIB_PATH_DOCTOR_H
#define PEERDMA_LIB_PATH_DOCTOR_H

#include "lib/path/verdict.h"

struct pdmai_doctor {
	const struct pdmai_tree *tree;
	const struct pdma_topo *t;
	struct pdma_findings *out;
	bool failed; /* no memory */
	struct pdma_finding spare;
};

struct pdmai_probe {
	enum pdma_cause cause; /* the one it looks for; some see more */
	void (*run)(struct pdmai_doctor *doctor);
};

extern const struct pdmai_probe pdmai_path_probes[];
extern const struct pdmai_probe pdmai_system_probes[];
extern const struct pdmai_probe pdmai_vendor_probes[];

/* Where UCX keeps its modules (NULL ends it), and which of them knows an accelerator's driver. */
extern const char *const pdmai_ucx_places[];
struct pdmai_ucx_module {
	const char *driver, *name;
};
extern const struct pdmai_ucx_module pdmai_ucx_modules[];

/* A new finding to write texts into; never NULL, valid until the next. */
struct pdma_finding *pdmai_finding(struct pdmai_doctor *doctor, enum pdma_severity severity,
				   enum pdma_cause cause, uint32_t function);
#define PDMAI_SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

/* What a function is good for. */
bool pdmai_is_rdma(const struct pdma_function *f);
bool pdmai_is_accel(const struct pdma_function *f);
bool pdmai_is_nvme(const struct pdma_function *f);
bool pdmai_is_exporter(const struct pdma_function *f);

/* First function of a kind, PDMAI_NONE. */
uint32_t pdmai_first(const struct pdma_topo *t, bool (*is)(const struct pdma_function *));
/* First function with a driver. */
uint32_t pdmai_driven_by(const struct pdma_topo *t, const char *driver);

/* Run all probes on a tree. Return: as pdma_doctor_run(). */
int pdmai_doctor_run(const struct pdmai_tree *tree, const struct pdma_topo *t,
		     struct pdma_findings **ret_findings);

#endif
