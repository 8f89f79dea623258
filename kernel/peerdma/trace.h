/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: events/peerdma of tracefs. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM peerdma

#if !defined(PEERDMA_KERNEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PEERDMA_KERNEL_TRACE_H

#include <linux/pid.h>
#include <linux/tracepoint.h>

#include "registry.h"

/* clang-format off */
#define PDK_KINDS							\
	{ PEERDMA_PIN_CPU_MAPPING, "cpu-mapping" },			\
	{ PEERDMA_PIN_EXPORT, "export" },				\
	{ PEERDMA_PIN_ATTACHMENT, "attachment" },			\
	{ PEERDMA_PIN_IMPORT, "import" }

#define PDK_SCOPES							\
	{ PEERDMA_SCOPE_USER, "user" },					\
	{ PEERDMA_SCOPE_CGROUP, "cgroup" }

DECLARE_EVENT_CLASS(peerdma_pins,
	TP_PROTO(const struct peerdma_pin *pin),
	TP_ARGS(pin),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, bytes)
		__field(u64, cgroup)
		__field(u32, kind)
		__field(pid_t, pid)
		__field(uid_t, uid)
		__field(u32, domain)
		__field(u8, bus)
		__field(u8, devfn)
		__string(importer, pin->importer)
	),
	TP_fast_assign(
		__entry->id = pin->id;
		__entry->bytes = pin->bytes;
		__entry->cgroup = pin->owner.cgroup;
		__entry->kind = pin->kind;
		__entry->pid = pid_nr(pin->owner.pid);
		__entry->uid = __kuid_val(pin->owner.uid);
		__entry->domain = pin->provider->function.domain;
		__entry->bus = pin->provider->function.bus;
		__entry->devfn = pin->provider->function.devfn;
		__assign_str(importer);
	),
	TP_printk("id=%llu kind=%s bytes=%llu exporter=%04x:%02x:%02x.%x importer=%s "
		  "pid=%d uid=%u cgroup=%llu",
		  __entry->id, __print_symbolic(__entry->kind, PDK_KINDS), __entry->bytes,
		  __entry->domain, __entry->bus, PCI_SLOT(__entry->devfn),
		  PCI_FUNC(__entry->devfn), __get_str(importer), __entry->pid, __entry->uid,
		  __entry->cgroup)
);

DEFINE_EVENT(peerdma_pins, peerdma_pin,
	TP_PROTO(const struct peerdma_pin *pin), TP_ARGS(pin));
DEFINE_EVENT(peerdma_pins, peerdma_unpin,
	TP_PROTO(const struct peerdma_pin *pin), TP_ARGS(pin));

TRACE_EVENT(peerdma_refuse,
	TP_PROTO(const struct peerdma_pin *pin, const struct pdk_state *state),
	TP_ARGS(pin, state),
	TP_STRUCT__entry(
		__field(u64, bytes)
		__field(u64, id)
		__field(u64, used)
		__field(u64, max)
		__field(u32, scope)
		__field(pid_t, pid)
	),
	TP_fast_assign(
		__entry->bytes = pin->bytes;
		__entry->id = state->key.id;
		__entry->used = state->used;
		__entry->max = state->max;
		__entry->scope = state->key.scope;
		__entry->pid = pid_nr(pin->owner.pid);
	),
	TP_printk("bytes=%llu pid=%d limit of %s %llu: used=%llu max=%llu", __entry->bytes,
		  __entry->pid, __print_symbolic(__entry->scope, PDK_SCOPES), __entry->id,
		  __entry->used, __entry->max)
);

TRACE_EVENT(peerdma_revoke,
	TP_PROTO(const struct peerdma_provider *p, bool end, int result),
	TP_ARGS(p, end, result),
	TP_STRUCT__entry(
		__field(u32, domain)
		__field(u8, bus)
		__field(u8, devfn)
		__field(bool, end)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->domain = p->function.domain;
		__entry->bus = p->function.bus;
		__entry->devfn = p->function.devfn;
		__entry->end = end;
		__entry->result = result;
	),
	TP_printk("exporter=%04x:%02x:%02x.%x %s result=%d", __entry->domain, __entry->bus,
		  PCI_SLOT(__entry->devfn), PCI_FUNC(__entry->devfn),
		  __entry->end ? "end" : "begin", __entry->result)
);
/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
