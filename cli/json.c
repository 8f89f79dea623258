// SPDX-License-Identifier: MIT
#include "cli/json.h"

#include <inttypes.h>
#include <stdio.h>

void cli_json_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

void cli_json_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

void cli_json_hex(struct json_object *object, const char *key, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, number);
	cli_json_text(object, key, text);
}

/* null: not known. */
void cli_json_known(struct json_object *object, const char *key, enum pdma_known known)
{
	json_object_object_add(object, key,
			       known == PDMA_NOT_READ ? NULL :
							json_object_new_boolean(known == PDMA_ON));
}

struct json_object *cli_json_system(const struct cli_machine *m)
{
	struct json_object *o = json_object_new_object();

	cli_json_text(o, "kernel", m->system.kernel);
	cli_json_text(o, "cpu_vendor", m->system.cpu_vendor);
	cli_json_number(o, "cpu_family", m->system.cpu_family);
	cli_json_text(o, "cpu_model", m->system.cpu_model);
	json_object_object_add(o, "virtual", json_object_new_boolean(m->system.is_virtual));
	cli_json_number(o, "functions", m->system.functions);
	cli_json_number(o, "host_bridges", m->system.hosts);
	return o;
}

static struct json_object *bars_of(const struct pdma_function *f)
{
	struct json_object *list = json_object_new_array(), *o;

	for (int i = 0; i < PDMA_BARS; i++) {
		if (!f->bar[i].len)
			continue;
		o = json_object_new_object();
		cli_json_number(o, "bar", (uint64_t)i);
		cli_json_hex(o, "address", f->bar[i].addr);
		cli_json_number(o, "length", f->bar[i].len);
		cli_json_number(o, "largest", f->bar[i].max_len);
		json_object_object_add(o, "memory", json_object_new_boolean(f->bar[i].is_mem));
		json_object_object_add(o, "prefetchable",
				       json_object_new_boolean(f->bar[i].prefetch));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *windows_of(const struct pdma_function *f)
{
	struct json_object *list = json_object_new_array(), *o;

	for (int i = 0; i < PDMA_WINDOWS && f->window[i].last; i++) {
		o = json_object_new_object();
		cli_json_hex(o, "first", f->window[i].first);
		cli_json_hex(o, "last", f->window[i].last);
		json_object_array_add(list, o);
	}
	return list;
}

static void add_identity(struct json_object *o, const struct pdma_function *f)
{
	cli_json_text(o, "address", f->bdf);
	cli_json_text(o, "role", pdma_role_name(f));
	cli_json_hex(o, "vendor", f->vendor);
	cli_json_hex(o, "device", f->device);
	cli_json_hex(o, "class", f->class_code);
	cli_json_text(o, "driver", f->driver[0] ? f->driver : NULL);
	cli_json_text(o, "name", f->name[0] ? f->name : NULL);
}

static void add_iommu(struct json_object *o, const struct pdma_function *f)
{
	static const char *const types[] = {
		[PDMA_IOMMU_NONE] = "none",	  [PDMA_IOMMU_IDENTITY] = "identity",
		[PDMA_IOMMU_DMA] = "DMA",	  [PDMA_IOMMU_BLOCKED] = "blocked",
		[PDMA_IOMMU_UNKNOWN] = "unknown",
	};

	json_object_object_add(o, "iommu_group",
			       f->iommu_group < 0 ? NULL : json_object_new_int(f->iommu_group));
	cli_json_text(o, "iommu", types[f->iommu]);
}

static void add_link(struct json_object *o, const struct pdma_function *f)
{
	cli_json_number(o, "link_mts", f->speed_mts);
	cli_json_number(o, "link_max_mts", f->max_speed_mts);
	cli_json_number(o, "link_width", f->width);
	cli_json_number(o, "link_max_width", f->max_width);
}

struct json_object *cli_json_function(const struct cli_machine *m, const struct pdma_function *f)
{
	struct json_object *o = json_object_new_object();

	add_identity(o, f);
	cli_json_text(o, "parent", f->parent == PDMA_NO_FUNCTION ? NULL : cli_bdf(m, f->parent));
	cli_json_text(o, "host_bridge", cli_host(m, f->host).name);
	json_object_object_add(o, "numa_node",
			       f->numa_node < 0 ? NULL : json_object_new_int(f->numa_node));
	add_iommu(o, f);
	cli_json_number(o, "dma_mask_bits", f->dma_mask_bits);
	cli_json_known(o, "acs", f->acs);
	if (f->acs == PDMA_ON) {
		cli_json_hex(o, "acs_capability", f->acs_capability);
		cli_json_hex(o, "acs_control", f->acs_control);
	}
	cli_json_known(o, "memory_decode", f->decode);
	cli_json_known(o, "bus_master", f->master);
	cli_json_known(o, "relaxed_ordering", f->relaxed_ordering);
	cli_json_known(o, "ats", f->ats);
	cli_json_text(o, "power", f->power[0] ? f->power : NULL);
	add_link(o, f);
	cli_json_number(o, "p2pmem", f->p2pmem);
	cli_json_number(o, "p2pmem_free", f->p2pmem_free);
	json_object_object_add(o, "bars", bars_of(f));
	json_object_object_add(o, "windows", windows_of(f));
	return o;
}

struct json_object *cli_json_verdict(const struct cli_machine *m, const struct pdma_verdict *v)
{
	struct json_object *o = json_object_new_object(), *also = json_object_new_array();

	cli_json_text(o, "answer", pdma_answer_name(v->answer));
	cli_json_text(o, "mapping", pdma_mapping_name(v->mapping));
	cli_json_text(o, "cause", pdma_cause_name(v->cause));
	cli_json_number(o, "cause_number", v->cause);
	for (int c = 1; c < PDMA_CAUSES; c++)
		if (v->also & 1u << c)
			json_object_array_add(
				also, json_object_new_string(pdma_cause_name((enum pdma_cause)c)));
	json_object_object_add(o, "also", also);
	cli_json_text(o, "hop", v->hop == PDMA_NO_FUNCTION ? NULL : cli_bdf(m, v->hop));
	cli_json_text(o, "common", v->common == PDMA_NO_FUNCTION ? NULL : cli_bdf(m, v->common));
	cli_json_number(o, "distance", v->distance);
	json_object_object_add(o, "turns_in_switch", json_object_new_boolean(v->in_switch));
	cli_json_text(o, "reason", v->reason);
	cli_json_text(o, "remedy", v->remedy[0] ? v->remedy : NULL);
	return o;
}
